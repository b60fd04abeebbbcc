"""Warnings point at the line that the user wrote."""

import contextlib
import inspect
import os
import subprocess
import sys
import threading
import warnings
from functools import partial
from pathlib import Path

import pytest
import scipy.sparse.linalg
import solving
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.kernels import native
from dinfgrid_cuda.kernels.autograd import warn_of_reference
from dinfgrid_cuda.warn import warn_user

BOX = dg.Box([-1.0, -1.0], [1.0, 1.0])


def here():
    """Line of the caller."""
    return inspect.currentframe().f_back.f_lineno


def recorded(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return caught


make_field = partial(solving.make_field, cells=4, basis=dg.BSpline(5), decoder=None)


@pytest.mark.parametrize("method", ["auto", "least-squares"])
def test_solve_warns_at_the_line_that_called_it(method):
    term = dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2)
    lines = []

    def call():
        lines.append(here() + 1)
        dg.solve(dg.Problem(BOX, [term]), make_field(), method, progress=False)

    caught = recorded(call)
    assert caught
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, lines[0])}
    assert {w.category for w in caught} == {RuntimeWarning}


def test_frames_of_torch_are_not_the_users():
    @torch.no_grad()
    def call():
        warn_of_reference("mps")

    caught = recorded(call)
    assert [(w.filename, w.category) for w in caught] == [(__file__, UserWarning)]


def test_a_warning_is_shown_once_for_a_line_by_default():
    def call():
        for _ in range(3):
            warn_user("only once")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        call()
    assert [str(w.message) for w in caught] == ["only once"]


class Warns(torch.autograd.Function):
    """The identity, whose backward pass warns."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        warn_from_the_package("backward")
        return grad


def warn_from_the_package(message):
    """Warns from a function whose globals are the package's, as those of a solver are."""
    source = "def give(message):\n    warn_user(message)\n"
    inside = {"__name__": "dinfgrid_cuda.fields.made_up", "warn_user": warn_user}
    exec(source, inside)
    inside["give"](message)


def backward():
    Warns.apply(torch.ones(2, requires_grad=True)).sum().backward()


def through_no_grad():
    torch.no_grad()(warn_from_the_package)("decorated")


def in_a_hook():
    x = torch.ones(2, requires_grad=True)
    y = 2 * x
    y.register_hook(lambda grad: warn_from_the_package("hook"))
    y.sum().backward()


def called_back_by_scipy():
    def product(x):
        warn_from_the_package("scipy")
        return x

    operator = scipy.sparse.linalg.LinearOperator((2, 2), matvec=product, dtype=float)
    operator.matvec([1.0, 2.0])


def in_a_context_manager():
    @contextlib.contextmanager
    def context():
        warn_from_the_package("context")
        yield

    with context():
        pass


PLACES = [backward, through_no_grad, in_a_hook, called_back_by_scipy, in_a_context_manager]


@pytest.mark.parametrize("place", PLACES)
def test_a_warning_from_a_callback_points_at_a_line_of_the_user(place):
    (caught,) = recorded(place)
    assert caught.filename == __file__


def test_frames_of_libraries_that_call_back_are_passed_over():
    """Only frames of libraries lie between the package's function and this line."""
    source = """
import contextlib, functools, scipy.sparse.linalg, torch
from dinfgrid_cuda.warn import warn_user

class Warns(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    def backward(ctx, grad):
        warn_user("backward")
        return grad

@contextlib.contextmanager
def context():
    warn_user("context")
    yield

@torch.no_grad()
def run():
    with torch.enable_grad():
        Warns.apply(torch.ones(2, requires_grad=True)).sum().backward()
    with context():
        functools.lru_cache(warn_user)("cached")
    product = lambda x: (warn_user("scipy"), x)[1]
    scipy.sparse.linalg.LinearOperator((2, 2), matvec=product, dtype=float).matvec([1.0, 2.0])
"""
    package = {"__name__": "dinfgrid_cuda.made_up"}
    exec(source, package)
    lines = []

    def call():
        lines.append(here() + 1)
        package["run"]()

    caught = recorded(call)
    assert [str(w.message) for w in caught] == ["backward", "context", "cached", "scipy"]
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, lines[0])}


@pytest.mark.slow
def test_a_warning_of_the_import_points_at_the_import(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import torch\n"
        "torch.cuda.device_count = lambda: 2\n"
        "torch.version.cuda = torch.version.cuda or '13.0'\n"
        "import dinfgrid_cuda.kernels.native\n"
        "from dinfgrid_cuda.kernels.native import facts\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(Path(dg.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if "was built for CUDA" in done.stderr or native.facts["cuda"]:
        pytest.skip("the build has CUDA")
    assert f"{script}:4: RuntimeWarning: dinfgrid_cuda was built without CUDA" in done.stderr


def test_a_warning_in_a_thread_of_its_own_is_given_all_the_same():
    def call():
        thread = threading.Thread(target=warn_user, args=("thread",))
        thread.start()
        thread.join()

    assert [str(w.message) for w in recorded(call)] == ["thread"]


def test_every_warning_of_the_package_goes_this_way():
    package = Path(dg.__file__).parent
    direct = [
        path
        for path in package.rglob("*.py")
        if path.name != "warn.py" and "warnings.warn" in path.read_text(encoding="utf-8")
    ]
    assert direct == []
