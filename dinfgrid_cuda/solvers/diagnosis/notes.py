"""Notes of a least-squares solve: what makes a problem hard to solve, and what went wrong."""

from __future__ import annotations

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.linear.cholesky import SHIFTS
from dinfgrid_cuda.solvers.linear.matrix_free import MatrixFreeSystem
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import Route
from dinfgrid_cuda.solvers.linear.system import System
from dinfgrid_cuda.solvers.linear.unknowns import linear_field
from dinfgrid_cuda.warn import warn_user

from .basis_check import shortcomings
from .identified import undetermined_names
from .report import Findings, fresh_residuals
from .shape_notes import notes_on_shape
from .stability import Stability, stability

MEANS = (
    "residuals couple the points of their term; a plain mean over a lattice from face to face "
    "differs from an integral by O(h). Interior(GaussPoints(...)) and its weights give one."
)


def warn(note: str) -> None:
    """Warns the user of a note."""
    warn_user(f"solve: {note}")


def beforehand(
    system: System, normal: NormalOperator, objective: Objective, route: Route
) -> list[str]:
    """Returns notes on a system that has just been formed, and warns of the most serious ones."""
    field = linear_field(objective)
    spec = field.grid.spec
    notes, others = notes_on_shape(objective)
    if system.row_count < system.seen_count:
        notes.append(
            f"{system.row_count:,} residuals do not determine the {system.seen_count:,} features "
            "they depend on; take more points, or fewer cells."
        )
    alphas = {alpha for operator in normal.operators for alpha in operator.alphas}
    notes += shortcomings(spec.basis, alphas)
    for note in notes:
        warn(note)
    notes += others
    if any(operator.mixed for operator in normal.operators):
        notes.append(MEANS)
    inputs, outputs = field.grid.out_channels, field.out_channels
    if isinstance(field.decoder, LinearDecoder) and inputs < outputs:
        notes.append(
            f"the {outputs} outputs are multiples of {inputs} features (levels times channels); "
            "take a grid of more channels."
        )
    if spec.global_levels > 1 and route.name == "direct":
        notes.append(
            f"{spec.global_levels} levels overlap: coarse functions lie in (B-splines) or near the "
            f"span of fine ones; a shift of {SHIFTS[0]:g} of the diagonal, removed again by "
            "refinement, makes the matrix definite. One level is as accurate and faster."
        )
    return notes


def examined(
    known: Findings, system: System, normal: NormalOperator, objective: Objective, settled: bool
) -> Findings:
    """Returns findings extended by those on the last system, which take a few solves.

    Args:
        known: what is known without the system.
        settled: whether the problem is linear, or linearised at its solution.
    """
    stable = stability(objective, normal, system) if settled else None
    names = undetermined_names(objective, normal, system, _loss_left(objective))
    notes = [*known.notes, *_undetermined(stable), *_unidentified(names)]
    bounded = stable is not None and stable.bounded and not normal.parameter_count
    return Findings(
        route=known.route,
        route_reason=known.route_reason,
        residuals=system.row_count,
        unknowns=normal.unknown_count,
        weights=known.weights,
        seconds=known.seconds,
        iterations=system.iteration_count if isinstance(system, MatrixFreeSystem) else None,
        condition=system.condition,
        average=None if stable is None else stable.average,
        least=stable.least if stable is not None and bounded else None,
        unknown=_why_unknown(stable, normal, settled),
        coupled=tuple(
            term.name
            for term, operators in zip(
                objective.problem.terms, normal.operators_of_terms, strict=True
            )
            if any(operator.mixed for operator in operators)
        ),
        notes=tuple(notes),
    )


def _undetermined(stable: Stability | None) -> list[str]:
    """Returns a note, and warns, if the residuals do not determine u."""
    notes = []
    if stable is not None and not stable.determined:
        less = stable.smooth / max(stable.least, 1e-300)
        if stable.flat:
            what = (
                "up to a constant: no term fixes values (pure Neumann conditions). Add a term for "
                "the mean or for one point; here the solve has chosen it"
            )
        else:
            faces = " and ".join(
                repr(face) if isinstance(face, str) else str(face) for face in stable.faces
            )
            where = "piece" if any(isinstance(face, str) for face in stable.faces) else "face"
            where += "s" * (len(stable.faces) > 1)
            what = (
                f"by these terms: they see some functions {less:.0e} times less than others, no "
                "more than the error of this grid. Is a boundary or initial condition missing"
                f"{f', on the {where} {faces}, where these are large' if faces else ''}? Here the "
                "solve has chosen one of many solutions"
            )
        notes.append(f"u is not determined {what}.")
        warn(notes[-1])
    return notes


def _unidentified(names: list[list[str]]) -> list[str]:
    """Returns notes, and warns, of parameters that are not determined."""
    notes = []
    for group in names:
        listed = " and ".join(group)
        if len(group) > 1:
            text = (
                f"the parameters {listed} are not determined one by one: the others and u "
                "compensate for a change of one. Fix one, or add data that distinguish them."
            )
        else:
            text = (
                f"the parameter {listed} is not determined: u compensates for any change of it, as "
                "far as the residuals can tell. Add measured values of u."
            )
        notes.append(text)
        warn(text)
    return notes


def _loss_left(objective: Objective) -> float:
    """Returns the loss, by fresh residuals between the points where these are larger."""
    if not objective.problem.parameters:
        return 0.0
    sample = next(objective.field.parameters())
    problem, names = objective.problem, objective.problem.names
    fresh = fresh_residuals(problem, objective.field, sample.dtype, sample.device)
    here = objective.evaluate(0)[1:].tolist()
    losses = zip(objective.weights, names, here, strict=True)
    return float(sum(w * max(loss, fresh.get(name, 0.0) ** 2) for w, name, loss in losses))


def _why_unknown(stable: Stability | None, normal: NormalOperator, settled: bool) -> str:
    """Says why the error has no known bound; empty if it has one."""
    if normal.parameter_count:
        return "errors of the unknown parameters are part of it"
    if not settled:
        return "the solve has not converged"
    if stable is None:
        return "the function that the residuals see least was not searched for"
    if not stable.determined:
        less = stable.smooth / max(stable.least, 1e-300)
        return f"these terms see some functions {less:.0e} times less: is a condition missing?"
    return ""
