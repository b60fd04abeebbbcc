"""Curved finite elements (NGSolve) of `bench.classical`, and the table of `bench.shapes`."""

import math
from functools import partial

import pytest

pytest.importorskip("bench.classical")

from bench import accuracy_runs, shapes_ours
from bench.classical.result import Result
from bench.shapes_ngsolve import tried
from bench.shapes_rows import ROWS

pytestmark = pytest.mark.usefixtures("one_thread")


def rate(solve, size, degree):
    """The power of the mesh size with which the error falls when it is halved."""
    return math.log2(solve(size, degree).error / solve(size / 2, degree).error)


def test_names_of_rows_are_unique_and_every_row_has_a_goal():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(row.goal is not None and row.goal.value > 0 for row in ROWS)


def test_a_row_that_is_not_written_says_so():
    with pytest.raises(NotImplementedError, match="no-such-row is not written yet"):
        shapes_ours.solved("no-such-row", True)


def test_our_side_of_a_row_is_found_by_its_name(monkeypatch):
    def four_holes(quick):
        return Result(1e-3 if quick else 1e-9, 2.0, 7)

    monkeypatch.setattr(shapes_ours, "four_holes", four_holes, raising=False)
    found = shapes_ours.solved("four-holes", False)
    assert found == {"value": 1e-9, "seconds": 2.0, "unknowns": 7}


def test_convergence_tables_end_with_the_row_s_own_size():
    for row in ROWS:
        if row.rivals:
            assert tried(row)[-1] == row.rivals[0]


@pytest.fixture(scope="module")
def _ngsolve():
    pytest.importorskip("ngsolve")


@pytest.mark.usefixtures("_ngsolve")
class TestNGSolve:
    """Errors against the exact solutions fall as they must: with h^(p + 1), or faster."""

    def test_four_holes_series_and_elements_agree(self):
        from bench.classical.curved_plane import four_holes

        assert four_holes(0.1, 10).error < 1e-8
        assert four_holes(0.05, 10).error < 2e-10

    def test_star_is_met_by_its_mesh(self):
        """With edges by netgen alone the error at degree 8 is above 1e-8."""
        from bench.classical.curved_plane import manufactured, neumann

        assert manufactured("star", 0.2, 8).error < 2e-9
        assert manufactured("star", 0.2, 8, robin=2.0).error < 2e-9
        assert neumann(0.2, 8).error < 2e-9

    def test_annulus_converges_with_its_order(self):
        from bench.classical.curved_plane import manufactured

        assert rate(partial(manufactured, "annulus"), 0.3, 2) > 2.5

    @pytest.mark.parametrize("support", ["clamped", "simple"])
    def test_round_plates_of_both_supports_converge(self, support):
        from bench.classical.curved_plates import round_plate

        assert round_plate(0.3, 8, support).error < 1e-9

    def test_load_of_the_wave_on_a_plate_is_that_of_its_deflection(self):
        from bench.classical.curved_plates import round_plate

        assert round_plate(0.3, 8, wave=(4.0, -2.0)).error < 1e-6

    @pytest.mark.parametrize("kind", ["soft", "hard"])
    def test_scattered_waves_are_those_of_the_series(self, kind):
        from bench.classical.curved_waves import scattering

        assert scattering(0.5, 8, kind, wavenumber=5.0).error < 1e-4

    @pytest.mark.slow
    @pytest.mark.parametrize("solid", ["ball", "torus"])
    def test_solids_converge(self, solid):
        from bench.classical.curved_solids import manufactured

        assert manufactured(solid, 0.5, 4).error < 1e-3

    @pytest.mark.slow
    def test_a_closed_mesh_is_filled_and_solved_in(self):
        from bench.classical.curved_solids import bumpy

        assert bumpy(0.4, 4, halvings=3).error < 1e-3

    def test_a_rival_s_cell_holds_the_seconds_of_the_mesh(self):
        row = next(row for row in ROWS if row.name == "annulus")
        cell = accuracy_runs.rival(row.rivals[0], quick=True)
        assert 0 < cell["meshing"] < cell["seconds"]
        assert cell["unknowns"] > 0
