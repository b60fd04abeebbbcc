"""What tells one problem from another, for a checkpoint: numbers of the terms, samples of them."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Points
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.signature import signature
from dinfgrid_cuda.problem.given import Numbers
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term

# Points at which residuals are compared, and up to which a residual gets all points of its term:
# it may hold a number for each of them.
PROBES, ALL = 7, 20_000
# Relative difference of residuals that are the same: in float64, and roundings of coarser types.
SAME, ROUNDINGS = 1e-9, 100

# Of the words for a region.
LONG = 80

Facts = dict[str, Any]
# Points and data by the terms' places.
Probes = dict[int, tuple[Tensor, Numbers | None]]


def fingerprint(
    problem: Problem, field: nn.Module, seed: int, probes: Probes | None = None
) -> dict[str, Facts]:
    """Facts of the domain (under "") and of each term by its name, as JSON data.

    Residuals are compared by their values for a fixed jet at some of their points; those that
    cannot be evaluated so, or give other numbers each time, have none. They may depend on the
    field and on the problem's parameters: take fingerprints that are to agree at the same ones.

    Args:
        problem: the terms.
        field: whose jets they take.
        seed: of the points.
        probes: keeps the points from one call to the next.
    """
    facts: dict[str, Facts] = {"": _extent(problem.domain)}
    for index, term in enumerate(problem.terms):
        values = _samples(problem, index, field, seed, {} if probes is None else probes)
        facts[term.name] = {**_described(term), "residual": values}
    return facts


def _extent(domain: Shape) -> Facts:
    """Facts of the domain; ``shape`` is None for a box, which its corners determine."""
    shape = None
    if not isinstance(domain, Box):
        names = Counter(surface.name for surface in domain.surfaces)
        shape = {
            "what": _shortened(repr(domain)),
            "pieces": {name: names[name] for name in sorted(names)},
            "levels": signature(domain),
        }
    return {"shape": shape, "lower": repr(domain.lower), "upper": repr(domain.upper)}


def difference(own: dict[str, Facts], saved: dict[str, Facts], dtype: torch.dtype) -> str:
    """What differs first, as words for "was made with ..., this solve has ..."; or ""."""
    for name, facts in own.items():
        others = saved.get(name, {})
        where = f" in term {name!r}" if name else " of the domain"
        for key, value in facts.items():
            other = others.get(key)
            if key == "residual":
                if not _close(value, other, dtype):
                    return (
                        f"another equation{where}: its residual is {_short(other)} where this "
                        f"solve has {_short(value)}"
                    )
            elif key == "shape":
                if not _same_shape(value, other):
                    return f"another shape: {_what(other)}, this solve has {_what(value)}"
            elif value != other:
                return f"{key}={other}{where}, this solve has {key}={value}"
    return ""


def _described(term: Term) -> Facts:
    region = term.region
    what = repr(region)
    if isinstance(region, Points):
        normal = "" if region.normal is None else f", normal {_digest(region.normal)}"
        what = f"Points({_digest(region.x)}{normal})"
    return {
        "weight": repr(float(term.weight)),
        "order": repr(term.order),
        "loss": repr(term.loss),
        "points": repr(term.points),
        "noise": "None" if term.noise is None else repr(float(term.noise)),
        "region": _shortened(what),
        "data": "None" if term.data is None else _digest(term.data),
    }


def _shortened(what: str) -> str:
    """Words without addresses, long ones by their beginning and a digest."""
    what = re.sub(r" at 0x[0-9a-fA-F]+", "", what)
    if len(what) > LONG:
        what = f"{what[:LONG]}... {hashlib.sha256(what.encode()).hexdigest()[:16]}"
    return what


def _same_shape(own: Facts | None, saved: Any) -> bool:
    """Whether two shapes are the same up to rounding; their words need not be."""
    if own is None or not isinstance(saved, dict):
        return own is None and saved is None
    if own["pieces"] != saved.get("pieces"):
        return False
    levels, others = own["levels"], saved.get("levels", [])
    allowed = SAME * max(map(abs, levels))
    return len(levels) == len(others) and all(
        abs(a - b) <= allowed for a, b in zip(levels, others, strict=True)
    )


def _what(shape: Any) -> str:
    """Names a shape of which `_extent` holds the facts."""
    return str(shape.get("what")) if isinstance(shape, dict) else "a Box"


def _digest(values: Tensor) -> str:
    """Shape, dtype and the beginning of a SHA-256 of all numbers."""
    own = values.detach().cpu().contiguous()
    content = hashlib.sha256(own.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
    return f"{list(own.shape)} {str(own.dtype).removeprefix('torch.')} {content[:16]}"


def _samples(
    problem: Problem, index: int, field: nn.Module, seed: int, probes: Probes
) -> list[float] | None:
    """The root mean square of a term's residual for a fixed jet, and some of its values."""
    sample = next(field.parameters())
    cuda = [sample.device] if sample.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cuda), torch.enable_grad():
            if index not in probes:
                probes[index] = _drawn(problem, index, seed, sample)
            values = [_residual(problem, index, field, *probes[index]) for _ in range(2)]
    except Exception:  # a residual is the user's code, and may want more than a jet and points
        return None
    again = [math.isfinite(a) and a == b for a, b in zip(*values, strict=True)]
    return values[0] if all(again) else None


def _drawn(problem: Problem, index: int, seed: int, like: Tensor) -> tuple[Tensor, Numbers | None]:
    """Returns all points of a term, or `PROBES` of very many, with their data.

    Drawn on the CPU: random points differ from device to device.
    """
    x, data = problem.draw(index, seed, 0, like.dtype, torch.device("cpu"))
    if len(x) > ALL:
        rows = _spread(len(x), x)
        x, data = x[rows], None if data is None else data[rows]
    return x.to(like.device), None if data is None else data.to(like.device)


def _residual(
    problem: Problem, index: int, field: Any, x: Tensor, data: Numbers | None
) -> list[float]:
    term = problem.terms[index]
    with torch.no_grad():
        like = field.jet(x[:1], term.order)
    size, channels = like.components.shape[1:]
    # Positive, so that roots and logarithms of it exist, and different everywhere.
    phase = torch.arange(size * channels, dtype=torch.float64).reshape(size, channels)
    lower = x.new_tensor(problem.domain.lower)
    place = ((x - lower) / x.new_tensor(problem.domain.lengths)).sum(dim=1)
    jet = 1 + 0.5 * torch.sin(place[:, None, None] + 0.7 * phase.to(x))
    residual = term.residual_at(x, Jet(jet, like.dim, like.order), data).detach()
    residual = torch.view_as_real(residual) if residual.is_complex() else residual
    residual = residual.reshape(len(x), -1).double()
    rms = float(residual.square().mean().sqrt())
    return [rms, *residual[_spread(len(x), x)].mean(dim=1).tolist()]


def _spread(count: int, like: Tensor) -> Tensor:
    """`PROBES` rows of ``count``, or fewer, from the first to the last."""
    rows = torch.linspace(0, count - 1, min(PROBES, count), dtype=torch.float64)
    return rows.round().long().to(like.device)


def _close(own: list[float] | None, saved: Any, dtype: torch.dtype) -> bool:
    if own is None or saved is None:
        return own is None and saved is None
    if not isinstance(saved, list) or len(saved) != len(own):
        return False
    allowed = max(SAME, ROUNDINGS * torch.finfo(dtype).eps) * own[0]
    return all(abs(a - b) <= allowed for a, b in zip(own, saved, strict=True))


def _short(values: Any) -> str:
    if not isinstance(values, list) or not values:
        return "not to be evaluated"
    return "[" + ", ".join(f"{value:.6g}" for value in values[:3]) + ", ...]"
