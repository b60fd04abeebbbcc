"""The CUDA kernels of csrc/cuda, compiled for the simulator, behind functions on numpy arrays.

`cuda_shim.cu` holds a few shapes, so that the whole builds in seconds. Arguments are copied to
device memory of their own, padded, so that an access beyond its ends is found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec

CSRC = Path(__file__).resolve().parent.parent / "csrc"
GATHER, SCATTER, SCATTER_SORTED = 0, 1, 2

Array = NDArray[Any]


@cache
def simulator() -> Any:
    import ptxsim

    return ptxsim


def build(arch: str, flags: tuple[str, ...]) -> Any:
    """The host library with the launchers; their launches run in the simulator."""
    here = Path(__file__).parent
    sources = [here / "cuda_shim.cu", CSRC / "cuda" / "tiles.cu"]
    built, _ = simulator().build_host(
        sources, include_dirs=[CSRC], arch=arch, flags=("-lineinfo", *flags)
    )
    for name in ("float", "double"):
        built[f"tile_count_{name}"].restype = ctypes.c_int64
    return built


@cache
def library() -> Any:
    """The library that the functions below run."""
    return build("compute_90", ())


class Device:
    """Device memory for one call."""

    def __init__(self) -> None:
        self.memory = simulator().default_memory()
        self.allocated: list[int] = []

    def empty(self, shape: tuple[int, ...], dtype: Any, initialised: bool = False) -> Array:
        """An array in device memory, of zeros; reading it before writing is a fault."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self.memory.allocate(max(size, 1), initialised=initialised)
        self.allocated.append(address)
        octets = (ctypes.c_char * size).from_address(address)
        return np.frombuffer(octets, dtype).reshape(shape)

    def copy(self, values: Array) -> Array:
        array = self.empty(values.shape, values.dtype, initialised=True)
        array[...] = values
        return array

    def free(self) -> None:
        for address in self.allocated:
            self.memory.free(address)


@contextmanager
def device() -> Iterator[Device]:
    memory = Device()
    try:
        yield memory
    finally:
        memory.free()


def pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def packed(spec: GridSpec) -> tuple[Array, Array]:
    return np.array(spec.ints, np.int64), np.array(spec.floats, np.float64)


def name_of(dtype: Any) -> str:
    return "float" if dtype == np.float32 else "double"


def run(
    operation: int,
    spec: GridSpec,
    order: int,
    concat: bool,
    channels: int,
    arrays: tuple[Array, Array, Array],
    lists: tuple[Array, Array] | None = None,
) -> None:
    """One launcher on (x, from, to) in device memory, and (point, first) for the sorted scatter."""
    ints, floats = packed(spec)
    x, source, target = arrays
    point, first = lists or (np.zeros(0, np.int64), np.zeros(0, np.int64))
    call = library()[f"run_{name_of(x.dtype)}"]
    error = call(
        operation,
        pointer(ints),
        pointer(floats),
        channels,
        order,
        concat,
        ctypes.c_int64(len(x)),
        *(pointer(a) for a in (x, source, point, first, target)),
    )
    assert error == 0, f"the launcher returned {error}"


def gather(x: Array, features: Array, spec: GridSpec, order: int, concat: bool) -> Array:
    """[N, J, S C] or [N, J, C]."""
    channels = features.shape[1]
    width = channels * (spec.levels if concat else 1)
    with device() as memory:
        y = memory.empty((len(x), jet_size(spec.dim, order), width), x.dtype)
        run(GATHER, spec, order, concat, channels, (memory.copy(x), memory.copy(features), y))
        return y.copy()


def start_of(start: Array | None, spec: GridSpec, channels: int, dtype: Any) -> Array:
    return np.zeros((spec.total_nodes, channels), dtype) if start is None else start


def scatter(
    x: Array, y: Array, spec: GridSpec, order: int, concat: bool, start: Array | None = None
) -> Array:
    """[total_nodes, C], added to `start`."""
    channels = y.shape[2] // (spec.levels if concat else 1)
    with device() as memory:
        features = memory.copy(start_of(start, spec, channels, x.dtype))
        run(SCATTER, spec, order, concat, channels, (memory.copy(x), memory.copy(y), features))
        return features.copy()


def scatter_sorted(
    x: Array, y: Array, spec: GridSpec, order: int, concat: bool, start: Array | None = None
) -> Array:
    """[total_nodes, C], added to `start`; points are sorted as in torch/dispatch_cuda.cpp."""
    channels = y.shape[2] // (spec.levels if concat else 1)
    ints, floats = packed(spec)
    name = name_of(x.dtype)
    count = library()[f"tile_count_{name}"](pointer(ints), pointer(floats))
    with device() as memory:
        on_device = memory.copy(x)
        tile = memory.empty((spec.levels * len(x),), np.int64)
        tiles = library()[f"tiles_{name}"]
        size = ctypes.c_int64(len(x))
        assert tiles(pointer(ints), pointer(floats), size, pointer(on_device), pointer(tile)) == 0
        order_of = np.argsort(tile, kind="stable")
        point = memory.copy(order_of % max(len(x), 1))
        first = memory.copy(np.searchsorted(tile[order_of], np.arange(count + 1)))
        features = memory.copy(start_of(start, spec, channels, x.dtype))
        arrays = (on_device, memory.copy(y), features)
        run(SCATTER_SORTED, spec, order, concat, channels, arrays, (point, first))
        return features.copy()
