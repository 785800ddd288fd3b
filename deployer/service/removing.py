"""`remove` without a terminal: take models out of the project again, whatever part there is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.files import read_object
from deployer.project import branches, json_text
from deployer.project.manifest import MANIFEST, read_manifest
from deployer.project.workflow import WORKFLOW
from deployer.service.adding import Write, added, digest


@dataclass
class Removal:
    """All that `remove` changes.

    Args:
        parts: lines such as "models/churn.joblib: deleted".
        remarks: what stays, and why.
    """

    parts: list[str]
    remarks: list[str]
    writes: list[Write]


def plan_removal(project: Path, names: Iterable[str]) -> Removal:
    """Return all that is to be changed; nothing is yet.

    Raises:
        ConfigError: the manifest or the workflow cannot be read.
    """
    problems: list[str] = []
    files = {name: (project / name).exists() for name in (MANIFEST, WORKFLOW)}
    manifest = read_manifest(project, problems) if files[MANIFEST] else {}
    if files[WORKFLOW]:
        read_object(project, WORKFLOW, problems)
    if problems:
        raise ConfigError(problems)
    texts = {name: (project / name).read_bytes().decode() for name, there in files.items() if there}
    removal = Removal([], [], [])
    names = list(dict.fromkeys(names))
    for name in names:
        entry = manifest.get("models", {}).get(name)
        if WORKFLOW in texts:
            texts[WORKFLOW] = _without_branch(texts[WORKFLOW], name, removal)
        _plan_files(project, name, entry, removal)
        if entry is not None:
            texts[MANIFEST] = json_text.cut(texts[MANIFEST], ["models", name])
            removal.parts.append(f"{MANIFEST}: the entry of {name}")
    removal.remarks += _lines_left(project, manifest, set(names))
    # The manifest comes last: it says which files `add` wrote.
    for file in (WORKFLOW, MANIFEST):
        if file in texts:
            path = (project / file).resolve()
            write = Write(path, file, texts[file].encode())
            removal.writes.insert(0 if file == WORKFLOW else len(removal.writes), write)
    return removal


def _lines_left(project: Path, manifest: Mapping[str, Any], names: set[str]) -> Iterator[str]:
    """Yield a remark on the requirements that only the removed models need."""
    models = manifest.get("models", {})
    kept = {package for name in models if name not in names for package in _packages(models, name)}
    for name in sorted(names & models.keys()):
        own = project / "lambda_src" / name / "requirements.txt"
        shared = project / "lambda_src" / "requirements.txt"
        if own.is_file():
            yield f"lambda_src/{name}/ stays: delete it if no function needs it"
            continue
        text = shared.read_text(encoding="utf-8", errors="replace") if shared.is_file() else ""
        unneeded = [
            package
            for package in _packages(models, name)
            if package not in kept and f"{package}==" in text
        ]
        if unneeded:
            yield (
                f"lambda_src/requirements.txt still names {', '.join(unneeded)}, which no other "
                "model needs: delete the lines, and those of what they need"
            )


def _packages(models: Mapping[str, Any], name: str) -> Iterable[str]:
    packages: Iterable[str] = models[name].get("packages", {})
    return packages


def _without_branch(text: str, name: str, removal: Removal) -> str:
    after = branches.without_branches(text, name)
    if after != text:
        removal.parts.append(f"{WORKFLOW}: the branch of {name}")
    definition: Any = json.loads(after.lstrip("\ufeff"))
    if branches.names_function(definition, name):
        raise ConfigError(
            [f"{WORKFLOW} names ${{{name}}} outside of a branch of its own"],
            "take it out by hand first; nothing was changed",
        )
    return after


def _plan_files(
    project: Path, name: str, entry: Mapping[str, Any] | None, removal: Removal
) -> None:
    """Plan to delete the files that `add` wrote, if they are unchanged."""
    source = entry["source"] if entry is not None and added(entry) else {}
    ours = entry is not None and source and source.get("wrote") is not False
    wrote = {
        f"models/{name}.joblib": entry["sha256"] if entry is not None and ours else None,
        f"samples/{name}.json": source.get("sample"),
    }
    for file, sha256 in wrote.items():
        path = project / file
        if not path.exists():
            continue
        if sha256 is None:
            removal.remarks.append(f"{file} stays: `add` did not write it")
        elif digest(path) != sha256:
            removal.remarks.append(f"{file} stays: it was changed since `add` wrote it")
        else:
            removal.parts.append(f"{file}, which `add` wrote")
            removal.writes.append(Write(path.resolve(), file, None))
    config = project / "setup.cfg"
    if config.is_file() and f"[deployer:{name}]" in config.read_text(encoding="utf-8"):
        removal.remarks.append(f"setup.cfg still has the section [deployer:{name}]: delete it")
