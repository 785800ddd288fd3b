"""IAM and CloudWatch Logs."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "Iam-1", "resources/lambda_.py", '"cannot be assumed by Lambda" in text', '"?" in text'
    ),
    Mutation("Iam-2", "resources/lambda_.py", '"role does not have permissions" in text', "False"),
    Mutation("Iam-4", "engine/compare.py", "else unquote(document)", "else document"),
    Mutation("Iam-5", "engine/compare.py", "return sorted({item if", "return list({item if"),
    Mutation("Iam-7", "resources/iam.py", 'and "Invalid principal" in error.aws_message', ""),
    Mutation(
        "Iam-8",
        "resources/iam.py",
        'answer="PermissionsBoundary.PermissionsBoundaryArn"',
        'answer="PermissionsBoundary.X"',
    ),
    Mutation("Iam-9", "resources/iam.py", "self._remove_policies(aws, names)", "pass"),
    Mutation("Iam-10", "resources/iam.py", "if attached:", "if False:"),
    Mutation(
        "Iam-11", "service/rehearsal.py", "_INLINE_POLICIES_LIMIT:", "_INLINE_POLICIES_LIMIT * 9:"
    ),
    Mutation(
        "Iam-12",
        "project/settings.py",
        'return f"{self.prefix}-{self.region}-{user}"',
        'return f"{self.prefix}-{user}"',
    ),
    Mutation(
        "Iam-15",
        "service/declare.py",
        '{"aws:SourceArn": settings.workflow_arn}',
        '{"aws:SourceArn": "*"}',
    ),
    Mutation(
        "Logs-1", "resources/logs.py", 'self.ours.check(f"log group {self.name}", tags)', "pass"
    ),
    Mutation("Logs-2", "project/parsers.py", "3288, 3653,", "3288,"),
    Mutation(
        "Logs-3",
        "resources/logs.py",
        'if group["logGroupName"] == self.name), None)',
        "if True), None)",
    ),
    Mutation(
        "Logs-4",
        "resources/logs.py",
        'str(group.get("logGroupArn") or group["arn"].removesuffix(":*"))',
        'str(group["arn"])',
    ),
    Mutation(
        "Logs-5",
        "service/declare.py",
        'settings.log_group_arn("api"), format',
        'settings.log_group_arn("api") + ":*", format',
    ),
    Mutation("Logs-6", "project/settings.py", '"/aws/vendedlogs/states/"', '"/aws/states/"'),
    Mutation(
        "Logs-7", "aws/translation.py", 'str(details.get("Message") or "no message")', '"refused"'
    ),
    Mutation(
        "Logs-9",
        "service/down.py",
        "if resource.comes_back and resource.key in deleted & now.foreign.keys():",
        "if False:",
    ),
    Mutation(
        "Logs-10",
        "project/settings.py",
        "vended[user] + self.prefix",
        'vended[user] + self.prefix + " "',
    ),
    Mutation(
        "Logs-12",
        "aws/pace.py",
        '"logs:create_log_group": (5, 12)',
        '"logs:create_log_group": (500, 500)',
    ),
    Mutation(
        "Logs-15",
        "aws/pace.py",
        '"logs:filter_log_events": (5, 10)',
        '"logs:filter_log_events": (500, 500)',
    ),
    Mutation(
        "Logs-16",
        "service/logs.py",
        "# Logs-16: a page can be empty although there are more.",
        'if not answer["events"]: return',
    ),
]
