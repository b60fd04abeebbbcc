"""Fixtures of all tests: tests that take `device` run on the CPU and, where there is one, a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import dinfgrid_cuda

HAS_GPU = torch.cuda.is_available() and dinfgrid_cuda.functional.KERNEL_DEVICES == ("cpu", "cuda")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not HAS_GPU:
        pytest.skip("needs a CUDA build and a GPU")
    return str(request.param)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny solves gain nothing from threads, and lose much where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
