"""The policies that a caller of the verbs needs: exact, narrow, and in the size that IAM takes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.project.settings import Settings
from deployer.resources.alarms import Alarms
from deployer.resources.apigateway.http_api import HttpApi
from deployer.resources.base import Resource
from deployer.resources.ecr import Image
from deployer.resources.metric_filters import MetricFilter
from deployer.resources.provisioned import ProvisionedConcurrency
from deployer.resources.s3 import ModelFiles
from deployer.resources.sns import Topic
from deployer.resources.stepfunctions import StateMachine
from deployer.service.permissions import (
    CHECK,
    KINDS,
    LOGS,
    STATUS,
    to_delete,
    to_read,
    to_write,
)
from deployer.service.scopes import Scope, passing, scope

LIMIT = 6_144  # characters of a managed policy; IAM does not count white space (Iam-11)
PASS_ROLE = "iam:PassRole"
_READING = re.compile(
    r"[a-z0-9-]+:((Batch)?(Get|Check)|List|Describe|Filter|Validate)\w*|apigateway:GET|execute-api:Invoke"
)
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Verb:
    """The actions that a verb takes. `kinds`: those whose role it may pass to a service."""

    actions: tuple[str, ...]
    kinds: tuple[type[Resource], ...] = ()


# service.contents: the versions, files and images of releases.
_CONTENTS = ("lambda:ListVersionsByFunction", *Image.reads, *ModelFiles.reads)
# service.pruning, after a switch: releases, versions, files and images that nothing needs.
_PRUNING = (
    *("lambda:ListFunctions", "lambda:ListTags", "lambda:ListAliases", "lambda:DeleteFunction"),
    *("s3:DeleteObject", "ecr:BatchDeleteImage"),
)
# service.switching. Of what a canary has made live already, nothing is proved or provisioned anew.
_PROMOTION = (
    *(*StateMachine.reads, *StateMachine.switches, *_CONTENTS, *_PRUNING),
    *(*ProvisionedConcurrency.reads, *ProvisionedConcurrency.deletes),
)
_ROLLBACK = (
    *(*_PROMOTION, *StateMachine.proves, "s3:GetObject"),
    *ProvisionedConcurrency.writes,
)
# service.logs: the groups, their lines, and the functions that the live workflow names.
_LOGS = ("logs:DescribeLogGroups", "states:DescribeStateMachine", *LOGS)
VERBS: Mapping[str, Verb] = {
    "up": Verb((*to_read(), *to_write(), *CHECK[-2:]), KINDS),
    "plan": Verb(tuple(to_read())),
    "check": Verb((*to_read(), *CHECK)),
    "invoke": Verb(tuple(HttpApi.reads)),
    "keys": Verb(("apigateway:GET", "apigateway:POST", "apigateway:DELETE")),
    "status": Verb((*to_read(), *STATUS)),
    "logs": Verb(_LOGS),
    "trace": Verb(_LOGS),
    "graph": Verb((*_LOGS, "states:ListStateMachineVersions")),  # with --request
    "releases": Verb((*StateMachine.reads, *_CONTENTS)),
    "rollback": Verb(_ROLLBACK, (StateMachine,)),
    "promote": Verb(_PROMOTION, (StateMachine,)),
    "down": Verb(tuple(to_delete())),
}


def policies(settings: Settings, verb: str | None = None) -> list[Document]:
    """Return the policy of a verb, or of all verbs; several documents if one would be too long.

    Args:
        settings: located in an account and a region; the account may be "*".
    """
    names = tuple(VERBS) if verb is None else (verb,)
    verbs = [VERBS[name] for name in names]
    actions = {action for one in verbs for action in one.actions} - _needless(settings)
    if settings.auth == "iam" and verb in (None, "invoke", "up"):
        actions.add("execute-api:Invoke")  # PERM-12; `up` proves that it may call
    services = {
        kind.passed_to
        for one in verbs
        for kind in one.kinds
        if PASS_ROLE in one.actions and kind.passed_to
    }
    return _split(_statements(settings, actions, services, names))


def writes(documents: Iterable[Document]) -> bool:
    """Tell whether policies allow more than to read and to call the API."""
    actions = (
        action
        for document in documents
        for statement in document["Statement"]
        for action in statement["Action"]
    )
    return not all(map(_READING.fullmatch, actions))


def reads_keys(documents: Iterable[Document]) -> bool:
    """Tell whether policies allow to read API keys, which AWS shows with their values."""
    return any(
        "apigateway:GET" in statement["Action"] and "/apikeys" in str(statement["Resource"])
        for document in documents
        for statement in document["Statement"]
    )


def _needless(settings: Settings) -> set[str]:
    """Return the actions that these settings never take."""
    bounded = settings.permissions_boundary is not None
    needless = {
        "iam:DeleteRolePermissionsBoundary" if bounded else "iam:PutRolePermissionsBoundary",
        PASS_ROLE,  # granted apart, for each service
    }
    if settings.alarm_topic is None:
        needless.add("sns:GetTopicAttributes")
    if settings.builder == "direct":
        needless.add("ecr:GetAuthorizationToken")
    # Alarms that are no longer wanted are looked for and deleted all the same.
    unwanted = () if settings.alarms else (MetricFilter, Topic, Alarms)
    return needless.union(*(kind.writes for kind in unwanted))


def _statements(
    settings: Settings,
    actions: Collection[str],
    services: Collection[str],
    verbs: Collection[str],
) -> list[dict[str, Any]]:
    """Return one statement for each scope, in the order of their names."""
    scopes: dict[str, tuple[Scope, list[str]]] = {}
    for action in sorted(actions):
        found = scope(settings, action, actions, verbs)
        scopes.setdefault(found.sid, (found, []))[1].append(action)
    for service in services:
        found = passing(settings, service)
        scopes[found.sid] = (found, [PASS_ROLE])
    return [_statement(*scopes[sid]) for sid in sorted(scopes)]


def _statement(scope: Scope, actions: list[str]) -> dict[str, Any]:
    statement = {
        "Sid": scope.sid,
        "Effect": "Allow",
        "Action": actions,
        "Resource": list(scope.resources),
    }
    return {**statement, "Condition": scope.condition} if scope.condition else statement


def _split(statements: Iterable[dict[str, Any]]) -> list[Document]:
    """Return documents that each hold as many statements as fit."""
    documents = [_document([])]
    for statement in statements:
        longer = _document([*documents[-1]["Statement"], statement])
        if size(longer) <= LIMIT or not documents[-1]["Statement"]:
            documents[-1] = longer
        else:
            documents.append(_document([statement]))
    return documents


def _document(statements: list[dict[str, Any]]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}


def size(document: Document) -> int:
    """Return the number of characters that IAM counts."""
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
