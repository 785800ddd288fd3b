"""Models of XGBoost, LightGBM and CatBoost: from a file to the answer of a function's image.

One image has all of them: by default XGBoost alone, and with TESTS=every all three. They are
installed for these tests alone, in versions that have wheels for the base's glibc; a program of its
own trains the models, and its answers count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest

from deployer.local import process
from deployer.project.settings import load_settings
from deployer.project.template import copy_template
from deployer.service.release import Release, load_release
from tests.support.accounts import connect, keys, reset
from tests.support.containers import unavailable
from tests.support.emulator import running
from tests.support.thinning import WHOLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("containers"),
]  # the worker that has the engine
LIBRARIES = {
    "xgboost": "xgboost-cpu==3.0.5",
    "lightgbm": "lightgbm==3.3.5",
    "catboost": "catboost==1.2.10",
}
NAMES = tuple(LIBRARIES) if WHOLE else ("xgboost",)
SHIPPED = ("linear_regression", "random_forest", "support_vector")
TRAIN = """
import json, sys
from importlib import import_module
import joblib, numpy, pandas

draw = numpy.random.default_rng(0)
table = pandas.DataFrame(draw.normal(size=(60, 3)), columns=["width", "height", "depth"])
labels = (table["width"] + table["height"] > 0).astype(int)
kinds = {
    "xgboost": ("XGBClassifier", {"n_estimators": 4}),
    "lightgbm": ("LGBMClassifier", {"n_estimators": 4, "min_child_samples": 5, "verbose": -1}),
    "catboost": (
        "CatBoostClassifier", {"iterations": 4, "verbose": 0, "allow_writing_files": False}
    ),
}
answers = {}
for name in sys.argv[1:]:
    kind, parameters = kinds[name]
    model = getattr(import_module(name), kind)(**parameters)
    joblib.dump(model.fit(table, labels), f"{name}.joblib")
    answers[name] = {
        "predictions": model.predict(table).tolist(),
        "probabilities": model.predict_proba(table).tolist(),
    }
table.to_csv("example.csv", index=False)
json.dump({"records": table.to_dict("records"), "answers": answers}, open("expected.json", "w"))
"""


@dataclass(frozen=True)
class Made:
    """A Python with the libraries, and the models that it trained."""

    python: Path
    folder: Path
    expected: dict[str, Any]

    def run(self, *arguments: str, folder: Path, **variables: str) -> str:
        done = subprocess.run(
            [str(self.python), "-W", "ignore", *arguments],
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout


def packages_of(python: Path) -> Path:
    (site,) = (python.parents[1] / "lib").glob("python*/site-packages")
    return site


def link_library(folder: Path) -> None:
    """Give LightGBM the libgomp.so.1 that this machine may lack."""
    import sklearn

    (copy,) = (Path(sklearn.__file__).parents[1] / "scikit_learn.libs").glob("libgomp*")
    (folder / "libgomp.so.1").symlink_to(copy)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The packages of this Python, and the three libraries, in a virtual environment."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the stand-in has Python 3.11, and here is another")
    folder = tmp_path_factory.mktemp("libraries")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    site = packages_of(python)
    here = [entry for entry in sys.path if entry.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({entry!r})" for entry in here]
    (site / "here.pth").write_text("\n".join(lines) + "\n")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(site)]
    wanted = [LIBRARIES[name] for name in NAMES]
    done = subprocess.run([*pip, *options, *wanted], capture_output=True, text=True)
    if done.returncode:
        unavailable(f"pip cannot fetch {', '.join(wanted)}: {done.stderr}")
    link_library(folder)
    (folder / "train.py").write_text(TRAIN)
    made = Made(python, folder, {})
    made.run("train.py", *NAMES, folder=folder, LD_LIBRARY_PATH=str(folder))
    made.expected.update(json.loads((folder / "expected.json").read_text()))
    return made


@pytest.fixture(scope="module")
def project(made: Made, base: str) -> Path:
    """A project to which `add` added the three models."""
    folder = made.folder / "project"
    copy_template(folder)
    (folder / "lambda_src" / "verify.py").unlink()  # the answers are compared here
    variables = {"LD_LIBRARY_PATH": str(made.folder), "DEPLOYER_BASE_IMAGE": base}
    deployer = ("-m", "deployer")
    made.run(*deployer, "remove", *SHIPPED, "--yes", folder=folder)
    for name in NAMES:
        given = (str(made.folder / f"{name}.joblib"), "--example", "../example.csv", "--yes")
        made.run(*deployer, "add", *given, folder=folder, **variables)
    return folder.resolve()


@pytest.fixture(scope="module")
def image(made: Made, project: Path, base: str, engine: docker.DockerClient) -> Iterator[str]:
    """The project's image, by the direct builder."""
    output = made.folder / "image.tar"
    variables = {
        "LD_LIBRARY_PATH": str(made.folder),
        "DEPLOYER_BASE_IMAGE": base,
        "XDG_CACHE_HOME": str(made.folder / "cache"),
    }
    options = ("--builder", "direct", "--output", str(output), "--json")
    said = made.run("-m", "deployer", "image", *options, folder=project, **variables)
    with output.open("rb") as file:
        engine.images.load(file)
    output.unlink()
    name = json.loads(said)["image"]
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture(scope="module")
def release(project: Path, base: str) -> Release:
    settings = load_settings(project, {"base_image": base}, {}).located(
        account="1" * 12, partition="aws", region="us-east-1"
    )
    return load_release(settings)


def test_add_names_the_libraries_and_what_they_need(project: Path) -> None:
    """CatBoost needs pandas, but for predictions neither matplotlib nor plotly nor graphviz."""
    text = (project / "lambda_src" / "requirements.txt").read_text()
    needed = ["xgboost-cpu", "lightgbm", "catboost", "pandas"] if WHOLE else ["xgboost-cpu"]
    pins = [line.partition("==")[0] for line in text.splitlines()[-len(needed) :]]
    assert pins == needed


@pytest.mark.parametrize("name", NAMES)
def test_an_image_answers_as_the_model_does_itself(
    name: str,
    made: Made,
    image: str,
    release: Release,
    engine: docker.DockerClient,
    server: process.Server,
) -> None:
    """Labels are equal, and probabilities to 1e-9, over HTTP."""
    (function,) = [function for function in release.functions if function.name == name]
    model = function.model
    reset(server)
    aws = connect(server)
    aws.call("s3", "create_bucket", Bucket="models")
    for key, content in (
        (model.key, model.path.read_bytes()),
        (model.signature_key, model.signature),
    ):
        aws.call("s3", "put_object", Bucket="models", Key=key, Body=content)
    environment = {
        **model.environment("models"),
        "AWS_ENDPOINT_URL": server.url,
        **keys(server),
    }
    with running(engine, image, environment, mem_limit="1g") as invoke:
        answer = invoke({"instances": made.expected["records"]})
        assert invoke({"width": 1})["errorType"] == "InvalidInput"
    expected = made.expected["answers"][name]
    assert answer["model"] == name and answer["version"] == model.sha256[:12], answer
    assert answer["predictions"] == expected["predictions"] and answer["classes"] == [0, 1]
    difference = np.abs(np.array(answer["probabilities"]) - expected["probabilities"]).max()
    assert difference <= 1e-9
