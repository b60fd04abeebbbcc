"""The report of a solve: error estimate, conditioning, singular problems, weak bases."""

import math

import pytest
import torch
from solving import helmholtz, make_field, wave

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers.diagnosis.basis_check import jump, saturation, shortcomings
from dinfgrid_cuda.solvers.linear.balance import balance
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.points import fitted

BOX = dg.Box([-1.0, -1.0], [1.0, 1.0])


def report(problem, field, **options):
    return dg.solve(problem, field, progress=False, **options).report


@pytest.mark.parametrize("cells", [6, 12, 24])
@pytest.mark.parametrize("basis", [dg.BSpline(5), dg.BSpline(7)], ids=str)
def test_true_error_lies_within_the_estimate(cells, basis):
    field = make_field(cells=cells, basis=basis)
    low, high = report(helmholtz(), field).error
    x = dg.Uniform()(4000, BOX, dtype=torch.float64)
    with torch.no_grad():
        error = float((field(x)[:, 0] - wave(x)).square().mean()) ** 0.5
    assert error < high
    # The low end takes the residual for one of average smoothness: right to an order or two.
    assert low / 100 < error < 100 * low


def test_report_says_what_was_chosen_and_why():
    found = report(helmholtz(), make_field(cells=8))
    text = str(found)
    assert "method: least-squares, because the residuals are linear in the features" in text
    assert "route: direct, because" in text
    assert f"{found.findings.unknowns:,} unknowns" in text
    assert found.findings.unknowns == (8 + 7) ** 2
    assert found.findings.residuals == 17**2 + 4 * 17
    assert found.findings.condition > 1
    assert set(found.findings.seconds) == {"assembly", "factor", "solve", "residuals"}
    assert set(found.rms) == set(found.fresh) == {"equation", "rim"}
    assert not found.findings.notes


def test_condition_is_that_of_the_scaled_matrix():
    field = make_field(cells=6)
    found = report(helmholtz(), field).findings.condition
    objective = Objective(fitted(helmholtz(), field.grid.spec), field, resample=False)
    normal = NormalOperator(objective)
    balance(normal, objective)
    scaled = DirectSystem(normal).matrix.scaled
    exact = torch.linalg.cond(torch.from_numpy(scaled.toarray()))
    assert 0.1 < found / float(exact) < 20  # a row sum bounds the largest eigenvalue from above


def test_pure_neumann_problem_is_named():
    def flux(axis):
        alpha = tuple(int(a == axis) for a in range(2))
        return lambda x, u: u.derivative(alpha)

    terms = [dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian, order=2)]
    for axis in range(2):
        faces = dg.Boundary(((axis, "lower"), (axis, "upper")))
        terms.append(dg.Term(f"flux {axis}", faces, flux(axis), order=1))
    with pytest.warns(RuntimeWarning, match="not determined up to a constant"):
        report(dg.Problem(BOX, terms), make_field(cells=6))


def test_missing_boundary_condition_is_named():
    problem = dg.Problem(BOX, helmholtz(k=0.0).terms[:1])
    with pytest.warns(RuntimeWarning, match="a boundary or initial condition missing"):
        report(problem, make_field(cells=6))


def test_overlapping_levels_are_no_singular_problem():
    notes = report(helmholtz(), make_field(cells=8, levels=3, basis=dg.BSpline(5))).findings.notes
    assert len(notes) == 1
    assert "3 levels overlap" in notes[0]


def test_last_step_that_still_moves_is_reported():
    term = dg.Term("one", dg.Interior(), lambda x, u: u.value**3 + u.value - 10 * wave(x)[:, None])
    problem = dg.Problem(BOX, [term])
    assert any("not converged" in n for n in report(problem, make_field(), steps=2).findings.notes)
    assert not report(problem, make_field()).findings.notes


def test_splines_without_the_derivative_are_warned_of():
    assert not shortcomings(dg.BSpline(3), [(2, 0), (0, 1)])
    (constant,) = shortcomings(dg.BSpline(3), [(3, 0)])
    assert "are constant in each cell" in constant
    assert "BSpline(5)" in constant
    (zero,) = shortcomings(dg.BSpline(1), [(1, 2)])
    assert "are zero" in zero
    assert "BSpline(3)" in zero


def test_gaussians_that_saturate_are_warned_of():
    wide = dg.Gaussian(epsilon=0.5, rho=12)
    assert not shortcomings(wide, [(2, 0)])
    saturates, jumps = shortcomings(dg.Gaussian(), [(2, 0)])
    assert "saturates" in saturates
    assert "jump" in jumps
    assert len(shortcomings(dg.Gaussian(window="smooth"), [(2, 0)])) == 1
    with pytest.warns(RuntimeWarning, match="saturates"):
        report(helmholtz(), make_field(basis=dg.Gaussian()))


def test_saturation_is_the_ripple_of_a_sum_of_gaussians():
    # Derivatives of the unnormalised sum of exp(-(eps (t - k))^2) over all k, against its mean.
    t = torch.linspace(0, 1, 101, dtype=torch.float64, requires_grad=True)
    for epsilon in (1.0, 0.8):
        u = torch.exp(-((epsilon * (t[:, None] - torch.arange(-30, 32))) ** 2)).sum(dim=1)
        u = u / (math.sqrt(math.pi) / epsilon)
        (first,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), t)
        assert float(second.abs().max()) == pytest.approx(saturation(epsilon, 2), rel=1e-3)


def test_jumps_are_those_of_the_table():
    assert jump(dg.BSpline(3), 2) < 1e-12
    # Third differences of a cubic: the derivative steps between binomials 1, 3, 3, 1 of both signs.
    assert jump(dg.BSpline(3), 3) == pytest.approx(6.0)
    assert jump(dg.Gaussian(window="smooth"), 4) < 1e-12
    assert 1e-5 < jump(dg.Gaussian(), 0) < 1e-3


@pytest.mark.parametrize("beyond", [1e-12, 1e-8, 1e-3])
def test_features_seen_by_a_tail_alone_continue_the_others(beyond):
    """u'' = -sin x on points up to a grid line, and one that lies a little beyond it."""
    points = torch.linspace(-1, 0.5, 200, dtype=torch.float64)[:, None]
    points = torch.cat([points, torch.full((1, 1), 0.5 + beyond, dtype=torch.float64)])
    ends = torch.tensor([[-1.0], [0.5]], dtype=torch.float64)
    terms = [
        dg.Term(
            "equation",
            dg.Points(points),
            lambda x, u: u.derivative((2,)) + torch.sin(x),
            order=2,
        ),
        dg.Term("values", dg.Points(ends), lambda x, u: u.value - torch.sin(x), weight=1e6),
    ]
    field = make_field(dim=1, cells=64, basis=dg.BSpline(5))
    notes = report(dg.Problem(dg.Box([-1.0], [1.0]), terms), field).findings.notes
    assert not any("tails of some basis functions" in note for note in notes)
    near = torch.linspace(0.4, 0.51, 12, dtype=torch.float64)[:, None]
    # a third of a cell beyond the points u still is that of the equation
    torch.testing.assert_close(field(near), torch.sin(near), atol=1e-10, rtol=0)


def test_examination_that_fails_does_not_lose_the_solution(monkeypatch):
    def fail(*arguments):
        raise torch.linalg.LinAlgError("svd did not converge")

    monkeypatch.setattr("dinfgrid_cuda.solvers.diagnosis.notes.stability", fail)
    field = make_field(cells=6)
    found = report(helmholtz(), field)
    assert found.ended.startswith("converged")
    assert "svd did not converge" in str(found)
    assert found.error == (None, None)
