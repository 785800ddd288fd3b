"""Rows without a mutation of their own: those that another row's mutation breaks, and the rest."""

from __future__ import annotations

# Row: the row whose mutation breaks the same code, and which names the same test.
BROKEN_BY = {
    "Img-6": "Img-4",
    "Iam-13": "GEN-4",
    "Iam-14": "R-13",
    "Logs-14": "S3-6",
    "Lambda-10": "GEN-9",
    "Lambda-30": "GEN-5",
    "Lambda-31": "R-1",
    "Sfn-1": "Sfn-11",
    "Sfn-4": "R-8",
    "Sfn-12": "GEN-8",
    "Api-12": "Sfn-23",
    "PERM-4": "Lambda-23",
    "PRE-4": "S3-5",
    "PRE-6": "Sfn-7",
    "PRE-12": "Logs-2",
    "TEST-1": "R-1",
    "TEST-3": "GEN-5",
    "TEST-4": "Lambda-2",
    "TEST-5": "Lambda-17",
    "TEST-6": "Lambda-25",
    "TEST-7": "R-9",
    "TEST-8": "Sfn-11",
    "TEST-9": "Sfn-2",
    "TEST-10": "Sfn-21",
    "TEST-11": "Sfn-23",
    "TEST-12": "Api-1",
    "TEST-13": "Api-17",
    "TEST-14": "Api-20",
    "TEST-15": "R-21",
    "TEST-16": "S3-1",
    "TEST-17": "S3-5",
    "TEST-18": "S3-8",
    "TEST-19": "Iam-4",
    "TEST-20": "Iam-10",
    "TEST-21": "Img-3",
    "TEST-22": "Img-7",
    "TEST-23": "Logs-3",
    "TEST-26": "GEN-4",
}

REASONS = {
    "Img-5": "no code: an engine's classic builder adds no attestations",
    "Img-8": "the test needs a Docker engine, which builds for its own platform anyway",
    "Logs-8": "no code: the test looks for calls that nothing makes",
    "Lambda-16": "no code: the call is repeated as every other, and AWS answers with the version",
    "Sfn-13": "no code: nothing reads a revision id",
    "Sfn-31": "no code: a run updates its one state machine once",
}
