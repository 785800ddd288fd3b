"""The files of a new project, and the record of them that it keeps.

The record, RECORD, holds the version of the deployer, the example, and the sha256 of each file as
it was written. `init --update` tells by it which files the user has not touched.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from deployer.errors import ConfigError
from deployer.files import Unreadable, read_json
from deployer.project import branches, template
from deployer.project.folder import RECORD
from deployer.project.settings import SETTINGS
from deployer.project.workflow import WORKFLOW

CHOSEN = ("service", "stage", "region")  # settings that `init` writes into setup.cfg
_BRANCHES = {"churn": "churn", "text": "desk", "minimal": "model"}  # the model of each workflow
_LONGEST_SERVICE = 24


@dataclass(frozen=True)
class Record:
    """What `init` wrote.

    Args:
        settings: those of CHOSEN that setup.cfg got.
        files: sha256 by name.
        unfinished: whether `init` was interrupted before it had written all of them.
    """

    version: str
    example: str
    settings: Mapping[str, str]
    files: Mapping[str, str]
    unfinished: bool = False

    def text(self) -> str:
        comment = "Written by `init` of the deployer. Commit it: `init --update` reads it."
        members = {name: value for name, value in asdict(self).items() if value is not False}
        return json.dumps({"comment": comment, **members}, indent=2) + "\n"


def initial_files(example: str, settings: Mapping[str, str], version: str) -> dict[str, bytes]:
    """Return the content of each file of a new project, by its name with forward slashes.

    Its CI installs this version of the deployer in this version of Python, as libraries and so the
    models differ between versions of it.
    """
    source = template.source()
    own = source / "examples" / example
    files = {
        **_tree(source, "lambda_src"),
        **_tree(source / "examples" / template.COMMON),
        **_tree(own),
    }
    if example in _BRANCHES:
        workflow = branches.with_branch(branches.new_workflow(), _BRANCHES[example])
        files[WORKFLOW] = workflow.encode()
    else:  # the project at the top level
        for name in template.NAMES:
            files |= _tree(source, name)
    config = template.settings_of(files["setup.cfg"].decode())
    files["setup.cfg"] = with_settings(config, settings).encode()
    python = ".".join(map(str, sys.version_info[:2]))
    return {
        name: content.replace(b"==VERSION", f"=={version}".encode()).replace(
            b'"PYTHON"', f'"{python}"'.encode()
        )
        if name.startswith(".github/")
        else content
        for name, content in sorted(files.items())
    }


def _tree(root: Path, name: str = "") -> dict[str, bytes]:
    """Return the files under a folder's member, or the whole folder, by name within the folder."""
    top = root / name
    paths = [top] if top.is_file() else sorted(top.rglob("*"))
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and not _generated(path.relative_to(root))
    }


def _generated(path: Path) -> bool:
    return any(fnmatch(part, glob) for part in path.parts for glob in template.GENERATED)


def with_settings(text: str, settings: Mapping[str, str]) -> str:
    """Return the text of a [deployer] section with these settings in place of its own."""
    for name, value in settings.items():
        line = f"{name} = {value}"
        text, count = re.subn(rf"^{name} = .*$", line, text, flags=re.MULTILINE)
        text = text if count else f"{text.rstrip()}\n{line}\n"
    return text


def refuse_wrong(settings: Mapping[str, str]) -> None:
    """Raise ConfigError for values that are none of their settings'."""
    problems = []
    for name, value in settings.items():
        try:
            SETTINGS[name].parse(value)
        except ValueError as error:
            problems.append(f"--{name}: {value!r} {error}")
    if problems:
        raise ConfigError(problems)


def service_name(folder: Path, example: str) -> str:
    """Return a name of a service made of a folder's name; of the example's, if that makes none.

    Two projects in one account must not share it.
    """
    plain = unicodedata.normalize("NFKD", folder.name).encode("ascii", "ignore").decode().lower()
    name = re.sub("[^a-z0-9]+", "-", plain).lstrip("-0123456789")
    name = name[:_LONGEST_SERVICE].strip("-")
    try:
        SETTINGS["service"].parse(name)
    except ValueError:
        return example
    return name


def read_record(folder: Path) -> Record | None:
    """Return a project's record; None if it has none.

    Raises:
        ConfigError: the record cannot be used.
    """
    advice = f"restore {RECORD}, from version control or as `init` wrote it"
    try:
        value = read_json(folder / RECORD)
        members = {name: value[name] for name in ("version", "example", "settings", "files")}
        record = Record(**members, unfinished=value.get("unfinished") is True)
        texts = {**record.settings, **record.files}
        if record.example not in template.EXAMPLES or not set(record.settings) <= set(CHOSEN):
            raise ConfigError([f"{RECORD} names an example or a setting that is unknown"], advice)
        if not all(map(_inside, record.files)) or not _are_texts(record.version, *texts.values()):
            raise ConfigError([f"{RECORD} is damaged"], advice)
    except FileNotFoundError:
        return None
    except Unreadable as error:
        raise ConfigError([f"{RECORD} {error}"], advice) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError([f"{RECORD} is damaged"], advice) from error
    return record


def _inside(name: str) -> bool:
    """Tell whether a file's name stays within the project."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: digest(content) for name, content in files.items()}
