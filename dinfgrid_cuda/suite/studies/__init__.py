"""Studies: questions about the method that one command answers with a picture and a table.

A study is a module here with ``study(record)``, which adds rows to the record part by part and
returns a matplotlib figure; docs/studies.md discusses the results.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from .record import Record

# Name on the command line: module, question.
STUDIES = {
    "siren": ("siren", "How fast do grids and coordinate networks rebuild an image?"),
    "interpolation": ("interpolation", "What does linear interpolation hide from a loss?"),
    "helmholtz": ("helmholtz", "How accurate are the waves of a point source, far and near?"),
    "resolution": ("resolution", "What do several levels of resolution gain?"),
    "boundary": ("boundary", "Where is the error, and what removes it from the boundary?"),
    "classical": ("classical", "Where do classical solvers win?"),
    "epsilon-rho": ("epsilon_rho", "How do the Gaussian's width and reach trade off?"),
    "dimension": ("dimension", "What does one more dimension cost, at 2^16 parameters?"),
    "factorized": (
        "factorized",
        "What do products of planes and lines save, and what do they lose?",
    ),
}


def run_study(name: str, out: Path, quick: bool = False, resume: bool = False) -> list[Path]:
    """Runs a study and returns the files it wrote: NAME.png, NAME.csv and NAME.json in ``out``.

    Args:
        name: one of `STUDIES`.
        out: folder.
        quick: few cells and steps, to check that all runs; the figures mean little.
        resume: keep the parts that an earlier run in ``out`` finished.

    Raises:
        SolveError: if ``out`` cannot be written or holds another run.
        ImportError: if a package of the study is not installed.
    """
    module = importlib.import_module(f".{STUDIES[name][0]}", __name__)
    record = Record(name, out, quick, resume)
    fig = module.study(record)
    return record.finish(fig)
