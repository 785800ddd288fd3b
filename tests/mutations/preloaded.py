"""Imports the large packages once, for the process from which those of pytest are forked.

They are most of the time of a short test. Nothing of deployer or tests may be among them, and no
plugin of pytest.
"""

from __future__ import annotations

import contextlib
import importlib

for name in (
    "pytest",
    "boto3",
    "moto.server",
    "moto.apigatewayv2.models",
    "moto.awslambda.responses",
    "moto.ecr.responses",
    "moto.iam.responses",
    "moto.logs.responses",
    "moto.s3.responses",
    "moto.stepfunctions.responses",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.svm",
):
    with contextlib.suppress(ImportError):  # a mutation is noticed without it, too
        importlib.import_module(name)
