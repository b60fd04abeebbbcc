"""GridSpec: sizes, packing, and one clear line for every impossible grid."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.spec import GridSpec, max_order

GOOD: dict[str, Any] = {
    "dim": 2,
    "cells": (8, 4),
    "levels": 2,
    "basis": Gaussian(rho=3),
    "boundary": ("ghost", "periodic"),
    "lower": (-1.0, 0.0),
    "upper": (1.0, 3.0),
}


def test_level_sizes_follow_the_boundary_of_each_axis() -> None:
    spec = GridSpec(**GOOD)
    assert [spec.level_cells(s) for s in range(2)] == [(8, 4), (4, 2)]
    assert [spec.level_nodes(s) for s in range(2)] == [(8 + 5, 4), (4 + 5, 2)]
    assert [spec.level_size(s) for s in range(2)] == [52, 18]
    assert [spec.level_offset(s) for s in range(2)] == [0, 52]
    assert spec.total_nodes == 70


def test_clamp_has_one_node_more_than_cells() -> None:
    spec = GridSpec(**{**GOOD, "boundary": ("clamp", "clamp")})
    assert spec.level_nodes(1) == (5, 3)


def test_packing_is_the_one_of_the_kernels() -> None:
    spec = GridSpec(**GOOD)
    assert spec.ints == (2, 2, 0, 3, 1, 0, 0, 2, 8, 4)
    assert spec.floats == (1.0, -1.0, 0.0, 1.0, 3.0)
    spline = GridSpec(**{**GOOD, "basis": BSpline(3)})
    assert spline.ints == (2, 2, 2, 2, 1, 0, 0, 2, 8, 4)
    assert spline.floats[0] == 0.0


def test_spec_is_a_value_that_survives_pickling() -> None:
    spec = GridSpec(**GOOD)
    assert spec.total_nodes
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert hash(copy) == hash(spec) == hash(GridSpec(**GOOD))
    assert copy.ints == spec.ints


def test_highest_orders() -> None:
    assert [max_order(dim) for dim in (1, 2, 3, 4)] == [5, 5, 5, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"dim": 5}, "dim is 5"),
        ({"dim": 2.0}, "dim is 2.0"),
        ({"cells": (8,)}, "cells has 1 entries"),
        ({"cells": (8, -4)}, "cells is -4"),
        ({"cells": (8, 4.0)}, "cells is 4.0"),
        ({"cells": (8, 5)}, "5 cells cannot be halved 1 times"),
        ({"levels": 0}, "levels is 0"),
        ({"levels": 17}, "levels is 17"),
        ({"levels": 4}, "4 cells cannot be halved 3 times"),
        ({"boundary": ("ghost", "mirror")}, "boundary is 'mirror'"),
        ({"boundary": ("clamp", "ghost"), "basis": BSpline()}, "B-spline with boundary 'clamp'"),
        ({"lower": (0.0, float("nan"))}, "lower is nan"),
        ({"upper": (1.0, float("inf"))}, "upper is inf"),
        ({"lower": (1.0, 0.0)}, "on axis 0 the box goes from 1.0 to 1.0"),
        ({"upper": (1.0, -3.0)}, "on axis 1 the box goes from 0.0 to -3.0"),
        ({"upper": (1.0, True)}, "upper is True"),
    ],
)
def test_impossible_grids_are_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        GridSpec(**{**GOOD, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"basis": "gaussian"}, {"cells": 8}, {"boundary": "ghost"}])
def test_wrong_types_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="grid: "):
        GridSpec(**{**GOOD, **change})


def test_four_dimensions_refuse_a_wide_basis() -> None:
    four = {
        "dim": 4,
        "cells": (2,) * 4,
        "levels": 1,
        "boundary": ("ghost",) * 4,
        "lower": (0.0,) * 4,
        "upper": (1.0,) * 4,
    }
    assert GridSpec(**four, basis=Gaussian(rho=4)).total_nodes == 9**4
    with pytest.raises(ValueError, match="in 4-D it goes up to 4"):
        GridSpec(**four, basis=Gaussian(rho=5))


def test_levels_that_do_not_exist_are_refused() -> None:
    with pytest.raises(IndexError, match="level 2 does not exist"):
        GridSpec(**GOOD).level_nodes(2)
