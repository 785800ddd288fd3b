"""Provisioned concurrency: what it costs, where it is found, and how a switch takes it along."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial

from deployer.aws.access import Aws
from deployer.project.settings import Settings
from deployer.resources.provisioned import (
    Configuration,
    OwnedProvisionedConcurrency,
    configurations,
)

UNRESERVED = 100  # executions that AWS keeps for functions that reserve none (Lambda-12)
_REGION = "us-east-1"  # whose price stands in for that of a region without one


def cost(settings: Settings, name: str) -> str:
    """Say what a function's provisioned concurrency costs a month; "" if it has none."""
    limits = settings.function(name)
    number = limits.provisioned_concurrency
    if number is None:
        return ""
    from deployer.service.cost import SECONDS_A_MONTH, price_table

    regions = price_table()["regions"]
    known = settings.region in regions and settings.architecture == "x86_64"
    region = str(settings.region) if known else _REGION
    ((_, price),) = regions[region]["provisioned_gb_second"]["x86_64"]
    dollars = number * limits.memory_mb / 1024 * SECONDS_A_MONTH * price
    what = f"{number} x {limits.memory_mb} MB kept ready cost about {dollars:,.2f} USD a month"
    prices_of = f"prices of {regions[region]['date'][:4]}"
    if known:
        return f"{what} while idle ({region}, {prices_of})"
    here = f"{settings.architecture} in {settings.region}"
    return (
        f"{what} while idle for x86_64 in {_REGION} ({prices_of}); the price for {here} is not "
        f"known here"
    )


def problems(settings: Settings, names: Iterable[str]) -> Iterator[str]:
    """Yield the functions whose reserved concurrency cannot hold the provisioned one (Pc-9)."""
    for name in names:
        limits = settings.function(name)
        provisioned, reserved = limits.provisioned_concurrency, limits.reserved_concurrency
        if provisioned is None or reserved is None or reserved >= 2 * provisioned:
            continue
        throttled = (
            "; and as both are equal, every other version and $LATEST would be throttled to zero"
            if reserved == provisioned
            else ""
        )
        yield (
            f"setup.cfg: {name}: provisioned_concurrency {provisioned} lies within "
            f"reserved_concurrency {reserved}, and during a deploy the live and the new version "
            f"both hold it: reserve {2 * provisioned} or more, or nothing{throttled}"  # Pc-9
        )


def taken(settings: Settings, names: Iterable[str]) -> int:
    """Return how many of the account's concurrent executions functions take for themselves."""
    total = 0
    for name in names:
        limits = settings.function(name)
        if limits.reserved_concurrency is not None:
            total += limits.reserved_concurrency
        else:  # during a deploy two versions hold it
            total += 2 * (limits.provisioned_concurrency or 0)
    return total


def find_provisioned(
    aws: Aws, settings: Settings, names: Collection[str], pool: Executor
) -> Callable[[], list[OwnedProvisionedConcurrency]]:
    """Begin to look for the provisioned concurrency that versions of functions hold.

    Returns:
        a call that waits for it. Of what it returns, the newest version's is wanted where the
        settings want any.
    """
    searches = {
        name: pool.submit(configurations, aws, settings.function_name(name)) for name in names
    }
    return lambda: [
        _found(settings, name, version) for name in searches for version in searches[name].result()
    ]


def _found(settings: Settings, name: str, version: str) -> OwnedProvisionedConcurrency:
    number = version.rpartition(":")[2]
    is_on = settings.function(name).provisioned_concurrency is not None
    return OwnedProvisionedConcurrency(
        f"provisioned/{name}/{number}",
        version=version,
        part_of=f"function/{name}",
        wanted_by=f"function/{name}" if is_on else None,
        remark=(
            f"version {number} will not be live any more"
            if is_on
            else f"provisioned_concurrency of {name} is not set"
        ),
    )


def provision(aws: Aws, settings: Settings, versions: Mapping[str, str]) -> None:
    """Make environments of versions ready that are about to be live, as the settings say.

    For a switch that is not `up`'s own; `free` comes after it.

    Args:
        versions: the names of their functions by the versions' ARNs.

    Raises:
        AwsError: those of a version do not become ready; nothing must be switched then.
    """
    wanted = {
        version: number
        for version, name in versions.items()
        if (number := settings.function(name).provisioned_concurrency) is not None
    }
    for version, number in wanted.items():
        shown = f"{versions[version]}, version {version.rpartition(':')[2]}"
        aws.tell(f"making {number} environments of {shown} ready before the switch", lasting=True)
    calls = (
        partial(Configuration(version).ensure, aws, number) for version, number in wanted.items()
    )
    aws.together(*calls)


def held(aws: Aws, settings: Settings, names: Iterable[str]) -> dict[str, list[str]]:
    """Return the ARNs of the versions that hold provisioned concurrency, by function."""
    known = list(names)
    found = aws.together(
        *(partial(configurations, aws, settings.function_name(name)) for name in known)
    )
    return {name: list(versions) for name, versions in zip(known, found, strict=True)}


def free(
    aws: Aws,
    settings: Settings,
    holding: Mapping[str, Iterable[str]],
    live: Mapping[str, Collection[str]],
) -> None:
    """Take away what functions' versions hold that are not live; all of those that want none.

    The next `up` plans it if a run is killed before it.

    Args:
        holding: what `held` returned before the switch.
        live: the ARNs of the live versions by the function's name; a function may be missing.
    """
    surplus = [
        version
        for name, versions in holding.items()
        for version in versions
        if settings.function(name).provisioned_concurrency is None
        or version not in live.get(name, ())
    ]
    aws.together(*(partial(Configuration(version).delete, aws) for version in surplus))
