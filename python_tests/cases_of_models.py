"""A check that the tests of all problems share."""

import numpy as np
import torch

from dinfgrid_cuda.solvers import solve
from dinfgrid_cuda.suite.run.models import make_model


def check_model_takes_a_step(case, setup, model, steps=2):
    """Finite losses, and other parameters than before."""
    field = make_model(case, setup, model)
    before = [p.detach().clone() for p in field.parameters()]
    problem = case.problem(setup)
    history = solve(problem, field, setup.method, steps=steps, progress=False).history
    assert np.isfinite(history.totals).all()
    pairs = zip(before, field.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)
