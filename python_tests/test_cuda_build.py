"""What can be told of a CUDA build without a GPU: registration, fake and meta tensors, the CPU."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import make_spec, normal, points_in
from conftest import HAS_GPU
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import dinfgrid_cuda
from dinfgrid_cuda import functional
from dinfgrid_cuda.fields.constraints import BoxConstraint
from dinfgrid_cuda.fields.decoders import LinearDecoder, MLPDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.kernels import autograd, torch_ops
from dinfgrid_cuda.kernels.basis import Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.native import _C

WITH_CUDA = functional.KERNEL_DEVICES == ("cpu", "cuda")
cuda_build = pytest.mark.skipif(not WITH_CUDA, reason="this build has no CUDA")

# Devices whose tensors have a shape and no numbers. Torch's autograd wants a real GPU for "cuda".
SHAPES_ONLY = ["cpu", "meta", pytest.param("cuda", marks=cuda_build)]


@pytest.fixture
def fake() -> Iterator[None]:
    with FakeTensorMode():
        yield


@cuda_build
def test_build_info_names_the_cuda_back_end() -> None:
    info = dinfgrid_cuda.build_info()
    assert info.backends == ("cpu", "cuda")
    assert info.cuda_toolkit.split(".")[0] == str(torch.version.cuda).split(".")[0]
    assert info.cuda_architectures
    assert info.cuda_absent == ""
    assert _C.build_info()["cuda"] // 1000 == int(info.cuda_toolkit.split(".")[0])
    assert f"toolkit {info.cuda_toolkit}, architectures" in str(info)
    assert torch.cuda.is_available() == bool(info.cuda_devices)


@pytest.mark.parametrize("name", ["gather", "scatter"])
def test_operators_are_registered_for_every_use(name: str) -> None:
    keys = ("CPU", "CUDA", "Meta", "Autograd", "AutocastCPU", "AutocastCUDA")
    for key in keys:
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"dinfgrid::{name}", key), key


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("device", SHAPES_ONLY)
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_tensors_without_numbers_get_shape_dtype_and_device(
    dim: int, device: str, dtype: torch.dtype, fake: None
) -> None:
    spec = make_spec(dim, Gaussian(rho=2), "ghost")
    x = torch.empty(7, dim, device=device, dtype=dtype)
    features = torch.empty(spec.total_nodes, 3, device=device, dtype=dtype)
    for order in (0, 2):
        for reduce, columns in (("concat", 3 * spec.levels), ("sum", 3)):
            y = functional.gather(x, features, spec, order, reduce)
            assert y.shape == (7, jet_size(dim, order), columns)
            added = functional.scatter(x, y, spec, order, reduce)
            assert added.shape == features.shape
            raw = torch.ops.dinfgrid.gather(
                x, features, spec.ints, spec.floats, order, reduce == "concat"
            )
            assert raw.shape == y.shape
            for result in (y, added, raw):
                assert (result.device, result.dtype) == (x.device, dtype)


class JetLoss(nn.Module):
    """A residual of second order, as a module, so that its parameters can be replaced."""

    def __init__(self, decoder: str) -> None:
        super().__init__()
        made = LinearDecoder(1) if decoder == "linear" else MLPDecoder(1, hidden=8)
        self.field = Field(FeatureGrid(2, 8, 2, 2), made, BoxConstraint())

    def forward(self, x: Tensor) -> Tensor:
        return (self.field.jet(x, 2).laplacian - 1).square().mean()


def shapes_of(loss: JetLoss, device: str) -> tuple[dict[str, Tensor], Tensor]:
    """Parameters and buffers of a loss, and points, that are shapes on a device."""
    own = [*loss.named_parameters(), *loss.named_buffers()]
    shapes = {name: torch.empty(t.shape, dtype=t.dtype, device=device) for name, t in own}
    return shapes, torch.empty(100, 2, device=device)


@pytest.mark.parametrize("device", SHAPES_ONLY)
@pytest.mark.parametrize("decoder", ["linear", "mlp"])
def test_a_loss_of_tensors_without_numbers_has_a_gradient_of_the_right_shapes(
    decoder: str, device: str
) -> None:
    loss = JetLoss(decoder)
    with FakeTensorMode():
        given, x = shapes_of(loss, device)
        backward = device != "cuda" or HAS_GPU
        for tensor in (*given.values(), x):
            tensor.requires_grad_(backward)
        value = torch.func.functional_call(loss, given, (x,))
        assert (value.shape, value.device) == ((), x.device)
        if backward:
            wanted = [*given.values(), x]
            gradients = torch.autograd.grad(value, wanted, allow_unused=True)
            assert gradients[-1] is not None
            for gradient, tensor in zip(gradients, wanted, strict=True):
                assert gradient is None or gradient.shape == tensor.shape
                assert gradient is None or gradient.device == tensor.device


class Transfers(TorchDispatchMode):
    """Notes the operations that have tensors on two devices, or give a number to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
        if len({t.device for t in tensors}) > 1 or func is torch.ops.aten._local_scalar_dense:
            self.noted.append(str(func))
        return result


@cuda_build
@pytest.mark.parametrize("decoder", ["linear", "mlp"])
def test_a_loss_moves_nothing_between_host_and_gpu(decoder: str) -> None:
    """Such a copy makes the host wait, and cannot be captured in a CUDA graph."""
    loss = JetLoss(decoder)
    with FakeTensorMode():
        given, x = shapes_of(loss, "cuda")
        with Transfers() as transfers:
            torch.func.functional_call(loss, given, (x,))
    assert transfers.noted == []


@cuda_build
def test_derivatives_by_the_points_move_nothing_between_host_and_gpu(fake: None) -> None:
    y = torch.empty(100, jet_size(2, 1), 4, device="cuda")
    next_jet = torch.empty(100, jet_size(2, 2), 4, device="cuda")
    with Transfers() as transfers:
        assert torch_ops.point_gradient(y, next_jet, 2, 1).shape == (100, 2)
    assert transfers.noted == []


@pytest.mark.skipif(WITH_CUDA, reason="this build has CUDA")
def test_a_cpu_build_says_how_to_rebuild_when_given_tensors_of_a_gpu(
    fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(2, Gaussian(), "ghost")
    x, features = (torch.empty(rows, 2, device="cuda") for rows in (7, spec.total_nodes))
    # torch without CUDA cannot even slice a fake tensor of a GPU.
    monkeypatch.setattr(autograd.reference, "gather", lambda x, *rest: x)
    with pytest.warns(UserWarning, match="no kernels for cuda; .*Rebuild with DINFGRID_CUDA=1"):
        assert functional.gather(x, features, spec, 1) is x


def test_a_dtype_without_kernels_is_refused_with_those_of_this_build() -> None:
    spec = make_spec(2, Gaussian(), "ghost")
    x, features = points_in(spec, 3).half(), normal(spec.total_nodes, 1).half()
    there = "float64 on cpu and cuda" if WITH_CUDA else "on cpu (rebuild with DINFGRID_CUDA=1"
    with pytest.raises(NotImplementedError, match="no kernels for Half on cpu") as caught:
        _C.gather(x, features, spec.ints, spec.floats, 0, True)
    assert there in str(caught.value)


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_reported_by_torch_and_not_as_too_little_memory() -> None:
    with pytest.raises((RuntimeError, AssertionError), match="CUDA|NVIDIA"):
        FeatureGrid(2, 8, device="cuda")


SOLVE = """
import torch, dinfgrid_cuda as dg
field = dg.Field(dg.FeatureGrid(2, 8, basis=dg.BSpline(5), dtype=torch.float64, seed=0))
problem = dg.Problem(
    dg.Box((-1, -1), (1, 1)),
    [dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian[:, 0] - x[:, 0], 2, 1.0, 256)],
)
losses = dg.solve(problem, field, dg.Adam(lr=1e-2), steps=30, progress=False).history.totals
assert not torch.cuda.is_initialized()
print(*dg.build_info().backends)
print(losses[0], losses[-1])
"""


@pytest.mark.slow
def test_where_no_gpu_is_visible_the_package_imports_and_solves_on_the_cpu(tmp_path: Path) -> None:
    package = Path(dinfgrid_cuda.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", SOLVE],
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    backends, losses = done.stdout.splitlines()[-2:]
    assert tuple(backends.split()) == functional.KERNEL_DEVICES
    first, last = map(float, losses.split())
    assert last < 0.9 * first
    assert math.isfinite(last)
