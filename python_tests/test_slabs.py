"""SlabField and the march through its slabs."""

import math

import pytest
import torch
from solving import make_field

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers import Interrupted, SolveError
from dinfgrid_cuda.solvers.methods.present_system import PresentSystem

BOX = dg.Box([0.0, 0.0], [1.0, 1.0])


def heat(x):
    return torch.exp(-(math.pi**2) * x[:, 0] / 4) * torch.sin(math.pi * x[:, 1])


def problem(nonlinear=0.0):
    def equation(x, u):
        source = nonlinear * (u.value**2 - heat(x)[:, None] ** 2)
        return 4 * u.derivative((1, 0)) - u.derivative((0, 2)) + source

    def misfit(x, u):
        return u.value - heat(x)[:, None]

    return dg.Problem(
        BOX,
        [
            dg.Term("equation", dg.Interior(), equation, order=2),
            dg.Term("initial", dg.Boundary(((0, "lower"),)), misfit),
            dg.Term("ends", dg.Boundary(((1, "lower"), (1, "upper"))), misfit),
        ],
    )


def slabs(count, cells=(4, 16)):
    return dg.SlabField(lambda box: make_field(cells=cells, box=box), BOX, count)


def error(field):
    x = dg.Lattice((41, 41), ends=True)(0, BOX, dtype=torch.float64)
    with torch.no_grad():
        return float((field(x)[:, 0] - heat(x)).abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("nonlinear", [0.0, 3.0])
def test_error_does_not_grow_with_the_number_of_slabs(count, nonlinear):
    field = slabs(count, (24 // count, 16))
    report = dg.solve(problem(nonlinear), field, progress=False).report
    assert report.method == "least-squares"
    # Septic splines at h = 1/16: (pi h / 2)^8 of sin(pi x), the least that is interpolated.
    assert error(field) < (math.pi / 32) ** 8
    assert any("slabs" in note for note in report.findings.notes)


def test_slabs_of_a_linear_problem_share_one_factor(monkeypatch):
    made = []
    original = PresentSystem.assemble

    def counted(self, normal):
        made.append(self)
        return original(self, normal)

    monkeypatch.setattr(PresentSystem, "assemble", counted)
    dg.solve(problem(), slabs(5), progress=False)
    assert len(made) == 1
    made.clear()
    dg.solve(problem(nonlinear=1.0), slabs(2), progress=False)
    assert len(made) > 2


def test_field_and_jet_are_those_of_the_slab_that_holds_the_point():
    field = slabs(4)
    for index in range(4):
        torch.nn.init.constant_(field.part(index).grid.features, index + 1.0)
    x = torch.tensor([[0.0, 0.5], [0.25, 0.1], [0.49, 0.9], [0.5, 0.5], [1.0, 1.0]]).double()
    torch.testing.assert_close(field(x)[:, 0], torch.tensor([1.0, 2, 2, 3, 4]).double())
    torch.testing.assert_close(field.jet(x, 2).value, field(x))
    assert field(x[:0]).shape == (0, 1)
    assert field.parameter_count() == 4 * field.part(0).parameter_count()


@pytest.mark.slow
def test_interrupted_march_ends_as_the_uninterrupted_one(one_thread, tmp_path):
    whole = slabs(3)
    dg.solve(problem(1.0), whole, progress=False)
    broken = slabs(3)
    stop = {"left": 5}
    original = dg.TimeSlabs.step

    def step(self, state):
        import signal

        stop["left"] -= 1
        if stop["left"] == 0:
            signal.raise_signal(signal.SIGINT)
        return original(self, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dg.TimeSlabs, "step", step)
        with pytest.raises(Interrupted):
            dg.solve(problem(1.0), broken, progress=False, out=tmp_path)
    resumed = slabs(3)
    dg.solve(problem(1.0), resumed, progress=False, out=tmp_path, resume=True)
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_what_does_not_fit_slabs_is_refused():
    with pytest.raises(ValueError, match="slabs is 0"):
        slabs(0)
    with pytest.raises(ValueError, match="returned a grid over t in"):
        dg.SlabField(lambda box: make_field(cells=4, box=BOX), BOX, 2)
    with pytest.raises(TypeError, match="must return a Field"):
        dg.SlabField(lambda box: torch.nn.Linear(1, 1), BOX, 2)
    with pytest.raises((ValueError, SolveError), match="SlabField is solved by least-squares"):
        dg.solve(problem(), slabs(2), "adam", progress=False)
    no_start = dg.Problem(BOX, [problem().terms[0]])
    with pytest.raises(ValueError, match="initial condition"):
        dg.solve(no_start, slabs(2), progress=False)
    mixed = dg.Problem(
        BOX, [problem().terms[0], dg.Term("all", dg.Boundary(), lambda x, u: u.value)]
    )
    with pytest.raises(ValueError, match="its faces hold those of time and of space"):
        dg.solve(mixed, slabs(2), progress=False)


def test_slabs_share_the_decoder_of_the_first():
    field = dg.SlabField(
        lambda box: dg.Field(make_field(cells=4, box=box).grid, dg.LinearDecoder(1)), BOX, 3
    )
    weights = [field.part(index).decoder.layer.weight for index in range(3)]
    assert all(torch.equal(weight, weights[0]) for weight in weights)
    edge = torch.tensor([[1 / 3, 0.4]], dtype=torch.float64)
    dg.solve(problem(), field, progress=False)
    before, after = (field.part(index)(edge) for index in (0, 1))
    torch.testing.assert_close(before, after, rtol=0, atol=1e-6)


def test_sensors_at_other_times_of_each_slab_are_no_shared_matrix():
    times = torch.tensor([0.11, 0.45, 0.98], dtype=torch.float64)
    x = torch.stack([times, torch.full_like(times, 0.3)], dim=1)
    sensors = dg.Term(
        "sensors", dg.Points(x), lambda x, u, d: u.value - d, data=heat(x)[:, None], weight=1e3
    )
    whole = dg.Problem(BOX, [*problem().terms, sensors])
    field = slabs(3, (8, 16))
    dg.solve(whole, field, progress=False)
    assert error(field) < (math.pi / 32) ** 8


def wave_problem(velocity):
    def exact(x):
        return torch.cos(math.pi * x[:, :1]) * torch.sin(math.pi * x[:, 1:])

    terms = [
        dg.Term(
            "wave",
            dg.Interior(),
            lambda x, u: u.derivative((2, 0)) - u.derivative((0, 2)),
            order=2,
        ),
        dg.Term("start", dg.Boundary([[0, "lower"]]), lambda x, u: u.value - exact(x)),
        dg.Term("ends", dg.Boundary(((1, "lower"), (1, "upper"))), lambda x, u: u.value),
    ]
    if velocity:
        start = dg.Boundary(((0, "lower"),))
        terms.append(dg.Term("velocity", start, lambda x, u: u.derivative((1, 0)), order=1))
    return dg.Problem(BOX, terms), exact


def test_second_order_in_time_needs_the_velocity_carried_on():
    problem, exact = wave_problem(velocity=True)
    field = slabs(3, (8, 16))
    report = dg.solve(problem, field, progress=False).report
    x = dg.Lattice((31, 31), ends=True)(0, BOX, dtype=torch.float64)
    with torch.no_grad():
        assert float((field(x) - exact(x)).abs().max()) < 1e-6
    assert report.findings.unknowns == 15 * 23
    with pytest.raises(ValueError, match="time derivatives of order 2.* such as u_t"):
        dg.solve(wave_problem(velocity=False)[0], slabs(3), progress=False)


def test_what_belongs_to_all_of_time_is_refused():
    whole = problem()
    factor = torch.nn.Parameter(torch.tensor(1.0))
    inverse = dg.Problem(BOX, whole.terms, {"factor": factor})
    with pytest.raises(ValueError, match="belong to all of time"):
        dg.solve(inverse, slabs(2), progress=False)

    def held(box):
        field = make_field(cells=4, box=box)
        hold = dg.BoxConstraint(heat, ((0, "lower"),))
        return dg.Field(field.grid, dg.LinearDecoder(1), hold)

    with pytest.raises(ValueError, match="holds the face"):
        dg.solve(whole, dg.SlabField(held, BOX, 2), progress=False)
    with pytest.raises(ValueError, match="compare the losses of steps"):
        dg.solve(whole, slabs(2), progress=False, stop=dg.Stop(loss=1.0))


def test_slab_that_has_not_converged_is_named():
    field = slabs(2)
    report = dg.solve(problem(3.0), field, progress=False, steps=1).report
    assert any("ended in slab 0 of 2" in note for note in report.findings.notes)
