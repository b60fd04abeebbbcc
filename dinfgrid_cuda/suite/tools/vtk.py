"""VTK images: numbers on a regular lattice, for ParaView."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt


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
