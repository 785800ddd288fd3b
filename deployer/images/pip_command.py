"""Parsing `RUN pip install` for the direct builder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from deployer.images.dockerfile import NEEDS_ENGINE, Instruction

_COMMAND = re.compile(r"(?:python[0-9.]* -m )?pip[0-9.]* install ")
_FILE_OPTIONS = ("-r", "--requirement")
_TARGET_OPTIONS = ("-t", "--target")
# These do not change the image, because every requirement must be pinned.
_FLAGS = {
    "--no-cache-dir",
    "--no-compile",
    "--quiet",
    "-q",
    "--disable-pip-version-check",
    "--only-binary=:all:",
    "--root-user-action=ignore",
    "--upgrade",
    "-U",
}
# Text that a shell treats otherwise than shlex does: escapes, command substitution, $ in quotes.
_SHELL_SYNTAX = re.compile(r"[\\`]|'[^']*\$")
_FOLDER = re.compile(r"[\w./+-]+")


@dataclass(frozen=True)
class PipInstall:
    """A parsed `pip install`.

    Attributes:
        files: requirement files, as the command names them.
        target: the folder of --target, None without the option.
        no_deps: whether packages that others need are left out.
    """

    files: tuple[str, ...]
    target: str | None
    no_deps: bool = False


def parse_pip_install(instruction: Instruction, environment: Mapping[str, str]) -> PipInstall:
    """Parse a RUN instruction.

    Args:
        environment: variables of the shell that would run it.

    Raises:
        BuildError: it is another command, or has unsupported options.
    """
    match = _COMMAND.match(instruction.argument)
    if not match:
        raise instruction.refuse("RUN is understood for pip install -r alone", NEEDS_ENGINE)
    words = iter(_words(instruction, instruction.argument[match.end() :], environment))
    files: list[str] = []
    target: str | None = None
    no_deps = False
    for word in words:
        option, value = _split(word)
        if option in _FILE_OPTIONS:
            files.append(next(words, "") if value is None else value)
        elif option in _TARGET_OPTIONS:
            target = next(words, "") if value is None else value
            if not _FOLDER.fullmatch(target):
                raise instruction.refuse(f"{option} needs a folder", NEEDS_ENGINE)
        elif word == "--no-deps":
            no_deps = True
        elif word not in _FLAGS:
            raise instruction.refuse(f"{word} is not understood without an engine", NEEDS_ENGINE)
    if not files:
        raise instruction.refuse("pip install is understood with -r FILE alone", NEEDS_ENGINE)
    return PipInstall(tuple(files), target, no_deps)


def _words(instruction: Instruction, text: str, environment: Mapping[str, str]) -> list[str]:
    """Split text as a shell does. Operators such as && and > become words of their own."""
    if _SHELL_SYNTAX.search(text):
        problem = "this shell syntax is not understood without an engine"
        raise instruction.refuse(problem, NEEDS_ENGINE)
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return [instruction.expand(word, environment) for word in lexer]
    except ValueError as error:
        raise instruction.refuse(str(error)) from error


def _split(word: str) -> tuple[str, str | None]:
    """Split --option=value and -ovalue; the value is None if it is the next word."""
    if word.startswith("--"):
        option, equals, value = word.partition("=")
        return option, value if equals else None
    return word[:2], word[2:] or None
