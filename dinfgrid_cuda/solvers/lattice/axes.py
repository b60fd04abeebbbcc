"""Terms whose points form lattices: products of positions along the axes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import Box, check_faces, face_box
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.problem.term import Term

Axes = tuple[Tensor, ...]


def lattices(term: Term, box: Box, x: Tensor) -> list[Axes] | None:
    """The lattices that a term's points x [N, dim] are, one after the other; None if they are none.

    A face is a lattice with a single position across it.
    """
    counts = _face_counts(term.region, box) if isinstance(term.region, Boundary) else [len(x)]
    if sum(counts) != len(x):
        return None
    found = [as_lattice(part) for part in x.split(counts)]
    return None if None in found else [axes for axes in found if axes is not None]


def as_lattice(x: Tensor) -> Axes | None:
    """Positions on each axis whose product, last axis fastest, the points x [N, dim] are."""
    axes = tuple(column.unique() for column in x.unbind(dim=1))
    if math.prod(len(t) for t in axes) != len(x):
        return None
    shape = [len(t) for t in axes]
    for axis, (column, t) in enumerate(zip(x.unbind(dim=1), axes, strict=True)):
        along = [1] * len(shape)
        along[axis] = shape[axis]
        if not torch.equal(column.reshape(shape), t.reshape(along).expand(shape)):
            return None
    return axes


def _face_counts(region: Boundary, box: Box) -> list[int]:
    """Points on each face, where a shape fixes them."""
    faces = check_faces(region.faces, box.dim)
    shape = region.shape
    if box.dim == 1:
        return [1] * len(faces)
    if shape is not None:
        return [math.prod(shape) // shape[axis] for axis, _ in faces]
    if isinstance(region.sampler, GaussPoints):
        parts = [face_box(box, axis) for axis, _ in faces]
        return [region.sampler.on_face(rest, box.dim).count(0, face) for rest, face in parts]
    fixed = getattr(region.sampler, "shape", None)
    return [] if fixed is None else [math.prod(fixed)] * len(faces)
