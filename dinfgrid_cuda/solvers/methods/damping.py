"""The damping of Gauss-Newton steps: raised after a step that fails, lowered after a good one.

A step solves (A'A + damping D) s = -gradient, with D the diagonal of A'A (K. Levenberg, 1944; D. W.
Marquardt, 1963).
"""

from __future__ import annotations

RATIO = 10.0


def raised(damping: float, first: float) -> float:
    """The damping after a step that did not lower the loss.

    Args:
        first: the smallest damping worth trying.
    """
    return max(first, RATIO * damping)


def lowered(damping: float, least: float) -> float:
    """The damping after a step that fell about as promised; never below ``least``."""
    return max(least, damping / RATIO)
