"""A workflow as an SVG picture, for light and dark pages."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rich.cells import cell_len

from deployer.project.drawing import Arrow, Machine, State
from deployer.report.layout import Box, Edge, Layout, Route, Size, layout
from deployer.report.marks import MARKS, mark_text
from deployer.report.values import printable

_CHAR = 7.4  # width of a character of the names
_SMALL = 6.4  # of details and labels
_LINE = 17.0
_PAD = 12.0
_FOLD = 30  # characters of a line in a box or label
_WIDEST = 1400.0  # of the branches that stand side by side
_START = "\0start"  # no name of a state has this character
_STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .box { fill: #ffffff; stroke: #59636e; stroke-width: 1.3; }
  .Task { fill: #ddf4ff; stroke: #0969da; }
  .Choice { fill: #fff8c5; stroke: #9a6700; }
  .Fail { fill: #ffebe9; stroke: #cf222e; }
  .Succeed, .start { fill: #dafbe1; stroke: #1a7f37; }
  .group { fill: #818b981a; stroke: #818b98; stroke-dasharray: 5 3; }
  .page { fill: #ffffff; }
  .arrow { fill: none; stroke: #59636e; stroke-width: 1.3; }
  .error { stroke: #cf222e; stroke-dasharray: 5 3; }
  .head { fill: #59636e; } .errorhead { fill: #cf222e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .small { fill: #9198a1; }
    .page { fill: #0d1117; }
    .box { fill: #151b23; stroke: #9198a1; }
    .Task { fill: #0c2d6b; stroke: #4493f8; } .Choice { fill: #3b2300; stroke: #d29922; }
    .Fail { fill: #490202; stroke: #f85149; }
    .Succeed, .start { fill: #04260f; stroke: #3fb950; }
    .arrow { stroke: #9198a1; } .error { stroke: #f85149; }
    .head { fill: #9198a1; } .errorhead { fill: #f85149; }
  }
"""


@dataclass(frozen=True)
class _Figure:
    """A drawing of a size; `parts` are elements whose origin is its upper left corner."""

    size: Size
    parts: Sequence[str]


def svg(machine: Machine, title: str) -> str:
    """Return the text of an SVG picture."""
    figure = _machine(machine, is_top=True)
    width, height = figure.size.width + 2 * _PAD, figure.size.height + 2 * _PAD
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<title>{_xml(title)}</title>",
        f"<style>{_STYLE}{_mark_style(machine)}</style>",
        "<defs>",
        _head("head"),
        _head("errorhead"),
        "</defs>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>',
        f'<g transform="translate({_PAD:.0f} {_PAD:.0f})">',
        *figure.parts,
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _mark_style(machine: Machine) -> str:
    """Return the colours of the marks in a workflow."""
    kinds = sorted({state.mark.kind for state in machine.every_state() if state.mark})
    lines, dark = [], []
    for kind in kinds:
        look = MARKS[kind]
        dashes = " stroke-dasharray: 5 3;" if look.dashed else ""
        fill, line = look.light
        lines.append(f"  .{kind} {{ fill: {fill}; stroke: {line};{dashes} }}")
        lines.append(f"  .{kind}-line {{ stroke: {line}; }}")
        fill, line = look.dark
        dark.append(f"    .{kind} {{ fill: {fill}; stroke: {line}; }}")
        dark.append(f"    .{kind}-line {{ stroke: {line}; }}")
    if not kinds:
        return ""
    return "\n".join([*lines, "  @media (prefers-color-scheme: dark) {", *dark, "  }", ""])


def _head(name: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
    )


def _machine(machine: Machine, *, is_top: bool = False) -> _Figure:
    figures: dict[Hashable, _Figure] = {}
    arrows = list(machine.arrows)
    if is_top:
        figures[_START] = _box(["request"], [], "start")
        arrows.insert(0, Arrow(_START, machine.start))
    figures |= {state.name: _state(state) for state in machine.states}
    sizes = {key: figure.size for key, figure in figures.items()}
    edges = [Edge(arrow.source, arrow.target, _label_size(arrow.label)) for arrow in arrows]
    places = layout(sizes, edges)
    lines = [line for arrow, route in zip(arrows, places.routes, strict=True)
             for line in _arrow(arrow, route, places)]  # fmt: skip
    for key, figure in figures.items():
        lines += _moved(figure, places.boxes[key])
    return _Figure(places.size, lines)


def _moved(figure: _Figure, place: Box) -> Iterator[str]:
    yield f'<g transform="translate({place.left:.1f} {place.top:.1f})">'
    yield from figure.parts
    yield "</g>"


def _state(state: State) -> _Figure:
    names = _lines(state.name)
    if not state.machines:
        kind = f"{state.kind} {state.mark.kind}" if state.mark else state.kind
        return _box(names, _details(state), kind)
    return _group(state, [_machine(machine) for machine in state.machines])


def _details(state: State) -> list[str]:
    """Return the small lines below a state's name: what happened, and what it does."""
    happened = _lines(mark_text(state.mark)) if state.mark else []
    return happened + (_lines(state.summary) if state.summary else [])


def _box(names: Sequence[str], details: Sequence[str], kind: str) -> _Figure:
    width = max([*(cell_len(name) * _CHAR for name in names),
                 *(cell_len(line) * _SMALL for line in details)]) + 2 * _PAD  # fmt: skip
    height = (len(names) + len(details)) * _LINE + _PAD
    round_ = height / 2 if kind.split()[0] in ("Fail", "Succeed", "start") else 6
    round_ = min(round_, 20)
    parts = [
        f'<rect class="box {kind}" width="{width:.1f}" height="{height:.1f}" rx="{round_:.0f}"/>',
        *_text(names, width / 2, _PAD / 2, ""),
        *_text(details, width / 2, _PAD / 2 + len(names) * _LINE, "small"),
    ]
    return _Figure(Size(width, height), parts)


def _group(state: State, figures: Sequence[_Figure]) -> _Figure:
    """Draw a state around the machines in it, side by side in one or more rows."""
    names, details = _lines(state.name), _details(state)
    kind = f"group {state.mark.kind}-line" if state.mark else "group"
    title = max(cell_len(line) * _CHAR for line in (*names, *details)) + 2 * _PAD
    rows = _rows(figures)
    width = max([title, *map(_row_width, rows)])
    y = (len(names) + len(details)) * _LINE + _PAD
    inner: list[str] = []
    for row in rows:
        height = max(figure.size.height for figure in row)
        left = (width - _row_width(row)) / 2 + _PAD
        for figure in row:
            x, middle = left + figure.size.width / 2, y + figure.size.height / 2
            inner += _moved(figure, Box(x, middle, figure.size))
            left += figure.size.width + _PAD
        y += height + _PAD
    parts = [
        f'<rect class="box {kind}" width="{width:.1f}" height="{y:.1f}" rx="8"/>',
        *_text(names, width / 2, _PAD / 2, ""),
        *_text(details, width / 2, _PAD / 2 + len(names) * _LINE, "small"),
        *inner,
    ]
    return _Figure(Size(width, y), parts)


def _rows(figures: Sequence[_Figure]) -> list[list[_Figure]]:
    rows: list[list[_Figure]] = []
    for figure in figures:
        if not rows or _row_width([*rows[-1], figure]) > _WIDEST:
            rows.append([])
        rows[-1].append(figure)
    return rows


def _row_width(row: Sequence[_Figure]) -> float:
    return sum(figure.size.width for figure in row) + _PAD * (len(row) + 1)


def _text(lines: Sequence[str], x: float, top: float, style: str) -> Iterator[str]:
    for number, line in enumerate(lines):
        y = top + number * _LINE + _LINE * 0.75
        name = f' class="{style}"' if style else ""
        yield f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{_xml(line)}</text>'


def _label_size(label: str) -> Size | None:
    if not label:
        return None
    lines = _lines(label)
    return Size(max(map(cell_len, lines)) * _SMALL + 8, len(lines) * _LINE)


def _arrow(arrow: Arrow, route: Route, places: Layout) -> Iterator[str]:
    """Draw an arrow, interrupted by its label."""
    source, target = places.boxes[arrow.source], places.boxes[arrow.target]
    style, head = ("arrow error", "errorhead") if arrow.is_error else ("arrow", "head")
    if arrow.source == arrow.target:
        ways = [_loop(source, route.passes[0])]
    else:
        ways = [_curve(way) for way in _ways(source, target, route)]
    for way in ways[:-1]:
        yield f'<path class="{style}" d="{way}"/>'
    yield f'<path class="{style}" d="{ways[-1]}" marker-end="url(#{head})"/>'
    if route.label:
        yield from _text(_lines(arrow.label), route.label.x, route.label.top, "small")


def _ways(source: Box, target: Box, route: Route) -> list[list[tuple[float, float]]]:
    """Return the points of an arrow, in two parts if a label is between them."""
    up = route.is_back
    ways = [[(source.x, source.top if up else source.bottom)]]
    for box in route.passes:
        if box == route.label:
            ways[-1].append((box.x, box.bottom if up else box.top))
            ways.append([(box.x, box.top if up else box.bottom)])
        else:
            ends = (box.bottom, box.top) if up else (box.top, box.bottom)
            ways[-1] += [(box.x, end) for end in ends]
    ways[-1].append((target.x, target.bottom if up else target.top))
    return ways


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Return a path through points that leaves and enters each one upright."""
    x, y = points[0]
    way = f"M{x:.1f} {y:.1f}"
    for next_x, next_y in points[1:]:
        bend = (next_y - y) / 2
        way += f"C{x:.1f} {y + bend:.1f} {next_x:.1f} {next_y - bend:.1f} {next_x:.1f} {next_y:.1f}"
        x, y = next_x, next_y
    return way


def _loop(box: Box, place: Box) -> str:
    """Return a path from the side of a box towards a place beside it, and back again."""
    x, out = (box.right, place.left) if place.x > box.x else (box.left, place.right)
    above, below = f"{box.y - 8:.1f}", f"{box.y + 8:.1f}"
    return f"M{x:.1f} {above}C{out:.1f} {above} {out:.1f} {below} {x:.1f} {below}"


def _lines(text: str) -> list[str]:
    """Fold a text at its blanks, or anywhere in a word that is too long."""
    lines = [""]
    for word in printable(text).split(" "):
        while cell_len(word) > _FOLD:
            head = word[:_FOLD]
            while cell_len(head) > _FOLD:
                head = head[:-1]
            lines.append(head)
            word = word[len(head) :]
        candidate = f"{lines[-1]} {word}".strip()
        if cell_len(candidate) <= _FOLD:
            lines[-1] = candidate
        else:
            lines.append(word)
    return [line for line in lines if line] or [""]


def _xml(text: str) -> str:
    return escape(printable(text))
