"""The raw kernels as torch operators `dinfgrid::gather` and `dinfgrid::scatter`.

`functional` uses them while torch.compile traces: fake tensors get shapes, autograd and vmap have
rules, autocast computes in float32. In eager mode it calls the kernels directly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .multi_index import jet_size, shift
from .native import _C
from .packed_grid import Floats, Ints, dim_of, levels_of, total_nodes
from .torch_compat import in_forward_mode


def _refuse_forward_mode() -> None:
    """Raises in forward mode, eagerly and while torch.compile traces a derivative."""
    if in_forward_mode():
        raise NotImplementedError(
            "gather: torch would silently return zero for forward mode (jvp, jacfwd) inside "
            "torch.compile; take the derivative outside torch.compile, or use field.jet."
        )


@torch.library.custom_op("dinfgrid::gather", mutates_args=(), device_types=("cpu", "cuda"))
def gather(
    x: Tensor,
    features: Tensor,
    ints: Sequence[int],
    floats: Sequence[float],
    order: int,
    concat: bool,
) -> Tensor:
    """Returns y [N, J, levels * C] or [N, J, C] of x [N, dim] and features [total nodes, C]."""
    _refuse_forward_mode()
    result: Tensor = _C.gather(x, features, ints, floats, order, concat)
    return result


@torch.library.custom_op("dinfgrid::scatter", mutates_args=(), device_types=("cpu", "cuda"))
def scatter(
    x: Tensor, y: Tensor, ints: Sequence[int], floats: Sequence[float], order: int, concat: bool
) -> Tensor:
    """Returns features [total nodes, C] of x [N, dim] and y as `gather` returns it."""
    _refuse_forward_mode()
    result: Tensor = _C.scatter(x, y, ints, floats, order, concat)
    return result


@gather.register_fake
def _(x: Tensor, features: Tensor, ints: Ints, floats: Floats, order: int, concat: bool) -> Tensor:
    _refuse_forward_mode()
    columns = features.shape[1] * (levels_of(ints) if concat else 1)
    return features.new_empty(x.shape[0], jet_size(dim_of(ints), order), columns)


@scatter.register_fake
def _(x: Tensor, y: Tensor, ints: Ints, floats: Floats, order: int, concat: bool) -> Tensor:
    _refuse_forward_mode()
    return y.new_empty(total_nodes(ints), y.shape[2] // (levels_of(ints) if concat else 1))


def shifted(next_jet: Tensor, dim: int, order: int, axis: int) -> Tensor:
    """The derivatives alpha + e_axis, |alpha| <= order, of a jet [N, J(order + 1), K].

    Without an index on the device, for which the host would wait.
    """
    slices = next_jet.unbind(dim=1)
    return torch.stack([slices[at] for at in shift(dim, order, axis)], dim=1)


def point_gradient(grad_y: Tensor, next_jet: Tensor, dim: int, order: int) -> Tensor:
    """The cotangent of x: the sum over alpha of grad_y[alpha] times the derivative alpha + e_k.

    That is d<grad_y, gather(x)> / dx_k.

    Args:
        grad_y: [N, J(order), K].
        next_jet: [N, J(order + 1), K], the jet one order higher.

    Returns:
        [N, dim].
    """
    columns = [(grad_y * shifted(next_jet, dim, order, axis)).sum((1, 2)) for axis in range(dim)]
    return torch.stack(columns, dim=1)


Call = Callable[[Tensor, Tensor, int], Tensor]
Gradients = tuple[Tensor | None, Tensor | None]


def gather_gradients(
    gather: Call, scatter: Call, inputs: tuple[Tensor, Tensor], grad_y: Tensor, grid: Any, ctx: Any
) -> Gradients:
    """The cotangents of x and features for y = gather(x, features).

    Args:
        gather, scatter: (x, values, order) -> result, differentiable.
        inputs: x and features.
        grid: (dim, order).
        ctx: tells by ``needs_input_grad`` what is asked for.
    """
    x, features = inputs
    dim, order = grid
    grad_x = grad_features = None
    if ctx.needs_input_grad[0]:
        grad_x = point_gradient(grad_y, gather(x, features, order + 1), dim, order)
    if ctx.needs_input_grad[1]:
        grad_features = scatter(x, grad_y, order)
    return grad_x, grad_features


def scatter_gradients(
    gather: Call, inputs: tuple[Tensor, Tensor], grad_features: Tensor, grid: Any, ctx: Any
) -> Gradients:
    """The cotangents of x and y for features = scatter(x, y); arguments as `gather_gradients`."""
    x, y = inputs
    dim, order = grid
    grad_x = grad_y = None
    if ctx.needs_input_grad[0]:
        grad_x = point_gradient(y, gather(x, grad_features, order + 1), dim, order)
    if ctx.needs_input_grad[1]:
        grad_y = gather(x, grad_features, order)
    return grad_x, grad_y


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, values, ctx.ints, ctx.floats, ctx.order, ctx.concat = inputs
    ctx.save_for_backward(x, values)


def _calls(ctx: Any) -> tuple[Call, Call]:
    def run_gather(x: Tensor, features: Tensor, order: int) -> Tensor:
        result: Tensor = gather(x, features, ctx.ints, ctx.floats, order, ctx.concat)
        return result

    def run_scatter(x: Tensor, y: Tensor, order: int) -> Tensor:
        result: Tensor = scatter(x, y, ctx.ints, ctx.floats, order, ctx.concat)
        return result

    return run_gather, run_scatter


def _gather_backward(ctx: Any, grad_y: Tensor) -> tuple[Any, ...]:
    grid = (dim_of(ctx.ints), ctx.order)
    gradients = gather_gradients(*_calls(ctx), ctx.saved_tensors, grad_y, grid, ctx)
    return (*gradients, None, None, None, None)


def _scatter_backward(ctx: Any, grad_features: Tensor) -> tuple[Any, ...]:
    grid = (dim_of(ctx.ints), ctx.order)
    gradients = scatter_gradients(_calls(ctx)[0], ctx.saved_tensors, grad_features, grid, ctx)
    return (*gradients, None, None, None, None)


gather.register_autograd(_gather_backward, setup_context=_save)
scatter.register_autograd(_scatter_backward, setup_context=_save)


def batched_gather(
    call: Any, batch: int, in_dims: tuple[int | None, int | None], x: Tensor, features: Tensor
) -> tuple[Tensor, int]:
    """The rule of vmap for gather: batched points are more points, batched features more channels.

    Args:
        call: (x, features) -> y, differentiable.
        batch: size of the mapped axis.
        in_dims: where it stands in x and in features; None where it does not.

    Returns:
        The result and its batch axis.
    """
    x_at, features_at = in_dims
    if features_at is None:
        points = x.movedim(x_at or 0, 0)
        y = call(points.flatten(0, 1), features)
        return y.unflatten(0, (batch, points.shape[1])), 0
    features = features.movedim(features_at, -1)
    if x_at is None:
        y = call(x, features.flatten(1))
        return y.unflatten(2, (y.shape[2] // batch, batch)), 3
    points = x.movedim(x_at, 0)
    return torch.stack([call(points[b], features[..., b]) for b in range(batch)]), 0


def batched_scatter(
    call: Any, batch: int, in_dims: tuple[int | None, int | None], x: Tensor, y: Tensor
) -> tuple[Tensor, int]:
    """The rule of vmap for scatter: a batch of y is more channels; batches of points go in turn."""
    x_at, y_at = in_dims
    if x_at is None:
        values = y.movedim(y_at or 0, -1)
        features = call(x, values.flatten(2))
        return features.unflatten(1, (features.shape[1] // batch, batch)), 2
    points = x.movedim(x_at, 0)
    each = [y] * batch if y_at is None else list(y.movedim(y_at, 0))
    return torch.stack([call(points[b], each[b]) for b in range(batch)]), 0


@gather.register_vmap
def _(info: Any, in_dims: Any, x: Tensor, features: Tensor, *rest: Any) -> tuple[Tensor, int]:
    call = lambda p, f: gather(p, f, *rest)  # noqa: E731
    return batched_gather(call, info.batch_size, in_dims[:2], x, features)


@scatter.register_vmap
def _(info: Any, in_dims: Any, x: Tensor, y: Tensor, *rest: Any) -> tuple[Tensor, int]:
    call = lambda p, v: scatter(p, v, *rest)  # noqa: E731
    return batched_scatter(call, info.batch_size, in_dims[:2], x, y)


for _device in ("cpu", "cuda"):
    gather.register_autocast(_device, torch.float32)
    scatter.register_autocast(_device, torch.float32)
