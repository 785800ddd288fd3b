"""What AWS checks of a call: the actions, on which resources, with which condition keys.

After the service authorization reference, written apart from the deployer's own list. A call that
is not known here fails the test that makes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from deployer.local.evaluation import Request, Verdict, verdict
from deployer.resources.base import LOG_DELIVERY
from tests.support.wire import REGION, Answer, Call, Forward, refusal

ACCOUNT = "123456789012"

# IAM's name for an operation, where it is not the operation's own.
RENAMED = {
    "Invoke": "InvokeFunction",
    "ListObjectsV2": "ListBucket",
    "HeadObject": "GetObject",
    "ListObjectVersions": "ListBucketVersions",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
PREFIXES = {
    "stepfunctions": "states",
    "resourcegroupstaggingapi": "tag",
    "apigatewayv2": "apigateway",
}
# PERM-19: IAM takes no resource for these.
UNSCOPED = {
    "cloudwatch:GetMetricData",
    "ecr:GetAuthorizationToken",
    "iam:GetAccountSummary",
    "lambda:GetAccountSettings",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
    "states:ValidateStateMachineDefinition",
    "tag:GetResources",
}


def checks(call: Call) -> list[Request]:
    """Return what AWS checks of a call, dependent actions last."""
    if call.service == "sts":
        return []  # GetCallerIdentity needs no grant
    prefix = PREFIXES.get(call.service, call.service)
    name = RENAMED.get(call.operation, call.operation)
    action = f"{prefix}:{call.method if prefix == 'apigateway' else name}"
    pairs = [(action, "*")] if action in UNSCOPED else list(_OF[prefix](action, call))
    regional = {} if prefix == "iam" else {"aws:RequestedRegion": REGION}
    requests = [Request(one, resource, regional) for one, resource in pairs]
    return [_conditioned(request, call) for request in requests]


def _conditioned(request: Request, call: Call) -> Request:
    """Add the condition keys of an action."""
    context = dict(request.context)
    if request.action == "iam:PassRole":
        services = {"lambda": "lambda", "stepfunctions": "states"}
        service = services.get(call.service, "apigateway")
        context["iam:PassedToService"] = f"{service}.amazonaws.com"
    boundary = _form(call).get("PermissionsBoundary") if call.service == "iam" else None
    if boundary:
        context["iam:PermissionsBoundary"] = boundary
    return Request(request.action, request.resource, context)


Pairs = Iterable[tuple[str, str]]


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def _form(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


def _s3(action: str, call: Call) -> Pairs:
    _, bucket, key = (*unquote(urlsplit(call.url).path).split("/", 2), "")[:3]
    if call.operation == "DeleteObjects":
        for one, version in re.findall(
            r"<Object><Key>([^<]*)</Key>(<VersionId>)?", call.body.decode()
        ):
            yield "s3:DeleteObject", f"arn:aws:s3:::{bucket}/{one}"
            if version:
                yield "s3:DeleteObjectVersion", f"arn:aws:s3:::{bucket}/{one}"
        return
    yield action, f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
    if call.operation == "CreateBucket" and "x-amz-object-ownership" in call.headers:
        yield "s3:PutBucketOwnershipControls", f"arn:aws:s3:::{bucket}"


def _ecr(action: str, call: Call) -> Pairs:
    names = [call.json.get("repositoryName"), *call.json.get("repositoryNames", ())]
    named = next((name for name in names if name), None)
    resource = arn("ecr", f"repository/{named}") if named else call.json["resourceArn"]
    yield action, resource
    if call.operation == "CreateRepository" and call.json.get("tags"):
        yield "ecr:TagResource", resource


def _iam(action: str, call: Call) -> Pairs:
    form = _form(call)
    resource = f"arn:aws:iam::{ACCOUNT}:role/{form['RoleName']}"
    yield action, resource
    if call.operation == "CreateRole" and "Tags.member.1.Key" in form:
        yield "iam:TagRole", resource


def _logs(action: str, call: Call) -> Pairs:
    # Logs-4: calls about tags want the form without ":*", the others the one with it.
    named = call.json.get("resourceArn")
    group = named or arn("logs", f"log-group:{call.json['logGroupName']}:*")
    yield action, group
    if call.operation == "CreateLogGroup" and call.json.get("tags"):
        yield "logs:TagResource", group.removesuffix(":*")


def _lambda(action: str, call: Call) -> Pairs:
    parts = urlsplit(call.url)
    path = unquote(parts.path)
    found = re.search(r"/functions/([^/]+)", path)
    if found:
        name = found[1].split(":")[6:] if found[1].startswith("arn:") else [found[1]]
        qualifier = parse_qs(parts.query).get("Qualifier", [])
        resource = arn("lambda", ":".join(["function", *name, *qualifier]))
    elif call.operation == "CreateFunction":
        resource = arn("lambda", f"function:{call.json['FunctionName']}")
    else:  # of tags: the ARN is in the path
        resource = path[path.index("arn:") :]
    yield action, resource
    if call.operation == "CreateFunction" and call.json.get("Tags"):
        yield "lambda:TagResource", resource
    if call.operation in ("CreateFunction", "UpdateFunctionConfiguration") and call.json.get(
        "Role"
    ):
        yield "iam:PassRole", call.json["Role"]


def _states(action: str, call: Call) -> Pairs:
    named = ("stateMachineArn", "resourceArn", "stateMachineVersionArn")
    machine = next((call.json[name] for name in named if name in call.json), None)
    resource = machine or arn("states", f"stateMachine:{call.json['name']}")
    yield action, resource
    if call.operation == "CreateStateMachine" and call.json.get("tags"):
        yield "states:TagResource", resource
    if call.json.get("publish"):
        yield "states:PublishStateMachineVersion", resource
    if call.operation in ("CreateStateMachine", "UpdateStateMachine"):
        # PERM-14: UpdateStateMachine may leave the role as it is.
        name = resource.rpartition(":")[2]
        role = f"arn:aws:iam::{ACCOUNT}:role/{name}-{REGION}-workflow"
        yield "iam:PassRole", call.json.get("roleArn", role)


def _cloudwatch(action: str, call: Call) -> Pairs:
    # Whatever the protocol, the names stand in the body.
    named = set(re.findall(rb"inference-dev-[\w-]+", call.body))
    if call.operation == "DescribeAlarms":
        named = {b"*"}  # it lists
    for name in sorted(named):
        yield action, arn("cloudwatch", f"alarm:{name.decode()}")
    if call.operation == "PutMetricAlarm" and b"Tags" in call.body:
        yield "cloudwatch:TagResource", arn("cloudwatch", f"alarm:{min(named).decode()}")


def _sns(action: str, call: Call) -> Pairs:
    form = _form(call)
    named = form.get("TopicArn") or form.get("ResourceArn")
    resource = named or arn("sns", form["Name"])
    yield action, resource
    if call.operation == "CreateTopic" and any(name.startswith("Tags.") for name in form):
        yield "sns:TagResource", resource


def _api(action: str, call: Call) -> Pairs:
    """PERM-17, PERM-13, PERM-14."""
    parts = urlsplit(call.url)
    path = unquote(parts.path).removeprefix("/v2").rstrip("/")
    if path.startswith("/tags/"):
        path = f"/tags/{parts.path.removeprefix('/v2').split('/tags/')[1]}"
    yield action, f"arn:aws:apigateway:{REGION}::{path}"
    body = call.body.decode(errors="replace")
    if (
        call.method == "POST"
        and '"tags"' in body
        and call.operation in ("CreateApi", "CreateStage")
    ):
        yield "apigateway:POST", f"arn:aws:apigateway:{REGION}::/tags/{path}"
    for role in sorted(set(re.findall(r"arn:aws:iam::[0-9]+:role/[\w-]+", body))):
        yield "iam:PassRole", role
    if "destinationArn" in body:
        yield from ((one, "*") for one in LOG_DELIVERY)


_OF: dict[str, Callable[[str, Call], Pairs]] = {
    "s3": _s3,
    "ecr": _ecr,
    "iam": _iam,
    "logs": _logs,
    "lambda": _lambda,
    "states": _states,
    "cloudwatch": _cloudwatch,
    "sns": _sns,
    "apigateway": _api,
}


def actions(calls: Iterable[Call]) -> Iterator[str]:
    for call in calls:
        for request in checks(call):
            yield request.action


def denial(request: Request) -> str:
    """Return AWS's words for a request that no policy allows."""
    return (
        f"User: arn:aws:iam::{ACCOUNT}:user/deployer is not authorized to perform: "
        f"{request.action} on resource: {request.resource} because no identity-based policy "
        f"allows the {request.action} action"
    )


class Enforced:
    """A trouble that refuses what the policies do not allow, in AWS's words.

    Args:
        seen: actions that were checked before; new ones are added.
        every: of so many new actions, one is taken out of the policies, at most one in all; 0 for
            none.
    `denied` holds what was refused.
    """

    said = ""  # what the user was told

    def __init__(self, documents: Iterable[Any], seen: set[str], every: int = 0) -> None:
        self.documents = list(documents)
        self.seen = seen
        self.every = every
        self.taken: str | None = None
        self.denied: list[Request] = []

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if not all(self._allows(request) for request in checks(call)):
            return _refused(call, self.denied[-1])
        if call.operation == "HeadObject":
            answer = forward(call)
            bucket = unquote(urlsplit(call.url).path).split("/", 2)[1]
            # S3-16: a missing object is 403 for callers who may not list.
            request = Request("s3:ListBucket", f"arn:aws:s3:::{bucket}")
            missing = answer.status == 404 and not self._allows(request)
            return Answer(403, {}, b"") if missing else answer
        return None

    def _allows(self, request: Request) -> bool:
        if request.action not in self.seen:
            if self.every and self.taken is None and len(self.seen) % self.every == 0:
                self.taken = request.action
                self.documents = without(self.documents, request.action)
            self.seen.add(request.action)
        if verdict(self.documents, request) is Verdict.ALLOWED:
            return True
        self.denied.append(request)
        return False


def _refused(call: Call, request: Request) -> Answer:
    if call.operation.startswith("Head"):
        return Answer(403, {}, b"")  # S3-5: without a body
    if call.service == "sns":  # it answers in XML, and has a code of its own
        return refusal("iam", "AuthorizationError", denial(request), 403)
    short = call.service in ("s3", "iam")
    code = "AccessDenied" if short else "AccessDeniedException"
    return refusal(call.service, code, denial(request), 403 if short else 400)


def without(documents: Iterable[Any], action: str) -> list[Any]:
    """Return the policies without one action."""
    return [
        {
            **document,
            "Statement": [
                {**statement, "Action": [one for one in statement["Action"] if one != action]}
                for statement in document["Statement"]
            ],
        }
        for document in documents
    ]
