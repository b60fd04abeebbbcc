"""The results of a study: rows of a table, a summary, and the files they end in."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dinfgrid_cuda import CheckpointError, __version__
from dinfgrid_cuda.solvers.record.checkpoint import prepare_folder, write_atomically
from dinfgrid_cuda.suite.tools import plots

Row = dict[str, Any]


class Record:
    """Rows of a study, written after each part, so that an interrupted study can go on.

    Args:
        name: of the study.
        out: folder of its files.
        quick: see `run_study`.
        resume: continue from the rows that are in the folder.

    Attributes:
        quick: whether few cells and steps are enough.
        rows: all rows so far, each a flat dictionary of numbers and strings with its "part".
        summary: what the study concludes from its rows, as JSON data.

    Raises:
        CheckpointError: if the folder cannot be written, or ``resume`` finds another run in it.
    """

    def __init__(self, name: str, out: Path, quick: bool = False, resume: bool = False) -> None:
        self.name, self.quick = name, quick
        self.folder = prepare_folder(out)
        self.rows: list[Row] = []
        self.summary: dict[str, Any] = {}
        self.parts: list[str] = []
        self.spent = 0.0
        if resume:
            self._take_up()
        self.started = time.monotonic()

    def part(self, label: str, make: Callable[[], Sequence[Mapping[str, Any]]]) -> list[Row]:
        """Returns the rows of one part, computed now unless an earlier run has them.

        Args:
            label: unique in the study; it becomes the rows' "part".
            make: computes the rows.
        """
        if label not in self.parts:
            began = time.monotonic()
            new_rows = [{"part": label, **row} for row in make()]
            self.rows += new_rows
            self.parts.append(label)
            self._write()
            print(f"{self.name}: {label}, {time.monotonic() - began:.1f} s", flush=True)
        return [row for row in self.rows if row["part"] == label]

    def finish(self, fig: Any) -> list[Path]:
        """Writes table and figure; returns all files."""
        table, picture = self._path("csv"), self._path("png")
        write_atomically(table, as_csv(self.rows).encode())
        write_atomically(picture, plots.png(fig))
        self._write()
        return [picture, table, self._path("json")]

    @property
    def seconds(self) -> float:
        """The seconds spent so far, those of an earlier run whose parts were kept included."""
        return self.spent + time.monotonic() - self.started

    def _path(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"

    def _write(self) -> None:
        content = {
            "study": self.name,
            "quick": self.quick,
            "machine": machine(),
            "date": str(datetime.date.today()),
            "seconds": round(self.seconds, 1),
            "summary": self.summary,
            "parts": self.parts,
            "rows": self.rows,
        }
        text = json.dumps(_plain(content), indent=1, allow_nan=False)
        write_atomically(self._path("json"), text.encode() + b"\n")

    def _take_up(self) -> None:
        path = self._path("json")
        if not path.exists():
            return
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            quick, rows, parts = saved["quick"], saved["rows"], saved["parts"]
            spent = float(saved["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is no record of a study; remove it.") from error
        if quick != self.quick:
            kind = "with" if quick else "without"
            raise CheckpointError(f"{path} was made {kind} --quick; use another --out.")
        self.rows, self.parts, self.spent = rows, parts, spent


def as_csv(rows: Sequence[Row]) -> str:
    """A table with the columns of all rows; a row's missing ones stay empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def machine() -> str:
    """The processor, cores and versions in a line."""
    name = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = text.split("model name\t: ")[1].split("\n")[0]
    except (OSError, IndexError):
        pass
    threads = torch.get_num_threads()
    return (
        f"{name}, {os.cpu_count()} cores, {threads} threads; dinfgrid_cuda {__version__}, torch "
        f"{torch.__version__}"
    )


def _plain(value: Any) -> Any:
    """The value as JSON data; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
