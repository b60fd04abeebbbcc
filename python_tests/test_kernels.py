"""The compiled gather and scatter against the reference, in every combination that could differ."""

from __future__ import annotations

import itertools

import pytest
import torch
from cases import MATRIX, compare, make_spec, normal, points_in
from hypothesis import given, settings
from hypothesis import strategies as st

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec


@pytest.mark.parametrize(("dim", "basis", "boundary"), MATRIX)
def test_every_basis_and_boundary_matches_the_reference(
    dim: int, basis: Basis, boundary: str, device: str
) -> None:
    compare(make_spec(dim, basis, boundary), device)


@pytest.mark.parametrize("reduce", ["concat", "sum"])
@pytest.mark.parametrize(
    ("dim", "order"),
    [
        pytest.param(d, n, marks=[pytest.mark.slow] if d + n > 6 else [])
        for d in (1, 2, 3)
        for n in range(6)
    ],
)
def test_every_order_matches_the_reference(dim: int, order: int, reduce: str, device: str) -> None:
    for basis in (Gaussian(rho=2), BSpline(5)):
        n = 5 if dim == 3 else 37  # the reference takes its time
        compare(make_spec(dim, basis, "ghost"), device, n=n, order=order, reduce=reduce)


@pytest.mark.parametrize("order", range(4))
def test_every_order_in_four_dimensions_matches_the_reference(order: int, device: str) -> None:
    compare(make_spec(4, Gaussian(rho=2), "ghost"), device, order=order)


@pytest.mark.parametrize(
    "rho", [pytest.param(r, marks=[pytest.mark.slow] * (r not in (1, 3, 12))) for r in range(1, 13)]
)
@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
def test_every_reach_matches_the_reference(rho: int, boundary: str, device: str) -> None:
    compare(make_spec(2, Gaussian(epsilon=0.6, rho=rho), boundary), device)
    if rho <= 4:
        compare(make_spec(4, Gaussian(epsilon=0.6, rho=rho), boundary), device, n=3, order=1)


@pytest.mark.parametrize(
    "channels",
    [pytest.param(c, marks=[pytest.mark.slow] * (c > 4)) for c in (1, 2, 3, 4, 5, 7, 8, 13)],
)
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


@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
def test_large_levels_are_scattered_by_tiles_like_the_reference(boundary: str, device: str) -> None:
    # 36 x 42 cells and rho = 3: 7 x 8 tiles, an odd number on one axis; 1-D: 67 tiles.
    basis = Gaussian()
    compare(make_spec(2, basis, boundary, cells=(36, 42), levels=2), device, n=5000, order=1)
    compare(make_spec(1, basis, boundary, cells=(336,), levels=4), device, n=20000, order=1)
    compare(
        make_spec(3, Gaussian(rho=1), boundary, cells=(10, 7, 3), levels=1), device, n=999, order=1
    )


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


@pytest.mark.slow
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
    # With one node on each side, slopes near the window's end are as small as they are uncertain.
    gaussians = gaussians.filter(lambda gaussian: gaussian.window is None or gaussian.rho > 1)
    basis = data.draw(st.one_of(splines, gaussians), "basis")
    kinds = ["ghost", "periodic"] + ([] if isinstance(basis, BSpline) else ["clamp"])
    levels = data.draw(st.integers(1, 3), "levels")
    most = 40 if dim < 3 else 4
    cells = [data.draw(st.integers(1, most)) << (levels - 1) for _ in range(dim)]
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
        n=data.draw(st.integers(1, 60), "n"),
        channels=data.draw(st.integers(1, 6), "channels"),
        order=data.draw(st.integers(0, 4 if dim == 1 else 2), "order"),
        reduce=data.draw(st.sampled_from(["concat", "sum"]), "reduce"),
        outside=0.0,
    )
