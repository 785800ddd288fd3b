"""Permissions, checks before the first write, scripted answers."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "PERM-1",
        "service/permissions.py",
        'allow(["logs:CreateLogStream"',
        'allow(["logs:CreateLogGroup", "logs:CreateLogStream"',
    ),
    Mutation(
        "PERM-2",
        "service/permissions.py",
        'f"{arn}/models/*" for arn',
        'f"{arn}/*" for arn',
    ),
    Mutation(
        "PERM-3",
        "service/permissions.py",
        '    if settings.tracing:\n        policies["tracing"] = allow(["xray',
        '    if False:\n        policies["tracing"] = allow(["xray',
    ),
    Mutation(
        "PERM-5",
        "service/permissions.py",
        '"logs": allow(delivery, ["*"])',
        '"logs": allow(delivery, [settings.log_group_arn("workflow")])',
    ),
    Mutation(
        "PERM-6", "service/permissions.py", 'sampling = ["xray:GetSamplingRules", ', "sampling = ["
    ),
    Mutation(
        "PERM-7",
        "service/permissions.py",
        '["states:StartSyncExecution"], [settings.workflow_arn]',
        '["states:StartSyncExecution"], ["*"]',
    ),
    Mutation("PERM-8", "service/declare.py", 'f"logs/{name}", "repository"]', 'f"logs/{name}"]'),
    Mutation(
        "PERM-9",
        "service/account.py",
        "    aws = aws.remembering()\n",
        '    aws = aws.remembering()\n    aws.call("logs", "create_log_group", logGroupName="x")\n',
    ),
    Mutation("PERM-10", "resources/lambda_.py", '        "lambda:PublishVersion",\n', ""),
    Mutation(
        "PERM-11", "resources/lambda_.py", 'deletes = ("lambda:DeleteFunction",)', "deletes = ()"
    ),
    Mutation(
        "PERM-12",
        "service/verb_policies.py",
        '"invoke": Verb(tuple(HttpApi.reads)),',
        '"invoke": Verb(tuple(to_read())),',
    ),
    Mutation("PERM-13", "resources/apigateway/apis.py", "        *LOG_DELIVERY,\n", ""),
    Mutation(
        "PERM-14",
        "service/scopes.py",
        'condition = {"StringEquals": {"iam:PassedToService": service}}',
        "condition: dict[str, Any] = {}",
    ),
    Mutation("PERM-15", "resources/lambda_.py", '        "lambda:TagResource",\n', ""),
    Mutation("PERM-17", "service/scopes.py", "{settings.region}::", "{settings.region}:1:"),
    Mutation("PERM-19", "service/scopes.py", '"lambda:ListFunctions"),', "),"),
    Mutation(
        "PERM-20",
        "service/scopes.py",
        '"lambda:GetProvisionedConcurrencyConfig": _versions,',
        '"lambda:GetProvisionedConcurrencyConfig": _functions,',
    ),
    Mutation(
        "PERM-21",
        "service/declare.py",
        "permissions_boundary=settings.permissions_boundary",
        "permissions_boundary=None",
    ),
    Mutation("PRE-1", "project/settings.py", 'if self.account not in ("", account):', "if False:"),
    Mutation("PRE-2", "aws/clients.py", "if not region:", "if False:"),
    Mutation(
        "PRE-3",
        "project/settings.py",
        'return f"{self.prefix}-{self.region}-{user}"',
        'return f"{self.prefix}-{self.region}-{self.account}-{user}"',
    ),
    Mutation("PRE-5", "resources/base.py", "if self.marks(found) or", "if True or"),
    Mutation("PRE-7", "service/rehearsal.py", "if trust > _TRUST_LIMIT:", "if False:"),
    Mutation("PRE-8", "service/check.py", "if free < wanted:", "if False:"),
    Mutation("PRE-8", "service/check.py", "if own and left < kept:", "if False:"),
    Mutation("PRE-9", "images/build.py", 'if choice == "docker":', "if False:"),
    Mutation(
        "PRE-10", "service/check.py", "texts(ask_examples(settings, release, release.names))", "[]"
    ),
    Mutation(
        "PRE-11",
        "project/parsers.py",
        "if not all(re.fullmatch(",
        "if False and not all(re.fullmatch(",
    ),
    Mutation(
        "PRE-13",
        "service/up.py",
        "    deployment.check_issuer()\n",
        "",
        "before_anything",
    ),
    Mutation(
        "PRE-14", "resources/lambda_.py", 'if actual.outputs["busy"]:', "if False:", "found_pending"
    ),
    Mutation(
        "PRE-15",
        "commands/up.py",
        'confirm(now, "delete or replace", plan.destructive, yes, question)',
        "pass",
    ),
    Mutation("PRE-17", "engine/apply.py", "if error.code not in resource.exists or", "if True or"),
    Mutation(
        "TEST-2", "aws/waiting.py", "too_late = attempts >= min_attempts and", "too_late = True or"
    ),
    Mutation(
        "TEST-25",
        "resources/lambda_.py",
        '_ABSENT = ("ResourceNotFoundException",)',
        '_ABSENT = ("X",)',
    ),
]
