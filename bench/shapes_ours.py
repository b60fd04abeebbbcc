"""Our side of `bench.shapes`: a function for each row, with its name and "_" for "-".

    def star(quick: bool) -> Result:  # error, seconds of points, assembly and solve, unknowns

A row without a function is shown as not written. Exact solutions and data are in
`dinfgrid_cuda.suite.cases.shape`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any


def solved(name: str, quick: bool) -> dict[str, Any]:
    """Solves a row and returns its cell: "value", "seconds", "unknowns"."""
    function = globals().get(name.replace("-", "_"))
    if function is None:
        raise NotImplementedError(f"{name} is not written yet")
    result = asdict(function(quick))
    return {"value": result.pop("error"), **result}
