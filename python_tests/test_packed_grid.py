"""A grid as numbers: Python writes them where the kernels read them."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest
from cases import make_local_spec, make_spec

from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.local_level import MAX_CELLS, MAX_HALVINGS, MAX_LOCAL, MAX_LOCAL_CELLS
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


def test_local_levels_follow_the_rest() -> None:
    spec = make_local_spec(2, BSpline(3), ("ghost", "periodic"))
    head = (2, 2, 2, 2, 1, 3, 0, 2, 8, 4)
    assert spec.ints == (*head, 4, 2, 6, 3, 1, 1, 0, 5, 11, 3, 2, 1, 10, 1, 20, 2, 3, 0)


def test_python_and_the_kernels_have_the_same_limits() -> None:
    found = re.findall(r"kMost(\w+) = (?:1(?:ll)? << )?(\d+);", HEADER.read_text())
    assert {name: int(number) for name, number in found} == {
        "Local": MAX_LOCAL,
        "Halvings": MAX_HALVINGS,
        "Cells": MAX_CELLS.bit_length() - 1,
        "Places": MAX_LOCAL_CELLS.bit_length() - 1,
    }


def test_the_numbers_of_a_grid_can_be_read_back() -> None:
    for spec in (
        make_spec(1, BSpline(5), "periodic"),
        make_spec(4, Gaussian(0.7, 2), ("ghost", "clamp", "periodic", "ghost")),
        make_local_spec(3, BSpline(3), ("ghost", "periodic", "periodic")),
    ):
        assert dim_of(spec.ints) == spec.dim
        assert levels_of(spec.ints) == spec.global_levels
        assert total_nodes(spec.ints) == spec.total_nodes
