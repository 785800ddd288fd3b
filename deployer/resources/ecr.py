"""ECR: the repository, and the function image in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws, Tell
from deployer.engine.compare import (
    canonical_json,
    canonical_lifecycle,
    canonical_policy,
    tag_list,
    tags_from,
)
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError, ForeignResource
from deployer.resources.base import Ownership, Policy, Resource, Tags, changed, retag
from deployer.resources.fields import (
    Member,
    Setting,
    members,
    read_members,
    settings,
    write_members,
)

_ABSENT = ("RepositoryNotFoundException",)
# ECR-13: an archived image cannot be pulled. Pushing it again restores it.
_ACTIVE = "ACTIVE"
_DELETED_AT_ONCE = 100
_STAYING = ("ImageNotFound", "ImageReferencedByManifestList")
_OUR_TAG = re.compile(r"[0-9a-f]{40}")  # images.context.Context.image_tag

# Img-7: what Lambda accepts. An index or a manifest list it does not.
LAMBDA_MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)


def not_ready(error: AwsError) -> str | None:
    """Return why a write may succeed later: IAM's or ECR's replicas lag behind (R-14, R-15)."""
    if (
        error.code == "InvalidParameterException"
        and "Invalid repository policy" in error.aws_message
    ):
        return "for ECR: the repository policy is not accepted yet"
    return "for ECR: the new repository is not seen yet" if error.code in _ABSENT else None


class RepositoryFields(TypedDict):
    """The fields of a repository.

    ECR-3: `missing` holds codes that mean "not configured", not "no such repository".
    """

    tags: Tags
    encryption: Annotated[str, Member("encryptionConfiguration.encryptionType")]
    tag_mutability: Annotated[str, Setting("imageTagMutability", put="put_image_tag_mutability")]
    scan_on_push: Annotated[
        bool,
        Setting("imageScanningConfiguration.scanOnPush", put="put_image_scanning_configuration"),
    ]
    policy: Annotated[
        Policy,
        Setting(
            "policyText",
            parse=canonical_policy,
            write_as=canonical_json,
            get="get_repository_policy",
            missing=("RepositoryPolicyNotFoundException",),
            put="set_repository_policy",
        ),
    ]
    lifecycle_policy: Annotated[
        Mapping[str, Any],
        Setting(
            "lifecyclePolicyText",
            parse=canonical_lifecycle,
            write_as=canonical_json,
            get="get_lifecycle_policy",
            missing=("LifecyclePolicyNotFoundException",),
            put="put_lifecycle_policy",
        ),
    ]


_SETTINGS = settings(RepositoryFields)
# Fields with a call of their own to read them are set after the creation; all others by it.
_APART = {name: setting for name, setting in _SETTINGS.items() if setting.get}
_CREATED = {
    name: member for name, member in members(RepositoryFields).items() if name not in _APART
}


class Repository(Resource):
    """The image repository."""

    replace_on = ("encryption",)  # ECR-2
    exists = ("RepositoryAlreadyExistsException",)
    reads = (
        "ecr:DescribeRepositories",
        "ecr:ListTagsForResource",
        "ecr:GetRepositoryPolicy",
        "ecr:GetLifecyclePolicy",
    )
    finds = ("ecr:DescribeRepositories", "ecr:ListTagsForResource")
    writes = (
        "ecr:CreateRepository",
        "ecr:TagResource",
        "ecr:UntagResource",
        "ecr:PutImageTagMutability",
        "ecr:PutImageScanningConfiguration",
        "ecr:SetRepositoryPolicy",
        "ecr:PutLifecyclePolicy",
    )
    deletes = ("ecr:ListImages", "ecr:DeleteRepository")

    def __init__(self, key: str, *, name: str, ours: Ownership, fields: RepositoryFields) -> None:
        super().__init__(key, fields)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        repository = self._describe(aws)
        if repository is None:
            return None
        tags, *values = aws.together(
            partial(self._read_tags, aws, repository),
            *(partial(self._get, aws, setting) for setting in _APART.values()),
        )
        if tags is None:
            return None
        fields = {
            "tags": tags,
            **read_members(_CREATED, repository),
            **dict(zip(_APART, values, strict=True)),
        }
        return State(fields, {"arn": repository["repositoryArn"]})

    def _get(self, aws: Aws, setting: Setting) -> Any:
        missing = (*_ABSENT, *setting.missing)
        return setting.read(aws.find(missing, "ecr", setting.get, repositoryName=self.name) or {})

    def find(self, aws: Aws) -> State | None:
        repository = self._describe(aws)
        tags = self._read_tags(aws, repository) if repository else None
        return None if tags is None else State({"tags": tags})

    def _describe(self, aws: Aws) -> dict[str, Any] | None:
        answer = aws.find(_ABSENT, "ecr", "describe_repositories", repositoryNames=[self.name])
        return answer["repositories"][0] if answer else None

    def _read_tags(self, aws: Aws, repository: dict[str, Any]) -> Tags | None:
        """Return the ownership tags; None if the repository has been deleted meanwhile."""
        answer = aws.find(
            _ABSENT, "ecr", "list_tags_for_resource", resourceArn=repository["repositoryArn"]
        )
        if answer is None:
            return None
        tags = tags_from(answer["tags"])
        self.ours.check(f"ECR repository {self.name}", tags)
        return self.ours.among(tags)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        aws.call(
            "ecr",
            "create_repository",
            repositoryName=self.name,
            tags=tag_list(desired["tags"]),
            **write_members(_CREATED, desired),
        )
        for name in _APART:
            self._put(aws, name, desired[name])
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            self._retag(aws, desired, actual)
        for name in _SETTINGS:
            if changed(change, name):
                self._put(aws, name, desired[name])
        return {}

    @staticmethod
    def _retag(aws: Aws, desired: Fields, actual: State) -> None:
        def write(operation: str, **parameters: Any) -> None:
            arn = actual.outputs["arn"]
            aws.retry(
                lambda: aws.call("ecr", operation, resourceArn=arn, **parameters), when=not_ready
            )

        retag(
            desired["tags"],
            actual.fields["tags"],
            tag=lambda tags: write("tag_resource", tags=tag_list(tags)),
            untag=lambda keys: write("untag_resource", tagKeys=keys),
        )

    def _put(self, aws: Aws, name: str, value: Any) -> None:
        operation, parameters = _SETTINGS[name].call(value)
        aws.retry(
            lambda: aws.call("ecr", operation, repositoryName=self.name, **parameters),
            when=not_ready,
        )

    def delete(self, aws: Aws) -> None:
        others = self._others_images(aws)
        if others:
            raise ForeignResource(
                f"ECR repository {self.name} holds images that are not ours: {', '.join(others)}",
                "move or delete them, then run the command again",
            )
        deleted = aws.find(
            _ABSENT, "ecr", "delete_repository", repositoryName=self.name, force=True
        )
        if deleted is None:
            return

        def gone() -> bool | None:  # ECR-4, ECR-11: asynchronous, and there is no waiter
            return True if self._describe(aws) is None else None

        aws.wait_until(gone, reason="for ECR: the repository is being deleted")

    def _others_images(self, aws: Aws) -> list[str]:
        """Return the image tags that no deploy wrote.

        Images without a tag are left by a push of ours that Lambda's format check refused.
        """
        images = aws.pages("ecr", "list_images", "imageIds", repositoryName=self.name)
        try:
            return sorted(
                image["imageTag"]
                for image in images
                if not _OUR_TAG.fullmatch(image.get("imageTag", "0" * 40))
            )
        except AwsError as error:
            if error.code in _ABSENT:
                return []
            raise


@dataclass(frozen=True)
class StoredImage:
    """An image in a repository. `ours`: it has tags, and only such that deploys of ours write."""

    digest: str
    pushed: datetime
    usable: bool
    ours: bool


def stored_images(aws: Aws, repository: str) -> list[StoredImage]:
    """Return the images of a repository; none without it."""
    try:
        return [
            StoredImage(
                image["imageDigest"],
                image["imagePushedAt"],
                image.get("imageStatus", _ACTIVE) == _ACTIVE,
                _is_ours(image.get("imageTags") or ()),
            )
            for image in aws.pages(
                "ecr", "describe_images", "imageDetails", repositoryName=repository
            )
        ]
    except AwsError as error:
        if error.code in _ABSENT:
            return []
        raise


def _is_ours(tags: Collection[str]) -> bool:
    # The lifecycle rule looks after images without a tag, such as parts of somebody's index.
    return bool(tags) and all(_OUR_TAG.fullmatch(tag) for tag in tags)


def delete_images(aws: Aws, repository: str, digests: Collection[str]) -> None:
    """Delete images with all their tags, 100 at a time; those that are gone do not count."""
    waiting = sorted(digests)
    while waiting:
        ids = [{"imageDigest": digest} for digest in waiting[:_DELETED_AT_ONCE]]
        del waiting[:_DELETED_AT_ONCE]
        answer = aws.call("ecr", "batch_delete_image", repositoryName=repository, imageIds=ids)
        for failed in answer.get("failures", ()):
            if failed["failureCode"] not in _STAYING:
                digest = failed.get("imageId", {}).get("imageDigest", "")
                raise AwsError(
                    failed["failureCode"],
                    f"{digest}: {failed.get('failureReason', 'ECR gives no reason')}",
                    operation="BatchDeleteImage",
                )


class ImageFields(TypedDict):
    """The field of an image."""

    tag: str


class Image(Resource):
    """The function image. Its tag is the hash of its sources, so it is never out of date.

    Args:
        build: makes the image, pushes it under the tag and returns its digest (images.build).
    Outputs: `digest`, `sha256:...`; functions are pinned by it (Img-12).
    """

    reads = ("ecr:DescribeImages",)
    finds = ()  # it goes with its repository
    # images.ecr makes these calls; GetAuthorizationToken only with `--builder docker`.
    writes = (
        "ecr:BatchCheckLayerAvailability",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchDeleteImage",
        "ecr:GetAuthorizationToken",
    )

    def __init__(
        self,
        key: str,
        *,
        repository: str,
        build: Callable[[Aws, Tell], str],
        fields: ImageFields,
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.repository = repository
        self.build = build

    def read(self, aws: Aws) -> State | None:
        missing = (*_ABSENT, "ImageNotFoundException")
        tag = self.fields["tag"]
        answer = aws.find(
            missing,
            "ecr",
            "describe_images",
            repositoryName=self.repository,
            imageIds=[{"imageTag": tag}],
        )
        # ECR-14: an unknown tag can also be an empty answer.
        images = answer["imageDetails"] if answer else []
        if not images or images[0].get("imageStatus", _ACTIVE) != _ACTIVE:
            return None
        image = images[0]
        media_type = image.get("imageManifestMediaType")
        if media_type is not None and media_type not in LAMBDA_MEDIA_TYPES:
            raise AwsError(
                "UnsupportedImage",
                f"image {self.repository}:{tag} is a {media_type}, which Lambda refuses",  # Img-4
                advice="delete the image and run up again; builds of your own need "
                "--provenance=false and one platform",
            )
        return State({"tag": tag}, {"digest": image["imageDigest"]})

    def create(self, aws: Aws, desired: Fields) -> Fields:
        return {"digest": self.build(aws, aws.tell)}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        raise AssertionError("an image's only field is its tag, under which it was found")

    def delete(self, aws: Aws) -> None:
        """Do nothing: images are deleted with their repository.

        Until then, former versions of a function need theirs.
        """
