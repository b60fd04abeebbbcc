"""`gather` and `scatter` for autograd and torch.func, over the kernels or what stands in for them.

For fixed points x both are linear and transposes of each other, and their derivatives by x are
gathers of one order more: for y = gather_n(x, F)

    dF   = scatter_n(x, dy)
    dx_k = sum_{alpha, c} dy[alpha, c] gather_{n+1}(x, F)[alpha + e_k, c]

so that each backward pass is written with the same two functions, and reverse and forward mode
compose to any order that the kernels hold.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from dinfgrid_cuda.warn import warn_user

from . import reference, torch_ops
from .multi_index import jet_size, shift
from .native import _C
from .spec import GridSpec
from .torch_compat import in_nested_forward_mode, is_batched_gradient, is_fake
from .torch_ops import batched_gather, batched_scatter, gather_gradients, scatter_gradients, shifted

# Meta and fake tensors have shapes only, which the registered operators know.
KERNEL_DEVICES = ("cpu", "cuda") if _C.build_info()["cuda"] else ("cpu",)


def run_gather(x: Tensor, features: Tensor, spec: GridSpec, order: int, concat: bool) -> Tensor:
    """Derivatives [N, J, levels * C] (concat) or [N, J, C] of features [total_nodes, C] at x.

    Raises:
        ValueError: for an order that the kernels do not hold; other arguments are not checked.
    """
    _check_order(spec, order)
    if x.device.type not in (*KERNEL_DEVICES, "meta"):
        warn_of_reference(x.device.type)
        return reference.gather(x, features, spec, order, "concat" if concat else "sum")
    if torch.compiler.is_compiling() or x.is_meta or is_fake(x):
        compiled: Tensor = torch_ops.gather(x, features, spec.ints, spec.floats, order, concat)
        return compiled
    eager: Tensor = Gather.apply(x, features, spec, order, concat)  # type: ignore[no-untyped-call]
    return eager


def run_scatter(x: Tensor, y: Tensor, spec: GridSpec, order: int, concat: bool) -> Tensor:
    """The transpose of `run_gather`: features [total_nodes, C] from x [N, dim] and y.

    Raises:
        ValueError: for an order that the kernels do not hold; other arguments are not checked.
    """
    _check_order(spec, order)
    if x.device.type not in (*KERNEL_DEVICES, "meta"):
        warn_of_reference(x.device.type)
        return reference.scatter(x, y, spec, order, "concat" if concat else "sum")
    if torch.compiler.is_compiling() or x.is_meta or is_fake(x):
        compiled: Tensor = torch_ops.scatter(x, y, spec.ints, spec.floats, order, concat)
        return compiled
    eager: Tensor = Scatter.apply(x, y, spec, order, concat)  # type: ignore[no-untyped-call]
    return eager


def _kernel(name: str, x: Tensor, values: Tensor, *call: Any) -> Tensor:
    """Runs a kernel: `_C.gather` or `_C.scatter`.

    Tensors of torch.autograd.grad(is_grads_batched=True) have no memory of their own; torch's
    dispatcher takes them apart, so they go through the operator.
    """
    spec, order, concat = call
    batched = is_batched_gradient(x) or is_batched_gradient(values)
    module = torch_ops if batched else _C
    result: Tensor = getattr(module, name)(x, values, spec.ints, spec.floats, order, concat)
    return result


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, values, ctx.spec, ctx.order, ctx.concat = inputs
    ctx.save_for_backward(x, values)
    ctx.save_for_forward(x, values)
    ctx.set_materialize_grads(False)


def _calls(ctx: Any) -> tuple[torch_ops.Call, torch_ops.Call]:
    """The functions gather and scatter of (x, values, order) on the grid of a saved call."""
    return (
        lambda x, features, order: run_gather(x, features, ctx.spec, order, ctx.concat),
        lambda x, y, order: run_scatter(x, y, ctx.spec, order, ctx.concat),
    )


class Gather(Function):
    """The differentiable gather y of (x, features, spec, order, concat)."""

    @staticmethod
    def forward(x: Tensor, features: Tensor, spec: GridSpec, order: int, concat: bool) -> Tensor:
        return _kernel("gather", x, features, spec, order, concat)

    setup_context = staticmethod(_save)

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if grad_y is None:
            return None, None, None, None, None
        calls = _calls(ctx)
        grid = (ctx.spec.dim, ctx.order)
        gradients = gather_gradients(*calls, ctx.saved_tensors, grad_y, grid, ctx)
        return (*gradients, None, None, None)

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor | None, features_dot: Tensor | None, *_: None) -> Tensor | None:
        _refuse_nested_jvp()
        x, features = ctx.saved_tensors
        y_dot = None
        if features_dot is not None:
            y_dot = run_gather(x, features_dot, ctx.spec, ctx.order, ctx.concat)
        if x_dot is not None:
            next_jet = run_gather(x, features, ctx.spec, ctx.order + 1, ctx.concat)
            moved = [
                shifted(next_jet, ctx.spec.dim, ctx.order, axis) * x_dot[:, axis, None, None]
                for axis in range(ctx.spec.dim)
            ]
            y_dot = sum(moved[1:], moved[0]) if y_dot is None else sum(moved, y_dot)
        return y_dot

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], x: Tensor, features: Tensor, *rest: Any
    ) -> tuple[Tensor, int]:
        return batched_gather(
            lambda p, f: run_gather(p, f, *rest), info.batch_size, in_dims[:2], x, features
        )


class Scatter(Function):
    """The differentiable scatter, features of (x, y, spec, order, concat)."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, spec: GridSpec, order: int, concat: bool) -> Tensor:
        return _kernel("scatter", x, y, spec, order, concat)

    setup_context = staticmethod(_save)

    @staticmethod
    def backward(ctx: Any, grad_features: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if grad_features is None:
            return None, None, None, None, None
        gather, _ = _calls(ctx)
        grid = (ctx.spec.dim, ctx.order)
        gradients = scatter_gradients(gather, ctx.saved_tensors, grad_features, grid, ctx)
        return (*gradients, None, None, None)

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor | None, y_dot: Tensor | None, *_: None) -> Tensor | None:
        """The tangent: moving points scatter y[alpha] as derivative alpha + e_k times velocity."""
        _refuse_nested_jvp()
        x, y = ctx.saved_tensors
        features_dot = None
        if y_dot is not None:
            features_dot = run_scatter(x, y_dot, ctx.spec, ctx.order, ctx.concat)
        if x_dot is not None:
            dim, order = ctx.spec.dim, ctx.order
            # Positions are known here: an index on the device would make the host wait for it.
            zero = torch.zeros_like(y[:, 0])
            lifted = [zero] * jet_size(dim, order + 1)
            for axis in range(dim):
                moving = (y * x_dot[:, axis, None, None]).unbind(dim=1)
                for derivative, at in zip(moving, shift(dim, order, axis), strict=True):
                    lifted[at] = lifted[at] + derivative
            moved = run_scatter(x, torch.stack(lifted, dim=1), ctx.spec, order + 1, ctx.concat)
            features_dot = moved if features_dot is None else features_dot + moved
        return features_dot

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], x: Tensor, y: Tensor, *rest: Any
    ) -> tuple[Tensor, int]:
        return batched_scatter(
            lambda p, v: run_scatter(p, v, *rest), info.batch_size, in_dims[:2], x, y
        )


def _refuse_nested_jvp() -> None:
    """Raises where torch would return zero: forward mode in forward mode (pytorch #197867)."""
    if in_nested_forward_mode():
        raise NotImplementedError(
            "gather: forward mode inside forward mode (nested jvp or jacfwd) would silently be "
            "zero in torch; use reverse mode for one of them, e.g. jacfwd(jacrev(f)), or field.jet."
        )


def warn_of_reference(device: str) -> None:
    """Warns that tensors of this kind of device are worked on by the reference."""
    remedy = " Rebuild with DINFGRID_CUDA=1." if device == "cuda" else ""
    warn_user(
        f"dinfgrid_cuda: this build has no kernels for {device}; the slow reference "
        f"implementation is used.{remedy}",
        UserWarning,
    )


def _check_order(spec: GridSpec, order: int) -> None:
    if not 0 <= order <= spec.max_order:
        raise ValueError(
            f"jet: derivatives of order {order} were requested, but this build holds orders 0 to "
            f"{spec.max_order} in {spec.dim}-D; a loss that differentiates the field by x adds one "
            "order each time."
        )
