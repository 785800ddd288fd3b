"""What `trace` and `invoke --trace` have in common: finding the lines, and showing the trace."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployer.commands.session import Session
    from deployer.service.cost import Item
    from deployer.service.tracing import Trace


@dataclass(frozen=True)
class Priced:
    """A trace with its cost; `items` is None if the region's prices are not known."""

    trace: Trace
    items: Sequence[Item] | None
    remarks: Sequence[str]

    def document(self) -> dict[str, Any]:
        """Return the trace as plain JSON values."""
        cost = None
        if self.items is not None:
            prices: dict[str, float] = {}
            for item in self.items:  # a model has one for each invocation
                prices[item.name] = prices.get(item.name, 0.0) + item.request
            cost = {"currency": "USD", "request": sum(prices.values()), "items": prices}
        return {**self.trace.document(), "cost": cost, "remarks": list(self.remarks)}


def traced(
    now: Session, request: str, span: timedelta, models: Collection[str] | None = None
) -> Priced:
    """Return the trace of a request with its cost; the parameters are those of `find_trace`."""
    from deployer.service.traces import logs_requests

    api_logs = logs_requests(now.aws, now.settings)
    return _priced(now, find_trace(now, request, span, api_logs, models), api_logs)


def find_trace(
    now: Session,
    request: str,
    span: timedelta,
    api_logs: bool = True,
    models: Collection[str] | None = None,
) -> Trace:
    """Return the trace of a request; tell what of it cannot be found, and why.

    Args:
        api_logs: see `traces.logs_requests`.
        models: that answered a request which has just ended: its lines are waited for.

    Raises:
        LogsUnavailable: no line names it.
    """
    from deployer.engine.events import Note
    from deployer.service import logs, request_logs, traces

    def tell(text: str, *, lasting: bool = False) -> None:
        now.emit(Note(text))

    sources = logs.find_sources(now.aws, now.settings)
    for remark in (*sources.remarks, *logs.beyond_retention(sources.groups, span)):
        tell(remark)
    reader = logs.Reader(now.aws, tell)
    start = sources.now - span
    place = (now.aws, now.settings, reader, sources, request, start, api_logs)
    if models is None or traces.leaves_no_line(now.settings, models, api_logs):
        trace = traces.read_trace(*place)
    else:
        trace = traces.await_trace(*place, models)
    if trace is None:
        raise request_logs.not_found(now.aws, now.settings, request, start)
    return trace


def _priced(now: Session, trace: Trace, api_logs: bool) -> Priced:
    from deployer.resources.apigateway.rest_api import UNLOGGED
    from deployer.service.cost import Unpriced
    from deployer.service.traces import cost_of

    remarks = [f"{line} has not arrived; repeat it in some seconds" for line in trace.missing]
    if not api_logs:
        remarks.append(UNLOGGED)
    if trace.workflow is None or trace.workflow[0] is None:
        remarks.append(
            "with workflow_log = all it shows the workflow's own times, and queues exactly"
        )
    try:
        return Priced(trace, cost_of(now.aws, now.settings, trace), remarks)
    except Unpriced as error:
        return Priced(trace, None, [*remarks, str(error)])
