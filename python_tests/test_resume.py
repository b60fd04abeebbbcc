"""A solve that is broken off and resumed ends as if there had been no break, bit for bit."""

import pytest
import torch
from cases_of_resume import CASES, SQUARE, heat, oscillator, slabs, spline_field

import dinfgrid_cuda as dg

pytest.importorskip("scipy")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.usefixtures("one_thread")


class Outcome:
    """All that a solve leaves, in a form that == compares."""

    def __init__(self, case, **options):
        problem, field, own, steps, _ = CASES[case]
        self.problem, self.field = problem(), field()
        options = {**own, "steps": steps, "progress": False, **options}
        if "resume" in options:
            options.pop("guess", None)
        self.solution = dg.solve(self.problem, self.field, **options)

    def differs(self, other):
        """What is not equal, by name."""
        tensors = {**self.field.state_dict(), **self.problem.parameters}
        others = {**other.field.state_dict(), **other.problem.parameters}
        found = [name for name in tensors if not torch.equal(tensors[name], others[name])]
        for name in ("steps", "reason"):
            if getattr(self.solution, name) != getattr(other.solution, name):
                found.append(name)
        for name in ("totals", "terms", "steps"):
            if getattr(self.solution.history, name) != getattr(other.solution.history, name):
                found.append(f"history of {name}")
        return found


# These take ten seconds a break.
LONG = ("on a shape, slabs", "on a shape, no matrix", "on a shape, energy")


def quick(case, steps):
    """Whether a break is tried in quick runs too: one of each case that takes little."""
    return case not in LONG and steps == CASES[case][-1][1]


def breaks(case):
    """After how many steps a case is broken off."""
    return CASES[case][-1][1:2] if case in LONG else CASES[case][-1]


@pytest.fixture(scope="module")
def whole():
    """Uninterrupted solves, each made once."""
    made = {}

    def get(case):
        if case not in made:
            made[case] = Outcome(case)
        return made[case]

    return get


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("case", "steps"),
    [
        pytest.param(case, steps, marks=[] if quick(case, steps) else pytest.mark.slow)
        for case in CASES
        for steps in breaks(case)
    ],
)
def test_resumed_solve_is_the_uninterrupted_one(case, steps, whole, tmp_path):
    expected = whole(case)
    Outcome(case, steps=steps, out=tmp_path)
    assert Outcome(case, out=tmp_path, resume=True).differs(expected) == []


@pytest.mark.parametrize("case", ["linear", "linear, no matrix", "nonlinear", "slabs"])
def test_report_of_a_solve_that_had_converged_holds_its_figures(case, whole, tmp_path):
    expected = whole(case).solution.report
    Outcome(case, out=tmp_path)
    report = Outcome(case, out=tmp_path, resume=True).solution.report
    assert report.findings.condition == pytest.approx(expected.findings.condition, rel=1e-6)
    assert report.findings.unknowns == expected.findings.unknowns
    for found, known in zip(report.error, expected.error, strict=True):
        assert found == (known if known is None else pytest.approx(known, rel=1e-6))
    assert report.findings.notes == expected.findings.notes


@pytest.mark.parametrize("case", ["linear", "nonlinear", "parameter", "slabs", "products together"])
def test_solve_that_had_converged_takes_no_more_steps(case, tmp_path):
    whole = Outcome(case, out=tmp_path)
    assert "converged" in whole.solution.reason
    calls = []
    again = Outcome(case, out=tmp_path, resume=True, stop=dg.Stop(when=lambda *_: calls.append(1)))
    assert calls == []
    assert again.differs(whole) == []


@pytest.mark.filterwarnings("ignore")
def test_missing_initial_velocity_is_found_after_a_break_too(tmp_path):
    def wave():
        terms = [
            dg.Term(
                "equation",
                dg.Interior(),
                lambda x, u: u.derivative((2, 0)) - u.derivative((0, 2)) + u.value**3,
                order=2,
            ),
            dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - x[:, 1:]),
        ]
        return dg.Problem(SQUARE, terms)

    taken = []
    options = {"steps": 60, "progress": False}
    with pytest.raises(ValueError, match="time derivatives of order 2") as expected:
        dg.solve(
            wave(), slabs(), stop=dg.Stop(when=lambda steps, _: taken.append(steps)), **options
        )
    options["out"] = tmp_path
    dg.solve(wave(), slabs(), **{**options, "steps": taken[-1]})
    with pytest.raises(ValueError, match="time derivatives of order 2") as found:
        dg.solve(wave(), slabs(), resume=True, **options)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("options", [{}, {"guess": 0.5}])
@pytest.mark.parametrize("nonlinear", [0.0, 3.0])
def test_slabs_resume_whatever_was_chosen(options, nonlinear, tmp_path):
    whole, again = slabs(), slabs()
    dg.solve(heat(nonlinear), whole, steps=6, progress=False, **options)
    dg.solve(heat(nonlinear), slabs(), steps=2, out=tmp_path, progress=False, **options)
    dg.solve(heat(nonlinear), again, steps=6, out=tmp_path, resume=True, progress=False)
    torch.testing.assert_close(again.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_a_guess_outlives_a_break_before_the_first_step(tmp_path):
    whole, again = spline_field(), spline_field()
    dg.solve(oscillator(), whole, guess=0.7, steps=4, progress=False)
    dg.solve(oscillator(), spline_field(), guess=0.7, steps=0, out=tmp_path, progress=False)
    dg.solve(oscillator(), again, steps=4, out=tmp_path, resume=True, progress=False)
    torch.testing.assert_close(again.state_dict(), whole.state_dict(), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore")
def test_a_refused_resume_leaves_the_present_slab(tmp_path):
    field = slabs()
    dg.solve(heat(), field, steps=3, progress=False)
    present = field.present
    dg.solve(heat(3.0), slabs(), steps=1, out=tmp_path, progress=False)
    with pytest.raises(dg.CheckpointError):
        dg.solve(heat(), field, out=tmp_path, resume=True, progress=False)
    assert field.present == present
