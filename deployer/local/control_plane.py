"""The operations of the control plane that moto lacks, answered at the level of HTTP.

UpdateStage and DeleteAccessLogSettings of HTTP APIs, the tags of REST APIs, usage
plans and API keys, Lambda's GetAccountSettings and its operations on provisioned concurrency. Like
the mends in `moto_backend`, each has a test in tests/local/test_moto_mends.py.
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, unquote

from deployer.local.answers import Answer, Environ, answer_json, read_body
from deployer.local.guard import credential_scope
from deployer.local.moto_backend.account import MotoAccount
from deployer.local.moto_backend.auth_mends import TAGGED
from deployer.local.moto_backend.concurrency import Refused
from deployer.local.process import REGION

_STAGE = re.compile(r"/v2/apis/(?P<api>[^/]+)/stages/(?P<stage>[^/]+)(?P<log>/accesslogsettings)?$")
_PROVISIONED = re.compile(r"/2019-09-30/functions/(?P<function>[^/]+)/provisioned-concurrency/?$")
_TAGS = re.compile(
    rf"/tags/arn:[^:]+:apigateway:[^:]+::/(?P<kind>{'|'.join(TAGGED)})/(?P<id>[^/]+)$"
)
_STAGE_TAGS = re.compile(
    r"/v2/tags/arn:[^:]+:apigateway:[^:]+::/apis/(?P<api>[^/]+)/stages/(?P<stage>[^/]+)$"
)


def answer(account: MotoAccount, environ: Environ) -> Answer | None:
    """Answer an operation that moto lacks; None for the others."""
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    region = credential_scope(environ)[0] or REGION
    if method == "GET" and path.rstrip("/") == "/2016-08-19/account-settings":
        return answer_json(200, account.lambda_settings(region))
    provisioned = _PROVISIONED.search(path)
    if provisioned is not None:
        return _provisioned(account, environ, unquote(provisioned["function"]), region)
    tagged = _TAGS.search(unquote(path))
    if tagged is not None:
        return _answer_tags(account.gateway_tags(tagged["kind"], tagged["id"], region), environ)
    stage_tags = _STAGE_TAGS.search(unquote(path))
    if stage_tags is not None:
        return _answer_tags(account.stage_tags(**stage_tags.groupdict(), region=region), environ)
    match = _STAGE.search(path)
    if match is None:
        return None
    api, stage = match["api"], unquote(match["stage"])
    if method == "PATCH" and not match["log"]:
        changes = json.loads(read_body(environ) or b"{}")
        return answer_json(200, account.update_stage(api, stage, changes, region))
    if method == "DELETE" and match["log"]:
        account.delete_access_log_settings(api, stage, region)
        return answer_json(200, {})
    return None


def _answer_tags(tags: dict[str, str] | None, environ: Environ) -> Answer:
    """Answer GetTags, TagResource or UntagResource."""
    if tags is None:
        text = {"message": "Invalid identifier specified"}
        return answer_json(404, text, {"x-amzn-ErrorType": "NotFoundException"})
    if environ["REQUEST_METHOD"] in ("PUT", "POST"):  # POST of an HTTP API
        tags.update(json.loads(read_body(environ) or b"{}").get("tags", {}))
        return answer_json(204, {})
    if environ["REQUEST_METHOD"] == "DELETE":
        for key in parse_qs(environ.get("QUERY_STRING", "")).get("tagKeys", ()):
            tags.pop(key, None)
        return answer_json(204, {})
    return answer_json(200, {"tags": tags})


def _provisioned(account: MotoAccount, environ: Environ, function: str, region: str) -> Answer:
    query = parse_qs(environ.get("QUERY_STRING", ""))
    qualifier = query.get("Qualifier", [""])[0]
    sent = json.loads(read_body(environ) or b"{}")
    try:
        status, content = account.provisioned_concurrency(
            environ["REQUEST_METHOD"], function, qualifier, sent, region
        )
    except Refused as error:
        text = {"Message": str(error), "Type": "User"}
        return answer_json(error.status, text, {"X-Amzn-ErrorType": error.code})
    return (status, {}, b"") if status == 204 else answer_json(status, content)
