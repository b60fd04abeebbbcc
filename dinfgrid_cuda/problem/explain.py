"""Where and why a residual is not finite, in words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.model import jet_of
from dinfgrid_cuda.geometry.box import Box, bounding_box
from dinfgrid_cuda.geometry.regions import Interior

from .given import Numbers, lacking
from .problem import Problem
from .term import Term

# Points that are named.
NAMED = 3
# Values of u at which the residual is tried where it fails at the field's own.
TRIED = (1.0, 100.0, 1e4)
# Of an axis' length: as near as this to a face counts as on it.
ON_FACE = 1e-6


@torch.no_grad()
def nonfinite(
    problem: Problem, term: Term, field: nn.Module, x: Tensor, data: Numbers | None
) -> str:
    """Says at how many of the points x [N, dim] a residual is not finite, where, and what to do.

    The empty string where it is finite, or cannot be evaluated.
    """
    u: Any = jet_of(field)(x, term.order)
    bad = _bad(term, x, u, data)
    if bad is None or not bool(bad.any()):
        return ""
    count, first = int(bad.sum()), x[bad][:NAMED].tolist()
    places = ", ".join("(" + ", ".join(f"{c:.4g}" for c in point) + ")" for point in first)
    message = f"Its residual is NaN or infinite at {count} of {len(x)} points, " + (
        f"x = {places}." if count <= NAMED else f"first at x = {places}."
    )
    if isinstance(u, Jet) and not bool(torch.isfinite(u.components).all()):
        return f"{message} So is u itself; use a smaller learning rate."
    if isinstance(u, Jet) and _depends_on_size(term, x, u, data, bad):
        low, high = float(u.value[bad].min()), float(u.value[bad].max())
        return (
            f"{message} There u lies between {low:.3g} and {high:.3g}, and at other values the "
            "residual is finite: start elsewhere, e.g. solve(..., guess=1.0), or write the "
            "residual without the division, root or logarithm of u."
        )
    if bool((lacking(data, len(x)).to(bad.device) & bad).any()):
        return f"{message} Its data are NaN or infinite there; leave these points out."
    if isinstance(term.region, Interior) and _on_faces(x[bad], bounding_box(problem.domain)):
        return (
            f"{message} They lie on the faces of the box, where the default lattice has points; "
            "Interior(Lattice(shape, ends=False)) keeps off them."
        )
    return (
        f"{message} Check what the residual divides by, or takes the root or logarithm of, there."
    )


def _bad(term: Term, x: Tensor, u: Any, data: Numbers | None) -> Tensor | None:
    """Which points [N] have a residual that is not finite; None without one of a fit shape."""
    try:
        residual = term.residual_at(x, u, data)
    except Exception:  # the user's function
        return None
    if not isinstance(residual, Tensor) or not residual.dim() or len(residual) != len(x):
        return None
    return ~torch.isfinite(residual).reshape(len(x), -1).all(dim=1)


def _depends_on_size(term: Term, x: Tensor, u: Jet, data: Numbers | None, bad: Tensor) -> bool:
    """Whether the residual is finite at all of these points for another u."""
    for size in TRIED:
        moved = u.components.clone()
        moved[:, 0] += size
        still = _bad(term, x, Jet(moved, u.dim, u.order), data)
        if still is not None and not bool((still & bad).any()):
            return True
    return False


def _on_faces(x: Tensor, box: Box) -> bool:
    near = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    edges = zip(box.lower, box.upper, box.lengths, strict=True)
    for axis, (low, high, length) in enumerate(edges):
        column = x[:, axis]
        near |= torch.minimum((column - low).abs(), (column - high).abs()) < ON_FACE * length
    return bool(near.all())
