"""Lattices: points that are products of positions along the axes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import Box, face_box
from dinfgrid_cuda.geometry.on_boundary import faces_of
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.problem.term import Term

Axes = tuple[Tensor, ...]


def lattices(term: Term, domain: Shape, x: Tensor) -> list[Axes] | None:
    """Returns the lattices that a term's points x [N, dim] consist of, or None if they do not.

    A face is a lattice with a single position across it. Only boxes have lattices.
    """
    if not isinstance(domain, Box):
        return None
    counts = _face_counts(term.region, domain) if isinstance(term.region, Boundary) else [len(x)]
    if sum(counts) != len(x):
        return None
    pieces = [as_lattice(piece) for piece in x.split(counts)]
    return None if None in pieces else [axes for axes in pieces if axes is not None]


def as_lattice(x: Tensor) -> Axes | None:
    """Returns positions on each axis whose product, last axis fastest, is x [N, dim], or None."""
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
    """Returns the number of points on each face where they are fixed, else an empty list."""
    faces = faces_of(region.faces, box)
    shape = region.shape
    if box.dim == 1:
        return [1] * len(faces)
    if shape is not None:
        return [math.prod(shape) // shape[axis] for axis, _ in faces]
    if isinstance(region.sampler, GaussPoints):
        boxes = [face_box(box, axis) for axis, _ in faces]
        return [region.sampler.on_face(rest, box.dim).count(0, face) for rest, face in boxes]
    sampler_shape = getattr(region.sampler, "shape", None)
    return [] if sampler_shape is None else [math.prod(sampler_shape)] * len(faces)
