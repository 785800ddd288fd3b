"""IAM on the data plane of the local AWS: the service's own roles decide what it may do.

`up --local --enforce-iam` turns it on. Then API Gateway starts executions as the API's role, Step
Functions invokes functions as the workflow's role, and a function's process has credentials of its
own, whose requests are judged by the functions' role and the policies of the bucket and the
repository. The deployer's own requests carry the server's key, which may do everything.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deployer.local.evaluation import Request, Verdict, verdict
from deployer.local.invocation import Version
from deployer.local.moto_backend.policies import Document, Role
from deployer.local.process import ACCOUNT, REGION
from deployer.local.signed import Asked

# What a service says when a role does not trust it.
_NOT_TRUSTED = {
    "lambda.amazonaws.com": "The role defined for the function cannot be assumed by Lambda.",
    "states.amazonaws.com": "Neither the global service principal states.amazonaws.com, nor the "
    "regional one is authorized to assume the provided role.",
    "apigateway.amazonaws.com": "API Gateway cannot assume the role of the integration.",
}
_PULLING = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


class Denied(Exception):
    """IAM refuses, in AWS's words."""


class Policies(Protocol):
    """What is read of the account."""

    def role(self, arn: str) -> Role | None: ...
    def bucket_policy(self, name: str) -> Document | None: ...
    def repository_policy(self, function: str) -> Document | None: ...
    def function_role(self, function: str) -> str | None: ...
    def workflow_role(self, arn: str) -> str | None: ...


@dataclass(frozen=True)
class Session:
    """A role that is assumed under a name."""

    role: str  # its ARN: its policies may change while it is assumed
    name: str

    @property
    def caller(self) -> str:
        role = self.role.rpartition("/")[2]
        return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{self.name}"


@dataclass
class Enforcement:
    """Judges requests, while it is on."""

    account: Policies
    enabled: bool = False
    _sessions: dict[str, Session] = field(default_factory=dict)  # by access key
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def switch(self, enabled: bool) -> bool:
        """Turn it on or off, and forget all sessions; return whether that changed anything."""
        changed, self.enabled = enabled != self.enabled, enabled
        if changed:
            with self._lock:
                self._sessions.clear()
        return changed

    def has_session(self, access_key: str | None) -> bool:
        return access_key in self._sessions

    def check_start(self, role: str | None, workflow: str) -> None:
        """Raise Denied unless the API's role may start an execution, and that have its own role."""
        if not self.enabled:
            return
        session = self._assume(role, "apigateway.amazonaws.com", "BackplaneAssumeRoleSession")
        request = Request("states:StartSyncExecution", workflow, _context(workflow))
        self._require(session, request)
        own = self.account.workflow_role(workflow)
        if own is not None:
            self._assume(own, "states.amazonaws.com", "local", workflow)

    def check_task(self, role: str, function: str) -> None:
        """Raise Denied unless the workflow's role may invoke a function, by its name or ARN."""
        if not self.enabled:
            return
        name = function if function.startswith("arn:") else f"function:{function}"
        arn = name if name.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:{name}"
        request = Request("lambda:InvokeFunction", arn, _context(arn))
        self._require(Session(role, "local"), request)

    def credentials_for(self, version: Version) -> Mapping[str, str]:
        """Return the variables with a function's own credentials; none while this is off.

        Raises:
            Denied: Lambda may not pull the image, or not assume the role.
        """
        if not self.enabled:
            return {}
        function = version.arn.removesuffix(f":{version.version}")
        self._check_pull(function)
        role = self.account.function_role(version.arn)
        session = self._assume(role, "lambda.amazonaws.com", version.name, function)
        access_key = f"ASIA{secrets.token_hex(8).upper()}"
        with self._lock:
            self._sessions[access_key] = session
        return {
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
            "AWS_SESSION_TOKEN": secrets.token_urlsafe(60),
        }

    def may_log(self, region: str, group: str, stream: str) -> bool:
        """Tell whether a function's role may write to its log group (PERM-1)."""
        prefix = "/aws/lambda/"
        if not self.enabled or not group.startswith(prefix):
            return True
        function = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{group.removeprefix(prefix)}"
        role = self.account.role(self.account.function_role(function) or "")
        arn = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"
        return role is not None and all(
            _judged(role, Request(f"logs:{action}", arn, _context(arn))) is Verdict.ALLOWED
            for action in ("CreateLogStream", "PutLogEvents")
        )

    def check_session(self, access_key: str | None, asked: Asked) -> None:
        """Raise Denied unless the session of a key may do what a request asks for."""
        session = self._sessions.get(access_key or "")
        if session is None or asked.action == "sts:GetCallerIdentity":
            return
        request = Request(
            asked.action,
            asked.resource,
            {**_context(asked.resource), "aws:PrincipalArn": session.role},
            ("AWS", session.role),
        )
        policy = self.account.bucket_policy(asked.bucket) if asked.bucket else None
        self._require(session, request, [policy] if policy else [])

    def _check_pull(self, function: str) -> None:
        """Raise Denied unless Lambda may pull a function's image (PERM-8)."""
        policy = self.account.repository_policy(function)
        context = {"aws:SourceArn": function, "aws:SourceAccount": ACCOUNT}
        for action in _PULLING:
            request = Request(action, "*", context, ("Service", "lambda.amazonaws.com"))
            if verdict([policy] if policy else [], request) is not Verdict.ALLOWED:
                raise Denied(
                    "Lambda does not have permission to access the ECR image. Check the ECR "
                    "permissions."
                )

    def _assume(self, arn: str | None, service: str, name: str, source: str = "") -> Session:
        """Let a service assume a role; `source` is the ARN of the resource that it is for."""
        role = self.account.role(arn or "")
        context = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": source} if source else {}
        request = Request("sts:AssumeRole", arn or "", context, ("Service", service))
        if role is None or verdict([role.trust], request) is not Verdict.ALLOWED:
            raise Denied(_NOT_TRUSTED[service])
        return Session(role.arn, name)

    def _require(self, session: Session, request: Request, others: Sequence[Document] = ()) -> None:
        """Raise Denied unless the session's role, or a policy of the resource, allows a request."""
        role = self.account.role(session.role)
        own = _judged(role, request) if role else Verdict.NEUTRAL
        theirs = verdict(others, request)
        if Verdict.DENIED in (own, theirs):
            kind = "an identity-based" if own is Verdict.DENIED else "a resource-based"
            reason = f"with an explicit deny in {kind} policy"
        elif Verdict.ALLOWED in (own, theirs):
            return
        else:
            reason = f"because no identity-based policy allows the {request.action} action"
        where = f" on resource: {request.resource}" if request.resource else ""
        raise Denied(
            f"User: {session.caller} is not authorized to perform: {request.action}{where} {reason}"
        )


def _judged(role: Role, request: Request) -> Verdict:
    """Judge a request by a role's policies, within its permissions boundary."""
    found = verdict(role.policies, request)
    if role.boundary is None or found is not Verdict.ALLOWED:
        return found
    limit = verdict([role.boundary], request)
    return Verdict.ALLOWED if limit is Verdict.ALLOWED else limit


def _context(arn: str | None) -> dict[str, Any]:
    """Return the condition keys of every request; the resource's ARN names the region.

    The local AWS speaks HTTP; on AWS the same request comes over TLS.
    """
    parts = (arn or "").split(":")
    return {
        "aws:SecureTransport": "true",
        "aws:RequestedRegion": (parts[3] if len(parts) > 3 else "") or REGION,
        "aws:PrincipalAccount": ACCOUNT,
        "aws:ResourceAccount": ACCOUNT,
    }
