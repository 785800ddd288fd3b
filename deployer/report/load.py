"""What many requests gave, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from deployer.report.folding import folded
from deployer.report.values import duration_text

if TYPE_CHECKING:
    from deployer.service.load import Load

_WIDEST_BAR = 50
_BAR, _PLAIN_BAR = "\u2588", "#"


def print_load(console: Console, load: Load) -> None:
    """Print throughput, latency, cold starts, failures, and a histogram of the latency."""
    for line in _lines(load):
        for row in folded(line.plain, 2, console.width, str(line.style)):
            console.print(row, soft_wrap=True)
    parts = load.histogram()
    most = max((part.count for part in parts), default=0)
    label = max((len(duration_text(part.high_ms)) for part in parts), default=0)
    number = len(f"{most:,}")
    room = max(1, min(_WIDEST_BAR, console.width - label - number - 7))
    plain = console.encoding.lower().replace("-", "") != "utf8"
    for part in parts:
        length = round(room * part.count / most) or (1 if part.count else 0)
        bar = (_PLAIN_BAR if plain else _BAR) * length
        text = f"to {duration_text(part.high_ms):>{label}}  {part.count:>{number},}  {bar}"
        console.print(Text(text.rstrip()), soft_wrap=True)


def _lines(load: Load) -> Iterator[Text]:
    yield Text(
        f"{load.requests:,} requests in {load.seconds:.1f} s, {load.concurrency} at a time: "
        f"{load.per_second:,.1f} per second"
    )
    if load.latencies_s:
        names = {"fastest": 0, "p50": 50, "p90": 90, "p99": 99, "slowest": 100}
        shown = (
            f"{name} {duration_text(load.percentile_ms(each))}" for name, each in names.items()
        )
        yield Text(f"latency: {', '.join(shown)}")
    if load.cold_starts is not None:
        started = [f"{name} {count}" for name, count in load.cold_starts.items() if count]
        yield Text(f"cold starts: {', '.join(started) or 'none'}")
    for kind, count in load.errors.most_common():
        times = "once" if count == 1 else f"{count:,} times"
        yield Text(f"failed {times}: {kind}", style="red")
