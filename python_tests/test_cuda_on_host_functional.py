# ruff: noqa: F401 pytest collects what is imported
"""Derivatives of every mode, and grids that hypothesis draws, by the CUDA kernels on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cuda_on_host.library import cuda_on_host
from test_functional import (
    test_autocast_computes_in_float32,
    test_five_derivatives_by_autograd_are_right_and_the_sixth_is_refused,
    test_gradient_of_a_laplacian_loss_matches_the_reference,
    test_gradients_by_the_features_work_through_vmap,
    test_gradients_of_first_and_second_order_pass_gradcheck,
    test_lazily_negated_tensors_are_read_with_their_sign,
    test_only_asked_for_gradients_are_given,
    test_operators_pass_opcheck,
    test_third_order_gradients_pass_gradcheck_cotangents_included,
    test_torch_compile_takes_a_whole_loss_in_one_graph,
    test_torch_func_agrees_with_the_jet,
    test_vmap_is_a_loop,
)
from test_kernels import test_any_valid_grid_matches_the_reference


@pytest.fixture(autouse=True, scope="module")
def _cuda_on_host(kernels_on_host: None) -> Iterator[None]:
    with cuda_on_host():
        yield
