"""The CUDA kernels against the CPU kernels, on the paper's shapes and for every order of points."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gpu
import pytest
import torch
from cases import ROUNDINGS, magnitudes, make_spec, normal, points_in

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size

pytestmark = gpu.ON_GPU

# grid, channels, order; the paper's tasks, then a spline and four dimensions
SHAPES = {
    "image": (gpu.cell_spec(2, 512, 6, Gaussian(), "clamp"), 2, 1),
    "helmholtz": (gpu.cell_spec(2, 128, 4, Gaussian()), 2, 2),
    "distance": (gpu.cell_spec(3, 64, 4, Gaussian(rho=2)), 1, 1),
    "cloth": (gpu.cell_spec(2, 32, 1, Gaussian(), "clamp"), 4, 2),
    "advection": (gpu.cell_spec(3, 64, 3, Gaussian()), 1, 1),
    "heat": (gpu.cell_spec(2, 128, 2, Gaussian(), "periodic"), 1, 2),
    "spline": (gpu.cell_spec(2, 128, 4, BSpline(7)), 3, 4),
    "four": (gpu.cell_spec(4, 8, 2, Gaussian(rho=2)), 2, 1),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", gpu.POINT_SETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_back_ends_agree_on_the_shapes_of_the_paper(
    shape: str, kind: str, dtype: torch.dtype
) -> None:
    spec, channels, order = SHAPES[shape]
    n = 20_000 if spec.dim < 4 else 2_000
    x = gpu.point_set(kind, spec, n).to(dtype)
    features = normal(spec.total_nodes, channels).to(dtype)
    y = normal(n, jet_size(spec.dim, order), spec.levels * channels, seed=2).to(dtype)
    on_gpu = [t.to(gpu.DEVICE) for t in (x, features, y)]
    x, features, y = x.double(), features.double(), y.double()
    gathered, scattered = magnitudes(x, features, y, spec, order)
    # A weight as in cases.compare.
    rounding = 16 * (spec.basis.nodes + order) * torch.finfo(dtype).eps
    difference = functional.gather(*on_gpu[:2], spec, order).cpu() - functional.gather(
        x, features, spec, order
    )
    assert (difference.abs().amax((0, 2)) <= rounding * gathered).all()
    # The roundings of a sum of up to n terms, in any order, walk at random: as sqrt(n).
    rounding += 4 * n**0.5 * torch.finfo(dtype).eps
    expected = functional.scatter(x, y, spec, order)
    for scatter in gpu.SCATTERS.values():
        difference = scatter(on_gpu[0], on_gpu[2], spec, order).cpu() - expected
        assert difference.abs().max() <= rounding * scattered


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_no_point_and_one_point_are_served(dim: int, dtype: torch.dtype) -> None:
    spec = make_spec(dim, Gaussian(rho=2), "ghost")
    features = normal(spec.total_nodes, 2).to(dtype)
    for n in (0, 1):
        x = points_in(spec, n).to(dtype)
        y = functional.gather(x, features, spec, 1)
        on_gpu = [t.to(gpu.DEVICE) for t in (x, features, y)]
        gathered = functional.gather(*on_gpu[:2], spec, 1)
        assert gathered.shape == y.shape
        added = [scatter(on_gpu[0], on_gpu[2], spec, 1) for scatter in gpu.SCATTERS.values()]
        assert all(one.device == on_gpu[0].device for one in (gathered, *added))
        assert all(one.shape == features.shape for one in added)
        if n:
            bound = ROUNDINGS * torch.finfo(dtype).eps
            expected = functional.scatter(x, y, spec, 1)
            gpu.assert_close([gathered, *added], [y, expected, expected], bound)
        else:
            assert not any(bool(one.any()) for one in added)


@pytest.mark.parametrize("decoder", ["linear", "mlp"])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_a_loss_and_its_gradient_agree_with_those_of_the_cpu(dim: int, decoder: str) -> None:
    for constrained in (False, True):
        field = gpu.make_field(dim, decoder, "cpu", constrained=constrained)
        x = points_in(field.grid.spec, 500)
        expected = gpu.loss_and_gradients(field, x)
        actual = gpu.loss_and_gradients(field.to(gpu.DEVICE), x.to(gpu.DEVICE))
        gpu.assert_close(actual, expected)


def test_tensors_on_different_devices_are_refused_by_name() -> None:
    spec = make_spec(2, Gaussian(), "ghost")
    x, features = points_in(spec, 5), normal(spec.total_nodes, 1).to(gpu.DEVICE)
    y = normal(5, 3, spec.levels)
    with pytest.raises(ValueError, match="gather: x is on cpu and features is on cuda:0; move one"):
        functional.gather(x, features, spec)
    with pytest.raises(ValueError, match="scatter: x is on cuda:0 and y is on cpu; move one"):
        functional.scatter(x.to(gpu.DEVICE), y, spec, 1)
    with pytest.raises(ValueError, match="field: x is on cpu and the field on cuda:0"):
        gpu.make_field().jet(x, 2)
    with pytest.raises(RuntimeError, match="x is on cpu but the other argument is on cuda:0"):
        torch.ops.dinfgrid.gather(x, features, spec.ints, spec.floats, 0, True)


BROKEN = """
import torch
from cases import make_spec, normal, points_in
from dinfgrid_cuda import functional
from dinfgrid_cuda.basis import Gaussian
spec = make_spec(2, Gaussian(), "ghost")
x, features = points_in(spec, 99).cuda(), normal(spec.total_nodes, 1).cuda()
functional.gather(x, features, spec, 1)  # its memory serves the next call: only launches can fail
torch.cuda.synchronize()
torch.zeros(3, device="cuda")[torch.tensor([7], device="cuda")]
try:
    torch.cuda.synchronize()
except RuntimeError:
    pass
try:
    functional.gather(x, features, spec, 1)
except RuntimeError as error:
    print("raised", str(error).splitlines()[0])
"""


def test_an_error_of_the_launch_is_raised_by_the_call() -> None:
    """In a process of its own, whose GPU context an index out of range has broken."""
    done = subprocess.run(
        [sys.executable, "-c", BROKEN],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "raised CUDA error" in done.stdout, done.stdout + done.stderr
