"""The contents of releases: what the function versions serve that they name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any

from deployer.aws.access import Aws
from deployer.project.models import VERSION_DIGITS, described_metric
from deployer.project.settings import Settings
from deployer.resources.ecr import stored_images
from deployer.resources.lambda_ import OwnedFunction
from deployer.resources.s3 import ModelFiles
from deployer.service.ownership import ownership
from deployer.service.releases import functions_of


@dataclass(frozen=True)
class FunctionVersion:
    """A version of a function, as Lambda describes it; $LATEST is one too."""

    name: str
    configuration: Mapping[str, Any]

    @property
    def arn(self) -> str:
        return str(self.configuration["FunctionArn"])

    @property
    def number(self) -> str:
        return str(self.configuration["Version"])

    @property
    def is_published(self) -> bool:
        return self.number != "$LATEST"

    @property
    def modified(self) -> datetime:
        # Such as 2026-11-26T14:05:47.948+0000; always UTC.
        seconds = str(self.configuration["LastModified"])[:19]
        return datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc)

    @property
    def environment(self) -> Mapping[str, str]:
        variables: Mapping[str, str] = (self.configuration.get("Environment") or {}).get(
            "Variables", {}
        )
        return variables

    @property
    def model(self) -> str | None:
        """The model's version, as answers name it."""
        return self.environment.get("SHA256", "")[:VERSION_DIGITS] or None

    @property
    def metric(self) -> tuple[str, float] | None:
        """The name and the value of the model's main metric."""
        return described_metric(str(self.configuration.get("Description", "")))

    @property
    def image(self) -> str:
        """The digest of its image (Img-12)."""
        return f"sha256:{self.configuration['CodeSha256']}"

    @property
    def bucket(self) -> str:
        """The bucket from which it loads them."""
        return self.environment.get("BUCKET", "")

    @cached_property
    def files(self) -> frozenset[str]:
        """The keys of the files in the bucket that it loads."""
        keys = (self.environment.get(name) for name in ("KEY", "SIGNATURE_KEY"))
        return frozenset(key for key in keys if key)


def read_versions(
    aws: Aws, settings: Settings, names: Iterable[str]
) -> dict[str, list[FunctionVersion]]:
    """Return all versions of functions, oldest first and $LATEST last; none of one that is gone."""
    known = list(names)
    functions = [owned_function(settings, name) for name in known]
    answers = aws.together(*(partial(function.all_versions, aws) for function in functions))
    return {
        name: [FunctionVersion(name, configuration) for configuration in versions]
        for name, versions in zip(known, answers, strict=True)
    }


@dataclass(frozen=True)
class Contents:
    """What the account holds that releases may need.

    Args:
        versions: of functions, by ARN.
        files: the keys of all files of models; of another bucket than the settings', with its name
            before them.
        images: the digests of all images that can be pulled.
    """

    versions: Mapping[str, FunctionVersion]
    files: frozenset[str]
    images: frozenset[str]

    def missing(self, settings: Settings, workflow: Mapping[str, Any]) -> Iterator[str]:
        """Yield a line for each part of a workflow that is gone.

        Lists do not say whether Lambda can run a version (Lambda-35); the proof does.
        """
        for name, arns in functions_of(settings, workflow).items():
            for arn in arns:
                number = arn.rpartition(":")[2]
                version = self.versions.get(arn)
                if version is None:
                    yield f"version {number} of the function {settings.function_name(name)} is gone"
                    continue
                if version.image not in self.images:
                    yield f"the image of {name} {number} is gone: {version.image}"
                bucket = version.bucket or settings.bucket
                for key in sorted(version.files):
                    if (key if bucket == settings.bucket else f"{bucket}/{key}") not in self.files:
                        yield f"the file {key} of {name} {number} is gone from {bucket}"


def read_contents(aws: Aws, settings: Settings, names: Collection[str]) -> Contents:
    """Read the versions and the files of functions, and all images.

    Args:
        names: of functions.
    """
    versions, images, *files = aws.together(
        lambda: read_versions(aws, settings, names),
        lambda: stored_images(aws, settings.repository),
        *(partial(model_files(settings, name).files, aws) for name in names),
    )
    found = {key for keys in files for key in keys}
    other = settings.other_bucket
    if any(version.bucket == other for listed in versions.values() for version in listed):
        elsewhere = (partial(model_files(settings, name, other).files, aws) for name in names)
        found |= {f"{other}/{key}" for keys in aws.together(*elsewhere) for key in keys}
    return Contents(
        {version.arn: version for listed in versions.values() for version in listed},
        frozenset(found),
        frozenset(image.digest for image in images if image.usable),
    )


def owned_function(settings: Settings, name: str) -> OwnedFunction:
    """Return a function of this service, by its name in the workflow."""
    return OwnedFunction(
        f"function/{name}", name=settings.function_name(name), ours=ownership(settings)
    )


def model_files(settings: Settings, name: str, bucket: str = "") -> ModelFiles:
    """Return the files of a model, by its name; by default in the settings' bucket."""
    return ModelFiles(
        f"model/{name}", name=name, bucket=bucket or settings.bucket, account=settings.account
    )
