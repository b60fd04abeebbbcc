"""The keywords that `solve` had before methods were values."""

from __future__ import annotations

import pytest

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers.old_options import METHOD, OUTPUT, STOP, Asked, translated

pytestmark = pytest.mark.filterwarnings("ignore:solve. .* will go in the next release")


def asked(method="auto", out=None, stop=None, **old):
    return translated(Asked(method, stop, out), old)


@pytest.mark.parametrize(
    ("method", "old", "new"),
    [
        ("adam", {"lr": 1e-3, "decay": (0.1, 5)}, dg.Adam(lr=1e-3, decay=(0.1, 5))),
        ("auto", {"lr": 1e-3}, dg.Adam(lr=1e-3)),
        ("lbfgs", {"lr": 0.5, "memory": 3}, dg.LBFGS(lr=0.5, memory=3)),
        ("lbfgs", {"memory": None}, dg.LBFGS()),
        ("least-squares", {"route": "direct"}, dg.LeastSquares(linear=dg.Direct())),
        ("least-squares", {"balance": False}, dg.LeastSquares(balance=False)),
        ("least-squares", {"route": "joint"}, dg.Alternating(joint=True)),
        ("least-squares", {"route": "alternating"}, dg.Alternating(joint=False)),
        ("adam", {"lr": None}, dg.Adam()),
    ],
)
def test_options_of_methods_go_to_the_methods(method, old, new):
    found = asked(method, **old).method
    assert (dg.LBFGS() if found == "lbfgs" else dg.Adam() if found == "adam" else found) == new


def test_a_route_leaves_the_choice_of_the_method_open():
    wish = asked(route="matrix-free")
    assert wish.method == "auto"
    assert wish.refined(dg.LeastSquares()) == dg.LeastSquares(linear=dg.MatrixFree())
    assert wish.refined(dg.Adam()) == dg.Adam()


def test_rules_go_to_stop_and_checkpoints_to_output():
    stop = asked(max_seconds=3.0, patience=4, target_loss=1e-3, min_decrease=0.1).stop
    assert stop == dg.Stop(loss=1e-3, patience=4, min_decrease=0.1, seconds=3.0)
    out = asked(out="runs", checkpoint_seconds=5.0, extra={"a": 1}).out
    assert out == dg.Output("runs", every=5.0, extra={"a": 1})


@pytest.mark.parametrize("name", [*STOP, *OUTPUT, *METHOD])
def test_each_old_keyword_names_its_new_place(name):
    values = {"callback": print, "extra": {}, "route": "auto", "decay": (0.5, 2), "balance": True}
    value = values.get(name, 1)
    with pytest.warns(FutureWarning, match=rf"solve: {name}=... will go .* use ") as caught:
        asked("adam" if name in ("lr", "decay") else "auto", **{name: value})
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("method", "old", "message"),
    [
        ("least-squares", {"lr": 1e-3}, "least-squares has no learning rate"),
        ("lbfgs", {"decay": (0.1, 10)}, "decay belongs to Adam"),
        ("auto", {"target_loss": -1.0}, "Stop: loss is -1.0"),
    ],
)
def test_what_never_fitted_is_still_refused(method, old, message):
    with pytest.raises(ValueError, match=message):
        asked(method, **old)


@pytest.mark.parametrize("old", [{"checkpoint_seconds": 3.0}, {"extra": {}}])
def test_an_empty_folder_is_no_folder(old):
    with pytest.raises(ValueError, match="folder is ''; name a folder"):
        asked(out="", **old)


def test_options_wait_for_the_method_that_is_chosen():
    wish = asked(memory=3, balance=False)
    assert wish.refined(dg.LBFGS()) == dg.LBFGS(memory=3)
    assert wish.refined(dg.LeastSquares()) == dg.LeastSquares(balance=False)
    resumed = translated(Asked("auto", None, None), {"lr": 0.1}, resumed=True)
    assert resumed.refined(dg.LBFGS()) == dg.LBFGS(lr=0.1)
    with pytest.raises(ValueError, match="no learning rate"):
        resumed.refined(dg.LeastSquares())


@pytest.mark.parametrize(
    ("method", "out", "stop", "old"),
    [
        (dg.Adam(lr=1e-2), None, None, {"lr": 1e-3}),
        (dg.Alternating(joint=False), None, None, {"balance": False}),
        (dg.TimeSlabs(), None, None, {"route": "direct"}),
        ("auto", dg.Output("runs"), None, {"extra": {}}),
        ("auto", None, dg.Stop(seconds=5), {"max_seconds": 3.0}),
    ],
)
def test_an_old_keyword_beside_the_new_object_is_refused(method, out, stop, old):
    with pytest.raises(TypeError, match=r"belongs into the \w+\(...\) that is passed"):
        asked(method, out, stop, **old)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("seconds", "Stop"),
        ("linear", "LeastSquares"),
        ("every", "Output"),
        ("learning_rate", "Adam"),
    ],
)
def test_what_belongs_to_an_object_is_told(name, place):
    with pytest.raises(TypeError, match=rf"there is no argument '{name}'; pass .*{place}\("):
        asked(**{name: 1})


def test_an_unknown_route_is_refused():
    with pytest.raises(ValueError, match="route is 'bogus', but it must be one of auto, direct"):
        asked("least-squares", route="bogus")
