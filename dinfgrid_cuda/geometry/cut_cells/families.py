"""Families of functions that cells are cut by: surfaces, and what the recursion makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.surface import Affine, Plane, Surface

from .roots import bracketed_roots

# In units of the height of a box: a root this close to its end is at the end.
SNAP = 1e-11
# In units of a box: what is this close to a zero is on it, and the step of a difference.
ON_ZERO, STEP = 1e-12, 1e-6
LOWER, UPPER = -2, -1


class Family(Protocol):
    """Functions of ``dim`` variables, told by numbers: a slot, and the box they are used in."""

    dim: int

    def value(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns [N]: function slot [N] of box owner [N] at x [N, dim]."""
        ...

    def gradient(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns the gradients [N, dim]."""
        ...

    def near(self, slot: Tensor, x: Tensor, radius: Tensor) -> Tensor:
        """Whether what the function stands for may pass within a radius [N] of x, [N]."""
        ...

    def may_meet(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether the zeros of two slots meet where no other two of the family tell it, [N]."""
        ...


@dataclass(frozen=True)
class Boxes:
    """Boxes of ``dim`` axes, each with some functions of a family.

    Attributes:
        lower, upper: corners [B, dim].
        owner: [B], by which the family knows the box.
        slots: [B, m], functions that may be zero in the box; -1 for none.
    """

    lower: Tensor
    upper: Tensor
    owner: Tensor
    slots: Tensor

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, index: Tensor) -> Boxes:
        return Boxes(self.lower[index], self.upper[index], self.owner[index], self.slots[index])


class SurfaceFamily:
    """The surfaces of a solid; a slot is the index of a surface."""

    def __init__(self, surfaces: tuple[Surface, ...], dim: int) -> None:
        self.surfaces, self.dim = surfaces, dim
        planes = [_plane(surface, dim) for surface in surfaces]
        self._flat = torch.tensor([plane is not None for plane in planes], dtype=torch.bool)
        none = torch.zeros(dim + 1, dtype=torch.float64)
        rows = [none if plane is None else plane for plane in planes]
        self._planes = torch.stack(rows) if rows else none[None]

    def value(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns the level of surface slot [N] at x, [N]."""
        flat = self._flat[slot]
        plane = self._planes[slot]
        out = (plane[:, :-1] * x).sum(dim=1) - plane[:, -1]
        return self._by_surface(slot, out, lambda s, i: s.level(x[i]), ~flat)

    def gradient(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns its gradient, [N, dim]."""
        out = self._planes[slot][:, :-1].clone()
        return self._by_surface(slot, out, lambda s, i: s.gradient(x[i]), ~self._flat[slot])

    def near(self, slot: Tensor, x: Tensor, radius: Tensor) -> Tensor:
        """Whether the piece may pass within the radius, [N]."""
        out = torch.empty(len(x), dtype=torch.bool, device=x.device)
        return self._by_surface(slot, out, lambda s, i: s.near(x[i], radius[i]))

    def holds(self, slot: Tensor, x: Tensor, radius: Tensor) -> Tensor:
        """Whether points of the zero sets, to a radius, belong to the pieces, [N]."""
        out = torch.empty(len(x), dtype=torch.bool, device=x.device)

        def held(surface: Surface, i: Tensor) -> Tensor:
            return surface.near(x[i], radius[i]) & surface.holds(x[i])

        return self._by_surface(slot, out, held)

    def may_meet(self, first: Tensor, second: Tensor) -> Tensor:
        """All may."""
        return torch.ones_like(first, dtype=torch.bool)

    def _by_surface(
        self,
        slot: Tensor,
        out: Tensor,
        call: Callable[[Surface, Tensor], Tensor],
        asked: Tensor | None = None,
    ) -> Tensor:
        """Returns what each surface says of its points, where asked."""
        order = slot.argsort(stable=True)
        if asked is not None:
            order = order[asked[order]]
        if not len(order):
            return out
        numbers, counts = slot[order].unique_consecutive(return_counts=True)
        for number, index in zip(numbers.tolist(), order.split(counts.tolist()), strict=True):
            out[index] = call(self.surfaces[number], index).detach().to(out.dtype)
        return out


def _plane(surface: Surface, dim: int) -> Tensor | None:
    """Returns normal and offset [dim + 1] of a plane, moved or not, to be taken all at once."""
    if isinstance(surface, Plane):
        return torch.tensor([*surface.normal, surface.offset], dtype=torch.float64)
    if isinstance(surface, Affine) and (plane := _plane(surface.surface, dim)) is not None:
        normal = surface.rotation.double() @ plane[:-1]
        offset = surface.scale * plane[-1] + normal @ surface.shift.double()
        return torch.cat([normal, offset[None]])
    return None


class BaseFamily:
    """Functions on the base of boxes: those of a parent, each at some height over the base.

    A slot is a pair (height, function): heights are the lower or the upper end of the box, or where
    another function is zero; beyond the ends this height continues along a straight line.

    Args:
        parent: of the functions.
        boxes: B boxes; slots [B, m] without gaps. A box is the owner of its base.
        axis: of the height.
        pairs: one (height, function) a slot, numbers of columns of ``boxes.slots``, or `LOWER` and
            `UPPER` for a height.
        complete: whether all functions at all ends are among the slots.
    """

    def __init__(
        self,
        parent: Family,
        boxes: Boxes,
        axis: int,
        pairs: list[tuple[int, int]],
        complete: bool,
    ) -> None:
        self.parent, self.boxes, self.axis, self.complete = parent, boxes, axis, complete
        self.dim = parent.dim - 1
        device = boxes.lower.device
        table = torch.tensor(pairs, dtype=torch.long, device=device).reshape(-1, 2)
        self._heights, self._functions = table[:, 0], table[:, 1]

    def lifted(self, x: Tensor, height: Tensor) -> Tensor:
        """Returns points [N, dim + 1] over points x [N, dim] of the base."""
        k = self.axis
        return torch.cat([x[:, :k], height[:, None], x[:, k:]], dim=1)

    def level(self, column: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns [N]: the parent's function in a column of the slots at x [N, dim + 1]."""
        return self.parent.value(self.boxes.slots[owner, column], self.boxes.owner[owner], x)

    def slope(self, column: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns its gradient [N, dim + 1]."""
        return self.parent.gradient(self.boxes.slots[owner, column], self.boxes.owner[owner], x)

    def zeros(self, column: Tensor, owner: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the heights [N] where functions are zero over x [N, dim], and their end values.

        Heights are exact ends where the root is within `SNAP` of them; where there is none, the end
        nearer to zero. The values [N] at both ends are 0 for such roots.
        """
        low = self.boxes.lower[owner, self.axis]
        high = self.boxes.upper[owner, self.axis]
        ends = [self.level(column, owner, self.lifted(x, end)) for end in (low, high)]
        close = SNAP * (ends[1] - ends[0]).abs()
        ends = [torch.where(value.abs() <= close, 0.0, value) for value in ends]

        def along(index: Tensor, height: Tensor) -> Tensor:
            return self.level(column[index], owner[index], self.lifted(x[index], height))

        return bracketed_roots(along, (low, high), (ends[0], ends[1])), ends[0], ends[1]

    def value(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns function slot [N] of the base of box owner [N] at x [N, dim], [N]."""
        return self.level(self._functions[slot], owner, self._point(slot, owner, x))

    def gradient(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns its gradient [N, dim], by the implicit function theorem."""
        at = self._point(slot, owner, x)
        whole = self.slope(self._functions[slot], owner, at)
        cross = (self._heights[slot] >= 0).nonzero().squeeze(1)
        rest = [k for k in range(self.dim + 1) if k != self.axis]
        if not len(cross):
            return whole[:, rest]
        column, box = self._heights[slot[cross]], owner[cross]
        base = self.slope(column, box, at[cross])
        part = whole[cross, self.axis] / base[:, self.axis]
        whole[cross] = whole[cross] - torch.nan_to_num(part)[:, None] * base
        size = self.boxes.upper[box, self.axis] - self.boxes.lower[box, self.axis]
        left = self.level(column, box, at[cross]).abs()
        apart = cross[~(left <= ON_ZERO * size * base[:, self.axis].abs())]
        gradient = whole[:, rest]
        gradient[apart] = self._differences(slot[apart], owner[apart], x[apart])
        return gradient

    def _differences(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns gradients [N, dim] where heights continue, by central differences."""
        steps = STEP * (self.boxes.upper - self.boxes.lower)[owner].amin(dim=1)
        columns = []
        for k in range(self.dim):
            step = torch.zeros_like(x)
            step[:, k] = steps
            ahead, back = self.value(slot, owner, x + step), self.value(slot, owner, x - step)
            columns.append((ahead - back) / (2 * steps))
        return torch.stack(columns, dim=1) if columns else torch.zeros_like(x)

    def near(self, slot: Tensor, x: Tensor, radius: Tensor) -> Tensor:
        """Always: functions of a base know of no pieces."""
        return torch.ones_like(slot, dtype=torch.bool)

    def may_meet(self, first: Tensor, second: Tensor) -> Tensor:
        """Not for one function at both ends, which is monotone between; else see `Family`.

        Where the height of a zero of i is used for j, this meets i or j at an end where i and j
        meet at this end.
        """
        heights = self._heights[first], self._heights[second]
        functions = self._functions[first], self._functions[second]
        flat = [height < 0 for height in heights]
        same = flat[0] & flat[1] & (functions[0] == functions[1])
        told = flat[0] & ~flat[1] & ((functions[0] == heights[1]) | (functions[0] == functions[1]))
        told |= flat[1] & ~flat[0] & ((functions[1] == heights[0]) | (functions[1] == functions[0]))
        return ~(same | told) if self.complete else ~same

    def _point(self, slot: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns the points [N, dim + 1] where the parent's functions are taken."""
        kind = self._heights[slot]
        low = self.boxes.lower[owner, self.axis]
        high = self.boxes.upper[owner, self.axis]
        height = torch.where(kind == UPPER, high, low)
        cross = (kind >= 0).nonzero().squeeze(1)
        if len(cross):
            height[cross] = self._continued(kind[cross], owner[cross], x[cross])
        return self.lifted(x, height)

    def _continued(self, column: Tensor, owner: Tensor, x: Tensor) -> Tensor:
        """Returns the height [N] of a zero; beyond an end, that of one step of Newton's from it."""
        height, at_low, at_high = self.zeros(column, owner, x)
        beyond = (at_low * at_high > 0).nonzero().squeeze(1)
        if len(beyond):
            column, owner, x, end = column[beyond], owner[beyond], x[beyond], height[beyond]
            at = self.lifted(x, end)
            step = self.level(column, owner, at) / self.slope(column, owner, at)[:, self.axis]
            size = self.boxes.upper[owner, self.axis] - self.boxes.lower[owner, self.axis]
            # Three cells: far enough for what is outside to stay outside.
            step = torch.maximum(torch.minimum(torch.nan_to_num(step), 3 * size), -3 * size)
            height[beyond] = end - step
        return height
