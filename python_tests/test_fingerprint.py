"""A checkpoint is resumed only with the problem it was made with."""

import pytest
import torch
from solving import line_field as make_field
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers.record.fingerprint import fingerprint

pytest.importorskip("scipy")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.usefixtures("one_thread")

BOX = dg.Box([0.0], [1.0])


def points(count=9):
    return torch.linspace(0, 1, count, dtype=torch.float64)[:, None]


def parts(**changes):
    """What makes the problem; each may be changed."""
    return {
        "factor": 1.0,
        "box": BOX,
        "weight": 1.0,
        "order": 2,
        "interior": dg.Interior(),
        "faces": None,
        "x": points(),
        "data": None,
        "noise": None,
        "points": None,
        "source": 0.0,
        **changes,
    }


def problem(**changes):
    p = parts(**changes)
    data = p["x"] ** 2 if p["data"] is None else p["data"]
    terms = [
        dg.Term(
            "equation",
            p["interior"],
            lambda x, u: u.laplacian + p["factor"] * torch.exp(u.value) - p["source"],
            order=p["order"],
            points=p["points"],
        ),
        dg.Term("ends", dg.Boundary(p["faces"]), lambda x, u: u.value, weight=p["weight"]),
        dg.Term(
            "data", dg.Points(p["x"]), lambda x, u, d: u.value - d, data=data, noise=p["noise"]
        ),
    ]
    return dg.Problem(p["box"], terms)


MOVED = points().clone()
MOVED[4] += 1e-12
OTHER = points() ** 2
OTHER = OTHER.clone()
OTHER[3] += 1e-12


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["least-squares", "adam", "lbfgs"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factor": 3.0}, "another equation in term 'equation'"),
        ({"source": 1e-6}, "another equation in term 'equation'"),
        ({"box": dg.Box([0.0], [0.5])}, r"upper=\(1.0,\) of the domain, .* upper=\(0.5,\)"),
        ({"weight": 2.0}, "weight=1.0 in term 'ends', this solve has weight=2.0"),
        ({"order": 3}, "order=2 in term 'equation', this solve has order=3"),
        ({"interior": dg.Interior(dg.Lattice((33,)))}, "region=Interior.* in term 'equation'"),
        ({"faces": ((0, "lower"),)}, "region=Boundary.* in term 'ends'"),
        ({"x": MOVED, "data": points() ** 2}, "region=Points.* in term 'data'"),
        ({"data": OTHER}, "data=.* in term 'data'"),
        ({"x": points(7)}, "in term 'data'"),
        ({"noise": 0.1}, "noise=None in term 'data', this solve has noise=0.1"),
        ({"points": 50}, "in term 'equation'"),
    ],
)
def test_checkpoint_of_another_problem_is_refused(method, changes, message, tmp_path):
    dg.solve(problem(), make_field(), method, steps=1, out=tmp_path, progress=False)
    field = make_field()
    start = field.grid.features.detach().clone()
    with pytest.raises(dg.CheckpointError, match=message) as caught:
        dg.solve(
            problem(**changes), field, method, steps=2, out=tmp_path, resume=True, progress=False
        )
    assert "\n" not in str(caught.value)
    assert "use the same to resume" in str(caught.value)
    assert torch.equal(field.grid.features, start)


def test_parameters_are_put_back_where_a_checkpoint_is_refused(tmp_path):
    def unknown(start, weight):
        c = nn.Parameter(torch.tensor(start, dtype=torch.float64))
        terms = [dg.Term("fit", dg.Points(points()), lambda x, u: u.value - c * x, weight=weight)]
        return dg.Problem(BOX, terms, {"c": c}), c

    dg.solve(unknown(1.0, 1.0)[0], make_field(), "adam", steps=3, out=tmp_path, progress=False)
    again, c = unknown(5.0, 1.0)
    dg.solve(again, make_field(), "adam", steps=4, out=tmp_path, resume=True, progress=False)
    other, c = unknown(5.0, 2.0)
    with pytest.raises(dg.CheckpointError, match="weight=1.0 in term 'fit'"):
        dg.solve(other, make_field(), "adam", steps=5, out=tmp_path, resume=True, progress=False)
    assert float(c.detach()) == 5.0


def test_steps_and_stopping_rules_may_change(tmp_path):
    dg.solve(problem(), make_field(), "lbfgs", steps=1, out=tmp_path, progress=False)
    options = {"out": tmp_path, "resume": True, "progress": False, "stop": dg.Stop(loss=1e-30)}
    assert dg.solve(problem(), make_field(), "lbfgs", steps=3, **options).steps == 3


def residual_facts(residual, order=0):
    term = dg.Term("one", dg.Interior(), residual, order=order, points=32)
    return fingerprint(dg.Problem(BOX, [term]), make_field(), 0)["one"]["residual"]


def test_residuals_that_cannot_be_compared_are_left_out():
    random = torch.get_rng_state()
    assert residual_facts(lambda x, u: u.value + torch.rand(len(x), 1)) is None
    assert torch.equal(random, torch.get_rng_state())
    assert residual_facts(lambda x, u: u.value * float("nan")) is None
    assert residual_facts(lambda x, u: u.nothing) is None
    calls = []
    assert residual_facts(lambda x, u: calls.append(1) or u.value * len(calls)) is None


def test_residuals_with_a_number_for_each_point_are_compared_by_all():
    values = torch.zeros(32, 1, dtype=torch.float64)
    one = residual_facts(lambda x, u: u.value - values[: len(x)])
    values[11] = 1.0
    assert residual_facts(lambda x, u: u.value - values[: len(x)]) != one


def test_complex_residuals_and_roots_of_u_are_compared():
    one = residual_facts(lambda x, u: torch.log(u.value) + torch.sqrt(u.value))
    assert one is not None
    assert residual_facts(lambda x, u: torch.complex(u.value, 2 * u.value)) is not None


def ring(radius=0.25, x=0.2, name="hole", outer=0.9):
    return dg.Disk((0, 0), outer, name="outer") - dg.Disk((x, 0.1), radius, name=name)


def square(length_set=lambda x: x.norm(dim=1) - 0.9):
    return dg.Implicit(length_set, (-0.9, -0.9), (0.9, 0.9), name="outer")


CORNERS = [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]
TRIANGLE = [(-0.3, -0.3), (0.3, -0.3), (0, 0.3)]
MOVED_HOLE = [(-0.3, -0.3), (0.3, -0.3), (0, 0.3 + 1e-6)]
# All have the same box around them.
OTHERS = [
    (ring(), ring(radius=0.25 + 1e-7), "another shape: .*0.25.*, this solve has .*0.25"),
    (ring(), ring(x=0.2 + 1e-7), "another shape"),
    (ring(), ring(name="inner"), "another shape"),
    (ring(), dg.Disk((0, 0), 0.9, name="outer"), "another shape: .*0.25.*, this solve has Disk"),
    (ring(), dg.Disk((0, 0), 0.9, name="outer") | dg.Disk((0.2, 0.1), 0.25, name="hole"), "shape"),
    (ring(), dg.Box([-0.9, -0.9], [0.9, 0.9]), "another shape: .*0.25.*, this solve has a Box"),
    (dg.Box([-0.9, -0.9], [0.9, 0.9]), ring(), "another shape: a Box, this solve has .*0.25"),
    (dg.Polygon(CORNERS, [TRIANGLE]), dg.Polygon(CORNERS, [MOVED_HOLE]), "another shape"),
    (square(), square(lambda x: 1.1 * (x.norm(dim=1) - 0.9)), "another shape"),
    (ring().rotated(0.3), ring().rotated(0.3 + 1e-7), "another shape"),
]


def on(shape):
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian - 1, order=2),
        dg.Term("wall", dg.Boundary(), lambda x, u: u.value),
    ]
    return dg.Problem(shape, terms)


def over(shape):
    grid = dg.FeatureGrid.covering(shape, cells=6, basis=dg.BSpline(5), dtype=torch.float64)
    return dg.Field(grid)


@pytest.mark.parametrize(("one", "other", "message"), OTHERS)
def test_checkpoint_on_another_shape_in_the_same_box_is_refused(one, other, message, tmp_path):
    torch.testing.assert_close(
        torch.tensor(one.lower), torch.tensor(other.lower), rtol=0, atol=1e-6
    )
    field = over(dg.Box([-1.2, -1.2], [1.2, 1.2]))
    dg.solve(on(one), field, "lbfgs", steps=1, out=tmp_path, progress=False)
    with pytest.raises(dg.CheckpointError, match=message) as caught:
        dg.solve(on(other), field, "lbfgs", steps=2, out=tmp_path, resume=True, progress=False)
    assert "\n" not in str(caught.value)
    assert "use the same to resume" in str(caught.value)


@pytest.mark.parametrize("build", [ring, square, lambda: dg.Polygon(CORNERS, [TRIANGLE])])
def test_checkpoint_on_a_shape_that_is_built_again_is_resumed(build, tmp_path):
    options = {"out": tmp_path, "progress": False}
    dg.solve(on(build()), over(build()), "lbfgs", steps=1, **options)
    assert dg.solve(on(build()), over(build()), "lbfgs", steps=2, resume=True, **options).steps == 2


def test_normals_of_points_belong_to_the_problem(tmp_path):
    x = points().repeat(1, 2)
    normal = torch.zeros_like(x)
    normal[:, 0] = 1

    def given(n):
        term = dg.Term("flux", dg.Points(x, n), lambda x, u: u.value, order=1)
        return dg.Problem(dg.Box([0, 0], [1, 1]), [term])

    field = over(dg.Box([0, 0], [1, 1]))
    dg.solve(given(normal), field, "lbfgs", steps=1, out=tmp_path, progress=False)
    for other in (normal.flip(1), None):
        with pytest.raises(dg.CheckpointError, match="region=Points.* in term 'flux'"):
            dg.solve(
                given(other), field, "lbfgs", steps=2, out=tmp_path, resume=True, progress=False
            )
