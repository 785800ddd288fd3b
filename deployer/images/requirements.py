"""Pinned requirements: reading them for the target, comparing them with what trained the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from deployer.errors import BuildError
from deployer.files import Unreadable, read_requirements_text

if TYPE_CHECKING:
    from importlib.metadata import Distribution

TRAINED_WITH = ("numpy", "scipy", "scikit-learn", "joblib")
# Packages of AWS's base images. A second copy in the image would cost 18 MB.
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
# Distributions of the same modules, without the libraries of a GPU: hundreds of megabytes.
WITHOUT_GPU = {"xgboost": "xgboost-cpu"}
_FIRST_WITHOUT_GPU = {"xgboost-cpu": (2, 1, 1)}
# Dependencies that no prediction imports: they draw plots, or make wheels (LightGBM 3).
UNUSED = {"catboost": {"graphviz", "matplotlib", "plotly"}, "lightgbm": {"wheel"}}


def target_environment(python: str, architecture: str) -> dict[str, str]:
    """Return the values of environment markers on Lambda (PEP 508)."""
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
    """Yield (line number, requirement, line for pip) of the requirements for the target.

    Args:
        environment: values of environment markers.
        strict: whether a line that is no requirement, such as -r or an option, is an error.

    Raises:
        BuildError: the file cannot be read, or a line is no requirement.
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
        line, pending, first, start = pending, "", start, 0
        if not line:
            continue
        text, hashes, rest = line.partition(" --hash")
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            if not strict:
                continue
            raise BuildError(
                f"{path} line {first}: {line}: is no requirement such as numpy==2.2.6",
                "nested files and options are for --builder docker",
            ) from error
        if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
            names = ",".join(sorted(requirement.extras))
            extras = f"[{names}]" if names else ""
            pinned = f"{requirement.name}{extras}{requirement.specifier}"
            yield first, requirement, f"{pinned}{hashes}{rest}"


def pinned_version(requirement: Requirement) -> str | None:
    """Return the version that == pins, or None."""
    pins = [clause.version for clause in requirement.specifier if clause.operator in ("==", "===")]
    return pins[0] if len(pins) == 1 and not pins[0].endswith(".*") else None


def mismatches(
    path: Path, environment: Mapping[str, str], trained: Mapping[str, str]
) -> Iterator[str]:
    """Yield a problem for each library of which the image would not have the version that trained.

    Args:
        trained: versions by library, from the manifest.
    """
    requirements = by_name([path], environment)
    name = f"{path.parent.name}/{path.name}"
    for library in TRAINED_WITH:
        version = trained.get(library)
        if version is None:
            continue
        if library not in requirements:
            yield (
                f"{name} does not name {library}; the models were trained with "
                f"{library}=={version}: add that line"
            )
            continue
        _, line, requirement = requirements[library]
        if pinned_version(requirement) != version:
            yield (
                f"{name} line {line}: {requirement}: the models were trained with "
                f"{library}=={version}: pin that, or install what is pinned and train again"
            )


def for_images(packages: Mapping[str, str]) -> dict[str, str]:
    """Return packages with those that bring libraries of a GPU replaced by those without."""
    chosen = {}
    for package, version in packages.items():
        other = WITHOUT_GPU.get(canonicalize_name(package), package)
        exists = Version(version).release >= _FIRST_WITHOUT_GPU.get(other, ())
        chosen[other if exists else package] = version
    return chosen


def same_modules(package: str) -> tuple[str, ...]:
    """Return the canonical names of the distributions that have a package's modules."""
    key = canonicalize_name(package)
    return next((pair for pair in WITHOUT_GPU.items() if key in pair), (key,))


def with_gpu(paths: Sequence[Path], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each requirement that brings libraries of a GPU."""
    for path in paths:
        for line, requirement, _ in read_requirements(path, environment, strict=False):
            key = canonicalize_name(requirement.name)
            better = next(iter(for_images({key: pinned_version(requirement) or "99"})))
            if better != key:
                yield (
                    f"{path.parent.name}/{path.name} line {line}: {requirement} brings hundreds of "
                    f"megabytes of GPU libraries, which Lambda cannot use; {better}"
                    f"{requirement.specifier} is the same without them"
                )


def lacking(
    paths: Sequence[Path], environment: Mapping[str, str], packages: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield (package, reason and advice) for each package that an image would not have.

    Args:
        paths: all requirements files of the image, at least one.
        packages: versions by name of the distribution.
    """
    files = [(f"{path.parent.name}/{path.name}", by_name([path], environment)) for path in paths]
    for package, version in packages.items():
        keys = same_modules(package)
        places = [(name, *named[key][1:]) for name, named in files for key in keys if key in named]
        if not places:
            (better,) = for_images({package: version})
            yield (
                package,
                f"which {files[0][0]} does not name: add the line {better}=={version}",
            )
        for name, line, requirement in places:
            pinned = pinned_version(requirement)
            if pinned not in (None, version):
                yield package, f"but {name} line {line} pins {requirement}"


def by_name(
    paths: Iterable[Path], environment: Mapping[str, str]
) -> dict[str, tuple[Path, int, Requirement]]:
    """Return the requirements of files, with their file and line, by canonical name."""
    return {
        canonicalize_name(requirement.name): (path, line, requirement)
        for path in paths
        for line, requirement, _ in read_requirements(path, environment, strict=False)
    }


def check_complete(
    site: Path, extras: Mapping[str, Iterable[str]], environment: Mapping[str, str]
) -> None:
    """Raise BuildError if a package needs another that is neither in `site` nor in the base.

    `pip check` cannot be used: it evaluates environment markers for this machine.

    Args:
        site: a folder of installed packages.
        extras: the requested extras by package.
        environment: values of environment markers on the target.
    """
    from importlib.metadata import distributions

    installed: dict[str, Distribution] = {
        canonicalize_name(package.metadata["Name"]): package
        for package in distributions(path=[str(site)])
    }
    problems = sorted(
        {
            problem
            for name in installed
            for problem in _missing(name, installed, extras, environment)
        }
    )
    if problems:
        versions = {name: package.version for name, package in installed.items()}
        large = {name: versions[name] for name in versions.keys() - for_images(versions).keys()}
        better = ", ".join(f"{name}=={version}" for name, version in for_images(large).items())
        raise BuildError(
            "requirements.txt leaves something to chance: " + "; ".join(problems),
            "pin every package with ==, those that others need as well, so that the same folder "
            "gives the same image"
            + (
                f"; {better} in place of {', '.join(large)} needs no GPU libraries" if large else ""
            ),
        )


def _missing(
    name: str,
    installed: Mapping[str, Distribution],
    extras: Mapping[str, Iterable[str]],
    environment: Mapping[str, str],
) -> Iterator[str]:
    """Yield a problem for each unmet requirement of an installed package."""
    for text in installed[name].requires or ():
        needed = Requirement(text)
        if needed.marker is not None and not any(
            needed.marker.evaluate({**environment, "extra": extra})
            for extra in ("", *extras.get(name, ()))
        ):
            continue
        keys = same_modules(needed.name)
        key = next((key for key in keys if key in installed), keys[0])
        if key in installed:
            version = installed[key].version
            if not needed.specifier.contains(version, prereleases=True):
                yield f"{name} needs {needed.name}{needed.specifier}, but {version} is pinned"
        elif key not in BASE_PACKAGES and key not in UNUSED.get(name, ()):
            yield f"{name} needs {needed.name}{needed.specifier}"
