"""`gather` and `scatter`: the two operations, closed under differentiation.

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
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import Function

from dinfgrid_cuda.warn import warn_user

from . import reference, torch_ops
from .multi_index import jet_size, shift
from .native import _C
from .spec import GridSpec
from .torch_ops import batched_gather, batched_scatter, gather_gradients, scatter_gradients, shifted

HALF = (torch.float16, torch.bfloat16)
# Meta and fake tensors have shapes only, which the registered operators know.
KERNEL_DEVICES = ("cpu", "cuda") if _C.build_info()["cuda"] else ("cpu",)


def gather(
    x: Tensor, features: Tensor, spec: GridSpec, order: int = 0, reduce: str = "concat"
) -> Tensor:
    """All partial derivatives of total order 0..order of the interpolated features.

    Differentiable in x and features, by reverse and (once) forward mode, under torch.func and under
    torch.compile. Under autocast half precision arguments are computed in float32.

    Args:
        x: points [N, dim], in units of the box. Points outside use the edge cell's functions; a
            NaN gives NaN for its point.
        features: [total_nodes, C]; float32 or float64, same dtype and device as x.
        spec: the grid.
        order: 0..spec.max_order (5, in four dimensions 3). Each derivative by x that autograd takes
            of the result adds one.
        reduce: "concat" puts the levels side by side, "sum" adds them up.

    Returns:
        [N, J, levels * C] (levels outermost) or [N, J, C], J = jet_size(dim, order), derivatives in
        graded lexicographic order.

    Raises:
        TypeError, ValueError: one line that says what was given and what is possible.
    """
    x, features = _autocast(x, features)
    _check_points("gather", x, spec, order, reduce)
    _check_pair("gather", "features", x, features)
    if features.dim() != 2 or features.shape[0] != spec.total_nodes:
        raise ValueError(
            f"gather: features has shape {tuple(features.shape)}, but the grid needs "
            f"[{spec.total_nodes}, channels]."
        )
    return _gather(x, features, spec, order, reduce == "concat")


def scatter(x: Tensor, y: Tensor, spec: GridSpec, order: int = 0, reduce: str = "concat") -> Tensor:
    """The transpose of `gather` in the features: points add to nodes.

    Args:
        x: points [N, dim].
        y: [N, J, levels * C] for "concat", [N, J, C] for "sum"; dtype and device of x.
        spec, order, reduce: as in `gather`.

    Returns:
        [total_nodes, C]. On the CPU the sum does not depend on the number of threads; on CUDA it
        repeats bit for bit under torch.use_deterministic_algorithms(True).

    Raises:
        TypeError, ValueError: one line that says what was given and what is possible.
    """
    x, y = _autocast(x, y)
    _check_points("scatter", x, spec, order, reduce)
    _check_pair("scatter", "y", x, y)
    derivatives = jet_size(spec.dim, order)
    levels = spec.levels if reduce == "concat" else 1
    if y.dim() != 3 or y.shape[:2] != (x.shape[0], derivatives) or y.shape[2] % levels:
        raise ValueError(
            f"scatter: y has shape {tuple(y.shape)}, but {x.shape[0]} points with order {order} "
            f"and reduce={reduce!r} need [{x.shape[0]}, {derivatives}, {levels} * channels]."
        )
    return _scatter(x, y, spec, order, reduce == "concat")


def _gather(x: Tensor, features: Tensor, spec: GridSpec, order: int, concat: bool) -> Tensor:
    _check_order(spec, order)
    if x.device.type not in (*KERNEL_DEVICES, "meta"):
        _warn_of_reference(x.device.type)
        return reference.gather(x, features, spec, order, "concat" if concat else "sum")
    if torch.compiler.is_compiling() or x.is_meta or isinstance(x, FakeTensor):
        compiled: Tensor = torch_ops.gather(x, features, spec.ints, spec.floats, order, concat)
        return compiled
    eager: Tensor = Gather.apply(x, features, spec, order, concat)  # type: ignore[no-untyped-call]
    return eager


def _scatter(x: Tensor, y: Tensor, spec: GridSpec, order: int, concat: bool) -> Tensor:
    _check_order(spec, order)
    if x.device.type not in (*KERNEL_DEVICES, "meta"):
        _warn_of_reference(x.device.type)
        return reference.scatter(x, y, spec, order, "concat" if concat else "sum")
    if torch.compiler.is_compiling() or x.is_meta or isinstance(x, FakeTensor):
        compiled: Tensor = torch_ops.scatter(x, y, spec.ints, spec.floats, order, concat)
        return compiled
    eager: Tensor = Scatter.apply(x, y, spec, order, concat)  # type: ignore[no-untyped-call]
    return eager


def _kernel(name: str, x: Tensor, values: Tensor, *call: Any) -> Tensor:
    """The kernel itself. Tensors of torch.autograd.grad(is_grads_batched=True) have no memory of
    their own; torch's dispatcher takes them apart, so they go through the operator."""
    spec, order, concat = call
    batched = torch._C._functorch.is_legacy_batchedtensor
    module = torch_ops if batched(x) or batched(values) else _C
    result: Tensor = getattr(module, name)(x, values, spec.ints, spec.floats, order, concat)
    return result


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, values, ctx.spec, ctx.order, ctx.concat = inputs
    ctx.save_for_backward(x, values)
    ctx.save_for_forward(x, values)
    ctx.set_materialize_grads(False)


def _calls(ctx: Any) -> tuple[torch_ops.Call, torch_ops.Call]:
    """gather and scatter on the grid of a saved call, as functions of (x, values, order)."""
    return (
        lambda x, features, order: _gather(x, features, ctx.spec, order, ctx.concat),
        lambda x, y, order: _scatter(x, y, ctx.spec, order, ctx.concat),
    )


class Gather(Function):
    """y = gather(x, features); arguments as in `gather`, with concat: bool for reduce."""

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
            y_dot = _gather(x, features_dot, ctx.spec, ctx.order, ctx.concat)
        if x_dot is not None:
            next_jet = _gather(x, features, ctx.spec, ctx.order + 1, ctx.concat)
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
            lambda p, f: _gather(p, f, *rest), info.batch_size, in_dims[:2], x, features
        )


class Scatter(Function):
    """features = scatter(x, y); arguments as in `scatter`, with concat: bool for reduce."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, spec: GridSpec, order: int, concat: bool) -> Tensor:
        return _kernel("scatter", x, y, spec, order, concat)

    setup_context = staticmethod(_save)

    @staticmethod
    def backward(ctx: Any, grad_features: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if grad_features is None:
            return None, None, None, None, None
        run_gather, _ = _calls(ctx)
        grid = (ctx.spec.dim, ctx.order)
        gradients = scatter_gradients(run_gather, ctx.saved_tensors, grad_features, grid, ctx)
        return (*gradients, None, None, None)

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor | None, y_dot: Tensor | None, *_: None) -> Tensor | None:
        """Moving points scatter y[alpha] as derivative alpha + e_k, times their velocity."""
        _refuse_nested_jvp()
        x, y = ctx.saved_tensors
        features_dot = None
        if y_dot is not None:
            features_dot = _scatter(x, y_dot, ctx.spec, ctx.order, ctx.concat)
        if x_dot is not None:
            dim, order = ctx.spec.dim, ctx.order
            # Positions are known here: an index on the device would make the host wait for it.
            zero = torch.zeros_like(y[:, 0])
            lifted = [zero] * jet_size(dim, order + 1)
            for axis in range(dim):
                parts = (y * x_dot[:, axis, None, None]).unbind(dim=1)
                for part, at in zip(parts, shift(dim, order, axis), strict=True):
                    lifted[at] = lifted[at] + part
            moved = _scatter(x, torch.stack(lifted, dim=1), ctx.spec, order + 1, ctx.concat)
            features_dot = moved if features_dot is None else features_dot + moved
        return features_dot

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], x: Tensor, y: Tensor, *rest: Any
    ) -> tuple[Tensor, int]:
        return batched_scatter(
            lambda p, v: _scatter(p, v, *rest), info.batch_size, in_dims[:2], x, y
        )


def _refuse_nested_jvp() -> None:
    """torch returns zero for forward mode inside forward mode of a Function (pytorch #197867)."""
    stack = torch._C._functorch.get_interpreter_stack() or []
    if sum(level.key() == torch._C._functorch.TransformType.Jvp for level in stack) > 1:
        raise NotImplementedError(
            "gather: forward mode inside forward mode (nested jvp or jacfwd) would silently be "
            "zero in torch; use reverse mode for one of them, e.g. jacfwd(jacrev(f)), or field.jet."
        )


def _warn_of_reference(device: str) -> None:
    remedy = " Rebuild with DINFGRID_CUDA=1." if device == "cuda" else ""
    warn_user(
        f"dinfgrid_cuda: this build has no kernels for {device}; the slow reference "
        f"implementation is used.{remedy}",
        UserWarning,
    )


def _autocast(x: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if x.dtype not in HALF and values.dtype not in HALF:
        return x, values
    if not torch.is_autocast_enabled(x.device.type):
        return x, values
    return x.float() if x.dtype in HALF else x, values.float() if values.dtype in HALF else values


def _check_order(spec: GridSpec, order: int) -> None:
    if not 0 <= order <= spec.max_order:
        raise ValueError(
            f"jet: derivatives of order {order} were requested, but this build holds orders 0 to "
            f"{spec.max_order} in {spec.dim}-D; a loss that differentiates the field by x adds one "
            "order each time."
        )


def _check_points(name: str, x: Tensor, spec: GridSpec, order: int, reduce: str) -> None:
    if not isinstance(order, int) or order < 0:
        raise ValueError(f"{name}: order is {order!r}, but it must be 0 to {spec.max_order}.")
    if reduce not in ("concat", "sum"):
        raise ValueError(f"{name}: reduce is {reduce!r}, but it must be 'concat' or 'sum'.")
    if x.dim() != 2 or x.shape[1] != spec.dim:
        raise ValueError(
            f"{name}: x has shape {tuple(x.shape)}, but points of this grid have shape "
            f"[N, {spec.dim}]."
        )


def _check_pair(name: str, other: str, x: Tensor, values: Tensor) -> None:
    for argument, tensor in (("x", x), (other, values)):
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"{name}: {argument} is {str(tensor.dtype).removeprefix('torch.')}, but kernels "
                "exist for float32 and float64; convert it with .float() or .double()."
            )
    if x.dtype != values.dtype:
        raise TypeError(
            f"{name}: x is {str(x.dtype).removeprefix('torch.')} and {other} is "
            f"{str(values.dtype).removeprefix('torch.')}; convert one of them, e.g. field.double()."
        )
    if x.device != values.device:
        raise ValueError(
            f"{name}: x is on {x.device} and {other} is on {values.device}; move one with .to()."
        )
