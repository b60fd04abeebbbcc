"""Nested state (dicts, lists, numbers, tensors) as JSON plus named tensors, and back, exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TENSOR = "__tensor__"
PAIRS = "__pairs__"


def pack(tree: Any, prefix: str, tensors: dict[str, Tensor]) -> Any:
    """``tree`` as JSON-ready data; its tensors go into ``tensors`` under ``prefix/number``.

    Raises:
        TypeError: for a leaf that is no number, string, bool, None or tensor.
    """
    if isinstance(tree, Tensor):
        name = f"{prefix}/{len(tensors)}"
        tensors[name] = tree.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        return {TENSOR: name}
    if isinstance(tree, dict):
        pairs = [[key, pack(value, prefix, tensors)] for key, value in tree.items()]
        return {PAIRS: pairs}  # pairs, because JSON would turn integer keys into strings
    if isinstance(tree, (list, tuple)):
        return [pack(value, prefix, tensors) for value in tree]
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"checkpoint: cannot store a {type(tree).__name__}.")


def unpack(data: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `pack`, but tuples come back as lists.

    Raises:
        KeyError, TypeError, ValueError: if ``data`` was not made by `pack`.
    """
    if isinstance(data, dict):
        if TENSOR in data:
            return tensors[data[TENSOR]]
        return {key: unpack(value, tensors) for key, value in data[PAIRS]}
    if isinstance(data, list):
        return [unpack(value, tensors) for value in data]
    return data
