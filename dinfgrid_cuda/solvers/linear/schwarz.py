"""A preconditioner for shapes: overlapping boxes of features, and a coarse grid.

The two-level additive Schwarz method (A. Toselli, O. Widlund, Domain Decomposition Methods, 2005):
P^-1 is the sum over boxes of features of the inverse of their block of A' A, plus that of the same
problem on a coarser grid. The blocks are factorised in double precision; the inverses of their
factors are kept in single precision, which leaves the sum symmetric and positive.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.solvers.errors import SolveError

from .box_assembly import BoxBlocks
from .direct import DirectSystem
from .feature_boxes import FeatureBoxes
from .memory import free_memory
from .nested_grid import NestedGrid, coarse_system
from .normal_operator import NormalOperator
from .taking_part import nodes_taking_part

# Shifts of a block relative to its diagonal; the first that makes it definite is taken.
SHIFTS = (1e-12, 1e-10, 1e-8, 1e-6)
# Boxes are stored together with those of as many features up to a multiple of this.
MULTIPLE = 64


class Schwarz:
    """Applies P^-1 to vectors of unknowns.

    Args:
        normal: the problem, linearised; `suits_boxes`.
        damping: relative to the diagonal.
    """

    def __init__(self, normal: NormalOperator, damping: float = 0.0) -> None:
        self.damping, self.feature_count = damping, normal.feature_count
        boxes = FeatureBoxes(normal.spec)
        _check_fits(boxes, normal)
        self.groups = _groups(BoxBlocks(normal, boxes), damping, normal.feature_count)
        device = normal.operators[0].slopes.device
        self.groups = [(index.to(device), roots.to(device)) for index, roots in self.groups]
        self.grid: NestedGrid | None = None
        self.coarse: DirectSystem | None = None
        if normal.spec.total_nodes > boxes.size[0] ** normal.spec.dim:
            self.grid = NestedGrid(normal.spec)
            self.coarse = coarse_system(normal, self.grid)
        corner = sum(operator.columns.square().sum(dim=0) for operator in normal.operators)
        assert isinstance(corner, Tensor)
        self.corner = torch.where(corner > 0, 1 / ((1 + damping) * corner), 0.0)

    def __call__(self, r: Tensor) -> Tensor:
        """Returns P^-1 r of r [unknowns]."""
        of_features = r[: self.feature_count]
        # Single precision ends at 1e-38.
        size = of_features.abs().max().clamp(min=1e-300)
        padded = torch.cat([of_features / size, of_features.new_zeros(1)])
        total = torch.zeros_like(padded)
        for index, roots in self.groups:
            local = padded[index].float()[:, :, None]
            solved = torch.bmm(roots.transpose(1, 2), torch.bmm(roots, local))
            total.index_add_(0, index.reshape(-1), solved.reshape(-1).to(total))
        result = size * total[:-1]
        if self.grid is not None and self.coarse is not None:
            coarse = self.grid.restricted(of_features)
            solved_coarse = self.coarse.solve_features(coarse.cpu().numpy(), self.damping)
            result = result + self.grid.prolonged(torch.from_numpy(solved_coarse).to(r))
        return torch.cat([result, self.corner.to(r) * r[self.feature_count :]])


def suits_boxes(normal: NormalOperator) -> bool:
    """Whether the features have boxes: B-splines of one level, not periodic, on 2 or 3 axes.

    On one axis a factor takes next to nothing.
    """
    spec = normal.spec
    plain = spec.levels == 1 and isinstance(spec.basis, BSpline) and spec.dim in (2, 3)
    ghosts = all(boundary == "ghost" for boundary in spec.boundary)
    return plain and ghosts and all(operator.local for operator in normal.operators)


def _check_fits(boxes: FeatureBoxes, normal: NormalOperator) -> None:
    """Raises SolveError if the factors of the boxes will not fit into memory."""
    part = float(nodes_taking_part(normal).mean())
    size = (len(boxes.shifts) * normal.channels) ** 2
    needed, free = 4.0 * part * boxes.count * size, free_memory()
    if needed > free:
        raise SolveError(
            f"solve: the factors of overlapping boxes of {normal.feature_count * part:,.0f} "
            f"features will take about {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free; "
            "use fewer cells, or method='lbfgs'."
        )


def _groups(blocks: BoxBlocks, damping: float, feature_count: int) -> list[tuple[Tensor, Tensor]]:
    """Returns the features [m, n] and inverted factors [m, n, n] of boxes of like sizes.

    Missing features of a box have the number ``feature_count``.
    """
    kept: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for features, block in blocks:
        active = block.diagonal() > 0
        count = int(active.sum())
        if not count:
            continue
        size = -(-count // MULTIPLE) * MULTIPLE
        root = torch.zeros(size, size)
        root[:count, :count] = _inverted_factor(block[active][:, active], damping)
        index = torch.full((size,), feature_count)
        index[:count] = features[active]
        kept.setdefault(size, []).append((index, root))
    groups = []
    for size in sorted(kept):
        some = kept.pop(size)
        groups.append((torch.stack([i for i, _ in some]), torch.stack([root for _, root in some])))
    return groups


def _inverted_factor(block: Tensor, damping: float) -> Tensor:
    """Returns L^-1 of a block [n, n] = L L', float32."""
    scale = block.diagonal().rsqrt()
    scaled = scale[:, None] * block * scale
    for shift in SHIFTS:
        shifted = scaled + max(damping, shift) * torch.eye(len(block), dtype=block.dtype)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        if not failed:
            unit = torch.diag(scale)
            inverted: Tensor = torch.linalg.solve_triangular(factor, unit, upper=False)
            return inverted.float()
    raise SolveError("solve: a block of the least-squares matrix holds NaN or is not positive.")
