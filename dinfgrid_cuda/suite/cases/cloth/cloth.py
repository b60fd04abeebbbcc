"""Cloth: a sheet that hangs from two corners or points, a nonlinear Kirchhoff-Love shell.

The sheet is 2 m wide, square or round, flat and upright before it is loaded: xi_1 to the right,
xi_2 up, u its displacement. Its upper corners are held closer together than they were, and it sags
and folds. Held along all edges and under a small load, the same shell is a clamped plate, whose
solution is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import (
    LBFGS,
    Box,
    Constraint,
    GaussPoints,
    Interior,
    Jet,
    Points,
    Problem,
    Term,
)
from dinfgrid_cuda.suite.cases.plate import plate_exact
from dinfgrid_cuda.suite.cases.plate.plate_plots import comparison
from dinfgrid_cuda.suite.cases.plate.plate_terms import Outline, Squared
from dinfgrid_cuda.suite.tools.case import (
    DIRECT,
    PAPER_CLOTH,
    Case,
    CaseError,
    Measure,
    Setup,
    Writer,
    option,
)
from dinfgrid_cuda.suite.tools.evaluation import jet, relative_l2, values
from dinfgrid_cuda.suite.tools.quadrature import gauss_box, per_cell

from . import cloth_plots
from .cloth_corners import SIGMA, HeldCorners, bell
from .cloth_outline import SIDE, Flat
from .shell import Material, Surface, bending_energy, membrane_energy

INWARD, GRAVITY = 0.4, 9.8
# A gravity that bends the clamped sheet by 3e-3 of its thickness: it is a plate to 5e-6 then.
WEIGHTLESS = 1e-9
# Points per axis of the sheets that are drawn, turn in the animation, and are exported.
DRAWN, TURNING, EXPORTED = 97, 41, 129

HANGING = replace(DIRECT, method=LBFGS(), steps=2000, points=128**2)


@dataclass(frozen=True)
class Cloth(Case):
    """Hangs a sheet, square or round, by two of its corners or points, moved inwards."""

    name: ClassVar[str] = "cloth"

    shape: str = option(
        "square", "Shape of the sheet, 2 m wide: square or round.", choices=("square", "round")
    )
    hold: str = option(
        "corners",
        "corners: hung upright by two corners (of a round sheet, by two points of its rim at 45 "
        "degrees to the top); edges: clamped all around, with gravity across the "
        "sheet (a plate, as long as it bends by much less than its thickness).",
        choices=("corners", "edges"),
    )
    inward: float | None = option(
        None, "How far each held corner moves inwards, in m, 0..0.9. By default 0.4."
    )
    gravity: float | None = option(
        None, "Gravity in m/s^2; by default 9.8, 1e-9 for --hold edges.", span=(1e-12, 1e6)
    )
    density: float = option(0.144, "Mass per area in kg/m^2.", span=(1e-9, 1e6))
    thickness: float = option(0.0012, "Thickness in m.", span=(1e-9, 1.0))
    young: float = option(5000.0, "Young's modulus in Pa.", span=(1e-3, 1e15))
    nu: float = option(0.25, "Poisson's ratio, 0 <= nu < 0.5.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.nu < 0.5:
            raise CaseError(f"--nu is {self.nu}; it must lie in 0..0.5.")
        if self.inward is not None and not 0 <= self.inward <= 0.9:
            raise CaseError(f"--inward is {self.inward}; it must lie in 0..0.9.")
        if self.hold == "edges" and self.inward is not None:
            raise CaseError("--inward moves held corners; --hold edges has none.")

    @property
    def flat(self) -> Flat:
        """The flat sheet."""
        return Flat(self.shape == "round")

    @property
    def material(self) -> Material:
        """The material of the sheet."""
        return Material(self.young, self.thickness, self.nu)

    @property
    def load(self) -> float:
        """The weight of the sheet per area, in N/m^2."""
        default = GRAVITY if self.hold == "corners" else WEIGHTLESS
        return self.density * (default if self.gravity is None else self.gravity)

    @property
    def down(self) -> int:
        """The component of u against which gravity acts: y, or z for the plate."""
        return 1 if self.hold == "corners" else 2

    @property
    def out_channels(self) -> int:
        """The number of channels: the three components of the displacement, in m."""
        return 3

    def box(self) -> Box:
        """The box of the flat sheet, in m."""
        return self.flat.box

    def setup(self, config: str) -> Setup:
        """Returns L-BFGS on quintic splines, Newton's method for the plate; or the paper's."""
        if config == "paper":
            return PAPER_CLOTH
        return HANGING if self.hold == "corners" else replace(DIRECT, cells=12, points=60**2)

    def constraint(self, setup: Setup) -> Constraint:
        """Returns the constraint that holds the corners, or the edges with their slopes."""
        if self.hold == "edges":
            return Squared(self.flat.hem())
        inward = INWARD if self.inward is None else self.inward
        return HeldCorners(inward, self.flat.corners)

    def energies(self, u: Jet) -> tuple[Tensor, Tensor, Tensor]:
        """Membrane, bending and potential energy per area, each [N], in J/m^2."""
        surface, height = Surface.of(u), u.value[:, self.down]
        material = self.material
        stretching, bent = membrane_energy(surface, material), bending_energy(surface, material)
        return stretching, bent, self.load * height

    def problem(self, setup: Setup) -> Problem:
        """Returns the problem of the least energy, in J."""

        def energy(x: Tensor, u: Jet, weight: Tensor | float = 1.0) -> Tensor:
            membrane, bent, potential = self.energies(u)
            return (membrane + bent + potential) * weight

        term = partial(Term, "energy", residual=energy, order=2, weight=self.flat.area, loss="mean")
        if setup.method.resamples:
            return Problem(self.flat.shape, [term(region=Interior(), points=setup.points)])
        # Fixed points need a quadrature: with 3 per cell and axis the minimiser reaches an energy
        # 0.03 J below its true one, with 4 the two agree to 0.002 J.
        if self.flat.round:
            points = Interior(GaussPoints(per_cell=per_cell(setup, 2)))
            return Problem(self.flat.shape, [term(region=points)])
        x, weights = gauss_box(self.box(), setup.cells_per_axis(2), per_cell(setup, 2))
        return Problem(self.box(), [term(region=Points(x), data=weights)])

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures energies, and the balance of forces or the error of the plate."""
        x, weights = self.flat.quadrature(max(2, -(-(resolution or 192) // 3)), 3)
        u = jet(field, x, 2)
        energies = [
            self.flat.area * float((energy * weights).mean()) for energy in self.energies(u)
        ]
        stretch = float(Surface.of(u).stretches.max())
        plate = self.hold == "edges"
        measures = self._plate_measures(field) if plate else self._balance(x, u, weights)
        measures |= {
            "energy": Measure(sum(energies), "J", "what is minimised, by another quadrature"),
            "membrane": Measure(energies[0], "J", "stretching energy"),
            "bending": Measure(energies[1], "J", "bending energy"),
            "potential": Measure(energies[2], "J", "of gravity, 0 for the flat sheet"),
        }
        if self.hold == "corners":
            measures["lowest_point"] = Measure(
                float((x[:, 1] + u.value[:, 1]).min()), "m", "y; the flat sheet's is -1"
            )
            measures["symmetry_error"] = Measure(
                self._asymmetry(field), "m", "rms of x(xi) minus the mirrored x(-xi_1, xi_2)"
            )
        measures["largest_stretch"] = Measure(stretch, "1", "largest principal stretch, at corners")
        return measures

    def _balance(self, x: Tensor, u: Jet, weights: Tensor) -> dict[str, Measure]:
        """Measures the forces of the corners, by virtual work.

        A variation v = (1 - B_c) e moves corner c and little else. Rigid motions do no work against
        the shell, and where the energy is stationary B e, the rest of the motion, does none at all:
        so the work of both corners' variations upwards is the weight, exactly.
        """
        shifts = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
        moved = u
        for shift, corner in zip(shifts, self.flat.corners, strict=True):
            components = bell(x, corner, SIGMA, 2).components
            moved = moved + Jet(components * shift, 2, 2)
        total = self.flat.area * (sum(self.energies(moved)) * weights).mean()
        (forces,) = torch.autograd.grad(total, shifts)
        weight, carried = self.load * self.flat.area, float(forces[:, 1].sum())
        thrust = forces[:, 0].abs()
        return {
            "balance_error": Measure(
                abs(carried - weight) / weight,
                "1",
                "|vertical force of the corners - weight| / weight, exact: 0",
            ),
            "corner_force": Measure(carried, "N", "vertical force of both corners"),
            "weight": Measure(weight, "N", "of the sheet"),
            "thrust": Measure(
                float(thrust.mean()), "N", "horizontal force of a corner, mean of both"
            ),
            "thrust_error": Measure(
                float(forces[:, 0].sum().abs()), "N", "sum of both horizontal forces, exact: 0"
            ),
        }

    def plate(self, x: Tensor) -> Tensor:
        """The deflection [N] in m of the clamped linear plate under the sheet's weight."""
        scale = self.load / self.material.bending
        if self.flat.round:
            return scale * plate_exact.clamped_disk(x, SIDE / 2)
        return scale * plate_exact.clamped_uniform(x, SIDE, SIDE)

    def _plate_measures(self, field: nn.Module) -> dict[str, Measure]:
        x = self.flat.points(97)
        deflection = -values(field, x)[:, 2]
        exact = self.plate(x)
        centre = float(-values(field, torch.zeros(1, 2, dtype=torch.float64))[0, 2])
        return {
            "plate_error": Measure(
                relative_l2(deflection, exact),
                "1",
                "|w - plate| / |plate|, the linear plate; grows as (w / h)^2",
            ),
            "centre": Measure(centre, "m", "deflection of the centre"),
            "centre_plate": Measure(float(exact.max()), "m", "the linear plate's"),
            "centre_by_thickness": Measure(centre / self.thickness, "1", "centre / thickness"),
        }

    def _asymmetry(self, field: nn.Module) -> float:
        displacement = values(field, self.flat.points(97)).reshape(97, 97, 3)
        sign = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
        return float((displacement - displacement.flip(0) * sign).square().sum(dim=2).mean().sqrt())

    def sheet(self, field: nn.Module, count: int) -> cloth_plots.Sheet:
        """The deformed sheet on a lattice of count x count points."""
        x = self.flat.points(count)
        u = jet(field, x, 2)
        flat = torch.cat([x, torch.zeros(len(x), 1, dtype=torch.float64)], dim=1)
        data: dict[str, Any] = {"stretch": Surface.of(u).stretches[:, 1], "displacement": u.value}
        data["membrane"], data["bending"], _ = self.energies(u)
        return cloth_plots.Sheet(
            (flat + u.value).reshape(count, count, 3).numpy(),
            {name: values.reshape(count, count, -1).numpy() for name, values in data.items()},
        )

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws the sheet from three sides, and turning; or the plate's deflection and error."""
        if self.hold == "corners":
            sheet = self.sheet(field, DRAWN)
            return {
                "cloth.png": cloth_plots.views(sheet, title),
                "cloth.gif": cloth_plots.turntable(self.sheet(field, TURNING)),
            }
        title = f"shell held at its edges against the linear plate ({title})"
        flat = Outline(SIDE, SIDE, disk=self.flat.round)
        return {"cloth.png": comparison(flat, lambda x: -values(field, x)[:, 2], self.plate, title)}

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes the deformed sheet: OBJ for 3-D programs, VTK with its data for ParaView."""
        sheet = self.sheet(field, EXPORTED)
        return {
            "cloth.obj": lambda path: cloth_plots.write_mesh(path, sheet),
            "cloth.vts": lambda path: cloth_plots.write_vtk(path, sheet),
        }
