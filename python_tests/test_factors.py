"""Sparse factors: by fronts, as a band, by SuperLU; which is chosen; what they are said to take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.refinement import Refined
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear import factor_estimate, factors
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.dissection import FrontSize, factor_size
from dinfgrid_cuda.solvers.linear.extension import extension_of
from dinfgrid_cuda.solvers.linear.factor_estimate import estimate_of, fronts_of
from dinfgrid_cuda.solvers.linear.factors import Need, Plan, SuperLUFactor, better, fronts_need
from dinfgrid_cuda.solvers.linear.multifrontal import Analysis, FrontalFactor
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.places import centres, intervals_of_supports, order_in_space

EPS = float(np.finfo(np.float64).eps)
CORNER = [dg.Box((-(2.0**-k),) * 2, (2.0**-k,) * 2) for k in range(1, 6)]


def grid_of(cells: Any, dim: int = 2, **options: Any) -> dg.FeatureGrid:
    options = {"basis": dg.BSpline(3), "dtype": torch.float64, **options}
    return dg.FeatureGrid(dim, cells, lower=-1.0, upper=1.0, **options)


GRIDS = {
    "plane": grid_of(20),
    "levels": grid_of(24, levels=3),
    "space": grid_of((7, 6, 9), dim=3),
    "periodic": grid_of(24, boundary="periodic"),
    "channels": grid_of(12, channels=2),
    "corner": grid_of(12, refine=CORNER),
    "layer": grid_of(16, refine=[Refined(dg.Box((-1, -1), (1, -0.5)), (0, 2))]),
    "line": grid_of(500, dim=1),
}
every_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def overlapping(spec: GridSpec, channels: int) -> Any:
    """A matrix of 1 where supports overlap, of a dominant diagonal."""
    spans = intervals_of_supports(spec)
    start, end = (np.repeat(ends[: spec.dim], channels, axis=1) for ends in spans)
    meets = np.ones((start.shape[1],) * 2, dtype=np.bool_)
    for low, high in zip(start, end, strict=True):
        meets &= (low[:, None] <= high) & (low <= high[:, None])
    matrix = meets * np.random.default_rng(0).uniform(-1, 1, meets.shape)
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, abs(matrix).sum(axis=1) + 1)
    return scipy.sparse.csr_array(matrix)


def starts_of(grid: dg.FeatureGrid) -> Any:
    return np.repeat(intervals_of_supports(grid.spec)[0], grid.channels, axis=1)


@every_grid
def test_a_factor_by_fronts_solves_one_and_several_systems(grid: dg.FeatureGrid) -> None:
    matrix = overlapping(grid.spec, grid.channels)
    factor = FrontalFactor(matrix, Analysis(matrix, starts_of(grid)))
    assert len(factor.fronts) > 3
    b = np.random.default_rng(1).standard_normal((matrix.shape[0], 3))
    several = factor.solve(b)
    # Diagonally dominant: the condition is at most about the ratio of row sums, some hundred.
    assert abs(matrix @ several - b).max() < 1e4 * EPS * abs(b).max()
    assert np.array_equal(factor.solve(b), several)
    assert abs(factor.solve(b[:, 0]) - several[:, 0]).max() < 1e3 * EPS * abs(several).max()
    again = FrontalFactor(matrix, Analysis(matrix, starts_of(grid)))
    assert np.array_equal(again.solve(b), several)


def test_places_that_say_nothing_cost_memory_and_not_correctness() -> None:
    rng = np.random.default_rng(3)
    entries = scipy.sparse.random_array((300, 300), density=0.02, rng=rng)
    matrix = scipy.sparse.csr_array(entries @ entries.T + scipy.sparse.eye_array(300))
    b = rng.standard_normal(300)
    for places in (rng.standard_normal((2, 300)), np.zeros((1, 300))):
        factor = FrontalFactor(matrix, Analysis(matrix, places))
        assert abs(matrix @ factor.solve(b) - b).max() < 1e5 * EPS


def test_a_pivot_that_is_not_positive_is_found() -> None:
    grid = GRIDS["plane"]
    matrix = overlapping(grid.spec, 1)
    # One eigenvalue crosses zero: the last pivot of some front does.
    least = scipy.sparse.linalg.eigsh(matrix, 1, sigma=0, return_eigenvectors=False)[0]
    one = scipy.sparse.eye_array(matrix.shape[0])
    for share, positive in ((0.99, True), (1.01, False)):
        shifted = (matrix - share * least * one).tocsr()
        analysis = Analysis(shifted, starts_of(grid))
        if positive:
            FrontalFactor(shifted, analysis)
        else:
            with pytest.raises(np.linalg.LinAlgError, match="a pivot is not positive"):
                FrontalFactor(shifted, analysis)
            with pytest.raises(np.linalg.LinAlgError, match="a pivot is not positive"):
                SuperLUFactor(shifted)


@every_grid
def test_the_size_is_that_of_the_factor_and_known_from_the_grid(grid: dg.FeatureGrid) -> None:
    spec, channels = grid.spec, grid.channels
    analysis = Analysis(overlapping(spec, channels), starts_of(grid))
    factor = FrontalFactor(overlapping(spec, channels), analysis)
    blocks = [*factor._corners, *factor._below]
    assert analysis.size.numbers == sum(block.size for block in blocks)
    if not spec.local:  # whose functions overlap more here than truncated ones do
        assert fronts_of(*intervals_of_supports(spec), channels) == fronts_need(analysis.size)


def test_peak_and_work_of_two_fronts_below_a_third() -> None:
    leaf, root = FrontSize(3, 2, ()), FrontSize(2, 0, (0, 1))
    size = factor_size([leaf, leaf, root])
    assert size.numbers == 2 * 3 * 5 + 2 * 2
    assert size.work == 2 * (9 + 18 + 12) + 8 / 3
    # One leaf with its update, and the other one as it is put together and eliminated.
    assert size.peak == (15 + 4) + (2 * 15 + 4)


def poisson(grid: dg.FeatureGrid, domain: Any) -> tuple[NormalOperator, DirectSystem]:
    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian + 1, order=2),
        dg.Term("rim", dg.Boundary(), lambda x, u: u.value),
    ]
    field = dg.Field(grid)
    problem = dg.LeastSquares().prepare(dg.Problem(domain, terms), field)
    objective = Objective(problem, field, 0, resample=False)
    if (extension := extension_of(objective)) is not None:
        extension.weigh(1.0)
    operator = NormalOperator(objective)
    return operator, DirectSystem(operator)


SQUARE, L_SHAPE = (
    dg.Box((-1, -1), (1, 1)),
    dg.Polygon([(-1, -1), (0, -1), (0, 0), (1, 0), (1, 1), (-1, 1)]),
)


@pytest.mark.parametrize(
    ("grid", "domain", "kind"),
    [
        (grid_of(32), SQUARE, "band"),
        (grid_of(32, levels=4), SQUARE, "fronts"),
        (grid_of(32), dg.Disk((0.0, 0.0), 0.9), "band"),
        (grid_of(24, refine=CORNER), L_SHAPE, "fronts"),
    ],
    ids=["square", "levels", "disk", "corner"],
)
def test_the_estimate_names_the_factor_that_is_made_and_its_work(
    monkeypatch: pytest.MonkeyPatch, grid: dg.FeatureGrid, domain: Any, kind: str
) -> None:
    for module in (factors, factor_estimate):
        monkeypatch.setattr(module, "AT_ONCE", 1e6)
    operator, system = poisson(grid, domain)
    plan = system.matrix.plan
    assert plan.need.kind == kind
    size = estimate_of(operator)
    assert size.unknown_count == len(system.matrix.order)
    # Truncated functions overlap less than their supports do.
    assert 0.7 * plan.need.work < size.work < (2 if grid.spec.local else 1.3) * plan.need.work
    x = np.random.default_rng(0).standard_normal(len(system.matrix.order))
    shifted = (system.matrix.scaled + scipy.sparse.eye_array(len(x))).tocsr()
    solved = plan.factorise(shifted).solve(shifted @ x)
    # Scaled to a diagonal of 1, and shifted by 1: the condition is at most the largest row sum + 1.
    condition = abs(shifted).sum(axis=1).max()
    assert abs(solved - x).max() < 100 * EPS * condition * abs(x).max()


def test_the_faster_factor_is_taken_unless_only_the_other_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    band, fronts = Need("band", 1e6, 1e9), Need("fronts", 5e5, 2e9)
    assert better(band, fronts) is band
    monkeypatch.setattr(factors, "free_memory", lambda: 7e5)
    assert better(band, fronts) is fronts
    assert better(band, Need("fronts", 2e6, 2e9)) is band
    assert better(band, Need("fronts", 2e6, 5e8)) is band


def test_a_factor_that_does_not_fit_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    _, system = poisson(grid_of(12), SQUARE)
    monkeypatch.setattr(factors, "free_memory", lambda: 1e4)
    with pytest.raises(SolveError, match="do not fit into memory as a factor"):
        system.matrix.factorize(0.0)


def test_couplings_across_space_are_left_to_superlu() -> None:
    """An arrow: eliminated last its tip costs nothing, whatever its place."""
    n = 3000
    tip, rest = np.zeros(n - 1, dtype=np.int64), np.arange(1, n)
    entries = (np.full(n - 1, 1e-3), (rest, tip))
    half = scipy.sparse.csr_array(entries, shape=(n, n))
    matrix = (half + half.T + scipy.sparse.eye_array(n)).tocsr()
    places = np.random.default_rng(0).permutation(n)[None]
    assert Plan(matrix, places, local=True).need.kind == "fronts"
    plan = Plan(matrix, places, local=False)
    assert plan.need.kind == "SuperLU"
    factor = plan.factorise(matrix)
    assert isinstance(factor, SuperLUFactor)
    b = np.ones((n, 2))
    assert abs(matrix @ factor.solve(b) - b).max() < 1e3 * EPS


@pytest.mark.parametrize("boundary", ["ghost", "periodic"])
def test_functions_are_ordered_by_the_middle_of_their_support(boundary: str) -> None:
    spec = grid_of(
        (8, 6),
        levels=2,
        boundary=boundary,
        refine=[dg.Box((-0.5, -1), (0.5, 0)), dg.Box((-0.25, -1), (0.25, 0))],
    ).spec
    middle = centres(spec)
    for level in range(spec.levels):
        own = slice(spec.level_offset(level), spec.level_offset(level) + spec.level_size(level))
        lower, scale = spec.level_box(level)[0][0], spec.level_scale(level)[0]
        nodes = spec.level_nodes(level)
        shift = 1 if spec.level_boundary(level)[0] == "ghost" else 0
        expected = lower + (np.arange(nodes[0]) - shift) / scale
        x = -1 + 2 * middle[0, own].reshape(nodes)[:, 0] / (8 << 2)
        assert x == pytest.approx(expected, abs=1e-14)
    order = order_in_space(spec, 2)
    assert sorted(order) == list(range(2 * spec.total_nodes))
    along = middle[0][order // 2]
    if boundary == "periodic":
        along = np.minimum(2 * along, 2 * ((8 << 2) - along) - 1)
    assert (np.diff(along) >= 0).all()
