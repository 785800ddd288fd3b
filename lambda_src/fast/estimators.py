"""Common estimators without scikit-learn: a restricted unpickler, and numpy to evaluate them.

Importing scikit-learn, and the parts of scipy that it needs, is most of a cold start; this module
needs neither (benchmarks/inference.py). It predicts as scikit-learn does, to 1e-9. For anything
that it does not support it raises Unknown, and the caller takes scikit-learn.
"""

from __future__ import annotations

import io
import pickle
import zlib

import numpy as np

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, BinaryIO

    from numpy.typing import NDArray

    Evaluate = Callable[[NDArray[Any]], NDArray[Any]]

ROWS_AT_ONCE = 256  # of a forest: the nodes of so many rows in a hundred trees stay in the cache
CHUNK = 1 << 18  # bytes of a file that are decompressed at once
LARGE = 1 << 20  # bytes of a compressed file, from which it is not decompressed at once
LEVELS_BETWEEN = 4  # levels of a tree between two searches for rows that have reached a leaf


class Unknown(Exception):
    """The file holds something that this module does not support; the message says what."""


def load(content: bytes, trained_with: str, width: int | None = None) -> Evaluate:
    """Return a function that predicts (n_rows,) from (n_rows, n_features), from a joblib file.

    Raises:
        Unknown: for another estimator, other parameters of a supported one, another scikit-learn,
            another number of features than `width`, or another kind of file.
    """
    try:
        model = Unpickler(opened(content)).load()
        first = model.steps[0][1] if type(model).__name__ == "Pipeline" else model
        actual = getattr(first, "n_features_in_", None)
        if width is not None and actual is not None and actual != width:
            raise Unknown(f"{type(model).__name__} of {actual} features")
        return predictor(model, trained_with)
    except Unknown:
        raise
    except Exception as error:  # an unforeseen layout must not keep a good model from serving
        raise Unknown(f"{type(error).__name__}: {error}") from error


def opened(content: bytes) -> BinaryIO:
    """Return the bytes of a joblib file as an open one; a large one is inflated on the way."""
    if content[:1] != b"\x78":
        return io.BytesIO(content)
    if len(content) < LARGE:
        return io.BytesIO(zlib.decompress(content))
    return io.BufferedReader(Inflating(content), CHUNK)


class Inflating(io.RawIOBase):
    """Decompresses bytes piece by piece."""

    def __init__(self, content: bytes) -> None:
        self._rest: Any = memoryview(content)
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._inflate.eof:
            given = self._inflate.unconsumed_tail or self._rest[:CHUNK]
            if not self._inflate.unconsumed_tail:
                self._rest = self._rest[CHUNK:]
            if not given:
                raise zlib.error("incomplete or truncated stream")
            piece = self._inflate.decompress(given, len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
        return 0


class Fitted:
    """An estimator's attributes, without its class."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Tree:
    """The arrays of sklearn.tree._tree.Tree."""

    max_depth: int
    node_count: int
    nodes: NDArray[Any]
    values: NDArray[Any]

    def __init__(self, *sizes: Any) -> None:
        self.sizes = sizes


class ArrayInFile:
    """joblib's description of an array whose bytes follow in the file."""

    dtype: np.dtype[Any]
    order: Any
    shape: tuple[int, ...]
    subclass: type

    def read(self, file: BinaryIO) -> NDArray[Any]:
        if self.dtype.hasobject or self.subclass is not Array:
            raise Unknown("an array of objects")
        if getattr(self, "numpy_array_alignment_bytes", None) is not None:
            file.read(file.read(1)[0])
        count = int(np.prod(self.shape, dtype=np.int64))
        flat = np.frombuffer(file.read(count * self.dtype.itemsize), self.dtype, count)
        return flat.reshape(self.shape, order=self.order)


class Array:
    """Stands for numpy.ndarray, which a file may name but not call."""

    def __init__(self) -> None:
        raise Unknown("an array that joblib did not write")


def scalar(dtype: np.dtype[Any], content: bytes) -> Any:
    """Stand for numpy's function of this name, by which a pickle holds a single number."""
    if dtype.hasobject:
        raise Unknown("a number that is an object")
    return np.frombuffer(content, dtype, 1)[0]


def estimator(name: str) -> type[Fitted]:
    return type(name, (Fitted,), {})


LINEAR = {
    "sklearn.linear_model._base": ["LinearRegression"],
    "sklearn.linear_model._coordinate_descent": ["ElasticNet", "Lasso"],
    "sklearn.linear_model._ridge": ["Ridge"],
}
OTHERS = {
    "sklearn.ensemble._forest": ["ExtraTreesRegressor", "RandomForestRegressor"],
    "sklearn.pipeline": ["Pipeline"],
    "sklearn.preprocessing._data": ["StandardScaler"],
    "sklearn.svm._classes": ["SVR"],
    "sklearn.tree._classes": ["DecisionTreeRegressor", "ExtraTreeRegressor"],
}
ADMITTED: dict[tuple[str, str], Any] = {
    (module, name): estimator(name)
    for module, names in {**LINEAR, **OTHERS}.items()
    for name in names
}
ADMITTED |= {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): ArrayInFile,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): Array,
    ("numpy._core.multiarray", "scalar"): scalar,
    ("numpy.core.multiarray", "scalar"): scalar,
    ("sklearn.tree._tree", "Tree"): Tree,
}


PythonUnpickler: Any = pickle._Unpickler  # typeshed describes it as if it were the one in C


class Unpickler(PythonUnpickler):  # type: ignore[misc]  # of type Any, as its base
    """Reads joblib's files, and resolves no names but those in ADMITTED: a file cannot run code.

    Derives from pickle's unpickler in Python, as joblib's own does, because the one in C cannot
    read arrays that stand between opcodes.
    """

    dispatch = dict(PythonUnpickler.dispatch)

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise Unknown(f"{module}.{name}")
        return ADMITTED[module, name]

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], ArrayInFile):
            self.stack[-1] = self.stack[-1].read(self.file)

    dispatch[pickle.BUILD[0]] = load_build


def predictor(model: Any, trained_with: str) -> Evaluate:
    """Return a function that predicts as a fitted estimator does."""
    name = type(model).__name__
    if not isinstance(model, Fitted):
        raise Unknown(f"a {name}")
    version = getattr(model, "_sklearn_version", None)
    if version != trained_with:
        raise Unknown(f"{name} of scikit-learn {version}")
    if name == "Pipeline":
        return pipeline(model, trained_with)
    if name == "SVR":
        return support_vectors(model)
    if name in ("RandomForestRegressor", "ExtraTreesRegressor"):
        return Forest([member.tree_ for member in model.estimators_])
    if name in ("DecisionTreeRegressor", "ExtraTreeRegressor"):
        return Forest([model.tree_])
    if any(name in names for names in LINEAR.values()):
        return linear(model)
    raise Unknown(f"{name} as the last step")


def linear(model: Fitted) -> Evaluate:
    coefficients, intercept = np.asarray(model.coef_), model.intercept_
    if coefficients.ndim != 1 or np.ndim(intercept) != 0:
        raise Unknown("a linear model of several targets")
    return lambda rows: rows @ coefficients + intercept


def pipeline(model: Fitted, trained_with: str) -> Evaluate:
    *before, (_, last) = model.steps
    scalers = [scaler(step) for _, step in before]
    final = predictor(last, trained_with)

    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        for scale in scalers:
            rows = scale(rows)
        return final(rows)

    return predict


def scaler(step: Fitted) -> Evaluate:
    if type(step).__name__ != "StandardScaler":
        raise Unknown(f"{type(step).__name__} in a pipeline")
    mean = step.mean_ if step.with_mean else 0.0
    scale = step.scale_ if step.with_std else 1.0
    return lambda rows: (rows - mean) / scale


def support_vectors(model: Fitted) -> Evaluate:
    """Sum radial basis functions by one product of matrices.

    -gamma |x - s|^2 is 2 gamma xs - gamma |s|^2 - gamma |x|^2. It is computed in place: for a
    batch, allocating a new array at each step takes longer than the arithmetic.
    """
    if model.kernel != "rbf" or model._sparse:
        raise Unknown(f"SVR with kernel {model.kernel}")
    vectors, gamma = model.support_vectors_, float(model._gamma)
    weights, intercept = model.dual_coef_[0], model.intercept_[0]
    factors, squares = np.ascontiguousarray(2 * gamma * vectors.T), gamma * (vectors**2).sum(axis=1)

    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        exponents = rows @ factors
        exponents -= squares
        exponents -= gamma * (rows**2).sum(axis=1)[:, None]
        np.minimum(exponents, 0, out=exponents)
        predictions: NDArray[Any] = np.exp(exponents, out=exponents) @ weights + intercept
        return predictions

    return predict


class Forest:
    """The nodes of all trees in one array; every row descends all trees at once, level by level.

    A node's two children are adjacent, so that one index gives both. A leaf's index leads to
    itself, so that rows of unequal depth can descend together. Every LEVELS_BETWEEN levels the
    rows that have reached a leaf are left out.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        if any(tree.sizes[2] != 1 for tree in trees):
            raise Unknown("trees of several targets")
        self.count = len(trees)
        self.depth = max(tree.max_depth for tree in trees)
        total = sum(tree.node_count for tree in trees)
        self.left = np.arange(total)
        self.feature = np.zeros(total, np.intp)
        self.threshold = np.full(total, np.inf, np.float32)
        self.is_inner = np.zeros(total, bool)
        self.value = np.empty(total)
        free = self.count  # the roots come first, then pair by pair
        for number, tree in enumerate(trees):
            free = self._take_over(number, tree, free)

    def _take_over(self, root: int, tree: Tree, free: int) -> int:
        """Put a tree's nodes into their places from `free` on, and return the next free one.

        The tree loses its arrays: a model's file, its trees and this array would else need several
        times the memory of the model while it is loaded.
        """
        nodes, values = tree.nodes, tree.values
        del tree.nodes, tree.values
        inner = np.flatnonzero(nodes["left_child"] >= 0)
        pairs = free + 2 * np.arange(len(inner))
        place = np.full(len(nodes), root)
        place[nodes["left_child"][inner]] = pairs
        place[nodes["right_child"][inner]] = pairs + 1
        at = place[inner]
        self.left[at] = pairs
        self.feature[at] = nodes["feature"][inner]
        self.threshold[at] = rounded_down(nodes["threshold"][inner])
        self.is_inner[at] = True
        self.value[place] = values[:, 0, 0]
        return free + 2 * len(inner)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        parts = [rows[first : first + ROWS_AT_ONCE] for first in range(0, len(rows), ROWS_AT_ONCE)]
        sums = np.concatenate([self.values(part).sum(axis=0) for part in parts])
        predictions: NDArray[Any] = sums / self.count
        return predictions

    def values(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return every tree's prediction for every row: (n_trees, n_rows)."""
        count, width = rows.shape
        flat = rows.ravel()
        node = reached = np.repeat(np.arange(self.count), count)
        start: NDArray[Any] = np.tile(np.arange(0, count * width, width), self.count)
        going: NDArray[Any] = np.arange(len(node))
        for level in range(1, self.depth + 1):
            right = flat.take(start + self.feature.take(node)) > self.threshold.take(node)
            node = self.left.take(node)
            node += right
            if level % LEVELS_BETWEEN == 0 or level == self.depth:
                reached[going] = node
                on = np.flatnonzero(self.is_inner.take(node))
                going, node, start = going.take(on), node.take(on), start.take(on)
        return self.value.take(reached).reshape(self.count, count)


def rounded_down(thresholds: NDArray[Any]) -> NDArray[Any]:
    """Round float64 thresholds down to float32.

    Trees compare float32 values with them, and no such value lies between a threshold and its
    rounding, so every comparison stays the same.
    """
    rounded = thresholds.astype(np.float32)
    above = rounded > thresholds
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded
