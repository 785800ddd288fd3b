"""Both builders with a real engine and registry: build, push, read back, run as Lambda does.

The functions' predictions must equal those of the models here.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import joblib
import numpy as np
import pytest
import requests
from click.testing import CliRunner, Result

from deployer.aws.access import Tell
from deployer.cli import cli
from deployer.errors import AwsError, BuildError
from deployer.images import build as building
from deployer.images.build import build_and_push, build_and_save
from deployer.images.context import Context
from deployer.images.engine import Engine, find_engine
from deployer.images.pins import pin_base
from deployer.local import process
from tests.support import zoo
from tests.support.accounts import connect, keys, reset
from tests.support.containers import Registry
from tests.support.ecr import RegistryEcr
from tests.support.emulator import running
from tests.support.handlers import described
from tests.support.made_zoo import made_zoo
from tests.support.projects import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("containers"),
]  # one worker has the engine, and makes its base once
NAMES = ("linear_regression", "random_forest", "support_vector")
KINDS = ("direct", "docker")


UNNEEDED = (
    r"/tests?/(?!.*\.pyc?$)|/tests?/(\w+/)*test_\w*\.py|\.pyi$|\.pyx$|\.h$|/RECORD$"
    r"|^var/task/bin/|boto"
)


class Messages(list[str]):
    """The messages of a builder."""

    def __call__(self, text: str, *, lasting: bool = False) -> None:
        self.append(text)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("cache")
    patch.setenv("XDG_CACHE_HOME", str(folder))
    yield folder / "deployer"
    patch.undo()


@pytest.fixture(scope="session")
def pinned_base(base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return pin_base(base, tmp_path_factory.mktemp("lock") / "base.lock", write=False)


def context_in(folder: Path, base: str) -> Context:
    source = shutil.copytree(
        ROOT / "lambda_src", folder / "lambda_src", ignore=shutil.ignore_patterns("__pycache__")
    )
    return Context(source, base, "x86_64", "3.11")


@pytest.fixture
def context(tmp_path: Path, pinned_base: str) -> Context:
    """The shipped folder, on the stand-in for AWS's image."""
    return context_in(tmp_path, pinned_base)


@pytest.fixture
def ecr(registry: Registry) -> RegistryEcr:
    return RegistryEcr(registry.host)


def silent(text: str, *, lasting: bool = False) -> None:
    """Discard messages."""


def push(
    context: Context, ecr: RegistryEcr, kind: str, repository: str, tell: Tell | None = None
) -> str:
    return build_and_push(context, ecr, repository, kind, silent if tell is None else tell)


@pytest.fixture(scope="session")
def pushed(
    registry: Registry, pinned_base: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The shipped image by both builders, as references by digest."""
    references = {}
    for kind in KINDS:
        context = context_in(tmp_path_factory.mktemp(kind), pinned_base)
        repository = f"shipped-{kind}"
        digest = push(context, RegistryEcr(registry.host), kind, repository)
        references[kind] = f"{registry.host}/{repository}@{digest}"
    return references


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_answers_under_lambdas_emulator_as_the_model_does_here(
    kind: str,
    pushed: dict[str, str],
    engine: docker.DockerClient,
    server: process.Server,
    trained: Path,
) -> None:
    """For all three models, with the model's file fetched from the local S3, to 1e-9."""
    manifest = json.loads((trained / "manifest.json").read_text())
    if manifest["libraries"]["python"] != "3.11":
        pytest.skip(
            f"the stand-in has Python 3.11, the models were trained with "
            f"{manifest['libraries']['python']}"
        )
    reset(server)
    aws = connect(server)
    aws.call("s3", "create_bucket", Bucket="models")
    rows = np.loadtxt(ROOT / "data" / "boston_housing.csv", delimiter=",", skiprows=1)[:20, :13]
    engine.images.pull(pushed[kind])
    for name in NAMES:
        entry = manifest["models"][name]
        features = [feature["name"] for feature in entry["features"]]
        signature = described(features)
        aws.call("s3", "put_object", Bucket="models", Key=f"{name}.json", Body=signature)
        aws.call(
            "s3",
            "put_object",
            Bucket="models",
            Key=name,
            Body=(trained / f"{name}.joblib").read_bytes(),
        )
        environment = {
            "MODEL": name,
            "BUCKET": "models",
            "KEY": name,
            "SHA256": entry["sha256"],
            "SIGNATURE_KEY": f"{name}.json",
            "SIGNATURE_SHA256": hashlib.sha256(signature).hexdigest(),
            "AWS_ENDPOINT_URL": server.url,
            **keys(server),
        }
        expected = joblib.load(trained / f"{name}.joblib").predict(rows)
        with running(engine, pushed[kind], environment, mem_limit="1g") as invoke:
            answer = invoke(
                {"instances": [dict(zip(features, row, strict=True)) for row in rows.tolist()]}
            )
            assert answer["model"] == name and answer["version"] == entry["sha256"][:12], answer
            assert np.abs(np.array(answer["predictions"]) - expected).max() <= 1e-9
            assert invoke({"CRIM": 1})["errorType"] == "InvalidInput"


@pytest.mark.weekly(every=2)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_predicts_in_the_image_as_scikit_learn_does(
    kind: str, pushed: dict[str, str], engine: docker.DockerClient, tmp_path: Path
) -> None:
    """With what is left of the packages, on either way: through numpy, and through scikit-learn
    imported in part.
    """
    if sys.version_info[:2] != (3, 11):
        pytest.skip(
            "the stand-in has Python 3.11, and models are made with the versions that its image has"
        )
    made_zoo(tmp_path / "models")
    shutil.copy2(ROOT / "lambda_src" / "verify.py", tmp_path)
    engine.images.pull(pushed[kind])
    output = engine.containers.run(
        pushed[kind],
        ["/given/verify.py", "/given/models", *zoo.KNOWN, *zoo.OTHERS],
        entrypoint="/usr/bin/python3",
        environment={"PYTHONPATH": "/var/task"},
        volumes={str(tmp_path): {"bind": "/given", "mode": "ro"}},
        remove=True,
        stderr=True,
    )
    assert output == b""


def test_the_packages_are_three_quarters_of_what_pip_leaves(
    pushed: dict[str, str], registry: Registry
) -> None:
    """Compressed. The packages are pinned, so the sizes are the same in every run."""
    sizes = {}
    for kind in KINDS:
        repository, _, digest = pushed[kind].partition("/")[2].partition("@")
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        manifest = requests.get(
            f"{registry.url}/{repository}/manifests/{digest}", headers=accept
        ).json()
        sizes[kind] = max(layer["size"] for layer in manifest["layers"][1:])
    assert sizes["direct"] <= 0.75 * sizes["docker"], sizes


@pytest.mark.parametrize("kind", KINDS)
def test_what_lambda_will_see_is_one_image_for_one_platform(
    kind: str, pushed: dict[str, str], registry: Registry
) -> None:
    repository, _, digest = pushed[kind].partition("/")[2].partition("@")
    accept = {
        "Accept": "application/vnd.docker.distribution.manifest.v2+json, "
        "application/vnd.oci.image.index.v1+json"
    }
    manifest = requests.get(
        f"{registry.url}/{repository}/manifests/{digest}", headers=accept
    ).json()
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    config = requests.get(
        f"{registry.url}/{repository}/blobs/{manifest['config']['digest']}"
    ).json()
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["Cmd"] == ["predict.handler"]
    assert config["config"]["Entrypoint"] == ["/lambda-entrypoint.sh"]
    assert {"LAMBDA_TASK_ROOT=/var/task", "OMP_NUM_THREADS=1"} <= set(config["config"]["Env"])


@pytest.mark.weekly
def test_two_folders_at_two_times_make_one_digest(
    pinned_base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same base, with nothing in the cache that the first build left."""
    summaries = []
    for number in "12":
        (tmp_path / number).mkdir()
        context = context_in(tmp_path / number, pinned_base)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / number / "cache"))
        summaries.append(
            build_and_save(context, "x:1", tmp_path / number / "image.tar", "direct", Messages())
        )
    assert summaries[0] == summaries[1]
    assert summaries[0].digest
    assert {kind for kind, _ in summaries[0].layers} == {"base", "packages", "code"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_again_moves_no_byte_and_an_edited_handler_one_layer(
    kind: str, context: Context, ecr: RegistryEcr, registry: Registry
) -> None:
    messages = Messages()
    push(context, ecr, kind, f"again-{kind}")
    before = layers(registry, f"again-{kind}", context.image_tag)
    ecr.uploaded.clear()
    push(context, ecr, kind, f"again-{kind}", messages)
    assert ecr.uploaded == []
    assert any(re.search(r"0 layers pushed|uploaded 0.0 kB", line) for line in messages), messages
    (context.folder / "predict.py").write_text(
        (context.folder / "predict.py").read_text() + "\n# edited\n"
    )
    edited = replace(context)
    push(edited, ecr, kind, f"again-{kind}")
    after = layers(registry, f"again-{kind}", edited.image_tag)
    assert len(set(after) - set(before)) == 1
    assert (
        kind == "docker" or [digest for digest, _ in ecr.uploaded if digest in after] == after[-1:]
    )


def layers(registry: Registry, repository: str, tag: str) -> list[str]:
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    manifest = requests.get(f"{registry.url}/{repository}/manifests/{tag}", headers=accept).json()
    return [layer["digest"] for layer in manifest["layers"]]


@pytest.mark.weekly(every=2)
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_of_an_image_can_be_loaded_and_run(
    kind: str, context: Context, engine: docker.DockerClient, tmp_path: Path
) -> None:
    name = f"loaded-{kind}:{context.image_tag}"
    build_and_save(context, name, tmp_path / "image.tar", kind, Messages())
    (loaded,) = engine.images.load((tmp_path / "image.tar").read_bytes())
    assert name in loaded.tags
    program = (
        "import sklearn, scipy, numpy, joblib, sys, predict; print(sklearn.__version__, "
        "predict.__file__)"
    )
    output = engine.containers.run(
        name, ["-c", program], entrypoint="/usr/bin/python3", remove=True
    ).decode()
    assert output.endswith("/var/task/predict.py\n")
    engine.images.remove(name, force=True)


def test_the_packages_are_small_and_ready(context: Context, tmp_path: Path) -> None:
    """No tests, stubs, sources or records; every module has its .pyc, checked against nothing."""
    build_and_save(context, "x:1", tmp_path / "image.tar", "direct", Messages())
    with tarfile.open(tmp_path / "image.tar") as image:
        described = json.load(image.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        for number in (-2, -1):
            with tarfile.open(
                fileobj=image.extractfile(described["Layers"][number]), mode="r:gz"
            ) as layer:
                names = [entry.name for entry in layer if entry.isfile()]
                compiled = {
                    re.sub(r"__pycache__/(.*)\.cpython-311\.pyc", r"\1.py", name)
                    for name in names
                    if "__pycache__" in name
                }
                assert {name for name in names if name.endswith(".py")} == compiled
                assert not [name for name in names if re.search(UNNEEDED, name)]
                (one, *_) = [entry for entry in layer if entry.name.endswith(".pyc")]
                header = layer.extractfile(one).read(8)  # type: ignore[union-attr]
                assert header[4:] == (1).to_bytes(4, "little")
    assert "var/task/__pycache__/predict.cpython-311.pyc" in names


def test_an_engine_that_goes_away_is_one_line(
    context: Context, ecr: RegistryEcr, engine: docker.DockerClient
) -> None:
    assert find_engine() is not None
    gone = Engine(
        docker.DockerClient(base_url="tcp://127.0.0.1:9", version="1.41"), "tcp://127.0.0.1:9"
    )
    with pytest.raises(
        BuildError, match="the engine at tcp://127.0.0.1:9 went away during build"
    ) as caught:
        gone.build(context, "x:1", Messages())
    assert "--builder direct" in caught.value.advice


def test_a_failing_dockerfile_gives_the_engines_own_words(
    context: Context, ecr: RegistryEcr, engine: object
) -> None:
    with (context.folder / "Dockerfile").open("a") as file:
        file.write("RUN printf '%s words' last && exit 3\n")
    with pytest.raises(
        BuildError,
        match=r"failed to build lambda_src/: .*returned a non-zero code: 3 .before it: last words",
    ):
        push(replace(context), ecr, "docker", "failing")
    assert "put_image" not in ecr.operations


def test_a_refused_push_is_an_error(
    context: Context, ecr: RegistryEcr, engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Img-3: the SDK's push raises nothing; here the registry's address has nobody behind it."""
    answer = ecr.call("ecr", "get_authorization_token")
    answer["authorizationData"][0]["proxyEndpoint"] = "http://127.0.0.1:9"
    monkeypatch.setattr(ecr, "_get_authorization_token", lambda url: answer)
    with pytest.raises(BuildError, match="the registry refused the push: .*connection refused"):
        push(context, ecr, "docker", "refused")
    names = [tag for image in engine.images.list() for tag in image.tags]
    assert not [name for name in names if name.startswith("127.0.0.1:9/")]


def test_a_half_pushed_image_is_no_image(
    context: Context, ecr: RegistryEcr, registry: Registry
) -> None:
    """A token that expires in mid-push: layers are there, but no tag; the next run sends what is
    missing.
    """
    ecr.fails["put_image"] = AwsError("ExpiredTokenException", "the token has expired")
    with pytest.raises(AwsError, match="ExpiredTokenException") as caught:
        push(context, ecr, "direct", "half")
    assert "sign in again" in caught.value.advice
    assert not requests.head(f"{registry.url}/half/manifests/{context.image_tag}").ok
    del ecr.fails["put_image"]
    ecr.uploaded.clear()
    push(context, ecr, "direct", "half")
    assert ecr.uploaded == []


def test_an_image_for_the_wrong_machine_is_refused_and_removed(
    context: Context, ecr: RegistryEcr, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Img-9: CreateFunction would take it. The tag must be free again, or the next run would take
    it too.
    """
    monkeypatch.setattr(Engine, "_check_platform", lambda self, name, architecture: None)
    actual = Engine.build

    def wrong(self: Engine, given: Context, name: str, tell: Tell) -> None:
        actual(self, replace(given, architecture="x86_64"), name, tell)

    monkeypatch.setattr(Engine, "build", wrong)
    arm = replace(context, architecture="arm64")
    with pytest.raises(
        BuildError,
        match="the pushed image is for linux/amd64, but the functions are for linux/arm64",
    ):
        push(arm, ecr, "docker", "wrong")
    assert not requests.head(f"{registry.url}/wrong/manifests/{arm.image_tag}").ok


def test_auto_takes_the_engine_that_answers(context: Context, engine: object) -> None:
    chosen, reason = building.choose_engine("auto", context)
    assert chosen is not None and reason.startswith("builder: docker, the engine at ")


def test_the_cache_spares_the_base_registry(
    context: Context, ecr: RegistryEcr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content that is known by digest is read once; another build sends no request."""
    build_and_save(context, "x:1", tmp_path / "one.tar", "direct", Messages())
    monkeypatch.setattr(
        "deployer.images.registry.Registry._get",
        lambda *arguments: pytest.fail("asked the registry"),
    )
    build_and_save(context, "x:1", tmp_path / "two.tar", "direct", Messages())
    assert (tmp_path / "one.tar").stat().st_size == (tmp_path / "two.tar").stat().st_size


@pytest.fixture
def cli_project(project: Path, base: str, trained: Path) -> Path:
    if json.loads((trained / "manifest.json").read_text())["libraries"]["python"] != "3.11":
        pytest.skip("the stand-in has Python 3.11, and the models were trained with another")
    (project / "lambda_src" / "base.lock").unlink()
    return project


def command(project: Path, *arguments: str, base: str, **environment: str) -> Result:
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "DEPLOYER_BASE_IMAGE": base,
        **environment,
    }
    result = CliRunner(env=variables).invoke(
        cli, [arguments[0], "--project", str(project), *arguments[1:]]
    )
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result


def test_up_makes_the_image_once_and_then_asks_neither_engine_nor_registry(
    cli_project: Path, base: str, server: process.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset(server)
    options = ("--endpoint-url", server.url, "--builder", "direct")
    first = command(cli_project, "up", "--no-proof", *options, base=base, **keys(server))
    assert f"pinned {base} to sha256:" in first.stderr
    assert re.search(
        r"image: base [0-9.]+ MB, packages [0-9.]+ MB, code [0-9.]+ MB; uploaded [0-9.]+ MB, 0.0 "
        r"kB were",
        first.stderr,
    )
    assert first.stdout.startswith("http://")
    assert base in json.loads((cli_project / "lambda_src" / "base.lock").read_text())
    for name in ("deployer.images.build.find_engine", "deployer.images.registry.Registry._get"):
        monkeypatch.setattr(name, lambda *arguments: pytest.fail("asked an engine or a registry"))
    second = command(cli_project, "up", "--no-proof", *options, "-v", base=base, **keys(server))
    assert "Plan: no changes" in second.stderr
    image_calls = re.findall(r"ecr (\w*(?:image|layer|token)\w*)", second.stderr)
    assert image_calls == ["describe_images"]


def test_an_edited_handler_uploads_the_code_alone(
    cli_project: Path, base: str, server: process.Server
) -> None:
    reset(server)
    options = ("--endpoint-url", server.url, "--builder", "direct")
    command(cli_project, "up", "--no-proof", *options, base=base, **keys(server))
    with (cli_project / "lambda_src" / "predict.py").open("a") as file:
        file.write("# edited\n")
    again = command(cli_project, "up", "--no-proof", *options, base=base, **keys(server))
    assert re.search(r"uploaded 0[.][1-9] MB, [1-9][0-9.]+ MB were there", again.stderr), (
        again.stderr
    )


def test_the_image_command_calls_no_aws_and_says_what_it_made(
    cli_project: Path, base: str, tmp_path: Path
) -> None:
    output = tmp_path / "image.tar"
    result = command(
        cli_project, "image", "--output", str(output), "--builder", "direct", "--json", base=base
    )
    document = json.loads(result.stdout)
    assert document["builder"] == "direct" and document["base"].startswith(f"{base}@sha256:")
    assert document["digest"].startswith("sha256:") and output.stat().st_size > sum(
        e["bytes"] for e in document["layers"]
    )
    (example,) = re.findall(
        r"^python -m deployer (image --output image.tar .*)$",
        (ROOT / "docs/images.md").read_text(),
        re.M,
    )
    arguments = example.replace("image.tar", str(output)).split()
    assert json.loads(command(cli_project, *arguments, "--json", base=base).stdout) == document
    shown = command(cli_project, "image", "--output", str(output), "--builder", "direct", base=base)
    assert document["digest"] in shown.stdout and "packages" in shown.stdout
