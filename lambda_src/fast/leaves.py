"""Trees of few leaves, all at once: for each row and tree, the leaf is found without a descent.

A tree's leaves are numbered from left to right, and a set of leaves is a number with a bit for
each. A node that sends a row to the right rules out the leaves to its left; the leaf of a row is
the first one that no node rules out. (The idea is QuickScorer's: Lucchese and others, SIGIR 2015.)
Which leaves of all trees a feature rules out depends only on where its value lies among the
thresholds. A table for each feature holds that for every place, so that a row takes one lookup per
feature, whatever the number of nodes.
"""

from __future__ import annotations

import numpy as np

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

MOST = 64  # leaves of a tree, one bit each
TABLE = 1 << 20  # bytes that the tables of one block of trees should take
CATEGORIES = 256  # codes of a categorical feature


class Nodes:
    """The nodes of trees, each an array over all nodes; a tree's nodes follow one another.

    Attributes:
        roots: the place of each tree's first node.
        left, right: the places of the children; -1 at a leaf.
        feature, threshold: a row goes to the left where its feature is at most the threshold.
        missing_right: a row goes to the right where its feature is missing.
        bitset: of a split by categories, a row of `bitsets`; -1 elsewhere.
        bitsets: (n, 256), true for the categories that go to the left.
        value: (n_nodes,) or (n_nodes, k).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        left: NDArray[Any],
        right: NDArray[Any],
        feature: NDArray[Any],
        threshold: NDArray[Any],
        missing_right: NDArray[Any],
        value: NDArray[Any],
        bitset: NDArray[Any] | None = None,
        bitsets: NDArray[Any] | None = None,
    ) -> None:
        """`left` and `right` count from each tree's own first node."""
        ends = np.cumsum(sizes)
        self.roots = ends - sizes
        first = np.repeat(self.roots, sizes)
        is_leaf = left < 0
        self.left = np.where(is_leaf, -1, left + first)
        self.right = np.where(is_leaf, -1, right + first)
        self.feature, self.threshold, self.value = feature, threshold, value
        self.missing_right, self.bitset, self.bitsets = missing_right, bitset, bitsets
        self.tree = np.repeat(np.arange(len(sizes)), sizes)
        self.first, self.count = self._numbered()

    def _numbered(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the number of the first leaf below each node, and the number of its leaves."""
        levels, level = [], self.roots
        while len(level):
            levels.append(level)
            inner = level[self.left[level] >= 0]
            level = np.concatenate([self.left[inner], self.right[inner]])
        count = np.ones(len(self.left), np.int64)
        first = np.zeros(len(self.left), np.int64)
        for level in reversed(levels):
            inner = level[self.left[level] >= 0]
            count[inner] = count[self.left[inner]] + count[self.right[inner]]
        for level in levels:
            inner = level[self.left[level] >= 0]
            first[self.left[inner]] = first[inner]
            first[self.right[inner]] = first[inner] + count[self.left[inner]]
        return first, count

    @property
    def most_leaves(self) -> int:
        return int(self.count[self.roots].max())


class Leaves:
    """The values of the leaves that rows reach, for all trees."""

    def __init__(self, nodes: Nodes, missing: bool) -> None:
        """`missing`: features may be missing, as NaN."""
        most, trees = nodes.most_leaves, len(nodes.roots)
        kind = np.dtype(f"u{next(size for size in (1, 2, 4, 8) if most <= 8 * size)}")
        per_tree = max(1, len(nodes.left) // (2 * trees)) * kind.itemsize
        size = max(1, int((TABLE / per_tree) ** 0.5))
        self.blocks = [
            Block(nodes, start, min(start + size, trees), kind, missing)
            for start in range(0, trees, size)
        ]
        leaves = np.flatnonzero(nodes.left < 0)
        shape = (trees * most, *nodes.value.shape[1:])
        self.value = np.zeros(shape)
        self.value[nodes.tree[leaves] * most + nodes.first[leaves]] = nodes.value[leaves]
        self.starts = np.arange(0, trees * most, most)[:, None]

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the leaves' values: (n_trees, n_rows) or (n_trees, n_rows, k)."""
        numbers = np.concatenate([block(rows) for block in self.blocks])
        values: NDArray[Any] = self.value.take(numbers + self.starts, axis=0)
        return values


class Block:
    """Some of the trees, with a table for each feature that they ask."""

    def __init__(self, nodes: Nodes, start: int, end: int, kind: Any, missing: bool) -> None:
        inner = np.flatnonzero((nodes.left >= 0) & (nodes.tree >= start) & (nodes.tree < end))
        self.count, self.kind, self.missing = end - start, kind, missing
        kept = kept_leaves(nodes.first[inner], nodes.count[nodes.left[inner]]).astype(kind)
        self.features = []
        for feature in np.unique(nodes.feature[inner]).tolist():
            own = nodes.feature[inner] == feature
            self.features.append((feature, *self._table(nodes, inner[own], kept[own], start)))

    def _table(
        self, nodes: Nodes, own: NDArray[Any], kept: NDArray[Any], start: int
    ) -> tuple[NDArray[Any] | None, NDArray[Any]]:
        """Return a feature's thresholds, None for categories, and the leaves left at each place.

        The last row is that of a missing feature.
        """
        tree = nodes.tree[own] - start
        thresholds = None
        if nodes.bitset is not None and nodes.bitset[own[0]] >= 0:
            assert nodes.bitsets is not None
            table = self._full(CATEGORIES + 1)
            goes_right, category = np.nonzero(~nodes.bitsets[nodes.bitset[own]])
            np.bitwise_and.at(table, (category, tree[goes_right]), kept[goes_right])
        else:
            thresholds, place = np.unique(nodes.threshold[own], return_inverse=True)
            table = self._full(len(thresholds) + 2)
            np.bitwise_and.at(table, (place + 1, tree), kept)
            np.bitwise_and.accumulate(table[:-1], axis=0, out=table[:-1])
        right = nodes.missing_right[own]
        np.bitwise_and.at(table[-1], tree[right], kept[right])
        return thresholds, table

    def _full(self, count: int) -> NDArray[Any]:
        return np.full((count, self.count), np.iinfo(self.kind).max, self.kind)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers of the leaves: (n_trees, n_rows)."""
        left = None
        for feature, thresholds, table in self.features:
            values = rows[:, feature]
            if thresholds is None:
                places = category_places(values)
            else:
                places = thresholds.searchsorted(values)
                if self.missing:
                    places[np.isnan(values)] = len(thresholds) + 1
            found = table.take(places, axis=0)
            left = found if left is None else np.bitwise_and(left, found, out=left)
        if left is None:  # no tree splits
            return np.zeros((self.count, len(rows)), np.intp)
        return lowest_bit(left).T


def kept_leaves(first: NDArray[Any], count: NDArray[Any]) -> NDArray[Any]:
    """Return the sets of all leaves but `count` of them from `first` on; those are never all."""
    one = np.uint64(1)
    gone = ((one << count.astype(np.uint64)) - one) << first.astype(np.uint64)
    kept: NDArray[Any] = ~gone
    return kept


def lowest_bit(sets: NDArray[Any]) -> NDArray[Any]:
    """Return the number of the lowest bit: the exponent of a power of two as a float32."""
    lowest = (sets & (~sets + sets.dtype.type(1))).astype(np.float32)
    number: NDArray[Any] = (lowest.view(np.int32) >> 23) - 127
    return number


def category_places(codes: NDArray[Any]) -> NDArray[Any]:
    """Return the rows of a categorical feature's table: what is no code counts as missing."""
    is_code = (codes >= 0) & (codes < CATEGORIES)
    return np.where(is_code, np.where(is_code, codes, 0).astype(np.intp), CATEGORIES)
