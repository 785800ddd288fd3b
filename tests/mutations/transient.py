"""Errors that pass."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
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
        "R-5",
        "resources/lambda_.py",
        "published = aws.retry(publish, when=not_ready, deadline_s=300)\n        if",
        "published = publish()\n        if",
        "R-5-",
    ),
    Mutation(
        "R-6",
        "resources/lambda_.py",
        'return "for Lambda: the new function is not seen yet"',
        "return None",
        "R-6-",
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
        "R-10",
        "resources/stepfunctions.py",
        'if error.code == "StateMachineDeleting":',
        "if False:",
    ),
    Mutation(
        "R-11", "resources/iam.py", '"Invalid principal" in error.aws_message', "False", "R-11-"
    ),
    Mutation(
        "R-12", "resources/iam.py", 'if error.code == "DeleteConflict":', "if False:", "R-12-"
    ),
    Mutation(
        "R-13", "resources/iam.py", 'if error.code == "ConcurrentModification"', "if False", "R-13-"
    ),
    Mutation(
        "R-14",
        "resources/ecr.py",
        '"Invalid repository policy" in error.aws_message',
        "False",
        "R-14-",
    ),
    Mutation(
        "R-15",
        "resources/ecr.py",
        'return "for ECR: the new repository is not seen yet" if error.code in _ABSENT else None',
        "return None",
        "R-15-",
    ),
    Mutation(
        "R-16",
        "resources/lambda_.py",
        '"permission to access the ECR image" in text',
        "False",
        "R-16-",
    ),
    Mutation(
        "R-17",
        "resources/s3.py",
        '("OperationAborted", "NoSuchBucket")',
        '("NoSuchBucket",)',
        "R-17-",
    ),
    Mutation(
        "R-18",
        "resources/s3.py",
        '("OperationAborted", "NoSuchBucket")',
        '("OperationAborted",)',
        "R-18-",
    ),
    Mutation("R-19", "resources/logs.py", '"OperationAbortedException"', '"?"', "R-19-"),
    Mutation(
        "R-20",
        "resources/logs.py",
        'and "no identity-based policy allows" in error.aws_message',
        "and False",
        "R-20-",
    ),
    Mutation(
        "R-21",
        "resources/apigateway/calls.py",
        'texts = ("try again later", "concurrent modification")',
        'texts = ("?",)',
        "R-21-",
    ),
    Mutation(
        "R-22",
        "resources/apigateway/authorizer.py",
        'if error.code != "ConflictException":',
        "if True:",
        "R-22-",
    ),
    Mutation("R-23", "aws/waiting.py", "error.code in THROTTLED or", "False or", "R-23-"),
    Mutation("R-26", "aws/waiting.py", 'or "Rate exceeded" in error.aws_message', ""),
]
