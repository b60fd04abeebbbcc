"""A grid that covers a shape: whole square cells around it, the very box where they fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.geometry.shapes.ball import Ball, Disk


def edges(grid: FeatureGrid) -> list[float]:
    ends = zip(grid.lower, grid.upper, grid.spec.cells, strict=True)
    return [(high - low) / count for low, high, count in ends]


def test_a_box_whose_cells_fit_is_covered_to_the_last_digit() -> None:
    box = dg.Box([0.1, -0.7], [0.4, 0.2])  # 0.3 x 0.9, neither a binary fraction
    grid = FeatureGrid.covering(box, cells=30)
    assert (grid.lower, grid.upper) == (box.lower, box.upper)
    assert grid.spec.cells == (10, 30)


def test_an_axis_that_no_whole_cells_fit_grows_on_both_sides() -> None:
    grid = FeatureGrid.covering(dg.Box([0, 0], [1, 0.33]), cells=10)
    assert grid.spec.cells == (10, 4)
    assert (grid.lower[0], grid.upper[0]) == (0.0, 1.0)
    assert grid.lower[1] == pytest.approx(-0.035, abs=1e-15)
    assert grid.upper[1] == pytest.approx(0.365, abs=1e-15)


@pytest.mark.parametrize("cells", [7, 16, 33])
@pytest.mark.parametrize("margin", [0, 2])
@pytest.mark.parametrize("levels", [1, 3])
def test_cells_are_square_and_hold_the_shape(cells: int, margin: int, levels: int) -> None:
    if levels > 1 and not margin:
        cells = 4 * cells
    shape = (Disk((0.3, 0.1), 0.5) | Disk((1.0, 0.4), 0.21)) - Disk((0.3, 0.1), 0.1)
    grid = FeatureGrid.covering(shape, cells=cells, levels=levels, margin=margin)
    size = max(shape.lengths) / cells
    assert edges(grid) == pytest.approx([size, size], rel=1e-12)
    beyond = margin * size - 1e-12
    assert all(a <= b - beyond for a, b in zip(grid.lower, shape.lower, strict=True))
    assert all(a >= b + beyond for a, b in zip(grid.upper, shape.upper, strict=True))
    wasted = [
        count - length / size for count, length in zip(grid.spec.cells, shape.lengths, strict=True)
    ]
    assert max(wasted) < 2 * margin + 2 ** (levels - 1)


def test_shorter_axes_are_rounded_up_to_what_levels_can_halve() -> None:
    grid = FeatureGrid.covering(dg.Box([0, 0], [1, 0.5]), cells=4, levels=3)
    assert grid.spec.cells == (4, 4)
    assert (grid.lower, grid.upper) == ((0.0, -0.25), (1.0, 0.75))


def test_numbers_per_axis_keep_the_very_box() -> None:
    grid = FeatureGrid.covering(Ball((0, 0, 1), 0.3), cells=(8, 9, 4), basis=dg.BSpline(5))
    assert grid.spec.cells == (8, 9, 4)
    assert (grid.lower, grid.upper) == (Ball((0, 0, 1), 0.3).lower, Ball((0, 0, 1), 0.3).upper)
    wider = FeatureGrid.covering(dg.Box([0, 0], [1, 4]), cells=(4, 2), margin=1)
    assert wider.spec.cells == (6, 4)
    assert (wider.lower, wider.upper) == ((-0.25, -2.0), (1.25, 6.0))


def test_a_periodic_axis_keeps_its_period() -> None:
    box = dg.Box([0, 0], [1, 0.33])
    grid = FeatureGrid.covering(box, cells=10, boundary=("ghost", "periodic"), margin=1)
    assert grid.spec.cells == (12, 4)
    assert (grid.lower[1], grid.upper[1]) == (0.0, 0.33)


def test_other_arguments_reach_the_grid() -> None:
    options: dict[str, Any] = {"levels": 2, "channels": 3, "basis": dg.BSpline(7), "seed": 4}
    grid = FeatureGrid.covering(Disk((0, 0), 1), 8, dtype=torch.float64, **options)
    same = FeatureGrid(2, 8, dtype=torch.float64, **options)
    assert torch.equal(grid.features, same.features)
    assert grid.spec == same.spec
    assert FeatureGrid.covering(Disk((0, 0), 1)).features.dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "options", "error", "words"),
    [
        (~Disk((0, 0), 1), {}, ValueError, "has no end; intersect it with a box"),
        (Disk, {}, TypeError, "shape is the class Disk"),
        ("disk", {}, TypeError, "shape is a str; pass a Disk"),
        (Disk((0, 0), 1), {"cells": 0}, ValueError, "cells is 0; it must be >= 1"),
        (Disk((0, 0), 1), {"cells": 3.5}, TypeError, "cells is 3.5; it must be a whole number"),
        (Disk((0, 0), 1), {"cells": "8"}, TypeError, "cells is '8'"),
        (Disk((0, 0), 1), {"cells": (8, 8, 8)}, ValueError, "cells has 3 entries, but the grid"),
        (Disk((0, 0), 1), {"cells": 9, "levels": 2}, ValueError, "9 cells cannot be halved"),
        (Disk((0, 0), 1), {"margin": -1}, ValueError, "margin is -1"),
        (Disk((0, 0), 1), {"levels": 0}, ValueError, "levels is 0"),
    ],
)
def test_errors_are_clear(shape: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        FeatureGrid.covering(shape, **options)
