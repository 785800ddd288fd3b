"""Decision trees, and forests of them."""

from __future__ import annotations

import numpy as np

from fast import stages
from fast.leaves import Leaves, Nodes
from fast.unpickling import Tree, Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from fast.building import Builder
    from fast.stages import Model, Run
    from fast.unpickling import Fitted

# Rows times trees. What belongs to so many stays in the cache, and in memory that the process
# keeps: glibc gives blocks of 128 kB or more back to the system.
AT_ONCE = 16_000
FEW_LEAVES = 32  # of each tree; with more, a descent takes no longer, and less memory
LEVELS_BETWEEN = 4  # levels of a tree between two searches for rows that have reached a leaf


def tree_regressor(model: Fitted, build: Builder) -> Model:
    return regressing([model], build)


def tree_classifier(model: Fitted, build: Builder) -> Model:
    return classifying(model, [model], build)


def forest_regressor(model: Fitted, build: Builder) -> Model:
    return regressing(model.estimators_, build)


def forest_classifier(model: Fitted, build: Builder) -> Model:
    return classifying(model, model.estimators_, build)


def regressing(members: Sequence[Fitted], build: Builder) -> Model:
    takes_nan = all(takes_missing(member, build) for member in members)
    return stages.regressor(mean(members, build, takes_nan), takes_nan=takes_nan)


def classifying(model: Fitted, members: Sequence[Fitted], build: Builder) -> Model:
    if len(model.classes_) < 2:
        raise Unknown("trees of one class")
    takes_nan = all(takes_missing(member, build) for member in members)
    run = mean(members, build, takes_nan)
    methods = {"predict_proba": stages.same}
    return stages.classifier(run, model.classes_, methods, stages.most_likely, takes_nan=takes_nan)


def mean(members: Sequence[Fitted], build: Builder, takes_nan: bool) -> Run:
    """Return the mean of the trees: a function of rows to (n_rows,), or (n_rows, n_classes).

    The sum is scikit-learn's to the last bit: tree after tree.
    """
    trees = [member.tree_ for member in members]
    if any(tree.sizes[2] != 1 for tree in trees):
        raise Unknown("trees of several targets")
    values = ensemble(trees, takes_nan and (build.nullable or build.derived))
    narrow = narrowed(build)

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        sums = in_parts(lambda part: in_order(values(part)), narrow(rows), len(trees))
        sums /= len(trees)
        return sums

    return run


def narrowed(build: Builder) -> Run:
    """Return a function of rows to float32, which trees compare.

    A request's numbers are within float32; those that other stages make of them may be too large.
    """

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(rows, dtype=np.float32)

    def checked(rows: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            narrow: NDArray[Any] = stages.without_infinity(run(rows))
        return narrow

    return checked if build.derived else run


def takes_missing(tree: Fitted, build: Builder) -> bool:
    """Tell whether scikit-learn takes missing numbers."""
    of_kind = ("friedman_mse", "squared_error", "poisson", "gini", "entropy", "log_loss")
    splits = tree.splitter == "best" or build.version() >= (1, 6)
    return splits and tree.criterion in of_kind and tree.monotonic_cst is None


def in_parts(run: Run, rows: NDArray[Any], trees: int) -> NDArray[Any]:
    """Return the results for some of the rows after another, in one array."""
    size = max(1, AT_ONCE // trees)
    if len(rows) <= size:
        whole: NDArray[Any] = run(rows)
        return whole
    return np.concatenate([run(rows[first : first + size]) for first in range(0, len(rows), size)])


def in_order(values: NDArray[Any]) -> NDArray[Any]:
    """Return the sum over the trees, from the first to the last.

    numpy's sum over a whole array goes another way, in pairs.
    """
    total: NDArray[Any] = (
        values.sum(axis=0) if values[0].size > 1 else np.add.accumulate(values, axis=0)[-1]
    )
    return total


def ensemble(trees: Sequence[Tree], missing: bool, factor: float = 1.0) -> Run:
    """Return a function of float32 rows to every tree's value: (n_trees, n_rows), or with classes.

    The values are multiplied by `factor`. The arrays are taken out of the trees, for they would
    else need twice the memory.
    """
    found: Leaves | Forest
    if max(tree.node_count for tree in trees) < 2 * FEW_LEAVES:
        found = Leaves(nodes_of(trees), missing)
    else:
        found = Forest(trees, missing)
    found.value *= factor
    return found


def nodes_of(trees: Sequence[Tree]) -> Nodes:
    nodes = np.concatenate([tree.nodes for tree in trees])
    values = np.concatenate([values_of(tree) for tree in trees])
    return Nodes(
        [tree.node_count for tree in trees],
        nodes["left_child"],
        nodes["right_child"],
        nodes["feature"],
        nodes["threshold"],
        nodes["missing_go_to_left"] == 0,
        values,
    )


def values_of(tree: Tree) -> NDArray[Any]:
    """Return the values of a tree's nodes: (n_nodes,), or (n_nodes, n_classes)."""
    values = tree.values[:, 0, :]
    return values if values.shape[1] > 1 else values[:, 0]


class Forest:
    """The nodes of all trees in one array; every row descends all trees at once, level by level.

    A node's two children are adjacent, so that one index gives both. A leaf's index leads to
    itself, so that rows of unequal depth can descend together. Every LEVELS_BETWEEN levels the
    rows that have reached a leaf are left out.
    """

    def __init__(self, trees: Sequence[Tree], missing: bool = False) -> None:
        self.missing = missing
        self.count = len(trees)
        self.depth = max(tree.max_depth for tree in trees)
        total = sum(tree.node_count for tree in trees)
        self.left = np.arange(total)
        self.feature = np.zeros(total, np.intp)
        self.threshold = np.full(total, np.inf, np.float32)
        self.is_inner = np.zeros(total, bool)
        self.missing_right = np.zeros(total if missing else 0, bool)
        self.value = np.empty((total, *values_of(trees[0]).shape[1:]))
        free = self.count  # the roots come first, then pair by pair
        for number, tree in enumerate(trees):
            free = self._take_over(number, tree, free)

    def _take_over(self, root: int, tree: Tree, free: int) -> int:
        """Put a tree's nodes into their places from `free` on, and return the next free one.

        The tree loses its arrays: a model's file, its trees and this array would else need several
        times the memory of the model while it is loaded.
        """
        nodes, values = tree.nodes, values_of(tree)
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
        if self.missing:
            self.missing_right[at] = nodes["missing_go_to_left"][inner] == 0
        self.value[place] = values
        return free + 2 * len(inner)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return every tree's value for every row: (n_trees, n_rows), or with classes."""
        count, width = rows.shape
        flat = rows.ravel()
        node = reached = np.repeat(np.arange(self.count), count)
        start: NDArray[Any] = np.tile(np.arange(0, count * width, width), self.count)
        going: NDArray[Any] = np.arange(len(node))
        is_missing = np.isnan(flat) if self.missing else None
        for level in range(1, self.depth + 1):
            asked = start + self.feature.take(node)
            right = flat.take(asked) > self.threshold.take(node)
            if is_missing is not None:
                right |= is_missing.take(asked) & self.missing_right.take(node)
            node = self.left.take(node)
            node += right
            if level % LEVELS_BETWEEN == 0 or level == self.depth:
                reached[going] = node
                on = np.flatnonzero(self.is_inner.take(node))
                going, node, start = going.take(on), node.take(on), start.take(on)
        return self.value.take(reached, axis=0).reshape(self.count, count, *self.value.shape[1:])


def rounded_down(thresholds: NDArray[Any]) -> NDArray[Any]:
    """Round float64 thresholds down to float32.

    Trees compare float32 values with them, and no such value lies between a threshold and its
    rounding, so every comparison stays the same.
    """
    rounded = thresholds.astype(np.float32)
    above = rounded > thresholds
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded
