"""solve(): convergence, resume, early stop, interruption, progress."""

import itertools
import math
import signal
import time

import pytest
import solving
import torch

from dinfgrid_cuda.fields.decoders import MLPDecoder
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.problem import Problem, Term
from dinfgrid_cuda.solvers import LBFGS, Adam, Interrupted, Stop, load, solve
from dinfgrid_cuda.solvers.record.interrupt import InterruptGuard
from dinfgrid_cuda.solvers.record.progress import Lines, Silent, make_progress

BOX = Box((-1.0, -1.0), (1.0, 1.0))
METHODS = {
    "adam": {"method": Adam(lr=1e-2, decay=(0.5, 7))},
    "lbfgs": {"method": LBFGS(memory=4)},
}


pytestmark = pytest.mark.usefixtures("one_thread")


def exact(x):
    return torch.sin(math.pi * x[:, 0]) * torch.sin(math.pi * x[:, 1])


def poisson(points=256):
    """Laplacian of u = -2 pi^2 sin sin, zero on the boundary."""
    source = 2 * math.pi**2
    return Problem(
        BOX,
        [
            Term(
                "pde",
                Interior(),
                lambda x, u: u.laplacian[:, 0] + source * exact(x),
                2,
                1.0,
                points,
            ),
            Term("boundary", Boundary(), lambda x, u: u.value[:, 0], 0, 100.0, 64),
        ],
    )


def make_field(decoder="linear", cells=8, dtype=torch.float64):
    return solving.make_field(2, cells, 2, basis=BSpline(5), decoder=decoder, dtype=dtype)


def state_of(field):
    return {name: tensor.clone() for name, tensor in field.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def error_of(field):
    x = torch.rand(2000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(7)) * 2 - 1
    with torch.no_grad():
        u = field(x)[:, 0]
    return ((u - exact(x)).norm() / exact(x).norm()).item()


def test_lbfgs_solves_poisson_to_a_true_error_of_half_a_percent():
    field = make_field()
    torch.nn.init.ones_(field.decoder.layer.weight).requires_grad_(False)
    solution = solve(poisson(), field, LBFGS(memory=30), steps=150, progress=False)
    assert error_of(field) < 5e-3
    assert solution.history.totals[-1] == solution.loss < 1e-2


def test_adam_brings_the_true_error_down_tenfold():
    field = make_field()
    solve(poisson(), field, Adam(lr=3e-2, decay=(0.1, 150)), steps=200, progress=False)
    assert error_of(field) < 0.1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ten_and_ten_steps_equal_twenty_bit_for_bit(method, dtype, tmp_path):
    whole = make_field(dtype=dtype)
    reference = solve(poisson(), whole, steps=20, progress=False, **METHODS[method])
    parts = make_field(dtype=dtype)
    solve(poisson(), parts, steps=10, out=tmp_path, progress=False, **METHODS[method])
    resumed = make_field(dtype=dtype)
    solution = solve(
        poisson(), resumed, steps=20, out=tmp_path, resume=True, progress=False, **METHODS[method]
    )
    assert_same(state_of(whole), state_of(resumed))
    assert solution.history.totals == reference.history.totals
    assert solution.history.terms == reference.history.terms
    assert solution.history.steps == list(range(20))
    assert solution.steps == 20


def test_resume_is_exact_with_a_network_as_decoder(tmp_path):
    def run(field, steps, **settings):
        solve(poisson(), field, "lbfgs", steps=steps, progress=False, **settings)
        return state_of(field)

    whole = run(make_field(MLPDecoder(1, hidden=8, seed=1)), 8)
    run(make_field(MLPDecoder(1, hidden=8, seed=1)), 4, out=tmp_path)
    resumed = run(make_field(MLPDecoder(1, hidden=8, seed=2)), 8, out=tmp_path, resume=True)
    assert_same(whole, resumed)


def test_same_seed_repeats_and_another_seed_does_not():
    def run(seed):
        field = make_field()
        solve(poisson(), field, "adam", steps=3, seed=seed, progress=False)
        return field.grid.features.detach().clone()

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_decay_multiplies_the_rate_at_its_interval():
    method = Adam(lr=5e-3, decay=(0.1, 5000))
    rates = [method.rate(step) for step in (0, 4999, 5000, 10000)]
    assert rates == pytest.approx([5e-3, 5e-3, 5e-4, 5e-5])


def test_lbfgs_uses_one_evaluation_a_step_and_never_raises_the_loss():
    calls = []

    def counted(x, u):
        calls.append(1)
        return u.value[:, 0] - exact(x)

    problem = Problem(BOX, [Term("fit", Interior(), counted, points=400)])
    solution = solve(problem, make_field(), "lbfgs", steps=20, progress=False)
    assert len(calls) <= 20 + 8
    totals = solution.history.totals
    assert all(later <= earlier for earlier, later in itertools.pairwise(totals))


def test_lbfgs_stops_by_itself_at_the_minimum():
    problem = Problem(BOX, [Term("fit", Interior(), lambda x, u: u.value - 1.0, points=16)])
    solution = solve(problem, make_field(dtype=torch.float32), "lbfgs", steps=500, progress=False)
    assert solution.steps < 500
    assert "converged" in solution.reason


def test_target_loss_stops_the_solve():
    solution = solve(poisson(), make_field(), "lbfgs", stop=Stop(loss=1.0), progress=False)
    assert solution.loss <= 1.0 < solution.history.totals[-2]
    assert solution.reason == "reached the target loss 1"


def test_patience_stops_on_a_plateau():
    problem = Problem(BOX, [Term("stuck", Interior(), lambda x, u: 1 + 0 * u.value, points=16)])
    solution = solve(problem, make_field(), "adam", steps=50, stop=Stop(patience=5), progress=False)
    assert solution.steps == 6
    assert solution.reason == "no lower loss in 5 steps"


def test_max_seconds_stops_the_solve():
    solution = solve(
        poisson(), make_field(), "adam", steps=10**6, stop=Stop(seconds=0.2), progress=False
    )
    assert solution.steps < 10**6
    assert "asked for 0.2 s" in solution.reason


def interrupting(at):
    """A problem during whose evaluation number ``at`` Ctrl-C arrives."""

    def residual(x, u):
        residual.calls += 1
        if residual.calls == at:
            signal.raise_signal(signal.SIGINT)
        return u.value[:, 0] - exact(x)

    residual.calls = 0
    return Problem(BOX, [Term("fit", Interior(), residual, points=64)])


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_saves_a_checkpoint_from_which_the_run_continues_exactly(method, tmp_path):
    whole = make_field()
    solve(interrupting(0), whole, steps=12, progress=False, **METHODS[method])
    with pytest.raises(Interrupted, match="interrupted at step .*resume with") as caught:
        solve(
            interrupting(6), make_field(), steps=12, out=tmp_path, progress=False, **METHODS[method]
        )
    assert 0 < caught.value.solution.steps < 12
    assert load(tmp_path).step == caught.value.solution.steps
    resumed = make_field()
    solve(
        interrupting(0),
        resumed,
        steps=12,
        out=tmp_path,
        resume=True,
        progress=False,
        **METHODS[method],
    )
    assert_same(state_of(whole), state_of(resumed))


def test_ctrl_c_without_folder_says_that_nothing_was_saved():
    with pytest.raises(Interrupted, match="nothing was saved"):
        solve(interrupting(3), make_field(), "adam", steps=12, progress=False)


def test_ctrl_c_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    solve(poisson(16), make_field(), "adam", steps=1, progress=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_handler_that_was_not_set_from_python_is_left_in_place(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda number: None)
        with InterruptGuard() as guard:
            inside = dict(guard._previous)
    assert inside == {}
    assert signal.getsignal(signal.SIGINT) is before


def test_resume_at_the_last_step_changes_nothing(tmp_path):
    field = make_field()
    solve(poisson(), field, "adam", steps=3, out=tmp_path, progress=False)
    again = make_field()
    solution = solve(poisson(), again, "adam", steps=3, out=tmp_path, resume=True, progress=False)
    assert_same(state_of(field), state_of(again))
    assert len(solution.history.totals) == 3


def test_progress_prints_lines_off_a_terminal_and_nothing_when_switched_off(capsys):
    solve(poisson(), make_field(), "adam", steps=3, progress=False)
    assert capsys.readouterr().err == ""
    solve(poisson(), make_field(), "adam", steps=3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("step 1/3  loss ")
    assert "pde" in lines[0]
    assert lines[1].startswith("step 3/3  loss ")
    assert lines[2] == "method: adam, because as asked"
    assert lines[-1].startswith("ended after 3 steps")


def test_progress_is_a_bar_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bar = make_progress(True, ("pde",), 0, 4)
    bar.update(3, [0.5, 0.5])
    bar.close()
    assert "3/4" in capsys.readouterr().err
    assert isinstance(make_progress(False, ("pde",), 0, 4), Silent)


def test_progress_without_tqdm_falls_back_to_lines(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    assert isinstance(make_progress(True, ("pde",), 0, 4), Lines)


def test_callback_sees_each_step_and_ends_the_solve():
    seen = []

    def callback(step, seconds):
        time.sleep(0.25)
        seen.append(step)
        return step == 4

    solution = solve(
        poisson(), make_field(), "adam", steps=50, progress=False, stop=Stop(when=callback)
    )
    assert seen == [1, 2, 3, 4]
    assert (solution.steps, solution.reason) == (4, "ended by the callback")
    assert solution.seconds < 1.0  # what the callback took is not in it


@pytest.mark.parametrize("ends", [True, False])
def test_ctrl_c_in_the_last_step_is_not_lost(ends):
    def when(steps, seconds):
        if steps == 3:
            signal.raise_signal(signal.SIGINT)
            return ends
        return False

    with pytest.raises(Interrupted, match="interrupted at step 3"):
        solve(poisson(), make_field(), "adam", steps=3, stop=Stop(when=when), progress=False)
