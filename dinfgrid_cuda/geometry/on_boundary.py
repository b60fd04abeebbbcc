"""Points on the boundary of a shape, or on some of its pieces, with outward normals."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import torch
from torch import Tensor

from .box import Face, face_name
from .cell_points import BoundaryPoints, boundary_of, lattice_around
from .cut_cells.rules import SurfaceRule
from .samplers import generator
from .shape import Shape

# Cells along the longest axis, and points per cell and direction, of the quadrature that random
# points start from.
CELLS = {1: 1, 2: 128, 3: 32}
PER_CELL = 2
# Newton steps that put a point back on its surface, and how near to it, of a cell, it then is.
NEWTON, ON = 4, 1e-6
Name = str | Face


def piece_name(name: Name) -> str:
    """Returns the name of a boundary piece; a face (0, "lower") of a box is "lower 0"."""
    return name if isinstance(name, str) else face_name(name)


def chosen(names: tuple[Name, ...] | None, shape: Shape) -> list[int]:
    """Returns the places of the surfaces with some names among those of a shape.

    "plate" stands for the pieces "plate", "plate lower 0" and so on.

    Raises:
        ValueError: for a name that no piece has, with the nearest.
    """
    surfaces = shape.surfaces
    if names is None:
        return list(range(len(surfaces)))
    places: list[int] = []
    for name in map(piece_name, names):
        found = [
            place
            for place, surface in enumerate(surfaces)
            if surface.name == name or surface.name.startswith(f"{name} ")
        ]
        if not found:
            known = shape.names
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
            raise ValueError(f"Boundary: the shape has no boundary piece {name!r}; {hint}")
        places += [place for place in found if place not in places]
    return sorted(places)


def on_pieces(rule: SurfaceRule, names: tuple[Name, ...] | None, shape: Shape) -> SurfaceRule:
    """Returns the part of a quadrature that lies on some pieces.

    Raises:
        ValueError: for a name that no piece has, or whose piece is not on the boundary.
    """
    places = chosen(names, shape)
    part = rule.of(places)
    if not len(part.x):
        what = "boundary" if names is None else " and ".join(repr(piece_name(n)) for n in names)
        left = sorted({shape.surfaces[place].name for place in rule.surfaces.unique().tolist()})
        raise ValueError(
            f"Boundary: nothing of {what} is on the boundary of {shape!r}: combinations have "
            f"removed it, or it lies outside the grid; there are {', '.join(left) or 'no pieces'}."
        )
    return part


@dataclass(frozen=True)
class Batch:
    """Points on a boundary.

    Attributes:
        x: points [m, dim].
        normal: outward unit normals [m, dim].
        weights: [m], their share of the boundary, 1 in the mean.
    """

    x: Tensor
    normal: Tensor
    weights: Tensor


def regular_points(
    sampler: BoundaryPoints,
    names: tuple[Name, ...] | None,
    shape: Shape,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> Batch:
    """Returns the points of a quadrature on some pieces of the boundary."""
    rule = on_pieces(sampler.rule(shape), names, shape)
    x = rule.x.to(dtype=dtype or torch.get_default_dtype(), device=device)
    return Batch(x, rule.normals.to(x), (rule.weights / rule.weights.mean()).to(x))


def random_points(
    names: tuple[Name, ...] | None,
    n: int,
    shape: Shape,
    seed: int,
    step: int,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> tuple[Tensor, Tensor]:
    """Returns ``n`` random points on some pieces and their normals, uniform by length or area.

    A point of a fine quadrature, drawn by its weight, is moved along the surface by up to half the
    distance to its neighbours; a point that leaves its piece so stays where it was.
    """
    edges = lattice_around(shape, CELLS.get(shape.dim, 16))
    rule = on_pieces(boundary_of(shape, edges, PER_CELL), names, shape)
    random = generator(seed, step)
    at = torch.multinomial(rule.weights, n, replacement=True, generator=random)
    jitter = torch.rand(n, shape.dim, generator=random, dtype=torch.float64) - 0.5
    x, normal = rule.x[at], rule.normals[at]
    spacing = rule.weights[at] ** (1 / max(1, shape.dim - 1))
    along = jitter - (jitter * normal).sum(dim=1, keepdim=True) * normal
    size = edges[0][1] - edges[0][0]
    moved = x + (spacing[:, None] if shape.dim > 1 else 0.0) * along
    for place in rule.surfaces.unique().tolist():
        own = (rule.surfaces[at] == place).nonzero()[:, 0]
        moved_x, moved_normal, held = _back(shape, place, moved[own], normal[own], size)
        x[own[held]], normal[own[held]] = moved_x[held], moved_normal[held]
    like = torch.empty(0, dtype=dtype or torch.get_default_dtype(), device=device)
    return x.to(like), normal.to(like)


def _back(
    shape: Shape, place: int, x: Tensor, normal: Tensor, size: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns points put back on a surface, normals there, and which are on the boundary."""
    surface = shape.surfaces[place]
    for _ in range(NEWTON):
        gradient = surface.gradient(x)
        square = gradient.square().sum(dim=1).clamp(min=1e-300)
        x = x - (surface.level(x) / square)[:, None] * gradient
    gradient = surface.gradient(x)
    slope = gradient.norm(dim=1).clamp(min=1e-300)
    unit = gradient / slope[:, None]
    unit = unit * torch.sign((unit * normal).sum(dim=1))[:, None]
    step = ON * size * unit
    held = shape.contains(x - step) & ~shape.contains(x + step)
    return x, unit, held & (surface.level(x).abs() <= 1e-3 * ON * size * slope)
