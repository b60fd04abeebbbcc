"""The picture of the study of interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from dinfgrid_cuda.suite.tools import plots

from .record import Row

MARKERS = "osD^vP"
# Zeros are drawn at the foot of a logarithmic axis.
FOOT = 1e-5


def draw(rows: list[Row], bases: list[str], losses: list[str]) -> Any:
    """Draws derivatives and gradients above, Adam in the middle, least squares below."""
    fig = plots.figure(15.0, 11.5)
    places = fig.subplot_mosaic(
        [
            ["derivatives", "derivatives", "gradients", "gradients"],
            [f"Adam {loss}" for loss in losses],
            [f"solved {loss}" for loss in losses],
        ]
    )
    bars(places["derivatives"], rows, bases, "derivative", "rms")
    places["derivatives"].set(
        title="derivatives of u inside cells, random features",
        ylabel="rms, times spacing^order",
    )
    bars(places["gradients"], rows, bases, "loss", "gradient")
    places["gradients"].set(
        title="gradients of losses by the features", ylabel="rms of the gradient"
    )
    handles = places["derivatives"].get_legend_handles_labels()
    fig.legend(*handles, ncols=len(bases), loc="outside lower center")
    for loss in losses:
        trained(places[f"Adam {loss}"], rows, bases, loss)
        solved(places[f"solved {loss}"], rows, bases, loss)
    places[f"Adam {losses[0]}"].set_ylabel("Adam: relative L2 error of u")
    places[f"solved {losses[0]}"].set_ylabel("least squares: relative L2 error of u")
    fig.suptitle("What a loss sees of u: linear interpolation, B-splines, Gaussians")
    return fig


def bars(axes: Any, rows: list[Row], bases: list[str], group: str, value: str) -> None:
    """Draws a group of bars for each derivative or loss, a colour for each basis."""
    series = [row for row in rows if value in row]
    groups = list(dict.fromkeys(row[group] for row in series))
    for index, basis in enumerate(bases):
        known = {row[group]: row[value] for row in series if row["basis"] == basis}
        x = np.arange(len(groups)) + (index - (len(bases) - 1) / 2) * 0.13
        sizes = [known[name] for name in groups]
        axes.bar(x, [max(size, FOOT) for size in sizes], 0.13, color=f"C{index}", label=basis)
        for at, size in zip(x, sizes, strict=True):
            if size < FOOT:
                axes.text(at, FOOT, "0", color=f"C{index}", ha="center", va="bottom")
    axes.set_xticks(range(len(groups)), groups)
    axes.set(yscale="log", ylim=(FOOT, None))
    axes.grid(visible=True, axis="y", alpha=0.25)


def trained(axes: Any, rows: list[Row], bases: list[str], loss: str) -> None:
    """Draws errors over seconds, a line for each seed."""
    for index, basis in enumerate(bases):
        series = [
            r
            for r in rows
            if r.get("method") == "Adam" and r["loss"] == loss and r["basis"] == basis
        ]
        for seed in dict.fromkeys(row["seed"] for row in series):
            x = [row["seconds"] for row in series if row["seed"] == seed]
            y = [row["error"] for row in series if row["seed"] == seed]
            axes.loglog(x, y, color=f"C{index}", linewidth=1.1)
    axes.minorticks_off()
    axes.set(title=f"u from its {loss}", xlabel="seconds")
    axes.grid(visible=True, alpha=0.25)


def solved(axes: Any, rows: list[Row], bases: list[str], loss: str) -> None:
    """Draws errors against cells; bases that are refused are named."""
    refused = []
    ticks: list[int] = []
    for index, basis in enumerate(bases):
        series = [
            r
            for r in rows
            if r.get("method") == "least squares" and r["loss"] == loss and r["basis"] == basis
        ]
        known = [(r["cells"], r["error"]) for r in series if "error" in r]
        ticks = [r["cells"] for r in series]
        if known:
            x, y = zip(*known, strict=True)
            axes.loglog(x, y, f"{MARKERS[index]}-", color=f"C{index}", ms=4, linewidth=1.2)
        else:
            refused.append(basis)
    axes.set_xticks(ticks, [str(count) for count in ticks])
    axes.minorticks_off()
    axes.set(xlabel="cells per axis")
    if refused:
        axes.set_title("refused: " + ", ".join(refused), fontsize="small")
    axes.grid(visible=True, alpha=0.25)
