"""What a least-squares solve should tell its user: what cannot go well, and what did not."""

from __future__ import annotations

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.linear.cholesky import SHIFTS
from dinfgrid_cuda.solvers.linear.matrix_free import MatrixFreeSystem
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import Route, System
from dinfgrid_cuda.warn import warn_user

from .basis_check import shortcomings
from .identified import undetermined_names
from .report import Findings, fresh_residuals
from .stability import Stability, stability

MEANS = (
    "residuals couple the points of their term; a plain mean over a lattice from face to face is "
    "off an integral by O(h). Interior(GaussPoints(...)) and its weights give one."
)


def warn(note: str) -> None:
    """A note as a warning too."""
    warn_user(f"solve: {note}")


def beforehand(system: System, normal: NormalOperator, field: Field, route: Route) -> list[str]:
    """Notes on a system that has just been formed; the worst are warnings too."""
    spec, notes = field.grid.spec, []
    if system.rows < system.seen:
        notes.append(
            f"{system.rows:,} residuals do not determine the {system.seen:,} features they see; "
            "take more points, or fewer cells."
        )
    alphas = {alpha for part in normal.parts for alpha in part.alphas}
    notes += shortcomings(spec.basis, alphas)
    for note in notes:
        warn(note)
    if any(part.mixed for part in normal.parts):
        notes.append(MEANS)
    given, wanted = field.grid.out_channels, field.out_channels
    if isinstance(field.decoder, LinearDecoder) and given < wanted:
        notes.append(
            f"the {wanted} outputs are multiples of {given} features (levels times channels); take "
            "a grid of more channels."
        )
    if spec.levels > 1 and route.name == "direct":
        notes.append(
            f"{spec.levels} levels overlap: coarse functions lie in (B-splines) or near the span "
            f"of fine ones; a shift of {SHIFTS[0]:g} of the diagonal, removed again by refinement, "
            "makes the matrix definite. One level is as accurate and faster."
        )
    return notes


def examined(
    known: Findings, system: System, normal: NormalOperator, objective: Objective, settled: bool
) -> Findings:
    """Findings with what the last system tells; a few solves more with its factor.

    Args:
        settled: whether the problem is linear, or linearised where it is solved.
    """
    found = stability(objective, normal, system) if settled else None
    names = undetermined_names(objective, normal, system, _loss_left(objective))
    notes = [*known.notes, *_undetermined(found), *_unidentified(names)]
    bounded = found is not None and found.bounded and not normal.parameters
    return Findings(
        route=known.route,
        route_reason=known.route_reason,
        residuals=system.rows,
        unknowns=normal.features + normal.parameters,
        weights=known.weights,
        seconds=known.seconds,
        iterations=system.iterations if isinstance(system, MatrixFreeSystem) else None,
        condition=system.condition,
        average=None if found is None else found.average,
        least=found.least if found is not None and bounded else None,
        unknown=_why_unknown(found, normal, settled),
        coupled=tuple(
            term.name
            for term, parts in zip(objective.problem.terms, normal.terms, strict=True)
            if any(part.mixed for part in parts)
        ),
        notes=tuple(notes),
    )


def _undetermined(found: Stability | None) -> list[str]:
    notes = []
    if found is not None and not found.determined:
        less = found.smooth / max(found.least, 1e-300)
        if found.flat:
            what = (
                "up to a constant: no term fixes values (pure Neumann conditions). Add a term for "
                "the mean or for one point; here the solve has chosen it"
            )
        else:
            faces = " and ".join(str(face) for face in found.faces)
            what = (
                f"by these terms: they see some functions {less:.0e} times less than others, as "
                "little as the error of this grid. Is a boundary or initial condition missing"
                f"{f', on the face {faces}, where these are large' if faces else ''}? Here the "
                "solve has chosen one of many solutions"
            )
        notes.append(f"u is not determined {what}.")
        warn(notes[-1])
    return notes


def _unidentified(names: list[list[str]]) -> list[str]:
    """Notes on numbers that nothing determines."""
    notes = []
    for group in names:
        listed = " and ".join(group)
        if len(group) > 1:
            text = (
                f"the parameters {listed} are not determined one by one: a change of one is made "
                "up for by the others and u. Fix one of them, or add data that tell them apart."
            )
        else:
            text = (
                f"the parameter {listed} is not determined: u makes up for any change of it, as "
                "far as the residuals tell. Add measured values of u."
            )
        notes.append(text)
        warn(text)
    return notes


def _loss_left(objective: Objective) -> float:
    """The loss, between the points where terms can be looked at there."""
    if not objective.problem.parameters:
        return 0.0
    sample = next(objective.field.parameters())
    problem, names = objective.problem, objective.problem.names
    fresh = fresh_residuals(problem, objective.field, sample.dtype, sample.device)
    here = objective.evaluate(0)[1:].tolist()
    losses = zip(objective.weights, names, here, strict=True)
    return float(sum(w * max(one, fresh.get(name, 0.0) ** 2) for w, name, one in losses))


def _why_unknown(found: Stability | None, normal: NormalOperator, settled: bool) -> str:
    """Why no bound of the error can be given; empty if one can."""
    if normal.parameters:
        return "unknown parameters share in it"
    if not settled:
        return "the solve has not converged"
    if found is None:
        return "what the residuals see least of u was not searched for"
    if not found.determined:
        less = found.smooth / max(found.least, 1e-300)
        return (
            f"functions exist that these terms see {less:.0e} times less: is a condition missing?"
        )
    return ""
