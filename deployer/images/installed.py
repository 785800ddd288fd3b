"""What the packages that are installed here say of their dependencies and wheels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deployer.images.packages import glibc_minor
from deployer.images.requirements import BASE_PACKAGES, UNUSED, same_modules

_GLIBC = re.compile(r"manylinux_2_(\d+)_")


def closure(packages: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return packages and all that they need to predict, in the versions installed here.

    Left out are packages of AWS's base images, and those that are not installed here.
    """
    versions: dict[str, str] = dict(packages)
    waiting = list(packages)
    seen = {key for package in packages for key in same_modules(package)}
    while waiting:
        package = waiting.pop()
        for needed in _needs(package, environment):
            key = canonicalize_name(needed.name)
            if key in seen:
                continue
            seen.add(key)
            installed = _installed(needed.name)
            if installed is not None:
                versions[installed.metadata["Name"]] = installed.version
                waiting.append(needed.name)
    first = list(packages)
    rest = sorted((name for name in versions if name not in packages), key=str.lower)
    return {name: versions[name] for name in (*first, *rest)}


def _needs(package: str, environment: Mapping[str, str]) -> Iterator[Requirement]:
    """Yield what a package needs to predict, as far as AWS's base images lack it."""
    installed = _installed(package)
    unused = UNUSED.get(canonicalize_name(package), set()) | BASE_PACKAGES
    for text in (installed.requires if installed else None) or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate(dict(environment)):
            continue
        if canonicalize_name(needed.name) not in unused:
            yield needed


def _installed(package: str) -> metadata.Distribution | None:
    for name in (package, *same_modules(package)):
        try:
            return metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def newer_wheels(packages: Mapping[str, str], python: str) -> Iterator[str]:
    """Yield a remark on each package whose wheel here needs a newer glibc than the image has."""
    has = glibc_minor(python)
    for package, version in packages.items():
        installed = _installed(package)
        wheel = (installed.read_text("WHEEL") if installed else None) or ""
        needs = min(map(int, _GLIBC.findall(wheel)), default=0)
        if needs > has:
            yield (
                f"the wheel of {package} {version} that is installed here needs glibc 2.{needs}, "
                f"and AWS's image for Python {python} has 2.{has}: unless this version has another "
                "wheel for it, train with Python 3.12 or newer, or with an older version"
            )
