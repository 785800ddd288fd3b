"""Breaks of the code, for each row of docs/aws-behaviours.md that names a test, by section."""

from __future__ import annotations

from itertools import chain

from tests.mutations import (
    alarms,
    api,
    checks,
    every_service,
    functions,
    iam_and_logs,
    images,
    metrics,
    rest,
    s3,
    transient,
    workflow,
)

_SECTIONS = (
    every_service,
    transient,
    s3,
    images,
    iam_and_logs,
    functions,
    workflow,
    api,
    rest,
    metrics,
    alarms,
    checks,
)
MUTATIONS = list(chain.from_iterable(section.MUTATIONS for section in _SECTIONS))
