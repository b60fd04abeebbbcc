"""What belongs to the points of a term besides their places: outward normals, and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.fields.jet import Jet


@dataclass(frozen=True)
class OnBoundary:
    """Normals at the points of a boundary, and data.

    It is indexed and moved as the data alone would be: ``numbers[:5]`` belongs to five points.

    Attributes:
        normal: outward unit normals [N, dim].
        data: [N, ...], or None.
    """

    normal: Tensor
    data: Tensor | None = None

    def __getitem__(self, rows: Any) -> OnBoundary:
        return OnBoundary(self.normal[rows], None if self.data is None else self.data[rows])

    def __len__(self) -> int:
        return len(self.normal)

    def to(self, device: torch.device) -> OnBoundary:
        """Returns the same numbers on a device."""
        return OnBoundary(
            self.normal.to(device), None if self.data is None else self.data.to(device)
        )


# Of the points of a term: data alone, normals with or without data, or None for neither.
Numbers = Tensor | OnBoundary


def each(numbers: Numbers | None, apply: Callable[[Tensor], Tensor]) -> Numbers | None:
    """Returns the numbers after a function of tensors [N, ...] that takes the same rows of all."""
    if isinstance(numbers, OnBoundary):
        data = None if numbers.data is None else apply(numbers.data)
        return OnBoundary(apply(numbers.normal), data)
    return None if numbers is None else apply(numbers)


def handed_over(u: Any, numbers: Numbers | None) -> tuple[Any, Tensor | None]:
    """Returns the jet with the normals, and the data."""
    if not isinstance(numbers, OnBoundary):
        return u, numbers
    return u.with_normal(numbers.normal) if isinstance(u, Jet) else u, numbers.data


def lacking(numbers: Numbers | None, count: int) -> Tensor:
    """Returns at which of some points the data are not finite, [count]."""
    data = numbers.data if isinstance(numbers, OnBoundary) else numbers
    if data is None:
        return torch.zeros(count, dtype=torch.bool)
    return ~torch.isfinite(data).reshape(count, -1).all(dim=1)
