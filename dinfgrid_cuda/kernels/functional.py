"""`gather` and `scatter`: the two operations, closed under differentiation.

Arguments are checked here; `autograd` runs the operations and differentiates them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .autograd import KERNEL_DEVICES as KERNEL_DEVICES
from .autograd import run_gather, run_scatter
from .multi_index import jet_size
from .spec import GridSpec

HALF = (torch.float16, torch.bfloat16)


def gather(
    x: Tensor, features: Tensor, spec: GridSpec, order: int = 0, reduce: str = "concat"
) -> Tensor:
    """Returns all partial derivatives of total order 0..order of the interpolated features.

    Differentiable in x and features, by reverse and (once) forward mode, under torch.func and under
    torch.compile. Under autocast half precision arguments are computed in float32.

    Args:
        x: points [N, dim], in units of the box. Points outside use the edge cell's functions; a
            NaN gives NaN for its point.
        features: [total_nodes, C]; float32 or float64, same dtype and device as x.
        spec: the grid.
        order: 0..spec.max_order (5, in four dimensions 3). Each derivative by x that autograd takes
            of the result adds one.
        reduce: "concat" puts the global levels side by side, "sum" adds them up. A local level
            refines level 0, and adds to its columns.

    Returns:
        [N, J, global_levels * C] (levels outermost) or [N, J, C], J = jet_size(dim, order),
        derivatives in graded lexicographic order.

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
    return run_gather(x, features, spec, order, reduce == "concat")


def scatter(x: Tensor, y: Tensor, spec: GridSpec, order: int = 0, reduce: str = "concat") -> Tensor:
    """Returns the transpose of `gather` in the features: points add to nodes.

    Args:
        x: points [N, dim].
        y: [N, J, global_levels * C] for "concat", [N, J, C] for "sum"; dtype and device of x.
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
    levels = spec.global_levels if reduce == "concat" else 1
    if y.dim() != 3 or y.shape[:2] != (x.shape[0], derivatives) or y.shape[2] % levels:
        raise ValueError(
            f"scatter: y has shape {tuple(y.shape)}, but {x.shape[0]} points with order {order} "
            f"and reduce={reduce!r} need [{x.shape[0]}, {derivatives}, {levels} * channels]."
        )
    return run_scatter(x, y, spec, order, reduce == "concat")


def _autocast(x: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if x.dtype not in HALF and values.dtype not in HALF:
        return x, values
    if not torch.is_autocast_enabled(x.device.type):
        return x, values
    return x.float() if x.dtype in HALF else x, values.float() if values.dtype in HALF else values


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


def _check_pair(name: str, second: str, x: Tensor, values: Tensor) -> None:
    for argument, tensor in (("x", x), (second, values)):
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"{name}: {argument} is {str(tensor.dtype).removeprefix('torch.')}, but kernels "
                "exist for float32 and float64; convert it with .float() or .double()."
            )
    if x.dtype != values.dtype:
        raise TypeError(
            f"{name}: x is {str(x.dtype).removeprefix('torch.')} and {second} is "
            f"{str(values.dtype).removeprefix('torch.')}; convert one of them, e.g. field.double()."
        )
    if x.device != values.device:
        raise ValueError(
            f"{name}: x is on {x.device} and {second} is on {values.device}; move one with .to()."
        )
