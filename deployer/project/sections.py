"""The sections of setup.cfg that hold settings."""

from __future__ import annotations

import configparser
import difflib
from collections.abc import Mapping
from pathlib import Path

from deployer.files import Unreadable, read_text

_LIKE = 0.86  # similarity above which a section is [deployer] misspelt; that of [deploy] is below


def read_sections(path: Path, section: str, problems: list[str]) -> dict[str, Mapping[str, str]]:
    """Return the sections of a service's settings by name: `section`, and those of functions."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(path), source=path.name)
    except Unreadable as error:
        problems.append(f"{path.name} {error}")
    except configparser.Error as error:
        problems.append(f"{path.name}: {' '.join(str(error).split())}")
        return {}  # the parser is left with half a file
    for name in parser.sections():
        kind, _, function = name.partition(":")
        alike = difflib.SequenceMatcher(None, kind.strip().lower(), section).ratio() > _LIKE
        if alike and (kind != section or function != function.strip()):
            meant = f"{section}:{function.strip()}" if function else section
            problems.append(f"setup.cfg [{name}]: did you mean [{meant}]?")
    return {name: parser[name] for name in parser.sections() if name.split(":")[0] == section}
