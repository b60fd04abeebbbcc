"""The extension: features that a shape's points see weakly continue those inside.

A B-spline that barely touches the shape makes the least-squares matrix as ill-conditioned as one
likes. For each such feature, the differences of order p + 1 along every axis, over each stencil
that holds it, are residuals of small weight. They vanish on polynomials of degree p, so that the
features outside continue the field from inside, and no order of accuracy is lost.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Boundary, Points
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective

from .sight import Flags, Sight
from .term_operator import TermOperator
from .unknown_nodes import unknown_nodes
from .unknowns import linear_field

# Weight of the residuals, relative to the median column of the equations.
WEIGHT = 1e-3


class Extension:
    """The residuals that continue a field on a shape to the features outside.

    Args:
        sight: where the equations hold.
        spec: the grid.

    Attributes:
        stencil: the coefficients of a difference, [p + 2], their moduli adding up to 1.
        index: the nodes of each difference, [rows, p + 2].
        weak: whether a feature [total nodes] is seen, but weakly.
        weight: of half the squares in the loss.
        features: of the field, [total nodes, channels]; None where only the matrix is of use.
    """

    weight = 0.0

    def __init__(self, sight: Sight, spec: GridSpec, features: Tensor | None = None) -> None:
        self.features = features
        self.sight, self.spec = sight, spec
        self.weak = sight.weak(spec)[0]
        order = spec.basis.nodes
        binomials = [(-1) ** k * math.comb(order, k) for k in range(order + 1)]
        device = None if features is None else features.device
        self.stencil = torch.tensor(binomials, dtype=torch.float64, device=device) / 2**order
        self.index = torch.from_numpy(_rows(spec, self.weak)).to(device)

    def differences(self, features: Tensor) -> Tensor:
        """Returns the rows times features [total nodes, C], [rows, C]."""
        rows: Tensor = (features[self.index] * self.stencil.to(features)[:, None]).sum(dim=1)
        return rows

    def transposed(self, r: Tensor) -> Tensor:
        """Returns the transposed rows times r [rows, C], [total nodes, C]."""
        parts = r[:, None] * self.stencil.to(r)[:, None]
        result = r.new_zeros(self.spec.total_nodes, r.shape[1])
        result.index_add_(0, self.index.reshape(-1), parts.flatten(0, 1))
        return result

    @cached_property
    def matrix(self) -> Any:
        """The differences as scipy CSR [rows, total nodes]."""
        from scipy.sparse import csr_array

        rows, width = self.index.shape
        starts = np.arange(0, rows * width + 1, width)
        data = np.tile(self.stencil.cpu().numpy(), rows)
        shape = (rows, self.spec.total_nodes)
        return csr_array((data, self.index.cpu().numpy().reshape(-1), starts), shape)

    def __call__(self) -> Tensor:
        """Returns the loss of the present features, differentiable by them."""
        assert self.features is not None
        loss: Tensor = self.weight * self.differences(self.features).square().sum()
        return loss

    def weigh(self, mean_diagonal: float) -> None:
        """Sets the weight by the mean diagonal entry of A' A of the equations."""
        self.weight = 0.5 * WEIGHT**2 * mean_diagonal


def _rows(spec: GridSpec, weak: Flags) -> npt.NDArray[np.int64]:
    """Returns the nodes of each difference, [rows, p + 2]; all of them are solved for."""
    free = unknown_nodes(spec)
    rows = _all_rows(spec, weak)
    return rows if free is None else rows[free.numpy()[rows].all(axis=1)]


def _all_rows(spec: GridSpec, weak: Flags) -> npt.NDArray[np.int64]:
    return np.concatenate(
        [
            _stencils(spec, level, axis, weak, spec.basis.nodes + 1)
            for level in range(spec.levels)
            for axis in range(spec.dim)
        ]
    )


def _stencils(
    spec: GridSpec, level: int, axis: int, weak: Flags, width: int
) -> npt.NDArray[np.int64]:
    """Returns nodes [stencils, width] of a level in a row along an axis, some of them weak.

    Features that no point sees take part too: where a shape is thinner than a stencil nothing else
    would hold the weak ones. Each has as many stencils as it needs to be determined itself.
    """
    nodes = spec.level_nodes(level)
    offset, size = spec.level_offset(level), spec.level_size(level)
    index = np.arange(offset, offset + size).reshape(nodes)
    if spec.level_boundary(level)[axis] == "periodic":
        places = [np.roll(index, -k, axis=axis) for k in range(width)]
    else:
        count = nodes[axis] - width + 1
        if count < 1:
            return np.zeros((0, width), dtype=np.int64)
        places = [np.take(index, range(k, k + count), axis=axis) for k in range(width)]
    every = np.stack([place.reshape(-1) for place in places], axis=1)
    touching: npt.NDArray[np.int64] = every[weak[every].any(axis=1)]
    return touching


class ExtensionOperator(TermOperator):
    """The rows of an `Extension`, as those of a term: half their square is its loss.

    Args:
        extension: on the grid.
        like: an operator of the same problem, whose kind of numbers is taken.
        channels: of the features.
    """

    def __init__(self, extension: Extension, like: TermOperator, channels: int) -> None:
        self.extension, self.spec, self.channels = extension, extension.spec, channels
        rows = len(extension.index)
        self.x = like.x.new_zeros(rows, self.spec.dim)
        self.alphas, self.axes = [], None
        self.slopes = like.slopes.new_zeros(1, channels, 0, self.spec.levels * channels)
        self.columns = like.columns.new_zeros(rows * channels, like.columns.shape[1])

    @property
    def scale(self) -> float:
        """The factor of the differences."""
        return math.sqrt(2 * self.extension.weight)

    @cached_property
    def table(self) -> None:
        """There is none: rows come from the features themselves."""
        return None

    @property
    def explicit(self) -> Any:
        """The rows by the features, scipy CSR [rows * channels, nodes * channels]."""
        return self._explicit(self.extension.matrix)

    def explicit_of(self, functions: Any) -> Any:
        """The rows by multiples of some functions, each [nodes], a column of scipy CSR."""
        return self._explicit((self.extension.matrix @ functions).tocsr())

    def _explicit(self, rows: Any) -> Any:
        from scipy.sparse import identity, kron

        if self.channels > 1:
            rows = kron(rows, identity(self.channels), format="csr")
        return self.scale * rows

    def on(self, spec: GridSpec) -> ExtensionOperator:
        """Returns the extension of another grid, with the same weight."""
        if spec == self.spec:
            other = self.extension
        else:
            other = Extension(self.extension.sight, spec)
            other.weight = self.extension.weight
        held = ExtensionOperator(other, self, self.channels)
        held.columns = held.columns[:, :0]
        return held

    def forward(self, features: Tensor, parameters: Tensor) -> Tensor:
        """Returns the rows times features [nodes, channels], [rows, channels]."""
        return self.scale * self.extension.differences(features)

    def transpose(self, r: Tensor) -> tuple[Tensor | None, Tensor]:
        """Returns the transposed rows times r [rows, channels], and zeros."""
        by_features = self.scale * self.extension.transposed(r)
        return by_features, self.columns.t() @ r.reshape(-1)

    def trace(self) -> tuple[float, int]:
        """Returns the trace of A' A, and how many nodes take part."""
        diagonal = self.diagonal()
        return float(diagonal.sum()), int((diagonal > 0).any(dim=1).sum())

    def diagonal(self) -> Tensor:
        """Returns the diagonal of A' A, [nodes, channels]."""
        squares = self.extension.stencil.square().to(self.slopes)
        index = self.extension.index
        result = self.slopes.new_zeros(self.spec.total_nodes)
        result.index_add_(0, index.reshape(-1), squares.repeat(len(index)))
        return self.scale**2 * result[:, None].expand(-1, self.channels)


def extension_of(objective: Objective) -> Extension | None:
    """Adds the extension to the loss of a problem on another shape than a box, and returns it.

    One that is there already serves again.
    """
    if isinstance(objective.penalty, Extension):
        return objective.penalty
    domain = objective.problem.domain
    cloud = _equations_on_points(objective)
    if isinstance(domain, Box) and cloud is None:
        return None
    grid = linear_field(objective).grid
    sight = Sight.of_shape(domain) if cloud is None else Sight.of_points(cloud)
    if cloud is not None and sight.covers(domain, grid.spec):
        return None
    objective.penalty = Extension(sight, grid.spec, grid.features)
    return objective.penalty


def _equations_on_points(objective: Objective) -> Tensor | None:
    """Returns the points of the equations if no term of a problem on a box is on `Interior`.

    Then it is the points that tell where the equations hold, a part of the box as a rule.
    """
    terms = objective.problem.terms
    if not isinstance(objective.problem.domain, Box):
        return None
    inside = [i for i, term in enumerate(terms) if not isinstance(term.region, Boundary)]
    if not inside or not all(isinstance(terms[i].region, Points) for i in inside):
        return None
    highest = max(terms[i].order for i in inside)
    places = [i for i in inside if terms[i].order == highest > 0]
    if not places:
        return None
    return torch.cat([objective.points(index, 0)[0].detach().double().cpu() for index in places])
