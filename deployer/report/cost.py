"""What a service costs, as text and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from deployer.report.folding import folded

if TYPE_CHECKING:
    from deployer.service.cost import Bill, Item

_NAME, _PRICE = 44, 14  # columns


def cost_lines(bill: Bill, width: int) -> Iterator[Text]:
    """Yield the bill: a line for each item, with its price a request and a month."""
    title = f"Cost in {bill.region}, by prices of {bill.date} in US dollars"
    yield Text()
    yield from folded(title, 2, width, "bold")
    room = max(1, min(_NAME, width - 2 * _PRICE))
    yield Text(f"{'':{room}}{'a request':>{_PRICE}}{_per_month(bill):>{_PRICE}}", style="dim")
    for item in bill.items:
        prices = f"{money(item.request):>{_PRICE}}{money(item.month):>{_PRICE}}"
        yield from _row(f"{item.name}  {item.detail}", prices, room, width)
    total = f"{money(bill.request):>{_PRICE}}{money(bill.month):>{_PRICE}}"
    yield from _row("total", total, room, width, "bold")
    for item in bill.idle:
        prices = f"{'':{_PRICE}}{money(item.month):>{_PRICE}}"
        yield from _row(f"idle: {item.name}  {item.detail}", prices, room, width)
    for text in bill.assumptions:
        yield from folded(f"  assumed: {text}", 4, width, "dim")
    yield from folded(f"  sources: {', '.join(bill.sources)}", 4, width, "dim")


def _row(name: str, prices: str, room: int, width: int, style: str = "") -> Iterator[Text]:
    """Yield a name with its prices beside it, or below it where it is too long."""
    if cell_len(name) < room:
        yield Text(f"{name}{' ' * (room - cell_len(name))}{prices}", style=style)
        return
    yield from folded(name, 2, width, style)
    yield Text(f"{'':{room}}{prices}", style=style)


def _per_month(bill: Bill) -> str:
    return f"{_short(bill.requests)} a month"


def _short(number: int) -> str:
    """Return a number in few characters, exactly."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (1000, "k")):
        if number and number % size == 0:
            return f"{number // size}{letter}"
    return str(number)


def money(dollars: float) -> str:
    """Return an amount with cents; one of less than ten cents with three digits."""
    if dollars >= 0.1 or dollars == 0:
        return f"${dollars:,.2f}"
    digits = 2 - math.floor(math.log10(dollars))
    return f"${dollars:.{digits}f}"


def cost_markdown(bill: Bill) -> str:
    """Return the bill as a table of Markdown."""
    lines = [
        f"<details><summary>Cost in {bill.region}: {money(bill.request)} a request, "
        f"{money(bill.month)} for {bill.requests:,} a month, {money(bill.idle_month)} a month "
        f"idle</summary>",
        "",
        f"| by prices of {bill.date} | a request | {bill.requests:,} a month |",
        "| --- | ---: | ---: |",
        *(_markdown_row(item) for item in bill.items),
        *(f"| idle: {item.name}, {item.detail} | | {money(item.month)} |" for item in bill.idle),
        "",
        *(f"- assumed: {text}" for text in bill.assumptions),
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def _markdown_row(item: Item) -> str:
    return f"| {item.name}, {item.detail} | {money(item.request)} | {money(item.month)} |"
