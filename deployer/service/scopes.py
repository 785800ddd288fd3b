"""The resources on which an IAM action is granted, as narrow as IAM allows.

After AWS's service authorization reference. An action without a line of its own takes the line of
its service; one of a service without a line is granted on `*`, and a test names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.project.settings import Settings
from deployer.service.permissions import ROLES


@dataclass(frozen=True)
class Scope:
    """Where an action is granted. `sid`: the name of its statement."""

    sid: str
    resources: tuple[str, ...]
    condition: Mapping[str, Any] = field(default_factory=dict)


# PERM-19: IAM takes no resource for these.
UNSCOPED = (
    *("ecr:GetAuthorizationToken", "lambda:GetAccountSettings", "lambda:ListFunctions"),
    *("logs:DescribeLogGroups", "logs:CreateLogDelivery", "logs:GetLogDelivery"),
    *("logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries"),
    *("logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "cloudwatch:GetMetricData"),
    *("states:ValidateStateMachineDefinition", "tag:GetResources"),
)
_GLOBAL = ("iam:GetAccountSummary",)  # in no region
_OF_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")


def scope(
    settings: Settings, action: str, beside: Collection[str], verbs: Collection[str]
) -> Scope:
    """Return where an action is granted.

    Args:
        settings: may have "*" for an account.
        beside: the other actions that the caller gets.
        verbs: the commands that the caller may run.
    """
    if action in _GLOBAL:
        return Scope("Account", ("*",))
    if action in _OF_OBJECTS:
        # Whoever may set a bucket's policy may reach all of its objects, so this says it.
        folder = "*" if "s3:PutBucketPolicy" in beside else "models/*"
        return Scope("Models", tuple(f"{arn}/{folder}" for arn in _bucket_arns(settings, verbs)))
    service, _, name = action.partition(":")
    if service == "s3":
        return Scope("Bucket", _bucket_arns(settings, verbs))
    if service == "apigateway":
        return _api_scope(settings, name, verbs)
    make = None if action in UNSCOPED else _SCOPES.get(action) or _SCOPES.get(service)
    if make is None:
        return Scope("Region", ("*",), {"StringEquals": {"aws:RequestedRegion": settings.region}})
    return make(settings)


def passing(settings: Settings, service: str) -> Scope:
    """Return the scope of iam:PassRole for one service: the role that it assumes (PERM-14)."""
    (user,) = (user for user, assumed_by in ROLES.items() if assumed_by == service)
    condition = {"StringEquals": {"iam:PassedToService": service}}
    return Scope(f"Pass{user.capitalize()}Role", (settings.role_arn(user),), condition)


def _bucket_arns(settings: Settings, verbs: Collection[str]) -> tuple[str, ...]:
    """Return the bucket's ARN, and that of the bucket from before `bucket_namespace` was changed.

    `down` looks for both; the others read the former one for former releases.
    """
    both = settings.bucket_namespace == "account-regional" or "down" in verbs
    return replace(settings, former_bucket=both).bucket_arns


def _repository(settings: Settings) -> Scope:
    return Scope("Images", (settings.arn("ecr", f"repository/{settings.repository}"),))


def _log_groups(settings: Settings) -> Scope:
    """Return the scope of log groups: some calls name them with ":*", others without (Logs-4)."""
    arns = (settings.log_group_arn(user) for user in ("workflow", "api"))
    both = (f"{arn}{suffix}" for arn in arns for suffix in ("", ":*"))
    return Scope("Logs", (settings.log_group_arn("*"), *both))


def _roles(settings: Settings) -> Scope:
    return Scope("Roles", tuple(settings.role_arn(user) for user in ROLES))


def _bounded_roles(settings: Settings) -> Scope:
    """Return the scope of roles, with the permissions boundary that the settings name (PERM-21)."""
    if settings.permissions_boundary is None:
        return _roles(settings)
    boundary = {"ArnEquals": {"iam:PermissionsBoundary": settings.permissions_boundary}}
    return Scope("BoundedRoles", _roles(settings).resources, boundary)


def _functions(settings: Settings) -> Scope:
    return Scope("Functions", (settings.function_arn("*"),))


def _versions(settings: Settings) -> Scope:
    """Return the scope of functions' versions (Lambda-23, PERM-20)."""
    return Scope("Versions", (f"{settings.function_arn('*')}:*",))


def _workflow(settings: Settings) -> Scope:
    return Scope("Workflow", (settings.workflow_arn, f"{settings.workflow_arn}:*"))


def _api_scope(settings: Settings, method: str, verbs: Collection[str]) -> Scope:
    """Return the scope of API Gateway, whose ARNs are paths without an account (PERM-17).

    AWS chooses the ids in them, so they reach every API of the region. A GET of API keys may read
    their values, so only those commands get it that look for keys.
    """
    paths = dict.fromkeys(_API_PATHS[method] if set(verbs) - {"keys", "invoke"} else ())
    if "invoke" in verbs and method == "GET":
        paths |= dict.fromkeys(("/apis", "/restapis"))
    paths |= dict.fromkeys(_key_paths(settings, method, set(verbs)))
    prefix = f"arn:{settings.partition}:apigateway:{settings.region}::"
    return Scope(_API_SIDS.get(method, "Apis"), tuple(f"{prefix}{path}" for path in paths))


def _key_paths(settings: Settings, method: str, verbs: set[str]) -> Collection[str]:
    """Return the paths of usage plans and API keys that commands need.

    `up` and `down` delete what is left of a service that asked for keys before. Others see by its
    usage plan that there is something left, and look at no key.
    """
    if "keys" in verbs or settings.auth == "key" and verbs - {"invoke"}:
        return _KEY_PATHS[method]
    if verbs & {"up", "down"} and method != "POST":
        return _KEY_PATHS[method]
    return ("/usageplans",) if method == "GET" and verbs & _PLANNING else ()


def _alarms(settings: Settings) -> Scope:
    return Scope("Alarms", (settings.arn("cloudwatch", f"alarm:{settings.prefix}-*"),))


def _every_alarm(settings: Settings) -> Scope:
    # A listing is checked against all alarms, whatever their names begin with.
    return Scope("ReadAlarms", (settings.arn("cloudwatch", "alarm:*"),))


def _topics(settings: Settings) -> Scope:
    return Scope("Topics", (settings.arn("sns", f"{settings.prefix}-alarms"),))


def _named_topic(settings: Settings) -> Scope:
    return Scope("NamedTopic", (settings.alarm_topic or "*",))


def _calls(settings: Settings) -> Scope:
    stage = "live" if settings.api == "rest" else "$default"
    return Scope("Calls", (settings.arn("execute-api", f"*/{stage}/POST/"),))


_API_SIDS = {"GET": "ReadApis", "POST": "MakeApis", "PUT": "PutApis"}
_PLANNING = {"plan", "check", "status"}
_EVERY_API = ("/apis", "/apis/*", "/restapis", "/restapis/*")
_API_PATHS = {
    "GET": (*_EVERY_API, "/account"),
    "POST": (*_EVERY_API, "/tags/*"),
    "PUT": ("/restapis/*", "/tags/*"),
    "PATCH": ("/apis/*", "/restapis/*"),
    "DELETE": ("/apis/*", "/restapis/*", "/tags/*"),
}
_KEY_PATHS = {
    "GET": ("/apikeys", "/apikeys/*", "/usageplans", "/usageplans/*"),
    "POST": ("/apikeys", "/usageplans", "/usageplans/*", "/tags/*"),
    "PUT": (),
    "PATCH": ("/usageplans/*",),
    "DELETE": ("/apikeys/*", "/usageplans/*", "/tags/*"),
}
_SCOPES: Mapping[str, Callable[[Settings], Scope]] = {
    "ecr": _repository,
    "logs": _log_groups,
    "iam": _roles,
    "iam:CreateRole": _bounded_roles,
    "iam:PutRolePermissionsBoundary": _bounded_roles,
    "lambda": _functions,
    "lambda:InvokeFunction": _versions,
    "lambda:GetProvisionedConcurrencyConfig": _versions,
    "lambda:PutProvisionedConcurrencyConfig": _versions,
    "lambda:DeleteProvisionedConcurrencyConfig": _versions,
    "states": _workflow,
    "sns": _topics,
    "sns:GetTopicAttributes": _named_topic,
    "cloudwatch": _alarms,
    "cloudwatch:DescribeAlarms": _every_alarm,
    "execute-api": _calls,
}


def is_known(action: str) -> bool:
    """Tell whether an action or its service has a line here."""
    lines = {
        "s3",
        *_SCOPES,
        *UNSCOPED,
        *_GLOBAL,
        *(f"apigateway:{method}" for method in _API_PATHS),
    }
    return not lines.isdisjoint({action, action.partition(":")[0]})
