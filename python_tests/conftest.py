"""Fixtures of all tests: tests that take `device` run on the CPU and, where there is one, a GPU.

Without a GPU the CUDA kernels run on the CPU, compiled by the C++ compiler (cuda_on_host).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from cuda_on_host.library import cuda_on_host, flavour, load

import dinfgrid_cuda

HAS_GPU = torch.cuda.is_available() and dinfgrid_cuda.functional.KERNEL_DEVICES == ("cpu", "cuda")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every run, whatever tests were before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def kernels_on_host() -> None:
    """Compiles the CUDA kernels for the CPU, once; a failure fails all tests that ask for them."""
    if flavour() == "off":
        pytest.skip("DINFGRID_CUDA_ON_HOST=off")
    load("kernels")


@pytest.fixture(
    params=[
        "cpu",
        pytest.param("cuda", marks=pytest.mark.gpu),
        # in quick runs test_cuda_on_host*.py stands for these
        pytest.param("cuda-on-host", marks=pytest.mark.slow),
    ]
)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where tensors go; kernels of "cuda-on-host" take tensors of the CPU."""
    if request.param == "cuda" and not HAS_GPU:
        pytest.skip("needs a CUDA build and a GPU")
    if request.param != "cuda-on-host":
        yield str(request.param)
        return
    request.getfixturevalue("kernels_on_host")
    with cuda_on_host():
        yield "cpu"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny solves gain nothing from threads, and lose much where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
