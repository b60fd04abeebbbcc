"""Whether the edges of outlines cross one another."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .ragged import PAIRS


def check_simple(where: str, starts: Tensor, ends: Tensor, what: str = "its edges cross") -> None:
    """Raises ValueError if two edges cross or run on each other; that they touch is allowed.

    Args:
        where: what is checked, for the message.
        starts, ends: [E, 2], float64.
        what: two crossing edges mean.
    """
    order = torch.minimum(starts[:, 0], ends[:, 0]).argsort()
    starts, ends = starts[order], ends[order]
    left = torch.minimum(starts[:, 0], ends[:, 0])
    right = torch.maximum(starts[:, 0], ends[:, 0])
    # After an edge come those that begin before it ends.
    last = torch.searchsorted(left, right, right=True)
    counts = last - torch.arange(len(left)) - 1
    first = 0
    while first < len(left):
        batch = int((counts[first:].cumsum(0) <= PAIRS).sum())
        end = first + max(batch, 1)
        one = torch.arange(first, end).repeat_interleave(counts[first:end])
        within = (
            torch.arange(len(one)) - (counts[first:end].cumsum(0) - counts[first:end])[one - first]
        )
        two = one + 1 + within
        _check_pairs(f"{where}: {what}", starts[one], ends[one], starts[two], ends[two])
        first = end


def _check_pairs(what: str, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> None:
    """Raises ValueError if an edge from a to b crosses, or runs on, its partner from c to d."""
    abc, abd, cda, cdb = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    crossing = (abc * abd < 0) & (cda * cdb < 0)
    if bool(crossing.any()):
        k = int(crossing.nonzero()[0])
        share = float(cda[k] / (cda[k] - cdb[k]))
        place = _text(a[k] + share * (b[k] - a[k]), a)
        raise ValueError(f"{what} at {place}.")
    along = b - a
    places = torch.stack([((end - a) * along).sum(dim=1) for end in (c, d)])
    overlap = torch.minimum(places.amax(dim=0), along.square().sum(dim=1)) - places.amin(
        dim=0
    ).clamp(min=0)
    on_line = (abc == 0) & (abd == 0) & (cda == 0) & (cdb == 0)
    running = on_line & (overlap > 0)
    if bool(running.any()):
        k = int(running.nonzero()[0])
        share = float(places[:, k].amin().clamp(min=0) / along[k].square().sum())
        place = _text(a[k] + share * along[k], a)
        raise ValueError(f"{what}: one runs on the other from {place}.")


def _turn(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Returns twice the signed area [N] of the triangles a, b, c [N, 2]; 0 within rounding."""
    first = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1])
    second = (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    area = first - second
    return torch.where(area.abs() <= 1e-15 * (first.abs() + second.abs()), 0.0, area)


def _text(point: Tensor, others: Tensor) -> str:
    """A point as text, with four or five digits of the size of what it is on."""
    size = float((others.amax(dim=0) - others.amin(dim=0)).max()) or 1.0
    digits = 4 - math.floor(math.log10(size))
    # + 0.0: there is no -0
    x, y = (round(entry, digits) + 0.0 for entry in point.tolist())
    return f"({x:g}, {y:g})"
