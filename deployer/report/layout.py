"""Places for the boxes and arrows of a graph, in layers from top to bottom.

An arrow leads to a later layer; one that leads back is laid out the other way round. On its way
through a layer, an arrow has a place of its own there, and so has its label: nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

GAP = 28.0  # between neighbours in a layer
RISE = 34.0  # between layers
_THIN = 10.0  # of an arrow on its way through a layer
_LOOP = 24.0  # of an arrow that leads from a box to itself
_SWEEPS = 8


@dataclass(frozen=True)
class Size:
    width: float
    height: float


@dataclass(frozen=True)
class Edge:
    """An arrow. `label`: the size of its label, if it has one."""

    source: Hashable
    target: Hashable
    label: Size | None = None


@dataclass(frozen=True)
class Box:
    """A place: the middle and the size."""

    x: float
    y: float
    size: Size

    @property
    def left(self) -> float:
        return self.x - self.size.width / 2

    @property
    def right(self) -> float:
        return self.x + self.size.width / 2

    @property
    def top(self) -> float:
        return self.y - self.size.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.size.height / 2


@dataclass(frozen=True)
class Route:
    """The way of an arrow: the places that it passes, and that of its label."""

    passes: Sequence[Box]
    label: Box | None
    is_back: bool


@dataclass
class Layout:
    boxes: dict[Hashable, Box]
    routes: list[Route]
    size: Size


@dataclass
class _Point:
    """A box, or the place of an arrow in a layer."""

    size: Size
    layer: int
    above: list[_Point] = field(default_factory=list)
    below: list[_Point] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0

    @property
    def box(self) -> Box:
        return Box(self.x, self.y, self.size)


def layout(sizes: Mapping[Hashable, Size], edges: Sequence[Edge]) -> Layout:
    """Place boxes and arrows; the first box is on top."""
    back = _back_edges(list(sizes), edges)
    forward = [
        (edge.target, edge.source) if number in back else (edge.source, edge.target)
        for number, edge in enumerate(edges)
    ]
    ranks = _ranks(list(sizes), edges, forward)
    points = {key: _Point(size, ranks[key]) for key, size in sizes.items()}
    paths = [
        _path(points[upper], points[lower], edge.label)
        for edge, (upper, lower) in zip(edges, forward, strict=True)
    ]
    layers = _layers([*points.values(), *(point for path in paths for point in path[0])])
    _order(layers)
    _spread(layers)
    size = _settle(layers)
    routes = []
    for number, (path, label) in enumerate(paths):
        is_back = number in back
        passes = [point.box for point in (reversed(path) if is_back else path)]
        routes.append(Route(passes, label.box if label else None, is_back))
    return Layout({key: point.box for key, point in points.items()}, routes, size)


def _back_edges(keys: Sequence[Hashable], edges: Sequence[Edge]) -> set[int]:
    """Return the numbers of the edges without which there is no cycle."""
    leaving: dict[Hashable, list[int]] = {key: [] for key in keys}
    for number, edge in enumerate(edges):
        leaving[edge.source].append(number)
    back: set[int] = set()
    state: dict[Hashable, int] = {}  # 1 while the search is below a box, 2 after it
    for key in keys:
        if key in state:
            continue
        state[key] = 1
        stack = [(key, iter(leaving[key]))]
        while stack:
            top, numbers = stack[-1]
            for number in numbers:
                target = edges[number].target
                if state.get(target) == 1:
                    back.add(number)
                elif target not in state:
                    state[target] = 1
                    stack.append((target, iter(leaving[target])))
                    break
            else:
                state[top] = 2
                stack.pop()
    return back


def _ranks(
    keys: Sequence[Hashable], edges: Sequence[Edge], forward: Sequence[tuple[Hashable, Hashable]]
) -> dict[Hashable, int]:
    """Return a layer for each box: below all boxes that lead to it, a label's layer between."""
    ranks = dict.fromkeys(keys, 0)
    for _ in keys:  # a path has at most as many edges as there are boxes
        settled = True
        for edge, (upper, lower) in zip(edges, forward, strict=True):
            least = ranks[upper] + (2 if edge.label else 1)
            if upper != lower and ranks[lower] < least:
                ranks[lower], settled = least, False
        if settled:
            break
    return ranks


def _path(upper: _Point, lower: _Point, label: Size | None) -> tuple[list[_Point], _Point | None]:
    """Make the places of an arrow between two boxes; the label's is the first."""
    path: list[_Point] = []
    for layer in range(upper.layer + 1, lower.layer):
        is_label = label is not None and layer == upper.layer + 1
        path.append(_Point(label if label and is_label else Size(_THIN, 0), layer))
    if upper is lower:  # a state that leads to itself
        path.append(_Point(label or Size(_LOOP, 0), upper.layer))
    chain = [upper, *path, lower]
    if upper is not lower:
        for one, other in zip(chain, chain[1:], strict=False):
            one.below.append(other)
            other.above.append(one)
    return path, path[0] if label and path else None


def _layers(points: Sequence[_Point]) -> list[list[_Point]]:
    layers: list[list[_Point]] = [[] for _ in range(max(point.layer for point in points) + 1)]
    for point in points:
        layers[point.layer].append(point)
    return [layer for layer in layers if layer]


def _order(layers: list[list[_Point]]) -> None:
    """Order each layer by the middle of the neighbours, down and up again: fewer crossings."""
    places = {id(point): number for layer in layers for number, point in enumerate(layer)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = {}
            for number, point in enumerate(layer):
                near = [places[id(other)] for other in (point.above if down else point.below)]
                wanted[id(point)] = sum(near) / len(near) if near else number
            layer.sort(key=lambda point: wanted[id(point)])
            places.update((id(point), number) for number, point in enumerate(layer))


def _spread(layers: list[list[_Point]]) -> None:
    """Move each point towards the middle of its neighbours, as far as its layer has room."""
    for layer in layers:
        _place(layer, [0.0] * len(layer))
    for sweep in range(2 * _SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = []
            for point in layer:
                near = [other.x for other in (point.above if down else point.below)]
                wanted.append(sum(near) / len(near) if near else point.x)
            _place(layer, wanted)


def _place(layer: list[_Point], wanted: list[float]) -> None:
    """Place the points of a layer at, or as near as may be to, the wanted x, in their order."""
    groups: list[tuple[list[int], float]] = []  # neighbours that touch, and their first x
    offsets = [0.0]
    for one, other in zip(layer, layer[1:], strict=False):
        offsets.append(offsets[-1] + (one.size.width + other.size.width) / 2 + GAP)
    for number in range(len(layer)):
        members = [number]
        start = wanted[number] - offsets[number]
        while groups and groups[-1][1] > start:
            before, _ = groups.pop()
            members = before + members
            start = sum(wanted[one] - offsets[one] for one in members) / len(members)
        groups.append((members, start))
    for members, start in groups:
        for number in members:
            layer[number].x = start + offsets[number]


def _settle(layers: list[list[_Point]]) -> Size:
    """Give each layer its height; move everything to begin at 0."""
    y = 0.0
    for layer in layers:
        height = max(point.size.height for point in layer)
        for point in layer:
            point.y = y + height / 2
            if not point.size.height:  # an arrow passes upright between tall boxes
                point.size = Size(point.size.width, height)
        y += height + RISE
    points = [point for layer in layers for point in layer]
    left = min(point.box.left for point in points)
    for point in points:
        point.x -= left
    return Size(max(point.box.right for point in points), y - RISE)
