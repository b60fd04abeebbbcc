"""The report of a solve: what it did and why, and how far its answer can be trusted."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.geometry.adaptive import Adaptive
from dinfgrid_cuda.geometry.cell_points import BoundaryPoints, CellPoints
from dinfgrid_cuda.geometry.filled import Filled
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Lattice, Sobol, Stratified, Uniform, mix
from dinfgrid_cuda.problem.given import OnBoundary
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term

# Number of fresh points at which a term's residual is evaluated at the end, and their seed.
FRESH, FRESH_SEED = 8192, 2**31 - 1


@dataclass(frozen=True)
class Findings:
    """What a solver knows of the problem at the end.

    Attributes:
        route, route_reason: of least squares, and why it was taken.
        residuals, unknowns: numbers of rows and columns of the least-squares matrix.
        weights: of the terms, balanced, by name.
        seconds: of each part of the work, by name.
        iterations: number of conjugate gradient iterations; None on the direct route.
        condition: of the (preconditioned) matrix, about, where it is known.
        average, least: the loss divided by the mean square of u, for an average function of the
            grid, and for the function where it is least; None where it is not known.
        unknown: why the error has no known bound; empty where it has one.
        looked: a line on how fine the points lie.
        coupled: names of terms whose residuals depend on u at other points of the term.
        notes: for the user, one line each.
    """

    route: str = ""
    route_reason: str = ""
    residuals: int | None = None
    unknowns: int | None = None
    weights: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    iterations: int | None = None
    condition: float | None = None
    average: float | None = None
    least: float | None = None
    unknown: str = ""
    looked: str = ""
    coupled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a solve did and why, and how far its answer can be trusted.

    Attributes:
        method, reason: the method, and why it was chosen.
        ended: why the solve ended.
        steps, seconds: in total.
        rms: root mean square of each term's residual at the points of the solve, by name; for an
            energy its mean.
        fresh: the same between these points, where a region can be sampled again.
        error: (low, high) of the root mean square error of u, or (None, None). ``low`` takes the
            fresh residual for that of an average function of the grid, ``high`` for that of the
            function that residuals see least, which bounds the error. Both are None where there is
            no ``high``: the average says nothing where a function may be seen much less.
        findings: what the solver knows of the problem.
        rounds: a line on each round of a solve that refined its grid, and why it ended.
    """

    method: str
    reason: str
    ended: str
    steps: int
    seconds: float
    rms: dict[str, float]
    fresh: dict[str, float]
    error: tuple[float | None, float | None]
    findings: Findings
    rounds: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns the report as nested plain data; infinities and NaN become None."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain

    def lines(self) -> list[str]:
        """Returns the report as lines of text for a terminal."""
        f = self.findings
        lines = [*self.rounds, f"method: {self.method}, because {self.reason}"]
        if f.route:
            lines.append(f"route: {f.route}, because {f.route_reason}")
        if f.unknowns is not None:
            shape = f"{f.unknowns:,} unknowns, {f.residuals:,} residuals"
            if f.condition is not None:
                shape += f", condition about {f.condition:.0e}"
            if f.iterations is not None:
                shape += f", {f.iterations} iterations of conjugate gradients"
            lines.append(shape)
        lines.append("residuals (rms): " + ", ".join(self._residuals()))
        if f.seconds:
            times = ", ".join(f"{name} {spent:.2f} s" for name, spent in f.seconds.items())
            lines.append(f"time: {times}")
        if self.rounds:
            pass  # they say it
        elif self.error[1] is not None:
            lines.append(
                "error of u (rms), from the residual between the points: at most about "
                f"{self.error[1]:.0e}"
            )
            if f.looked:
                lines.append(f.looked)
        elif f.unknown:
            lines.append(f"error of u: unknown; {f.unknown}")
        lines += [f"note: {note}" for note in f.notes]
        lines.append(f"ended after {self.steps} steps, {self.seconds:.1f} s: {self.ended}")
        return lines

    def _residuals(self) -> list[str]:
        """Returns a text for each term: its residual, that between the points, its weight."""
        texts = []
        for name, value in self.rms.items():
            text = f"{name} {value:.1e}"
            if name in self.fresh:
                text += f" (between the points {self.fresh[name]:.1e})"
            weight = self.findings.weights.get(name, 1.0)
            texts.append(text if weight == 1.0 else f"{text}, weight {weight:.1e}")
        return texts

    def __str__(self) -> str:
        return "\n".join(self.lines())


def root_mean_squares(problem: Problem, losses: list[float]) -> dict[str, float]:
    """Returns root mean squares by term, or means of energies, from losses [1 + terms]."""
    return {
        term.name: loss if term.is_energy else math.sqrt(max(0.0, loss))
        for term, loss in zip(problem.terms, losses[1:], strict=True)
    }


def fresh_residuals(
    problem: Problem,
    model: nn.Module,
    dtype: torch.dtype,
    device: torch.device,
    left_out: Sequence[str] = (),
    count: int = FRESH,
) -> dict[str, float]:
    """Returns root mean squares of the squared terms at points that the solve has not seen.

    Terms are left out that cannot be evaluated elsewhere: those with a user's sampler or data, and
    those whose residual fails there, because it holds one number for each point of the solve.

    Args:
        left_out: names of terms that mean something else at other points.
        count: number of points of each term.
    """
    rms = {}
    for index, term in enumerate(problem.terms):
        fresh = _fresh(term, problem, index, dtype, device, count)
        if fresh is None or term.name in left_out:
            continue
        with contextlib.suppress(Exception):
            x, normal = fresh
            jet: Any = model.jet(x, term.order)  # type: ignore[operator]
            given = None if normal is None else OnBoundary(normal)
            residual = term.evaluate(x, jet, given).detach()
            rms[term.name] = float(residual.abs().square().mean()) ** 0.5
    return rms


def _fresh(
    term: Term,
    problem: Problem,
    index: int,
    dtype: torch.dtype,
    device: torch.device,
    count: int,
) -> tuple[Tensor, Tensor | None] | None:
    """Returns fresh points [N, dim] of a term's region, and normals; None where it has none."""
    if term.is_energy or term.data is not None:
        return None
    seed = mix(FRESH_SEED, index)
    sampler = getattr(term.region, "sampler", None)
    known = (
        Adaptive,
        BoundaryPoints,
        CellPoints,
        Filled,
        GaussPoints,
        Lattice,
        Sobol,
        Stratified,
        Uniform,
    )
    if sampler is not None and not isinstance(sampler, known):
        return None
    if isinstance(sampler, GaussPoints) and sampler.at is not None:
        return None  # other points would miss the details that these are placed at
    if isinstance(term.region, Interior):
        x = Interior(Stratified()).sample(count, problem.domain, seed, 0, dtype, device)
        return x, None
    if isinstance(term.region, Boundary):
        faces = Boundary(term.region.faces, Uniform())
        return faces.sample_with_normals(count, problem.domain, seed, 0, dtype, device)
    return None


def estimated_error(
    problem: Problem, fresh: dict[str, float], findings: Findings, converged: bool = True
) -> tuple[float | None, float | None]:
    """Returns (low, high) of the root mean square error of u, see `Report`."""
    known = all(term.name in fresh for term in problem.terms)
    least, average = findings.least, findings.average
    if not known or not converged or average is None or not average > 0:
        return None, None
    if least is None or not least > 0:
        return None, None
    loss = sum(findings.weights.get(name, 1.0) * rms**2 for name, rms in fresh.items())
    return math.sqrt(loss / average), math.sqrt(loss / least)


def _finite(value: Any) -> Any:
    """Returns nested data with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
