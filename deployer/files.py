"""Reading the user's text files, whichever editor wrote them, and writing files of our own.

A file that cannot be read is reported in one line with advice. A file that another program wrote is
never overwritten.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from deployer.errors import ConfigError

DEEPEST = 100  # levels of a JSON document; a workflow of many nested Parallel states has thirty
_WIDE = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CODING = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")  # PEP 263


class Unreadable(Exception):
    """A file cannot be read; the message completes a sentence that begins with the file's name."""


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises:
        Unreadable: it cannot be read or decoded.
        FileNotFoundError
    """
    return _decode(_read(path))


def read_requirements_text(path: Path) -> str:
    """Return the text of a requirements file, decoded as pip decodes it.

    That is by its byte order mark, by PEP 263, as UTF-8, or else as Latin-1.
    """
    content = _read(path)
    if content.startswith((codecs.BOM_UTF8, *_WIDE)):
        encoding = (
            "utf-8-sig"
            if content.startswith(codecs.BOM_UTF8)
            else "utf-32"
            if content[2:4] == b"\0\0"
            else "utf-16"
        )
        encoding = "utf-32" if content.startswith(codecs.BOM_UTF32_BE) else encoding
        return _decode_as(content, encoding)
    declared = next(filter(None, map(_CODING.match, content.split(b"\n")[:2])), None)
    if declared:
        return _decode_as(content, declared[1].decode())
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_json(path: Path) -> Any:
    """Return the value in a JSON file.

    Values that Python accepts but JSON does not are refused: NaN, numbers beyond floats, half
    surrogate pairs, endless nesting.

    Raises:
        Unreadable: it cannot be read, or is not JSON.
        FileNotFoundError
    """
    text = read_text(path)
    try:
        value = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique
        )
        check_depth(value, DEEPEST)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise Unreadable(f"is nested more than {DEEPEST} levels deep") from error
    except UnicodeEncodeError as error:
        raise Unreadable(
            "holds half a surrogate pair such as \\ud800, which is no character"
        ) from error
    except ValueError as error:
        raise Unreadable(str(error)) from error
    return value


def read_object(folder: Path, name: str, problems: list[str]) -> dict[str, Any]:
    """Return the JSON object in a file; {} if there is none, with the reason added to `problems`.

    Args:
        name: the file's path within the folder, with forward slashes; a problem begins with it.
    """
    path = folder / name
    try:
        value = read_json(path)
    except FileNotFoundError:
        problems.append(f"{name} does not exist in {path.parent}")
    except Unreadable as error:
        problems.append(f"{name} {error}")
    else:
        if isinstance(value, dict):
            return value
        problems.append(f"{name} must hold a JSON object")
    return {}


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` at the end. On errors `path` stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}-", delete=False
    ) as stream:
        temporary = Path(stream.name)
        try:
            yield stream
            stream.flush()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise


def write_own(path: Path, text: str, is_ours: Callable[[str], bool], what: str) -> None:
    """Write a text file; overwrite only one that this tool wrote and nobody has changed since.

    Args:
        is_ours: tells whether a file with this text is such a file.
        what: names the content, such as "a plan".

    Raises:
        ConfigError: another file is there, or the folder does not exist.
    """
    other = "name another file"
    if not path.parent.is_dir():
        raise ConfigError([f"{path}: the folder {path.parent} does not exist"], other)
    if path.exists() or path.is_symlink():
        try:
            ours = path.is_file() and is_ours(read_text(path))
        except (Unreadable, FileNotFoundError):
            ours = False
        if not ours:
            problem = f"{path} exists and is not {what} as this command writes it; it is left alone"
            raise ConfigError([problem], other)
    with atomic_write(path) as stream:
        stream.write(text.encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error


def _decode(content: bytes) -> str:
    if content.startswith(_WIDE) or b"\0" in content[:4]:
        raise Unreadable("is in UTF-16 or UTF-32, as PowerShell's > writes it: save it as UTF-8")
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise Unreadable(f"line {line}: holds a NUL byte, which no text does")
    return _decode_as(content, "utf-8-sig")


def _decode_as(content: bytes, encoding: str) -> str:
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise Unreadable(f"names an encoding that Python has not: {encoding}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        wrong = content[error.start]
        raise Unreadable(
            f"line {line}: byte 0x{wrong:02x} is no {error.encoding.upper()}: save it as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice in an object: JSON's readers keep the last one silently."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has {twice!r} twice in one object")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"holds {text}, a number that is too large")
    return value


def check_depth(value: Any, deepest: int) -> None:
    """Raise RecursionError for a JSON value that is nested deeper; does not recurse itself."""
    level = [value]
    for _ in range(deepest):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise RecursionError
