"""Files for ParaView: numbers on a regular lattice, whole or cut along a shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dinfgrid_cuda.suite.tools.shape_samples import Evaluate, Solid, evaluated, frame


def write_image(
    path: Path, lower: Sequence[float], upper: Sequence[float], data: dict[str, npt.NDArray[Any]]
) -> None:
    """Writes a .vti file. Raises ModuleNotFoundError without pyvista.

    Args:
        path: of the file.
        lower, upper: corners of the lattice, two or three numbers.
        data: by name, values at its nodes from face to face, each [n, m] or [n, m, k]; the first
            axis is VTK's x.
    """
    import pyvista

    shape = next(iter(data.values())).shape
    flat = 3 - len(shape)
    steps = [(high - low) / (n - 1) for low, high, n in zip(lower, upper, shape, strict=True)]
    image = pyvista.ImageData(
        dimensions=(*shape, *[1] * flat),
        origin=(*lower, *[0.0] * flat),
        spacing=(*steps, *[1.0] * flat),
    )
    for name, array in data.items():
        image.point_data[name] = array.ravel(order="F")  # VTK's x runs fastest
    image.save(path)


def clipped_vtk(
    path: Path, shape: Solid, fields: dict[str, Evaluate], nodes: int | None = None
) -> None:
    """Writes the inside of a shape as a .vtu file: cells of a lattice, cut along its boundary.

    Raises ModuleNotFoundError without pyvista.

    Args:
        path: of the file.
        shape: two- or three-dimensional.
        fields: by name, points [N, dim] -> [N]; evaluated at the nodes inside and on the boundary.
        nodes: on the longest axis; by default 201 in the plane and 81 in space.

    Raises:
        ValueError: if nothing of the shape lies between the nodes.
    """
    import pyvista

    dim = len(shape.lower)
    lattice = frame(shape.lower, shape.upper, nodes or (201 if dim == 2 else 81))
    flat = 3 - dim
    image = pyvista.ImageData(
        dimensions=(*lattice.shape, *[1] * flat),
        origin=(*lattice.origin, *[0.0] * flat),
        spacing=(lattice.step,) * 3,
    )
    level = evaluated(shape.level, lattice.points).reshape(lattice.shape)
    image.point_data["level"] = level.ravel(order="F")
    inside = image.clip_scalar(scalars="level", value=0.0, invert=True)
    if not inside.n_cells:
        raise ValueError(f"vtk: nothing of {shape!r} lies between {lattice.shape} nodes.")
    points = torch.from_numpy(np.array(inside.points, dtype=np.float64)[:, :dim])
    for name, field in fields.items():
        inside.point_data[name] = evaluated(field, points)
    inside.save(path)
