"""ECR: the repository, and the function image in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

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
from deployer.resources.base import Ownership, Resource, Tags, changed

_ABSENT = ("RepositoryNotFoundException",)
# ECR-3: these codes mean "not configured", not "repository gone".
_NO_POLICY = ("RepositoryPolicyNotFoundException",)
_NO_LIFECYCLE = ("LifecyclePolicyNotFoundException",)
_OUR_TAG = re.compile(r"[0-9a-f]{40}")  # images.context.Context.image_tag

# Img-7: what Lambda accepts. An index or a manifest list it does not.
LAMBDA_MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)


def not_ready(error: AwsError) -> str | None:
    """A new repository is not seen yet, or its policy's principal is not (R-14, R-15)."""
    if (
        error.code == "InvalidParameterException"
        and "Invalid repository policy" in error.aws_message
    ):
        return "for ECR: the repository policy is not accepted yet"
    return "for ECR: the new repository is not seen yet" if error.code in _ABSENT else None


class Repository(Resource):
    """The image repository.

    Fields: `tags`, `tag_mutability`, `scan_on_push`, `policy`, `lifecycle_policy`, `encryption`
        (fixed at creation, ECR-2).
    """

    replace_on = ("encryption",)
    exists = ("RepositoryAlreadyExistsException",)

    def __init__(
        self, key: str, *, name: str, ours: Ownership, fields: Fields | None = None
    ) -> None:
        super().__init__(key, fields)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        found = self._describe(aws)
        if found is None:
            return None
        repository = {"repositoryName": self.name}
        tags, policy, lifecycle = aws.together(
            lambda: self._read_tags(aws, found),
            lambda: aws.find((*_ABSENT, *_NO_POLICY), "ecr", "get_repository_policy", **repository),
            lambda: aws.find(
                (*_ABSENT, *_NO_LIFECYCLE), "ecr", "get_lifecycle_policy", **repository
            ),
        )
        if tags is None:
            return None
        return State(
            {
                "tags": tags,
                "tag_mutability": found["imageTagMutability"],
                "scan_on_push": found["imageScanningConfiguration"]["scanOnPush"],
                "encryption": found["encryptionConfiguration"]["encryptionType"],
                "policy": canonical_policy(policy["policyText"]) if policy else None,
                "lifecycle_policy": canonical_lifecycle(lifecycle["lifecyclePolicyText"])
                if lifecycle
                else None,
            },
            {"arn": found["repositoryArn"]},
        )

    def find(self, aws: Aws) -> State | None:
        found = self._describe(aws)
        tags = self._read_tags(aws, found) if found else None
        return None if tags is None else State({"tags": tags})

    def _describe(self, aws: Aws) -> dict[str, Any] | None:
        answer = aws.find(_ABSENT, "ecr", "describe_repositories", repositoryNames=[self.name])
        return answer["repositories"][0] if answer else None

    def _read_tags(self, aws: Aws, found: dict[str, Any]) -> Tags | None:
        """Return the tags about ownership; None if the repository went meanwhile."""
        answer = aws.find(
            _ABSENT, "ecr", "list_tags_for_resource", resourceArn=found["repositoryArn"]
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
            imageTagMutability=desired["tag_mutability"],
            imageScanningConfiguration={"scanOnPush": desired["scan_on_push"]},
            encryptionConfiguration={"encryptionType": desired["encryption"]},
        )
        for name in ("policy", "lifecycle_policy"):
            if desired[name] is not None:
                self._put(aws, name, desired[name])
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            arn = actual.outputs["arn"]
            aws.retry(
                lambda: aws.call(
                    "ecr", "tag_resource", resourceArn=arn, tags=tag_list(desired["tags"])
                ),
                when=not_ready,
            )
        for name in ("tag_mutability", "scan_on_push", "policy", "lifecycle_policy"):
            if changed(change, name):
                self._put(aws, name, desired[name])
        return {}

    def _put(self, aws: Aws, name: str, value: Any) -> None:
        operation, parameters = self._write(name, value)
        gone = (
            *_NO_POLICY,
            *_NO_LIFECYCLE,
        )  # only what removes answers so: somebody was faster, or an answer was lost
        aws.retry(
            lambda: aws.find(gone, "ecr", operation, repositoryName=self.name, **parameters),
            when=not_ready,
        )

    @staticmethod
    def _write(name: str, value: Any) -> tuple[str, dict[str, Any]]:
        """Return the call that sets a field, or the one that removes it when its value is None
        (ECR-3).
        """
        if name == "tag_mutability":
            return "put_image_tag_mutability", {"imageTagMutability": value}
        if name == "scan_on_push":
            return "put_image_scanning_configuration", {
                "imageScanningConfiguration": {"scanOnPush": value}
            }
        if value is None:
            return (
                "delete_repository_policy" if name == "policy" else "delete_lifecycle_policy"
            ), {}
        if name == "policy":
            return "set_repository_policy", {"policyText": canonical_json(value)}
        return "put_lifecycle_policy", {"lifecyclePolicyText": canonical_json(value)}

    def delete(self, aws: Aws) -> None:
        others = self._others_images(aws)
        if others:
            raise ForeignResource(
                f"ECR repository {self.name} holds images that are not ours: {', '.join(others)}",
                "move or delete them, then run the command again",
            )
        if (
            aws.find(_ABSENT, "ecr", "delete_repository", repositoryName=self.name, force=True)
            is None
        ):
            return

        def gone() -> bool | None:  # ECR-4, ECR-11: asynchronous, and there is no waiter
            return (
                True
                if aws.find(_ABSENT, "ecr", "describe_repositories", repositoryNames=[self.name])
                is None
                else None
            )

        aws.wait_until(gone, reason="for ECR: the repository is being deleted")

    def _others_images(self, aws: Aws) -> list[str]:
        """Return the tags that no deploy of ours made; what has no tag is a part of an image of
        ours that was refused.
        """
        images = aws.pages("ecr", "list_images", "imageIds", repositoryName=self.name)
        try:
            return sorted(
                each["imageTag"]
                for each in images
                if not _OUR_TAG.fullmatch(each.get("imageTag", "0" * 40))
            )
        except AwsError as error:
            if error.code in _ABSENT:
                return []
            raise


class Image(Resource):
    """The function image. Its tag is the hash of all that goes in, so an image of that tag is never
    out of date.

    Args:
        build: makes the image, pushes it under the tag and returns its digest (images.build).
    Fields: `tag`. Outputs: `digest`, `sha256:…`; functions are pinned by it (Img-12).
    """

    def __init__(
        self,
        key: str,
        *,
        repository: str,
        build: Callable[[Aws, Tell], str] | None = None,
        fields: Fields | None = None,
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.repository = repository
        self.build = build

    def read(self, aws: Aws) -> State | None:
        if not self.fields:
            return None  # deleted with its repository
        missing = (*_ABSENT, "ImageNotFoundException")
        tag = self.fields["tag"]
        answer = aws.find(
            missing,
            "ecr",
            "describe_images",
            repositoryName=self.repository,
            imageIds=[{"imageTag": tag}],
        )
        if answer is None:
            return None
        image = answer["imageDetails"][0]
        media_type = image.get("imageManifestMediaType")
        if media_type is not None and media_type not in LAMBDA_MEDIA_TYPES:
            raise AwsError(
                "UnsupportedImage",
                f"image {self.repository}:{tag} is a {media_type}, which Lambda refuses (Img-4)",
                advice="delete the image and run up again; builds of your own need "
                "--provenance=false and one platform",
            )
        return State({"tag": tag}, {"digest": image["imageDigest"]})

    def create(self, aws: Aws, desired: Fields) -> Fields:
        assert self.build is not None, "only a declared image is created"
        return {"digest": self.build(aws, aws.tell)}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        raise AssertionError("an image's only field is its tag, under which it was found")

    def delete(self, aws: Aws) -> None:
        """Do nothing: images go with their repository, and former versions of a function need
        theirs until then.
        """
