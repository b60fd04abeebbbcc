"""Adaptive: more points where the residual is large."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_flag, check_instance, check_real, check_whole

from .box import Box
from .quadrature import GaussPoints
from .samplers import Sampler, Stratified


@dataclass(frozen=True)
class Adaptive:
    """Draws points with a density that grows with the residual of the term, for `Adam`.

        dg.Term("pde", dg.Interior(dg.Adaptive()), residual, order=2, points=1000)

    Every ``every`` steps the residual r is evaluated at ``candidates`` times as many points of
    another sampler; each step then draws its points from these, candidate i with the probability
    share |r_i|^power / sum |r|^power + (1 - share) / count. Its default is the method RAD of
    C. Wu et al., "A comprehensive study of non-adaptive and residual-based adaptive sampling",
    CMAME 403 (2023), with their k = power and c = 1 / share - 1. Nowhere is the density more than
    ``candidates`` times that of the other sampler.

    The loss is the mean square at the points drawn, and so are the losses in reports: larger than
    the mean over the region, and another weighting of it. Where the residual can become zero this
    does not change the solution; where it cannot, or where a residual takes a mean over its points
    itself, it does. ``unbiased`` divides the squares by the density.

    It pays where the source is much narrower than the points of a step are apart, most with
    ``unbiased=True``; elsewhere uniform points, new at each step, are as good or better.

    Least squares and L-BFGS keep their points, and refuse it. Where there is no residual, as in
    `Interior.sample`, its points are those of the other sampler.

    Args:
        base: the other sampler, of random points; by default `Stratified`.
        share: of the points that follow the residual, 0 to 1; the others follow the other sampler.
        candidates: number of points to choose from, for each point of a step; at least 2.
        power: of the residual in the density; 2 follows the loss.
        every: number of steps between two evaluations of the residual. One costs about as much as
            ``candidates / 3`` steps.
        unbiased: whether points are weighted so that the expected loss is the mean over the region;
            a point may then be drawn more than once.

    Raises:
        TypeError, ValueError: for other values, and for a base of fixed points.
    """

    base: Sampler | None = None
    share: float = 0.5
    candidates: int = 8
    power: float = 1.0
    every: int = 50
    unbiased: bool = False

    def __post_init__(self) -> None:
        where = "Adaptive"
        check_instance(where, "base", self.base)
        if self.base is not None and not callable(self.base):
            raise TypeError(f"{where}: base is {self.base!r}; pass a sampler, such as Uniform().")
        if isinstance(self.base, (Adaptive, GaussPoints)):
            raise ValueError(
                f"{where}: base is {type(self.base).__name__}(...); pass a sampler of random "
                "points, such as Stratified() or Uniform()."
            )
        if getattr(self.base, "shape", None) is not None:
            raise ValueError(
                f"{where}: base has a shape, which fixes the number of points; leave the shape out "
                "and set points of the term."
            )
        share = float(check_real(where, "share", self.share))
        if share > 1:
            raise ValueError(f"{where}: share is {share:g}; pass a number from 0 to 1.")
        if check_flag(where, "unbiased", self.unbiased) and share == 1:
            raise ValueError(
                f"{where}: with share=1 points of zero residual are never drawn, and no weights "
                "make up for that; pass a smaller share with unbiased=True."
            )
        object.__setattr__(self, "share", share)
        object.__setattr__(self, "power", float(check_real(where, "power", self.power)))
        for name, least in (("candidates", 2), ("every", 1)):
            value = check_whole(where, name, getattr(self, name), least)
            object.__setattr__(self, name, value)

    def __call__(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns points of the other sampler, at most ``n``, [m, box.dim]."""
        return (self.base or Stratified())(n, box, seed, step, dtype, device)

    def probabilities(self, residuals: Tensor) -> Tensor:
        """Returns the probability [M] of each candidate, from moduli of residuals [M], float64.

        Where a residual is not finite it counts twice the largest one, so that the loss tells.
        """
        sizes = residuals.double()
        finite = sizes.isfinite()
        largest = torch.where(finite, sizes, 0.0).amax()
        sizes = torch.where(finite, sizes, 2 * largest)
        # In units of the largest, so that no power overflows.
        density = torch.where(largest > 0, sizes / largest, 1.0) ** self.power
        return self.share * density / density.sum() + (1 - self.share) / len(density)
