"""Where the sum over points is taken: in one process, or over several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class PointSum(Protocol):
    """Says where the sum over points is taken; solvers see points and sums through this alone.

    A data-parallel run replaces `LocalSum` by one whose `share` keeps this process's points and
    whose `add_up` sums over the processes.
    """

    def share(self, points: Tensor) -> Tensor:
        """Returns the entries of ``points`` [N, ...] that this process takes."""
        ...

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over all processes."""
        ...


class LocalSum:
    """The sum of a single process, which takes all points."""

    def share(self, points: Tensor) -> Tensor:
        """Returns all of ``points``."""
        return points

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Leaves the tensors as they are: there are no other processes."""
