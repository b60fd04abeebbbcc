"""Checks of arguments: one line that names the argument, what it is and what it may be."""

from __future__ import annotations

import json
import math
import operator
from numbers import Real
from typing import Any, cast


def plain(value: Any) -> Any:
    """Arrays, tensors and their scalars as lists and numbers; anything else unchanged."""
    to_list = getattr(value, "tolist", None)
    return value if to_list is None or isinstance(value, type) else to_list()


def check_instance(where: str, name: str, value: Any) -> None:
    """Raises TypeError if ``value`` is a class, such as ``Interior`` in place of ``Interior()``."""
    if isinstance(value, type):
        raise TypeError(
            f"{where}: {name} is the class {value.__name__}; pass {value.__name__}(...), an "
            "instance."
        )


def is_int(value: object) -> bool:
    """Whether ``value`` is a plain integer; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def plain_int(value: Any) -> Any:
    """Integers of other libraries (numpy.int64) as int; anything else unchanged."""
    try:
        return value if isinstance(value, bool) else operator.index(value)
    except (TypeError, ValueError):
        return value


def check_whole(where: str, name: str, value: Any, least: int | None = None) -> int:
    """Returns ``value`` as int; numpy's and torch's integers are whole numbers too.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is less than ``least``.
    """
    bound = "" if least is None else f" >= {least}"
    value = _scalar(value)
    if not is_int(value):
        raise TypeError(f"{where}: {name} is {value!r}; it must be a whole number{bound}.")
    if least is not None and value < least:
        raise ValueError(f"{where}: {name} is {value}; it must be >= {least}.")
    return int(value)


def check_real(where: str, name: str, value: Any, positive: bool = False) -> float:
    """Returns ``value`` as a plain number; numpy's and torch's without axes are numbers too.

    Raises:
        TypeError: if it is not a real number.
        ValueError: if it is infinite, NaN, negative or, where it must be ``positive``, zero.
    """
    bound = "positive" if positive else ">= 0"
    value = _scalar(value)
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{where}: {name} is {value!r}; it must be a number, {bound}.")
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{where}: {name} is {value!r}; it must be {bound} and finite.")
    return cast(float, value)


def check_point(where: str, name: str, value: Any, dim: int | None = None) -> tuple[float, ...]:
    """Returns coordinates as plain numbers.

    Raises:
        TypeError: if they are not numbers.
        ValueError: if one is not finite, or they are not ``dim`` where that is given.
    """
    entries = plain(value)
    wanted = "finite numbers" if dim is None else f"{dim} finite numbers"
    try:
        numbers = tuple(float(entry) for entry in entries)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}: {name} is {value!r}; pass {wanted}.") from error
    if not numbers or (dim is not None and len(numbers) != dim):
        raise ValueError(f"{where}: {name} is {numbers}; pass {wanted}.")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{where}: {name} is {numbers}; it must be finite.")
    return numbers


def _scalar(value: Any) -> Any:
    """Arrays and tensors without axes as Python's numbers; anything else unchanged."""
    number = plain(value)
    return value if isinstance(number, list) else number


def check_flag(where: str, name: str, value: Any) -> bool:
    """``value`` as True or False.

    Raises:
        TypeError: if it is neither.
    """
    if value is not True and value is not False:
        raise TypeError(f"{where}: {name} is {value!r}; it must be True or False.")
    return bool(value)


def check_decay(where: str, value: Any) -> None:
    """Raises TypeError, ValueError if ``value`` is not (ratio, interval) of a learning rate."""
    wanted = "pass (ratio, interval), 0 < ratio <= 1, interval >= 1"
    pair = isinstance(value, (tuple, list)) and len(value) == 2
    if not pair or not isinstance(value[0], Real) or not is_int(plain_int(value[1])):
        raise TypeError(f"{where}: decay is {value!r}; {wanted}.")
    if not (0 < float(value[0]) <= 1 and value[1] >= 1):
        raise ValueError(f"{where}: decay is {value!r}; {wanted}.")


def check_extra(where: str, value: Any) -> None:
    """Raises TypeError unless ``value`` is a dict that JSON can hold: a checkpoint stores it."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}: extra must be JSON data: {error}.") from error
    if not isinstance(value, dict):
        raise TypeError(f"{where}: extra is {value!r}; pass a dict of JSON data.")
