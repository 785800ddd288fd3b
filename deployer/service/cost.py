"""What a service costs by the dated price table: per request, per month, and idle.

Durations are assumptions of the caller. Tiers count this service alone. Free tier, tax, data
transfer, retries, cold starts and X-Ray are not counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.project.drawing import Machine, drawing
from deployer.project.workflow import function_of, tasks

TABLE = Path(__file__).with_name("prices.json")
DEFAULT_MILLISECONDS = 20
SECONDS_A_MONTH = 730 * 3600  # as AWS's own calculator counts
_GB = 1024.0  # MB
# Step Functions: 50 MB, the definition, and the payload of each branch, in chunks of 64 MB; the
# duration in steps of 100 ms.
_WORKFLOW_MB, _CHUNK_MB, _CHUNK_MS = 50, 64, 100
_PAYLOAD_MB = 1 / 1024
_LOG_KB = 0.5  # of a request in the log of a function, and in the API's
IMAGE_MB = 250  # compressed, in ECR: the base and what docs/images.md measures above it


class Unpriced(Exception):
    """The table has no prices of a region; the message says which it has."""


@dataclass(frozen=True)
class Model:
    """A function to be priced.

    Args:
        calls: how often a request invokes it.
        provisioned: its environments that are kept ready.
    """

    name: str
    memory_mb: int
    milliseconds: int
    calls: int
    megabytes: float
    provisioned: int = 0


@dataclass(frozen=True)
class Item:
    """A line of the bill: for one request and for all of a month, in dollars."""

    name: str
    detail: str
    request: float
    month: float


@dataclass(frozen=True)
class Bill:
    region: str
    date: str
    sources: tuple[str, ...]
    requests: int
    items: tuple[Item, ...]
    idle: tuple[Item, ...]
    assumptions: tuple[str, ...]

    @property
    def request(self) -> float:
        return sum(item.request for item in self.items)

    @property
    def month(self) -> float:
        return sum(item.month for item in self.items)

    @property
    def idle_month(self) -> float:
        return sum(item.month for item in self.idle)

    def document(self) -> dict[str, Any]:
        """Return the bill as plain JSON values."""
        return {
            "region": self.region,
            "currency": "USD",
            "prices_of": self.date,
            "sources": list(self.sources),
            "requests_a_month": self.requests,
            "request": self.request,
            "month": self.month,
            "idle_month": self.idle_month,
            "items": [vars(item) for item in (*self.items, *self.idle)],
            "assumptions": list(self.assumptions),
        }


def price_table() -> Any:
    return json.loads(TABLE.read_text(encoding="utf-8"))


def bill(
    region: str,
    architecture: str,
    definition: Mapping[str, Any],
    models: Sequence[Model],
    requests: int,
    table: Any = None,
    api: str = "http",
    alarms: int = 0,
) -> Bill:
    """Price a service.

    Args:
        alarms: how many there are, for which one metric of the service's own is kept.
        api: its kind. Of a REST API, some regions' prices are those of the first 333 million calls.

    Raises:
        Unpriced: the table has no prices of this region.
    """
    table = table or price_table()
    prices = _prices(table, region)
    calls = sum(model.calls for model in models)
    log_gb = _LOG_KB * (1 + calls) / 1024 / 1024
    items = [
        _api(prices, api, requests),
        _workflow(prices, definition, models, requests),
        *(_function(prices, architecture, model, requests) for model in models),
        _item("logs", f"{_LOG_KB * (1 + calls):g} KB", requests, [(log_gb, prices["logs_gb"])]),
    ]
    stored = sum(model.megabytes for model in models)
    idle = [
        _stored("S3", f"models, {stored:.1f} MB", stored, prices["s3_gb_month"]),
        _stored("ECR", f"an image of {IMAGE_MB} MB", IMAGE_MB, prices["ecr_gb_month"]),
        *(_ready(prices, architecture, model) for model in models if model.provisioned),
        *([_watched(prices, alarms)] if alarms else []),
    ]
    return Bill(
        region,
        prices["date"],
        tuple(table["sources"].values()),
        requests,
        tuple(items),
        tuple(idle),
        tuple(_assumptions(definition, models)),
    )


def request_items(
    region: str,
    architecture: str,
    definition: Mapping[str, Any],
    models: Sequence[Model],
    workflow_ms: float,
    log_kb: float,
    api: str = "http",
) -> tuple[Item, ...]:
    """Price one request that was measured.

    Args:
        models: with the billed milliseconds of a call.
        workflow_ms: how long the execution lasted.
        log_kb: what the request wrote into all logs.

    Raises:
        Unpriced: the table has no prices of this region.
    """
    prices = _prices(price_table(), region)
    logs = [(log_kb / 1024 / 1024, prices["logs_gb"])]
    return (
        _api(prices, api, 1),
        _executed(prices, definition, models, 1, workflow_ms),
        *(_function(prices, architecture, model, 1) for model in models),
        _item("logs", f"{log_kb:.1f} KB", 1, logs),
    )


def _prices(table: Any, region: str) -> Any:
    prices = table["regions"].get(region)
    if prices is None:
        known = ", ".join(table["regions"])
        raise Unpriced(f"no prices of {region} are known here, only those of {known}")
    return prices


def _api(prices: Any, kind: str, requests: int) -> Item:
    if kind == "rest":
        return _item("API", "a request to a REST API", requests, [(1, prices["rest_api_request"])])
    return _item("API", "a request of up to 512 KB", requests, [(1, prices["api_request"])])


def _workflow(
    prices: Any, definition: Mapping[str, Any], models: Sequence[Model], requests: int
) -> Item:
    times = {model.name: model.milliseconds for model in models}
    lasting = longest(drawing(definition), _state_times(definition, times))
    return _executed(prices, definition, models, requests, lasting)


def _executed(
    prices: Any,
    definition: Mapping[str, Any],
    models: Sequence[Model],
    requests: int,
    lasting: float,
) -> Item:
    billed_ms = max(1, math.ceil(lasting / _CHUNK_MS)) * _CHUNK_MS
    size_mb = len(json.dumps(definition)) / 1024 / 1024
    used_mb = _WORKFLOW_MB + size_mb + _PAYLOAD_MB * sum(model.calls for model in models)
    memory_mb = math.ceil(used_mb / _CHUNK_MB) * _CHUNK_MB
    usage = [
        (1.0, prices["workflow_request"]),
        (billed_ms / 1000 * memory_mb / _GB, prices["workflow_gb_second"]),
    ]
    return _item("workflow", f"{billed_ms} ms at {memory_mb} MB", requests, usage)


def _function(prices: Any, architecture: str, model: Model, requests: int) -> Item:
    times = f"{model.calls} times " if model.calls != 1 else ""
    detail = f"{times}{model.milliseconds} ms at {model.memory_mb} MB"
    gb_seconds = model.calls * model.milliseconds / 1000 * model.memory_mb / _GB
    usage = [
        (float(model.calls), prices["function_request"]),
        (gb_seconds, prices["function_gb_second"][architecture]),
    ]
    return _item(model.name, detail, requests, usage)


def _item(name: str, detail: str, requests: int, usage: Sequence[tuple[float, Any]]) -> Item:
    """Price what one request uses: (amount, tiers) each."""
    return Item(
        name,
        detail,
        sum(tiered(amount, tiers) for amount, tiers in usage),
        sum(tiered(amount * requests, tiers) for amount, tiers in usage),
    )


def _stored(name: str, detail: str, megabytes: float, tiers: Any) -> Item:
    return Item(name, detail, 0.0, tiered(megabytes / _GB, tiers))


def _ready(prices: Any, architecture: str, model: Model) -> Item:
    """Price the environments that a model keeps ready; nothing where the price is not known."""
    detail = f"{model.provisioned} x {model.memory_mb} MB kept ready"
    tiers = prices["provisioned_gb_second"].get(architecture)
    if tiers is None:
        return Item(model.name, f"{detail}: no price of {architecture} is known here", 0.0, 0.0)
    gb_seconds = model.provisioned * model.memory_mb / _GB * SECONDS_A_MONTH
    return Item(model.name, detail, 0.0, tiered(gb_seconds, tiers))


def _watched(prices: Any, alarms: int) -> Item:
    month = tiered(alarms, prices["alarm_month"]) + tiered(1, prices["metric_month"])
    return Item("alarms", f"{alarms} alarms, 1 metric", 0.0, month)


def tiered(amount: float, tiers: Iterable[Sequence[Any]]) -> float:
    """Price an amount by tiers: (end of the tier or None, price of one)."""
    total, start = 0.0, 0.0
    for end, price in tiers:
        part = amount - start if end is None else min(amount, end) - start
        if part <= 0:
            break
        total += part * price
        start = end
    return total


def calls_of(definition: Mapping[str, Any]) -> dict[str, int]:
    """Return how many tasks of a workflow call each function."""
    calls: dict[str, int] = {}
    for task in tasks(definition):
        name = function_of(task)
        if name is not None:
            calls[name] = calls.get(name, 0) + 1
    return calls


def _state_times(value: Any, times: Mapping[str, int]) -> dict[str, int]:
    """Return the milliseconds of each state that calls a function, by the state's name."""
    found: dict[str, int] = {}
    states = value.get("States", {}) if isinstance(value, Mapping) else {}
    for name, state in states.items():
        function = function_of(state) if state.get("Type") == "Task" else None
        if function is not None and function in times:
            found[name] = times[function]
        inner = [*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")]
        for machine in inner:
            found |= _state_times(machine, times)
    return found


def longest(machine: Machine, times: Mapping[str, int]) -> float:
    """Return the milliseconds of the longest way without errors; a loop is gone through once."""
    states = {state.name: state for state in machine.states}
    known: dict[str, float] = {}

    def from_(name: str, passed: frozenset[str]) -> float:
        if name in passed:
            return 0
        if name not in known:
            own = max((longest(inner, times) for inner in states[name].machines), default=0)
            rest = [
                from_(arrow.target, passed | {name})
                for arrow in machine.arrows
                if arrow.source == name and not arrow.is_error
            ]
            known[name] = times.get(name, 0) + own + max(rest, default=0)
        return known[name]

    return from_(machine.start, frozenset())


def _assumptions(definition: Mapping[str, Any], models: Sequence[Model]) -> Iterable[str]:
    shown = ", ".join(f"{model.name} {model.milliseconds} ms" for model in models)
    yield f"billed time of one call, which nothing has measured: {shown} (--milliseconds)"
    kinds = {state["Type"] for state in _states(definition)}
    if "Choice" in kinds or "Map" in kinds:
        yield (
            "every task runs once: a Choice may leave some out, a Map runs its own for every item"
        )
    yield "no cold starts, retries and traces; no free tier, tax and data transfer"
    yield "idle: one version of each model and one image; logs cost little until they expire"


def _states(value: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("Type"), str) and ("Next" in value or "End" in value
                                                   or value["Type"] == "Choice"):  # fmt: skip
            yield value
        for member in value.values():
            yield from _states(member)
    elif isinstance(value, list):
        for element in value:
            yield from _states(element)
