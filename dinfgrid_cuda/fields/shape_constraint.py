"""ShapeConstraint: values that a field has on the boundary of a shape, exactly."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import reduce

from torch import Tensor

from dinfgrid_cuda.checks import check_instance
from dinfgrid_cuda.geometry.pieces import places_of
from dinfgrid_cuda.geometry.shape import Shape

from .constraints import SIGMA, Constraint, Values, check_width
from .jet import Jet
from .level_tree import At, Half, Piece, product_of, tree_of
from .rvachev import bell
from .surface_samples import Samples, lattice_around, samples_on

# Up to this B counts as zero, where its largest value is 1.
ZERO = 1e-9
# Corners may be met by chance: so many points make a fault.
MANY = 3
FACTORS = ("level", "distance")


class ShapeConstraint(Constraint):
    """Holds values on the boundary of a shape, or on some of its pieces: u = B net + (1 - B) g.

        wall = dg.ShapeConstraint(shape, 0.0, names="outer")
        field = dg.Field(dg.FeatureGrid.covering(shape), constraint=wall)

    B is zero on the pieces and positive in the rest of the shape. It is the product of one function
    for each surface that carries a piece. Of a surface that passes through the inside as well (a
    circle that continues into the other half of a union, the line through an edge at a re-entrant
    corner) only the part on the boundary counts: there the function is an R-function (Rvachev) that
    is smooth but at the ends of that part, the re-entrant corners. Outside the shape B is anything.

    Args:
        shape: what the field is found on.
        value: g, see `Constraint`.
        names: of the pieces, one or some; "plate" means all that begin with "plate ", too. None
            means the whole boundary.
        sigma: width of the paper's factor 1 - exp(-s^2 / sigma), s the level of a surface, a
            distance near it, in units of x squared (0.01 if None). A sigma without a factor stands
            for that factor.
        factor: "level", the default: the levels themselves, scaled so that B is at most about 1.
            The gradient at the boundary is free, and any smooth u that has these values can be
            reached. "distance" is the paper's: the gradient of u at the boundary is that of g.

    Raises:
        TypeError: for what is no shape.
        ValueError: for names that the shape does not have, a piece that is not on its boundary, a
            shape without end, and where no such B is known: a primitive that is neither convex nor
            a polygon, parts that touch along a whole edge without overlap, other pieces on the
            same surface.
    """

    def __init__(
        self,
        shape: Shape,
        value: Values = 0.0,
        names: str | Iterable[str] | None = None,
        sigma: float | None = None,
        factor: str | None = None,
    ) -> None:
        super().__init__(value)
        check_instance("constraint", "shape", shape)
        if not isinstance(shape, Shape):
            raise TypeError(
                f"constraint: shape is a {type(shape).__name__}; pass a Disk, a Box, ..."
            )
        if factor is None:
            factor = "level" if sigma is None else "distance"
        if factor not in FACTORS:
            raise ValueError(f"constraint: factor is {factor!r}; pass 'level' or 'distance'.")
        self.shape, self.kind = shape, factor
        self.sigma = check_width(SIGMA if sigma is None else sigma)
        names = names if names is None or isinstance(names, str) else tuple(names)
        self.names = chosen_names(shape, names)
        lattice = lattice_around(shape)
        self._length, self._scale = 0.5 * max(shape.lengths), 1.0
        samples = [samples_on(shape, surface, lattice) for surface in shape.surfaces]
        if names is not None:
            self._check_names((names,) if isinstance(names, str) else names, samples)
        self._whole, self._cut = self._pieces(lattice, samples)
        self._check(lattice, samples)

    def bind(self, dim: int, lower: Sequence[float], upper: Sequence[float]) -> None:
        """Raises ValueError if the field has another dimension than the shape."""
        if dim != self.shape.dim:
            raise ValueError(
                f"constraint: {self.shape!r} is {self.shape.dim}-D, but the field is {dim}-D."
            )

    def factor(self, x: Tensor) -> Tensor:
        """B at points x [N, dim], [N, 1]; differentiable in x where the levels are."""
        return self.factor_jet(x, 0).value

    def factor_jet(self, x: Tensor, order: int) -> Jet:
        """B and its derivatives up to ``order``, by those of the levels."""
        at = At(x, order)
        values = [half.inside(at) for half in self._whole]
        values += [piece.value(at) for piece in self._cut]
        if self.kind == "distance":
            sigma = self.sigma / self._length**2
            return reduce(operator.mul, [bell(value, sigma) for value in values]) * self._scale
        return product_of(values) * self._scale

    def _pieces(self, lattice: Tensor, samples: list[Samples]) -> tuple[list[Half], list[Piece]]:
        """Returns the wanted surfaces that stay out of the inside, and those that have to be cut.

        Of surfaces that coincide, as the sides of two rectangles in line, one is taken.
        """
        whole: list[Half] = []
        cut: list[Piece] = []
        inside = lattice[self.shape.contains(lattice)]
        if not len(inside):
            raise ValueError(f"constraint: {self.shape!r} holds none of {len(lattice)} points.")
        for piece in tree_of(self.shape, self._length, lattice).pieces():
            half = piece.half
            own = samples[half.place]
            if half.surface.name not in self.names or not own.near:
                continue
            if self._covers(whole, cut, half, own):
                continue
            apart = not len(own.inner) and bool((half.inside(At(inside)).value > 0).all())
            if apart or not piece.trims:
                whole.append(half)
            else:
                cut.append(piece)
        return whole, cut

    @staticmethod
    def _covers(whole: list[Half], cut: list[Piece], half: Half, own: Samples) -> bool:
        """Whether one of the surfaces before holds all that this one has on the boundary."""
        if not len(own.boundary):
            return False
        at = At(own.boundary)
        before = [*(one.inside(at) for one in whole), *(one.value(at) for one in cut)]
        return any(bool((one.value.abs() <= ZERO).all()) for one in before)

    def _check_names(self, asked: Iterable[str], samples: list[Samples]) -> None:
        """Raises ValueError for a name of whose pieces nothing is left."""
        for name in asked:
            meant = chosen_names(self.shape, name)
            left = zip(samples, self.shape.surfaces, strict=True)
            if not any(len(one.boundary) for one, surface in left if surface.name in meant):
                raise ValueError(
                    f"constraint: the piece {name!r} is not on the boundary of {self.shape!r}; "
                    "leave it out."
                )

    def _check(self, lattice: Tensor, samples: list[Samples]) -> None:
        """Scales B to be 1 at most, and proves that it is zero and positive where it has to be.

        Raises:
            ValueError: if not.
        """
        inside = lattice[self.shape.contains(lattice)]
        surfaces = self.shape.surfaces
        wanted = [surface.name in self.names for surface in surfaces]
        values = self.factor(inside)
        self._scale /= float(values.abs().max()) if bool(values.any()) else 1.0
        if bool((values <= 0).any()):
            self._refuse("B is not positive inside", inside[values[:, 0] <= 0][0])
        for sample, surface, held in zip(samples, surfaces, wanted, strict=True):
            seam = self._zero(sample.inner)
            if len(seam) >= MANY:
                self._refuse(f"parts touch at the surface {surface.name!r} inside it", seam[0])
            other = self._zero(sample.boundary)
            if not held and len(other) >= MANY:
                self._refuse(f"the piece {surface.name!r} is in line with one held", other[0])

    def _zero(self, x: Tensor) -> Tensor:
        """Returns the points at which B is zero."""
        return x[self.factor(x)[:, 0].abs() <= ZERO] if len(x) else x

    def _refuse(self, reason: str, place: Tensor) -> None:
        raise ValueError(
            f"constraint: no smooth function holds values on {', '.join(map(repr, self.names))} "
            f"of {self.shape!r} only: {reason}, at {[round(c, 6) for c in place.tolist()]}. Let "
            "parts of a union overlap, or use a term on the boundary instead."
        )

    def extra_repr(self) -> str:
        """Names the shape, the pieces, the factor and its width."""
        width = f", sigma={self.sigma:g}" if self.kind == "distance" else ""
        return f"{self.shape!r}, names={self.names}, factor={self.kind!r}{width}"


def chosen_names(shape: Shape, names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Returns the names of boundary pieces that are meant.

    Raises:
        ValueError: for a name that no piece has, with the nearest.
    """
    if names is None:
        return shape.names
    chosen: list[str] = []
    for name in (names,) if isinstance(names, str) else tuple(names):
        chosen += [shape.names[place] for place in places_of("constraint", name, shape.names)]
    if not chosen:
        raise ValueError("constraint: names is empty; name a piece, or leave it out for all.")
    return tuple(dict.fromkeys(chosen))
