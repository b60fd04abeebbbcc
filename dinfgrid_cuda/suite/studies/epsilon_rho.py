"""The Gaussian's width and reach: image quality and time, jumps at cell faces, saturation.

The paper's ablation over epsilon and rho on an image from its Sobel gradient, by Adam and by least
squares; and what theory says of the same basis: its cut-off window jumps at cell faces, and with
epsilon * h fixed the m-th derivative stops converging near 2 exp(-pi^2 / epsilon^2) (2 pi / h)^m,
the ripple of a sum of equal Gaussians (Poisson summation).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.cases.image.poisson_image import PoissonImage
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.run import Request
from dinfgrid_cuda.suite.tools import plots

from .record import Record, Row

EPSILONS, REACHES = (0.6, 1.0, 2.0), (1, 2, 3, 4)
SEEDS = (0, 1, 2)
SIZE, ADAM_STEPS = 128, 300
ORDERS = (0, 2, 4)
# Wide windows, so that what is left is the ripple and not the cut.
SATURATING = (0.7, 0.85, 1.0, 1.3, 2.0)
WIDEST, CELLS = 12, 128
WAVES = 2.0


def study(record: Record) -> Any:
    """Records rows for image, jumps and saturation; draws two maps and two curves."""
    size = 32 if record.quick else SIZE
    steps = 20 if record.quick else ADAM_STEPS
    seeds = SEEDS[:1] if record.quick else SEEDS
    for method in ("least-squares", "adam"):
        record.part(f"image, {method}", partial(images, method, size, steps, seeds))
    record.part("jumps", jumps)
    record.part("saturation", saturation)
    record.summary = summary(record.rows)
    return draw(record.rows)


def images(method: str, size: int, steps: int, seeds: tuple[int, ...]) -> list[Row]:
    """The PSNR and seconds for each epsilon and rho; least squares has nothing random in it."""
    case = PoissonImage(size=size)
    rows: list[Row] = []
    for epsilon in EPSILONS:
        for rho in REACHES:
            for seed in seeds if method == "adam" else seeds[:1]:
                basis = dg.Gaussian(epsilon, rho)
                figures = image(case, method, basis, steps, seed)
                rows.append({"epsilon": epsilon, "rho": rho, "seed": seed, **figures})
    return rows


def image(case: PoissonImage, method: str, basis: dg.Gaussian, steps: int, seed: int) -> Row:
    """The row of a solve: the paper's levels by Adam, its finest alone by least squares."""
    if method == "adam":
        setup = replace(Request(case, config="paper").setup(), basis=basis, steps=steps)
    else:
        setup = replace(Request(case).setup(), basis=basis)
    field = make_model(case, setup, "grid", seed)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it warns that a Gaussian saturates, which is what is shown here
        solution = dg.solve(
            case.problem(setup),
            field,
            setup.method,
            steps=setup.steps,
            seed=seed,
            progress=False,
        )
    psnr = case.measure(field)["psnr_rescaled"].value
    largest = float(field.get_parameter("grid.features").detach().abs().max())
    return {
        "psnr": psnr,
        "seconds": solution.seconds,
        "steps": solution.steps,
        "largest_feature": largest,
    }


def jumps() -> list[Row]:
    """The largest jumps of a weight's derivatives where a point changes its cell.

    In units of the spacing; features of size 1 make a jump at most 2 rho times as large.
    """
    rows: list[Row] = []
    for epsilon in EPSILONS:
        for rho in REACHES:
            grid = _line(dg.Gaussian(epsilon, rho), cells=8)
            nodes = grid.features.shape[0]
            face = torch.tensor([[4.0]], dtype=torch.float64)
            before = torch.nextafter(face, torch.zeros_like(face))
            sides = []
            for x in (before, face):
                one_by_one = torch.eye(nodes, dtype=torch.float64)
                y = dg.functional.gather(x, one_by_one, grid.spec, max(ORDERS))
                sides.append(y[0])
            gap = (sides[1] - sides[0]).abs().amax(dim=1)
            rows += [
                {"epsilon": epsilon, "rho": rho, "order": m, "jump": float(gap[m])} for m in ORDERS
            ]
    return rows


def saturation() -> list[Row]:
    """The errors of derivatives of the best fit to sin(2 pi x), with the bound.

    Times h^m, relative to the largest |u|: so it is compared with 2 exp(-pi^2/eps^2) (2 pi)^m.
    """
    rows: list[Row] = []
    for epsilon in SATURATING:
        grid = _line(dg.Gaussian(epsilon, WIDEST, normalize=False), CELLS)
        x = torch.linspace(0.0, CELLS, 8 * CELLS + 1, dtype=torch.float64)[:, None]
        rate = 2 * math.pi * WAVES / CELLS
        one_by_one = torch.eye(grid.features.shape[0], dtype=torch.float64)
        tables = dg.functional.gather(x, one_by_one, grid.spec, max(ORDERS))
        fitted = torch.linalg.lstsq(tables[:, 0], torch.sin(rate * x), driver="gelsd").solution
        middle = (x[:, 0] > CELLS / 4) & (x[:, 0] < 3 * CELLS / 4)
        for m in ORDERS:
            exact = rate**m * torch.sin(rate * x + m * math.pi / 2)
            error = float((tables[:, m] @ fitted - exact)[middle].abs().max())
            bound = 2 * math.exp(-(math.pi**2) / epsilon**2) * (2 * math.pi) ** m
            rows.append({"epsilon": epsilon, "order": m, "error": error, "bound": bound})
    return rows


def _line(basis: dg.Gaussian, cells: int) -> dg.FeatureGrid:
    """A grid of spacing 1 on [0, cells]."""
    return dg.FeatureGrid(1, cells, basis=basis, lower=0.0, upper=cells, dtype=torch.float64)


def summary(rows: list[Row]) -> dict[str, Any]:
    """The best pairs for the image, and how close the errors come to the bound."""
    figures: dict[str, Any] = {}
    for method in ("least-squares", "adam"):
        for (epsilon, rho), (psnr, seconds) in _medians(rows, method).items():
            figures.setdefault(method, {})[f"{epsilon:g}, {rho}"] = [psnr, seconds]
    figures["error over bound"] = {
        f"{row['epsilon']:g}, order {row['order']}": row["error"] / row["bound"]
        for row in rows
        if row["part"] == "saturation"
    }
    return figures


def _medians(rows: list[Row], method: str) -> dict[tuple[float, int], tuple[float, float]]:
    """The median PSNR and seconds over the seeds, by (epsilon, rho)."""
    groups: dict[tuple[float, int], list[Row]] = {}
    for row in rows:
        if row["part"] == f"image, {method}":
            groups.setdefault((row["epsilon"], row["rho"]), []).append(row)
    return {
        pair: (median(r["psnr"] for r in group), median(r["seconds"] for r in group))
        for pair, group in groups.items()
    }


def draw(rows: list[Row]) -> Any:
    """Draws maps of the PSNR by both methods, the jumps, and the saturation with its bound."""
    fig = plots.figure(13.0, 9.0)
    axes = fig.subplots(2, 2)
    for target, method in zip(axes[0], ("least-squares", "adam"), strict=True):
        name = {"least-squares": "least squares", "adam": "Adam"}[method]
        _draw_map(target, _medians(rows, method), f"image from its gradient, {name}")
    _draw_jumps(axes[1, 0], [row for row in rows if row["part"] == "jumps"])
    _draw_saturation(axes[1, 1], [row for row in rows if row["part"] == "saturation"])
    fig.suptitle("The Gaussian's width (epsilon, per spacing) and reach (rho, in nodes)")
    return fig


def _draw_map(axes: Any, medians: dict[tuple[float, int], tuple[float, float]], title: str) -> None:
    values = np.array([[medians[e, r][0] for r in REACHES] for e in EPSILONS])
    axes.imshow(values, cmap=plots.FIELD, vmin=15, vmax=35, aspect="auto")
    for i, epsilon in enumerate(EPSILONS):
        for j, rho in enumerate(REACHES):
            psnr, seconds = medians[epsilon, rho]
            text = f"{psnr:.1f} dB\n{seconds:.2g} s"
            colour = "white" if psnr < 26 else "black"
            axes.text(j, i, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(REACHES)), [str(r) for r in REACHES])
    axes.set_yticks(range(len(EPSILONS)), [f"{e:g}" for e in EPSILONS])
    axes.set(xlabel="rho", ylabel="epsilon", title=title)


def _draw_jumps(axes: Any, rows: list[Row]) -> None:
    for index, epsilon in enumerate(EPSILONS):
        for m, style in zip(ORDERS, ("-o", "--s", ":^"), strict=True):
            series = [r for r in rows if r["epsilon"] == epsilon and r["order"] == m]
            x, y = [r["rho"] for r in series], [r["jump"] for r in series]
            label = f"epsilon = {epsilon:g}, derivative {m}"
            axes.semilogy(x, y, style, color=f"C{index}", label=label)
    axes.set_xticks(REACHES)
    axes.set(
        xlabel="rho", ylabel="jump of a weight", title="jumps at cell faces", ylim=(1e-22, 1e3)
    )
    axes.legend(fontsize="x-small", ncols=3, loc="lower left")
    axes.grid(visible=True, alpha=0.25)


def _draw_saturation(axes: Any, rows: list[Row]) -> None:
    for index, m in enumerate(ORDERS):
        series = [r for r in rows if r["order"] == m]
        x = [r["epsilon"] for r in series]
        bound = "2 exp(-π²/ε²) (2π)^m"
        label = f"derivative {m}: error times h^{m}"
        axes.semilogy(x, [r["error"] for r in series], "o", color=f"C{index}", label=label)
        line = [r["bound"] for r in series]
        axes.semilogy(x, line, "-", color=f"C{index}", label=f"{bound}, m = {m}")
    axes.set(xlabel="epsilon", title=f"best fit to a sine, rho = {WIDEST}, not normalised")
    axes.legend(fontsize="small")
    axes.grid(visible=True, alpha=0.25)
