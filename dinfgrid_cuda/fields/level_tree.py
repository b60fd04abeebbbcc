"""The level functions of a shape, joined as the shape is by unions, intersections, complements."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.shape import Combination, Complement, Shape, Transformed, Union
from dinfgrid_cuda.geometry.surface import Surface
from dinfgrid_cuda.kernels.torch_compat import in_transform

from .jet import Jet
from .outline import segments_of, spreads_along
from .rvachev import conjunction, disjunction, saturated, trimmed

Map = Callable[[Tensor], Tensor]
# With more functions than this in a product each is made 1 away from its zero set.
FEW = 8


class At:
    """Points, at which functions are evaluated once each.

    Args:
        x: points [N, dim].
        order: of the jets.
    """

    def __init__(self, x: Tensor, order: int = 0) -> None:
        self.x, self.order = x, order
        self.known: dict[int, Jet] = {}

    def jet(self, function: Map) -> Jet:
        """Returns the jet of a function of the points that returns [N]."""
        if self.x.requires_grad or in_transform() or torch.compiler.is_compiling():
            return Jet.of(function, self.x, self.order)
        with torch.no_grad():  # no graph for a gradient that nobody asks for
            return Jet.of(function, self.x, self.order)


class Node(ABC):
    """A set of points, by a function that is positive inside, zero on the boundary."""

    def inside(self, at: At) -> Jet:
        """Returns the function at points."""
        if id(self) not in at.known:
            at.known[id(self)] = self._inside(at)
        return at.known[id(self)]

    @abstractmethod
    def _inside(self, at: At) -> Jet: ...

    @abstractmethod
    def pieces(self) -> Iterator[Piece]:
        """The surfaces around it, each with what cuts it to the part on the boundary."""


class Piece:
    """A surface of a shape, and the functions that are not negative on its part of the boundary.

    Args:
        half: of the surface.
        trims: of the points.
    """

    def __init__(self, half: Half, trims: Sequence[Callable[[At], Jet]] = ()) -> None:
        self.half, self.trims = half, tuple(trims)

    def trim(self, at: At) -> Jet:
        """Returns a function: not negative on the part of the surface that lies on the boundary."""
        return reduce(conjunction, [trim(at) for trim in self.trims])

    def value(self, at: At) -> Jet:
        """Returns a function: zero on that part and positive elsewhere."""
        return trimmed(self.half.inside(at), self.trim(at))


class Half(Node):
    """One side of a surface.

    Args:
        surface: whose level is negative there, for sign 1.
        place: of the surface among those of the whole shape.
        sign: -1 for the other side.
        scale: a length; the function is the level in this unit.
    """

    def __init__(self, surface: Surface, place: int, sign: float, scale: float) -> None:
        self.surface, self.place, self.factor = surface, place, -sign / scale

    def _inside(self, at: At) -> Jet:
        return at.jet(self._level) * self.factor

    def _level(self, x: Tensor) -> Tensor:
        level = self.surface.level(x)
        if torch.is_grad_enabled() and x.requires_grad and not level.requires_grad:
            raise TypeError(
                f"constraint: the level of the piece {self.surface.name!r} has no derivatives for "
                "torch; a hard constraint needs them. Use a term on the boundary instead."
            )
        return level

    def pieces(self) -> Iterator[Piece]:
        """The surface, whole."""
        yield Piece(self)


class AllOf(Node):
    """The points that lie in all of several sets."""

    def __init__(self, parts: Sequence[Node]) -> None:
        self.parts = tuple(parts)

    def _inside(self, at: At) -> Jet:
        return reduce(conjunction, [part.inside(at) for part in self.parts])

    def pieces(self) -> Iterator[Piece]:
        """Those of the parts: what reaches beyond another part is outside."""
        for part in self.parts:
            yield from part.pieces()


class OneOf(Node):
    """The points that lie in one of several sets or more."""

    def __init__(self, parts: Sequence[Node]) -> None:
        self.parts = tuple(parts)

    def _inside(self, at: At) -> Jet:
        return reduce(disjunction, [part.inside(at) for part in self.parts])

    def pieces(self) -> Iterator[Piece]:
        """Those of the parts, cut to what lies outside all other parts."""
        for part in self.parts:
            cuts = [_outside(other) for other in self.parts if other is not part]
            for piece in part.pieces():
                yield Piece(piece.half, (*piece.trims, *cuts))


class Outline(Node):
    """The inside, or the outside, of a polygon that is not convex.

    Args:
        halves: of its edges' lines.
        spreads: for each line functions of the points, [N]; one is not negative along each edge.
        contains: whether points are in the set.
    """

    def __init__(self, halves: Sequence[Half], spreads: Sequence[list[Map]], contains: Map) -> None:
        self.edges = [
            Piece(half, [_any_of(own)]) for half, own in zip(halves, spreads, strict=True)
        ]
        self.contains = contains

    def _inside(self, at: At) -> Jet:
        sign = torch.where(self.contains(at.x.detach()), 1.0, -1.0).to(at.x)
        return product_of([edge.value(at) for edge in self.edges]) * sign[:, None]

    def pieces(self) -> Iterator[Piece]:
        """Its edges."""
        yield from self.edges


def product_of(values: Sequence[Jet]) -> Jet:
    """Returns the product of functions; of many, each is 1 away from its zero set.

    The product of the distances from the sides of a polygon with 100 sides is 1e-15 next to it.
    """
    if len(values) > FEW:
        values = [saturated(value, 0.5 * FEW / len(values)) for value in values]
    return reduce(operator.mul, values)


def tree_of(shape: Shape, scale: float, probes: Tensor) -> Node:
    """Returns the functions of a shape.

    Args:
        shape: of any kind.
        scale: a length, of the size of the shape.
        probes: points [M, dim] around it, at which it is found out how surfaces bound a primitive.

    Raises:
        ValueError: for a primitive whose surfaces do not bound it as planes bound a convex body,
            and which is not a polygon.
    """
    numbered = list(enumerate(shape.surfaces))
    return _node(shape, numbered, lambda x: x, 1.0, scale, probes)


def _outside(node: Node) -> Callable[[At], Jet]:
    return lambda at: -node.inside(at)


def _any_of(functions: Sequence[Map]) -> Callable[[At], Jet]:
    return lambda at: reduce(disjunction, [at.jet(function) for function in functions])


def _node(
    shape: Shape,
    surfaces: list[tuple[int, Surface]],
    back: Map,
    sign: float,
    scale: float,
    probes: Tensor,
) -> Node:
    """Returns the functions of a part of a shape.

    Args:
        shape: the part, in coordinates of its own.
        surfaces: of the part, in the coordinates of the whole, numbered as those of the whole.
        back: takes points of the whole to the part's own coordinates.
        sign: -1 for the outside of the part.
        scale, probes: as for the whole.
    """
    if isinstance(shape, Complement):
        return _node(shape.shape, surfaces, back, -sign, scale, probes)
    if isinstance(shape, Transformed):
        inner = shape
        return _node(shape.shape, surfaces, lambda x: inner.back(back(x)), sign, scale, probes)
    if isinstance(shape, Combination):
        count = len(shape.first.surfaces)
        nodes = [
            _node(shape.first, surfaces[:count], back, sign, scale, probes),
            _node(shape.second, surfaces[count:], back, sign, scale, probes),
        ]
        return _joined(OneOf if isinstance(shape, Union) == (sign > 0) else AllOf, nodes)
    halves = [Half(surface, place, sign, scale) for place, surface in surfaces]
    if len(halves) == 1:
        return halves[0]
    within = torch.stack([surface.level(probes) <= 0 for _, surface in surfaces]).all(dim=0)
    if torch.equal(within, shape.contains(back(probes))):
        return _joined(AllOf if sign > 0 else OneOf, halves)
    segments = segments_of(shape)
    if segments is None:
        raise ValueError(
            f"constraint: {shape!r} is not what its {len(halves)} surfaces bound together; combine "
            "it from convex shapes by | & and -, or use a term on the boundary."
        )
    spreads = [[_after(back, one) for one in spreads_along(parts)] for parts in segments]
    return Outline(halves, spreads, lambda x: shape.contains(back(x)) == (sign > 0))


def _after(back: Map, function: Map) -> Map:
    return lambda x: function(back(x))


def _joined(kind: type[AllOf] | type[OneOf], nodes: Sequence[Node]) -> Node:
    """Returns a node of all or any of the others; those of the same kind are taken apart."""
    parts: list[Node] = []
    for node in nodes:
        parts += node.parts if isinstance(node, kind) else [node]
    return kind(parts)
