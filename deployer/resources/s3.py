"""S3: the bucket that holds the models, and each model's file in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json, canonical_policy, tag_list, tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError, DeployerError, ForeignResource
from deployer.resources.base import Ownership, Resource, Tags, changed

_ABSENT = ("NoSuchBucket", "NoSuchKey", "404")
_FORBIDDEN = ("AccessDenied", "403")


def not_ready(error: AwsError) -> str | None:
    """S3 refuses a second write on a bucket for a while, and may not see a new bucket yet (R-17,
    R-18).
    """
    busy = error.code in ("OperationAborted", "NoSuchBucket")
    return "for S3: the bucket is not ready for another change yet" if busy else None


class Bucket(Resource):
    """A private bucket. Its name holds account and region, so only this account can own it here
    (S3-3).

    Fields: `tags` (those that mark ownership; others' tags stay), `encryption`,
    `public_access_block`, `object_ownership`, `policy`.
    """

    exists = ("BucketAlreadyOwnedByYou",)
    holds_data = True

    def __init__(
        self, key: str, *, name: str, account: str, ours: Ownership, fields: Fields | None = None
    ) -> None:
        super().__init__(key, fields)
        self.name = name
        self.ours = ours
        self._owner = {"Bucket": name, "ExpectedBucketOwner": account}

    def read(self, aws: Aws) -> State | None:
        return self._unless_absent(
            lambda: {"tags": self._read_tags(aws), **self._read_settings(aws)}
        )

    def find(self, aws: Aws) -> State | None:
        return self._unless_absent(lambda: {"tags": self._read_tags(aws)})

    @staticmethod
    def _unless_absent(read: Callable[[], Fields]) -> State | None:
        try:
            return State(read())
        except AwsError as error:
            if error.code in _ABSENT:  # not everywhere yet, or not any more
                return None
            raise

    def _read_settings(self, aws: Aws) -> Fields:
        def ask(missing: str, operation: str) -> Callable[[], Any]:
            return lambda: aws.find((missing,), "s3", operation, **self._owner)

        encryption, access, ownership, policy = aws.together(
            ask("ServerSideEncryptionConfigurationNotFoundError", "get_bucket_encryption"),
            ask("NoSuchPublicAccessBlockConfiguration", "get_public_access_block"),
            ask("OwnershipControlsNotFoundError", "get_bucket_ownership_controls"),
            ask("NoSuchBucketPolicy", "get_bucket_policy"),
        )
        rules = encryption["ServerSideEncryptionConfiguration"]["Rules"] if encryption else []
        return {
            "encryption": rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
            if rules
            else None,
            "public_access_block": access["PublicAccessBlockConfiguration"] if access else None,
            "object_ownership": ownership["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
            if ownership
            else None,
            "policy": canonical_policy(policy["Policy"]) if policy else None,
        }

    def _read_tags(self, aws: Aws) -> Tags:
        """Return the tags. An empty bucket without any tag is one that we did not finish."""
        try:
            answer = aws.find(("NoSuchTagSet",), "s3", "get_bucket_tagging", **self._owner)
        except AwsError as error:
            if error.code in _FORBIDDEN:
                raise _not_ours(self.name) from error
            raise
        tags = tags_from(answer["TagSet"]) if answer else {}
        if tags or any(True for _ in aws.pages("s3", "list_objects_v2", "Contents", **self._owner)):
            self.ours.check(f"S3 bucket {self.name}", tags)
        return self.ours.among(tags)

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters: dict[str, Any] = {
            "Bucket": self.name,
            "ObjectOwnership": desired["object_ownership"],
        }
        if (
            aws.region != "us-east-1"
        ):  # S3-1: there the constraint must be absent, elsewhere present
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": aws.region}
        aws.retry(lambda: aws.call("s3", "create_bucket", **parameters), when=not_ready)
        # Tags come first: they mark the bucket as ours if the run ends here.
        for name in ("tags", "encryption", "public_access_block", "object_ownership", "policy"):
            self._put(aws, name, desired[name])
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(
            change, "tags"
        ):  # PutBucketTagging replaces the whole set, and others' tags stay (GEN-12)
            answer = aws.find(("NoSuchTagSet",), "s3", "get_bucket_tagging", **self._owner)
            self._put(
                aws, "tags", {**(tags_from(answer["TagSet"]) if answer else {}), **desired["tags"]}
            )
        for name in ("encryption", "public_access_block", "object_ownership", "policy"):
            if changed(change, name):
                self._put(aws, name, desired[name])
        return {}

    def _put(self, aws: Aws, name: str, value: Any) -> None:
        operation, parameters = self._write(name, value)
        aws.retry(lambda: aws.call("s3", operation, **self._owner, **parameters), when=not_ready)

    @staticmethod
    def _write(name: str, value: Any) -> tuple[str, dict[str, Any]]:
        """Return the call that sets a field, or the one that removes it when its value is None."""
        if name == "tags":
            return "put_bucket_tagging", {"Tagging": {"TagSet": tag_list(value)}}
        if name == "encryption":
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": value}}
            return "put_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}
        if name == "public_access_block":
            return "put_public_access_block", {"PublicAccessBlockConfiguration": value}
        if name == "object_ownership":
            rules = {"Rules": [{"ObjectOwnership": value}]}
            return "put_bucket_ownership_controls", {"OwnershipControls": rules}
        if value is None:
            return "delete_bucket_policy", {}
        return "put_bucket_policy", {"Policy": canonical_json(value)}

    def delete(self, aws: Aws) -> None:
        try:
            self._delete(aws)
        except AwsError as error:
            if error.code not in _ABSENT:
                raise

    def _delete(self, aws: Aws) -> None:
        delete = partial(
            aws.retry, lambda: aws.call("s3", "delete_bucket", **self._owner), when=being_changed
        )
        try:
            delete()
            return
        except AwsError as error:
            if (
                error.code != "BucketNotEmpty"
            ):  # S3-7: be it with an old version, or with the mark of a deletion
                raise
        others = self._others_objects(aws)
        if others:
            raise ForeignResource(
                f"S3 bucket {self.name} holds what is not ours: {', '.join(others)}",
                "move or delete it, then run the command again, or keep the bucket: down "
                "--keep-data",
            )
        _empty(aws, self._owner, prefix="")
        delete()

    def _others_objects(self, aws: Aws) -> list[str]:
        """Return what lies, or lay, beside `models/`, folder by folder: no deploy of ours put it
        there.
        """
        page = aws.call(
            "s3", "list_object_versions", **self._owner, Delimiter="/"
        )  # enough: ours are one folder
        found = [
            *page.get("Versions", ()),
            *page.get("DeleteMarkers", ()),
            *page.get("CommonPrefixes", ()),
        ]
        return sorted({each.get("Key") or each["Prefix"] for each in found} - {"models/"})


def _not_ours(bucket: str) -> ForeignResource:
    return ForeignResource(
        f"S3 bucket {bucket} belongs to another account, or these credentials may not read it "
        f"(S3-5)",
        "it is left alone: choose another service or stage name (DEPLOYER_SERVICE, --stage), or "
        "allow s3:ListBucket and "
        "s3:GetBucketTagging",
    )


def being_changed(error: AwsError) -> str | None:
    busy = error.code == "OperationAborted"
    return "for S3: another change of the bucket is still under way" if busy else None


def _empty(aws: Aws, owner: dict[str, str], prefix: str) -> None:
    """Delete every object under a prefix, with all versions and delete markers (S3-7), 1,000 at a
    time (S3-8).
    """
    while True:
        page = aws.call("s3", "list_object_versions", **owner, Prefix=prefix)
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if not found:
            return
        more = page.get("IsTruncated", False)
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        answer = aws.call(
            "s3", "delete_objects", **owner, Delete={"Objects": objects, "Quiet": True}
        )
        for failed in answer.get("Errors", ()):  # S3-8: failures hide in a successful answer
            raise AwsError(
                failed["Code"], f"{failed['Key']}: {failed['Message']}", operation="DeleteObjects"
            )
        if not more:
            return


class ModelFile(Resource):
    """A model's file, content-addressed: `models/<name>/<sha256>.joblib`. A changed model is a new
    key.

    Files of former versions stay, because published function versions still load them; deleting the
    resource deletes all.
    Fields: `key`, `sha256`.
    """

    holds_data = True
    part_of = "bucket"

    def __init__(
        self,
        key: str,
        *,
        name: str,
        bucket: str,
        account: str,
        path: Path | None = None,
        fields: Fields | None = None,
        needs: Collection[str] = (),
    ) -> None:
        super().__init__(key, fields, needs)
        self.name = name
        self.prefix = f"models/{name}/"
        self.path = path
        self._owner = {"Bucket": bucket, "ExpectedBucketOwner": account}

    def read(self, aws: Aws) -> State | None:
        if not self.fields:
            return State({}) if self.name in self._names(aws) else None
        answer = aws.find(_ABSENT, "s3", "head_object", **self._owner, Key=self.fields["key"])
        if answer is None:
            # An older file is no reason to call this an update: nothing of it will change.
            return None
        return State({"key": self.fields["key"], "sha256": answer["Metadata"].get("sha256")})

    def _names(self, aws: Aws) -> set[str]:
        return model_names(aws, self._owner["Bucket"], self._owner["ExpectedBucketOwner"])

    def create(self, aws: Aws, desired: Fields) -> Fields:
        assert self.path is not None, "only a declared model is created"
        content = self.path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != desired["sha256"]:
            raise DeployerError(
                f"{self.path} changed while it was being deployed: its sha256 is {found}, not "
                f"{desired['sha256']}",
                "run the command again",
            )
        parameters = {
            **self._owner,
            "Key": desired["key"],
            "Body": content,
            "Metadata": {"sha256": found},
        }
        aws.retry(
            lambda: aws.call(
                "s3", "put_object", **parameters, ContentType="application/octet-stream"
            ),
            when=not_ready,
        )
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        return self.create(aws, desired)

    def delete(self, aws: Aws) -> None:
        try:
            _empty(aws, self._owner, self.prefix)
        except AwsError as error:
            if error.code not in _ABSENT:
                raise


def model_names(aws: Aws, bucket: str, account: str) -> set[str]:
    """Return the names of the models that have files in the bucket, listed once in a pass; none
    without a bucket.
    """
    owner = {"Bucket": bucket, "ExpectedBucketOwner": account}

    def names() -> set[str]:
        try:
            folders = aws.pages(
                "s3", "list_objects_v2", "CommonPrefixes", **owner, Prefix="models/", Delimiter="/"
            )
            return {folder["Prefix"].split("/")[1] for folder in folders}
        except AwsError as error:
            if error.code not in (*_ABSENT, *_FORBIDDEN):  # the bucket itself says which
                raise
            return set()

    found = aws.once(("models", bucket), names)
    return names() if found is None else found
