"""Local levels of a feature grid: which functions take part, and how smooth the field is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases_of_local_levels import (
    APART,
    CASES,
    INSIDE,
    LEFT,
    faces,
    functions,
    grid_with,
    interval,
    lattice,
    rank,
)

import dinfgrid_cuda as dg
from dinfgrid_cuda import functional
from dinfgrid_cuda.fields.refinement import Refined
from dinfgrid_cuda.kernels.held import taking_part
from dinfgrid_cuda.kernels.multi_index import multi_indices
from dinfgrid_cuda.solvers.linear.unknown_nodes import unknown_nodes
from dinfgrid_cuda.suite.tools import plots

Boxes = tuple[dg.Box | Refined, ...]
Options = dict[str, Any]
every_case = pytest.mark.parametrize(("boxes", "options"), CASES.values(), ids=CASES)


@every_case
def test_those_functions_take_part_that_vanish_at_the_ends_of_their_box(
    boxes: Boxes, options: Options
) -> None:
    grid = grid_with(*boxes, **options)
    spec, mask = grid.spec, grid.mask
    assert mask is not None
    part = mask[:, 0].bool()
    assert part[: spec.level_offset(spec.global_levels)].all()
    earlier: set[tuple[int, ...]] = set()
    for level in range(spec.global_levels, spec.levels):
        own = slice(spec.level_offset(level), spec.level_offset(level) + spec.level_size(level))
        values = torch.cat([functions(spec, x)[:, own] for x in faces(spec, level)])
        vanish = values.abs().amax(0) < 1e-12
        halvings = spec.local[level - spec.global_levels].halvings
        if boxes[0] is INSIDE and halvings in earlier:  # then the other box has some functions
            assert (vanish | ~part[own]).all()
            assert 0 < part[own].sum() < vanish.sum()
        else:
            assert torch.equal(vanish, part[own])
            assert vanish.any()
        earlier.add(halvings)
    assert grid.unknown_count == int(part.sum())
    assert (grid.active_features[~part] == 0).all()
    assert torch.equal(grid.active_features[part], grid.features[part])


@every_case
@pytest.mark.parametrize("degree", [1, 3])
def test_jets_are_continuous_across_the_ends_of_a_box(
    boxes: Boxes, options: Options, degree: int
) -> None:
    grid = grid_with(*boxes, **{**options, "degree": degree})
    spec = grid.spec
    places = [faces(spec, level) for level in range(spec.global_levels, spec.levels)]
    x, below = (torch.cat(parts) for parts in zip(*places, strict=True))
    order = degree - 1
    here, there = (grid.gather(at, order, "sum") for at in (x, below))
    scale = 2 * max(max(spec.level_scale(level)) for level in range(spec.levels))
    for place, index in enumerate(multi_indices(spec.dim, order)):
        # Rounding is that of sums of features of size 5 with derivatives up to (2 / h)^m; the step
        # of the numbers times the next derivative is no more than 2 / h of it.
        rounding = 100 * torch.finfo(torch.float64).eps * scale ** (sum(index) + 1)
        assert (here[:, place] - there[:, place]).abs().max() < rounding
    # Were the others not held at zero, the value would jump.
    here, there = (functional.gather(at, grid.features, spec, 0, "sum") for at in (x, below))
    assert (here - there).abs().max() > 1e-3


@pytest.mark.parametrize("name", [name for name in CASES if name != "a layer in space"])
def test_kept_functions_are_independent_and_span_what_all_of_them_span(name: str) -> None:
    boxes, options = CASES[name]
    degree = 3 if options.get("dim") == 1 else 1
    spec = grid_with(*boxes, **{**options, "degree": degree}).spec
    matrix = functions(spec, lattice(spec, max(max(own.halvings) for own in spec.local)))
    part, kept = taking_part(spec), unknown_nodes(spec)
    assert part is not None
    assert kept is not None
    assert (part | ~kept).all()
    assert kept.sum() < part.sum()
    assert rank(matrix[:, kept]) == rank(matrix[:, part])
    # Several global levels are not independent by themselves, and where cells are halved along one
    # axis in one box and along another in the next, a coarse function is the sum of both's.
    if name not in ("several levels", "crossing"):
        assert rank(matrix[:, kept]) == kept.sum()


@pytest.mark.parametrize(("overlap", "lost"), [(4, 0), (2, 1), (0, 3)])
def test_boxes_of_one_size_that_overlap_by_the_degree_span_what_one_box_spans(
    overlap: int, lost: int
) -> None:
    size = 1 / 32
    one = Refined(interval(8 * size, 16 * size), 1)
    two = Refined(interval((16 - overlap) * size, 24 * size), 1)
    cells: Options = {"dim": 1, "cells": 16}
    both = grid_with(one, two, **cells).spec
    whole = grid_with(Refined(interval(8 * size, 24 * size), 1), **cells).spec
    matrices = []
    for spec in (both, whole):
        part = taking_part(spec)
        assert part is not None
        part[: spec.level_offset(1)] = False
        matrices.append(functions(spec, lattice(spec, 1))[:, part])
    ranks = [rank(matrix) for matrix in matrices]
    together = rank(torch.cat(matrices, 1))
    assert ranks[1] == together
    assert ranks[1] - ranks[0] == lost


def test_a_function_of_overlapping_boxes_is_in_one_of_them_only() -> None:
    spec = grid_with(INSIDE, Refined(dg.Box((0.25, 0.25), (1.0, 1.0)), 1)).spec
    part = taking_part(spec)
    assert part is not None
    local = slice(spec.level_offset(1), None)
    matrix = functions(spec, lattice(spec, 1))[:, local][:, part[local]]
    assert rank(matrix) == matrix.shape[1]
    larger = grid_with(dg.Box((0.25, 0.25), (1.0, 1.0))).spec
    others = taking_part(larger)
    assert others is not None
    assert part.sum() == others.sum()


def test_gaussians_have_local_levels_where_they_end_smoothly() -> None:
    grid = dg.FeatureGrid(
        dim=1,
        cells=16,
        basis=dg.Gaussian(rho=2, window="smooth"),
        lower=0.0,
        upper=1.0,
        dtype=torch.float64,
        refine=[interval(0.25, 0.75)],
    )
    with torch.no_grad():
        grid.features.fill_(1.0)
    x, below = faces(grid.spec, 1)
    assert (grid.gather(x, 3) - grid.gather(below, 3)).abs().max() < 1e-7  # 32^4 roundings
    assert unknown_nodes(grid.spec) is not None
    # No Gaussian is the sum of finer ones: all that take part are solved for.
    part = taking_part(grid.spec)
    assert part is not None
    assert torch.equal(unknown_nodes(grid.spec), part)


def test_levels_side_by_side_are_the_global_ones() -> None:
    grid = grid_with(LEFT, APART, levels=2, channels=3)
    assert grid.out_channels == 6
    x = torch.rand(20, 2, generator=torch.Generator().manual_seed(0)).double()
    beside, added = grid.gather(x, 1), grid.gather(x, 1, "sum")
    assert beside.shape == (20, 3, 6)
    torch.testing.assert_close(beside.unflatten(2, (2, 3)).sum(2), added)
    assert "levels=2 and 2 local" in repr(grid)


def test_a_grid_covering_a_shape_has_local_levels_too() -> None:
    grid = dg.FeatureGrid.covering(
        dg.Disk((0.0, 0.0), 1.0), cells=8, basis=dg.BSpline(3), refine=[dg.Box((-1, -1), (0, 0))]
    )
    assert grid.spec.level_box(1) == ((-1.0, -1.0), (0.0, 0.0))
    assert grid.spec.level_cells(1) == (8, 8)


def test_pictures_outline_the_blocks_of_a_grid() -> None:
    pytest.importorskip("matplotlib")
    grid = grid_with(Refined(LEFT, 2), Refined(APART, 1))
    boxes = plots.blocks(grid)
    assert boxes == (grid.spec.level_box(2), grid.spec.level_box(1))  # coarse ones first
    assert plots.blocks(grid_with()) == ()
    axes = plots.figure(3, 3).subplots()
    panel = plots.Panel(torch.rand(9, 9).double().numpy(), "u", (0.0, 1.0, 0.0, 1.0), boxes=boxes)
    plots.draw_panel(axes, panel)
    drawn = {tuple(patch.get_bbox().extents) for patch in axes.patches}
    assert drawn == {(0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)}
    assert len(axes.patches) == 4  # dark on light: each is drawn twice
    whole = plots.panels([panel], "blocks")
    assert whole.startswith(b"\x89PNG")
