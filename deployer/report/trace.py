"""The trace of a request as bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from deployer.report.cost import money
from deployer.report.folding import folded

if TYPE_CHECKING:
    from deployer.service.cost import Item
    from deployer.service.tracing import Invocation, Trace

_WIDEST = 100
_INDENT = 2
# queued, init, Lambda, handler; and what stands for them where only ASCII is known
_SIGNS, _ASCII = "░▒▓█", ".:=#"
_STYLES = ("dim", "yellow", "blue", "green")
Part = tuple[float, float, int]  # begin, end, and the number of a sign


def print_trace(
    console: Console, trace: Trace, items: Sequence[Item] | None, remarks: Sequence[str] = ()
) -> None:
    """Print what the request went through, a bar each, and what it cost.

    Args:
        items: None if the region's prices are not known.
        remarks: what the trace does not show, and why.
    """
    width = min(console.width, _WIDEST)
    plain = not console.encoding.lower().startswith("utf")
    for line in _lines(trace, items, remarks, width):
        console.print(in_ascii(line) if plain else line, soft_wrap=True)


def _lines(
    trace: Trace, items: Sequence[Item] | None, remarks: Sequence[str], width: int
) -> Iterator[Text]:
    total = trace.end_ms - trace.begin_ms
    yield from folded(f"request {trace.request}  {_ms(total)}", _INDENT, width, "bold")
    if trace.api is not None:
        status, begin, end = trace.api
        parts: list[Part] = [(begin, end, 3)]
        yield from _row("api", f"HTTP {status}  {_ms(end - begin)}", parts, trace, width)
    if trace.workflow is not None:
        start, stop, ending = trace.workflow
        lasted, span = "", list[Part]()
        if start is not None and stop is not None:
            lasted, span = f"  {_ms(stop - start)}", [(start, stop, 3)]
        yield from _row("workflow", f"{ending}{lasted}", span, trace, width)
    for name, several in trace.models.items():
        for number, one in enumerate(several, 1):
            attempt = f", invocation {number}" if len(several) > 1 else ""
            price = _price(name, number - 1, items)
            yield from _row(f"{name}{attempt}", _said(one, price), _parts(one), trace, width)
    for name, absence in trace.absent.items():
        yield from folded(f"{name}  {absence.reason}", _INDENT, width, "yellow")
    for failure in trace.counted_failures:
        yield from folded(f"not invoked: {failure}", _INDENT, width, "red")
    yield from _legend(width)
    if items is not None:
        total_cost = sum(item.request for item in items)
        services = ", ".join(f"{item.name} {money(item.request)}" for item in items)
        yield from folded(f"cost {money(total_cost)}: {services}", _INDENT, width)
    for remark in remarks:
        yield from folded(remark, _INDENT, width, "dim")


def _row(name: str, said: str, parts: Sequence[Part], trace: Trace, width: int) -> Iterator[Text]:
    yield from folded(f"{name}  {said}", _INDENT, width)
    if parts:
        yield bar(parts, trace.begin_ms, trace.end_ms, width)


def _said(one: Invocation, price: str) -> str:
    report = one.report
    if report is None:
        return f"{one.outcome}  its REPORT has not arrived"
    steps = [f"queued {_ms(one.queued_ms)}"] if one.queued_ms >= 1 else []
    steps += [f"init {_ms(report.init_ms)}"] if report.init_ms is not None else []
    handler = f" (handler {_ms(one.handler_ms)})" if one.handler_ms is not None else ""
    steps.append(f"ran {_ms(report.duration_ms)}{handler}")
    billed = f"billed {report.billed_ms} ms, {report.used_mb} of {report.memory_mb} MB{price}"
    return f"{one.outcome}  {', '.join(steps)}; {billed}"


def _parts(one: Invocation) -> list[Part]:
    """Return the parts of an invocation in time; the handler's is at the end of its run."""
    handler_ms = min(one.handler_ms or 0, one.end_ms - one.start_ms)
    return [
        (one.ready_ms, one.init_begin_ms, 0),
        (one.init_begin_ms, one.start_ms, 1),
        (one.start_ms, one.end_ms - handler_ms, 2),
        (one.end_ms - handler_ms, one.end_ms, 3),
    ]


def bar(parts: Sequence[Part], begin: float, end: float, width: int) -> Text:
    """Return a line with the parts in their places; what lasted has one sign at least."""
    room = max(1, width - _INDENT)
    scale = room / (end - begin)
    cells: list[int | None] = [None] * room
    for start, stop, sign in parts:
        if stop <= start:
            continue
        first = min(room - 1, int((start - begin) * scale))
        last = min(room, max(first + 1, round((stop - begin) * scale)))
        cells[first:last] = [sign] * (last - first)
    line = Text(" " * _INDENT)
    for cell in cells:
        line.append(*((" ", "") if cell is None else (_SIGNS[cell], _STYLES[cell])))
    line.rstrip()
    return line


def in_ascii(line: Text) -> Text:
    """Return a line with other signs, for terminals that know no others."""
    plain = line.plain.translate(str.maketrans(_SIGNS, _ASCII))
    return Text(plain, spans=line.spans, style=line.style)


def _legend(width: int) -> Iterator[Text]:
    names = ("queued", "init", "Lambda", "handler")
    signs = "  ".join(f"{sign} {name}" for sign, name in zip(_SIGNS, names, strict=True))
    yield from folded(signs, _INDENT, width, "dim")


def _price(name: str, number: int, items: Sequence[Item] | None) -> str:
    """Return what an invocation cost, of the items of its model in their order."""
    own = [item for item in items or () if item.name == name]
    return f", {money(own[number].request)}" if number < len(own) else ""


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
