"""Implicit: the points at which a function is negative."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .arguments import check_name

LevelSet = Callable[[Tensor], Tensor]


# Number of points at which a level set is tried.
TRIED = 64


class LevelSetSurface(Surface):
    """The zero set of any smooth function, a distance or not.

    Args:
        name: of the piece.
        level_set: points [N, dim] -> [N], negative inside.
    """

    def __init__(self, name: str, level_set: LevelSet) -> None:
        self.name, self._level_set = name, level_set

    def level(self, x: Tensor) -> Tensor:
        """Returns the function at points x [N, dim], [N]."""
        return self._level_set(x)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the function may be zero within a distance of each point, [N].

        Told by the largest slope at the point and at 2 dim points at that distance, doubled.
        """
        reach = torch.as_tensor(radius, dtype=x.dtype).expand(len(x))
        steps = torch.cat(
            [torch.eye(x.shape[1]), -torch.eye(x.shape[1]), torch.zeros(1, x.shape[1])]
        )
        around = x[:, None] + reach[:, None, None] * steps.to(x)
        flat = around.reshape(-1, x.shape[1])
        levels = self.level(flat).reshape(len(x), len(steps))
        slopes = self.gradient(flat).norm(dim=1).reshape(len(x), len(steps)).amax(dim=1)
        changes = (levels.amax(dim=1) > 0) & (levels.amin(dim=1) <= 0)
        close: Tensor = levels[:, -1].abs() <= 2 * slopes * reach
        return changes | close


class Implicit(Shape):
    """The points at which a function is negative or zero.

    Where it is zero the function must be smooth, with a gradient that is not zero; corners come
    from combinations of shapes.

        def star(x):
            angle = torch.atan2(x[:, 1], x[:, 0])
            return x.norm(dim=1) - 0.7 - 0.2 * torch.cos(5 * angle)

        shape = Implicit(star, lower=(-1, -1), upper=(1, 1))

    Args:
        level_set: a torch function of points [N, dim] that returns [N]; a signed distance or not.
        lower, upper: corners of a box that holds the shape.
        name: of its boundary.

    Raises:
        TypeError, ValueError: for a function that returns another shape or NaN in the box, or that
            torch cannot differentiate.
    """

    def __init__(
        self,
        level_set: LevelSet,
        lower: Sequence[float],
        upper: Sequence[float],
        name: str = "surface",
    ) -> None:
        if not callable(level_set):
            raise TypeError(f"Implicit: level_set is {level_set!r}; pass a function of x [N, dim].")
        self.lower = check_point("Implicit", "lower", lower)
        self.upper = check_point("Implicit", "upper", upper, len(self.lower))
        self.name = check_name("Implicit", name)
        self._surface = LevelSetSurface(name, self._evaluated)
        self._level_set = level_set
        self._check()

    def _check(self) -> None:
        """Evaluates the function at some points of the box, as it will be.

        Raises:
            TypeError, ValueError: for what is no differentiable function there.
        """
        box = torch.tensor([self.lower, self.upper], dtype=torch.float64)
        unit = torch.rand(
            TRIED, len(self.lower), generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        with torch.enable_grad():
            x = (box[0] + (box[1] - box[0]) * unit).requires_grad_()
            level = self._evaluated(x)
        if not level.requires_grad:
            raise TypeError(
                "Implicit: level_set is constant, or torch cannot differentiate it; compute it "
                "from x by torch functions, without detach(), numpy or comparisons."
            )

    def _evaluated(self, x: Tensor) -> Tensor:
        level = self._level_set(x)
        if not isinstance(level, Tensor) or level.shape not in ((len(x),), (len(x), 1)):
            kind = list(level.shape) if isinstance(level, Tensor) else type(level).__name__
            raise ValueError(
                f"Implicit: level_set returned {kind} for x of shape {list(x.shape)}; it must "
                f"return [{len(x)}], one number for each point."
            )
        if bool(level.isnan().any()):
            place = x[level.reshape(-1).isnan()][0].tolist()
            raise ValueError(f"Implicit: level_set is NaN at x = {place}.")
        return level.reshape(-1).to(x.dtype)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The zero set of the function."""
        return (self._surface,)

    def level(self, x: Tensor) -> Tensor:
        """Returns the function at points x [N, dim], [N]."""
        return self._evaluated(x)

    def __repr__(self) -> str:
        name = getattr(self._level_set, "__name__", type(self._level_set).__name__)
        return f"Implicit({name}, {self.lower}, {self.upper})"
