"""The compiled gather and scatter against the reference, in every combination that could differ."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from cases import BASES, ROUNDINGS, allowed, error, make_spec, normal, points_in
from hypothesis import given, settings
from hypothesis import strategies as st

from dinfgrid_cuda import functional, reference
from dinfgrid_cuda._native import _C
from dinfgrid_cuda.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.multi_index import jet_size
from dinfgrid_cuda.spec import GridSpec

MATRIX = [
    (dim, basis, boundary)
    for dim, basis, boundary in itertools.product(
        (1, 2, 3, 4), BASES, ("ghost", "clamp", "periodic")
    )
    if allowed(basis, boundary, dim)
]


def compare(
    spec: GridSpec,
    device: str = "cpu",
    *,
    n: int = 37,
    channels: int = 2,
    order: int = 2,
    reduce: str = "concat",
    dtype: torch.dtype = torch.float64,
    outside: float = 0.1,
) -> None:
    x = points_in(spec, n, outside=outside).to(dtype)
    features = normal(spec.total_nodes, channels).to(dtype)
    levels = spec.levels if reduce == "concat" else 1
    y = normal(n, jet_size(spec.dim, order), levels * channels, seed=2).to(dtype)
    gathered = functional.gather(x.to(device), features.to(device), spec, order, reduce).cpu()
    scattered = functional.scatter(x.to(device), y.to(device), spec, order, reduce).cpu()
    x, features, y = x.double(), features.double(), y.double()
    sizes = magnitudes(x, features, y, spec, order)
    rounding = ROUNDINGS * torch.finfo(dtype).eps
    difference = (gathered - reference.gather(x, features, spec, order, reduce)).abs()
    assert (difference.amax((0, 2)) <= rounding * sizes[0]).all()
    difference = (scattered - reference.scatter(x, y, spec, order, reduce)).abs()
    assert difference.amax() <= rounding * sizes[1]


def magnitudes(
    x: torch.Tensor, features: torch.Tensor, y: torch.Tensor, spec: GridSpec, order: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest sum of absolute values that a gather adds up, per derivative [J], and a scatter.

    Rounding errors are relative to these, not to the results, which may cancel.
    """
    gathered = torch.zeros(jet_size(spec.dim, order), dtype=torch.float64)
    nodes = torch.zeros(spec.total_nodes, dtype=torch.float64)
    for level in range(spec.levels):
        weights = reference.weights(x, spec, level, order).abs()
        gathered = gathered.maximum(weights.sum(2).amax(0) * features.abs().max())
        added = torch.einsum("pjk,pj->pk", weights, y.abs().amax(2))
        nodes.index_add_(0, reference.neighbours(x, spec, level).flatten(), added.flatten())
    return gathered, nodes.max()


@pytest.mark.parametrize(("dim", "basis", "boundary"), MATRIX)
def test_every_basis_and_boundary_matches_the_reference(
    dim: int, basis: Basis, boundary: str, device: str
) -> None:
    compare(make_spec(dim, basis, boundary), device)


@pytest.mark.parametrize("reduce", ["concat", "sum"])
@pytest.mark.parametrize(("dim", "order"), [(d, n) for d in (1, 2, 3) for n in range(6)])
def test_every_order_matches_the_reference(dim: int, order: int, reduce: str, device: str) -> None:
    for basis in (Gaussian(rho=2), BSpline(5)):
        n = 5 if dim == 3 else 37  # the reference takes its time
        compare(make_spec(dim, basis, "ghost"), device, n=n, order=order, reduce=reduce)


@pytest.mark.parametrize("order", range(4))
def test_every_order_in_four_dimensions_matches_the_reference(order: int, device: str) -> None:
    compare(make_spec(4, Gaussian(rho=2), "ghost"), device, order=order)


@pytest.mark.parametrize("rho", range(1, 13))
@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
def test_every_reach_matches_the_reference(rho: int, boundary: str, device: str) -> None:
    compare(make_spec(2, Gaussian(epsilon=0.6, rho=rho), boundary), device)
    if rho <= 4:
        compare(make_spec(4, Gaussian(epsilon=0.6, rho=rho), boundary), device, n=3, order=1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7, 8, 13])
@pytest.mark.parametrize("reduce", ["concat", "sum"])
def test_every_channel_count_matches_the_reference(channels: int, reduce: str, device: str) -> None:
    for boundary in ("ghost", "clamp"):
        compare(make_spec(2, Gaussian(), boundary), device, channels=channels, reduce=reduce)
        compare(make_spec(1, Gaussian(), boundary), device, channels=channels, reduce=reduce)


@pytest.mark.parametrize(
    ("dim", "boundary"), list(itertools.product((1, 2, 3, 4), ("ghost", "clamp")))
)
def test_float32_matches_the_reference(dim: int, boundary: str, device: str) -> None:
    # Points stay inside: outside, and at a level's end, a Gaussian's quotient is ill-conditioned.
    compare(make_spec(dim, Gaussian(rho=2), boundary), device, dtype=torch.float32, outside=0.0)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 513])
def test_every_tail_of_a_block_is_computed(n: int, device: str) -> None:
    for dtype in (torch.float32, torch.float64):
        if n:
            compare(make_spec(2, Gaussian(), "ghost"), device, n=n, dtype=dtype, outside=0.0)
    empty = functional.gather(
        torch.empty(0, 2, device=device),
        torch.zeros(make_spec(2, Gaussian(), "ghost").total_nodes, 2, device=device),
        make_spec(2, Gaussian(), "ghost"),
        2,
    )
    assert empty.shape == (0, 6, 6)


@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
@pytest.mark.parametrize("basis", [Gaussian(), Gaussian(rho=12, epsilon=0.4)])
def test_a_grid_of_one_cell_matches_the_reference(basis: Basis, boundary: str, device: str) -> None:
    for dim in (1, 2):
        compare(make_spec(dim, basis, boundary, cells=(1,) * dim, levels=1), device)


@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
def test_large_levels_are_scattered_by_tiles_like_the_reference(boundary: str, device: str) -> None:
    # 36 x 42 cells and rho = 3: 7 x 8 tiles, an odd number on one axis; 1-D: 67 tiles.
    basis = Gaussian()
    compare(make_spec(2, basis, boundary, cells=(36, 42), levels=2), device, n=5000, order=1)
    compare(make_spec(1, basis, boundary, cells=(336,), levels=4), device, n=20000, order=1)
    compare(
        make_spec(3, Gaussian(rho=1), boundary, cells=(10, 7, 3), levels=1), device, n=999, order=1
    )


def test_points_on_nodes_and_corners_match_the_reference(device: str) -> None:
    for boundary in ("ghost", "clamp", "periodic"):
        spec = make_spec(
            2, Gaussian(), boundary, cells=(4, 4), lower=(-1.0, -1.0), upper=(1.0, 1.0)
        )
        axis = torch.linspace(-1, 1, 9, dtype=torch.float64)
        x = torch.cartesian_prod(axis, axis)
        features = normal(spec.total_nodes, 1)
        y = functional.gather(x.to(device), features.to(device), spec, 2).cpu()
        assert error(y, reference.gather(x, features, spec, 2)) < ROUNDINGS


@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_nan_gives_nan_and_no_bad_point_touches_another(
    bad: float, boundary: str, device: str
) -> None:
    spec = make_spec(2, Gaussian(), boundary)
    x = points_in(spec, 20).to(device)
    features = normal(spec.total_nodes, 1).to(device)
    clean = functional.gather(x, features, spec, 1)
    x[7, 1] = bad
    y = functional.gather(x, features, spec, 1)
    assert y[7, 0].isnan().all() or not math.isnan(bad)
    others = torch.arange(20, device=device) != 7
    assert torch.equal(y[others], clean[others])
    scattered = functional.scatter(x, y.nan_to_num(), spec, 1)
    assert scattered.isnan().any() or not math.isnan(bad)


def test_huge_and_distant_points_stay_in_bounds(device: str) -> None:
    for basis, boundary in ((Gaussian(), "ghost"), (BSpline(3), "periodic"), (Gaussian(), "clamp")):
        spec = make_spec(3, basis, boundary) if basis.rho < 3 else make_spec(2, basis, boundary)
        for size in (1e3, 1e10, 1e30, 1e300):
            x = size * normal(50, spec.dim).to(device)
            y = functional.gather(x, normal(spec.total_nodes, 2).to(device), spec, 2)
            functional.scatter(x, y, spec, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_outside_the_box_the_last_node_is_left(dtype: torch.dtype, device: str) -> None:
    """The limit of the edge cell's normalised Gaussians; not NaN, as powers of exp would give."""
    for boundary in ("ghost", "clamp"):
        spec = make_spec(1, Gaussian(), boundary, cells=(8,), levels=1)
        x = torch.tensor([[-1e4], [-100.0], [100.0], [1e4]], dtype=dtype, device=device)
        features = torch.arange(spec.total_nodes, dtype=dtype, device=device)[:, None]
        y = functional.gather(x, features, spec, 1)
        # A ghost grid's edge cells reach the very last nodes, a clamped one's copies of them.
        ends = torch.tensor([0, 0, features[-1, 0], features[-1, 0]], dtype=dtype, device=device)
        assert torch.allclose(y[:, 0, 0], ends, rtol=1e-6, atol=1e-6)
        assert y[:, 1].abs().max() < 1e-6


def test_memory_of_any_stride_is_accepted(device: str) -> None:
    spec = make_spec(2, Gaussian(), "ghost")
    x, features = points_in(spec, 10).to(device), normal(spec.total_nodes, 3).to(device)
    expected = functional.gather(x, features, spec, 1)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    transposed = features.t().contiguous().t()
    assert not strided.is_contiguous()
    assert not transposed.is_contiguous()
    assert torch.equal(functional.gather(strided, transposed, spec, 1), expected)
    one = torch.ones((), dtype=torch.float64, device=device)
    spread = functional.scatter(x, one.expand(10, 3, 9), spec, 1)
    whole = functional.scatter(x, torch.ones(10, 3, 9, dtype=x.dtype, device=device), spec, 1)
    assert torch.equal(spread, whole) or device == "cuda"
    assert torch.allclose(spread, whole, rtol=1e-12)


def test_scatter_is_the_adjoint_of_gather(device: str) -> None:
    for dim, basis, boundary in MATRIX:
        spec = make_spec(dim, basis, boundary)
        x = points_in(spec, 15, outside=0.1).to(device)
        features = normal(spec.total_nodes, 2).to(device)
        y = normal(15, jet_size(dim, 1), 2 * spec.levels, seed=3).to(device)
        left = (functional.gather(x, features, spec, 1) * y).sum()
        right = (features * functional.scatter(x, y, spec, 1)).sum()
        size = functional.gather(x, features, spec, 1).norm() * y.norm()
        assert abs(left - right) < 1e-13 * size


def test_scatter_does_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    try:
        for dtype in (torch.float32, torch.float64):
            spec = make_spec(2, Gaussian(), "ghost", cells=(64, 64), levels=4)
            x, y = points_in(spec, 20000).to(dtype), normal(20000, 3, 8).to(dtype)
            results = []
            for threads in (1, 2, 3, 2, 1):
                torch.set_num_threads(threads)
                results.append(functional.scatter(x, y, spec, 1))
            assert all(torch.equal(result, results[0]) for result in results)
    finally:
        torch.set_num_threads(before)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_valid_grid_matches_the_reference(data: st.DataObject) -> None:
    dim = data.draw(st.integers(1, 3), "dim")
    splines = st.builds(BSpline, st.sampled_from([1, 3, 5, 7]))
    gaussians = st.builds(
        Gaussian,
        epsilon=st.floats(0.4, 2.0),
        rho=st.integers(1, 4 if dim == 3 else 12),
        normalize=st.booleans(),
        window=st.sampled_from([None, "smooth"]),
    )
    basis = data.draw(st.one_of(splines, gaussians), "basis")
    kinds = ["ghost", "periodic"] + ([] if isinstance(basis, BSpline) else ["clamp"])
    levels = data.draw(st.integers(1, 3), "levels")
    cells = [data.draw(st.integers(1, 4)) << (levels - 1) for _ in range(dim)]
    spec = GridSpec(
        dim=dim,
        cells=tuple(cells),
        levels=levels,
        basis=basis,
        boundary=tuple(data.draw(st.sampled_from(kinds)) for _ in range(dim)),
        lower=(-1.0,) * dim,
        upper=tuple(data.draw(st.floats(-0.5, 3.0)) for _ in range(dim)),
    )
    compare(
        spec,
        n=data.draw(st.integers(1, 20), "n"),
        channels=data.draw(st.integers(1, 6), "channels"),
        order=data.draw(st.integers(0, 2), "order"),
        reduce=data.draw(st.sampled_from(["concat", "sum"]), "reduce"),
        outside=0.0,
    )


def test_tables_are_the_weights_of_the_reference() -> None:
    for dim, basis, boundary in MATRIX:
        spec = make_spec(dim, basis, boundary)
        x = points_in(spec, 11)
        axis, level = dim - 1, spec.levels - 1
        nodes, weights = _C.tables(x[:, axis], spec.ints, spec.floats, level, axis, 3)
        f, cell = reference.axis_position(x, spec, level, axis)
        index, place = reference.axis_nodes(cell, spec, level, axis)
        scale = spec.level_cells(level)[axis] / (spec.upper[axis] - spec.lower[axis])
        rows = reference.axis_rows(f, place, basis, 3)
        expected = torch.stack([row * scale**m for m, row in enumerate(rows)], dim=1)
        assert torch.equal(nodes, index)
        assert error(weights, expected) < ROUNDINGS


def test_weights_sum_to_one_and_their_derivatives_to_zero() -> None:
    for dim, basis, boundary in MATRIX:
        if not basis.normalize:
            continue
        spec = make_spec(dim, basis, boundary)
        _, weights = _C.tables(points_in(spec, 50)[:, 0], spec.ints, spec.floats, 0, 0, 5)
        sums, sizes = weights.sum(2), weights.abs().sum(2).amax(0)
        assert (sums[:, 0] - 1).abs().max() < 1e-14
        assert (sums[:, 1:].abs().amax(0) <= 1e-13 * sizes[1:] + 1e-300).all()
