"""The mutations of tests/mutations/ fit the code, and each row has one, or a reason."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.test_behaviours import rows
from tests.mutations import MUTATIONS
from tests.mutations.__main__ import named_in_row
from tests.mutations.mutation import Mutation
from tests.mutations.unmutated import BROKEN_BY, REASONS
from tests.support.projects import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.row)
def test_a_mutation_changes_one_place_and_its_row_names_a_test(mutation: Mutation) -> None:
    text = mutation.path(ROOT).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    assert mutation.old != mutation.new
    assert named_in_row(mutation.row)


def test_every_row_that_names_a_test_has_a_mutation_or_a_reason() -> None:
    tests = {
        ids[0]: set(re.findall(r"`(test_\w+)`", shown))
        for ids, _, _, shown in rows()
        if not shown.startswith("not ours: ")
    }
    mutated = {mutation.row for mutation in MUTATIONS}
    assert mutated | BROKEN_BY.keys() | REASONS.keys() == {row for row in tests if tests[row]}
    assert len(mutated) + len(BROKEN_BY) + len(REASONS) == len(
        mutated | BROKEN_BY.keys() | REASONS.keys()
    )
    for row, other in BROKEN_BY.items():
        assert other in mutated, row
        assert tests[row] & tests[other], f"{row} and {other} name no test in common"


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["--help"], 0, "usage: python -m tests.mutations"),
        (["--list", "Img-9"], 0, "Img-9\timages/ecr.py"),
        (["Nothing"], 2, "no mutation of Nothing"),
    ],
)
def test_help_list_and_an_unknown_row_run_nothing(
    arguments: list[str], code: int, shown: str
) -> None:
    command = [sys.executable, "-m", "tests.mutations", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert shown in done.stdout + done.stderr and " survive" not in done.stdout
