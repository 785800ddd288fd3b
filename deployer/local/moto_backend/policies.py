"""The policies in moto's account: of roles, of buckets, and of repositories of images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.local.process import ACCOUNT

Document = Mapping[str, Any]
_PARTITION = "aws"


@dataclass(frozen=True)
class Role:
    """A role's policies. `boundary`: None where it has none, or one that AWS itself manages."""

    arn: str
    trust: Document
    policies: tuple[Document, ...]
    boundary: Document | None


def role(arn: str) -> Role | None:
    """Return a role by its ARN."""
    from moto.iam.models import iam_backends

    backend = iam_backends[ACCOUNT][_PARTITION]
    found = next((one for one in backend.get_roles() if one.arn == arn), None)
    if found is None:
        return None
    managed = (_default_version(policy) for policy in found.managed_policies.values())
    limit = backend.managed_policies.get(found.permissions_boundary_arn or "")
    return Role(
        arn,
        json.loads(found.assume_role_policy_document),
        (*(json.loads(text) for text in found.policies.values()), *managed),
        _default_version(limit) if limit else None,
    )


def _default_version(policy: Any) -> Document:
    text = next(version.document for version in policy.versions if version.is_default)
    document: Document = json.loads(text)
    return document


def of_bucket(name: str) -> Document | None:
    """Return a bucket's policy; None without one."""
    from moto.s3.models import s3_backends

    bucket = s3_backends[ACCOUNT][_PARTITION].buckets.get(name)
    return json.loads(bucket.policy) if bucket and bucket.policy else None


def of_repository(uri: str, region: str) -> Document | None:
    """Return the policy of the repository of an image; None without one."""
    from moto.ecr.models import ecr_backends

    name = uri.partition("@")[0].partition("/")[2]
    repository = ecr_backends[ACCOUNT][region].repositories.get(name)
    return json.loads(repository.policy) if repository and repository.policy else None
