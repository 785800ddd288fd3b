"""The last step of a run that made a release: delete what no kept release needs.

Kept are the newest releases, as many as the setting `keep_releases` says. What they need stays:
versions of functions, files of models, images. So does what `$LATEST` or the newest version of a
function uses, and all that is younger than a day: another run may be under way, and executions
start on the former definition for some seconds (Sfn-12).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from deployer.aws.access import Aws
from deployer.project.settings import Settings
from deployer.resources.ecr import delete_images, stored_images
from deployer.service.contents import (
    FunctionVersion,
    model_files,
    owned_function,
    read_versions,
)
from deployer.service.inventory import live_functions
from deployer.service.releases import (
    PublishedRelease,
    functions_of,
    read_releases,
    window,
    workflow_of,
)

_SPARED = timedelta(days=1)


Versions = Mapping[str, Sequence[FunctionVersion]]  # by function; oldest first, $LATEST last


def prune(aws: Aws, settings: Settings, newest: int) -> str:
    """Delete what no kept release needs; return a line that says what, "" for nothing.

    Args:
        newest: the number of the newest release.
    """
    if newest <= settings.keep_releases:  # no number is given twice, so all are kept
        return ""
    before = aws.now - _SPARED
    machine = workflow_of(settings)
    listed = machine.versions(aws)
    releases = read_releases(aws, settings, listed)
    if len(releases) < len(listed) or not releases or releases[0].number < newest:
        return ""  # reads lag behind (Sfn-12): what is used is not known
    kept = window(releases, settings.keep_releases)
    old = [release for release in releases[len(kept) :] if release.created < before]
    # Releases go first: what is not whole any more must not be offered. One with an alias stays.
    gone = aws.together(*(partial(machine.delete_version, aws, release.version) for release in old))
    deleted = {release.number for release, is_gone in zip(old, gone, strict=True) if is_gone}
    staying = [release for release in releases if release.number not in deleted]
    counts = {"release": len(deleted)}
    versions = read_versions(aws, settings, live_functions(aws, settings))
    known = {version.arn for found in versions.values() for version in found}
    # of a list that lags behind, files and images would seem unused.
    if all(versions.values()) and _named(settings, staying[:1]) <= known:
        counts |= _delete_unused(aws, settings, versions, _named(settings, staying), before)
    return _said(counts)


def _delete_unused(
    aws: Aws, settings: Settings, versions: Versions, named: Collection[str], before: datetime
) -> dict[str, int]:
    """Delete versions of functions, files and images that nothing uses; return how many."""
    surplus = {name: _surplus(found, named, before) for name, found in versions.items()}
    deleted = _delete_versions(aws, settings, surplus)
    staying = {
        name: [version for version in found if version.arn not in deleted]
        for name, found in versions.items()
    }
    return {
        "version of a function": len(deleted),
        "file of a model": _delete_files(aws, settings, staying, before),
        "image": _delete_images(aws, settings, staying, before),
    }


def _named(settings: Settings, releases: Collection[PublishedRelease]) -> set[str]:
    """Return the ARNs of the function versions that releases name."""
    return {
        arn
        for release in releases
        for arns in functions_of(settings, release.definition.workflow).values()
        for arn in arns
    }


def _surplus(
    versions: Sequence[FunctionVersion], named: Collection[str], before: datetime
) -> list[FunctionVersion]:
    """Return the published versions of a function that may go; the newest one stays."""
    published = [version for version in versions if version.is_published]
    return [
        version
        for version in published[:-1]
        if version.arn not in named and version.modified < before
    ]


def _delete_versions(aws: Aws, settings: Settings, surplus: Versions) -> set[str]:
    """Delete versions, and return the ARNs of those that are gone: not those with an alias."""

    def delete(name: str) -> list[str]:
        function = owned_function(settings, name)
        numbers = function.delete_versions(aws, [version.number for version in surplus[name]])
        return [version.arn for version in surplus[name] if version.number in numbers]

    return {
        arn for arns in aws.together(*(partial(delete, name) for name in surplus)) for arn in arns
    }


def _delete_files(aws: Aws, settings: Settings, staying: Versions, before: datetime) -> int:
    def delete(name: str) -> int:
        used = {key for version in staying[name] for key in version.files}
        files = model_files(settings, name)
        written = files.files(aws)
        surplus = [key for key, time in written.items() if key not in used and time < before]
        files.delete_files(aws, surplus)
        return len(surplus)

    return sum(aws.together(*(partial(delete, name) for name in staying)))


def _delete_images(aws: Aws, settings: Settings, staying: Versions, before: datetime) -> int:
    used = {version.image for listed in staying.values() for version in listed}
    surplus = [
        image.digest
        for image in stored_images(aws, settings.repository)
        if image.ours and image.digest not in used and image.pushed < before
    ]
    delete_images(aws, settings.repository, surplus)
    return len(surplus)


def _said(counts: Mapping[str, int]) -> str:
    plurals = {"version of a function": "versions of functions", "file of a model": "model files"}
    parts = [
        f"{count} {what if count == 1 else plurals.get(what, f'{what}s')}"
        for what, count in counts.items()
        if count
    ]
    if not parts:
        return ""
    shown = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return f"deleted what no kept release needs: {shown}"
