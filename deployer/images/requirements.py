"""Pinned requirements: reading them for a target machine, and holding them against what trained the
models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from deployer.errors import BuildError
from deployer.files import Unreadable, read_requirements_text

if TYPE_CHECKING:
    from importlib.metadata import Distribution

TRAINED_WITH = ("numpy", "scipy", "scikit-learn", "joblib")
# What AWS's base images bring along for the handler: a second copy would be 18 MB for nothing.
BASE_PACKAGES = {
    "awslambdaric",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
}


def target_environment(python: str, architecture: str) -> dict[str, str]:
    """Return the values of environment markers on Lambda, whatever machine asks (PEP 508)."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": {"x86_64": "x86_64", "arm64": "aarch64"}[architecture],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
        "extra": "",
    }


def read_requirements(
    path: Path, environment: Mapping[str, str], *, strict: bool = True
) -> Iterator[tuple[int, Requirement, str]]:
    """Yield (line, requirement, the line for pip) of what a file asks for on the target.

    Raises:
        BuildError: for a line that is no requirement, such as -r or an option; unless `strict`, it
            is passed over.
    """
    try:
        text = read_requirements_text(path)
    except (Unreadable, FileNotFoundError) as error:
        problem = error if isinstance(error, Unreadable) else "does not exist"
        raise BuildError(f"{path} {problem}") from error
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        start = start or number
        pending += raw.partition(" #")[0].strip() if not raw.lstrip().startswith("#") else ""
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        line, pending, here, start = pending, "", start, 0
        if not line:
            continue
        text, hashes, rest = line.partition(" --hash")
        try:
            found = Requirement(text)
        except InvalidRequirement as error:
            if not strict:
                continue
            raise BuildError(
                f"{path} line {here}: {line}: is no requirement such as numpy==2.2.6",
                "nested files and options are for --builder docker",
            ) from error
        if found.marker is None or found.marker.evaluate(dict(environment)):
            extras = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
            yield here, found, f"{found.name}{extras}{found.specifier}{hashes}{rest}"


def pinned_version(requirement: Requirement) -> str | None:
    """Return the version that == pins, or None."""
    pins = [each.version for each in requirement.specifier if each.operator in ("==", "===")]
    return pins[0] if len(pins) == 1 and not pins[0].endswith(".*") else None


def mismatches(
    path: Path, environment: Mapping[str, str], trained: Mapping[str, str]
) -> Iterator[str]:
    """Yield one line for each library of which the image would have another version than the one
    that trained.
    """
    found: dict[str, tuple[int, Requirement]] = {}
    for line, requirement, _ in read_requirements(path, environment, strict=False):
        found[canonicalize_name(requirement.name)] = (line, requirement)
    name = f"{path.parent.name}/{path.name}"
    for library in TRAINED_WITH:
        version = trained.get(library)
        if version is None:
            continue
        if library not in found:
            yield (
                f"{name} does not name {library}; the models were trained with {library}=={version}"
            )
            continue
        line, requirement = found[library]
        if pinned_version(requirement) != version:
            yield (
                f"{name} line {line}: {requirement}: the models were trained with "
                f"{library}=={version}"
            )


def check_complete(
    site: Path, extras: Mapping[str, Iterable[str]], environment: Mapping[str, str]
) -> None:
    """Raise BuildError when a distribution in `site` needs something that is neither there nor in
    the base.

    pip's own resolver would ask the machine it runs on; markers mean the one that serves.
    """
    from importlib.metadata import distributions

    there: dict[str, Distribution] = {
        canonicalize_name(each.metadata["Name"]): each for each in distributions(path=[str(site)])
    }
    missing = sorted(
        {
            problem
            for name, each in there.items()
            for problem in _missing(name, each, there, extras, environment)
        }
    )
    if missing:
        raise BuildError(
            "requirements.txt leaves something to chance: " + "; ".join(missing),
            "pin every package with ==, those that others need as well, so that the same folder "
            "gives the same image",
        )


def _missing(
    name: str,
    found: Distribution,
    there: Mapping[str, Distribution],
    extras: Mapping[str, Iterable[str]],
    environment: Mapping[str, str],
) -> Iterator[str]:
    for text in found.requires or ():
        needed = Requirement(text)
        wanted = ("", *extras.get(name, ()))
        if needed.marker is not None and not any(
            needed.marker.evaluate({**environment, "extra": e}) for e in wanted
        ):
            continue
        key = canonicalize_name(needed.name)
        if key in there:
            if not needed.specifier.contains(there[key].version, prereleases=True):
                yield (
                    f"{name} needs {needed.name}{needed.specifier}, but {there[key].version} "
                    f"is pinned"
                )
        elif key not in BASE_PACKAGES:
            yield f"{name} needs {needed.name}{needed.specifier}"
