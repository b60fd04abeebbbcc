"""Where a solve writes its checkpoints, and how often."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dinfgrid_cuda.checks import check_extra, check_real


@dataclass(frozen=True)
class Output:
    """A folder for the checkpoint: written at the end, on Ctrl-C, SIGTERM and now and then.

        dg.solve(problem, field, out=dg.Output("runs/x", every=300, extra={"viscosity": 0.01}))

    Args:
        folder: created if it is absent.
        every: seconds between the checkpoints on the way; infinite for none.
        extra: JSON data to store in the checkpoint.

    Raises:
        TypeError, ValueError: one line that names the argument.
    """

    folder: str | os.PathLike[str]
    every: float = 60.0
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.folder, (str, os.PathLike)) or not os.fspath(self.folder):
            raise ValueError(
                f"Output: folder is {self.folder!r}; name a folder for the checkpoint."
            )
        if self.every != math.inf:
            check_real("Output", "every", self.every)
        check_extra("Output", self.extra)

    @property
    def path(self) -> Path:
        """The folder as a path."""
        return Path(self.folder)
