"""Why a file or a model cannot be added."""

from __future__ import annotations


class Refused(Exception):
    """A model cannot be served; the message says why, `advice` what to do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice
