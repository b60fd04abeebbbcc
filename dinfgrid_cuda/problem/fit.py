"""Whether a problem's box and points lie on the field's grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.model import Extent, extent_of
from dinfgrid_cuda.geometry.box import Box, bounding_box
from dinfgrid_cuda.geometry.regions import Points
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.warn import warn_user

from .problem import Problem
from .term import Term

# Of an axis' length: corners that agree to this are the same.
SAME = 1e-9
# Of a shape's length: points that are this near to its surfaces are on them.
NEAR = 1e-6
# A box that takes less than this share of an axis of the grid was probably meant to be the grid's.
LITTLE = 0.5


def check_box(shape: Shape, field: nn.Module) -> None:
    """Raises ValueError unless the grid covers the shape; periodic axes cover everything.

    Raises:
        ValueError: one line that names both boxes.
    """
    extent = extent_of(field)
    if extent is None:
        return
    box = bounding_box(shape)
    what = "box" if isinstance(shape, Box) else "shape"
    for axis in range(box.dim):
        length = extent.upper[axis] - extent.lower[axis]
        below, above = extent.lower[axis] - box.lower[axis], box.upper[axis] - extent.upper[axis]
        if not extent.periodic[axis] and max(below, above) > SAME * length:
            raise ValueError(
                f"solve: the problem's {what} is {_box(box)}, but the field's grid covers "
                f"{_box(extent)} only (axis {axis}); build the grid with lower={_list(box.lower)}, "
                f"upper={_list(box.upper)}."
            )


def warn_of_misfits(problem: Problem, field: nn.Module) -> None:
    """Warns of a box that takes little of the grid, or not one period, and of points outside.

    A box that no term samples, all of them being on given points, does not matter.
    """
    extent = extent_of(field)
    sampled = any(not isinstance(term.region, Points) for term in problem.terms)
    if extent is not None and sampled:
        _warn_of_box(bounding_box(problem.domain), extent)
    for term in problem.terms:
        _warn_of_points(term, problem.domain, extent)


def _warn_of_box(box: Box, extent: Extent) -> None:
    for axis, length in enumerate(box.lengths):
        grid_length = extent.upper[axis] - extent.lower[axis]
        both = f"the problem's box is {_box(box)} and the field's grid covers {_box(extent)}"
        if extent.periodic[axis]:
            if abs(length - grid_length) > SAME * grid_length:
                warn_user(
                    f"solve: {both}: on axis {axis}, which is periodic, u repeats after "
                    f"{grid_length:g}, not after the box's {length:g}; build the grid with the "
                    "box's corners if its length is the period."
                )
                return
        elif length < LITTLE * grid_length:
            warn_user(
                f"solve: {both}: on axis {axis} only {length / grid_length:.0%} of its cells take "
                f"part; build the grid with lower={_list(box.lower)}, upper={_list(box.upper)}."
            )
            return


def _warn_of_points(term: Term, domain: Shape, extent: Extent | None) -> None:
    """Warns of given points that lie outside the box by more than rounding."""
    if not isinstance(term.region, Points) or term.region.x.shape[1] != domain.dim:
        return
    x, box = term.region.x.detach(), bounding_box(domain)
    eps = torch.finfo(x.dtype).eps
    outside = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for axis, (low, high) in enumerate(zip(box.lower, box.upper, strict=True)):
        if extent is not None and extent.periodic[axis]:
            continue
        slack = SAME * (high - low) + 4 * eps * max(abs(low), abs(high))
        outside |= (x[:, axis] < low - slack) | (x[:, axis] > high + slack)
    count = int(outside.sum())
    if not count and not isinstance(domain, Box):
        _warn_beyond_shape(term, x, domain)
    if count:
        first = _list(x[outside][0].tolist())
        warn_user(
            f"term {term.name!r}: {count} of {len(x)} points lie outside the problem's box "
            f"{_box(box)}, the first at {first}; the equations do not hold there, and beyond its "
            "grid the field is extrapolated from the last cell."
        )


def _warn_beyond_shape(term: Term, x: Tensor, shape: Shape) -> None:
    """Warns of given points in the box around a shape that are not in the shape itself."""
    slack = NEAR * max(shape.lengths)
    beyond = ~shape.contains(x.double())
    for surface in shape.surfaces:
        left = beyond.nonzero()[:, 0]
        if not len(left):
            return
        beyond[left] = ~surface.near(x[left].double(), slack)
    count = int(beyond.sum())
    if count:
        warn_user(
            f"term {term.name!r}: {count} of {len(x)} points lie outside {shape!r}, the first at "
            f"{_list(x[beyond][0].tolist())}; other equations do not hold there, and the field "
            "only continues that inside."
        )


def _box(box: Box | Extent) -> str:
    edges = zip(box.lower, box.upper, strict=True)
    return " x ".join(f"[{low:.6g}, {high:.6g}]" for low, high in edges)


def _list(values: tuple[float, ...] | list[float]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values) + "]"
