"""Break the code on purpose, for rows of docs/aws-behaviours.md, and see the row's tests fail.

    python -m tests.mutations            every mutation; takes an hour
    python -m tests.mutations S3 Img-9   those of a family, or of one row

It exits with 1 and names the mutations that survive: their rows' tests cannot fail. It works on a
copy of the checkout, and is run by hand. tests/docs/test_mutations.py holds every mutation to the
code.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.docs.test_behaviours import rows
from tests.support.projects import ROOT


class Mutation(NamedTuple):
    """A text in a file below deployer/ that stands there once, and what takes its place.

    Args:
        only: an expression of pytest's -k that narrows the row's tests, for those of many cases.
    """

    row: str
    file: str
    old: str
    new: str
    only: str = ""


MUTATIONS = [
    Mutation("GEN-2", "aws/access.py", "if error.code in missing:", "if error.status == 404:"),
    Mutation("GEN-3", "aws/clients.py", '"total_max_attempts": 1', '"total_max_attempts": 3'),
    Mutation(
        "GEN-4", "aws/waiting.py", "delay = min(delay * 2, longest_delay_s)", "delay = delay * 1"
    ),
    Mutation("GEN-6", "aws/waiting.py", "seconds * random.uniform(0.75, 1.0)", "seconds"),
    Mutation("GEN-7", "service/rehearsal.py", "if size > high:", "if False:"),
    Mutation(
        "GEN-8", "service/outcome.py", "return None if self.remaining else True", "return True"
    ),
    Mutation(
        "GEN-8",
        "service/up.py",
        'return f"this is not as it should be: {shown}" if shown else ""',
        'return ""',
        "second_read",
    ),
    Mutation("GEN-10", "engine/apply.py", "if error.code not in resource.exists or", "if True or"),
    Mutation(
        "GEN-11", "engine/compare.py", '("key", "value") if lower', '("Key", "Value") if lower'
    ),
    Mutation("GEN-12", "resources/s3.py", '{**tags, **desired["tags"]}', 'desired["tags"]'),
    Mutation(
        "GEN-14",
        "engine/apply.py",
        "self._walk(reverse(needs_of(resources)), visit, changes)",
        "self._walk(needs_of(resources), visit, changes)",
    ),
    Mutation(
        "R-1",
        "resources/lambda_.py",
        '"cannot be assumed by Lambda" in text',
        '"?" in text',
        "R-1-",
    ),
    Mutation(
        "R-2", "resources/lambda_.py", '"role does not have permissions" in text', "False", "R-2-"
    ),
    Mutation("R-3", "resources/lambda_.py", '"CreateGrant" in text', "False", "R-3-"),
    Mutation(
        "R-4",
        "resources/lambda_.py",
        'conflict = error.code == "ResourceConflictException"',
        "conflict = False",
        "R-4-",
    ),
    Mutation(
        "R-8",
        "resources/stepfunctions.py",
        '"authorized to assume the provided role" in error.aws_message',
        "False",
        "R-8-",
    ),
    Mutation(
        "R-9",
        "resources/stepfunctions.py",
        '"not authorized to access the Log Destination" in error.aws_message',
        "False",
        "R-9-",
    ),
    Mutation(
        "R-14",
        "resources/ecr.py",
        '"Invalid repository policy" in error.aws_message',
        "False",
        "R-14-",
    ),
    Mutation(
        "R-16",
        "resources/lambda_.py",
        '"permission to access the ECR image" in text',
        "False",
        "R-16-",
    ),
    Mutation("R-19", "resources/logs.py", '"OperationAbortedException"', '"?"', "R-19-"),
    Mutation("R-26", "aws/waiting.py", 'or "Rate exceeded" in error.aws_message', ""),
    Mutation("S3-1", "resources/s3.py", 'if aws.region != "us-east-1":', "if True:"),
    Mutation(
        "S3-4",
        "resources/s3.py",
        '"s3", "delete_objects", **owner, Delete',
        '"s3", "delete_objects", Bucket=owner["Bucket"], Delete',
    ),
    Mutation("S3-7", "resources/s3.py", 'if error.code != "BucketNotEmpty":', "if True:"),
    Mutation("S3-8", "resources/s3.py", 'answer.get("Errors", ())', "()"),
    Mutation("S3-10", "resources/s3.py", 'missing=("NoSuchBucketPolicy",)', 'missing=("X",)'),
    Mutation("S3-17", "resources/s3.py", 'file["Metadata"].get("sha256")', 'self.fields["sha256"]'),
    Mutation(
        "ECR-4",
        "resources/ecr.py",
        'aws.wait_until(gone, reason="for ECR: the repository is being deleted")',
        "gone()",
    ),
    Mutation(
        "ECR-5", "engine/compare.py", "sorted(value) if isinstance(value, list)", "value if 0"
    ),
    Mutation("ECR-6", "service/declare.py", '"tagStatus": "untagged"', '"tagStatus": "any"'),
    Mutation(
        "ECR-8", "service/declare.py", "policy=policy(pull)", 'policy=policy({**pull, "Sid": "x"})'
    ),
    Mutation("ECR-7", "service/declare.py", ', "ecr:GetDownloadUrlForLayer"]', "]"),
    Mutation(
        "ECR-12",
        "resources/lambda_.py",
        'changed(change, *_CODE, "failure")',
        "changed(change, *_CODE)",
    ),
    Mutation("ECR-13", "resources/ecr.py", '_ACTIVE = "ACTIVE"', '_ACTIVE = "ARCHIVED"'),
    Mutation("ECR-14", "resources/ecr.py", "if not images or images[0]", "if images[0]"),
    Mutation("Img-4", "images/ecr.py", "if media_type not in IMAGE_TYPES:", "if False:"),
    Mutation("Img-9", "images/ecr.py", "if platform != (", "if False and platform != ("),
    Mutation("Img-10", "images/ecr.py", '"ImageAlreadyExistsException"', '"?"'),
    Mutation("Img-13", "images/ecr.py", "if stored != image.digest:", "if False:"),
    Mutation("Img-14", "images/ecr.py", 'if not answer["images"]:', "if False:"),
    Mutation("Img-16", "images/maintenance.py", "if today <= end:", "if True:"),
    Mutation("Img-17", "images/recipe.py", " or target in recipe.folders", ""),
    Mutation("Iam-4", "engine/compare.py", "else unquote(document)", "else document"),
    Mutation("Iam-5", "engine/compare.py", "return sorted({item if", "return list({item if"),
    Mutation("Iam-10", "resources/iam.py", "if attached:", "if False:"),
    Mutation(
        "Iam-11", "service/rehearsal.py", "_INLINE_POLICIES_LIMIT:", "_INLINE_POLICIES_LIMIT * 9:"
    ),
    Mutation(
        "Iam-15",
        "service/declare.py",
        '{"aws:SourceArn": settings.workflow_arn}',
        '{"aws:SourceArn": "*"}',
    ),
    Mutation(
        "Logs-3",
        "resources/logs.py",
        'if group["logGroupName"] == self.name), None)',
        "if True), None)",
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
    Mutation("Lambda-17", "resources/lambda_.py", ', "CodeSha256": sha256}', "}"),
    Mutation("Lambda-22", "resources/lambda_.py", "if version not in used]", "]"),
    Mutation(
        "Lambda-23",
        "service/permissions.py",
        '(settings.function_arn(name), f"{settings.function_arn(name)}:*")',
        "(settings.function_arn(name),)",
    ),
    Mutation(
        "Lambda-34",
        "service/declare.py",
        'if assumed_by != "apigateway":',
        'if assumed_by == "states":',
    ),
    Mutation(
        "Sfn-7", "project/workflow.py", '(".sync", ".sync:2", ".waitForTaskToken")', '(".sync",)'
    ),
    Mutation("Sfn-8", "service/validation.py", 'type="EXPRESS"', 'type="STANDARD"'),
    Mutation("Sfn-9", "service/up.py", '"not checked: {error.message}"', '"x"', "may_not"),
    Mutation(
        "Sfn-10",
        "resources/stepfunctions.py",
        '{"level": "OFF", "includeExecutionData": False, "destinations": []}',
        "{}",
    ),
    Mutation(
        "Sfn-11",
        "resources/stepfunctions.py",
        '{"definition", "role_arn"} | change.names',
        "change.names",
    ),
    Mutation(
        "Sfn-22", "aws/clients.py", "inject_host_prefix=not overridden", "inject_host_prefix=True"
    ),
    Mutation(
        "Sfn-27",
        "project/workflow.py",
        "if isinstance(resource, str) and _INVOKE",
        "if False and _INVOKE",
    ),
    Mutation("Sfn-29", "project/workflow.py", "or not whole < INTEGRATION_TIMEOUT_S:", "or False:"),
    Mutation("Sfn-36", "project/workflow.py", "if name in places:", "if False:"),
    Mutation("Sfn-38", "project/canary.py", "{_LANGUAGE: _JSONATA, **state}", "state"),
    Mutation("Sfn-39", "project/canary.py", "$random() < {", "$random() <= {"),
    Mutation("Sfn-40", "project/canary.py", 'new = f"{side}: {name}"', 'new = f"{side}  {name}"'),
    Mutation(
        "Api-3",
        "resources/apigateway/calls.py",
        "if not taken and not answer_lost(error):",
        "if not taken:",
    ),
    Mutation("Api-17", "resources/apigateway/cors.py", "if cors is None:", "if False:"),
    Mutation(
        "Api-20",
        "resources/apigateway/integration.py",
        '{**dict.fromkeys(former_parameters, ""), **wanted["parameters"]}',
        'wanted["parameters"]',
    ),
    Mutation("Api-29", "service/rehearsal.py", "> _ACCESS_LOG_LIMIT or", "> 9999 or"),
    Mutation("PRE-1", "project/settings.py", 'if self.account not in ("", account):', "if False:"),
    Mutation("PRE-5", "resources/base.py", "if self.marks(found) or", "if True or"),
    Mutation(
        "PRE-14", "resources/lambda_.py", 'if actual.outputs["busy"]:', "if False:", "found_pending"
    ),
    Mutation("PRE-7", "service/rehearsal.py", "if trust > _TRUST_LIMIT:", "if False:"),
    Mutation("PRE-8", "service/check.py", "if free < wanted:", "if False:"),
]


def named_in_row(row: str) -> list[tuple[str, str]]:
    """Return (file, name) of each test that the document names for a row."""
    shown = next(shown for ids, _, _, shown in rows() if row in ids)
    names = re.findall(r"`(test_\w+)`", shown)
    files = {path: path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    return [
        (path.relative_to(ROOT).as_posix(), name)
        for name in names
        for path, text in files.items()
        if f"\ndef {name}(" in text
    ]


def survives(mutation: Mutation, checkout: Path, models: Path) -> bool:
    """Tell whether a row's tests pass with the code broken."""
    path = checkout / "deployer" / mutation.file
    original = path.read_text()
    files, names = zip(*named_in_row(mutation.row), strict=True)
    chosen = " or ".join(names)
    chosen = f"({chosen}) and {mutation.only}" if mutation.only else chosen
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-k", chosen, *set(files)]
    try:
        path.write_text(original.replace(mutation.old, mutation.new))
        environment = {**os.environ, "TESTS": "all", "TRAINED_MODELS": str(models)}
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True)
    finally:
        path.write_text(original)
    if done.returncode not in (0, 1):  # nothing collected, or pytest itself failed
        raise SystemExit(done.stdout.decode() + done.stderr.decode())
    return done.returncode == 0


def chosen(wanted: Sequence[str]) -> Iterator[Mutation]:
    for mutation in MUTATIONS:
        if not wanted or mutation.row in wanted or mutation.row.partition("-")[0] in wanted:
            yield mutation


def main(wanted: Sequence[str]) -> int:
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        checkout, models = Path(folder, "checkout"), Path(folder, "models")
        shutil.copytree(
            ROOT, checkout, ignore=shutil.ignore_patterns(".git", ".venv", ".deployer", "models")
        )
        train = [sys.executable, str(ROOT / "train.py"), "--output", str(models)]
        subprocess.run(train, check=True, capture_output=True)
        for mutation in chosen(wanted):
            survived = survives(mutation, checkout, models)
            survivors += survived
            print(
                f"{'SURVIVES' if survived else 'dies'}\t{mutation.row}\t{mutation.old!r}",
                flush=True,
            )
    print(f"{survivors} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
