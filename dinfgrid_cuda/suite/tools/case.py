"""Case: a problem of the suite with its options, its setups, its exact reference and its pictures.

A new problem is a frozen dataclass derived from `Case` in a file of its own, and a line in
`cases.PROBLEMS`; its fields become the options of `dinfgrid solve NAME`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from dinfgrid_cuda import (
    Adam,
    Box,
    BSpline,
    Constraint,
    Gaussian,
    LeastSquares,
    Method,
    Problem,
    Stop,
)
from dinfgrid_cuda.kernels.basis import Basis
from dinfgrid_cuda.kernels.spec import per_axis

CONFIGS = ("default", "paper")
# Ranges of numbers with a unit, where a problem has none narrower: their squares, and the fourth
# powers of lengths, stay far from the limits of floating-point numbers.
POSITIVE = (1e-6, 1e6)
SIGNED = (-1e6, 1e6)


class CaseError(ValueError):
    """Raised for options that cannot be met or a file that cannot be used; a one-line message."""


def option(
    default: Any,
    help_text: str,
    *,
    choices: tuple[str, ...] | None = None,
    span: tuple[float, float] | None = None,
) -> Any:
    """A field of a `Case` that the user sets: its default and what it means.

    Args:
        default: the default value, of the type of the field.
        help_text: one line, with unit.
        choices: the values that a string may take.
        span: the least and the largest possible number; the help shows them.
    """
    if span is not None:
        help_text = f"{help_text} From {span[0]:g} to {span[1]:g}."
    return dataclasses.field(
        default=default, metadata={"help": help_text, "choices": choices, "span": span}
    )


@dataclass(frozen=True)
class Setup:
    """How the field of a case is built and trained.

    Attributes:
        cells: of the finest level, one number or one per axis.
        levels, channels, basis, boundary: of the `FeatureGrid`.
        slabs: of time (axis 0), each with a grid of ``cells``; see `SlabField`.
        decoder: "trained" (linear, as in the paper), "sum" (levels and channels added up with
            fixed weights: the field is linear in its parameters) or "mlp" (tanh, 64 hidden).
        level_weight: with "sum", level s counts level_weight^s.
        dtype: "float32" or "float64".
        method, steps, stop: of `solve`; the steps are those of a slab.
        points: collocation points per step; the problem shares them out to its terms.
        config: the name of the configuration that it comes from.
    """

    cells: int | tuple[int, ...]
    levels: int = 1
    slabs: int = 1
    channels: int = 1
    basis: Basis = Gaussian()  # noqa: RUF009 - immutable
    boundary: str | tuple[str, ...] = "ghost"
    decoder: str = "trained"
    level_weight: float = 1.0
    dtype: str = "float32"
    method: Method = Adam()  # noqa: RUF009 - immutable
    steps: int = 10_000
    stop: Stop = Stop()  # noqa: RUF009 - immutable
    points: int = 4096
    config: str = "default"

    def cells_per_axis(self, dim: int) -> tuple[int, ...]:
        """Cells of the finest level on each of ``dim`` axes."""
        return per_axis(self.cells, dim, "cells")


# The setup that most of the suite starts from: one level of quintic B-splines in double precision,
# whose features enter linearly.
DIRECT = Setup(
    cells=32,
    basis=BSpline(5),
    decoder="sum",
    dtype="float64",
    method=LeastSquares(),
    steps=20,
)


# The paper's setup of its cloth.
PAPER_CLOTH = Setup(
    config="paper",
    cells=32,
    channels=4,
    boundary="clamp",
    method=Adam(lr=1e-2),
    steps=2000,
    points=64**2,
)


@dataclass(frozen=True)
class Measure:
    """One figure of a result.

    Attributes:
        value: the figure; may be infinite.
        unit: "1" for a pure number.
        meaning: one line that defines it.
    """

    value: float
    unit: str
    meaning: str


Writer = Callable[[Path], None]


@dataclass(frozen=True)
class Case(ABC):
    """A problem with options. Derived classes are frozen dataclasses; fields are options.

    Options are checked in ``__post_init__``, which raises `CaseError`.
    """

    name: ClassVar[str]
    # Imported before the solve, so that a missing package is noticed before it and not after.
    packages: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if value is None:
                continue
            choices, span = each.metadata.get("choices"), each.metadata.get("span")
            if choices and value not in choices:
                raise CaseError(
                    f"{self.flag(each.name)} is {value!r}; it must be one of {choices}."
                )
            if span and not span[0] <= value <= span[1]:
                raise CaseError(
                    f"{self.flag(each.name)} is {value}; it must lie in {span[0]:g}..{span[1]:g}."
                )

    @staticmethod
    def flag(field_name: str) -> str:
        """The command-line option of a field."""
        return "--" + field_name.replace("_", "-")

    def options(self) -> dict[str, Any]:
        """The options as JSON data; files by their absolute paths."""
        return {
            f.name: str(v.resolve()) if isinstance(v := getattr(self, f.name), Path) else v
            for f in dataclasses.fields(self)
        }

    def fingerprint(self) -> dict[str, Any]:
        """Other values that a checkpoint to be resumed must share, such as a hash of a file."""
        return {}

    @property
    def out_channels(self) -> int:
        """The number of channels of u."""
        return 1

    @abstractmethod
    def box(self) -> Box:
        """The box of the problem."""

    def grid_box(self, setup: Setup) -> Box:
        """The box of the grid: that of the problem, or a larger one."""
        return self.box()

    def grid_cells(self, setup: Setup) -> int | tuple[int, ...]:
        """The cells of the finest level of the grid on its box, one number or one per axis."""
        return setup.cells

    @abstractmethod
    def setup(self, config: str) -> Setup:
        """Returns how it is solved, by the name of the configuration ("default" or "paper")."""

    @abstractmethod
    def problem(self, setup: Setup) -> Problem:
        """Returns the problem, that is its terms."""

    def constraint(self, setup: Setup) -> Constraint | None:
        """Returns a constraint that holds boundary values exactly, or None."""
        return None

    @abstractmethod
    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures the errors of a field, the most telling first.

        Args:
            field: trained; ``field(x)`` and ``field.jet(x, order)``.
            resolution: points per axis to measure at; None takes the case's own.
        """

    @abstractmethod
    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws pictures (PNG, GIF), by file name; the first is the main one.

        Args:
            field: trained.
            title: goes above the main picture.
        """

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """The writers of other files (VTK, meshes, CSV), by file name."""
        return {}
