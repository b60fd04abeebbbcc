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
    ints = (3, 1, 2, 1, 1, 0, 2, 2, 2, 2**22, 2**22, 2**22)
    floats = (0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
    with pytest.raises(RuntimeError, match="too many to index"):
        torch.ops.dinfgrid.gather(torch.zeros(1, 3), torch.zeros(0, 1), ints, floats, 0, True)


# A linear spline on 4 cells of [0, 1] and one local level: its start, cells and halvings.
LOCAL_INTS = (1, 1, 2, 1, 1, 1, 0, 4, 2, 3, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({5: -1}, "-1 local levels; possible are 0 to 64"),
        ({5: 65}, "65 local levels; possible are 0 to 64"),
        ({5: 2}, "packed sizes 11 and 3 do not fit 1 dimensions and 2 local levels"),
        ({5: 0}, "packed sizes 11 and 3 do not fit 1 dimensions and 0 local levels"),
        ({2: 0}, "local levels need B-splines or Gaussians with a smooth window"),
        ({2: 1, 6: 1}, "local levels do not exist with boundary clamp, as on axis 0"),
        ({10: -1}, "local level 0 halves 4 cells on axis 0 -1 times"),
        ({10: 49}, "local level 0 halves 4 cells on axis 0 49 times"),
        ({7: 2**30, 10: 23}, "halves 1073741824 cells on axis 0 23 times; .* 2\\^52 cells"),
        ({9: 0}, "local level 0 has 0 cells from cell 2 on axis 0, of 8 of that size"),
        ({9: 2**31, 10: 40}, "local level 0 has 2147483648 cells from cell 2 on axis 0"),
        ({8: -1}, "local level 0 has 3 cells from cell -1 on axis 0, of 8 of that size"),
        ({8: 6}, "local level 0 has 3 cells from cell 6 on axis 0, of 8 of that size"),
    ],
)
def test_local_levels_that_cannot_be_are_refused_by_the_operator(
    changes: dict[int, int], message: str
) -> None:
    ints = [changes.get(i, number) for i, number in enumerate(LOCAL_INTS)]
    call = (torch.zeros(1, 1), torch.zeros(9, 1), ints, (1.0, 0.0, 1.0), 0, True)
    with pytest.raises(RuntimeError, match=f"grid: .*{message}|grid: {message}") as caught:
        torch.ops.dinfgrid.gather(*call)
    assert "\n" not in str(caught.value).split("\nException raised")[0]


def test_a_local_level_that_can_be_is_taken_by_the_operator() -> None:
    call = (torch.ones(1, 1) / 2, torch.ones(9, 1), LOCAL_INTS, (1.0, 0.0, 1.0), 0, True)
    assert torch.ops.dinfgrid.gather(*call).item() == 2.0
