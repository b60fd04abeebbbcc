# ruff: noqa: F401 pytest collects what is imported
"""The kernel tests with the deterministic scatter, by the CUDA kernels on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from cases import make_spec, normal, points_in
from cuda_on_host.library import cuda_on_host
from test_kernel_edges import (
    test_a_fine_grid_of_little_reach_scatters_like_the_reference,
    test_a_grid_of_one_cell_matches_the_reference,
    test_a_point_that_is_not_finite_gives_nan_and_touches_no_other,
    test_every_tail_of_a_block_is_computed,
    test_huge_and_distant_points_stay_in_bounds,
    test_memory_of_any_stride_is_accepted,
)
from test_kernels import (
    test_every_basis_and_boundary_matches_the_reference,
    test_every_channel_count_matches_the_reference,
    test_every_order_in_four_dimensions_matches_the_reference,
    test_every_order_matches_the_reference,
    test_every_reach_matches_the_reference,
    test_float32_matches_the_reference,
    test_large_levels_are_scattered_by_tiles_like_the_reference,
    test_scatter_is_the_adjoint_of_gather,
)

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import Gaussian


@pytest.fixture
def sorted_on_host(kernels_on_host: None) -> Iterator[str]:
    torch.use_deterministic_algorithms(True)
    try:
        with cuda_on_host():
            yield "cpu"
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.fixture(params=[pytest.param("deterministic", marks=pytest.mark.slow)])
def device(sorted_on_host: str) -> str:
    """That of the tests that are imported; in quick runs the one below stands for them."""
    return sorted_on_host


def test_a_run_of_points_in_another_order_differs_in_rounding_only(
    sorted_on_host: str,
) -> None:
    spec = make_spec(2, Gaussian(), "ghost")
    x, y = points_in(spec, 300), normal(300, 3, 2 * spec.levels)
    shuffled = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    straight = functional.scatter(x, y, spec, 1)
    assert torch.equal(functional.scatter(x, y, spec, 1), straight)
    permuted = functional.scatter(x[shuffled], y[shuffled], spec, 1)
    assert not torch.equal(permuted, straight)
    assert torch.allclose(permuted, straight, rtol=1e-12, atol=1e-12)
