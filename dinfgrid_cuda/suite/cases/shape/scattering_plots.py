"""Pictures of waves around an obstacle: total, scattered, error; and in motion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from dinfgrid_cuda.suite.tools import plots
from dinfgrid_cuda.suite.tools.shape_plots import draw_error, draw_slice, sampled
from dinfgrid_cuda.suite.tools.shape_samples import Solid

Wave = Callable[[Tensor], Tensor]
FRAMES, MOVING = 24, 201


@dataclass(frozen=True)
class Scene:
    """Waves on a shape, complex [N] at points [N, 2].

    Attributes:
        shape: with the layers.
        clear: what the layers leave free.
        half: half the side of the square inside the layers.
        scattered: as found.
        incident, exact: the incident wave, and the exact scattered one.
    """

    shape: Solid
    clear: Solid
    half: float
    scattered: Wave
    incident: Wave
    exact: Wave

    def total(self, x: Tensor) -> Tensor:
        """The incident and the scattered wave found."""
        return self.incident(x) + self.scattered(x)


def comparison(scene: Scene, title: str, nodes: int) -> bytes:
    """Draws the modulus of the total wave, the scattered wave with the layers, and the error."""
    total = sampled(scene.clear, lambda x: scene.total(x).abs(), nodes)
    scattered = sampled(scene.shape, lambda x: scene.scattered(x).real, nodes)
    error = total.of(lambda x: (scene.scattered(x) - scene.exact(x)).abs())
    worst = float(np.nanmax(error.values))
    fig = plots.figure(15.6, 4.9)
    first, second, third = fig.subplots(1, 3)
    draw_slice(first, total, "|incident + scattered|, found")
    draw_slice(second, scattered, "Re u, the scattered wave; layers outside the dashes", True)
    corner = np.array([-1, 1, 1, -1, -1]) * scene.half
    second.plot(corner, [*corner[1:], corner[1]], "k--", linewidth=0.9)
    draw_error(third, error, f"|u - exact series|, at most {worst:.1e}")
    for axes in (first, second, third):
        axes.set(xlabel="x / a", ylabel="y / a")
    fig.suptitle(title)
    return plots.png(fig)


def motion(scene: Scene) -> bytes:
    """Draws Re((incident + scattered) exp(-i omega t)) over one period, a GIF."""
    real = sampled(scene.clear, lambda x: scene.total(x).real, MOVING)
    imaginary = real.of(lambda x: scene.total(x).imag)
    reach = float(np.nanquantile(np.hypot(real.values, imaginary.values), 0.995))

    def draw(fig: Any, frame: int) -> None:
        angle = 2 * math.pi * frame / FRAMES
        values = real.values * math.cos(angle) + imaginary.values * math.sin(angle)
        axes = fig.subplots()
        content = replace(real, values=values)
        image = draw_slice(axes, content, "Re((incident + scattered) exp(-i omega t))", True)
        image.set_clim(-reach, reach)
        axes.set(xlabel="x / a", ylabel="y / a")

    return plots.animation(FRAMES, draw, (5.2, 4.6))
