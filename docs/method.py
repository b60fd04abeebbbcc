"""Draws docs/method.png, the picture of the method in the README: python docs/method.py

All that it shows is computed, for Δu = f with u = 0 on the sides of a square, on 6 x 6 cells.
The card is white, so that the picture reads on a dark page as well.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import dinfgrid_cuda as dg

INK, SOFT, ACCENT = "#1b2733", "#66727f", "#c2410c"
CELLS, PIXELS = 6, 160


def load(x):
    """The right-hand side f, [N, 1]: a source and a sink."""
    source = torch.exp(-8 * ((x - torch.tensor([-0.4, 0.3])) ** 2).sum(dim=1, keepdim=True))
    sink = torch.exp(-8 * ((x - torch.tensor([0.4, -0.3])) ** 2).sum(dim=1, keepdim=True))
    return 40 * (sink - source)


def solved_field() -> dg.Field:
    """The solution on a coarse grid."""
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian - load(x), order=2),
        dg.Term("sides", dg.Boundary(), lambda x, u: u.value),
    ]
    field = dg.Field(dg.FeatureGrid(dim=2, cells=CELLS, basis=dg.BSpline(5)), dg.IdentityDecoder(1))
    dg.solve(dg.Problem(dg.Box([-1, -1], [1, 1]), terms), field, progress=False)
    return field


def panel(figure: Figure, left: float, title: str, words: str, square: bool = True) -> Axes:
    """Axes without ticks, a title above and words below."""
    axes = figure.add_axes((left, 0.38, 0.135, 0.42))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=13, fontweight="bold", color=INK, pad=9)
    axes.set_xlabel(words, fontsize=9.5, color=SOFT, labelpad=9, linespacing=1.35)
    if square:
        axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_color(SOFT)
    return axes


def draw_grid(axes: Axes, field: dg.Field) -> None:
    """The nodes of the grid, those outside the box as well, coloured by their features."""
    features = field.grid.features.detach().reshape(CELLS + 5, CELLS + 5)
    at = np.arange(-2, CELLS + 3) / CELLS * 2 - 1
    down, along = np.meshgrid(at, at, indexing="ij")
    for line in at[2:-2]:
        axes.plot([line, line], [-1, 1], color=SOFT, lw=0.6, zorder=1)
        axes.plot([-1, 1], [line, line], color=SOFT, lw=0.6, zorder=1)
    top = features[2:-2, 2:-2].abs().max()
    axes.scatter(
        down, along, c=features, cmap="RdBu_r", vmin=-top, vmax=top, s=22, lw=0.4, ec=INK, zorder=2
    )
    axes.set_xlim(-1.9, 1.9)
    axes.set_ylim(-1.9, 1.9)


def draw_basis(axes: Axes) -> None:
    """The functions of a one-dimensional grid, one of them with its derivatives."""
    grid = dg.FeatureGrid(dim=1, cells=8, lower=0, upper=8, basis=dg.BSpline(5))
    field = dg.Field(grid, dg.IdentityDecoder(1))
    x = torch.linspace(0, 8, 400)[:, None]
    for node in range(2, grid.features.shape[0] - 2):
        with torch.no_grad():
            grid.features.zero_()[node] = 1
            jet = field.jet(x, 2)
        middle = node == grid.features.shape[0] // 2
        axes.plot(x, jet.value[:, 0], color=ACCENT if middle else "#b8c1ca", lw=2 if middle else 1)
        if middle:
            axes.plot(x, jet.gradient[:, 0, 0] - 0.9, color="#2563a6", lw=1.5)
            axes.plot(x, jet.laplacian[:, 0] - 2.1, color="#15803d", lw=1.5)
    for height, name in ((0.55, "w"), (-0.68, "w′"), (-1.85, "w″")):
        axes.text(0.25, height, name, color=INK, fontsize=10, style="italic")
    axes.set_ylim(-3.45, 1.0)


def draw_jet(axes: Axes, parts: list[tuple[str, np.ndarray]]) -> None:
    """Value, slope and Laplacian, one behind the other."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    for place, (name, image) in enumerate(parts):
        corner = 0.38 * place
        box = (corner, corner + 1, 0.76 - corner, 1.76 - corner)
        top = np.abs(image).max()
        axes.imshow(
            image, extent=box, cmap="RdBu_r", vmin=-top, vmax=top, origin="lower", zorder=place
        )
        axes.plot(
            [box[0], box[1], box[1], box[0], box[0]],
            [box[2], box[2], box[3], box[3], box[2]],
            color=INK, lw=0.8, zorder=place,
        )  # fmt: skip
        axes.text(box[0] + 0.06, box[3] - 0.2, name, color=INK, fontsize=9.5, zorder=place)
    axes.set_xlim(-0.02, 1.78)
    axes.set_ylim(-0.02, 1.78)


def arrow(figure: Figure, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow between two points of the figure."""
    look = {"arrowstyle": "-|>", "mutation_scale": 15, "lw": 1.6, "color": ACCENT, "shrinkA": 0}
    figure.patches.append(FancyArrowPatch(start, end, transform=figure.transFigure, **look))


def main() -> None:
    """Solves, draws and writes the picture."""
    torch.set_default_dtype(torch.float64)
    field = solved_field()
    box = dg.Box([-1, -1], [1, 1])
    x = dg.Lattice((PIXELS, PIXELS), ends=True)(0, box)
    with torch.no_grad():
        jet = field.jet(x, 2)

    def image(values: torch.Tensor) -> np.ndarray:
        return values.reshape(PIXELS, PIXELS).T.numpy()

    figure = plt.figure(figsize=(11, 3.3))
    card = FancyBboxPatch(
        (0.008, 0.02), 0.984, 0.96, boxstyle="round,pad=0,rounding_size=0.02",
        mutation_aspect=3, fc="white", ec="#d5dbe1", lw=1, zorder=-1, transform=figure.transFigure,
    )  # fmt: skip
    figure.patches.append(card)
    lefts = [0.035 + 0.196 * place for place in range(5)]
    draw_grid(panel(figure, lefts[0], "grid", "features at nodes,\nthe unknowns"), field)
    words = "smooth functions of the\nnodes, with derivatives"
    draw_basis(panel(figure, lefts[1], "basis", words, square=False))
    parts = [("Δu", jet.laplacian), ("u$_x$", jet.gradient[:, 0, 0]), ("u", jet.value)]
    words = "u and all derivatives,\nin one pass"
    draw_jet(
        panel(figure, lefts[2], "jet", words), [(name, image(values)) for name, values in parts]
    )
    axes = panel(figure, lefts[3], "residual", "the equation at points,\nΔu - f, to be zero")
    residual = image(jet.laplacian - load(x))
    top = np.abs(residual).max()
    axes.imshow(residual, cmap="PuOr", vmin=-top, vmax=top, extent=(-1, 1, -1, 1), origin="lower")
    points = dg.Lattice((2 * CELLS + 1,) * 2, ends=True)(0, box)
    axes.scatter(points[:, 0], points[:, 1], s=4, color=INK, lw=0, clip_on=False)
    axes = panel(figure, lefts[4], "solution", "u, with a bound\nof its error")
    top = float(jet.value.abs().max())
    value = image(jet.value)
    axes.imshow(value, cmap="RdBu_r", vmin=-top, vmax=top, extent=(-1, 1, -1, 1), origin="lower")
    axes.contour(
        value, np.linspace(-0.9, 0.9, 10) * top, colors=INK, linewidths=0.5, extent=(-1, 1, -1, 1)
    )
    for place in range(4):
        arrow(figure, (lefts[place] + 0.139, 0.59), (lefts[place + 1] - 0.004, 0.59))
    down, up, low, high = lefts[3] + 0.068, lefts[0] + 0.068, 0.09, 0.17
    look = {"color": ACCENT, "lw": 1.6, "transform": figure.transFigure}
    figure.lines.append(Line2D([down, down, up], [high, low, low], **look))
    arrow(figure, (up, low), (up, high))
    text = "solve: least squares, Newton's method or training changes the features"
    figure.text((down + up) / 2, low + 0.022, text, ha="center", color=ACCENT, fontsize=10)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=130, transparent=True)


if __name__ == "__main__":
    main()
