"""S3: the bucket that holds the models, and each model's file in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypedDict

from deployer.aws.access import Aws
from deployer.aws.translation import translated
from deployer.engine.compare import canonical_json, canonical_policy, tag_list, tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError, DeployerError, ForeignResource
from deployer.resources.base import Owned, Ownership, Policy, Resource, Tags, changed
from deployer.resources.fields import Setting, settings

_ANOTHER = "another"  # which one is live is in the function's environment
_ABSENT = ("NoSuchBucket", "NoSuchKey", "404")
_FORBIDDEN = ("AccessDenied", "403")
_DELETED_AT_ONCE = 1000
_EMPTYING = ("s3:ListBucketVersions", "s3:DeleteObject", "s3:DeleteObjectVersion")


def not_ready(error: AwsError) -> str | None:
    """Return why a write may succeed later: the bucket is new or being changed (R-17, R-18)."""
    busy = error.code in ("OperationAborted", "NoSuchBucket")
    return "for S3: the bucket is not ready for another change yet" if busy else None


class BucketFields(TypedDict):
    """The fields of a bucket, in the order in which they are set: tags first."""

    tags: Tags  # those that mark ownership; all others stay
    encryption: Annotated[
        str,
        Setting(
            "ServerSideEncryptionConfiguration.Rules[].ApplyServerSideEncryptionByDefault.SSEAlgorithm",
            get="get_bucket_encryption",
            missing=("ServerSideEncryptionConfigurationNotFoundError",),
            put="put_bucket_encryption",
        ),
    ]
    public_access_block: Annotated[
        Mapping[str, bool],
        Setting(
            "PublicAccessBlockConfiguration",
            get="get_public_access_block",
            missing=("NoSuchPublicAccessBlockConfiguration",),
            put="put_public_access_block",
        ),
    ]
    object_ownership: Annotated[
        str,
        Setting(
            "OwnershipControls.Rules[].ObjectOwnership",
            get="get_bucket_ownership_controls",
            missing=("OwnershipControlsNotFoundError",),
            put="put_bucket_ownership_controls",
        ),
    ]
    policy: Annotated[
        Policy,
        Setting(
            "Policy",
            parse=canonical_policy,
            write_as=canonical_json,
            get="get_bucket_policy",
            missing=("NoSuchBucketPolicy",),
            put="put_bucket_policy",
        ),
    ]


_SETTINGS = settings(BucketFields)


class OwnedBucket(Owned):
    """A bucket of ours, known by its name, which holds account and region (S3-3).

    Args:
        alien: whether a name that somebody else has is as good as absent.
    """

    holds_data = True
    reads: ClassVar[Collection[str]] = ("s3:GetBucketTagging", "s3:ListBucket")
    deletes = (*_EMPTYING, "s3:DeleteBucket")

    def __init__(
        self, key: str, *, name: str, account: str, ours: Ownership, alien: bool = False
    ) -> None:
        super().__init__(key)
        self.name = name
        self.ours = ours
        self.alien = alien
        self._owner = {"Bucket": name, "ExpectedBucketOwner": account}

    def find(self, aws: Aws) -> State | None:
        try:
            return self._unless_absent(lambda: {"tags": self._read_tags(aws)})
        except ForeignResource:
            if self.alien:
                return None
            raise

    @staticmethod
    def _unless_absent(read: Callable[[], Fields]) -> State | None:
        try:
            return State(read())
        except AwsError as error:
            if error.code in _ABSENT:  # not everywhere yet, or not any more
                return None
            raise

    def _read_tags(self, aws: Aws) -> Tags:
        """Return the ownership tags. An empty bucket without tags is one of an interrupted `up`."""
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
            # S3-7: old versions and delete markers count as well
            if error.code != "BucketNotEmpty":
                raise
        others = self._others_objects(aws)
        if others:
            raise ForeignResource(
                f"S3 bucket {self.name} holds objects of others: {', '.join(others)}",
                "move or delete it, then run the command again, or keep the bucket: down "
                "--keep-data",
            )
        _empty(aws, self._owner, prefix="")
        delete()

    def _others_objects(self, aws: Aws) -> list[str]:
        """Return the folders and keys beside `models/`, which no deploy of ours wrote."""
        # One page is enough: ours are one folder.
        page = aws.call("s3", "list_object_versions", **self._owner, Delimiter="/")
        entries = [
            *page.get("Versions", ()),
            *page.get("DeleteMarkers", ()),
            *page.get("CommonPrefixes", ()),
        ]
        return sorted({entry.get("Key") or entry["Prefix"] for entry in entries} - {"models/"})


class Bucket(OwnedBucket, Resource):
    """A private bucket.

    Args:
        regional: its name is of the account's own namespace (S3-18).
        remark: stands beside its change in a plan.
    """

    exists = ("BucketAlreadyOwnedByYou",)
    reads = (
        "s3:GetBucketTagging",
        "s3:GetEncryptionConfiguration",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:ListBucket",
    )
    finds = OwnedBucket.reads
    writes = (
        "s3:CreateBucket",
        "s3:PutBucketTagging",
        "s3:PutEncryptionConfiguration",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketOwnershipControls",
        "s3:PutBucketPolicy",
    )

    def __init__(
        self,
        key: str,
        *,
        name: str,
        account: str,
        ours: Ownership,
        fields: BucketFields,
        regional: bool = False,
        remark: str = "",
    ) -> None:
        Resource.__init__(self, key, fields)
        self.name = name
        self.ours = ours
        self.alien = False
        self.regional = regional
        self.remark = remark
        self._owner = {"Bucket": name, "ExpectedBucketOwner": account}

    def read(self, aws: Aws) -> State | None:
        return self._unless_absent(
            lambda: {"tags": self._read_tags(aws), **self._read_settings(aws)}
        )

    def _read_settings(self, aws: Aws) -> Fields:
        def get(setting: Setting) -> Any:
            answer = aws.find(setting.missing, "s3", setting.get, **self._owner)
            return setting.read(answer or {})

        values = aws.together(*(partial(get, setting) for setting in _SETTINGS.values()))
        return dict(zip(_SETTINGS, values, strict=True))

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters: dict[str, Any] = {
            "Bucket": self.name,
            "ObjectOwnership": desired["object_ownership"],
        }
        # S3-1: in us-east-1 the constraint must be absent, elsewhere present
        if aws.region != "us-east-1":
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": aws.region}
        if self.regional:
            parameters["BucketNamespace"] = "account-regional"
        aws.retry(lambda: aws.call("s3", "create_bucket", **parameters), when=not_ready)
        # Tags come first: they mark the bucket as ours if the run ends here.
        self._put_tags(aws, desired["tags"])
        for name in _SETTINGS:
            self._put(aws, name, desired[name])
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            # GEN-12: PutBucketTagging replaces the whole set, and other people's tags stay
            answer = aws.find(("NoSuchTagSet",), "s3", "get_bucket_tagging", **self._owner)
            tags = tags_from(answer["TagSet"]) if answer else {}
            ours = self.ours.among(tags)
            others = {key: value for key, value in tags.items() if key not in ours}
            self._put_tags(aws, {**others, **desired["tags"]})
        for name in _SETTINGS:
            if changed(change, name):
                self._put(aws, name, desired[name])
        return {}

    def _put_tags(self, aws: Aws, tags: Tags) -> None:
        tagging = {"TagSet": tag_list(tags)}
        aws.retry(
            lambda: aws.call("s3", "put_bucket_tagging", **self._owner, Tagging=tagging),
            when=not_ready,
        )

    def _put(self, aws: Aws, name: str, value: Any) -> None:
        operation, parameters = _SETTINGS[name].call(value)
        aws.retry(lambda: aws.call("s3", operation, **self._owner, **parameters), when=not_ready)


def _not_ours(bucket: str) -> ForeignResource:
    return ForeignResource(
        f"S3 bucket {bucket} belongs to another account, or these credentials lack "
        f"s3:GetBucketTagging or s3:ListBucket",  # S3-5
        "it is left alone: choose another service or stage name (DEPLOYER_SERVICE, --stage), or "
        "allow s3:ListBucket and s3:GetBucketTagging",
    )


def being_changed(error: AwsError) -> str | None:
    busy = error.code == "OperationAborted"
    return "for S3: another change of the bucket is still under way" if busy else None


def _empty(aws: Aws, owner: dict[str, str], prefix: str) -> None:
    """Delete every object under a prefix with all its versions (S3-7), 1,000 at a time (S3-8)."""
    while True:
        page = aws.call("s3", "list_object_versions", **owner, Prefix=prefix)
        versions = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if not versions:
            return
        more = page.get("IsTruncated", False)
        objects = [
            {"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions
        ]
        _delete_objects(aws, owner, objects)
        if not more:
            return


def _delete_objects(aws: Aws, owner: dict[str, str], objects: list[dict[str, str]]) -> None:
    answer = aws.call("s3", "delete_objects", **owner, Delete={"Objects": objects, "Quiet": True})
    for failed in answer.get("Errors", ()):  # S3-8: failures hide in a successful answer
        raise AwsError(
            failed["Code"], f"{failed['Key']}: {failed['Message']}", operation="DeleteObjects"
        )


class ModelFileFields(TypedDict):
    """The fields of a model's file, and the key of its signature beside it."""

    key: str
    sha256: str
    signature: str


class ModelFiles(Owned):
    """All files of a model, known by the model's name: `models/<name>/`."""

    holds_data = True
    part_of = "bucket"
    reads: ClassVar[Collection[str]] = ("s3:ListBucket",)
    deletes = _EMPTYING

    def __init__(
        self, key: str, *, name: str, bucket: str, account: str, needs: Collection[str] = ()
    ) -> None:
        super().__init__(key, needs)
        self.name = name
        self._owner = {"Bucket": bucket, "ExpectedBucketOwner": account}

    def find(self, aws: Aws) -> State | None:
        names = model_names(aws, self._owner["Bucket"], self._owner["ExpectedBucketOwner"])
        return State({}) if self.name in names else None

    def delete(self, aws: Aws) -> None:
        try:
            _empty(aws, self._owner, f"models/{self.name}/")
        except AwsError as error:
            if error.code not in _ABSENT:
                raise

    def head(self, aws: Aws, key: str) -> dict[str, Any] | None:
        """Return what S3 says of a file; None if it does not exist."""
        answer: dict[str, Any] | None = aws.find(
            _ABSENT, "s3", "head_object", **self._owner, Key=key
        )
        return answer

    def content(self, aws: Aws, key: str) -> bytes:
        """Return a file's bytes; raise AwsError if it does not exist."""
        answer = aws.call("s3", "get_object", **self._owner, Key=key)
        content: bytes = translated("get_object", answer["Body"].read)
        return content

    def files(self, aws: Aws) -> dict[str, datetime]:
        """Return the keys of all files, with the time when each was written."""
        prefix = f"models/{self.name}/"
        objects = aws.pages("s3", "list_objects_v2", "Contents", **self._owner, Prefix=prefix)
        return {file["Key"]: file["LastModified"] for file in objects}

    def delete_files(self, aws: Aws, keys: Collection[str]) -> None:
        """Delete files by their keys, 1,000 at a time (S3-8)."""
        waiting = sorted(keys)
        while waiting:
            objects = [{"Key": key} for key in waiting[:_DELETED_AT_ONCE]]
            del waiting[:_DELETED_AT_ONCE]
            _delete_objects(aws, self._owner, objects)


class ModelFile(ModelFiles, Resource):
    """A model's file and its signature: `models/<name>/<sha256>.joblib` and `.json`.

    Both are content-addressed. A changed model is a new key. Files of former versions stay, because
    published function versions still load them; deleting the resource deletes them all.
    """

    reads = (*ModelFiles.reads, "s3:GetObject")
    finds = ModelFiles.reads
    writes = ("s3:PutObject",)

    def __init__(
        self,
        key: str,
        *,
        name: str,
        bucket: str,
        account: str,
        path: Path,
        signature: bytes,
        fields: ModelFileFields,
        needs: Collection[str] = (),
    ) -> None:
        Resource.__init__(self, key, fields, needs)
        self.name = name
        self.path = path
        self.signature = signature
        self._owner = {"Bucket": bucket, "ExpectedBucketOwner": account}

    def read(self, aws: Aws) -> State | None:
        # An older file does not make this an update: nothing of it will change.
        file, signature = aws.together(
            lambda: self.head(aws, self.fields["key"]),
            lambda: self.head(aws, self.fields["signature"]),
        )
        if file is None:
            return None
        return State(
            {
                "key": self.fields["key"],
                "sha256": file["Metadata"].get("sha256"),
                "signature": self.fields["signature"] if self._is_whole(signature) else _ANOTHER,
            }
        )

    def _is_whole(self, head: dict[str, Any] | None) -> bool:
        sha256 = hashlib.sha256(self.signature).hexdigest()
        return head is not None and head["Metadata"].get("sha256") == sha256

    def create(self, aws: Aws, desired: Fields) -> Fields:
        self._put_file(aws, desired)
        self._put_signature(aws, desired)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if change.names != {"signature"}:
            self._put_file(aws, desired)
        if changed(change, "signature"):
            self._put_signature(aws, desired)
        return {}

    def _put_file(self, aws: Aws, desired: Fields) -> None:
        content = self.path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != desired["sha256"]:
            raise DeployerError(
                f"{self.path} changed while it was being deployed: its sha256 is {sha256}, not "
                f"{desired['sha256']}",
                "run the command again",
            )
        self._put(aws, desired["key"], content, sha256, "application/octet-stream")

    def _put_signature(self, aws: Aws, desired: Fields) -> None:
        sha256 = hashlib.sha256(self.signature).hexdigest()
        self._put(aws, desired["signature"], self.signature, sha256, "application/json")

    def _put(self, aws: Aws, key: str, content: bytes, sha256: str, kind: str) -> None:
        aws.retry(
            lambda: aws.call(
                "s3",
                "put_object",
                **self._owner,
                Key=key,
                Body=content,
                Metadata={"sha256": sha256},
                ContentType=kind,
            ),
            when=not_ready,
        )


def model_names(aws: Aws, bucket: str, account: str) -> set[str]:
    """Return the names of the models that have files in the bucket; none without a bucket.

    The bucket is listed once in a pass.
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

    remembered = aws.once(("models", bucket), names)
    return names() if remembered is None else remembered
