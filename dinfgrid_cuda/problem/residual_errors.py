"""Errors of a user's residual in the words of a term."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.jet_errors import MORE_CHANNELS, NormalError, OrderError, channels_of

# What torch says where the graph does not lead from a tensor to the points.
NO_GRAPH = (
    "One of the differentiated Tensors",
    "The differentiated Tensor",
    "does not require grad and does not have a grad_fn",
)


@contextmanager
def explained(name: str, order: int, u: Any) -> Iterator[None]:
    """Replaces errors of a residual that asks too much of ``u`` by such as say what to do.

    Args:
        name: of the term.
        order: that the term declares.
        u: what the residual is evaluated on, a `Jet` as a rule.

    Raises:
        ValueError, IndexError: that name the term.
    """
    where = f"term {name!r}"
    try:
        yield
    except OrderError as error:
        raise ValueError(f"{where}: {_of_order(error, order, u)}") from error
    except NormalError as error:
        raise ValueError(f"{where}: {error.reason}") from error
    except IndexError as error:
        message = str(error).rstrip(".")
        if isinstance(u, Jet) and "out of bounds" in message:
            message += f"; the field has {channels_of(len(u))}; {MORE_CHANNELS}"
        raise IndexError(f"{where}: {message}.") from error
    except ValueError as error:
        if "values to unpack" not in str(error) or not isinstance(u, Jet):
            raise
        raise ValueError(
            f"{where}: {error}; the field has {channels_of(len(u))}; {MORE_CHANNELS}."
        ) from error
    except RuntimeError as error:
        if not any(text in str(error) for text in NO_GRAPH):
            raise
        raise ValueError(
            f"{where}: torch.autograd.grad cannot differentiate u by x inside a residual; take "
            "u.gradient (order=1), u.laplacian (order=2) or u.derivative(alpha), and declare the "
            "order in the Term."
        ) from error


def _of_order(error: OrderError, order: int, u: Any) -> str:
    if isinstance(u, Jet) and error.held == u.order < error.wanted:
        return (
            f"{error.what} needs derivatives of order {error.wanted}, but the term declares "
            f"order={order}; pass Term(..., order={error.wanted})."
        )
    return str(error)
