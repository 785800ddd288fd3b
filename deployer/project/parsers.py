"""Parsers of settings: each takes a text, and raises ValueError with what it must be."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Callable, Iterable, Iterator

# Tags (GEN-16): what the strictest of the services takes. A tag's own `=` would end its key here.
_TAG_KEY, _TAG_VALUE = r"[A-Za-z0-9+\-._:/]{1,128}", r"[A-Za-z0-9+\-._:/= ]{0,256}"
MOST_TAGS = 46  # AWS takes 50 on a resource; four are this tool's
# Variables of a function (Lambda-38): the pattern is that of Lambda's model.
_VARIABLE = r"[A-Za-z][A-Za-z0-9_]+"
_LAMBDAS_OWN = ("AWS_", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")
# lambda_src/predict.py reads these; project.models sets them.
HANDLERS_OWN = (
    "MODEL", "BUCKET", "KEY", "SHA256", "SIGNATURE_KEY", "SIGNATURE_SHA256", "LOG_INPUTS",
    "LOG_LEVEL",
)  # fmt: skip
_NO_SHELL = "&& joins commands, and a script of your own may do all else"
BUILDERS = ("auto", "docker", "direct")
# What CloudWatch Logs accepts (Logs-2).
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731,
    1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


class WrongPart(ValueError):
    """One part of a value is wrong; the message names it, so the whole value need not be shown."""


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]+", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def whole_or_nothing(low: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < low:
            raise ValueError(f"must be a whole number from {low} to 999999, or nothing")
        return int(text)

    return parse


def pattern(expression: str, description: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(expression, text):
            raise ValueError(f"must be {description}")
        return text

    return parse


def one_of(*values: str) -> Callable[[str], str]:
    *first, last = values

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be {', '.join(first)} or {last}")
        return text

    return parse


stage = pattern(
    r"(?=.{1,12}$)[a-z0-9](?:-?[a-z0-9])*", "1 to 12 lower-case letters, digits and single dashes"
)


def boolean(text: str) -> bool:
    known = configparser.ConfigParser.BOOLEAN_STATES
    if text.lower() not in known:
        raise ValueError("must be yes or no")
    return known[text.lower()]


def retention(text: str) -> int | None:
    if text == "never":
        return None
    if text not in map(str, RETENTION_DAYS):
        raise ValueError(f"must be never or one of {', '.join(map(str, RETENTION_DAYS))}")
    return int(text)


def origins(text: str) -> tuple[str, ...]:
    urls = tuple(text.split())
    if not all(re.fullmatch(r"\*|https?://[^/\s'\"$#\\]+", url) for url in urls):
        raise ValueError(
            "must be origins such as https://example.com, separated by spaces, or *, or nothing"
        )
    return urls


def header_names(text: str) -> tuple[str, ...]:
    names = text.lower().split()
    if any(re.fullmatch("[a-z0-9_-]+", name) is None for name in names):
        raise ValueError("must be names of headers such as x-request-id, separated by spaces")
    return tuple(dict.fromkeys(names))


def words(most: int, longest: int) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(text.split()))
        if len(found) > most or any(len(word) > longest for word in found):
            raise ValueError(
                f"must be at most {most} words of at most {longest} characters, separated by spaces"
            )
        return found

    return parse


def scopes(text: str) -> tuple[str, ...]:
    # RFC 6749, 3.3: what a scope may contain.
    if re.search(r"[^\x20-\x7e]|[\"\\]", text):
        raise ValueError("must be scopes such as predict, separated by spaces, or nothing")
    return words(10, 64)(text)


def issuer(text: str) -> str | None:
    """Parse an issuer: an https URL; on this machine http will do, as the local AWS takes it."""
    loopback = r"http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"
    if text and not re.fullmatch(rf"(https://[^/\s?#@]+|{loopback})(/[^\s?#]*)?", text):
        raise ValueError("must be a URL such as https://login.example.com/, or nothing")
    return text or None


def quota(text: str) -> str | None:
    if not text:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,9}) per (day|week|month)", text)
    if match is None or int(match[1]) >= 2**31:
        raise ValueError("must be a number and a period such as 1000 per day, or nothing")
    return text


def tags(text: str) -> dict[str, str]:
    """Parse tags: key=value, separated by commas or lines."""
    found = _pairs(re.split(r"[,\n]", text), "a tag must be key=value, such as team=ml")
    for key, value in found.items():
        if key.lower().startswith(("aws:", "deployer:")):
            owner = "AWS" if key.lower().startswith("aws:") else "this tool"
            raise WrongPart(f"{key}: names that begin with {key.partition(':')[0]}: are {owner}'s")
        if not re.fullmatch(_TAG_KEY, key):
            raise WrongPart(
                f"{key!r}: the name of a tag must be 1 to 128 letters, digits and + - . _ : / "
                "(no service takes more than all others)"  # GEN-16
            )
        if not re.fullmatch(_TAG_VALUE, value):
            raise WrongPart(
                f"{key}={value}: the value of a tag must be at most 256 letters, digits, spaces "
                "and + - = . _ : / (no service takes more than all others)"  # GEN-16
            )
    return found


def variables(text: str) -> dict[str, str]:
    """Parse environment variables: a line KEY=value for each. Quotes belong to the value."""
    found = _pairs(text.splitlines(), "a variable must be a line KEY=value")
    for name in found:
        if name.upper().startswith(_LAMBDAS_OWN):
            raise WrongPart(f"{name} is Lambda's own, which sets it itself")
        if name in HANDLERS_OWN:
            raise WrongPart(f"{name} is the handler's own, which this tool sets")
        if name == "FAST_PATHS":
            raise WrongPart("FAST_PATHS is set in the Dockerfile: the image is checked with it")
        if not re.fullmatch(_VARIABLE, name):
            raise WrongPart(
                f"{name!r}: a name must be two or more letters, digits and _, beginning with a "
                "letter"  # Lambda-38
            )
    return found


def _pairs(parts: Iterable[str], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in _split(parts, form):
        if key in found:
            raise WrongPart(f"{key} is there twice")
        found[key] = value
    return found


def _split(parts: Iterable[str], form: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, map(str.strip, parts)):
        key, equals, value = part.partition("=")
        if not equals:
            # It may be the rest of a secret.
            shown = key if len(key) <= 20 else f"{key[:20]}..."
            raise WrongPart(f"{shown!r}: {form}")
        yield key.rstrip(), value.lstrip()


def image(text: str) -> str | None:
    if text and (text == "scratch" or not re.fullmatch(r"[a-z0-9][\w./:@-]*", text)):
        raise ValueError("must be an image such as public.ecr.aws/lambda/python:3.12, or nothing")
    return text or None


def command(text: str) -> str:
    if not all(train_commands(text)):
        raise ValueError("must be a command such as python train.py, or several with && between")
    return text


def train_commands(text: str) -> list[list[str]]:
    """Return the commands of the setting `train`, each as its words; && stands between them.

    No shell runs them. What only a shell understands would be an argument of the first program,
    and the program behind it would not run.

    Raises:
        ValueError: a quote is not closed, or another character is one of a shell's.
    """
    variable = re.search(r"[$`]\w?", re.sub(r"'[^']*'", "", text))
    if variable:
        raise ValueError(f"has {variable[0]}, which only a shell understands; {_NO_SHELL}")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word == "&&":
            commands.append([])
        elif not word.strip("();<>|&"):
            raise ValueError(f"has {word}, which only a shell understands; {_NO_SHELL}")
        else:
            commands[-1].append(word)
    return commands


def topic(text: str) -> str | None:
    if text.startswith("arn:") and text.endswith(".fifo"):
        raise ValueError("must be a standard topic: CloudWatch's alarms do not go to FIFO topics")
    if text and not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w-]{1,256}", text):
        raise ValueError("must be the ARN of an SNS topic, or nothing")
    return text or None


def email(text: str) -> str | None:
    if text and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise ValueError("must be an address such as ops@example.com, or nothing")
    return text or None


def optional_arn(text: str) -> str | None:
    if text and not re.fullmatch(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/\S+", text):
        raise ValueError("must be the ARN of an IAM policy, or nothing")
    return text or None
