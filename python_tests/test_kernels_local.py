"""The compiled kernels on grids with levels on boxes of their own, against the reference."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from cases import compare, make_local_spec, make_spec, normal, points_in
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels import reference, tables
from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.local_level import LocalLevel
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec

BASES: tuple[Basis, ...] = (BSpline(1), BSpline(3), BSpline(7), Gaussian(rho=2, window="smooth"))
MIXED = ("periodic", "ghost", "periodic", "ghost")


@pytest.fixture
def device() -> str:
    """The CPU alone: CUDA refuses local levels."""
    return "cpu"


def blocks(per_axis: int = 8) -> GridSpec:
    """A grid of 16 x 16 cells of [0, 1]^2 with blocks side by side, each on half of its share."""
    share = 32 // per_axis
    local = tuple(
        LocalLevel((share * i + share // 4, share * j), (share // 2,) * 2, (1, 1))
        for i, j in itertools.product(range(per_axis), repeat=2)
    )
    corners = {"lower": (0.0, 0.0), "upper": (1.0, 1.0)}
    levels = 1 + len(local)
    return make_spec(2, BSpline(3), "ghost", cells=(16, 16), levels=levels, local=local, **corners)


def local_features(spec: GridSpec, channels: int = 1) -> Tensor:
    """Random features of the local levels; those of the global ones are zero."""
    features = normal(spec.total_nodes, channels)
    features[: spec.level_offset(spec.global_levels)] = 0
    return features


@pytest.mark.parametrize("boundary", ["ghost", "periodic", "mixed"])
@pytest.mark.parametrize(
    ("dim", "basis"),
    [(dim, basis) for dim in (1, 2, 3, 4) for basis in (BASES if dim < 3 else BASES[1:2])],
)
def test_local_levels_match_the_reference(
    dim: int, basis: Basis, boundary: str, device: str
) -> None:
    spec = make_local_spec(dim, basis, MIXED[:dim] if boundary == "mixed" else boundary)
    n = 37 if dim < 3 and basis.kind == BSpline(1).kind else 9  # the reference takes its time
    for reduce, dtype in (("concat", torch.float64), ("sum", torch.float64)):
        compare(spec, device, n=n, reduce=reduce, dtype=dtype, order=min(2, 2 * basis.rho - 1))
    compare(spec, device, n=n, order=1, dtype=torch.float32, outside=0.0)


@pytest.mark.parametrize(
    ("dim", "order"),
    [
        pytest.param(dim, order, marks=[pytest.mark.slow] * (dim + order > 6))
        for dim in (1, 2, 3, 4)
        for order in range(4 if dim == 4 else 6)
    ],
)
def test_every_order_of_local_levels_matches_the_reference(
    dim: int, order: int, device: str
) -> None:
    basis = BSpline(7) if dim < 3 else BSpline(3)
    for reduce in ("concat", "sum"):
        compare(make_local_spec(dim, basis, MIXED[:dim]), device, n=5, order=order, reduce=reduce)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
def test_every_channel_count_of_local_levels_matches_the_reference(
    channels: int, device: str
) -> None:
    for reduce in ("concat", "sum"):
        spec = make_local_spec(2, BSpline(3), "ghost")
        compare(spec, device, channels=channels, reduce=reduce)


@pytest.mark.parametrize("per_axis", [4, 8])
def test_sixteen_and_sixty_four_blocks_match_the_reference(per_axis: int, device: str) -> None:
    for reduce, dtype in (("concat", torch.float32), ("sum", torch.float64)):
        compare(blocks(per_axis), device, n=100, order=1, reduce=reduce, dtype=dtype)


@pytest.mark.parametrize("boundary", ["ghost", "periodic"])
def test_a_level_holds_its_lower_faces_and_nothing_beyond_its_upper_ones(
    boundary: str, device: str
) -> None:
    corners = {"lower": (-1.0, 0.0), "upper": (1.0, 2.0)}  # faces are exact in binary
    spec = make_local_spec(2, BSpline(1), boundary, **corners)
    axes = []
    for axis in range(2):
        ends = torch.tensor(
            [corner[axis] for level in range(spec.levels) for corner in spec.level_box(level)],
            dtype=torch.float64,
        ).unique()
        # One step of the numbers below each face too; and outside the grid, a period or less.
        below = torch.nextafter(ends, torch.tensor(-math.inf, dtype=torch.float64))
        axes.append(torch.cat([ends, below, ends - 0.0625, ends[:3] + 2, ends[1:3] - 4]))
    x = torch.cartesian_prod(*axes)
    for level in range(spec.global_levels, spec.levels):
        features = torch.zeros(spec.total_nodes, 1, dtype=torch.float64)
        features[spec.level_offset(level) :][: spec.level_size(level)] = 1
        y = functional.gather(x.to(device), features.to(device), spec).cpu()[:, 0, 0]
        inside = tables.within(x, spec, level)
        assert inside is not None
        assert 0 < inside.sum() < len(x)
        assert (y[~inside] == 0).all()
        assert (y[inside] - 1).abs().max() < 1e-12
        outside = x[~inside].to(device)
        back = functional.scatter(outside, outside.new_ones(len(outside), 1, 2), spec)
        assert (back[spec.level_offset(level) :][: spec.level_size(level)] == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("boundary", ["ghost", "periodic"])
def test_points_that_are_not_finite_are_treated_as_by_the_reference(
    bad: float, boundary: str, device: str
) -> None:
    spec = make_local_spec(2, BSpline(3), boundary)
    x, features = points_in(spec, 30), local_features(spec)
    ones = torch.ones(30, 3, 2, dtype=torch.float64)
    clean = functional.gather(x.to(device), features.to(device), spec, 1).cpu()
    x[7, 1] = bad
    y = functional.gather(x.to(device), features.to(device), spec, 1).cpu()
    assert y[7].isnan().all()  # by the global levels, whose weights are NaN
    others = torch.arange(30) != 7
    assert torch.equal(y[others], clean[others])
    back = functional.scatter(x.to(device), ones.to(device), spec, 1).cpu()
    expected = reference.scatter(x, ones, spec, 1)
    assert torch.equal(back.isnan(), expected.isnan())


def test_features_that_are_not_finite_stay_in_their_level(device: str) -> None:
    spec = make_local_spec(2, BSpline(3), "ghost")
    x, features = points_in(spec, 200), normal(spec.total_nodes, 1)
    level = spec.levels - 1
    features[spec.level_offset(level) :] = math.nan
    y = functional.gather(x.to(device), features.to(device), spec, 1, "sum").cpu()
    inside = tables.within(x, spec, level)
    assert inside is not None
    assert 0 < inside.sum() < 200
    assert torch.equal(y.isnan().any(2).any(1), inside)


@pytest.mark.parametrize("n", [0, 1, 3, 8, 9, 2047, 2049])
def test_every_tail_of_a_run_of_points_is_computed(n: int, device: str) -> None:
    spec = blocks(2)
    x, features = points_in(spec, n), normal(spec.total_nodes, 2)
    for dtype in (torch.float32, torch.float64):
        if n:
            compare(spec, device, n=n, order=1, dtype=dtype, outside=0.0)
    y = functional.gather(x.to(device), features.to(device), spec, 1)
    assert y.shape == (n, 3, 2)
    assert functional.scatter(x.to(device), y, spec, 1).shape == (spec.total_nodes, 2)


@pytest.mark.parametrize("reduce", ["concat", "sum"])
def test_scatter_is_the_transpose_of_gather_on_local_levels(reduce: str, device: str) -> None:
    spec = make_local_spec(2, BSpline(5), ("periodic", "ghost"))
    x, features = points_in(spec, 500, outside=0.2).to(device), normal(spec.total_nodes, 2)
    y = functional.gather(x, features.to(device), spec, 2, reduce)
    other = normal(*y.shape, seed=3)
    left = (y.cpu() * other).sum()
    right = (features * functional.scatter(x, other.to(device), spec, 2, reduce).cpu()).sum()
    # Both are sums of as many products, bounded by this number.
    size = (y.cpu() * other).abs().sum()
    assert (left - right).abs() < 1e-12 * size


def many_points() -> tuple[GridSpec, Tensor]:
    """Local levels that are scattered by tiles, by copies and as a whole, and 30000 points."""
    local = (
        LocalLevel((8, 8), (100, 90), (2, 2)),
        LocalLevel((4, 0), (8, 8), (1, 0)),
        LocalLevel((40, 40), (8, 8), (2, 2)),
    )
    spec = make_spec(2, BSpline(3), ("periodic", "ghost"), cells=(32, 32), levels=4, local=local)
    return spec, points_in(spec, 30000)


def test_many_points_in_local_levels_match_the_reference(device: str) -> None:
    spec, _ = many_points()
    compare(spec, device, n=30000, channels=1, order=1)


def test_scatter_to_local_levels_does_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    spec, x = many_points()
    y = normal(len(x), 3, 1)
    try:
        for dtype in (torch.float32, torch.float64):
            results = []
            for threads in (1, 2, 3, 2, 1):
                torch.set_num_threads(threads)
                results.append(functional.scatter(x.to(dtype), y.to(dtype), spec, 1))
            assert all(torch.equal(result, results[0]) for result in results)
    finally:
        torch.set_num_threads(before)


def test_memory_of_any_stride_is_accepted_on_local_levels(device: str) -> None:
    spec = make_local_spec(2, BSpline(3), "ghost")
    x, features = points_in(spec, 40).to(device), normal(spec.total_nodes, 3).to(device)
    expected = functional.gather(x, features, spec, 1)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    transposed = features.t().contiguous().t()
    assert not strided.is_contiguous()
    assert torch.equal(functional.gather(strided, transposed, spec, 1), expected)


def test_a_level_of_forty_halvings_keeps_the_digits_of_its_points(device: str) -> None:
    """A point's coordinate is taken from the level's own corner, where numbers are exact."""
    spec = make_spec(
        1,
        BSpline(3),
        "ghost",
        cells=(4,),
        levels=2,
        lower=(0.0,),
        upper=(4.0,),
        local=(LocalLevel((2**40,), (8,), (40,)),),
    )
    t = torch.linspace(0, 8, 65, dtype=torch.float64)[:-1]
    x = 1 + t[:, None] * 2.0**-40
    features = local_features(spec)
    y = functional.gather(x.to(device), features.to(device), spec, 3).cpu()
    own = make_spec(1, BSpline(3), "ghost", cells=(8,), levels=1, lower=(0.0,), upper=(8.0,))
    expected = functional.gather(t[:, None], features[-own.total_nodes :], own, 3)
    scale = 2.0 ** (40 * torch.arange(jet_size(1, 3)))[:, None]
    assert torch.equal(y, expected * scale)
