"""How a picture of a workflow shows what happened in its states: words, and colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployer.report.values import duration_text, printable

if TYPE_CHECKING:
    from deployer.project.drawing import Mark


@dataclass(frozen=True)
class Look:
    """The style on a terminal, and the colours of fill and line on a light and a dark page."""

    style: str
    light: tuple[str, str]
    dark: tuple[str, str]
    dashed: bool = False


_GREY = (("#f6f8fa", "#818b98"), ("#151b23", "#656c76"))
MARKS = {
    "answered": Look("green", ("#dafbe1", "#1a7f37"), ("#04260f", "#3fb950")),
    "cold": Look("blue", ("#ddf4ff", "#0969da"), ("#0c2d6b", "#4493f8")),
    "retried": Look("yellow", ("#fff8c5", "#9a6700"), ("#3b2300", "#d29922")),
    "failed": Look("red", ("#ffebe9", "#cf222e"), ("#490202", "#f85149")),
    "passed": Look("default", ("#ffffff", "#59636e"), ("#151b23", "#9198a1")),
    "skipped": Look("dim", *_GREY),
    "unreached": Look("dim", *_GREY, dashed=True),
    "unknown": Look("dim", *_GREY, dashed=True),
}


def mark_text(mark: Mark) -> str:
    """Return what happened in words, so that no colour is needed."""
    parts = [printable(mark.words)]
    if mark.milliseconds is not None:
        parts.append(duration_text(mark.milliseconds))
    if mark.init_ms is not None:
        parts.append(f"cold start {duration_text(mark.init_ms)}")
    return ", ".join(parts)
