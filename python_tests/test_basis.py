"""The one-dimensional bases: arguments, and the mathematics of the reference tables."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import Tensor

from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.tables import basis_tables, basis_weights

BASES: list[Basis] = [
    Gaussian(),
    Gaussian(epsilon=0.5, rho=12),
    Gaussian(epsilon=2.0, rho=1),
    Gaussian(window="smooth"),
    Gaussian(epsilon=0.7, rho=5, window="smooth"),
    *[BSpline(degree) for degree in (1, 3, 5, 7)],
]


def tables_of(basis: Basis, f: Tensor, order: int) -> list[Tensor]:
    """Table of a cell far from any boundary."""
    place = torch.arange(basis.nodes) - (basis.rho - 1)
    return basis_tables(f, place.expand(f.shape[0], -1), basis, order)


def positions() -> Tensor:
    inner = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), inner])


@pytest.mark.parametrize(
    "arguments",
    [
        {"epsilon": 0.0},
        {"epsilon": -1.0},
        {"epsilon": 8.5},
        {"epsilon": math.nan},
        {"epsilon": "1"},
        {"epsilon": True},
        {"rho": 0},
        {"rho": 13},
        {"rho": 2.0},
        {"rho": True},
        {"window": "hann"},
    ],
)
def test_gaussian_refuses_arguments_outside_the_range(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"Gaussian: {next(iter(arguments))}"):
        Gaussian(**arguments)  # type: ignore[arg-type]


def test_gaussian_refuses_a_normalize_that_is_no_bool() -> None:
    with pytest.raises(TypeError, match="normalize"):
        Gaussian(normalize=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("degree", [0, 2, 4, 9, -1, 5.0, "5", True])
def test_bspline_refuses_other_degrees(degree: object) -> None:
    with pytest.raises(ValueError, match="BSpline: degree"):
        BSpline(degree)  # type: ignore[arg-type]


def test_bases_are_immutable_values() -> None:
    assert Gaussian(1, 3) == Gaussian(1.0, 3)
    assert hash(Gaussian(1)) == hash(Gaussian(1.0))
    assert BSpline(5) != BSpline(3)
    with pytest.raises(FrozenInstanceError):
        Gaussian().rho = 4  # type: ignore[misc]


def test_codes_and_reach_are_those_of_the_contract() -> None:
    bases: list[Basis] = [Gaussian(), Gaussian(window="smooth"), BSpline(7)]
    assert [b.kind for b in bases] == [0, 1, 2]
    assert [b.rho for b in bases] == [3, 3, 4]
    assert [b.nodes for b in bases] == [6, 6, 8]


@pytest.mark.parametrize("basis", BASES, ids=repr)
def test_weights_sum_to_one_and_derivatives_to_zero(basis: Basis) -> None:
    for m, row in enumerate(tables_of(basis, positions(), 5)):
        # Rounding: 2 rho terms of the size of the largest entry.
        tolerance = basis.nodes * 50 * torch.finfo(row.dtype).eps * max(1.0, row.abs().max())
        assert (row.sum(dim=1) - float(m == 0)).abs().max() <= tolerance


@pytest.mark.parametrize("basis", BASES, ids=repr)
def test_table_is_mirror_symmetric(basis: Basis) -> None:
    f = positions()
    for m, (row, mirrored) in enumerate(
        zip(tables_of(basis, f, 4), tables_of(basis, 1 - f, 4), strict=True)
    ):
        scale = max(1.0, row.abs().max())
        assert (row - (-1) ** m * mirrored.flip(1)).abs().max() <= 1e-12 * scale


def test_gaussian_derivatives_match_the_cumulant_formulae() -> None:
    basis, f = Gaussian(epsilon=0.9, rho=4), positions()
    rows = tables_of(basis, f, 4)
    a, d, w = -2 * 0.9**2, f[:, None] - (torch.arange(8) - 3), rows[0]
    mean = (w * d).sum(1, keepdim=True)
    c = d - mean
    k2, k3, m4 = ((w * c**m).sum(1, keepdim=True) for m in (2, 3, 4))
    k4 = m4 - 3 * k2**2
    closed = [
        a * c * w,
        a**2 * (c**2 - k2) * w,
        a**3 * (c**3 - 3 * k2 * c - k3) * w,
        a**4 * (c**4 - 6 * k2 * c**2 - 4 * k3 * c + 3 * k2**2 - k4) * w,
    ]
    for row, expected in zip(rows[1:], closed, strict=True):
        torch.testing.assert_close(row, expected, rtol=1e-11, atol=1e-12)


def test_gaussian_weights_are_the_quotient_of_the_paper() -> None:
    at = torch.tensor([0.3], dtype=torch.float64)
    (weights,) = tables_of(Gaussian(epsilon=1.3, rho=2), at, 0)
    phi = [math.exp(-((1.3 * (0.3 - k)) ** 2)) for k in (-1, 0, 1, 2)]
    expected = torch.tensor([[p / sum(phi) for p in phi]], dtype=torch.float64)
    torch.testing.assert_close(weights, expected, rtol=1e-14, atol=0)


def test_raw_gaussian_is_not_divided() -> None:
    basis = Gaussian(epsilon=1.3, rho=2, normalize=False)
    (weights,) = tables_of(basis, torch.tensor([0.3], dtype=torch.float64), 0)
    phi = [[math.exp(-((1.3 * (0.3 - k)) ** 2)) for k in (-1, 0, 1, 2)]]
    torch.testing.assert_close(weights, torch.tensor(phi, dtype=torch.float64))


@pytest.mark.parametrize(
    ("degree", "at_node"),
    [(1, [1, 0]), (3, [1 / 6, 4 / 6, 1 / 6, 0]), (5, [1, 26, 66, 26, 1, 0])],
)
def test_bspline_values_at_a_node_are_the_known_ones(degree: int, at_node: list[float]) -> None:
    (weights,) = tables_of(BSpline(degree), torch.zeros(1, dtype=torch.float64), 0)
    expected = torch.tensor([at_node], dtype=torch.float64)
    torch.testing.assert_close(weights, expected / expected.sum(), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("degree", [1, 3, 5, 7])
def test_bspline_is_smooth_across_a_face_up_to_its_degree_less_one(degree: int) -> None:
    ends = tables_of(BSpline(degree), torch.tensor([1.0, 0.0], dtype=torch.float64), 5)
    for m, row in enumerate(ends):
        # Node k of the left cell is node k - 1 of the right one.
        jump = (row[0, 1:] - row[1, :-1]).abs().max() + row[0, 0].abs() + row[1, -1].abs()
        assert (jump < 1e-11) == (m < degree or m > degree)


def test_smooth_window_makes_every_derivative_continuous() -> None:
    basis = Gaussian(window="smooth")
    ends = tables_of(basis, torch.tensor([1.0, 0.0], dtype=torch.float64), 5)
    for row in ends:
        torch.testing.assert_close(row[0, 1:], row[1, :-1], rtol=1e-11, atol=1e-11)
        assert row[0, 0] == 0
        assert row[1, -1] == 0


@pytest.mark.parametrize(("order", "jump"), [(0, 1e-4), (2, 3.5e-3), (4, 0.1)])
def test_plain_gaussian_jumps_as_documented(order: int, jump: float) -> None:
    row = tables_of(Gaussian(), torch.tensor([1.0, 0.0], dtype=torch.float64), order)[order]
    measured = (row[0, 1:] - row[1, :-1]).abs().max() + row[0, 0].abs()
    assert jump / 4 < measured < 4 * jump


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smooth_window_stays_finite_up_to_its_reach(dtype: torch.dtype) -> None:
    basis = Gaussian(window="smooth", normalize=False)
    edge = torch.tensor([0.0, 1e-7, 1e-5, 1e-3, 1e-2, 0.03, 0.1], dtype=dtype)
    for f in (edge, 1 - edge):
        leaf = f.clone().requires_grad_()
        row = tables_of(basis, leaf, 5)[5]
        (slope,) = torch.autograd.grad(row.sum(), leaf)
        assert row.isfinite().all()
        assert slope.isfinite().all()


def test_points_far_outside_do_not_divide_zero_by_zero() -> None:
    f = torch.tensor([-60.0, 60.0], dtype=torch.float32)
    weights = basis_weights(f, (torch.arange(6) - 2).expand(2, -1), Gaussian())
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    assert weights[0, 0] == 1
    assert weights[1, 5] == 1
