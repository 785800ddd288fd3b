"""A release as the models and calls that are priced."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.project.settings import Settings
from deployer.service.alarms import number_of_alarms
from deployer.service.cost import DEFAULT_MILLISECONDS, Bill, Model, Unpriced, bill, calls_of
from deployer.service.release import Release

__all__ = ["Unpriced", "priced"]


def priced(settings: Settings, release: Release, times: Mapping[str, int], requests: int) -> Bill:
    """Price a release.

    Args:
        times: billed milliseconds of a call by model; "" stands for all others.
        requests: in a month.

    Raises:
        Unpriced: the table has no prices of the region.
    """
    calls = calls_of(release.definition)
    models = [
        Model(
            served.name,
            settings.function(served.name).memory_mb,
            times.get(served.name, times.get("", DEFAULT_MILLISECONDS)),
            calls.get(served.name, 0),
            served.model.path.stat().st_size / 1024 / 1024,
            settings.function(served.name).provisioned_concurrency or 0,
        )
        for served in release.functions
    ]
    region = settings.region or ""
    architecture, definition = settings.architecture, release.definition
    alarms = number_of_alarms(settings, release.names)
    return bill(region, architecture, definition, models, requests, api=settings.api, alarms=alarms)
