"""What users pass where plain numbers and instances are expected, made plain or refused."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """Arrays, tensors and their scalars as lists and numbers; anything else unchanged."""
    made = getattr(value, "tolist", None)
    return value if made is None or isinstance(value, type) else made()


def check_instance(where: str, name: str, value: Any) -> None:
    """Raises TypeError if ``value`` is a class, such as ``Interior`` in place of ``Interior()``."""
    if isinstance(value, type):
        raise TypeError(
            f"{where}: {name} is the class {value.__name__}; pass {value.__name__}(...), an "
            "instance."
        )
