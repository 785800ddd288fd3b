"""The limits that a usage plan sets to the requests of each API key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

from deployer.engine.plan import Fields
from deployer.resources.fields import Member, members


class ThrottleFields(TypedDict):
    """Requests that are accepted of one key: a second, and at once."""

    rate_limit: Annotated[float, Member("rateLimit")]
    burst_limit: Annotated[int, Member("burstLimit")]


class QuotaFields(TypedDict):
    """Requests that are accepted of one key in a DAY, WEEK or MONTH."""

    limit: Annotated[int, Member("limit")]
    period: Annotated[str, Member("period")]


THROTTLE, QUOTA = members(ThrottleFields), members(QuotaFields)
_UNITS = {"rate_limit": "requests a second", "burst_limit": "requests at once"}
_DAYS = {"DAY": 1.0, "WEEK": 7.0, "MONTH": 365.25 / 12}


def raised(before: Fields, after: Fields) -> Iterator[str]:
    """Yield how a change of a usage plan's fields lets each key make more requests."""
    for name, unit in _UNITS.items():
        old, new = ((fields["throttle"] or {}).get(name) for fields in (before, after))
        if old is not None and (new is None or new > old):
            number = "any number of" if new is None else f"{new:,g}"
            yield f"each API key may make {number} {unit}, up from {old:,g}"
    old, new = before["quota"], after["quota"]
    if old and not new:
        yield f"each API key may make any number of requests, up from {_text(old)}"
    elif old and _is_more(old, new):
        yield f"each API key may make {_text(new)}, up from {_text(old)}"


def _is_more(old: Any, new: Any) -> bool:
    """Tell whether a quota allows more than another one: in the short run, or on average."""
    averages = [quota["limit"] / _DAYS[quota["period"]] for quota in (old, new)]
    return bool(new["limit"] > old["limit"] or averages[1] > averages[0])


def _text(quota: Any) -> str:
    return f"{quota['limit']:,} requests per {quota['period'].lower()}"
