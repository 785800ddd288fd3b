"""A dry run: create every resource against botocore's models, and report what AWS would reject.

botocore itself checks required members and types, and little else (GEN-7). Here every parameter is
also checked against the patterns, enums and maxima of the service models, and against limits that
no model states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json
from deployer.engine.plan import Ref, resolve
from deployer.errors import DeployerError
from deployer.project.settings import Settings
from deployer.resources.base import Resource

_INLINE_POLICIES_LIMIT = (
    10_240  # characters of all inline policies of a role without white space, Iam-11
)
_TRUST_LIMIT = 2_048  # Iam-11
_VARIABLES_LIMIT = 4 * 1024  # bytes of all names and values, Lambda-38
_ACCESS_LOG_LIMIT = 3 * 1024  # bytes, Api-29
# What answers hold besides what was sent, as far as a creation looks at it.
_ANSWER = {
    "Account": "000000000000",  # of the caller, whose partition is in a REST API's URL
    "Arn": "arn:aws:iam::000000000000:user/rehearsal",
    "ApiId": "0000000000",
    "id": "0000000000",  # of a REST API, and of its deployment
    "cloudwatchRoleArn": "arn:aws:iam::000000000000:role/rehearsal",
    "ApiEndpoint": "https://rehearsal.invalid",
    "IntegrationId": "0000000",
    "AuthorizerId": "0000000",
    "RouteId": "0000000",
    "Version": "1",
    "Status": "READY",
    "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:rehearsal:1",
    "Configuration": {"State": "Active", "LastUpdateStatus": "Successful"},
}


def _check(
    aws: Aws, problems: list[str], service: str, operation: str, **parameters: Any
) -> dict[str, Any]:
    """Check a call in place of AWS; add to `problems` and return an answer."""
    client = aws.client(service)
    name = client.meta.method_to_api_mapping[operation]
    shape = client.meta.service_model.operation_model(name).input_shape
    problems += limits(shape, parameters, name)
    return {**parameters, **_ANSWER}


def rehearse(aws: Aws, settings: Settings, resources: Iterable[Resource]) -> list[str]:
    """Return the faults of all creating calls, each with resource, operation and member."""
    faults: list[str] = []
    for resource in resources:
        if resource.key.partition("/")[0] == "image":
            continue  # the user can set nothing of its calls
        problems: list[str] = []
        rehearsal = aws.calling(partial(_check, aws, problems))
        fields = resolve(resource.fields, lambda ref: stand_in(settings, ref))
        try:
            resource.create(rehearsal, fields)
        except DeployerError as error:  # ParamValidationError and the like
            problems.append(error.message)
        faults += [f"{resource.key}: {problem}" for problem in [*problems, *_beyond(fields)]]
    return list(dict.fromkeys(faults))


def stand_in(settings: Settings, ref: Ref) -> str:
    """Return a value of the right shape for an output that is known only after the creation."""
    if ref.output == "digest":
        return f"sha256:{'0' * 64}"
    return f"{settings.function_arn(ref.key.partition('/')[2])}:1"


def _beyond(fields: Any) -> Iterator[str]:
    """Yield the fields that exceed limits which no service model states."""
    inline = sum(
        len(canonical_json(document)) for document in (fields.get("policies") or {}).values()
    )
    if inline > _INLINE_POLICIES_LIMIT:
        yield (
            f"its inline policies have {inline} characters together; IAM's limit is "
            f"{_INLINE_POLICIES_LIMIT}"  # Iam-11
        )
    trust = len(canonical_json(fields["trust"])) if "trust" in fields else 0
    if trust > _TRUST_LIMIT:
        yield f"its trust policy has {trust} characters; IAM's limit is {_TRUST_LIMIT}"  # Iam-11
    variables = fields.get("environment") or {}
    size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
    if size > _VARIABLES_LIMIT:
        yield (
            f"its environment variables have {size} bytes together, those of the handler included; "
            f"Lambda's limit is {_VARIABLES_LIMIT}"  # Lambda-38
        )
    log = (fields.get("stage") or {}).get("access_log")
    if log and (
        len(log["format"].encode()) > _ACCESS_LOG_LIMIT or "$context.requestId" not in log["format"]
    ):
        yield (
            f"the access log's format must hold $context.requestId and at most "
            f"{_ACCESS_LOG_LIMIT} bytes"  # Api-29
        )


def limits(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Yield the members of a value that violate its shape in botocore's model.

    Checked are required members, types, patterns, minima, maxima and enums.
    """
    if isinstance(value, bytes):
        return
    if isinstance(value, dict):
        yield from (
            _structure(shape, value, path)
            if shape.type_name == "structure"
            else _map(shape, value, path)
        )
    elif isinstance(value, (list, tuple)):
        yield from _size(shape, len(value), path, "entries")
        for number, item in enumerate(value):
            yield from limits(shape.member, item, f"{path}[{number}]")
    elif isinstance(value, str) != (shape.type_name == "string"):
        yield f"{path}: {value!r} is no {shape.type_name}"
    elif isinstance(value, str):
        yield from _text(shape, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _size(shape, value, path, "")


def _structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in sorted(set(shape.required_members) - set(value)):
        yield f"{path}.{name}: is missing"
    for name, member in value.items():
        if name in shape.members:
            yield from limits(shape.members[name], member, f"{path}.{name}")
        else:
            yield f"{path}.{name}: AWS knows no such member"


def _map(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in value.items():
        yield from limits(shape.key, name, f"{path} key {name}")
        yield from limits(shape.value, member, f"{path}.{name}")


def _size(shape: Any, size: float, path: str, unit: str) -> Iterator[str]:
    low, high = shape.metadata.get("min", size), shape.metadata.get("max", size)
    shown = f"{size} {unit}".strip()
    if size < low:
        yield f"{path}: {shown}, but AWS takes no less than {low}"
    if size > high:
        yield f"{path}: {shown}, but AWS takes no more than {high}"


def _text(shape: Any, value: str, path: str) -> Iterator[str]:
    yield from _size(shape, len(value), path, "characters")
    pattern = shape.metadata.get("pattern")
    # Java's classes of letters, separators and numbers are the only part of these patterns that
    # Python has not.
    python = (
        (pattern or "")
        .replace(r"\p{L}", "A-Za-z")
        .replace(r"\p{Z}", r"\s")
        .replace(r"\p{N}", "0-9")
    )
    if pattern and not re.fullmatch(python, value):  # as Java's matches(): AWS means the whole text
        yield f"{path}: {value!r} does not match AWS's pattern {pattern}"
    # AWS adds regions more often than botocore is updated.
    if shape.enum and value not in shape.enum and shape.name != "BucketLocationConstraint":
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
