"""Eikonal: the signed distance u of a surface from points on it and their normals, in [-1, 1]^3.

|grad u| = 1 in the volume, u = 0 and grad u = n on the surface; u is negative inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from dinfgrid_cuda import LBFGS, Adam, Box, BSpline, Constraint, Gaussian, LeastSquares, Problem
from dinfgrid_cuda.suite.tools.case import Case, CaseError, Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import component, jet, lattice
from dinfgrid_cuda.suite.tools.vtk import write_image

from . import eikonal_plots
from .eikonal_terms import SphereStart, make_problem
from .point_clouds import MIN_POINTS, Cloud, load_cloud, sample_shape
from .shapes import SHAPES, Array, Shape
from .surfaces import Surface, level_set, to_trimesh

LOSSES, STARTS = ("squares", "siren"), ("sphere", "zero")
MAX_SAMPLES = 10_000_000
RESOLUTION = 96
NEAR = 0.1
MESH_SAMPLES = 20_000
EIKONAL_POINTS = 40  # per axis
# Direct solves in 3-D fill in: 20^3 cells take 4 s per step and 1.5 GB; time grows as cells^6.
DIRECT_CELLS = 20

PAPER = Setup(
    config="paper",
    cells=64,
    levels=4,
    basis=Gaussian(epsilon=1.0, rho=2),
    boundary="clamp",
    method=Adam(lr=1e-2),
    steps=20_000,
    points=64**3,
)
# Levels weighted by 2^level: the few features of coarse levels then move first, which the corners
# of the box, far from the surface, need. On the torus at 32^3 cells and 4 levels, after 100 steps
# with surface weights (1e3, 10), the mean error is 1.8e-2, 6.1e-3, 1.4e-2 for 1, 2, 4 per level.
DEFAULT = Setup(
    cells=64,
    levels=5,
    basis=BSpline(3),
    decoder="sum",
    level_weight=2.0,
    method=LBFGS(),
    steps=200,
    points=48**3,
)


@dataclass(frozen=True)
class Eikonal(Case):
    """Rebuilds a surface, and the distance to it, from an oriented point cloud."""

    name: ClassVar[str] = "eikonal"
    packages: ClassVar[tuple[str, ...]] = ("trimesh",)

    shape: str | None = option(
        None,
        "Analytic surface with exact distance; sphere if there is no --cloud.",
        choices=tuple(SHAPES),
    )
    cloud: Path | None = option(
        None,
        "Mesh (.ply .obj .stl .off .glb) or points with normals (.ply .xyz .csv .npy .npz: columns "
        "x y z nx ny nz), scaled into the box.",
    )
    samples: int = option(64**3, "Number of surface points, from which each step draws.")
    loss: str | None = option(
        None,
        "Loss: squares, or the absolute values of SIREN, the default with --config paper.",
        choices=LOSSES,
    )
    start: str | None = option(
        None,
        "u before the first step: a sphere's distance, or near zero as in the paper, the default "
        "with --config paper.",
        choices=STARTS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape is not None and self.cloud is not None:
            raise CaseError(
                f"--shape {self.shape} and --cloud {self.cloud} are two surfaces; give one of them."
            )
        if not MIN_POINTS <= self.samples <= MAX_SAMPLES:
            raise CaseError(
                f"--samples is {self.samples}; it must lie in {MIN_POINTS}..{MAX_SAMPLES}."
            )

    @property
    def exact(self) -> Shape | None:
        """The analytic shape, or None for a user's cloud."""
        return None if self.cloud is not None else SHAPES[self.shape or "sphere"]

    @cached_property
    def surface_points(self) -> Cloud:
        """The point cloud. Raises CaseError if a file cannot be used."""
        if self.cloud is not None:
            return load_cloud(self.cloud, self.samples)
        shape = self.shape or "sphere"
        return sample_shape(SHAPES[shape], shape, self.samples)

    def fingerprint(self) -> dict[str, Any]:
        """A hash of the points of a user's file."""
        return {} if self.cloud is None else {"cloud": self.surface_points.digest()}

    def box(self) -> Box:
        """The cube [-1, 1]^3; a user's cloud fills [-0.8, 0.8] along its longest edge."""
        return Box((-1.0,) * 3, (1.0,) * 3)

    def setup(self, config: str) -> Setup:
        """Returns L-BFGS on squares, or the paper's: 64^3 points in volume and on surface."""
        return PAPER if config == "paper" else DEFAULT

    def constraint(self, setup: Setup) -> Constraint | None:
        """Returns the function that is added to the field as its start, if any."""
        start = self.start or ("sphere" if setup.decoder == "sum" else "zero")
        return SphereStart.around(self.surface_points) if start == "sphere" else None

    def problem(self, setup: Setup) -> Problem:
        """Returns the terms of surface and volume; all methods but Adam keep their points."""
        cells = max(setup.cells_per_axis(3))
        if isinstance(setup.method, LeastSquares) and cells > DIRECT_CELLS:
            raise CaseError(
                f"--method least-squares with {cells} cells per axis takes too much memory in 3-D; "
                f"use --cells {DIRECT_CELLS} or fewer, or --method lbfgs."
            )
        loss = self.loss or ("squares" if setup.decoder == "sum" else "siren")
        return make_problem(self.box(), self.surface_points, loss, setup.points)

    def volume(self, field: nn.Module, resolution: int = RESOLUTION) -> Array:
        """The field u on a lattice of resolution^3 cells, [resolution + 1] * 3."""
        return component(field, self.box(), resolution + 1)

    def extract(self, field: nn.Module, resolution: int = RESOLUTION) -> Surface | None:
        """The zero level set on a lattice of resolution^3 cells, or None if there is none."""
        return level_set(self.volume(field, resolution))

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures the surface and the gradient, and the distance where the exact one is known.

        Args:
            field: trained.
            resolution: cells per axis of marching cubes, and of the lattice of the errors.
        """
        n = resolution or RESOLUTION
        u, surface = self.volume(field, n), self.extract(field, n)
        inside = jet(field, lattice(self.box(), EIKONAL_POINTS, ends=False), 1).gradient[:, 0]
        eikonal = float((torch.linalg.vector_norm(inside, dim=1) - 1).abs().mean())
        return {
            **self._distance_errors(u),
            **self._surface_errors(surface),
            **self._held_out_errors(field),
            "eikonal": Measure(eikonal, "1", "mean | |grad u| - 1 | in the box"),
            "triangles": Measure(
                0 if surface is None else len(surface.faces),
                "1",
                f"of the zero level set on {n}^3 cells; 0: u has one sign, there is no surface",
            ),
        }

    def _distance_errors(self, u: Array) -> dict[str, Measure]:
        if self.exact is None:
            return {}
        exact = self.exact.distance(lattice(self.box(), u.shape[0]).numpy())
        error = np.abs(u.ravel() - exact)
        near = error[np.abs(exact) < NEAR]
        length = "box units"
        return {
            "mean_error": Measure(float(error.mean()), length, "mean |u - d| in the box"),
            "near_error": Measure(
                float(near.mean()) if len(near) else float("inf"),
                length,
                f"mean |u - d| where |d| < {NEAR}",
            ),
            "max_error": Measure(float(error.max()), length, "max |u - d| in the box"),
        }

    def _surface_errors(self, surface: Surface | None) -> dict[str, Measure]:
        """Measures the distances between the zero level set and the given surface, in box units."""
        cloud = self.surface_points
        to_level_set = from_level_set = np.array([np.inf])
        if surface is not None:
            to_level_set = surface.distances(cloud.held_points)
            samples = surface.sample(MESH_SAMPLES, np.random.default_rng(2))
            from_level_set = self._to_reference(samples)
        reference = "its distance" if self.exact is not None else "the nearest point given"
        chamfer, length = (
            (float(to_level_set.mean()) + float(from_level_set.mean())) / 2,
            "box units",
        )
        return {
            "chamfer": Measure(chamfer, length, "half the sum of the two means below"),
            "to_mesh": Measure(
                float(to_level_set.mean()),
                length,
                "held-out surface points: mean distance to the triangles of the level set",
            ),
            "from_mesh": Measure(
                float(from_level_set.mean()),
                length,
                f"{MESH_SAMPLES} points of the level set by area: mean distance to the surface "
                f"({reference})",
            ),
            "farthest": Measure(float(from_level_set.max()), length, "the largest of the latter"),
        }

    def _to_reference(self, x: Array) -> Array:
        """The distances [N] of points [N, 3] to the given surface."""
        if self.exact is not None:
            return np.abs(self.exact.distance(x))
        from scipy.spatial import cKDTree

        distance, _ = cKDTree(self.surface_points.points).query(x)
        return np.asarray(distance)

    def _held_out_errors(self, field: nn.Module) -> dict[str, Measure]:
        cloud = self.surface_points
        u = jet(field, torch.from_numpy(cloud.held_points), 1)
        gradient, normal = u.gradient[:, 0], torch.from_numpy(cloud.held_normals)
        cosine = torch.nn.functional.cosine_similarity(gradient, normal, dim=1).clamp(-1, 1)
        angle = float(torch.rad2deg(torch.acos(cosine)).mean())
        return {
            "surface_value": Measure(
                float(u.value.abs().mean()), "box units", "mean |u| at held-out surface points"
            ),
            "normal_angle": Measure(
                angle, "degrees", "mean angle of grad u to the normals at held-out points"
            ),
        }

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws the surface next to a slice of the distance, and the surface as it turns."""
        surface = self.extract(field)
        cloud = self.surface_points
        drawing = eikonal_plots.Drawing(field, self.box(), surface, cloud, self.exact)
        files = {"eikonal.png": drawing.overview(f"{cloud.source}: {title}")}
        if surface is not None:
            files["eikonal.gif"] = drawing.turning()
        return files

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes the surface in the user's coordinates, and u on a lattice."""
        surface, cloud = self.extract(field), self.surface_points
        files: dict[str, Writer] = {"distance.vti": lambda path: self._write_volume(field, path)}
        if surface is not None:
            moved = Surface(cloud.to_user(surface.vertices), surface.faces, surface.normals)
            for name in ("surface.ply", "surface.obj"):
                files[name] = lambda path: to_trimesh(moved).export(path)
        return files

    def _write_volume(self, field: nn.Module, path: Path) -> None:
        """Writes u on a lattice, in the user's coordinates and length unit."""
        cloud = self.surface_points
        lower, upper = cloud.to_user(np.array([[-1.0] * 3, [1.0] * 3])).tolist()
        distance = (cloud.scale * self.volume(field)).astype(np.float32)
        write_image(path, lower, upper, {"distance": distance})
