"""Curve: what a closed, smooth parametric curve encloses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_real
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .arguments import check_name
from .edges import Edges
from .parametric import CurveFunction, derivatives, sample, tangents

STEPS = 30
SMALL = 1e-9
BISECTIONS = 60


class CurveSurface(Surface):
    """A closed parametric curve; its function is the signed distance.

    Args:
        name: of the piece.
        function: parameters t [N] -> points [N, 2], periodic and smooth.
        period: of t.

    Raises:
        ValueError: for a function that is no simple closed curve.
    """

    def __init__(self, name: str, function: CurveFunction, period: float) -> None:
        from scipy.spatial import cKDTree

        self.name, self.function, self.period = name, function, period
        self.t, self.points, first, second = sample(function, period)
        self._samples = self.points, first, second
        after = self.points.roll(-1, 0)
        area = self.points[:, 0] * after[:, 1] - self.points[:, 1] * after[:, 0]
        self.sense = math.copysign(1.0, float(area.sum()))
        self.step = period / len(self.t)
        # No point of the curve is further than this from a sample: half an arc, and then some,
        # since the speed between two samples may be a little above that at both.
        self.gap = 0.51 * self.step * float(first.norm(dim=1).max())
        self._tree = cKDTree(self.points.numpy())
        self._edges = Edges(self.points, after)

    def closest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the parameter t [N] of the closest point of the curve to each of x [N, 2], and
        the distance [N] from the closest sample."""
        distance, index = self._tree.query(x.numpy())
        index = torch.as_tensor(index, dtype=torch.long)
        start = self.t[index]
        # The first step is free: derivatives at samples are known.
        samples = [values[index] for values in self._samples]
        t, active = start + _towards(x, *samples).clamp(-self.step, self.step), torch.arange(len(x))
        for _ in range(STEPS):
            if not len(active):
                break
            change = _towards(x[active], *derivatives(self.function, t[active]))
            middle = start[active]
            new = (t[active] + change).clamp(middle - self.step, middle + self.step)
            moved = (new - t[active]).abs()
            t[active] = new
            # what is left is the square of the step
            active = active[moved > SMALL * self.period]
        return t, torch.as_tensor(distance)

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance [N].

        It is n . (x - c) at the closest point c, with its normal n. For autograd c depends on x by
        two steps of Newton from where it is: that gives derivatives up to the seventh.
        """
        at = x.detach().to("cpu", torch.float64)
        t, away = self.closest(at)
        t = t.to(x.device)
        follows = x.requires_grad and torch.is_grad_enabled()
        for _ in range(2 * follows):
            t = t + _towards(x.double(), *derivatives(self.function, t, keep=True))
        if follows:
            points, first, _ = derivatives(self.function, t, keep=True)
        else:
            points, first = tangents(self.function, t)
        level = ((x.double() - points) * self._normal(first)).sum(dim=1)
        far = away > 2 * self.gap
        if bool(far.any()):
            inside = self._edges.inside(at[far]).to(x.device)
            signs = torch.where(inside, -1.0, 1.0).to(level)
            wrong = torch.ones_like(level)
            wrong[far.to(x.device)] = signs * level.detach()[far.to(x.device)].sign()
            level = level * torch.where(wrong == 0, 1.0, wrong)
        return level.to(x.dtype)

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the outward normal at the closest point, [N, 2]."""
        t, _ = self.closest(x.detach().to("cpu", torch.float64))
        _, first = tangents(self.function, t)
        return self._normal(first).to(x)

    def inside(self, x: Tensor) -> Tensor:
        """Whether points x [N, 2] are enclosed or on the curve, [N]; far ones by its samples."""
        at = x.detach().to("cpu", torch.float64)
        distance, _ = self._tree.query(at.numpy())
        result = self._edges.inside(at)
        close = torch.as_tensor(distance) <= 2 * self.gap
        result[close] = self.level(at[close]) <= 0
        return result.to(x.device)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether a sample is within a distance of each point, and half an arc more, [N]."""
        distance, _ = self._tree.query(x.detach().to("cpu", torch.float64).numpy())
        return torch.as_tensor(distance).to(x) <= radius + self.gap

    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Returns the corners of the box around it, where its coordinates are extreme."""
        first = self._samples[1]
        lower, upper = [], []
        for k in range(2):
            turning = first[:, k] * first.roll(-1, 0)[:, k] <= 0
            low, high = self.t[turning], self.t[turning] + self.step
            sign = first[turning, k].sign()
            for _ in range(BISECTIONS):
                middle = 0.5 * (low + high)
                same = tangents(self.function, middle)[1][:, k].sign() == sign
                low, high = torch.where(same, middle, low), torch.where(same, high, middle)
            values = torch.cat([self.function(low)[:, k].to(low), self.points[:, k]])
            lower.append(float(values.min()))
            upper.append(float(values.max()))
        return tuple(lower), tuple(upper)

    def _normal(self, first: Tensor) -> Tensor:
        """Returns the outward normals [N, 2] to tangents [N, 2]."""
        normal = torch.stack([first[:, 1], -first[:, 0]], dim=1)
        unit: Tensor = self.sense * normal / first.norm(dim=1, keepdim=True)
        return unit


def _towards(x: Tensor, points: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Returns the step [N] of Newton's method for (c - x) . c' = 0, towards the closest point.

    Beyond the centre of curvature, where Newton's would go to the farthest point, it is that of
    Gauss and Newton.
    """
    away = points - x
    square = first.square().sum(dim=1)
    bend = square + (away * second).sum(dim=1)
    slope = torch.where(bend > 1e-3 * square, bend, square)
    return -(away * first).sum(dim=1) / slope


class Curve(Shape):
    """What a closed, smooth curve encloses.

        def heart(t):
            return torch.stack([t.cos(), t.sin() + 0.4 * t.cos().square()], dim=1)

        shape = Curve(heart)

    Args:
        function: a torch function of parameters t [N] that returns points [N, 2]; smooth, with
            derivatives by autograd, and periodic, in either sense.
        period: of t, positive.
        name: of its boundary.

    Raises:
        TypeError, ValueError: for what is no function, not closed, not finite, crosses itself, has
            a corner, or stands still.
    """

    def __init__(
        self, function: CurveFunction, period: float = 2 * math.pi, name: str = "curve"
    ) -> None:
        if not callable(function):
            raise TypeError(f"Curve: function is {function!r}; pass a function of t [N].")
        self.function = function
        self.period = float(check_real("Curve", "period", period, positive=True))
        self.name = check_name("Curve", name)
        self._curve = CurveSurface(name, function, self.period)
        self.lower, self.upper = self._curve.bounds()

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The curve."""
        return (self._curve,)

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance [N] from the curve."""
        return self._curve.level(x)

    def contains(self, x: Tensor) -> Tensor:
        """Whether points x [N, 2] are inside or on the curve, [N]."""
        return self._curve.inside(x)

    def __repr__(self) -> str:
        return f"Curve({getattr(self.function, '__name__', type(self.function).__name__)})"
