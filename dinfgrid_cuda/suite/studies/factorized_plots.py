"""The picture of the study of products."""

from __future__ import annotations

from typing import Any

from dinfgrid_cuda.suite.tools import plots

from .record import Row

COLOURS = {"full": "C0", "axes": "C1", "planes": "C2", "pairs": "C3", "siren": "C4"}
NAMES = {
    "full": "full grid",
    "axes": "products of lines",
    "planes": "plane times lines",
    "pairs": "plane times plane",
    "siren": "SIREN 64 x 3",
}
TITLES = {
    "sines": "one product: Π sin(πx_i)",
    "oblique": "eight products: cos(k·x)",
    "hump": "no finite number: 1/(1 + 4|x - 0.3|²)",
}
RACES = {5: "5-D: Σ sin(πx_i/2)", 4: "4-D: cos(k·x)"}


def draw(rows: list[Row], targets: tuple[str, ...]) -> Any:
    """Draws errors in four dimensions above; two races and the numbers of parameters below."""
    fig = plots.figure(14.5, 9.0)
    axes = fig.subplots(2, 3)
    for place, target in zip(axes[0], targets, strict=True):
        _errors(place, [row for row in rows if row.get("target") == target and "error" in row])
        place.set_title(f"4-D, {TITLES[target]}", fontsize="medium")
    axes[0, 0].set_ylabel("relative L2 error")
    axes[0, 0].legend(fontsize="small")
    for place, dim in zip(axes[1], RACES, strict=False):
        _race(place, [row for row in rows if row.get("race") == dim])
        place.set_title(f"{RACES[dim]}, on the way", fontsize="medium")
    _parameters(axes[1, 2], [row for row in rows if row["part"] == "parameters"])
    fig.suptitle("Poisson's equation: products of planes and lines in place of a full grid")
    return fig


def _errors(axes: Any, rows: list[Row]) -> None:
    for kind, colour in COLOURS.items():
        series = [row for row in rows if row["kind"] == kind]
        if series:
            x, y = [r["parameters"] for r in series], [r["error"] for r in series]
            axes.loglog(x, y, "o-", color=colour, label=NAMES[kind])
    axes.set(xlabel="parameters")
    axes.grid(visible=True, alpha=0.25)


def _race(axes: Any, rows: list[Row]) -> None:
    styles = {"joint": "s-", "alternating": "o-", "Adam": "-"}
    keys = dict.fromkeys((r["method"], r["kind"], r["seed"]) for r in rows)
    colours = {"joint": "C2", "alternating": "C5"}
    for method, kind, seed in keys:
        series = [r for r in rows if (r["method"], r["kind"], r["seed"]) == (method, kind, seed)]
        count = series[0]["parameters"]
        name = f"least squares, {method}" if method != "Adam" else f"Adam, {NAMES[kind]}"
        label = f"{name} ({count:,})" if seed == 0 else None
        colour = colours.get(method, "C1" if kind == "planes" else "C4")
        x, y = [r["seconds"] for r in series], [r["error"] for r in series]
        axes.loglog(x, y, styles[method], color=colour, ms=4, linewidth=1.2, label=label)
    axes.set(xlabel="seconds", ylabel="relative L2 error")
    axes.legend(fontsize="x-small", title="method (parameters)", title_fontsize="x-small")
    axes.grid(visible=True, alpha=0.25)


def _parameters(axes: Any, rows: list[Row]) -> None:
    for kind, colour in COLOURS.items():
        series = [row for row in rows if row["kind"] == kind]
        if series:
            x, y = [r["dim"] for r in series], [r["parameters"] for r in series]
            axes.semilogy(x, y, "o-", color=colour, label=NAMES[kind])
    axes.set(xlabel="dimensions", title="parameters at 6 cells per axis, one channel")
    axes.title.set_fontsize("medium")
    axes.legend(fontsize="small")
    axes.grid(visible=True, alpha=0.25)
