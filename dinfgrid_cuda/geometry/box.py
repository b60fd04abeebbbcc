"""Boxes, and their faces as pairs (axis, "lower" | "upper")."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from dinfgrid_cuda.checks import is_int, plain, plain_int

from .shape import Shape
from .surface import Plane, Surface

Face = tuple[int, str]
SIDES = ("lower", "upper")
FACE_NAME = re.compile(r"(?:(.*) )?(lower|upper) (\d+)")


def check_faces(faces: Iterable[Face] | None, dim: int) -> tuple[Face, ...]:
    """Returns faces of a ``dim``-D box as pairs (axis, "lower" | "upper"); None means all."""
    if faces is None:
        return tuple((axis, side) for axis in range(dim) for side in SIDES)
    checked = []
    for face in faces:
        pair = isinstance(face, (tuple, list)) and len(face) == 2
        face = (plain_int(face[0]), face[1]) if pair else face
        if not pair or not is_int(face[0]) or not 0 <= face[0] < dim or face[1] not in SIDES:
            raise ValueError(
                f"faces: {face!r} is no face of a {dim}-D box; pass pairs such as (0, 'lower') or "
                f"({dim - 1}, 'upper')."
            )
        checked.append((face[0], face[1]))
    if not checked or len(set(checked)) != len(checked):
        raise ValueError(f"faces: {checked} is empty or names a face twice; name each face once.")
    return tuple(checked)


class FacePlane(Plane):
    """The plane of a face of a box, near the face.

    Args:
        name: of the piece.
        face: (axis, "lower" | "upper").
        lower, upper: corners of the box.
    """

    def __init__(
        self, name: str, face: Face, lower: tuple[float, ...], upper: tuple[float, ...]
    ) -> None:
        axis, side = face
        sign = -1.0 if side == "lower" else 1.0
        at = lower[axis] if side == "lower" else upper[axis]
        super().__init__(name, tuple(sign * (k == axis) for k in range(len(lower))), sign * at)
        self._low = (*lower[:axis], at, *lower[axis + 1 :])
        self._high = (*upper[:axis], at, *upper[axis + 1 :])

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the face is within the distance of each point, [N]."""
        low, high = x.new_tensor(self._low), x.new_tensor(self._high)
        beyond = torch.maximum(low - x, x - high).clamp(min=0)
        close: Tensor = beyond.norm(dim=1) <= radius
        return close


@dataclass(frozen=True)
class Box(Shape):
    """An axis-parallel box in units of x; numbers for ``lower`` and ``upper`` make a 1-D one.

    Its boundary pieces are "lower 0", "upper 0", "lower 1", ..., one for each face.

    Args:
        lower, upper: opposite corners, lower < upper on every axis.
        name: put before the names of the faces, "plate lower 0"; by default nothing is.

    Raises:
        TypeError: for corners that are not numbers.
        ValueError: for corners of different length, not finite, or in the wrong order.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    name: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            corner = getattr(self, name)
            corner = plain(corner)
            entries = corner if isinstance(corner, Sequence) else (corner,)
            try:
                numbers = tuple(float(value) for value in entries)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"Box: {name} is {corner!r}; pass a number per axis, e.g. Box([0, 0], [1, 1])."
                ) from error
            object.__setattr__(self, name, numbers)
        if len(self.lower) != len(self.upper) or not self.lower:
            raise ValueError(
                f"Box: lower has {len(self.lower)} entries and upper {len(self.upper)}; pass one "
                "per axis in both."
            )
        for axis, (low, high) in enumerate(zip(self.lower, self.upper, strict=True)):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(
                    f"Box: on axis {axis} the box goes from {low} to {high}; both must be finite "
                    "and the upper corner above the lower one."
                )

    @cached_property
    def surfaces(self) -> tuple[Surface, ...]:  # type: ignore[override]
        """Its faces, axis by axis, the lower one first."""
        return tuple(
            FacePlane(face_name(face, self.name), face, self.lower, self.upper)
            for face in check_faces(None, self.dim)
        )

    def level(self, x: Tensor) -> Tensor:
        """Returns the largest signed distance [N] from a face."""
        low, high = x.new_tensor(self.lower), x.new_tensor(self.upper)
        return torch.maximum(low - x, x - high).amax(dim=1)

    def face_measure(self, axis: int) -> float:
        """Length, area or volume of a face perpendicular to ``axis``; 1 for the ends of a line."""
        return math.prod(length for k, length in enumerate(self.lengths) if k != axis)


def face_name(face: Face, prefix: str = "") -> str:
    """Returns the name of a face among boundary pieces, "lower 0"."""
    axis, side = face
    return f"{prefix} {side} {axis}".strip()


def split_face_name(name: str) -> tuple[str, Face] | None:
    """Returns the prefix and the face of a name that `face_name` gives; None for another name."""
    found = FACE_NAME.fullmatch(name)
    return None if found is None else (found[1] or "", (int(found[3]), found[2]))


def face_normals(faces: Sequence[Face], counts: Sequence[int], like: Tensor) -> Tensor:
    """Returns outward normals at points of faces, [sum of counts, dim], as ``like`` [N, dim]."""
    normals = like.new_zeros(len(faces), like.shape[1])
    for row, (axis, side) in enumerate(faces):
        normals[row, axis] = -1.0 if side == "lower" else 1.0
    return normals.repeat_interleave(torch.tensor(counts, device=like.device), dim=0)


def bounding_box(shape: Shape) -> Box:
    """Returns the box around a shape: itself for a box.

    Raises:
        ValueError: if the shape has no end on some axis.
    """
    if isinstance(shape, Box):
        return shape
    if not all(math.isfinite(end) for end in (*shape.lower, *shape.upper)):
        raise ValueError(
            f"shape: {shape!r} has no end; intersect it with a box, e.g. Box([-1, -1], [1, 1]) & "
            "shape."
        )
    return Box(shape.lower, shape.upper)


def face_box(box: Box, axis: int) -> tuple[list[int], Box]:
    """The axes of a face perpendicular to ``axis``, and the face as a box of these."""
    axes = [k for k in range(box.dim) if k != axis]
    return axes, Box(tuple(box.lower[k] for k in axes), tuple(box.upper[k] for k in axes))
