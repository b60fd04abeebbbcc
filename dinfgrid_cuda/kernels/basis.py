"""One-dimensional basis functions: the weight of a grid node as a function of its distance.

Distances are in units of the grid spacing. A basis of reach ``rho`` reads ``2 * rho`` nodes per
axis, ``rho`` on each side; weights in several dimensions are products over the axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dinfgrid_cuda.checks import is_int, plain_int

MAX_EPSILON = 8.0
MAX_RHO = 12
DEGREES = (1, 3, 5, 7)

# Codes of the bases for the kernels.
GAUSSIAN, SMOOTH_GAUSSIAN, BSPLINE = 0, 1, 2


@dataclass(frozen=True)
class Gaussian:
    """Gaussian weights exp(-(epsilon d)^2), the basis of the paper (arXiv 2601.10715).

    At a fixed epsilon a Gaussian saturates as the grid is refined, and cut off at ``rho`` it jumps
    at cell faces: at epsilon=1, rho=3 by 1e-4 in the value, 3.5e-3 in the second and 0.1 in the
    fourth derivative. Wider and flatter (epsilon=0.7, rho=6) or ``window="smooth"`` are the
    remedies.

    Args:
        epsilon: shape parameter per grid spacing, in (0, 8].
        rho: reach in nodes on each side, 1..12 (in 4-D 1..4).
        normalize: divide by the sum of the weights of the neighbourhood, so that they sum to 1.
        window: None, or "smooth" to multiply by exp(-z^4 / (1 - z^2)), z = d / rho (zero for
            |z| >= 1), which makes the field C-infinity across cell faces.

    Raises:
        TypeError, ValueError: for an argument outside these ranges.
    """

    epsilon: float = 1.0
    rho: int = 3
    normalize: bool = True
    window: str | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.epsilon, (int, float)) and not isinstance(self.epsilon, bool)
        if not number or not math.isfinite(self.epsilon) or not 0 < self.epsilon <= MAX_EPSILON:
            raise ValueError(
                f"Gaussian: epsilon is {self.epsilon!r}, but it must be a number in "
                f"(0, {MAX_EPSILON:g}]; 1.0 is the paper's."
            )
        object.__setattr__(self, "epsilon", float(self.epsilon))
        object.__setattr__(self, "rho", plain_int(self.rho))
        if not is_int(self.rho) or not 1 <= self.rho <= MAX_RHO:
            raise ValueError(
                f"Gaussian: rho is {self.rho!r}, but it must be an integer in 1..{MAX_RHO}; "
                "3 is the paper's."
            )
        if not isinstance(self.normalize, bool):
            raise TypeError(f"Gaussian: normalize is {self.normalize!r}; pass True or False.")
        if self.window not in (None, "smooth"):
            raise ValueError(f"Gaussian: window is {self.window!r}; pass None or 'smooth'.")

    @property
    def nodes(self) -> int:
        """Number of nodes per axis that take part, 2 rho."""
        return 2 * self.rho

    @property
    def kind(self) -> int:
        """The code of this basis for the kernels: 0 plain, 1 with the smooth window."""
        return GAUSSIAN if self.window is None else SMOOTH_GAUSSIAN


@dataclass(frozen=True)
class BSpline:
    """Uniform B-spline weights centred on the nodes; they sum to 1 and are C^(degree-1).

    Degree 1 is linear interpolation. Degree 5 has the reach and the variance (1/2) of the paper's
    Gaussian, and converges.

    Args:
        degree: 1, 3, 5 or 7; the reach is rho = (degree + 1) / 2.

    Raises:
        ValueError: for any other degree.
    """

    degree: int = 5
    rho: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "degree", plain_int(self.degree))
        if not is_int(self.degree) or self.degree not in DEGREES:
            raise ValueError(
                f"BSpline: degree is {self.degree!r}, but only odd degrees 1, 3, 5 and 7 exist."
            )
        object.__setattr__(self, "rho", (self.degree + 1) // 2)

    @property
    def nodes(self) -> int:
        """Number of nodes per axis that take part, degree + 1."""
        return 2 * self.rho

    @property
    def kind(self) -> int:
        """The code of this basis for the kernels."""
        return BSPLINE

    @property
    def epsilon(self) -> float:
        """Always 0.0: a B-spline has no shape parameter; a packed grid has a place for one."""
        return 0.0

    @property
    def normalize(self) -> bool:
        """Always True: B-splines sum to 1 by construction."""
        return True


Basis = Gaussian | BSpline
