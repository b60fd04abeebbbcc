"""The problems of the suite, one table row each: ours, the paper's setup, and SIREN in equal time.

    python -m bench.suite [--seconds 100] [--only NAME ...] [--out runs/suite]

Every run writes its pictures and metrics.json below --out; the table goes to --out/table.md. Runs
with the paper's setup and with SIREN stop after --seconds, so that a setup of many steps is cut
short; the table says how far it came. Figures are true errors against the exact reference.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dinfgrid_cuda import SolveError
from dinfgrid_cuda.solvers.record.checkpoint import write_atomically
from dinfgrid_cuda.suite.run.results import make_case
from dinfgrid_cuda.suite.run.run import Request, run
from dinfgrid_cuda.suite.tools.case import CaseError


@dataclass(frozen=True)
class Row:
    """A row of the table: a problem and its figure.

    Attributes:
        label: first column.
        problem, options: of the case.
        metric: the figure shown, by its name in metrics.json.
        paper: what the paper reports, or another publication, which is then named; or a dash.
    """

    label: str
    problem: str
    metric: str
    paper: str = "-"
    options: dict[str, Any] = field(default_factory=dict)


ROWS = [
    Row(
        "image from its gradient, PSNR",
        "poisson-image",
        "psnr_rescaled",
        "32.24 dB, 25 s on an H100/A100",
    ),
    Row(
        "image from its Laplacian, PSNR",
        "poisson-image",
        "psnr_rescaled",
        "12.19 dB, 15 min",
        options={"supervise": "laplacian"},
    ),
    Row("Helmholtz, k = 20: relative L2", "helmholtz", "relative_l2", "- (6 min)"),
    Row("signed distance of a sphere: mean error", "eikonal", "mean_error"),
    Row("clamped plate, energy: relative L2", "plate", "relative_l2"),
    Row(
        "simple plate, 4th derivatives: relative L2",
        "plate",
        "relative_l2",
        options={"form": "strong", "support": "simple", "load": "sine"},
    ),
    Row("hung cloth: energy (lower is better)", "cloth", "energy"),
    Row("heat: relative L2", "heat", "relative_l2"),
    Row("advection, 1-D: mean error", "advection", "mean_error", "0.0023, 1.5 min"),
    Row("advection, 2-D: mean error", "advection", "mean_error", options={"dim": 2}),
    Row("slotted disk: mean error", "zalesak", "mean_error_end"),
    Row(
        "Van der Pol, mu = 2: largest error",
        "ode",
        "max_error",
        options={"equation": "van-der-pol", "mu": 2.0},
    ),
    Row("box, a = (4, 1): relative L2", "helmholtz-box", "relative_l2", "4.1e-5 (PIG)"),
    Row("wave: relative L2", "wave", "relative_l2", "9.8e-2 (PINNacle), 1.3e-6 (FastLSQ)"),
    # Values that enter instead of a ring, which a network does not close to.
    Row(
        "convection, c = 30: relative L2",
        "convection",
        "relative_l2",
        "8.5e-4 (PirateNet), 8.5e-5 (Hermite-NGP)",
        options={"ends": "inflow"},
    ),
    Row("Klein-Gordon: relative L2", "klein-gordon", "relative_l2", "2.8e-3 (PIG)"),
    Row("Burgers: relative L2", "burgers", "relative_l2", "1.3e-2 (PINNacle)"),
    Row("Allen-Cahn: relative L2", "allen-cahn", "relative_l2", "2.2e-5 (PirateNet)"),
    Row("flow mixing: relative L2", "flow-mixing", "relative_l2", "1.5e-4 (Hermite-NGP)"),
    Row("star, Poisson: relative L2", "poisson-shape", "relative_l2"),
    Row("gear, pure flux: relative L2", "neumann-shape", "relative_l2"),
    Row("square with four holes, heat: relative L2", "heat-shape", "relative_l2"),
    Row("mesh of triangles, harmonic: relative L2", "poisson-mesh", "relative_l2"),
    Row("wave on a disk, ka = 10: relative L2", "scattering", "relative_l2"),
    Row("small hole, Laplace: relative L2", "corner", "relative_l2", options={"case": "hole"}),
]
RUNS = ("paper", "default", "siren")


def solve(row: Row, kind: str, seconds: float, out: Path) -> dict[str, Any]:
    """Runs one cell of the table; the content of its metrics.json, or why there is none."""
    name = "-".join([row.problem, *(str(v) for v in row.options.values()), kind])
    request = Request(
        make_case(row.problem, row.options),
        config="paper" if kind == "paper" else "default",
        model="siren" if kind == "siren" else "grid",
        max_seconds=None if kind == "default" else seconds,
        out=out / name,
    )
    try:
        return run(request)
    except (CaseError, SolveError) as error:
        return {"error": str(error)}


def cell(report: dict[str, Any], metric: str) -> str:
    """The figure, steps and seconds of a report as text."""
    if "error" in report:
        return "failed"
    measure = report["metrics"][metric]
    unit = "" if measure["unit"] == "1" else f" {measure['unit']}"
    value = "infinite" if measure["value"] is None else f"{measure['value']:.3g}{unit}"
    steps, planned = report["steps"], report["setup"]["steps"]
    cut = f"{steps:,} of {planned:,} steps, " if report["reason"].startswith("used") else ""
    if report["model"] == "siren":
        cut = f"{steps:,} steps, "
    return f"{value} ({cut}{report['seconds']['solve']:.3g} s)"


def table(rows: list[Row], reports: dict[str, dict[str, Any]]) -> str:
    """The table as markdown."""
    lines = [
        "| problem | `--config paper` | default | SIREN, as long | published |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [cell(reports[f"{row.label}, {kind}"], row.metric) for kind in RUNS]
        lines.append(f"| {' | '.join([row.label, *cells, row.paper])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs the rows and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=100.0, help="time limit of the paper's setup and of SIREN"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run only these problems")
    parser.add_argument("--out", type=Path, default=Path("runs/suite"), help="folder")
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.only or row.problem in options.only]
    if not rows:
        parser.error(f"--only {options.only}: there are {sorted({row.problem for row in ROWS})}")
    reports = earlier(options.out)
    for row in rows:
        for kind in RUNS:
            report = solve(row, kind, options.seconds, options.out)
            reports[f"{row.label}, {kind}"] = report
            print(f"{row.label}, {kind}: {cell(report, row.metric)}", flush=True)
            text = table([row for row in ROWS if f"{row.label}, {RUNS[-1]}" in reports], reports)
            write_atomically(options.out / "table.json", json.dumps(reports, indent=2).encode())
            write_atomically(options.out / "table.md", text.encode())
    print(f"\n{text}")


def earlier(out: Path) -> dict[str, dict[str, Any]]:
    """The runs of another call with the same folder: rows not asked for now stay in the table."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        reports: dict[str, dict[str, Any]] = json.loads((out / "table.json").read_text())
    except (OSError, ValueError):
        return {}
    return reports


if __name__ == "__main__":
    main()
