"""Mesh: the points enclosed by a surface of triangles, from a file or from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point, check_real, check_whole
from dinfgrid_cuda.geometry.cut_cells.rules import VolumeRule
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .mesh_bodies import closed_tree, wound_tree
from .mesh_input import Floats, Triangles, read_triangles
from .mesh_points import surface_points
from .mesh_rule import cell_rule
from .mesh_tree import TriangleTree
from .mesh_voxels import Voxels

INSIDE = ("sign", "winding")


class MeshSurface(Surface):
    """A surface of triangles; its function is the signed distance.

    The function has kinks where triangles meet, so that points on it come from `points`, not from
    the cells of a lattice.

    Args:
        name: of the piece.
        tree: of the triangles.
    """

    kinked = True

    def __init__(self, name: str, tree: TriangleTree) -> None:
        self.name, self._tree = name, tree
        self._voxels: Voxels | None = None

    @property
    def area(self) -> float:
        """Area of all triangles."""
        return float(self._tree.areas.sum())

    @property
    def voxels(self) -> Voxels:
        """Cells around it for inside tests, made when they are first asked for."""
        if self._voxels is None:
            self._voxels = Voxels(self._tree)
        return self._voxels

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance [N] of points x [N, 3]; differentiable once."""
        points = _array(x)
        distances, directions = self._measured(points)
        level = torch.from_numpy(distances).to(x)
        if x.requires_grad:
            level = level + ((x - x.detach()) * torch.from_numpy(directions).to(x)).sum(dim=1)
        return level

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the direction away from the closest point, on the surface the normal, [N, 3]."""
        return torch.from_numpy(self._measured(_array(x))[1]).to(x)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether a triangle is within the distance of each point, [N]."""
        distances = torch.from_numpy(self._tree.closest(_array(x)).distances).to(x)
        return distances <= radius

    def contains(self, x: Tensor) -> Tensor:
        """Whether points x [N, 3] are inside or on the surface, [N]."""
        return torch.from_numpy(self.voxels.contains(_array(x))).to(x.device)

    def own_points(self, spacing: float) -> tuple[Tensor, Tensor, Tensor]:
        """Returns `points`, merged."""
        return self.points(spacing)

    def points(self, spacing: float, merged: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Returns points on the triangles, for conditions and for integrals.

        Args:
            spacing: of the points at most, in units of x. Large triangles are split.
            merged: whether triangles much smaller than that share points; else each has one.

        Returns:
            Points [N, 3], outward unit normals of their triangles [N, 3] and weights [N], which
            add up to the area; float64.
        """
        spacing = float(check_real("MeshSurface.points", "spacing", spacing, positive=True))
        x, normals, weights = surface_points(self._tree, spacing, merged)
        return torch.from_numpy(x), torch.from_numpy(normals), torch.from_numpy(weights)

    def _measured(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns signed distances [N] and their gradients [N, 3]."""
        tree = self._tree
        closest = tree.closest(points)
        signs = np.where(tree.sides(points, closest), -1.0, 1.0)
        distances, directions = closest.distances, tree.normals[closest.faces].copy()
        # Nearer than rounding the difference has no direction.
        far = distances > 1e-12 * (tree.diagonal + np.abs(points).max(initial=0.0))
        directions[far] = signs[far, None] * closest.away[far] / distances[far, None]
        return signs * distances, directions


class Mesh(Shape):
    """The points enclosed by a surface of triangles: a file (STL, OBJ, PLY, ...) or arrays.

        part = Mesh("part.stl") - Ball((0, 0, 0), 0.2)

    Bodies inside others are cavities, bodies inside these solid, and so on; normals that point
    inward are turned. Triangles are taken as they are: a round body given by 10,000 flat triangles
    has edges. Meshes that are open or cross themselves are refused; with ``inside="winding"`` they
    are taken: inside is where the generalised winding number exceeds 1/2.

    Requires libigl, and for files trimesh: ``pip install 'dinfgrid_cuda[shapes]'``.

    Args:
        mesh: a path, a trimesh.Trimesh, or (vertices [V, 3], faces [F, 3]).
        name: of its boundary.
        inside: "sign" for closed surfaces, "winding" for any.

    Attributes:
        vertices: [V, 3], float64.
        faces: [F, 3], counter-clockwise as seen from outside; none without area.

    Raises:
        FileNotFoundError, TypeError, ValueError: for what cannot be read, is not closed, crosses
            itself or encloses no volume; the message says where.
        ModuleNotFoundError: without libigl, or for files without trimesh.
    """

    def __init__(self, mesh: Any, name: str = "mesh", inside: str = "sign") -> None:
        if inside not in INSIDE:
            raise ValueError(f'Mesh: inside is {inside!r}; it must be "sign" or "winding".')
        given = read_triangles(mesh)
        self._set(closed_tree(given) if inside == "sign" else wound_tree(given), name)
        self.inside = inside

    def _set(self, tree: TriangleTree, name: str) -> None:
        self.name, self._tree = name, tree
        self.vertices = torch.from_numpy(tree.mesh.vertices)
        self.faces = torch.from_numpy(tree.mesh.faces)
        self.lower = tuple(tree.mesh.vertices.min(axis=0).tolist())
        self.upper = tuple(tree.mesh.vertices.max(axis=0).tolist())
        self._surface = MeshSurface(name, tree)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The triangles, as one surface: a `MeshSurface`."""
        return (self._surface,)

    @property
    def area(self) -> float:
        """Area of all triangles."""
        return self._surface.area

    @property
    def volume(self) -> float:
        """Volume enclosed by the triangles; of an open surface, that of the cone to its middle."""
        return self._tree.mesh.volume

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance from the triangles [N], negative inside."""
        return self._surface.level(x)

    def contains(self, x: Tensor) -> Tensor:
        """Whether points x [N, 3] are inside or on the boundary, [N]; a second for 1e6."""
        return self._surface.contains(x)

    def cell_rule(self, edges: Sequence[Tensor], count: int = 3) -> VolumeRule:
        """Returns points and positive weights that integrate over the mesh, cell by cell.

        In every cell, cut or whole, polynomials of total degree 2 count - 1 are integrated exactly
        over the polyhedron.

        Args:
            edges: of the cells on each axis, ascending, in units of x; the part of the mesh
                outside the cells is left out.
            count: Gauss points per axis in a whole cell.

        Raises:
            TypeError, ValueError: for other edges, or for a surface that is not closed.
        """
        count = check_whole("Mesh.cell_rule", "count", count, least=1)
        if not self._tree.closed:
            raise ValueError(
                'Mesh.cell_rule: integrals require a closed surface, but inside is "winding"; '
                "repair the mesh."
            )
        if len(edges) != 3:
            raise ValueError(f"Mesh.cell_rule: edges of {len(edges)} axes were given, not of 3.")
        first, second, third = (
            np.array(check_point("Mesh.cell_rule", f"edges[{k}]", each))
            for k, each in enumerate(edges)
        )
        for k, each in enumerate((first, second, third)):
            if len(each) < 2 or not (np.diff(each) > 0).all():
                raise ValueError(f"Mesh.cell_rule: edges[{k}] must be two or more, ascending.")
        tree, voxels = self._tree, self._surface.voxels
        return cell_rule(tree.mesh.corners, voxels.contains, (first, second, third), count)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the mesh of the moved vertices."""
        moved = scale * (self.vertices @ rotation.t()) + shift
        faces = self.faces if bool(torch.linalg.det(rotation) > 0) else self.faces.flip(1)
        triangles = Triangles(moved.numpy(), np.ascontiguousarray(faces.numpy()))
        result = object.__new__(type(self))
        result._set(TriangleTree(triangles, self._tree.closed), self.name)
        result.inside = self.inside
        return result

    def __repr__(self) -> str:
        return f"Mesh({len(self.faces)} triangles, {self.name!r})"


def _array(x: Tensor) -> Floats:
    """Returns points as a float64 array on the CPU."""
    return np.ascontiguousarray(x.detach().to("cpu", torch.float64).numpy())
