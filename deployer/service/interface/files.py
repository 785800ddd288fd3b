"""The files of documents: as text, and written so that no other file is overwritten."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.files import write_own
from deployer.hints import DISTRIBUTION

# A file says who wrote it, and the hash of its text with zeros in the hash's place. So it may be
# written again unless it was changed.
_WORDS = "written by python -m deployer {}, sha256:"
_ZEROS = "0" * 64
_NUMBER_OF_YAML_1_2 = re.compile(r"([-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|0o[0-7]+)\Z", re.IGNORECASE)


def mark(verb: str) -> str:
    """Return the mark that a text must hold once, before `write` fills its hash in."""
    return f"{_WORDS.format(verb)}{_ZEROS}"


def write(path: Path, text: str, verb: str, what: str) -> None:
    """Write a text that holds its mark.

    Raises:
        ConfigError: a file is there that this verb did not write, or that was changed since.
    """
    write_own(path, signed(text, verb), lambda written: _is_own(written, verb), what)


def signed(text: str, verb: str) -> str:
    """Return a text with the hash in its mark."""
    return text.replace(mark(verb), f"{_WORDS.format(verb)}{_hash(text)}")


def _is_own(text: str, verb: str) -> bool:
    marks = list(re.finditer(re.escape(_WORDS.format(verb)) + "([0-9a-f]{64})", text))
    if len(marks) != 1:
        return False
    (match,) = marks
    return match[1] == _hash(text[: match.start(1)] + _ZEROS + text[match.end(1) :])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def document_text(document: Mapping[str, Any], form: str) -> str:
    """Return a document as JSON or as YAML.

    Raises:
        ConfigError: PyYAML is not installed.
    """
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        import yaml
    except ImportError as error:
        raise ConfigError(
            ["YAML is written by PyYAML, which is not installed"],
            f"python -m pip install '{DISTRIBUTION}[yaml]', or --format json",
        ) from error

    # An anchor saves a line, and costs a reader more.
    dumper: Any = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda self, data: True})
    # PyYAML writes for readers of YAML 1.1, to whom such a text is no number.
    dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER_OF_YAML_1_2, None)
    text: str = yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
