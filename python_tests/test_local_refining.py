"""Refining a grid: the field stays the same; points of least squares; every error message."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases import normal
from cases_of_local_levels import CASES, CORNER, INSIDE, LEFT, grid_with, interval

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.refinement import Refined
from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.leaf_points import LeafBoundary, LeafPoints
from dinfgrid_cuda.kernels.local_level import LocalLevel
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.solvers.linear.local_points import leaves_of

every_case = pytest.mark.parametrize(("boxes", "options"), CASES.values(), ids=CASES)


def random_points(dim: int, n: int = 200) -> torch.Tensor:
    unit = torch.rand(n, dim, generator=torch.Generator().manual_seed(9)).double()
    return unit * 1.2 - 0.1  # outside of the grid too


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("decoder", ["linear", "mlp", "identity"])
def test_a_refined_field_is_the_same_to_the_last_bit(channels: int, decoder: str) -> None:
    grid = grid_with(LEFT, levels=2, channels=channels)
    decoders = {
        "linear": lambda: dg.LinearDecoder(2, seed=1),
        "mlp": lambda: dg.MLPDecoder(2, hidden=8, seed=1),
        "identity": lambda: dg.IdentityDecoder(grid.out_channels),
    }
    field = dg.Field(grid, decoders[decoder]())
    x = random_points(2)
    before = field.jet(x, 2).components.detach()
    field.grid = grid.refined([CORNER, Refined(INSIDE, 1)])
    assert torch.equal(field.jet(x, 2).components, before)
    assert len(field.grid.spec.local) == 3
    assert len(grid.spec.local) == 1


@every_case
def test_refining_again_and_back_keeps_the_features(boxes: Any, options: dict[str, Any]) -> None:
    grid = grid_with(*boxes, **options, channels=2)
    first = grid_with(**options, channels=2)
    one_by_one = first
    for box in boxes:
        one_by_one = one_by_one.refined([box])
    assert one_by_one.spec == grid.spec
    assert torch.equal(one_by_one.features[: first.spec.total_nodes], first.features)
    assert (one_by_one.features[first.spec.total_nodes :] == 0).all()
    assert torch.equal(one_by_one.on(first.spec).features, first.features)
    assert torch.equal(grid.on(grid.spec).features, grid.active_features)
    assert one_by_one.features.requires_grad


@pytest.mark.parametrize("boundary", ["ghost", "periodic"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (((4, 10),), ((2, 14),)),  # a larger box
        (((4, 8), (9, 7)), ((4, 12),)),  # two boxes become one
        (((4, 12),), ((0, 4), (4, 12))),  # another one before it
        (((4, 10),), ((0, 16),)),  # the whole axis
        (((0, 16),), ((0, 16), (4, 8))),
    ],
)
def test_functions_that_both_grids_have_are_carried_over(boundary: str, old: Any, new: Any) -> None:
    def spec(boxes: Any) -> GridSpec:
        local = tuple(LocalLevel((start,), (cells,), (1,)) for start, cells in boxes)
        return GridSpec(1, (8,), 1 + len(local), dg.BSpline(3), (boundary,), (0.0,), (1.0,), local)

    grid = grid_with(dim=1, boundary=boundary, channels=2).on(spec(old))
    with torch.no_grad():
        grid.features.copy_(normal(*grid.features.shape, seed=5))
    carried = grid.on(spec(new))
    x = torch.linspace(0, 1, 101).double()[:, None]
    torch.testing.assert_close(carried.gather(x, 1), grid.gather(x, 1), rtol=0, atol=1e-12)
    assert (grid.gather(x) - grid.on(spec(())).gather(x)).abs().max() > 0.1


def test_a_function_that_the_other_grid_does_not_have_is_left_out() -> None:
    grid = grid_with(interval(0.0, 1.0), dim=1)
    narrower = grid.on(grid_with(interval(0.5, 1.0), dim=1).spec)
    assert 0 < narrower.active_features.count_nonzero() < grid.active_features.count_nonzero()
    finer = grid.on(grid_with(Refined(interval(0.0, 1.0), 2), dim=1).spec)
    assert finer.features[11:].count_nonzero() == 0


@every_case
@pytest.mark.parametrize("exact", [False, True])
def test_points_in_the_leaves_stand_for_the_domain_once(
    boxes: Any, options: dict[str, Any], exact: bool
) -> None:
    spec = grid_with(*boxes, **options).spec
    domain = dg.Box((0.0,) * spec.dim, (1.0,) * spec.dim)
    leaves = leaves_of(spec, bounding_box(domain))
    points = LeafPoints(leaves[0].edges, 2, 3, leaves=leaves, exact=exact)
    x, volumes = points(0, domain, dtype=torch.float64), points.volumes(domain)
    assert abs(float(volumes.sum()) - 1) < 1e-7  # edges go beyond the domain by 1e-9 of it
    # A cell's points stand for the middle of what they stand for.
    torch.testing.assert_close(
        volumes @ x, torch.full((spec.dim,), 0.5).double(), rtol=0, atol=1e-7
    )
    weights = points.weights(domain, torch.float64, x.device)
    torch.testing.assert_close(weights, volumes / volumes.mean())
    if spec.dim == 1:
        return
    rule = LeafBoundary(leaves[0].edges, 3, leaves=leaves).rule(domain)
    assert float(rule.weights.sum()) == pytest.approx(2 * spec.dim, 1e-7)


def test_points_on_a_disk_and_on_its_boundary_stand_for_it_once() -> None:
    disk = dg.Disk((0.5, 0.5), 0.5)
    spec = grid_with(LEFT, CORNER, Refined(INSIDE, 1)).spec
    leaves = leaves_of(spec, bounding_box(disk))
    exact = LeafPoints(leaves[0].edges, 3, leaves=leaves, exact=True)
    assert float(exact.volumes(disk).sum()) == pytest.approx(math.pi / 4, rel=1e-3)
    rule = LeafBoundary(leaves[0].edges, 4, True, leaves).rule(disk)
    assert float(rule.weights.sum()) == pytest.approx(math.pi, rel=1e-3)
    for own in leaves:
        for lower, upper in own.covered:
            inside = (rule.x >= torch.tensor(lower)) & (rule.x < torch.tensor(upper))
            assert not (inside.all(dim=1) & own.hold(rule.x)).any()


def test_no_point_of_a_level_lies_in_a_finer_one() -> None:
    spec = grid_with(LEFT, CORNER).spec
    domain = dg.Box((0.0, 0.0), (1.0, 1.0))
    leaves = leaves_of(spec, bounding_box(domain))
    points = LeafPoints(leaves[0].edges, 1, 1, leaves=leaves)
    x = points(0, domain, dtype=torch.float64)
    # 8 x 8 cells, of which 4 x 4 are 8 x 8 and of these 4 x 4 are 8 x 8.
    assert len(x) == (64 - 16) + (64 - 16) + 64
    at_corner = (x < 0.25).all(dim=1)
    assert at_corner.sum() == 64


GOOD: dict[str, Any] = {"dim": 2, "cells": 8, "lower": 0.0, "upper": 1.0, "basis": dg.BSpline(3)}
LINE: dict[str, Any] = {**GOOD, "dim": 1, "cells": 64}


@pytest.mark.parametrize(
    ("kind", "options", "boxes", "said"),
    [
        (TypeError, GOOD, LEFT, r"refine is one box; pass a list of boxes"),
        (TypeError, GOOD, ["left"], r"refine\[0\] is a str; pass a Box or a Refined"),
        (TypeError, GOOD, [dg.Box], r"refine"),
        (ValueError, GOOD, [interval(0.0, 0.5)], r"refine\[0\] is 1-D, but the grid is 2-D"),
        (ValueError, GOOD, [LEFT, dg.Box((0.0, 0.0), (0.3, 0.5))], r"refine\[1\] ends at 0.3 on"),
        (ValueError, LINE, [Refined(interval(0.5, 1.0 - 1 / 128), 1)], "inside a cell of a coarse"),
        (ValueError, GOOD, [dg.Box((0.25, 0.25), (0.375, 0.5))], "2 cells wide on axis 0, but a"),
        (ValueError, GOOD, [dg.Box((0.5, 0.5), (1.5, 1.0))], "the grid goes from 0 to 1; keep"),
        (ValueError, GOOD, [dg.Box((-0.5, 0.5), (1.0, 1.0))], "ends at -0.5 on axis 0, but the g"),
        (ValueError, GOOD, [LEFT, INSIDE], "overlaps the local level from .* in part, so that"),
        (
            ValueError,
            GOOD,
            [Refined(LEFT, (1, 1, 1))],
            "halvings has 3 entries, but the grid has 2",
        ),
        (ValueError, LINE, [Refined(interval(0, 1), 1)] * 65, "65 local levels were asked for"),
        (ValueError, {**GOOD, "basis": dg.Gaussian()}, [LEFT], "jumps at its reach; use a BSpline"),
        (
            ValueError,
            {**GOOD, "basis": dg.Gaussian(window="smooth"), "boundary": "clamp"},
            [Refined(dg.Box((0, 0), (1, 1)), 2)],
            "do not exist with boundary 'clamp'",
        ),
        (ValueError, LINE, [Refined(interval(0, 1), 30)], r"cells halved|can be counted"),
    ],
)
def test_a_wrong_box_is_named_with_what_is_possible(
    kind: type[Exception], options: dict[str, Any], boxes: Any, said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        dg.FeatureGrid(**options, refine=boxes)
    assert "\n" not in str(caught.value)
    if isinstance(options["basis"], dg.BSpline):
        with pytest.raises(kind, match=said):
            dg.FeatureGrid(**options).refined(boxes)


@pytest.mark.parametrize(
    ("kind", "make", "said"),
    [
        (TypeError, lambda: Refined(LEFT.lower), "box is a tuple; pass a Box"),  # type: ignore[arg-type]
        (TypeError, lambda: Refined(dg.Box), "Box"),  # type: ignore[arg-type]
        (ValueError, lambda: Refined(LEFT, 0), "halvings is 0; pass integers in 0..48, not"),
        (ValueError, lambda: Refined(LEFT, (0, 0)), "not all zero"),
        (ValueError, lambda: Refined(LEFT, 49), "pass integers in 0..48"),
        (ValueError, lambda: Refined(LEFT, (1, 0.5)), "pass integers"),  # type: ignore[arg-type]
        (ValueError, lambda: Refined(LEFT, ()), "pass integers"),
        (TypeError, lambda: LocalLevel(3, (4,), (1,)), "start is 3; pass one integer per axis"),  # type: ignore[arg-type]
        (TypeError, lambda: LocalLevel("0", (4,), (1,)), "start is '0'; pass one"),  # type: ignore[arg-type]
        (ValueError, lambda: LocalLevel((-1,), (4,), (1,)), "start is .-1,., but its entries"),
        (ValueError, lambda: LocalLevel((0,), (0,), (1,)), "cells is .0,., .* integers >= 1"),
        (ValueError, lambda: LocalLevel((0,), (4,), (-1,)), "halvings is .-1,."),
        (ValueError, lambda: LocalLevel((0,), (4,), (0,)), "1 to 48 times along some axis"),
        (ValueError, lambda: LocalLevel((0,), (4,), (49,)), "1 to 48 times along some axis"),
        (ValueError, lambda: LocalLevel((0, 0), (4,), (1,)), "must have one entry per axis each"),
    ],
)
def test_wrong_numbers_of_a_box_are_named(kind: type[Exception], make: Any, said: str) -> None:
    with pytest.raises(kind, match=said):
        make()


def spec_with(*local: Any, **changes: Any) -> GridSpec:
    settings: dict[str, Any] = {
        "dim": 1,
        "cells": (8,),
        "levels": 1 + len(local),
        "basis": dg.BSpline(3),
        "boundary": ("ghost",),
        "lower": (0.0,),
        "upper": (1.0,),
    }
    return GridSpec(**{**settings, **changes}, local=local)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: spec_with("box"), "a local level is 'box', but it must be a LocalLevel with 1"),
        (
            lambda: spec_with(LocalLevel((0, 0), (4, 4), (1, 1))),
            "must be a LocalLevel with 1 entries per axis",
        ),
        (lambda: spec_with(LocalLevel((10,), (8,), (1,))), "ends at cell 18, but the grid has 16"),
        (lambda: spec_with(LocalLevel((0,), (4,), (1,)), levels=1), "1..16 beside the 1 local"),
        (lambda: spec_with(*[LocalLevel((0,), (4,), (1,))] * 65), "at most 64"),
        (
            lambda: spec_with(LocalLevel((0,), (4,), (48,)), cells=(32,)),
            "32 cells halved 48 times on axis 0 are more than",
        ),
    ],
)
def test_wrong_local_levels_of_a_spec_are_named(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_cells_too_small_for_the_numbers_near_them_are_refused() -> None:
    deep = [interval(1 - 2.0**-n, 1.0) for n in range(1, 20)]
    with pytest.raises(ValueError, match="float32 numbers near 1 are .* use dtype=torch.float64"):
        dg.FeatureGrid(**LINE, dtype=torch.float32, refine=deep)
    dg.FeatureGrid(**LINE, dtype=torch.float64, refine=deep)
    # Near zero the numbers are dense enough.
    near_zero = [interval(0.0, 2.0**-n) for n in range(1, 20)]
    assert len(dg.FeatureGrid(**LINE, dtype=torch.float32, refine=near_zero).spec.local) == 19
