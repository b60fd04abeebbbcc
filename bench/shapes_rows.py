"""The rows of `bench.shapes`: problems on curved shapes, figures to reach, NGSolve's sizes.

Degrees and mesh sizes of NGSolve are the cheapest tried whose error is below the figure to reach
(of the mesh of triangles only coarser ones have been tried: 2.5e-5 on 5,120 triangles);
`bench.shapes_ngsolve` prints what others reach.
"""

from __future__ import annotations

from typing import Any

from .accuracy_row import Goal, Rival, Row


def curved(function: str, size: float, degree: int, **arguments: Any) -> Rival:
    """The rival NGSolve, with elements of a degree on a mesh of a size."""
    quick = {"size": 4 * size, "degree": 2}
    label = f"NGSolve, curved, degree {degree}, h = {size:g}"
    return Rival(label, function, {**arguments, "size": size, "degree": degree}, quick)


def row(name: str, label: str, published: str, goal: Goal, *rivals: Rival) -> Row:
    """A row; its own solver is the function of `bench.shapes_ours` with its name, "-" as "_"."""
    return Row(name, label, "", "relative_l2", published, goal, rivals=rivals)


PLANE = [
    row(
        "four-holes",
        "Laplace, square with four holes",
        "1.2e-2 (PINNacle)",
        Goal(1e-9, 3),
        curved("curved_plane.four_holes", 0.05, 10),
    ),
    row(
        "star",
        "Poisson, star",
        "none",
        Goal(1e-11, 1),
        curved("curved_plane.manufactured", 0.2, 10, shape="star"),
    ),
    row(
        "annulus",
        "Poisson, disk with hole",
        "none",
        Goal(1e-11, 1),
        curved("curved_plane.manufactured", 0.2, 11, shape="annulus"),
    ),
    row(
        "star-robin",
        "Poisson, star, Robin",
        "none",
        Goal(1e-10, 1),
        curved("curved_plane.manufactured", 0.2, 9, shape="star", robin=2.0),
    ),
    row(
        "star-neumann",
        "Poisson, star, Neumann",
        "none",
        Goal(1e-10, 1),
        curved("curved_plane.neumann", 0.2, 9),
    ),
]
PLATES = [
    row(
        "plate-strong",
        "clamped round plate, strong form",
        "none covers fourth order",
        Goal(1e-9, 2),
        curved("curved_plates.round_plate", 0.3, 8),
    ),
    row(
        "plate-energy",
        "clamped round plate, energy",
        "none covers fourth order",
        Goal(1e-9, 2),
    ),
    row(
        "plate-wave",
        "clamped round plate, (1 - r²)² cos(4 x - 2 y)",
        "none covers fourth order",
        Goal(1e-9, 2),
        curved("curved_plates.round_plate", 0.2, 9, wave=(4.0, -2.0)),
    ),
    row(
        "plate-simple",
        "simply supported round plate",
        "none covers fourth order",
        Goal(1e-9, 2),
        curved("curved_plates.round_plate", 0.3, 8, support="simple"),
    ),
]
WAVES = [
    row(
        f"scattering-{kind}",
        f"scattering, sound-{kind} disk, ka = 10",
        "none",
        Goal(1e-5, 10),
        curved("curved_waves.scattering", 0.5, 10, kind=kind),
    )
    for kind in ("soft", "hard")
]
SOLIDS = [
    row(
        "ball",
        "Poisson, ball",
        "none",
        Goal(1e-7, 20),
        curved("curved_solids.manufactured", 0.4, 8, solid="ball"),
    ),
    row(
        "torus",
        "Poisson, torus",
        "none",
        Goal(1e-7, 20),
        curved("curved_solids.manufactured", 0.4, 6, solid="torus"),
    ),
    row(
        "mesh",
        "Laplace, mesh of 20,480 triangles",
        "3e-3 to 5e-3 (Hermite-NGP, other meshes)",
        Goal(1e-5, 60),
        curved("curved_solids.bumpy", 0.2, 3),
    ),
]
ROWS = [*PLANE, *PLATES, *WAVES, *SOLIDS]
