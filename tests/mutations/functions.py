"""Lambda."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "Lambda-38",
        "service/rehearsal.py",
        "if size > _VARIABLES_LIMIT:",
        "if size > 2 * _VARIABLES_LIMIT:",
    ),
    Mutation(
        "Lambda-1",
        "resources/lambda_.py",
        'configuration.get("State") == "Pending"\n        or',
        "False\n        or",
    ),
    Mutation(
        "Lambda-2",
        "resources/lambda_.py",
        'or configuration.get("LastUpdateStatus") == "InProgress"',
        "or False",
    ),
    Mutation(
        "Lambda-3",
        "resources/lambda_.py",
        '            answer = aws.find(_ABSENT, "lambda", "get_function", FunctionName=self.name)\n'
        "            if answer is None:  # R-6: a new function is not seen yet",
        '            asked = {"FunctionName": self.name}\n'
        '            answer = aws.find(_ABSENT, "lambda", "get_function_configuration", **asked)\n'
        '            answer = answer and {"Configuration": answer}\n            if answer is None:',
    ),
    Mutation(
        "Lambda-4",
        "resources/lambda_.py",
        'reason = configuration.get(f"{status}Reason", default)',
        "reason = default",
    ),
    Mutation(
        "Lambda-5",
        "resources/lambda_.py",
        'configuration.get("State") == "Pending"\n        or',
        'configuration.get("State") in ("Pending", "Inactive")\n        or',
        "inactive",
    ),
    Mutation(
        "Lambda-5",
        "resources/lambda_.py",
        'aws.wait_until(gone, reason="for Lambda: the function is being deleted")',
        "gone()",
        "ends_once",
    ),
    Mutation(
        "Lambda-6",
        "resources/lambda_.py",
        "            when=being_changed,\n            deadline_s=300,",
        "            when=lambda error: None,\n            deadline_s=300,",
        "R-4-DeleteFunction",
    ),
    Mutation(
        "Lambda-7",
        "resources/lambda_.py",
        '"Code": {"ImageUri": self._image_uri(desired)},',
        '"Code": {"ImageUri": self._image_uri(desired)}, "Runtime": "python3.12",',
    ),
    Mutation(
        "Lambda-8",
        "resources/lambda_.py",
        '_CODE = ("image_digest", "architecture")',
        '_CODE = ("image_digest",)',
    ),
    Mutation("Lambda-9", "service/declare.py", '"version_arn") for name', '"arn") for name'),
    Mutation(
        "Lambda-11",
        "resources/lambda_.py",
        "if command else {}",
        'if command else {"Command": ["x"]}',
        "function",
    ),
    Mutation(
        "Lambda-13",
        "resources/lambda_.py",
        "published = released == latest",
        "published = False",
        "function",
    ),
    Mutation(
        "Lambda-14",
        "resources/lambda_.py",
        '"CodeSha256": sha256}',
        '"CodeSha256": sha256, "RevisionId": "1"}',
    ),
    Mutation(
        "Lambda-15",
        "resources/lambda_.py",
        'exists = ("ResourceConflictException",)',
        "exists = ()",
        "first",
    ),
    Mutation("Lambda-17", "resources/lambda_.py", ', "CodeSha256": sha256}', "}"),
    Mutation(
        "Lambda-18",
        "resources/lambda_.py",
        'return None if configuration.get("State") == "Pending" else True',
        "return True",
    ),
    Mutation("Lambda-19", "resources/lambda_.py", 'if version["Version"] != _LATEST]', "if True]"),
    Mutation("Lambda-22", "resources/lambda_.py", "if version not in used]", "]"),
    Mutation(
        "Lambda-23",
        "service/permissions.py",
        '(settings.function_arn(name), f"{settings.function_arn(name)}:*")',
        "(settings.function_arn(name),)",
    ),
    Mutation(
        "Lambda-24",
        "resources/lambda_.py",
        'self.ours.check(f"Lambda function {self.name}", tags_from(answer.get("Tags")))',
        "pass",
    ),
    Mutation("Lambda-25", "resources/lambda_.py", "default=512)", "default=0)"),
    Mutation(
        "Lambda-26",
        "resources/lambda_.py",
        "            **read_members(_MEMBERS, configuration),\n        }",
        "            **read_members(_MEMBERS, configuration),\n"
        '            "revision": configuration.get("RevisionId"),\n        }',
    ),
    Mutation(
        "Lambda-28",
        "project/declared.py",
        'integer(128, 10240), "memory',
        'integer(128, 99999), "memory',
        "bad_value",
    ),
    Mutation("Lambda-29", "aws/pace.py", '"lambda": (15, 45)', '"lambda": (1500, 4500)'),
    Mutation(
        "Lambda-34",
        "service/declare.py",
        'if user != "api":',
        'if user == "workflow":',
    ),
    Mutation(
        "Lambda-35",
        "resources/lambda_.py",
        'return self._version(aws, versions[-1]["Version"]) or versions[-1]',
        "return versions[-1]",
    ),
    Mutation(
        "Lambda-36",
        "resources/lambda_.py",
        'if published["FunctionArn"] == failed and',
        "if False and",
    ),
    Mutation(
        "Lambda-36",
        "resources/lambda_.py",
        '== failed and self._version_failure(aws, published["Version"]):',
        "== failed:",
        "recovered",
    ),
    Mutation("Lambda-37", "local/events.py", "(60.0, 120.0)", "(60.0, 60.0)", "minutes"),
    Mutation(
        "Lambda-37",
        "local/lambda_api.py",
        "self._account.event_retries(version.arn)",
        "2",
        "answered_at_once",
    ),
    Mutation(
        "Lambda-37", "local/moto_backend/account.py", "configs[-1]", "configs[0]", "how_often"
    ),
    Mutation("Lambda-12", "resources/lambda_.py", "if concurrency is None:", "if not concurrency:"),
    Mutation(
        "Lambda-27",
        "resources/lambda_.py",
        '_UNVERSIONED = {"tags", "reserved_concurrency"}',
        '_UNVERSIONED = {"tags"}',
        "reservation",
    ),
    Mutation("Pc-2", "resources/provisioned.py", 'if answer["Status"] != "READY":', "if False:"),
    Mutation("Pc-2", "resources/provisioned.py", 'if answer["Status"] == "FAILED":', "if False:"),
    Mutation("Pc-3", "resources/provisioned.py", "if conflict and not any(", "if conflict or any("),
    Mutation(
        "Pc-3",
        "resources/provisioned.py",
        'if arn.rpartition(":")[2].isdigit()',
        "",
        "alias_is_left",
    ),
    Mutation(
        "Pc-7",
        "resources/provisioned.py",
        '"RequestedProvisionedConcurrentExecutions"',
        '"AllocatedProvisionedConcurrentExecutions"',
        "number or shape",
    ),
    Mutation("Pc-9", "service/provisioning.py", "reserved >= 2 * provisioned", "True"),
    Mutation("Pc-1", "service/declare.py", "*functions, *ready]", "*functions]"),
    Mutation(
        "TEST-24", "resources/provisioned.py", 'if answer["Status"] == "FAILED":', "if False:"
    ),
    Mutation(
        "Pc-6",
        "resources/provisioned.py",
        '_ABSENT = ("ProvisionedConcurrencyConfigNotFoundException", ',
        "_ABSENT = (",
        "turned_off",
    ),
    Mutation(
        "Pc-8",
        "service/inventory.py",
        "*provisioned(), *provisioned_too(), *alarms]",
        "*alarms]",
    ),
]
