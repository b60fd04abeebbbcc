"""Whether numbers of a type can be told apart inside the cells of a grid."""

from __future__ import annotations

import torch

from .spec import GridSpec

# Cells shorter than this many steps of the floating-point numbers at a corner lose their points.
FINEST = 16


def check_resolution(spec: GridSpec, dtype: torch.dtype) -> None:
    """Raises ValueError where points of this type cannot be told apart inside a grid's cells.

    Cells of a local level may be as small as its corner is near to zero.

    Raises:
        ValueError: one line that names the axis.
    """
    name, eps = str(dtype).removeprefix("torch."), torch.finfo(dtype).eps
    for level in (0, *range(spec.global_levels, spec.levels)):
        boxes, scales = spec.level_box(level), spec.level_scale(level)
        for axis, (low, high, scale) in enumerate(zip(*boxes, scales, strict=True)):
            if 1 / scale < FINEST * eps * max(abs(low), abs(high)):
                far = max(low, high, key=abs)
                raise ValueError(
                    f"grid: on axis {axis} cells are {1 / scale:.3g} long, but {name} numbers near "
                    f"{far:.9g} are {eps * abs(far):.1g} apart; "
                    + ("use dtype=torch.float64, " if dtype != torch.float64 else "use ")
                    + "fewer cells, or coordinates that start at 0."
                )
