"""Plate: the bending of a thin (Kirchhoff-Love) plate, D Lap^2 w = q.

Solved from its energy, with second derivatives, or from the equation itself, with fourth ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import (
    Box,
    BSpline,
    Constraint,
    GaussPoints,
    Interior,
    Jet,
    LeastSquares,
    Points,
    Problem,
    Term,
)
from dinfgrid_cuda.suite.cases.shape import round_plate
from dinfgrid_cuda.suite.tools.case import (
    DIRECT,
    PAPER_CLOTH,
    POSITIVE,
    Case,
    CaseError,
    Measure,
    Setup,
    Writer,
    option,
)
from dinfgrid_cuda.suite.tools.evaluation import jet, lattice, relative_l2, values
from dinfgrid_cuda.suite.tools.quadrature import gauss_box, per_cell

from . import plate_exact, plate_plots
from .plate_terms import Outline, bending, hard_support, moment, slope

SHAPES, SUPPORTS = ("square", "disk"), ("simple", "clamped")
LOADS, FORMS = ("uniform", "sine", "bump", "wave"), ("energy", "strong")
BOUNDARIES = ("polynomial", "distance", "soft")


@dataclass(frozen=True)
class Plate(Case):
    """Bends a thin plate under a load, by its energy or by its fourth derivatives."""

    name: ClassVar[str] = "plate"

    form: str = option(
        "energy", "What is minimised: the energy, or the squared residual (strong).", choices=FORMS
    )
    shape: str = option(
        "square", "Shape of the plate: square (see --aspect) or disk.", choices=SHAPES
    )
    support: str = option(
        "clamped", "Support of the whole edge: simple or clamped.", choices=SUPPORTS
    )
    load: str = option(
        "uniform",
        "Load: uniform; sine (simple square only); bump, which bends a clamped square to "
        "w = (1-x^2)^2 (1-y^2)^2, scaled; wave, which bends a clamped disk to w = (1-r^2)^2 "
        "cos(6 x + 4 y), scaled.",
        choices=LOADS,
    )
    boundary: str = option(
        "polynomial",
        "How the edge is held: exactly, by a polynomial or (clamped only) by the paper's distance "
        "factor; or softly, by penalties.",
        choices=BOUNDARIES,
    )
    side: float = option(
        2.0, "Side of the square along x, or diameter of the disk, in m.", span=POSITIVE
    )
    aspect: float = option(1.0, "Side along y over side along x.", span=(0.25, 4.0))
    rigidity: float = option(
        1.0, "Bending rigidity D = E h^3 / (12 (1 - nu^2)), in N m.", span=(1e-12, 1e15)
    )
    pressure: float = option(1.0, "Load q (its amplitude), in N/m^2; not 0.", span=(-1e12, 1e12))
    nu: float = option(0.3, "Poisson's ratio, -1 < nu < 0.5.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pressure == 0:
            raise CaseError(f"--pressure is {self.pressure}; it must be a number other than 0.")
        if not -1 < self.nu < 0.5:
            raise CaseError(f"--nu is {self.nu}; it must lie between -1 and 0.5.")
        self._check_combination()

    def _check_combination(self) -> None:
        where = f"--shape {self.shape} --support {self.support}"
        if self.load == "sine" and (self.shape, self.support) != ("square", "simple"):
            raise CaseError(f"--load sine needs --shape square --support simple, not {where}.")
        if self.load == "bump" and (self.shape, self.support) != ("square", "clamped"):
            raise CaseError(f"--load bump needs --shape square --support clamped, not {where}.")
        if self.load == "wave" and (self.shape, self.support) != ("disk", "clamped"):
            raise CaseError(f"--load wave needs --shape disk --support clamped, not {where}.")
        if self.shape == "disk" and self.aspect != 1:
            raise CaseError(f"--aspect {self.aspect} belongs to a square; a disk has none.")
        if self.boundary == "distance" and self.support == "simple":
            raise CaseError(
                "--boundary distance has no slope at the edge, which clamps the plate; --support "
                "simple takes polynomial or soft."
            )

    @property
    def outline(self) -> Outline:
        """The plate's shape."""
        return Outline(self.side, self.side * self.aspect, self.shape == "disk")

    def box(self) -> Box:
        """The box: the rectangle, or the square around the disk, centred at 0; in m."""
        return self.outline.box

    def setup(self, config: str) -> Setup:
        """Returns quintic splines for the energy, septic ones for fourth derivatives."""
        if config == "paper":
            return PAPER_CLOTH  # the paper solves no plate
        if self.form == "energy":
            return replace(DIRECT, cells=32, points=160**2)
        return replace(DIRECT, cells=32, basis=BSpline(7), points=96**2)

    def constraint(self, setup: Setup) -> Constraint | None:
        """Returns the constraint that holds the edge, unless it is soft."""
        if self.boundary == "soft":
            return None
        return hard_support(self.outline, self.support == "clamped", self.boundary)

    def exact(self, x: Tensor) -> Tensor:
        """The reference deflection [N] in m at points [N, 2] of the plate."""
        a, b, scale = self.outline.a, self.outline.b, self.pressure / self.rigidity
        if self.load == "sine":
            return scale * plate_exact.simple_sine(x, a, b)
        if self.load == "bump":
            return scale * plate_exact.clamped_bump(x, a, b)
        if self.load == "wave":
            return scale * round_plate.clamped_wave(x, a / 2, self._wave)
        if self.shape == "disk":
            if self.support == "clamped":
                return scale * plate_exact.clamped_disk(x, a / 2)
            return scale * plate_exact.simple_disk(x, a / 2, self.nu)
        deflections = {"simple": plate_exact.simple_uniform, "clamped": plate_exact.clamped_uniform}
        return scale * deflections[self.support](x, a, b)

    @property
    def _wave(self) -> tuple[float, float]:
        """The wave vector of the load "wave", in 1/m."""
        return (12 / self.side, 8 / self.side)

    def pressure_at(self, x: Tensor) -> Tensor:
        """The load [N] in N/m^2."""
        a, b = self.outline.a, self.outline.b
        if self.load == "sine":
            return self.pressure * plate_exact.sine_load(x, a, b)
        if self.load == "bump":
            return self.pressure * plate_exact.bump_load(x, a, b)
        if self.load == "wave":
            return self.pressure * round_plate.clamped_wave_load(x, a / 2, self._wave)
        return torch.full_like(x[:, 0], self.pressure)

    def problem(self, setup: Setup) -> Problem:
        """Returns the energy in J, or the squared residual, with terms for what is not held hard.

        Raises:
            CaseError: for splines without the derivatives that the form needs.
        """
        order = 2 if self.form == "energy" else 4
        if isinstance(setup.basis, BSpline) and setup.basis.degree < order:
            raise CaseError(
                f"--form {self.form} needs derivatives of order {order}, which splines of degree "
                f"{setup.basis.degree} (--model linear-grid) lack; take --model grid."
            )
        return Problem(
            self.outline.shape, [self._inner_term(setup, order), *self._edge_terms(setup)]
        )

    def _inner_term(self, setup: Setup, order: int) -> Term:
        region, data = self._region(setup)

        def energy(x: Tensor, w: Jet, weight: Tensor | float = 1.0) -> Tensor:
            work = self.pressure_at(x) * w.value[:, 0]
            return (self.rigidity * bending(w, self.nu) - work) * weight

        def residual(x: Tensor, w: Jet, weight: Tensor | float = 1.0) -> Tensor:
            forces = self.rigidity * w.bilaplacian[:, 0] - self.pressure_at(x)
            return forces / self.pressure * (weight**0.5)

        common: dict[str, Any] = {"order": order, "points": setup.points, "data": data}
        if data is not None:
            common["points"] = None
        if self.form == "strong":
            return Term("equation", region, residual, **common)
        return Term("energy", region, energy, weight=self.outline.area, loss="mean", **common)

    def _region(self, setup: Setup) -> tuple[Interior | Points, Tensor | None]:
        """The region inside, and weights where its points stay: a quadrature for all but Adam.

        On a disk the energy has Gauss points in what the disk leaves of the cells.
        """
        outline = self.outline
        if setup.method.resamples:
            return Interior(), None
        count = per_cell(setup, 2)
        if not outline.disk:
            return _weighted(*gauss_box(outline.box, setup.cells_per_axis(2), count))
        return Interior(GaussPoints(per_cell=count) if self.form == "energy" else None), None

    def _edge_terms(self, setup: Setup) -> list[Term]:
        """The terms of the edge: what no constraint holds, and the moment in the strong form.

        Residuals are in units of q, the deflection times D / a^4, its slope D / a^3, and so on.
        """
        cells = max(setup.cells_per_axis(2))
        unit = self.rigidity / self.pressure / self.side**4

        def held(x: Tensor, w: Jet) -> Tensor:
            return w.value[:, 0] * unit

        def level(x: Tensor, w: Jet) -> Tensor:
            return w.normal_derivative[:, 0] * (unit * self.side)

        def hinged(x: Tensor, w: Jet) -> Tensor:
            return moment(w, w.normal, self.nu) * (unit * self.side**2)

        residuals: dict[str, tuple[int, Callable[..., Tensor]]] = {}
        if self.boundary == "soft":
            residuals["deflection"] = (0, held)
            if self.support == "clamped":
                residuals["slope"] = (1, level)
        if self.form == "strong" and self.support == "simple":
            residuals["moment"] = (2, hinged)
        edge = self.outline.rim(2 * cells if setup.method.resamples else 4 * cells)
        return [
            Term(name, edge, residual, order, self._weight(setup, order))
            for name, (order, residual) in residuals.items()
        ]

    def _weight(self, setup: Setup, order: int) -> float:
        """The weight of an edge term with derivatives of this order.

        Features that alternate between nodes have w, w_n, w_nn and Lap^2 w in the ratio of h^4,
        h^3, h^2, 1; the edge's cells are h of the area. Hence h^(2 order - 7) for the residual.
        The penalties of an energy leave an error in proportion to their inverse, so that the direct
        solver, which does not mind, gets large ones: 1e8 leaves 1e-5 to 7e-5 of w, 1e10 a
        hundredth of that. On a disk more would stiffen it, where w is no polynomial: bent by "wave"
        3e-6 with 1e10, 2e-4 with 1e14.
        The strong form of a disk is left to the solver, which weighs its edge by order and cells:
        bent by "wave" 6e-7, with the powers of h 5e-5.
        """
        direct = isinstance(setup.method, LeastSquares)
        if self.form == "strong":
            if direct and self.outline.disk:
                return 1.0
            cells = max(setup.cells_per_axis(2)) if direct else 4
            return float(cells) ** (7 - 2 * order)
        scale = self.pressure**2 * self.side**6 / self.rigidity
        return scale * (1e10 if direct else 1e5)

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors against the reference on a face-to-face lattice."""
        x = lattice(self.box(), resolution or 129)
        x = x[self.outline.inside(x)]
        w, exact = values(field, x)[:, 0], self.exact(x)
        centre = torch.zeros(1, 2, dtype=torch.float64)
        middle, exact_middle = float(values(field, centre)), float(self.exact(centre))
        edge, normals = self.outline.edge(256)
        largest = float(exact.abs().max())
        at_edge = jet(field, edge, 1)
        tilt = float(slope(at_edge, normals).abs().max())
        return {
            "relative_l2": Measure(relative_l2(w, exact), "1", "|w - exact| / |exact|"),
            "relative_max": Measure(
                float((w - exact).abs().max()) / largest, "1", "max |w - exact| / max |exact|"
            ),
            "centre": Measure(middle, "m", "deflection of the centre"),
            "centre_exact": Measure(exact_middle, "m", "the reference's"),
            "centre_coefficient": Measure(
                middle * self.rigidity / self.pressure / self._length**4,
                "1",
                "w D / (q R^4), R the radius" if self.shape == "disk" else "w D / (q a^4)",
            ),
            "edge_deflection": Measure(
                float(at_edge.value.abs().max()), "m", "largest |w| on the edge, exact: 0"
            ),
            "edge_slope": Measure(
                tilt, "1", "largest |w_n| on the edge" + ", exact: 0" * (self.support == "clamped")
            ),
        }

    @property
    def _length(self) -> float:
        return self.side / 2 if self.shape == "disk" else self.side

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws deflection, reference and error, and the bent plate."""
        shape = f"{self.support} {self.shape}, {self.load} load, {self.form} form"
        return {
            "plate.png": plate_plots.comparison(
                self.outline, lambda x: values(field, x)[:, 0], self.exact, f"{shape} ({title})"
            )
        }

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes the bent plate with deflection, reference and error for ParaView."""

        def write(path: Path) -> None:
            plate_plots.write_vtk(path, self.outline, lambda x: values(field, x)[:, 0], self.exact)

        return {"plate.vts": write}


def _weighted(x: Tensor, weights: Tensor) -> tuple[Points, Tensor]:
    return Points(x), weights
