"""A problem's box and points against the field's grid."""

import re
import warnings

import pytest
import torch
from solving import line_field

import dinfgrid_cuda as dg


def line(low, high):
    return dg.Problem(
        dg.Box([low], [high]),
        [
            dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2),
            dg.Term("ends", dg.Boundary(), lambda x, u: u.value - x),
        ],
    )


def make_field(lower=-1.0, upper=1.0, **options):
    return line_field(cells=16, lower=lower, upper=upper, **options)


@pytest.mark.parametrize("method", ["auto", "least-squares", "lbfgs", "adam"])
@pytest.mark.parametrize("ends", [(0.0, 10.0), (-1.0, 1.01), (-1.01, 1.0), (3.0, 4.0)])
def test_a_box_that_the_grid_does_not_cover_is_refused(method, ends):
    text = re.escape(f"box is [{ends[0]:g}, {ends[1]:g}], but the field's grid covers [-1, 1] only")
    with pytest.raises(ValueError, match=text) as caught:
        dg.solve(line(*ends), make_field(), method, steps=1, progress=False)
    assert f"lower=[{ends[0]:g}], upper=[{ends[1]:g}]" in str(caught.value)


def test_clamped_grids_must_cover_the_box_too():
    with pytest.raises(ValueError, match="covers"):
        dg.solve(line(0.0, 2.0), make_field(boundary="clamp", basis=dg.Gaussian()), progress=False)


@pytest.mark.parametrize("slack", [0.0, 1e-10])
def test_corners_that_agree_up_to_rounding_fit(slack):
    field = make_field(0.0, 1.0)
    assert dg.solve(line(-slack, 1.0 + slack), field, progress=False).loss < 1e-12


def warned(problem, field, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dg.solve(problem, field, progress=False, **options)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize(("high", "told"), [(0.4, True), (0.6, False)])
def test_a_box_of_less_than_half_the_grid_is_told(high, told):
    found = [text for text in warned(line(-0.5, high), make_field()) if "of its cells" in text]
    assert len(found) == told
    if told:
        assert "[-0.5, 0.4]" in found[0]
        assert "[-1, 1]" in found[0]


@pytest.mark.parametrize(("high", "told"), [(2.0, False), (1.0, True), (3.0, True)])
def test_a_periodic_box_is_one_period(high, told):
    box = dg.Box([0.0], [high])
    term = dg.Term("fit", dg.Interior(), lambda x, u: u.value - 1)
    found = warned(dg.Problem(box, [term]), make_field(boundary="periodic"))
    assert any("repeats after 2" in text for text in found) == told


@pytest.mark.parametrize("method", ["auto", "lbfgs"])
def test_points_outside_the_box_are_told(method):
    x = torch.tensor([[0.2], [5.0], [1.0]], dtype=torch.float64)
    problem = line(0.0, 1.0)
    data = dg.Term("data", dg.Points(x), lambda x, u, d: u.value - d, data=x)
    problem = dg.Problem(problem.domain, [*problem.terms, data])
    found = warned(problem, make_field(0.0, 1.0), method=method, steps=2)
    outside = [text for text in found if "outside" in text]
    assert len(outside) == 1
    assert "'data': 1 of 3 points" in outside[0]
    assert "[5]" in outside[0]


def test_points_on_the_faces_in_single_precision_are_inside():
    x = torch.tensor([[0.1], [0.7]], dtype=torch.float32)
    problem = dg.Problem(
        dg.Box([0.1], [0.7]), [dg.Term("data", dg.Points(x), lambda x, u: u.value - x)]
    )
    found = warned(problem, make_field(0.1, 0.7), method="lbfgs", steps=1)
    assert not [text for text in found if "outside" in text]


def test_products_know_their_periodic_axes():
    grid = dg.FactorizedGrid(
        2, 4, products="axes", boundary=("periodic", "ghost"), dtype=torch.float64, seed=0
    )
    field = dg.FactorizedField(grid)
    term = dg.Term("fit", dg.Interior(), lambda x, u: u.value - 1)
    wide = dg.Problem(dg.Box([-1.0, -1.0], [3.0, 1.0]), [term])
    assert any("axis 0, which is periodic" in text for text in warned(wide, field, steps=1))
    with pytest.raises(ValueError, match=r"only \(axis 1\)"):
        dg.solve(dg.Problem(dg.Box([-1.0, -1.0], [1.0, 3.0]), [term]), field, progress=False)


def test_slabs_cover_all_of_time_and_their_own_space():
    def make(box):
        grid = dg.FeatureGrid(
            2, 4, lower=box.lower, upper=box.upper, basis=dg.BSpline(5), dtype=torch.float64
        )
        return dg.Field(grid, dg.LinearDecoder(1, seed=0))

    field = dg.SlabField(make, dg.Box([0.0, 0.0], [1.0, 1.0]), slabs=2)
    for corner, axis in (([2.0, 1.0], 0), ([1.0, 2.0], 1)):
        terms = [dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value)]
        with pytest.raises(ValueError, match=rf"only \(axis {axis}\)"):
            dg.solve(dg.Problem(dg.Box([0.0, 0.0], corner), terms), field, progress=False)
