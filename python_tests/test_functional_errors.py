"""Wrong arguments of gather and scatter: one line that says what was given and what is possible."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from cases import make_spec, normal, points_in
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import Gaussian

SPEC = make_spec(2, Gaussian(rho=2), ("clamp", "ghost"), cells=(4, 2), levels=2)
X = points_in(SPEC, 3)
F = normal(SPEC.total_nodes, 2)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: functional.gather(X.float(), F, SPEC), TypeError, "x is float32 .* float64"),
        (
            lambda: functional.gather(X.long(), F, SPEC),
            TypeError,
            "x is int64.*float32 and float64",
        ),
        (lambda: functional.gather(X.to("meta"), F, SPEC), ValueError, "x is on meta .* cpu"),
        (lambda: functional.gather(X[:, :1], F, SPEC), ValueError, r"\(3, 1\).*\[N, 2\]"),
        (lambda: functional.gather(X[0], F, SPEC), ValueError, r"\(2,\).*\[N, 2\]"),
        (lambda: functional.gather(X, F[1:], SPEC), ValueError, "features has shape"),
        (lambda: functional.gather(X, F[:, 0], SPEC), ValueError, "features has shape"),
        (lambda: functional.gather(X, F, SPEC, 6), ValueError, "order 6 .* 0 to 5"),
        (lambda: functional.gather(X, F, SPEC, -1), ValueError, "order is -1"),
        (lambda: functional.gather(X, F, SPEC, 1.5), ValueError, "order is 1.5"),
        (lambda: functional.gather(X, F, SPEC, 0, "mean"), ValueError, "'concat' or 'sum'"),
        (lambda: functional.scatter(X, F, SPEC), ValueError, "y has shape"),
        (
            lambda: functional.scatter(X, normal(3, 3, 4), SPEC),
            ValueError,
            r"\[3, 1, 2 \* channels",
        ),
        (lambda: functional.scatter(X, normal(2, 1, 4), SPEC), ValueError, "y has shape"),
        (lambda: functional.scatter(X, normal(3, 1, 3), SPEC), ValueError, "y has shape"),
    ],
)
def test_wrong_arguments_are_named(
    call: Callable[[], Tensor], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_grid_too_large_to_index_is_refused_by_the_operator() -> None:
    ints = (3, 1, 2, 1, 1, 2, 2, 2, 2**22, 2**22, 2**22)
    floats = (0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
    with pytest.raises(RuntimeError, match="too many to index"):
        torch.ops.dinfgrid.gather(torch.zeros(1, 3), torch.zeros(0, 1), ints, floats, 0, True)
