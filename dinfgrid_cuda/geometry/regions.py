"""Regions: the parts of a domain that get collocation points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance, is_int, plain

from .box import SIDES, Box, Face, check_faces, face_box
from .quadrature import GaussPoints
from .samplers import Lattice, Sampler, Stratified, Uniform, mix


@dataclass(frozen=True)
class Interior:
    """The inside of the box, as the region of a term.

    Args:
        sampler: places the points. None leaves that to the solver: stratified points, new ones each
            step, for Adam; a regular lattice that is as fine as the grid for least squares; for an
            energy (``loss="mean"``) the Gauss points of the grid's cells, with weights.
    """

    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        check_instance("Interior", "sampler", self.sampler)

    def sample(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns at most ``n`` points [m, dim]; lattice samplers may return fewer.

        A sampler with a shape of its own returns the points of that shape, whatever ``n``.
        """
        return (self.sampler or Stratified())(n, box, seed, step, dtype, device)

    def weights(self, n: int, box: Box, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        """Returns weights [m] of the points in a mean, 1 in the mean; None where all are 1."""
        if not isinstance(self.sampler, GaussPoints):
            return None
        return self.sampler.weights(box, n, dtype, device)


@dataclass(frozen=True)
class Boundary:
    """The faces of the box, all of them by default, as a region; points are shared out by area.

    Args:
        faces: pairs (axis, "lower" | "upper"), or None.
        sampler: places the points on each face, as on a box of one dimension less. None leaves that
            to the solver: random points for Adam; a lattice for least squares.
        shape: points per axis of the box: each face gets the lattice of its own axes, from edge to
            edge, whatever the number asked for. In place of a sampler.
    """

    faces: tuple[Face, ...] | None = None
    sampler: Sampler | None = None
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_instance("Boundary", "sampler", self.sampler)
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(plain(self.shape)))
        if self.shape is not None and self.sampler is not None:
            raise ValueError("Boundary: pass a sampler or a shape, not both.")
        if isinstance(self.faces, (list, tuple)):
            pairs = tuple(tuple(f) if isinstance(f, list) else f for f in self.faces)
            object.__setattr__(self, "faces", pairs)

    def sample(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns at most ``n`` points [m, dim], face after face, their face coordinate exact.

        In 1-D the ends of the line come back once each, whatever ``n``. A sampler with a shape of
        its own puts the points of that shape on every face, whatever ``n``.
        """
        faces = check_faces(self.faces, box.dim)
        dtype = dtype or torch.get_default_dtype()
        if self.shape is not None and len(self.shape) != box.dim:
            raise ValueError(
                f"Boundary: shape is {self.shape}, but the box has {box.dim} axes; pass points for "
                "each of them."
            )
        if box.dim == 1:
            ends = [getattr(box, side) for _, side in faces]
            return torch.tensor(ends, dtype=dtype, device=device)
        batches = []
        shares = _share(n, [box.face_measure(axis) for axis, _ in faces])
        for (axis, side), count in zip(faces, shares, strict=True):
            axes, face = face_box(box, axis)
            face_seed = mix(seed, axis, SIDES.index(side))
            inside = self._sampler(axes)(count, face, face_seed, step, dtype, device)
            at = inside.new_full((inside.shape[0], 1), getattr(box, side)[axis])
            batches.append(torch.cat([inside[:, :axis], at, inside[:, axis:]], dim=1))
        return torch.cat(batches)

    def weights(self, n: int, box: Box, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        """Returns weights [m] of the points in a mean over the faces; None where all are 1."""
        if not isinstance(self.sampler, GaussPoints) or box.dim == 1:
            return None
        faces = check_faces(self.faces, box.dim)
        measures = [box.face_measure(axis) for axis, _ in faces]
        batches = []
        for (axis, _), measure, count in zip(faces, measures, _share(n, measures), strict=True):
            axes, face = face_box(box, axis)
            on_face = self.sampler.on_face(axes, box.dim).weights(face, count, torch.float64)
            batches.append(on_face * (measure / len(on_face)))
        weights = torch.cat(batches)
        return (weights / weights.mean()).to(dtype=dtype, device=device)

    def _sampler(self, axes: list[int]) -> Sampler:
        """The sampler of a face with these axes."""
        if self.shape is not None:
            return Lattice([self.shape[axis] for axis in axes], ends=True)
        if isinstance(self.sampler, GaussPoints):
            return self.sampler.on_face(axes, len(axes) + 1)
        return self.sampler or Uniform()


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


class Points:
    """Given points as a region, such as those of measurements or of a surface.

    Args:
        x: [N, dim], finite.

    Raises:
        TypeError, ValueError: unless ``x`` is a finite floating [N, dim] tensor with N > 0.
    """

    def __init__(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise TypeError(
                f"Points: pass a floating tensor [N, dim], not {_named(x)}; "
                "torch.as_tensor(x, dtype=torch.float64) makes one."
            )
        if x.dim() != 2 or x.shape[0] == 0:
            raise ValueError(f"Points: x has shape {tuple(x.shape)}; pass [N, dim] with N > 0.")
        if not bool(torch.isfinite(x).all()):
            bad = int((~torch.isfinite(x)).any(dim=1).sum())
            raise ValueError(f"Points: {bad} of {x.shape[0]} points are NaN or infinite.")
        self.x = x

    def __repr__(self) -> str:
        return f"Points({self.x.shape[0]} points in {self.x.shape[1]}-D)"

    def sample(
        self,
        n: int | None,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns all points in order if ``n`` is None or at least N, else a random ``n`` of them.

        The choice is `Points.choice`, so that data that go with the points can follow it.
        """
        if self.x.shape[1] != box.dim:
            raise ValueError(
                f"Points: the points are {self.x.shape[1]}-D, but the box is {box.dim}-D."
            )
        x = self.x if n is None or n >= self.x.shape[0] else self.x[self.choice(n, seed, step)]
        return x.to(device=device, dtype=dtype)

    def choice(self, n: int, seed: int = 0, step: int = 0) -> Tensor:
        """Indices [n] of the points that `sample` takes at this seed and step, each once."""
        random = torch.Generator().manual_seed(mix(seed, step))
        indices = torch.randperm(self.x.shape[0], generator=random)[:n]
        return indices.to(self.x.device)


def _named(value: object) -> str:
    return f"a {value.dtype} tensor" if isinstance(value, Tensor) else repr(type(value).__name__)
