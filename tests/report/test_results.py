"""The results of `invoke` as text."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from deployer.report.console import make_console
from deployer.report.results import print_results
from tests.report.test_plan import Terminal
from tests.support.golden import golden

GOLDEN = Path(__file__).parent / "golden"
RESULTS: list[dict[str, Any]] = [
    {"model": "linear_regression", "version": "3f2a9c01d4e5", "predictions": [30.003843]},
    {
        "model": "random_forest",
        "version": "0123456789ab",
        "predictions": [float(number) for number in range(1000)],
    },
    {"model": "[support]", "error": "Sandbox.Timedout"},
    {
        "model": "churn",
        "version": "0123456789ab",
        "predictions": ["no", "yes"],
        "classes": ["no", "yes"],
        "probabilities": [[0.71, 0.29], [0.123456789, 0.876543211]],
    },
    {
        "model": "two_targets",
        "version": "0123456789ab",
        "predictions": [["no", 3], ["yes", 4]],
        "classes": [["no", "yes"], [3, 4]],
        "probabilities": [[[0.7, 0.3], [0.6, 0.4]], [[0.2, 0.8], [0.1, 0.9]]],
    },
    {
        "model": "fraud",
        "version": "0123456789ab",
        "predictions": [1, -1],
        "scores": [-0.41, -0.6543217],
    },
    {
        "model": "prices",
        "version": "0123456789ab",
        "predictions": [[30.0, 4.5], [20.0, 3.25]],
        "targets": ["buy", "rent"],
    },
    {"model": "spam", "skipped": "its feature text is not given"},
    {"model": "components", "version": "0123456789ab", "transformed": [[1.5, -2.25]]},
]


def test_results_are_a_table_with_the_error_in_place_of_a_prediction(
    request: pytest.FixtureRequest,
) -> None:
    stream = io.StringIO()
    print_results(make_console(stream), RESULTS, 0.0123)
    text = "".join(line.rstrip() + "\n" for line in stream.getvalue().splitlines())
    golden(request, GOLDEN / "results.txt", text)


@pytest.mark.parametrize("width", [120, 80, 40, 16])
def test_names_and_answers_fold_and_are_never_cut(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    name = "a_model_with_a_name_longer_than_a_line_of_this_terminal"
    answers = [*RESULTS, {"model": name, "error": "An.Error.Of.Many.Words" * 5}]
    stream = Terminal()
    print_results(make_console(stream, color=False), answers, 0.0123)
    text = re.sub("\x1b[^m]*m", "", stream.getvalue())
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    whole = re.sub(r"\s", "", text)
    for model in (name, "[support]", "two_targets"):
        assert model in whole
    if width < 80:
        assert "An.Error.Of.Many.Words" * 5 in whole
