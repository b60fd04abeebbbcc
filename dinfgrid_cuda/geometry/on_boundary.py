"""Points on the boundary of a shape, or on some of its pieces, with outward normals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.checks import is_int

from .box import Box, Face, check_faces, face_name
from .cell_points import BoundaryPoints, boundary_of, lattice_around
from .cut_cells.rules import SurfaceRule
from .pieces import places_of
from .quadrature import PER_CELL
from .samplers import generator
from .shape import Shape

# Newton steps that put a point back on its surface, and how near to it, of a cell, it then is.
NEWTON, ON = 4, 1e-6
Name = str | Face


def piece_name(name: Name) -> str:
    """Returns the name of a boundary piece; a face (0, "lower") of a box is "lower 0"."""
    if isinstance(name, str):
        return name
    if not isinstance(name, tuple) or len(name) != 2:
        raise ValueError(
            f"Boundary: {name!r} is neither the name of a piece nor a face such as (0, 'lower')."
        )
    return face_name(name)


def chosen(names: tuple[Name, ...] | None, shape: Shape) -> list[int]:
    """Returns the places of the surfaces with some names among those of a shape.

    "plate" stands for the pieces "plate", "plate lower 0" and so on.

    Raises:
        ValueError: for a name that no piece has, with the nearest.
    """
    surfaces = shape.surfaces
    if names is None:
        return list(range(len(surfaces)))
    if not names:
        raise ValueError("Boundary: no piece is named; name one, or leave the names out for all.")
    places: list[int] = []
    for name in map(piece_name, names):
        places += places_of("Boundary", name, [surface.name for surface in surfaces])
    return sorted(set(places))


def faces_of(names: tuple[Name, ...] | None, box: Box) -> tuple[Face, ...]:
    """Returns the faces of a box that are named; those of one with a name also by it.

    Raises:
        ValueError: for what is no face, and for one that is named twice.
    """
    if names is None:
        return check_faces(None, box.dim)
    every, faces = check_faces(None, box.dim), list[Face]()
    for name in names:
        if isinstance(name, str):
            faces += [every[place] for place in chosen((name,), box)]
        else:
            faces.append(name)
    return check_faces(faces, box.dim)


def names_on(shape: Shape) -> tuple[str, ...]:
    """Returns the names of the pieces that are on the boundary of a shape, each once."""
    rule = boundary_of(shape, lattice_around(shape), PER_CELL, coarse=True)
    present = rule.surfaces.unique().tolist()
    return tuple(dict.fromkeys(shape.surfaces[place].name for place in present))


def on_pieces(rule: SurfaceRule, names: tuple[Name, ...] | None, shape: Shape) -> SurfaceRule:
    """Returns the part of a quadrature that lies on some pieces.

    Raises:
        ValueError: for a name that no piece has, or whose piece is not on the boundary.
    """
    present = rule.surfaces.unique().tolist()
    if not present:
        raise ValueError(
            f"Boundary: {shape!r} has no boundary, or none on the grid (where a level set is zero "
            "its gradient must not be)."
        )
    for name in names or ():
        if not set(present) & set(chosen((name,), shape)):
            left = sorted({shape.surfaces[place].name for place in present})
            raise ValueError(
                f"Boundary: nothing of {piece_name(name)!r} is on the boundary of {shape!r}: "
                "combinations have removed it, or it lies outside the grid; there are "
                f"{', '.join(left)}."
            )
    return rule.of(chosen(names, shape))


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
    if not is_int(n) or n < 0:
        raise ValueError(f"Boundary: {n!r} points were requested; pass a non-negative integer.")
    edges = lattice_around(shape)
    rule = on_pieces(boundary_of(shape, edges, PER_CELL, coarse=True), names, shape)
    random = generator(seed, step)
    at = torch.empty(0, dtype=torch.long)
    if n:
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
