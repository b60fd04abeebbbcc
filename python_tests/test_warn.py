"""Warnings point at the line that the user wrote."""

import inspect
import warnings
from functools import partial

import pytest
import solving
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda import functional
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
        functional._warn_of_reference("mps")

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
