"""What the user's folder holds: the workflow, the trained models, the image contexts. Read once,
checked as a whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deployer.aws.access import Tell
from deployer.errors import BuildError, ConfigError
from deployer.files import Unreadable, read_json
from deployer.images.context import LOCK_FILE, NO_BASE, Context
from deployer.images.pins import pin_base
from deployer.images.recipe import requirement_files
from deployer.images.registry import Reference
from deployer.project import workflow
from deployer.project.settings import Settings

WORKFLOW = "state_machine.json"
MANIFEST = "models/manifest.json"
# API Gateway waits this long for the workflow; its own maximum is 30 s (Api-13).
INTEGRATION_TIMEOUT_S = 29
_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_RESERVED = ("workflow", "api")  # log groups of these names belong to the state machine and the API
_FUNCTION_NAME_LIMIT = 64  # Lambda-28
_ENVIRONMENT_LIMIT = 4096  # bytes of all variables of a function, Lambda-28


@dataclass(frozen=True)
class Model:
    """A trained model: its file, the file's sha256, its features in the order of the training
    columns.
    """

    path: Path
    sha256: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Project:
    """The parts that the resources are made from.

    `definition`: the parsed workflow with its placeholders. `images`: the context of each image by
        the image's key.
    `image_of`: the image's key by function. A project that is only to be deleted has names alone.
    """

    functions: tuple[str, ...]
    definition: Any = None
    models: Mapping[str, Model] = field(default_factory=dict)
    images: Mapping[str, Context] = field(default_factory=dict)
    image_of: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def served_by(self, image: str) -> list[Path]:
        """Return the files of the models that functions of an image serve."""
        return [self.models[name].path for name in self.functions if self.image_of[name] == image]


def load_project(settings: Settings) -> Project:
    """Read and check everything that `up` and `plan` work from; raise ConfigError with all
    problems.
    """
    problems: list[str] = []
    definition = _read_json(settings.project / WORKFLOW, problems)
    manifest = read_manifest(settings, problems)
    if problems:
        raise ConfigError(problems)
    functions = tuple(_functions(definition, problems))
    problems += (f"{WORKFLOW} {problem}" for problem in workflow.problems(definition))
    problems += _check_settings(settings, functions)
    problems += _check_timeouts(settings, definition)
    models = dict(_models(settings, manifest, functions, problems))
    libraries = manifest.get("libraries", {})
    images, image_of = _images(settings, functions, str(libraries.get("python", "")), problems)
    problems += _check_images(images, libraries)
    if problems:
        raise ConfigError(problems)
    return Project(functions, definition, models, images, image_of, libraries, manifest)


def declared_names(settings: Settings) -> tuple[str, ...]:
    """Return the functions that the workflow names, as far as it can be read: `down` works without
    a sound project.
    """
    problems: list[str] = []
    return tuple(_functions(_read_json(settings.project / WORKFLOW, problems), problems))


def read_manifest(settings: Settings, problems: list[str]) -> dict[str, Any]:
    """Return the manifest, or {} and what is wrong with its shape: what the tool reads of it has
    the types that it says.
    """
    manifest = _read_json(settings.project / MANIFEST, problems)
    found = list(_shape_problems(manifest))
    problems += (f"{MANIFEST} {problem}" for problem in found)
    return {} if found else manifest


def _shape_problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    libraries, models = manifest.get("libraries", {}), manifest.get("models", {})
    if not isinstance(libraries, Mapping) or not all(
        isinstance(version, str) for version in libraries.values()
    ):
        yield "$.libraries: must be an object of versions by library, each a string"
    if not isinstance(models, Mapping):
        yield "$.models: must be an object of models by name"
        return
    for name, entry in models.items():
        place = f"$.models.{name}"
        if not isinstance(entry, Mapping):
            yield f"{place}: must be an object"
            continue
        if not isinstance(entry.get("sha256"), str):
            yield f"{place}.sha256: must be the file's sha256 as a string"
        threads = entry.get("n_jobs", 1)
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int)):
            yield f"{place}.n_jobs: must be a whole number or null"
        yield from _feature_problems(entry.get("features"), place)


def _feature_problems(features: Any, place: str) -> Iterator[str]:
    if not isinstance(features, list) or not features:
        yield f"{place}.features: must be a list of features, at least one"
        return
    seen = set()
    for number, feature in enumerate(features):
        name = feature.get("name") if isinstance(feature, Mapping) else None
        if not isinstance(name, str) or not name:
            yield f'{place}.features[{number}]: must be an object such as {{"name": "age"}}'
        elif name in seen:
            yield f"{place}.features[{number}].name: {name!r} stands twice"
        else:
            seen.add(name)


def _read_json(path: Path, problems: list[str]) -> dict[str, Any]:
    name = f"{path.parent.name}/{path.name}" if path.name == "manifest.json" else path.name
    try:
        found = read_json(path)
    except FileNotFoundError:
        problems.append(f"{name} does not exist in {path.parent}")
    except Unreadable as error:
        problems.append(f"{name} {error}")
    else:
        if isinstance(found, dict):
            return found
        problems.append(f"{name} must hold a JSON object")
    return {}


def sample_request(project: Path) -> bytes:
    """Return a request that fits the project's models: a file of samples/, or a record made of the
    manifest's features.

    Raises:
        ConfigError: there is neither a sample that fits nor a manifest.
    """
    samples = sorted((project / "samples").glob("*.json"))
    problems: list[str] = []
    manifest = read_manifest(Settings(project), problems) if (project / MANIFEST).is_file() else {}
    if problems:
        raise ConfigError(problems)
    features = {
        feature["name"]: feature
        for entry in manifest.get("models", {}).values()
        for feature in entry["features"]
    }
    for path in samples:
        try:
            sample = read_json(path)
        except Unreadable as error:
            raise ConfigError([f"{path.parent.name}/{path.name} {error}"]) from error
        instances = sample.get("instances", [sample]) if isinstance(sample, Mapping) else []
        fits = [isinstance(each, Mapping) and each.keys() == features.keys() for each in instances]
        if not features or fits and all(fits):
            return json.dumps(sample).encode()
    if not features:
        raise ConfigError(
            [f"there is no sample: samples/ holds no JSON file, and {MANIFEST} does not exist"]
        )
    return json.dumps(
        {name: _middle(feature.get("range")) for name, feature in features.items()}
    ).encode()


def _middle(span: Any) -> float:
    """Return the middle of a feature's range, or 0 where the manifest gives none."""
    if (
        not isinstance(span, list)
        or len(span) != 2
        or not all(isinstance(each, (int, float)) for each in span)
    ):
        return 0.0
    return float(f"{span[0] + (span[1] - span[0]) / 2:.6g}")


def placeholders(value: Any, path: str = "$") -> Iterator[tuple[str, str]]:
    """Yield (path, name) of each ${name} in a definition."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from placeholders(each, f"{path}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from placeholders(each, f"{path}[{number}]")
    elif isinstance(value, str):
        for name in _PLACEHOLDER.findall(value):
            yield path, name


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a definition in which each string "${name}" is replaced by the value of that name."""
    if isinstance(value, Mapping):
        return {key: fill(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, values) for each in value]
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return values[match[1]] if match else value


def _functions(definition: Any, problems: list[str]) -> Iterator[str]:
    """Yield each function that the workflow names, once, in its order."""
    seen = set()
    for path, name in placeholders(definition):
        if not path.endswith(".Resource"):
            # A comment may explain the placeholders; anywhere else one would never be filled.
            if not path.endswith(".Comment"):
                problems.append(
                    f"{WORKFLOW} {path}: ${{{name}}} may only be the Resource of a task"
                )
        elif not _NAME.fullmatch(name):
            problems.append(
                f"{WORKFLOW} {path}: {name!r} must be lower-case letters, digits and single "
                f"underscores"
            )
        elif name in _RESERVED:
            problems.append(
                f"{WORKFLOW} {path}: a function cannot be called {name}, which the service uses "
                f"itself"
            )
        elif name not in seen:
            seen.add(name)
            yield name
    if not seen and not problems:
        problems.append(
            f"{WORKFLOW} names no function; a task's Resource must be ${{name}} of a trained model"
        )


def _check_settings(settings: Settings, functions: Iterable[str]) -> Iterator[str]:
    known = tuple(functions)
    for name in settings.per_function:
        if name not in known:
            yield (
                f"setup.cfg [deployer:{name}]: {WORKFLOW} names no function {name}; it names "
                f"{', '.join(known)}"
            )
    for name in known:
        full = settings.function_name(name)
        if len(full) > _FUNCTION_NAME_LIMIT:
            yield (
                f"{WORKFLOW}: {name} makes the function name {full}, longer than Lambda's "
                f"{_FUNCTION_NAME_LIMIT}"
            )


def tasks(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield each Task state of a definition, at any depth."""
    if isinstance(value, Mapping):
        if value.get("Type") == "Task":
            yield value
        for each in value.values():
            yield from tasks(each)
    elif isinstance(value, list):
        for each in value:
            yield from tasks(each)


def _check_timeouts(settings: Settings, definition: Any) -> Iterator[str]:
    """HTTP integration > workflow > task > function, so that whoever waits outlives what it waits
    for (Sfn-29).
    """
    whole = definition.get("TimeoutSeconds")
    if not isinstance(whole, int) or not whole < INTEGRATION_TIMEOUT_S:
        yield (
            f"{WORKFLOW}: TimeoutSeconds is {whole}, but must be below the API's "
            f"{INTEGRATION_TIMEOUT_S}"
        )
        return
    for task in tasks(definition):
        match = _PLACEHOLDER.fullmatch(str(task.get("Resource")))
        if not match:
            continue
        own, name = task.get("TimeoutSeconds"), match[1]
        if not isinstance(own, int) or not own < whole:
            yield (
                f"{WORKFLOW}: the task of {name} has TimeoutSeconds {own}, but must be below "
                f"the workflow's {whole}"
            )
        elif not settings.function(name).timeout_s < own:
            yield (
                f"timeout_s of {name} is {settings.function(name).timeout_s}, but must be "
                f"below its task's {own}"
            )


def _models(
    settings: Settings, manifest: Mapping[str, Any], functions: Iterable[str], problems: list[str]
) -> Iterator[tuple[str, Model]]:
    described = manifest.get("models", {})
    for name in functions:
        if name not in described:
            known = ", ".join(described) or "no model"
            problems.append(
                f"{WORKFLOW} names ${{{name}}}, but {MANIFEST} has {known}: add it to train.py "
                f"and train again"
            )
            continue
        path = settings.project / "models" / f"{name}.joblib"
        entry = described[name]
        model = Model(
            path,
            str(entry.get("sha256")),
            tuple(each["name"] for each in entry.get("features", ())),
        )
        if not path.is_file():
            problems.append(
                f"models/{name}.joblib does not exist, but {MANIFEST} names it: train again: "
                f"{settings.train}"
            )
        elif hashlib.sha256(path.read_bytes()).hexdigest() != model.sha256:
            problems.append(
                f"models/{name}.joblib is not the file that {MANIFEST} describes: it was changed "
                f"or replaced after the "
                f"training; move it away, then train again: {settings.train}"
            )
        threads = entry.get("n_jobs", 1)
        if threads not in (None, 1):
            problems.append(
                f"models/{name}.joblib was saved with n_jobs={threads}; on Lambda a second "
                f"thread only makes a prediction "
                "slower: train.py must save it with n_jobs=1 (set_params after fit)"
            )
        size = sum(
            len(key) + len(value.encode())
            for key, value in model_environment(name, model, "", settings.bucket).items()
        )
        if size > _ENVIRONMENT_LIMIT:
            problems.append(
                f"the {len(model.features)} feature names of {name} make an environment of "
                f"{size} bytes; "
                f"Lambda's limit is {_ENVIRONMENT_LIMIT}: shorten the names"
            )
        yield name, model


def model_key(name: str, model: Model) -> str:
    return f"models/{name}/{model.sha256}.joblib"


def model_environment(name: str, model: Model, trained_with: str, bucket: str) -> dict[str, str]:
    """Return the variables by which the handler finds and checks its model (lambda_src/predict.py)."""
    return {
        "MODEL": name,
        "BUCKET": bucket,
        "KEY": model_key(name, model),
        "SHA256": model.sha256,
        "FEATURES": json.dumps(list(model.features), separators=(",", ":")),
        "SCIKIT_LEARN_VERSION": trained_with,
    }


def _images(
    settings: Settings, functions: Iterable[str], python: str, problems: list[str]
) -> tuple[dict[str, Context], dict[str, str]]:
    """Return the contexts by image key, and each function's image; lambda_src/<name>/ with a
    Dockerfile is its own.
    """
    source = settings.project / "lambda_src"
    images: dict[str, Context] = {}
    image_of: dict[str, str] = {}
    for name in functions:
        own = (source / name / "Dockerfile").is_file()
        image_of[name] = f"image/{name}" if own else "image"
        if image_of[name] in images:
            continue
        context = Context(source / name if own else source, NO_BASE, settings.architecture, python)
        try:
            images[image_of[name]] = replace(context, base=_base(settings, context))
        except BuildError as error:
            images[image_of[name]] = context
            problems.append(error.message)
    return images, image_of


def _base(settings: Settings, context: Context) -> str:
    """Return what FROM stands for, not pinned yet; every image must have a Dockerfile, those
    without a base too.
    """
    dockerfile, chosen = context.dockerfile, settings.base_image
    if chosen == NO_BASE:
        return NO_BASE
    if chosen and not dockerfile.takes_base:
        raise BuildError(
            f"base_image is {chosen}, but {dockerfile.path} has no ARG BASE before FROM to put "
            f"it in"
        )
    base = dockerfile.base(chosen or f"public.ecr.aws/lambda/python:{context.python}")
    reference = Reference.parse(base)
    named = re.match(r"[0-9]+\.[0-9]+", reference.tag)
    if reference.repository.endswith("/python") and named and named[0] != context.python:
        raise BuildError(
            f"{dockerfile.path} builds on {base}, but the models were trained with Python "
            f"{context.python}"
        )
    return base


def _check_images(images: Mapping[str, Context], libraries: Mapping[str, str]) -> Iterator[str]:
    """An image serves with the versions that trained, or a cold start would find out."""
    for context in images.values():
        if context.base == NO_BASE:
            continue
        from deployer.images.requirements import mismatches, target_environment

        environment = target_environment(context.python, context.architecture)
        for path in requirement_files(context):
            yield from mismatches(path, environment, libraries)


def pin_bases(settings: Settings, project: Project, *, write: bool, tell: Tell) -> Project:
    """Return the project with every base pinned by digest; the registry is asked only for what the
    lock file lacks.
    """
    lock = settings.project / "lambda_src" / LOCK_FILE
    images = {
        key: replace(context, base=pin_base(context.base, lock, write=write, tell=tell))
        for key, context in project.images.items()
    }
    return replace(project, images=images)
