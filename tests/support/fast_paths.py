"""The handler's evaluation without scikit-learn, compared with the models' own methods."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn

from tests.support.projects import ROOT


@cache
def handler() -> SimpleNamespace:
    """Return modules of lambda_src/, by name."""
    names = ("signature", "inputs", "outputs", "fast.estimators", "fast.unpickling", "fast.data")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        found = {name: importlib.import_module(name) for name in names}
    return SimpleNamespace(**{name.rpartition(".")[2]: module for name, module in found.items()})


def numbers(count: int, **members: Any) -> list[dict[str, Any]]:
    """Return features of plain numbers, with these members each."""
    return [{"name": f"x{number}", **members} for number in range(count)]


def signature(features: list[dict[str, Any]], **members: Any) -> Any:
    """Return the signature of a model trained with the installed scikit-learn."""
    members = {"scikit-learn": sklearn.__version__, **members}
    return handler().signature.Signature({"features": features, **members})


def dumped(model: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(model, stream, **options)
    return stream.getvalue()


def members_of(evaluate: Any, rows: Any) -> dict[str, Any] | str:
    """Return an answer's members, or the name of the exception in place of an answer."""
    try:
        members: dict[str, Any] = handler().outputs.columns(evaluate)(rows)
    except Exception as error:
        return type(error).__name__
    return members


def check_equal(
    model: Any, described: Any, rows: Sequence[Any], given: Sequence[Any] | None = None
) -> None:
    """Check that a fitted model gives the same by numpy alone: labels equal, numbers to 1e-9.

    Args:
        rows: inputs of scikit-learn.
        given: the same inputs as the fast path takes them, if in another form.
    """
    evaluate = handler().estimators.load(dumped(model), described)
    reference = handler().outputs.evaluation(model, described)
    for theirs, ours in zip(rows, rows if given is None else given, strict=True):
        expected, actual = members_of(reference, theirs), members_of(evaluate, ours)
        if isinstance(expected, str) or isinstance(actual, str):
            assert actual == expected
            continue
        assert actual.keys() == expected.keys()
        for member, values in expected.items():
            assert_same(actual[member], values)


def assert_same(actual: Any, expected: Any) -> None:
    numbers = np.array(expected)
    if numbers.dtype.kind != "f":
        assert actual == expected
        return
    assert np.array(actual).shape == numbers.shape
    assert np.abs(np.array(actual) - numbers).max() <= 1e-9 * max(1, np.abs(numbers).max())
