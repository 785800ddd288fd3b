"""The project's folder: everything wrong in it is found before AWS is asked, and told at once."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from deployer.errors import ConfigError
from deployer.images.context import NO_BASE
from deployer.images.requirements import pinned_version, read_requirements, target_environment
from deployer.project.manifest import read_manifest
from deployer.project.models import Model
from deployer.project.settings import Settings, load_settings
from deployer.service.release import load_release
from deployer.service.releases import functions_of
from tests.support.projects import ROOT

NAMES = ("linear_regression", "random_forest", "support_vector")


def load(project, *, bare=False, **options):
    settings = replace(load_settings(project, options, {}), bare=bare)
    return load_release(
        settings.located(account="123456789012", partition="aws", region="eu-central-1")
    )


def problem(project, pattern, **options):
    """The one problem that there is, which must match."""
    (found,) = problems(project, **options)
    assert re.search(pattern, found), found


def problems(project, **options):
    try:
        load(project, **options)
    except ConfigError as error:
        return list(error.problems)
    return []


def edit(path, change):
    """Change a JSON file in place."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_text(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def served(python):
    """The versions that the shipped image has for a Python version."""
    path = ROOT / "lambda_src" / "requirements.txt"
    found = read_requirements(path, target_environment(python, "x86_64"))
    return {requirement.name: pinned_version(requirement) for _, requirement, _ in found}


@pytest.fixture
def workflow(project):
    return project / "state_machine.json"


@pytest.fixture
def manifest(project):
    return project / "models" / "manifest.json"


def test_the_shipped_project_is_in_order(project):
    found = load(project)
    assert found.names == NAMES
    forest = found.functions[1].model
    assert forest.features[0] == "CRIM"
    assert len(forest.features) == 13
    assert found.image_keys == dict.fromkeys(NAMES, "image")
    assert found.contexts["image"].folder == project / "lambda_src"
    libraries = read_manifest(project, [])["libraries"]
    assert libraries.keys() >= {"python", "scikit-learn"}
    assert forest.libraries["scikit-learn"] == libraries["scikit-learn"]


def test_the_image_stands_on_the_python_that_trained(project, manifest):
    edit(manifest, lambda content: content["libraries"].update(python="3.99", **served("3.99")))
    found = load(project).contexts["image"]
    assert (found.base, found.python) == ("public.ecr.aws/lambda/python:3.99", "3.99")


def test_another_base_can_be_set(project):
    assert (
        load(project, base_image="localhost:5000/python:1").contexts["image"].base
        == "localhost:5000/python:1"
    )


def test_a_base_needs_a_place_to_be_put_in(project):
    (project / "lambda_src" / "Dockerfile").write_text('FROM python:1\nCMD ["predict.handler"]\n')
    assert load(project).contexts["image"].base == "python:1"
    problem(
        project,
        "base_image is other:1, but .*Dockerfile has no ARG BASE before FROM",
        base_image="other:1",
    )


def test_a_base_of_another_python_is_refused(project):
    (project / "lambda_src" / "Dockerfile").write_text(
        'FROM public.ecr.aws/lambda/python:3.99\nCMD ["predict.handler"]\n'
    )
    problem(
        project,
        "builds on public.ecr.aws/lambda/python:3.99, but the models were trained with Python 3",
    )


def test_an_image_of_other_versions_than_trained_is_refused(project, manifest):
    edit(manifest, lambda content: content["libraries"].update({"numpy": "1.0"}))
    problem(
        project,
        r"lambda_src/requirements.txt line [0-9]+: numpy==.*: the models were trained with "
        r"numpy==1.0",
    )


def test_a_dockerfile_without_from_is_refused(project):
    (project / "lambda_src" / "Dockerfile").write_text('CMD ["predict.handler"]\n')
    problem(project, "Dockerfile has no FROM")


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("Dockerfile", "FROM", "FORM", "has no FROM"),
        ("Dockerfile", "FROM ${BASE}", "FROM public.ecr.aws/lambda/python:3.9", "python:3.9, but"),
        ("Dockerfile", "ARG BASE=", "ARG OTHER=", "base_image is b:1, but .* has no ARG BASE"),
        ("requirements.txt", "numpy==", "numpy>=", "numpy>=.*: the models were trained with numpy"),
        ("requirements.txt", "scipy==", "#", "does not name scipy; the models were trained with"),
    ],
)
def test_a_bare_image_is_held_to_what_one_for_aws_must_be(project, name, old, new, expected):
    """--local leaves out no check of the Dockerfile and the requirements."""
    path = project / "lambda_src" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    base = {"base_image": "b:1"} if "b:1" in expected else {}
    with_a_base = problems(project, **base)
    assert any(re.search(expected, line) for line in with_a_base), with_a_base
    assert problems(project, bare=True, **base) == with_a_base


def test_a_bare_image_has_no_base(project):
    assert load(project).contexts["image"].base != NO_BASE
    assert load(project, bare=True).contexts["image"].base == NO_BASE


@pytest.mark.parametrize("library", ["python", "numpy", "scipy", "scikit-learn", "joblib"])
def test_a_bare_image_needs_the_libraries_that_trained_in_this_python(project, manifest, library):
    edit(manifest, lambda content: content["libraries"].update({library: "1.0"}))
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    hint = (
        f"Python 1.0, but this is Python {here}, in which --local runs them: run the deployer with "
        "Python 1.0, or train again: python train.py"
        if library == "python"
        else f"{library} 1.0, but {metadata.version(library)} is installed here: python -m pip "
        f"install {library}==1.0"
    )
    line = f"models/manifest.json: the models were trained with {hint}"
    assert line in problems(project, bare=True)
    assert line not in problems(project)


def test_the_third_number_of_python_is_of_no_account(project, manifest):
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    edit(manifest, lambda content: content["libraries"].update({"python": f"{here}.99"}))
    assert problems(project, bare=True) == []
    assert load(project).contexts["image"].python == here


def test_broken_json_is_told_with_line_and_column(project, workflow):
    workflow.write_text('{\n  "States": {,}\n}')
    assert problems(project) == [
        "state_machine.json line 2, column 14: Expecting property name enclosed in double quotes"
    ]


def test_both_files_are_looked_at_before_giving_up(project, workflow, manifest):
    workflow.write_text("[]")
    manifest.unlink()
    assert problems(project) == [
        "state_machine.json must hold a JSON object",
        f"models/manifest.json does not exist in {project / 'models'}",
    ]


def test_a_file_that_is_no_text_is_a_problem(project, workflow):
    workflow.write_bytes(b"\xff")
    (problem,) = problems(project)
    assert problem == "state_machine.json line 1: byte 0xff is no UTF-8: save it as UTF-8"


def test_a_placeholder_that_would_never_be_filled_is_refused(project, workflow):
    edit(
        workflow,
        lambda content: content["States"]["Answer"].update(Result={"of": ["x:${random_forest}"]}),
    )
    assert problems(project) == [
        "state_machine.json $.States.Answer.Result.of[0]: ${name} must be the whole string, or it "
        "is not replaced; it stands for the ARN of a function's version"
    ]


def test_a_comment_may_explain_the_placeholders(project, workflow):
    edit(
        workflow, lambda content: content["States"]["Answer"].update(Comment="${anything} is fine")
    )
    assert load(project).names == NAMES


def test_a_function_without_a_trained_model_is_refused(project, workflow):
    edit_text(workflow, '"${random_forest}"', '"${boosting}"')
    (problem,) = problems(project)
    assert problem == (
        "state_machine.json names ${boosting}, but models/manifest.json has linear_regression, "
        "random_forest, support_vector: add it to train.py and train again, add its file: "
        "python -m deployer add FILE --name boosting, or take it out: python -m deployer remove "
        "boosting"
    )


def test_an_empty_manifest_has_no_model(project, manifest):
    edit(manifest, lambda content: content.update(models={}))
    found = problems(project)
    assert len(found) == 3
    assert all(
        "models/manifest.json has no model: add it to train.py" in problem for problem in found
    )


def test_a_model_that_the_workflow_does_not_name_is_not_deployed(project, manifest):
    edit(
        manifest, lambda content: content["models"].update(spare=content["models"]["random_forest"])
    )
    assert load(project).names == NAMES


@pytest.mark.parametrize("name", ["workflow", "api"])
def test_a_name_that_the_service_uses_itself_is_refused(project, workflow, name):
    edit_text(workflow, '"${random_forest}"', f'"${{{name}}}"')
    (problem,) = problems(project)
    assert problem.endswith(f"a function cannot be called {name}, which the service uses itself")
    assert problem.startswith(
        "state_machine.json $.States.Predict.Branches[1].States.random_forest.Resource: "
    )


@pytest.mark.parametrize("name", ["Forest", "1st", "_x", "x_", "a__b", "a-b", "a b", "", "é"])
def test_a_name_that_aws_or_python_would_not_take_is_refused(project, workflow, name):
    edit_text(workflow, '"${random_forest}"', f'"${{{name}}}"')
    (problem,) = problems(project)
    assert problem.endswith(f"{name!r} must be lower-case letters, digits and single underscores")


def test_a_function_name_beyond_lambdas_limit_is_refused(project, workflow, manifest):
    name = "n" * 51
    shutil.copy(project / "models" / "random_forest.joblib", project / "models" / f"{name}.joblib")
    edit(
        manifest,
        lambda content: content["models"].update({name: content["models"]["random_forest"]}),
    )
    edit_text(workflow, '"${random_forest}"', f'"${{{name}}}"')
    (problem,) = problems(project)
    assert (
        problem
        == f"state_machine.json: {name} makes the function name inference-dev-{name}, longer "
        f"than Lambda's 64"
    )
    assert name in load(project, stage="d", service="inferenc").names


def test_a_workflow_without_functions_has_nothing_to_deploy(project, workflow):
    content = {"TimeoutSeconds": 5, "StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    workflow.write_text(json.dumps(content))
    assert problems(project) == [
        "state_machine.json names no function; a task's Resource, or its FunctionName, must be "
        "${name} of a trained model"
    ]


def test_a_missing_model_file_is_told(project):
    (project / "models" / "random_forest.joblib").unlink()
    assert problems(project) == [
        "models/random_forest.joblib does not exist, but models/manifest.json names it: train "
        "again: python train.py"
    ]


def test_a_model_file_of_another_hash_is_told(project):
    with (project / "models" / "random_forest.joblib").open("ab") as file:
        file.write(b"x")
    assert problems(project) == [
        "models/random_forest.joblib is not the file that models/manifest.json describes: it was "
        "changed or replaced "
        "after the training; move it away, then train again: python train.py"
    ]


@pytest.mark.parametrize("seconds", [29, 300, None, "28", 28.5])
def test_the_workflow_ends_before_the_api_gives_up(project, workflow, seconds):
    edit(workflow, lambda content: content.update(TimeoutSeconds=seconds))
    assert problems(project) == [
        f"state_machine.json: TimeoutSeconds is {seconds}, but must be below the API's 29"
    ]


@pytest.mark.parametrize("seconds", [28, 100, None])
def test_a_task_ends_before_its_workflow(project, workflow, seconds):
    def change(content):
        content["States"]["Predict"]["Branches"][1]["States"]["random_forest"]["TimeoutSeconds"] = (
            seconds
        )

    edit(workflow, change)
    assert problems(project) == [
        f"state_machine.json: the task of random_forest has TimeoutSeconds {seconds}, "
        "but must be below the workflow's 28"
    ]


@pytest.mark.parametrize("seconds", ["24", "25"])
def test_a_function_ends_before_its_task(project, seconds):
    assert problems(project, timeout_s=seconds) == [
        f"timeout_s of {name} is {seconds}, but must be below its task's 24" for name in NAMES
    ]
    assert load(project, timeout_s="23").names == NAMES


def test_a_workflow_that_aws_would_refuse_is_refused_with_its_place(project, workflow):
    edit(workflow, lambda content: content["States"]["Predict"].update(Next="Nowhere"))
    assert "state_machine.json $.States.Predict.Next: 'Nowhere' is no state beside it" in problems(
        project
    )


@pytest.mark.parametrize("threads", [2, -1])
def test_a_model_that_would_predict_in_threads_is_refused(project, manifest, threads):
    edit(manifest, lambda content: content["models"]["random_forest"].update(n_jobs=threads))
    (problem,) = problems(project)
    assert f"models/random_forest.joblib was saved with n_jobs={threads}" in problem


@pytest.mark.parametrize("threads", [1, None])
def test_a_model_of_one_thread_is_taken(project, manifest, threads):
    edit(manifest, lambda content: content["models"]["random_forest"].update(n_jobs=threads))
    assert load(project).names == NAMES


def test_a_functions_own_timeout_counts(project):
    with (project / "setup.cfg").open("a") as file:
        file.write("\n[deployer:random_forest]\ntimeout_s = 24\n")
    assert problems(project) == [
        "timeout_s of random_forest is 24, but must be below its task's 24"
    ]


def test_a_task_of_another_service_is_not_held_to_the_order(project, workflow):
    notify = {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Next": "Predict"}

    def notify_first(content):
        content["States"]["Notify"] = notify
        content["StartAt"] = "Notify"

    edit(workflow, notify_first)
    assert load(project).names == NAMES


def test_settings_of_a_function_that_does_not_exist_are_refused(project):
    with (project / "setup.cfg").open("a") as file:
        file.write("\n[deployer:random_forrest]\nmemory_mb = 512\n")
    assert problems(project) == [
        "setup.cfg [deployer:random_forrest]: state_machine.json names no function random_forrest; "
        "did you mean random_forest?"
    ]


def test_a_folder_with_a_dockerfile_is_that_functions_own_image(project):
    shared = load(project).contexts["image"].image_tag
    own = project / "lambda_src" / "random_forest"
    own.mkdir()
    (own / "Dockerfile").write_text('FROM scratch\nCMD ["mine.handler"]')
    found = load(project)
    assert found.image_keys == {
        **dict.fromkeys(NAMES, "image"),
        "random_forest": "image/random_forest",
    }
    assert found.contexts.keys() == {"image", "image/random_forest"}
    assert found.contexts["image/random_forest"].folder == own
    assert found.contexts["image"].image_tag == shared


def test_a_folder_of_a_functions_name_holds_what_differs_in_its_own_image(project):
    shared = project / "lambda_src"
    (shared / "random_forest").mkdir()
    (shared / "random_forest" / "extra.py").write_text("x = 1")
    (shared / "random_forest" / "predict.py").write_text("handler = None")
    release = load(project)
    assert release.image_keys == {
        **dict.fromkeys(NAMES, "image"),
        "random_forest": "image/random_forest",
    }
    own, others = release.contexts["image/random_forest"], release.contexts["image"]
    assert own.files.keys() == {*others.files, "extra.py"}
    assert own.files["predict.py"] == shared / "random_forest" / "predict.py"
    assert own.files["loading.py"] == others.files["loading.py"] == shared / "loading.py"
    assert own.dockerfile.path == shared / "Dockerfile"


def test_a_package_of_a_functions_name_is_a_part_of_the_shared_image(project):
    (project / "lambda_src" / "random_forest").mkdir()
    (project / "lambda_src" / "random_forest" / "__init__.py").write_text("")
    release = load(project)
    assert release.image_keys == dict.fromkeys(NAMES, "image")
    assert "random_forest/__init__.py" in release.contexts["image"].files


def test_when_every_function_has_its_own_image_there_is_no_shared_one(project):
    for name in NAMES:
        (project / "lambda_src" / name).mkdir()
        (project / "lambda_src" / name / "Dockerfile").write_text("FROM python:1")
    assert load(project).contexts.keys() == {f"image/{name}" for name in NAMES}


def test_two_thousand_features_with_long_names_are_served(project, manifest):
    """An environment of 4,096 bytes would hold no forty of them."""
    names = [f"{number:04d} é " + "x" * 90 for number in range(2000)]
    edit(
        manifest,
        lambda content: content["models"]["random_forest"].update(
            features=[{"name": name} for name in names],
            example={"instances": [dict.fromkeys(names, 0)]},
        ),
    )
    models = {function.name: function.model for function in load(project).functions}
    variables = models["random_forest"].environment("bucket")
    assert sum(map(len, [*variables, *variables.values()])) < 500
    features = json.loads(models["random_forest"].signature)["features"]
    assert [feature["name"] for feature in features] == names


def test_every_problem_is_told_at_once(project, workflow):
    edit(workflow, lambda content: content["States"]["Answer"].update(Result="x${random_forest}"))
    edit_text(workflow, '"Resource": "${support_vector}"', '"Resource": "${api}"')
    (project / "models" / "linear_regression.joblib").unlink()
    with (project / "setup.cfg").open("a") as file:
        file.write("\n[deployer:nobody]\n")
    found = problems(project, timeout_s="24")
    for part in (
        "${name} must be the whole string",
        "a function cannot be called api",
        "names no function nobody",
        "timeout_s of random_forest is 24",
        "models/linear_regression.joblib does not exist",
    ):
        assert sum(part in problem for problem in found) == 1, part


def test_a_models_key_and_environment_say_which_file_it_is(tmp_path):
    entry = {"features": [{"name": "a b", "unit": "m"}, {"name": "é"}], "metrics": {"r2": 1}}
    model = Model("forest", tmp_path, "abc", entry, {"scikit-learn": "1.7.2"}, {})
    assert json.loads(model.signature) == {
        "features": [{"name": "a b"}, {"name": "é"}],
        "scikit-learn": "1.7.2",
    }
    digest = hashlib.sha256(model.signature).hexdigest()
    assert model.key == "models/forest/abc.joblib"
    assert model.environment("bucket") == {
        "MODEL": "forest",
        "BUCKET": "bucket",
        "KEY": "models/forest/abc.joblib",
        "SHA256": "abc",
        "SIGNATURE_KEY": f"models/forest/{digest}.json",
        "SIGNATURE_SHA256": digest,
    }
    logging = model.environment("bucket", log_inputs=True)
    assert logging == {**model.environment("bucket"), "LOG_INPUTS": "yes"}


def test_the_newest_version_of_a_function_comes_last() -> None:
    """As texts, :10 would come before :9."""
    settings = Settings(Path(), service="a").located(
        account="1" * 12, partition="aws", region="us-east-1"
    )
    arns = {name: f"{settings.function_arn(name)}:" for name in ("big_forest", "tree")}
    names = [arns["tree"] + "2", *(arns["big_forest"] + number for number in ("10", "9"))]
    workflow = {"States": {name: {"Resource": name} for name in names}}
    assert functions_of(settings, workflow) == {
        "big_forest": [arns["big_forest"] + "9", arns["big_forest"] + "10"],
        "tree": [arns["tree"] + "2"],
    }
