"""The pictures of the terminal: all are there, hold what they should, and load nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from deployer.report.phases import CHECK, PROOF, READ, VERIFY
from docs.draw_terminal import DRAWN, PICTURES, THEMES

# Words that only this command shows; they change when its look does.
SHOWN = {
    "up": ["✓ function/* (3)", "up took", READ, CHECK, PROOF, VERIFY, "try it:", "next: python"],
    "plan": ["~ update function/linear_regression", "memory_mb: ", "Plan: 0 to create, "],
    "status": ["last hour", "linear_regression", "cold starts", "drift"],
    "invoke-trace": ["answered in", "queued", "handler", "cost $"],
}


def test_every_picture_is_drawn_and_none_is_left_over() -> None:
    names = {f"{name}{suffix}.svg" for name in DRAWN for suffix in THEMES}
    others = {"service.svg", "workflow.svg"}  # no terminals
    assert {path.name for path in PICTURES.iterdir()} == names | others
    assert SHOWN.keys() == DRAWN.keys()


@pytest.mark.parametrize("suffix", THEMES)
@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_holds_what_its_command_shows_and_loads_nothing(name: str, suffix: str) -> None:
    source = (PICTURES / f"{name}{suffix}.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(source)
    text = " ".join("".join(element.text or "" for element in root.iter()).split())
    text = re.sub(r"\s+", " ", text.replace("\xa0", " "))
    for words in ["$ python -m deployer", *SHOWN[name]]:
        assert words in text, f"{words!r} is gone: run python docs/draw_terminal.py"
    other = r"https?://(?!127\.0\.0\.1|www\.w3\.org|example\.com)|/tmp/|/home/"
    assert not re.search(other, source)
    assert not re.search("<script|@import|url\\((?!#)|href", source)
