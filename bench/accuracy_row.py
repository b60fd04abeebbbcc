"""The row of `bench.accuracy`, and the rows and rivals that come in families."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goal:
    """The figure that a row has to reach, and its time.

    Attributes:
        value: of the row's metric.
        seconds: of the solve, assembly included.
        higher: whether a higher value is better, as with a PSNR.
    """

    value: float
    seconds: float
    higher: bool = False

    def reached(self, value: float) -> bool:
        """Whether a value is good enough, whatever its seconds."""
        return value >= self.value if self.higher else value <= self.value

    def better(self, value: float, other: float) -> bool:
        """Whether the first of two values is the better one."""
        return value > other if self.higher else value < other

    def __str__(self) -> str:
        bound = (
            f"≥ {self.value:g} dB" if self.higher else f"≤ {self.value:.0e}".replace("e-0", "e-")
        )
        return f"{bound} in {self.seconds:g} s"


@dataclass(frozen=True)
class Rival:
    """A classical solver.

    Attributes:
        label: for the table.
        function: module and function of `bench.classical`, with a dot.
        arguments, quick: of the function; ``quick`` replaces some with --quick.
    """

    label: str
    function: str
    arguments: dict[str, Any]
    quick: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A row of the table: a problem, its figure and its rivals.

    Attributes:
        name: short and unique.
        label: first column.
        problem, options: of the case.
        metric: the figure shown, by its name in metrics.json.
        published: best figures of neural solvers.
        goal: to reach; None in a race, whose goal is Adam's figure in a fifth of its time.
        rivals: classical solvers of the same problem.
        quick: with --quick, options in place of ``options``, and "cells".
        reason: why a goal is missed, where that is known.
        adam: in a race, how Adam is run: "config" or "method" and "max_seconds" of a `Request`.
    """

    name: str
    label: str
    problem: str
    metric: str
    published: str
    goal: Goal | None
    options: dict[str, Any] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    quick: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    adam: dict[str, Any] | None = None


def image_row(supervise: str, published: str, goal: Goal) -> Row:
    """The row of an image from its gradient or Laplacian, with both cosine transforms."""
    rivals = tuple(
        Rival(label, "fourier.image_psnr", {"supervise": supervise, "model": model}, {"size": 64})
        for label, model in (
            ("DCT, symbol of the derivative", "derivative"),
            ("DCT, symbol of the stencil that made the data", "stencil"),
        )
    )
    named = "Laplacian" if supervise == "laplacian" else supervise
    return Row(
        f"image-{supervise}",
        f"Poisson image 512² from its {named}, PSNR",
        "poisson-image",
        "psnr_rescaled",
        published,
        goal,
        {"supervise": supervise},
        rivals,
        {"size": 64},
    )


def box_row(
    waves: tuple[int, ...],
    published: str,
    goal: Goal,
    sizes: dict[str, int],
    extra: tuple[Rival, ...] = (),
) -> Row:
    """The row of Helmholtz's equation on a box.

    Args:
        waves: a_i.
        published, goal: of the row.
        sizes: intervals or degree of "sine", "chebyshev", "differences", "multigrid".
        extra: further rivals.
    """
    named = {
        "sine": ("fast sine transform", "fourier.helmholtz_box", "count"),
        "chebyshev": ("Chebyshev, fast diagonalisation", "chebyshev.helmholtz_box", "degree"),
        "differences": ("differences + sparse LU", "finite_differences.helmholtz_box", "count"),
        "multigrid": ("differences + multigrid (pyamg)", "multigrid.helmholtz_box", "count"),
    }
    rivals = []
    for key, size in sizes.items():
        label, function, name = named[key]
        arguments = {"waves": waves, name: size}
        rivals.append(Rival(f"{label}, {size}", function, arguments, {name: min(size, 24)}))
    text = ", ".join(map(str, waves))
    options = {f"a{axis}": a for axis, a in enumerate(waves, 1)}
    return Row(
        f"helmholtz-box-{'-'.join(map(str, waves))}",
        f"Helmholtz {len(waves)}-D, a = ({text})",
        "helmholtz-box",
        "relative_l2",
        published,
        goal,
        options,
        (*rivals, *extra),
        {"cells": 12},
    )


def elements(waves: tuple[int, ...], count: int, degree: int) -> Rival:
    """The rival of finite elements (scikit-fem) on `box_row`'s problem."""
    return Rival(
        f"P{degree} elements (scikit-fem), {count}",
        "finite_elements.helmholtz_box",
        {"waves": waves, "count": count, "degree": degree},
        {"count": 6},
    )


def fast_lsq(problem: str, scale: float) -> Rival:
    """The rival FastLSQ, with a bandwidth from a search that is not counted."""
    return Rival(
        f"FastLSQ, 1500 features, bandwidth {scale:g}",
        "fastlsq.solve",
        {"problem": problem, "scale": scale},
        {"features": 90},
    )


def layers(count: int) -> Rival:
    """The rival of finite differences on the problem `helmholtz`."""
    function = "finite_differences.helmholtz_layers"
    label = f"differences + sparse LU, {count}"
    return Rival(label, function, {"count": count}, {"count": 64})


def plain(label: str, function: str, quick: dict[str, Any], **arguments: Any) -> Rival:
    """A rival from its arguments."""
    return Rival(label, function, arguments, quick)


def plate_row(support: str, published: str, rivals: tuple[Rival, ...]) -> Row:
    """The row of a square plate under uniform load, by its fourth derivatives."""
    return Row(
        f"plate-{support}",
        f"plate, {support}, strong form",
        "plate",
        "relative_l2",
        published,
        Goal(1e-6, 5),
        {"form": "strong", "support": support},
        rivals,
        {"cells": 8},
    )
