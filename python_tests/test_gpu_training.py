"""Training on a GPU: derivatives of every kind, torch.compile, autocast, and the CPU's losses."""

from __future__ import annotations

import math
from typing import Any

import gpu
import pytest
import solving
import torch
from cases import ROUNDINGS, error, make_spec, normal, points_in
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from dinfgrid_cuda import functional
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Lattice
from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import Problem, Term
from dinfgrid_cuda.solvers import solve

pytestmark = gpu.ON_GPU

SPECS = [
    make_spec(1, Gaussian(rho=2), "ghost", cells=(4,), levels=2),
    make_spec(2, Gaussian(rho=2), ("clamp", "ghost"), cells=(4, 2), levels=2),
    make_spec(3, BSpline(5), ("ghost", "periodic", "ghost"), cells=(2, 1, 1), levels=1),
    make_spec(4, Gaussian(rho=1), "ghost", cells=(1, 2, 1, 1), levels=1),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_gradients_pass_gradcheck_on_the_gpu(spec: GridSpec) -> None:
    x = points_in(spec, 2).to(gpu.DEVICE).requires_grad_()
    features = normal(spec.total_nodes, 1).to(gpu.DEVICE).requires_grad_()
    y = normal(2, jet_size(spec.dim, 1), spec.levels, seed=2).to(gpu.DEVICE).requires_grad_()
    atomics = {"nondet_tol": 1e-10}
    for function, second in ((functional.gather, features), (functional.scatter, y)):
        call = lambda p, v, f=function: f(p, v, spec, 1)  # noqa: E731
        both: dict[str, Any] = {"check_forward_ad": True, "check_batched_grad": True}
        assert gradcheck(call, (x, second), **both, **atomics)
        assert gradgradcheck(call, (x, second), **atomics)


def test_operators_pass_opcheck_on_the_gpu() -> None:
    spec = SPECS[1]
    x = points_in(spec, 2).to(gpu.DEVICE).requires_grad_()
    features = normal(spec.total_nodes, 1).to(gpu.DEVICE).requires_grad_()
    y = normal(2, 3, spec.levels).to(gpu.DEVICE).requires_grad_()
    with gpu.deterministic():
        for operator, second in (
            (torch.ops.dinfgrid.gather.default, features),
            (torch.ops.dinfgrid.scatter.default, y),
        ):
            torch.library.opcheck(operator, (x, second, spec.ints, spec.floats, 1, True))


def test_torch_func_agrees_with_the_jet_on_the_gpu() -> None:
    spec = SPECS[1]
    x, features = points_in(spec, 7).to(gpu.DEVICE), normal(spec.total_nodes, 2).to(gpu.DEVICE)
    expected = functional.gather(x.cpu(), features.cpu(), spec, 2).sum(2)

    def u(p: Tensor) -> Tensor:
        return functional.gather(p[None], features, spec).sum()

    gradient = torch.func.vmap(torch.func.grad(u))(x).cpu()
    assert error(gradient, expected[:, 1:3]) < ROUNDINGS
    hessian = torch.func.vmap(torch.func.hessian(u))(x).cpu()
    assert error(hessian.flatten(1)[:, [0, 1, 3]], expected[:, 3:]) < ROUNDINGS


@pytest.mark.parametrize("mode", [None, "reduce-overhead"])
@pytest.mark.parametrize("decoder", ["linear", "mlp"])
def test_a_compiled_loss_and_its_gradient_are_the_eager_ones(
    decoder: str, mode: str | None
) -> None:
    field = gpu.make_field(2, decoder, constrained=True)
    torch._dynamo.reset()
    compiled = torch.compile(gpu.laplacian_loss, fullgraph=True, mode=mode)
    for seed in range(4):  # with "reduce-overhead" the later calls replay a CUDA graph
        x = points_in(field.grid.spec, 300, seed=seed).to(gpu.DEVICE)
        expected = gpu.loss_and_gradients(field, x)
        torch.compiler.cudagraph_mark_step_begin()
        loss = compiled(field, x)
        gradients = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True)
        actual = [loss.detach(), *(g for g in gradients if g is not None)]
        gpu.assert_close(actual, expected)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_autocast_on_the_gpu_computes_in_float32(half: torch.dtype) -> None:
    spec = SPECS[1]
    x = points_in(spec, 5).float().to(gpu.DEVICE)
    features = normal(spec.total_nodes, 2).to(gpu.DEVICE, half).requires_grad_()
    with torch.autocast("cuda", dtype=half):
        y = functional.gather(x, features, spec, 1)
    assert y.dtype == torch.float32
    assert torch.equal(y, functional.gather(x, features.float(), spec, 1))
    y.sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == half
    field = gpu.make_field(2, "mlp", dtype=torch.float32, constrained=True)
    x = points_in(field.grid.spec, 300).float().to(gpu.DEVICE)
    expected = field.jet(x, 2).components
    with torch.autocast("cuda", dtype=half):
        assert torch.equal(field.jet(x, 2).components, expected)


def exact(x: Tensor) -> Tensor:
    return torch.sin(math.pi * x[:, 0]) * torch.sin(math.pi * x[:, 1])


def poisson() -> Problem:
    """On lattices, whose points are the same on every device."""
    source = 2 * math.pi**2
    inside = Interior(Lattice())
    return Problem(
        Box((-1.0, -1.0), (1.0, 1.0)),
        [
            Term(
                "pde", inside, lambda x, u: u.laplacian[:, 0] + source * exact(x), 2, 1.0, 24 * 24
            ),
            Term("edge", Boundary(sampler=Lattice()), lambda x, u: u.value[:, 0], 0, 100.0, 96),
        ],
    )


def spline_field(device: str) -> Field:
    settings = {"levels": 2, "basis": BSpline(5), "decoder": "linear"}
    field: Field = solving.make_field(**settings)
    return field.to(device)


def adam(device: str, steps: int) -> list[float]:
    """A plain training loop on Poisson's equation; the loss of every step."""
    field = spline_field(device)
    x = (torch.cartesian_prod(*[torch.arange(24, dtype=torch.float64)] * 2) + 0.5) / 12 - 1
    edge = torch.cat([x[:, :1], x[:, :1].sign()], dim=1)
    x, edge = x.to(device), torch.cat([edge, edge.flip(1)]).to(device)
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        residual = field.jet(x, 2).laplacian[:, 0] + 2 * math.pi**2 * exact(x)
        loss = residual.square().mean() + 100 * field(edge).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


def test_a_training_loop_reaches_the_loss_of_the_cpu() -> None:
    here, there = adam("cpu", 300), adam(gpu.DEVICE, 300)
    assert here[-1] < 0.01 * here[0]
    assert there[0] == pytest.approx(here[0], rel=1e-12)
    # Features changed by 1e-14 change the CPU's last loss by 1e-11.
    assert there[-1] == pytest.approx(here[-1], rel=1e-7)


@pytest.mark.parametrize(
    ("method", "bound"),
    [
        ({"method": "adam", "lr": 1e-2}, 1e-7),
        ({"method": "lbfgs"}, 0.2),  # features changed by 1e-14 change the CPU's last loss by 2 %
    ],
)
def test_solve_reaches_the_loss_of_the_cpu(method: dict[str, Any], bound: float) -> None:
    ends = []
    for device in ("cpu", gpu.DEVICE):
        field = spline_field(device)
        solution = solve(poisson(), field, steps=100, progress=False, **method)
        assert all(parameter.device.type == device for parameter in field.parameters())
        ends.append(solution.history.totals[-1])
    assert ends[1] == pytest.approx(ends[0], rel=bound)
