"""The mutations of tests/mutations.py fit the code, and their rows name tests."""

from __future__ import annotations

import pytest

from tests.mutations import MUTATIONS, Mutation, named_in_row
from tests.support.projects import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.row)
def test_a_mutation_changes_one_place_and_its_row_names_a_test(mutation: Mutation) -> None:
    text = (ROOT / "deployer" / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    assert named_in_row(mutation.row)
