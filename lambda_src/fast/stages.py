"""What estimators become: stages, which are functions of arrays, with what they take and give."""

from __future__ import annotations

import numpy as np

from fast.data import Table
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    Run = Callable[[Any], Any]


class Stage:
    """A transformation: `run` returns an array of (n_rows, n_features), or a Sparse, from one.

    Attributes:
        takes_table: it takes a Table; any other stage is given the numbers of it.
        needs_table: it takes nothing else.
        takes_sparse: it takes a Sparse.
        needs_sparse: it takes nothing else.
        takes_nan, takes_infinity: it takes such numbers; any other stage refuses them, as
            scikit-learn does.
        gives_table, gives_sparse: it returns a Table or a Sparse.
        clean: it makes neither NaN nor infinity of other numbers.
        apart: its parts take some of the columns each, which must not come as a Table from before.
    """

    def __init__(
        self,
        run: Run,
        *,
        takes_table: bool = False,
        needs_table: bool = False,
        takes_sparse: bool = False,
        needs_sparse: bool = False,
        takes_nan: bool = True,
        takes_infinity: bool = False,
        gives_table: bool = False,
        gives_sparse: bool = False,
        clean: bool = False,
        apart: bool = False,
    ) -> None:
        self.run = run
        self.takes_table = takes_table or needs_table
        self.needs_table = needs_table
        self.gives_table = gives_table
        self.takes_sparse = takes_sparse or needs_sparse
        self.needs_sparse = needs_sparse
        self.takes_nan = takes_nan
        self.takes_infinity = takes_infinity
        self.gives_sparse = gives_sparse
        self.clean = clean
        self.apart = apart

    def after(self, first: Stage) -> Stage:
        """Return this stage with another one before it."""
        return Stage(**self._joined(first))

    def _joined(self, first: Stage) -> dict[str, Any]:
        if isinstance(first, Model):
            raise Unknown("a model in the place of a transformation")
        if first.gives_sparse and not self.takes_sparse:
            raise Unknown("a sparse matrix for a stage that takes none")
        if self.needs_sparse and not first.gives_sparse:
            raise Unknown("an array for a stage that takes a sparse matrix")
        if self.needs_table and not first.gives_table:
            raise Unknown("an array for a stage that takes columns")
        if self.apart and first.gives_table:
            raise Unknown("columns of any values between two stages")
        before, then = first.run, self.run
        if first.gives_table and not self.takes_table:
            then = one_after(then, numbers)
        elif not (first.clean or first.gives_sparse or self.takes_infinity):
            then = one_after(then, without_infinity if self.takes_nan else finite)
        return {
            "run": one_after(then, before),
            "takes_table": first.takes_table,
            "needs_table": first.needs_table,
            "takes_sparse": first.takes_sparse,
            "needs_sparse": first.needs_sparse,
            "takes_nan": first.takes_nan,
            "takes_infinity": first.takes_infinity,
            "gives_table": self.gives_table,
            "gives_sparse": self.gives_sparse,
            "clean": self.clean,
            "apart": first.apart,
        }


class Model(Stage):
    """A stage that predicts.

    `run` returns what all methods begin with: a regressor's predictions, a classifier's scores.

    Attributes:
        methods: the results of an estimator's methods, by name, each from that of `run`.
        defaults: the names of those that an answer holds by default (outputs.methods).
        classes: the labels of a classifier.
        several: the predictions of a regressor are lists, one number for each target.
    """

    def __init__(
        self,
        run: Run,
        methods: Mapping[str, Run],
        defaults: Sequence[str] = ("predict",),
        classes: NDArray[Any] | None = None,
        several: bool = False,
        **takes: Any,
    ) -> None:
        super().__init__(run, **{"takes_nan": False, **takes})
        self.methods = methods
        self.defaults = defaults
        self.classes = classes
        self.several = several

    def after(self, first: Stage) -> Model:
        joined = {**self._joined(first), "several": self.several}
        return Model(joined.pop("run"), self.methods, self.defaults, self.classes, **joined)


def regressor(run: Run, **takes: Any) -> Model:
    """Return the model whose predictions `run` returns."""
    return Model(run, {"predict": same}, **takes)


def classifier(
    run: Run, classes: NDArray[Any], methods: Mapping[str, Run], places: Run, **takes: Any
) -> Model:
    """Return the model of a classifier.

    Args:
        methods: predict_proba or decision_function, or both, from the scores of `run`; the first
            is part of an answer by default.
        places: returns the places of the predicted labels among `classes`, from the scores.
    """
    every = {"predict": lambda scores: classes.take(places(scores), axis=0), **methods}
    return Model(run, every, ["predict", next(iter(methods))], classes, **takes)


def adapted(stage: Stage) -> Stage:
    """Return a stage that takes a table in any case."""
    return stage if stage.takes_table else stage.after(Stage(numbers, takes_table=True, clean=True))


def one_after(then: Run, before: Run) -> Run:
    return lambda rows: then(before(rows))


def same(values: Any) -> Any:
    return values


def most_likely(scores: NDArray[Any]) -> NDArray[Any]:
    """Return the place of the largest score of each row."""
    places: NDArray[Any] = scores.argmax(axis=1)
    return places


def numbers(rows: Any) -> Any:
    """Return a table as an array; an array as it is."""
    return rows.numbers() if isinstance(rows, Table) else rows


class Refused(ValueError):
    """A value that scikit-learn refuses too."""


Refused.__name__ = "ValueError"  # what Lambda calls the error, as for scikit-learn's own


def finite(rows: Any) -> Any:
    """Return an array, or refuse missing and infinite numbers in scikit-learn's words."""
    values = numbers(rows)
    if np.isnan(values).any():
        raise Refused("Input X contains NaN.")
    return without_infinity(rows)


def without_infinity(rows: Any) -> Any:
    if np.isinf(numbers(rows)).any():
        kind = numbers(rows).dtype
        raise Refused(f"Input X contains infinity or a value too large for {kind!r}.")
    return rows
