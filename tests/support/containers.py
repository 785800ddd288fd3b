"""Servers and programs that tests of containers need, and waiting for them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
import requests


def unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {reason}")
    pytest.skip(reason)


@dataclass(frozen=True)
class Registry:
    """A real registry: `host` is 127.0.0.1:PORT."""

    host: str
    folder: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}/v2"


def wait_for(url: str, told: Callable[[], str] = str) -> None:
    """Return once a server answers at `url`; fail after 30 s, with the text that `told` returns."""
    for _ in range(300):
        try:
            requests.get(url, timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"nothing answers at {url}\n{told()}")
