"""A grid as numbers: Python writes them where the kernels read them."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest
from cases import make_spec

from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.packed_grid import (
    PackedFloat,
    PackedInt,
    dim_of,
    levels_of,
    total_nodes,
)

HEADER = Path(__file__).resolve().parent.parent / "csrc" / "packed_grid.h"


def positions_in_the_header(enum: str) -> dict[str, int]:
    """Names and values of an enum in packed_grid.h, whose values count from 0."""
    found = re.search(rf"enum {enum} : int {{(.*?)}};", HEADER.read_text(), re.DOTALL)
    assert found is not None
    names = re.findall(r"^\s*kPacked(\w+)(?:,|$)", found.group(1), re.MULTILINE)
    assert "=" not in found.group(1)
    return {name.upper(): position for position, name in enumerate(names)}


@pytest.mark.parametrize("enum", [PackedInt, PackedFloat])
def test_python_and_the_kernels_name_the_same_positions(enum: type[IntEnum]) -> None:
    expected = {name: int(position) for name, position in enum.__members__.items()}
    assert positions_in_the_header(enum.__name__) == expected


def test_a_spec_packs_what_it_says() -> None:
    spec = make_spec(3, Gaussian(0.7, 2), ("ghost", "clamp", "periodic"))
    assert spec.ints == (3, 3, 0, 2, 1, 0, 0, 1, 2, 8, 4, 8)
    assert spec.floats == (0.7, *spec.lower, *spec.upper)


def test_the_numbers_of_a_grid_can_be_read_back() -> None:
    for spec in (
        make_spec(1, BSpline(5), "periodic"),
        make_spec(4, Gaussian(0.7, 2), ("ghost", "clamp", "periodic", "ghost")),
    ):
        assert dim_of(spec.ints) == spec.dim
        assert levels_of(spec.ints) == spec.global_levels
        assert total_nodes(spec.ints) == spec.total_nodes
