"""The forms of a workflow's picture: golden texts, escapes, and boxes that do not overlap."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.project.drawing import Mark, drawing, marked
from deployer.report.layout import Box, Edge, Size, layout
from deployer.report.marks import MARKS
from deployer.report.mermaid import mermaid
from deployer.report.svg import svg
from deployer.report.tree import tree_lines
from tests.support.golden import golden
from tests.unit.test_drawing import WORKFLOWS, every_workflow

GOLDEN = Path(__file__).parent / "golden"
MACHINE = drawing(WORKFLOWS["drawn"])  # with every kind of state, loops, and names to be escaped


@pytest.mark.parametrize("width", [120, 80, 40])
def test_the_tree(request: pytest.FixtureRequest, width: int) -> None:
    lines = list(tree_lines(MACHINE, width))
    assert all(line.cell_len <= width for line in lines)
    golden(request, GOLDEN / f"tree-{width}.txt", "".join(f"{line.plain}\n" for line in lines))


@every_workflow
@pytest.mark.parametrize("width", [120, 80, 40])
def test_names_in_a_tree_fold_and_are_never_cut(name: str, width: int) -> None:
    machine = drawing(WORKFLOWS[name])
    folded, whole = (
        re.sub(r"[│├└─\s]+", "", "".join(line.plain for line in tree_lines(machine, columns)))
        for columns in (width, 10_000)
    )
    assert folded == whole


def test_the_flowchart(request: pytest.FixtureRequest) -> None:
    text = mermaid(MACHINE)
    golden(request, GOLDEN / "workflow.mmd", f"{text}\n")
    ids = re.findall(r"^ *(?:subgraph )?(s\d+)[\[({]", text, re.MULTILINE)
    assert len(set(ids)) == len(ids) == 14
    assert set(re.findall(r"\bs\d+\b", text)) == set(ids), "every arrow joins two states"


@every_workflow
def test_the_svg_picture_is_sound_and_holds_every_name(name: str) -> None:
    machine = drawing(WORKFLOWS[name])
    text = svg(machine, "<workflow>")
    root = ElementTree.fromstring(text)
    shown = "".join(element.text or "" for element in root.iter())
    for state in machine.states:
        assert re.sub(r"\s", "", state.name) in re.sub(r"\s", "", shown)
    assert "NaN" not in text and "inf" not in text.lower().replace("info", "")


MARKED = marked(
    MACHINE,
    {
        state.name: Mark(kind, f"<{kind}>", 12.5, 250 if kind == "cold" else None)
        for state, kind in zip(MACHINE.every_state(), MARKS, strict=False)
    },
)


@pytest.mark.parametrize("width", [120, 40])
def test_what_happened_stands_in_the_tree_in_words(width: int) -> None:
    lines = list(tree_lines(MARKED, width))
    assert all(line.cell_len <= width for line in lines)
    shown = re.sub(r"[│├└─\s]+", "", "".join(line.plain for line in lines))
    for kind in MARKS:
        assert f"<{kind}>,12ms" in shown
    assert "<cold>,12ms,coldstart250ms" in shown


def test_what_happened_stands_in_the_flowchart_with_a_class_for_each_kind() -> None:
    text = mermaid(MARKED)
    for kind in MARKS:
        assert f"<br/>#60;{kind}#62;, 12 ms" in text
        (name,) = re.findall(rf"^    class (s\d+) {kind}$", text, re.MULTILINE)
        assert f"classDef {kind} fill:" in text and re.search(rf"\b{name}\b.*{kind}#62;", text)
    assert "classDef" not in mermaid(MACHINE)


def test_what_happened_stands_in_the_svg_picture_for_light_and_dark_pages() -> None:
    text = svg(MARKED, "request")
    root = ElementTree.fromstring(text)
    shown = "".join(element.text or "" for element in root.iter())
    classes = " ".join(element.get("class", "") for element in root.iter())
    for kind in MARKS:
        assert f"<{kind}>, 12 ms" in shown
        assert kind in classes and text.count(f".{kind} {{") == 2


def test_names_cannot_write_markup() -> None:
    evil = "</text><script>alert(1)</script>\x1b#quot;"
    machine = drawing(
        {"StartAt": evil, "States": {evil: {"Type": "Pass", "Comment": "", "End": True}}}
    )
    assert "<script>" not in svg(machine, evil) and "\x1b" not in svg(machine, evil)
    ElementTree.fromstring(svg(machine, evil))
    assert "<script>" not in mermaid(machine) and '#quot;"]' not in mermaid(machine)
    assert all(line.plain.isprintable() for line in tree_lines(machine, 80))


keys = st.integers(0, 7)
sizes = st.builds(Size, st.floats(20, 300), st.floats(20, 200))
edges = st.builds(Edge, keys, keys, st.none() | sizes)


def overlaps(one: Box, other: Box) -> bool:
    apart = 0.01  # what rounding may do
    return (
        min(one.right, other.right) - max(one.left, other.left) > apart
        and min(one.bottom, other.bottom) - max(one.top, other.top) > apart
    )


@given(st.lists(sizes, min_size=8, max_size=8), st.lists(edges, max_size=14))
def test_no_box_and_no_label_lies_on_another(boxes: list[Size], arrows: list[Edge]) -> None:
    places = layout(dict(enumerate(boxes)), arrows)
    labels = [route.label for route in places.routes if route.label]
    assert len(labels) == sum(edge.label is not None for edge in arrows)
    everything = [*places.boxes.values(), *labels]
    assert not any(overlaps(one, other) for one, other in combinations(everything, 2))
    assert all(box.left > -1 and box.right < places.size.width + 1 for box in everything)
    assert all(box.top > -1 and box.bottom < places.size.height + 1 for box in everything)
    for edge, route in zip(arrows, places.routes, strict=True):
        upper, lower = places.boxes[edge.source], places.boxes[edge.target]
        if edge.source != edge.target and not route.is_back:
            assert upper.bottom <= lower.top, "an arrow leads down"
