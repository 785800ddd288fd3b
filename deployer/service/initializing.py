"""`init` without a terminal: write a new project, and bring one up to date."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deployer.errors import ConfigError
from deployer.project.folder import RECORD
from deployer.project.initial import (
    Record,
    digest,
    digests,
    initial_files,
    read_record,
)
from deployer.service.adding import locked

_OTHER = b"\0no plain file"  # content that no file of the template has
_LISTED = 3  # files of a folder that is not empty


@dataclass(frozen=True)
class Written:
    """What `init` did.

    Args:
        files: names of all files of the new project.
        kept: those that somebody else wrote meanwhile, and which are left as they are.
    """

    record: Record
    files: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A file that `init --update` writes; `before` is None for a new one."""

    name: str
    before: bytes | None
    after: bytes


@dataclass(frozen=True)
class Update:
    """What another version of the deployer changes in a project.

    Args:
        changes: of files that the user has not touched.
        touched: files that differ from both their former and their new content.
        deleted: files that the user has deleted, and whose new content is another.
        obsolete: files that new projects no longer get; they stay.
        record: the record once the changes are written.
    """

    changes: tuple[Change, ...]
    touched: tuple[str, ...]
    deleted: tuple[str, ...]
    obsolete: tuple[str, ...]
    before: Record
    record: Record


def initialize(folder: Path, example: str, settings: Mapping[str, str], version: str) -> Written:
    """Write a new project into a new or an empty folder; finish one that was interrupted.

    Nothing is overwritten: each file is created exclusively.

    Raises:
        ConfigError: the folder is not empty, or is a project already.
    """
    files = initial_files(example, settings, version)
    record = Record(version, example, settings, digests(files), unfinished=True)
    _make(folder)
    with locked(folder):
        resumed = _interrupted(folder, record)
        if not resumed:
            _refuse_occupied(folder, set(files))
            _replace(folder / RECORD, record.text().encode())
        kept = [
            name
            for name, content in files.items()
            if not _create(folder, name, content, resumed=resumed)
        ]
        record = replace(record, unfinished=False)
        _replace(folder / RECORD, record.text().encode())
    return Written(record, tuple(files), tuple(kept))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(
            [f"{folder} cannot be made: it is a file or a link to nothing, or lies in one"],
            "name a new or an empty folder",
        ) from error


def _interrupted(folder: Path, record: Record) -> bool:
    """Tell whether a folder holds the same project half-written.

    Raises:
        ConfigError: it is a project, or another one that is half-written.
    """
    known = read_record(folder)
    if known is None:
        return False
    if not known.unfinished:
        raise ConfigError(
            [f"{folder} is a project already, of the example {known.example}"],
            "to bring it up to date: python -m deployer init --update",
        )
    if replace(record, files=known.files) != known:
        raise ConfigError(
            [
                f"in {folder}, `init` of the example {known.example} by version {known.version} "
                "was interrupted"
            ],
            "delete what it has written, or finish it with the same options and version",
        )
    return True


def _refuse_occupied(folder: Path, names: set[str]) -> None:
    """Raise ConfigError unless the folder is empty, hidden entries of other programs aside."""
    own = {name.partition("/")[0] for name in names}
    entries = sorted(path.name for path in folder.iterdir())
    others = [name for name in entries if not name.startswith(".") or name in own]
    if others:
        more = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
        raise ConfigError(
            [f"{folder} is not empty: it holds {', '.join(others[:_LISTED])}{more}"],
            "name a new or an empty folder",
        )


def _create(folder: Path, name: str, content: bytes, *, resumed: bool) -> bool:
    """Create a file with this content; return whether it has it.

    Args:
        resumed: a file that holds the content's beginning is completed: a run that was killed left
            it. One of any other content stays.
    """
    path = folder / name
    if not _own_folders(folder, name):
        return False
    try:
        with path.open("xb") as file:
            file.write(content)
        return True
    except FileExistsError:
        if path.is_symlink() or not path.is_file():
            return False
        there = path.read_bytes()
        if resumed and content.startswith(there) and there != content:
            with path.open("ab") as file:
                file.write(content[len(there) :])
            return True
        return there == content


def _own_folders(folder: Path, name: str) -> bool:
    """Make the folders above a file; False if a link or a file is in their place."""
    path = folder
    for part in Path(name).parts[:-1]:
        path /= part
        if path.is_symlink():
            return False
        try:
            path.mkdir(exist_ok=True)
        except FileExistsError:
            return False
    return True


def _replace(path: Path, content: bytes) -> None:
    """Write a file of `init`'s own whole or not at all."""
    aside = path.with_name(f".{path.name.lstrip('.')}.writing")
    aside.unlink(missing_ok=True)
    try:
        with aside.open("xb") as file:
            file.write(content)
        if path.exists():
            aside.chmod(path.stat().st_mode & 0o7777)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def plan_update(folder: Path, version: str) -> Update:
    """Return what this version of the deployer would change; nothing is written.

    Raises:
        ConfigError: `init` did not write the project, or a newer version did.
    """
    record = read_record(folder)
    if record is None:
        raise ConfigError(
            [f"{folder} has no {RECORD}: `init` did not write it, or the record was deleted"],
            "to bring it up to date by hand, compare it with a new project: "
            "python -m deployer init --help",
        )
    if record.unfinished:
        raise ConfigError(
            [f"in {folder}, `init` was interrupted"],
            f"finish it first: python -m deployer init --example {record.example}",
        )
    if _numbers(version) < _numbers(record.version):
        raise ConfigError(
            [f"deployer {record.version} wrote this project, and this is the older {version}"],
            "update the deployer",
        )
    files = initial_files(record.example, record.settings, version)
    new = digests(files)
    current = {name: _content(folder, name) for name in files}
    states = {name: _state(record.files.get(name), current[name], new[name]) for name in files}
    named = {
        state: tuple(name for name in files if states[name] == state)
        for state in ("change", "touched", "deleted")
    }
    return Update(
        changes=tuple(Change(name, current[name], files[name]) for name in named["change"]),
        touched=named["touched"],
        deleted=named["deleted"],
        obsolete=tuple(
            name for name in sorted({*record.files} - {*files}) if (folder / name).exists()
        ),
        before=record,
        record=replace(record, version=version, files=new),
    )


def _state(written: str | None, current: bytes | None, new: str) -> str:
    """Return what is to be said of a file, "" if nothing.

    Args:
        written: sha256 of what `init` wrote; None for a file that the template did not have.
        new: sha256 of what it would write now.
    """
    if current is None and written is None:
        return "change"
    if current is None:
        return "" if written == new else "deleted"
    if digest(current) == new or written == new:
        return ""
    return "change" if digest(current) == written else "touched"


def _content(folder: Path, name: str) -> bytes | None:
    """Return a file's content, None if there is none, _OTHER of a link, a folder or the like."""
    path = folder
    for part in Path(name).parts:
        path /= part
        if path.is_symlink():
            return _OTHER
    if not path.exists():
        return None
    return path.read_bytes() if path.is_file() else _OTHER


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def perform_update(folder: Path, update: Update) -> list[str]:
    """Write an update; return the names of files that somebody changed meanwhile, which stay."""
    kept = []
    with locked(folder):
        files = dict(update.record.files)
        for change in update.changes:
            written = change.before is not None and _content(folder, change.name) == change.before
            if written:
                _replace(folder / change.name, change.after)
            elif change.before is None:
                written = _create(folder, change.name, change.after, resumed=False)
            if not written:
                files.pop(change.name)
                kept.append(change.name)
        _replace(folder / RECORD, replace(update.record, files=files).text().encode())
    return kept
