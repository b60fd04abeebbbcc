"""Fourier methods: fast sine and cosine transforms, and periodic pseudospectra in time.

Where the exact solution is made of a few eigenfunctions of the operator, as in most manufactured
problems on boxes, these reach rounding: no other method can be better or faster there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from dinfgrid_cuda.suite.tools.measuring import Array, Watch, relative_l2

from . import formulas
from .result import Result

Modes = npt.NDArray[np.complex128]

KEPT = 10  # times after the first at which errors of nonlinear problems are taken


def image(pixels: Array, supervise: str, model: str) -> tuple[Array, float]:
    """Rebuilds an image from its Sobel gradient or five-point Laplacian; also returns the seconds.

    Cosines diagonalise both with mirrored borders, so that least squares is one division.

    Args:
        pixels: [height, width, channels] of the true image.
        supervise: "gradient" or "laplacian".
        model: "stencil" undoes the very stencil that made the data, which a method that looks for
            a function cannot; "derivative" takes the data for the derivatives of a function.

    Returns:
        the image [height, width, channels], of mean 0.
    """
    from dinfgrid_cuda.suite.tools.image_derivatives import five_point_laplacian, sobel_gradient

    spacing = 2.0 / max(pixels.shape[:2])
    watch = Watch()
    phases = [np.pi * np.arange(count) / count for count in pixels.shape[:2]]
    a, b = (phase.reshape(shape) for phase, shape in zip(phases, ((-1, 1), (1, -1)), strict=True))
    if supervise == "laplacian":
        derivative = five_point_laplacian(pixels, spacing)
        with watch.timed():
            symbol = -(a**2 + b**2)
            if model == "stencil":
                symbol = -4 * (np.sin(a / 2) ** 2 + np.sin(b / 2) ** 2)
            symbol[0, 0] = np.inf
            reconstruction = fft.dctn(derivative, axes=(0, 1), norm="ortho")
            reconstruction = fft.idctn(
                reconstruction * (spacing**2 / symbol)[..., None], axes=(0, 1), norm="ortho"
            )
        return reconstruction, watch.seconds
    gradient = sobel_gradient(pixels, spacing)
    with watch.timed():
        down, right = np.broadcast_arrays(-a, -b)
        if model == "stencil":
            down, right = -np.sin(a) * np.cos(b / 2) ** 2, -np.sin(b) * np.cos(a / 2) ** 2
        size = down**2 + right**2
        size[0, 0] = np.inf
        total = down[..., None] * _sine_cosine(gradient[..., 0], 0)
        total += right[..., None] * _sine_cosine(gradient[..., 1], 1)
        reconstruction = fft.idctn(total * (spacing / size)[..., None], axes=(0, 1), norm="ortho")
    return reconstruction, watch.seconds


def _sine_cosine(values: Array, axis: int) -> Array:
    """The coefficients [height, width, channels]: sines along the axis, cosines along the other.

    Moved by one, so that an index means the same frequency as for cosines.
    """
    sines = fft.dst(fft.dct(values, axis=1 - axis, norm="ortho"), axis=axis, norm="ortho")
    moved: Array = np.roll(sines, 1, axis=axis)
    moved[(0,) if axis == 0 else (slice(None), 0)] = 0.0
    return moved


def image_psnr(supervise: str, model: str, size: int | None = None) -> Result:
    """The paper's PSNR in dB of the suite's image, from `image`."""
    from dinfgrid_cuda.suite.tools import metrics
    from dinfgrid_cuda.suite.tools.images import load_image

    pixels = load_image(None, size).pixels
    reconstruction, seconds = image(pixels, supervise, model)
    return Result(metrics.rescaled_psnr(reconstruction, pixels), seconds, pixels.size)


def helmholtz_box(waves: Sequence[float], count: int, wavenumber: float = 1.0) -> Result:
    """Solves Delta u + k^2 u = q on [-1, 1]^d by fast sine transforms of q at interior points.

    Args:
        waves: a_i of `formulas.box_wave`.
        count: intervals per axis.
        wavenumber: k.
    """
    watch = Watch()
    axes = [np.linspace(-1, 1, count + 1)[1:-1]] * len(waves)
    with watch.timed():
        source = formulas.box_source(axes, waves, wavenumber)
        modes = (np.pi / 2 * np.arange(1, count)) ** 2
        symbol = np.full((count - 1,) * len(waves), wavenumber**2)
        for axis in range(len(waves)):
            symbol -= modes.reshape([-1 if other == axis else 1 for other in range(len(waves))])
        u = fft.idstn(fft.dstn(source, type=1) / symbol, type=1)
    return Result(relative_l2(u, formulas.box_wave(axes, waves)), watch.seconds, u.size)


def sine_series(problem: str, count: int, times: int = 101) -> Result:
    """Solves the "wave" or "heat" problem by sines of the initial values, exact in time."""
    watch = Watch()
    x, t = np.linspace(0, 1, count + 1)[1:-1], np.linspace(0, 1, times)[:, None]
    with watch.timed():
        exact = {"wave": formulas.wave, "heat": formulas.heat}[problem]
        modes = np.pi * np.arange(1, count)
        evolution = np.cos(2 * modes * t) if problem == "wave" else np.exp(-(modes**2) * t)
        start = fft.dst(exact(np.zeros(1), x), type=1)
        u = fft.idst(evolution * start, type=1, axis=1)
    return Result(relative_l2(u, exact(t, x)), watch.seconds, count - 1)


def plate(count: int) -> Result:
    """Solves Lap^2 w = 1 on [-1, 1]^2, simply supported, by Navier's double sine series.

    Args:
        count: intervals per axis.
    """
    import torch

    from dinfgrid_cuda.suite.cases.plate.plate_exact import simple_uniform

    watch = Watch()
    with watch.timed():
        modes = (np.pi / 2 * np.arange(1, count)) ** 2
        load = fft.dstn(np.ones((count - 1, count - 1)), type=1)
        w = fft.idstn(load / (modes[:, None] + modes) ** 2, type=1)
    x = np.linspace(-1, 1, count + 1)[1:-1]
    points = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    exact = simple_uniform(torch.from_numpy(points), 2.0, 2.0).numpy()
    return Result(relative_l2(w.ravel(), exact), watch.seconds, w.size)


def transport(problem: str, count: int, times: int = 101) -> Result:
    """Solves the "convection" or "advection" problem: periodic, each mode turned in time.

    The bump's period is [-3, 3], so that it stays 15 widths away from the ends.
    """
    watch = Watch()
    lower, length, end, speed = {
        "convection": (0.0, 2 * np.pi, 1.0, 30.0),
        "advection": (-3.0, 6.0, 12.0, 0.25),
    }[problem]
    x, t = lower + length * np.arange(count) / count, np.linspace(0, end, times)[:, None]
    exact = {"convection": formulas.shifted_sine, "advection": formulas.bump}[problem]
    with watch.timed():
        frequencies = 2j * np.pi / length * np.arange(count // 2 + 1)
        start = fft.rfft(exact(np.zeros(1), x))
        u = fft.irfft(start * np.exp(-speed * frequencies * t), count, axis=1)
    inside = np.abs(x) <= 2 if problem == "advection" else np.ones(count, bool)
    error = relative_l2(u[:, inside], exact(t, x[inside]))
    return Result(error, watch.seconds, count)


def march(
    start: Modes,
    decay: Array,
    force: Callable[[Modes], Modes],
    step: float,
    steps: int,
    every: int,
) -> Modes:
    """Solves v_t = -decay v + force(v) by Runge-Kutta 4 with an integrating factor.

    Args:
        start: coefficients [modes] at time 0.
        decay: [modes], >= 0; taken exactly.
        force: the rest.
        step: of time.
        steps: their number.
        every: a state is kept after each of so many steps.

    Returns:
        [1 + steps / every, modes].
    """
    half, full = np.exp(-decay * step / 2), np.exp(-decay * step)
    v, kept = start, [start]
    for index in range(1, steps + 1):
        a = step * force(v)
        b = step * force(half * (v + a / 2))
        c = step * force(half * v + b / 2)
        d = step * force(full * v + half * c)
        v = full * v + (full * a + 2 * half * (b + c) + d) / 6
        if index % every == 0:
            kept.append(v)
    return np.stack(kept)


def burgers(
    exact: formulas.InTime, count: int, steps: int, viscosity: float, start: formulas.InTime
) -> Result:
    """Solves u_t + u u_x = nu u_xx on [-1, 1], period 2, t in [0, 1]; products dealiased by 2/3.

    Args:
        exact: u(t, x), t [times, 1] and x [count].
        count: points.
        steps: a multiple of `KEPT`.
        viscosity: nu.
        start: u(0, x).
    """

    def force(modes: Modes, derivative: Modes, kept: Array) -> Modes:
        square = fft.irfft(modes * kept, count) ** 2
        rate: Modes = -0.5 * derivative * fft.rfft(square) * kept
        return rate

    return _periodic(exact, count, steps, viscosity, start, force)


def allen_cahn(
    exact: formulas.InTime, count: int, steps: int, start: formulas.InTime, width: float = 1e-4
) -> Result:
    """Solves u_t = width u_xx + 5 u - 5 u^3 on [-1, 1], period 2, t in [0, 1]; as `burgers`."""

    def force(modes: Modes, derivative: Modes, kept: Array) -> Modes:
        u = fft.irfft(modes, count)
        rate: Modes = fft.rfft(5 * u - 5 * u**3)
        return rate

    return _periodic(exact, count, steps, width, start, force)


def _periodic(
    exact: formulas.InTime,
    count: int,
    steps: int,
    diffusion: float,
    start: formulas.InTime,
    force: Callable[[Modes, Modes, Array], Modes],
) -> Result:
    if steps % KEPT:
        raise ValueError(f"steps is {steps}; it must be a multiple of {KEPT}.")
    watch = Watch()
    x = -1 + 2 * np.arange(count) / count
    with watch.timed():
        frequencies = np.pi * np.arange(count // 2 + 1, dtype=np.float64)
        kept = (np.arange(count // 2 + 1) <= count // 3).astype(float)
        first = fft.rfft(start(np.zeros(1), x))
        decay = diffusion * frequencies**2
        slope = frequencies.astype(np.complex128) * 1j
        states = march(
            first,
            decay,
            lambda modes: force(modes, slope, kept),
            1.0 / steps,
            steps,
            steps // KEPT,
        )
        u = fft.irfft(states, count, axis=1)
    t = np.linspace(0, 1, len(u))[:, None]
    return Result(relative_l2(u, exact(t, x)), watch.seconds, count)
