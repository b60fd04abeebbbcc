"""Jets on a line in extended precision, for the residuals of iterative refinement.

A derivative of order m is a sum of terms that are h^-m as large as itself. Rounded in double
precision, it leaves an error of eps h^-m in the residual, and a smooth one of that kind in u: on
1,024 cells a beam (m = 4) keeps six digits. Refinement whose residuals are more accurate than its
solves removes it (J. H. Wilkinson, Rounding Errors in Algebraic Processes, 1963); on a line the
sums are short enough to be formed so.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.kernels import functional
from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.kernels.spec import GridSpec

Array = npt.NDArray[np.float64]
Extended = npt.NDArray[np.longdouble]


class AccurateJets:
    """Evaluates ``field.jet`` with derivatives as accurate as double precision can hold.

    The features' own rounding errors are kept too, since a derivative holds them times h^-m. This
    is done only on one-dimensional float64 grids of B-splines on a CPU; elsewhere the jets are the
    field's own.

    Attributes:
        applies: whether the jets are more accurate than the field's own.
        rest: what the features lack of their exact values, [nodes, channels]; None for nothing.
    """

    def __init__(self, field: Field) -> None:
        spec, features = field.grid.spec, field.grid.features
        self.field = field
        self.applies = (
            spec.dim == 1
            and not spec.local
            and isinstance(spec.basis, BSpline)
            and features.dtype == torch.float64
            and features.device.type == "cpu"
        )
        self.rest: Tensor | None = None

    def __call__(self, x: Tensor, order: int) -> Jet:
        """Returns the jet at points x [N, 1]."""
        if not self.applies:
            return self.field.jet(x, order)
        grid = self.field.grid
        y: Tensor = _Gather.apply(  # type: ignore[no-untyped-call]
            grid.features, self.rest, x, grid.spec, order
        )
        return self.field.decode(x, y, order)

    def carry(self, before: Tensor, rest: Tensor | None, change: Array) -> None:
        """Sets ``rest`` to what the features lack of before + rest + change [unknowns]."""
        if not self.applies:
            return
        exact = before.detach().numpy().astype(np.longdouble)
        if rest is not None:
            exact = exact + rest.numpy()
        exact = exact + change[: exact.size].reshape(exact.shape)
        features = self.field.grid.features.detach().numpy()
        self.rest = torch.from_numpy((exact - features).astype(np.float64))


class _Gather(torch.autograd.Function):
    """Gathers y [N, order + 1, levels * channels] of features [nodes, channels]."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, rest: Tensor | None, x: Tensor, spec: GridSpec, order: int
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.spec, ctx.order = spec, order
        nodes = features.detach().numpy().astype(np.longdouble)
        lacking = np.zeros_like(nodes) if rest is None else rest.numpy().astype(np.longdouble)
        middle = spec.basis.rho - 1
        levels = []
        for level in range(spec.levels):
            tables, places = _tables(x.detach().numpy()[:, 0].tobytes(), spec, level, order)
            places = places + spec.level_offset(level)
            near, little = nodes[places], lacking[places]  # [N, 2 rho, channels]
            # Weights sum to 1, those of derivatives to 0: differences of features are smaller.
            apart = (near - near[:, [middle]]) + (little - little[:, [middle]])
            jet = np.einsum("mnk,nkc->nmc", tables, apart)
            jet[:, 0] += near[:, middle] + little[:, middle]
            levels.append(jet)
        y = np.concatenate(levels, axis=2).astype(np.float64)
        return torch.from_numpy(y)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        z = functional.scatter(x, cotangents[0].contiguous(), ctx.spec, ctx.order)
        return z, None, None, None, None


@functools.lru_cache(maxsize=16)
def _tables(
    positions: bytes, spec: GridSpec, level: int, order: int
) -> tuple[Extended, npt.NDArray[np.int64]]:
    """Returns derivatives 0..order of the basis, [order + 1, N, 2 rho], and nodes [N, 2 rho]."""
    t = np.frombuffer(positions, dtype=np.float64).astype(np.longdouble)
    cells = spec.level_cells(level)[0]
    low, high = np.longdouble(spec.lower[0]), np.longdouble(spec.upper[0])
    scale = cells / (high - low)
    t = (t - low) * scale
    periodic, floor = spec.boundary[0] == "periodic", np.floor(t)
    cell = floor.astype(np.int64) if periodic else np.clip(floor, 0, cells - 1).astype(int)
    rho = spec.basis.rho
    tables = _derivatives(t - cell, 2 * rho - 1, order)
    tables = tables * (scale ** np.arange(order + 1))[:, None, None]
    places = cell[:, None] + np.arange(2 * rho)[None]
    if periodic:
        places = (places - (rho - 1)) % cells
    return tables, places


def _splines(f: Extended, degree: int) -> Extended:
    """Returns the uniform B-splines that are not zero in a cell, at f in it, [N, degree + 1].

    They come from Cox-de Boor's recursion on equidistant knots.
    """
    values = np.ones((len(f), 1), dtype=np.longdouble)
    for p in range(1, degree + 1):
        wider = np.zeros((len(f), p + 1), dtype=np.longdouble)
        for k in range(p + 1):
            # Node k of the wider neighbourhood: its support begins p - k cells to the left.
            if k > 0:
                wider[:, k] += (f + (p - k)) / p * values[:, k - 1]
            if k < p:
                wider[:, k] += ((k + 1) - f) / p * values[:, k]
        values = wider
    return values


def _derivatives(f: Extended, degree: int, order: int) -> Extended:
    """Returns derivatives 0..order by f, [order + 1, N, degree + 1], by lower degrees."""
    result = np.zeros((order + 1, len(f), degree + 1), dtype=np.longdouble)
    for m in range(min(order, degree) + 1):
        values = _splines(f, degree - m)
        for _ in range(m):
            padded = np.pad(values, ((0, 0), (1, 1)))
            values = padded[:, :-1] - padded[:, 1:]
        result[m] = values
    return result
