"""Fields evaluated at points, for errors and pictures."""

from __future__ import annotations

import hashlib
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dinfgrid_cuda import Box, Jet, Lattice

Array = npt.NDArray[np.float64]
CHUNK = 1 << 16

# Of each field: the fingerprint of its parameters, and what was computed from them.
_KEPT: WeakKeyDictionary[nn.Module, tuple[bytes, dict[Any, Array]]] = WeakKeyDictionary()


def lattice(box: Box, shape: int | tuple[int, ...], ends: bool = True) -> Tensor:
    """The regular points [prod(shape), dim] of a box, float64, last axis fastest.

    Args:
        box: the box.
        shape: points per axis.
        ends: True from face to face, False the middles of as many cells.
    """
    shape = (shape,) * box.dim if isinstance(shape, int) else shape
    return Lattice(shape, ends)(0, box, dtype=torch.float64)


def values(field: nn.Module, x: Tensor) -> Tensor:
    """The values u [N, out] in float64 on the CPU, at points x [N, dim] of any dtype."""
    return jet(field, x, 0).value


def jet(field: Any, x: Tensor, order: int) -> Jet:
    """The jet of u in float64 on the CPU, computed in the field's own precision, in chunks."""
    parameter = next(iter(field.parameters()))
    with torch.no_grad():
        chunks = [
            field.jet(chunk.to(parameter.device, parameter.dtype), order).components.cpu().double()
            for chunk in x.split(CHUNK)
        ]
    return Jet(torch.cat(chunks), x.shape[1], order)


def on_lattice(field: nn.Module, box: Box, shape: int | tuple[int, ...]) -> Array:
    """The values u on a face-to-face lattice, [*shape, out]."""
    shape = (shape,) * box.dim if isinstance(shape, int) else shape
    array: Array = values(field, lattice(box, shape)).reshape(*shape, -1).numpy()
    return array


def component(field: nn.Module, box: Box, shape: int | tuple[int, ...]) -> Array:
    """The first channel on a face-to-face lattice, [*shape], read-only.

    Measures, pictures and files of a result ask for the same: it is kept while the field's
    parameters stay what they are.
    """
    state = _fingerprint(field)
    known = _KEPT.get(field)
    if known is None or known[0] != state:
        known = _KEPT[field] = (state, {})
    array = known[1].get((box, shape))
    if array is None:
        array = known[1][box, shape] = on_lattice(field, box, shape)[..., 0]
        array.flags.writeable = False
    return array


def _fingerprint(field: nn.Module) -> bytes:
    """A hash of all parameters, whose version counters do not see the steps of a fused Adam."""
    digest = hashlib.blake2b(digest_size=16)
    for parameter in field.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return digest.digest()


def relative_l2(u: Tensor, exact: Tensor) -> float:
    """The error ||u - exact|| / ||exact||, both of one shape, real or complex."""
    return float(torch.linalg.vector_norm(u - exact) / torch.linalg.vector_norm(exact))
