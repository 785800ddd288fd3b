"""The operations of the control plane that moto lacks, answered at the level of HTTP.

UpdateStage and DeleteAccessLogSettings of HTTP APIs, and Lambda's GetAccountSettings. Like the
mends in `moto_backend`, each has a test in tests/local/test_moto_mends.py.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from deployer.local.answers import Answer, Environ, answer_json, read_body
from deployer.local.guard import credential_scope
from deployer.local.moto_backend.account import MotoAccount
from deployer.local.process import REGION

_STAGE = re.compile(r"/v2/apis/(?P<api>[^/]+)/stages/(?P<stage>[^/]+)(?P<log>/accesslogsettings)?$")
_ACCOUNT_SETTINGS: dict[str, Any] = {
    "AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000},
    "AccountUsage": {"FunctionCount": 0, "TotalCodeSize": 0},
}


def answer(account: MotoAccount, environ: Environ) -> Answer | None:
    """Answer an operation that moto lacks; None for the others."""
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if method == "GET" and path.rstrip("/") == "/2016-08-19/account-settings":
        return answer_json(200, _ACCOUNT_SETTINGS)
    match = _STAGE.search(path)
    if match is None:
        return None
    api, stage = match["api"], unquote(match["stage"])
    region = credential_scope(environ)[0] or REGION
    if method == "PATCH" and not match["log"]:
        changes = json.loads(read_body(environ) or b"{}")
        return answer_json(200, account.update_stage(api, stage, changes, region))
    if method == "DELETE" and match["log"]:
        account.delete_access_log_settings(api, stage, region)
        return answer_json(200, {})
    return None
