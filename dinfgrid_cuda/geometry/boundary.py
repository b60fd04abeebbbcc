"""Boundary: the faces of a box, or the pieces of a shape's boundary, as a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance, is_int, plain

from .adaptive import Adaptive
from .box import SIDES, Box, face_box, face_normals, split_face_name
from .cell_points import BoundaryPoints, boundary_of, lattice_around
from .leaf_points import LeafBoundary
from .on_boundary import Name, faces_of, on_pieces, random_points, regular_points
from .quadrature import PER_CELL, GaussPoints
from .samplers import Lattice, Sampler, Uniform, mix
from .shape import Shape


@dataclass(frozen=True)
class Boundary:
    """The boundary of the domain, or some pieces of it, as a region; points are shared out by area.

        Boundary()                          # all of it
        Boundary("hole")                    # the pieces with this name
        Boundary(("hole", "lower 0"))
        Boundary(((0, "lower"),))           # of a box: the face where x_0 is least, "lower 0"

    Jets at its points have outward normals: ``u.normal``, ``u.normal_derivative``.

    Args:
        faces: names of pieces, "plate" for "plate lower 0" and the like too, or faces of a box as
            pairs (axis, "lower" | "upper"); None for all.
        sampler: of a box: places the points on each face, as on a box of one dimension less. None
            leaves that to the solver: random points for Adam; regular ones for least squares.
        shape: of a box: points per axis: each face gets the lattice of its own axes, from edge to
            edge, whatever the number asked for. In place of a sampler.
    """

    faces: Any = None
    sampler: Sampler | BoundaryPoints | None = None
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_instance("Boundary", "sampler", self.sampler)
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(plain(self.shape)))
        if self.shape is not None and self.sampler is not None:
            raise ValueError("Boundary: pass a sampler or a shape, not both.")
        if isinstance(self.faces, str):
            object.__setattr__(self, "faces", (self.faces,))
        if self.faces is not None:
            if not isinstance(self.faces, (list, tuple)):
                raise TypeError(
                    f"Boundary: faces is {self.faces!r}; pass the name of a piece, a tuple of "
                    "names, or of pairs such as (0, 'lower')."
                )
            object.__setattr__(self, "faces", tuple(map(_face, self.faces)))

    def sample(
        self,
        n: int,
        domain: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns at most ``n`` points [m, dim], face after face, their face coordinate exact.

        In 1-D the ends of the line come back once each, whatever ``n``. A sampler with a shape of
        its own puts the points of that shape on every face, whatever ``n``. On other shapes than
        boxes there are exactly ``n`` random points.
        """
        return self.sample_with_normals(n, domain, seed, step, dtype, device)[0]

    def sample_with_normals(
        self,
        n: int,
        domain: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Returns the points of `sample`, and the outward unit normals there, both [m, dim]."""
        if isinstance(domain, Box) and not isinstance(self.sampler, LeafBoundary):
            return self._on_faces(n, domain, seed, step, dtype, device)
        if self.shape is not None:
            raise ValueError(
                "Boundary: shape=... lays lattices on the faces of a box; leave it out on other "
                "shapes."
            )
        if isinstance(self.sampler, BoundaryPoints):
            batch = regular_points(self.sampler, self.faces, domain, dtype, device)
            return batch.x, batch.normal
        base = self.sampler
        if isinstance(base, Adaptive):
            base = base.base
        if base is not None and not isinstance(base, Uniform):
            raise ValueError(
                f"Boundary: {type(base).__name__} places points on the faces of a box; on "
                "other shapes leave the sampler out, or pass Uniform()."
            )
        return random_points(self.faces, n, domain, seed, step, dtype, device)

    def measure(self, domain: Shape) -> float:
        """Returns the area of the pieces, in the plane their length, on a line their number."""
        if isinstance(domain, Box):
            return sum(domain.face_measure(axis) for axis, _ in faces_of(self.faces, domain))
        rule = boundary_of(domain, lattice_around(domain), PER_CELL)
        return float(on_pieces(rule, self.faces, domain).weights.sum())

    def weights(
        self, n: int, domain: Shape, dtype: torch.dtype, device: torch.device
    ) -> Tensor | None:
        """Returns weights [m] of the points in a mean over the pieces; None where all are 1."""
        if isinstance(self.sampler, BoundaryPoints):
            return regular_points(self.sampler, self.faces, domain, dtype, device).weights
        if not isinstance(self.sampler, GaussPoints) or not isinstance(domain, Box):
            return None
        if domain.dim == 1:
            return None
        faces = faces_of(self.faces, domain)
        measures = [domain.face_measure(axis) for axis, _ in faces]
        batches = []
        for (axis, _), measure, count in zip(faces, measures, _share(n, measures), strict=True):
            axes, face = face_box(domain, axis)
            on_face = self.sampler.on_face(axes, domain.dim).weights(face, count, torch.float64)
            batches.append(on_face * (measure / len(on_face)))
        weights = torch.cat(batches)
        return (weights / weights.mean()).to(dtype=dtype, device=device)

    def _on_faces(
        self,
        n: int,
        box: Box,
        seed: int,
        step: int,
        dtype: torch.dtype | None,
        device: torch.device | str | None,
    ) -> tuple[Tensor, Tensor]:
        """Returns points on the faces of a box, and normals."""
        faces = faces_of(self.faces, box)
        dtype = dtype or torch.get_default_dtype()
        if self.shape is not None and len(self.shape) != box.dim:
            raise ValueError(
                f"Boundary: shape is {self.shape}, but the box has {box.dim} axes; pass points for "
                "each of them."
            )
        if box.dim == 1:
            ends = [getattr(box, side) for _, side in faces]
            x = torch.tensor(ends, dtype=dtype, device=device)
            return x, face_normals(faces, [1] * len(faces), x)
        batches = []
        shares = _share(n, [box.face_measure(axis) for axis, _ in faces])
        for (axis, side), count in zip(faces, shares, strict=True):
            axes, face = face_box(box, axis)
            face_seed = mix(seed, axis, SIDES.index(side))
            inside = self._sampler(axes)(count, face, face_seed, step, dtype, device)
            at = inside.new_full((inside.shape[0], 1), getattr(box, side)[axis])
            batches.append(torch.cat([inside[:, :axis], at, inside[:, axis:]], dim=1))
        x = torch.cat(batches)
        return x, face_normals(faces, [len(batch) for batch in batches], x)

    def _sampler(self, axes: list[int]) -> Sampler:
        """The sampler of a face with these axes."""
        if self.shape is not None:
            return Lattice([self.shape[axis] for axis in axes], ends=True)
        if isinstance(self.sampler, GaussPoints):
            return self.sampler.on_face(axes, len(axes) + 1)
        if isinstance(self.sampler, BoundaryPoints):
            raise ValueError("Boundary: BoundaryPoints is for other shapes than boxes.")
        return self.sampler or Uniform()


def _face(name: Any) -> Name:
    """Returns a name of a piece; that of a box's face as a pair (axis, side)."""
    if isinstance(name, list):
        return tuple(name)
    found = split_face_name(name) if isinstance(name, str) else None
    return name if found is None or found[0] else found[1]


def _share(n: int, measures: list[float]) -> list[int]:
    """Splits ``n`` in proportion to ``measures``, the largest remainders rounded up."""
    if not is_int(n) or n < 0:
        raise ValueError(f"Boundary: {n!r} points were requested; pass a non-negative integer.")
    exact = [n * measure / sum(measures) for measure in measures]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: n - sum(shares)]:
        shares[i] += 1
    return shares
