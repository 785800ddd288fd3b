"""Parsers of settings: each takes a text, and raises ValueError with what it must be."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Callable

# What CloudWatch Logs accepts (Logs-2).
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731,
    1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


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

    Raises:
        ValueError: a quote is not closed.
    """
    commands: list[list[str]] = [[]]
    for word in shlex.split(text):
        if word == "&&":
            commands.append([])
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
