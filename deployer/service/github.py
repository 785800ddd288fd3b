"""The trust policy of a role that workflows of GitHub Actions assume by OpenID Connect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from deployer.project.settings import Settings

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
_REPOSITORY = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}"
_NAME = r"[^\s*?\x00-\x1f]+(?: [^\s*?\x00-\x1f]+)*"  # what IAM would take for a pattern is none


@dataclass(frozen=True)
class Workflows:
    """The runs that may assume the role.

    Of an environment if one is named; else of pull requests, or of a branch.
    """

    repository: str
    branch: str = "main"
    environment: str | None = None
    pull_requests: bool = False

    @property
    def subject(self) -> str:
        """GitHub's name of these runs, the claim `sub` of their tokens."""
        if self.environment is not None:
            # GitHub writes a colon so in this claim.
            return f"repo:{self.repository}:environment:{self.environment.replace(':', '%3A')}"
        if self.pull_requests:
            return f"repo:{self.repository}:pull_request"
        return f"repo:{self.repository}:ref:refs/heads/{self.branch}"


def is_repository(text: str) -> bool:
    """Tell whether a text is OWNER/REPO."""
    return re.fullmatch(_REPOSITORY, text) is not None


def is_name(text: str) -> bool:
    """Tell whether a text may name a branch or an environment."""
    return re.fullmatch(_NAME, text) is not None


def trust(settings: Settings, workflows: Workflows) -> dict[str, Any]:
    """Return the trust policy: these runs, with tokens that were made for AWS."""
    provider = f"arn:{settings.partition}:iam::{settings.account}:oidc-provider/{ISSUER}"
    claims = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": workflows.subject}
    statement = {
        "Sid": "GitHubActions",
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": claims},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
