"""The compiled kernels behind the functions of `dinfgrid_cuda._C`, on CPU tensors.

The environment variable DINFGRID_CUDA_ON_HOST chooses the flavour that build.py describes.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from dinfgrid_cuda.kernels import autograd, torch_ops
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.native import _C
from dinfgrid_cuda.kernels.packed_grid import dim_of, levels_of, total_nodes

from .build import build

ERRORS = {1: "invalid argument", 9: "invalid configuration argument", 719: "launch failure"}


class KernelError(RuntimeError):
    """A launch that CUDA would refuse, or what is wrong with a kernel."""


@cache
def flavour() -> str:
    return os.environ.get("DINFGRID_CUDA_ON_HOST", "checked")


@cache
def load(name: str) -> ctypes.CDLL:
    """libkernels.so or libprobes.so, compiled if need be."""
    library = ctypes.CDLL(str(build(flavour(), name=name)))
    library.on_host_finding.restype = ctypes.c_char_p
    return library


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def exact(tensor: Tensor) -> Tensor:
    """A copy in memory of its own and of no more than its size, so that an overrun is found."""
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())


def call(
    library: ctypes.CDLL,
    function: str,
    arguments: Sequence[Any],
    inputs: dict[str, Tensor],
    outputs: dict[str, Tensor],
) -> None:
    """Calls a launcher with `arguments`, tensors as pointers; raises what it returns or finds.

    Args:
        inputs, outputs: all arrays that its kernels may touch.
    """
    for writable, arrays in enumerate((inputs, outputs)):
        for name, array in arrays.items():
            size = ctypes.c_size_t(array.numel() * array.element_size())
            library.on_host_array(name.encode(), pointer(array), size, writable)
    try:
        error = library[function](*(pointer(a) if isinstance(a, Tensor) else a for a in arguments))
    finally:
        library.on_host_forget_arrays()
    if error:
        finding = library.on_host_finding().decode()
        raise KernelError(f"{function}: {ERRORS.get(error, error)}: {finding}")


class Packed:
    """A grid's numbers as C arrays."""

    def __init__(self, ints: Sequence[int], floats: Sequence[float]) -> None:
        self.arguments = (
            (ctypes.c_int64 * len(ints))(*ints),
            (ctypes.c_double * len(floats))(*floats),
        )


def name_of(tensor: Tensor) -> str:
    return {torch.float32: "float", torch.float64: "double"}[tensor.dtype]


class CudaOnHost:
    """Stands in for the module `_C`: gather and scatter as its CUDA side does them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_C, name)

    def gather(
        self,
        x: Tensor,
        features: Tensor,
        ints: Sequence[int],
        floats: Sequence[float],
        order: int,
        concat: bool,
    ) -> Tensor:
        x, features = exact(x), exact(features)
        channels = features.shape[1]
        columns = channels * (levels_of(ints) if concat else 1)
        shape = (len(x), jet_size(dim_of(ints), order), columns)
        y = torch.full(shape, torch.nan, dtype=x.dtype)
        grid = Packed(ints, floats).arguments
        points = ctypes.c_int64(len(x))
        arguments = (*grid, channels, order, int(concat), points, x, features, y)
        function = f"gather_{name_of(x)}"
        call(load("kernels"), function, arguments, {"x": x, "features": features}, {"y": y})
        return y

    def scatter(
        self,
        x: Tensor,
        y: Tensor,
        ints: Sequence[int],
        floats: Sequence[float],
        order: int,
        concat: bool,
    ) -> Tensor:
        x, y = exact(x), exact(y)
        channels = y.shape[2] // (levels_of(ints) if concat else 1)
        features = torch.zeros(total_nodes(ints), channels, dtype=x.dtype)
        grid = Packed(ints, floats).arguments
        points = ctypes.c_int64(len(x))
        arguments = (*grid, channels, order, int(concat), points, x, y)
        inputs, outputs = {"x": x, "y": y}, {"features": features}
        if not torch.are_deterministic_algorithms_enabled():
            name = f"scatter_{name_of(x)}"
            call(load("kernels"), name, (*arguments, features), inputs, outputs)
        elif len(x) > 0:
            point, first = sort_by_tile(x, Packed(ints, floats), levels_of(ints))
            name = f"scatter_sorted_{name_of(x)}"
            inputs |= {"point": point, "first": first}
            call(load("kernels"), name, (*arguments, point, first, features), inputs, outputs)
        return features


def sort_by_tile(x: Tensor, grid: Packed, levels: int) -> tuple[Tensor, Tensor]:
    """Points sorted by tile, and where each tile's begin; as in csrc/torch/dispatch_cuda.cpp."""
    count = load("kernels")[f"tile_count_{name_of(x)}"]
    count.restype = ctypes.c_int64
    tile = torch.full((levels * len(x),), -1)
    arguments = (*grid.arguments, ctypes.c_int64(len(x)), x, tile)
    call(load("kernels"), f"tiles_{name_of(x)}", arguments, {"x": x}, {"tile": tile})
    order, by_tile = tile.sort(stable=True)[::-1]
    tiles = int(count(*grid.arguments))
    assert tile.min() >= 0
    assert tile.max() < tiles
    point = order.remainder(len(x))
    return exact(point), exact(torch.searchsorted(by_tile, torch.arange(tiles + 1)))


@contextmanager
def cuda_on_host() -> Iterator[None]:
    """In this context the package computes by the CUDA kernels, on CPU tensors."""
    load("kernels")
    with (
        mock.patch.object(autograd, "_C", CudaOnHost()),
        mock.patch.object(torch_ops, "_C", CudaOnHost()),
    ):
        yield
