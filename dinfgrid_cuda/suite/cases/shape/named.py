"""Shapes by their names or from files, for the option --shape."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dinfgrid_cuda import Disk, Implicit, Mesh, Polygon, Rectangle, Shape
from dinfgrid_cuda.suite.tools.case import CaseError

from . import four_holes, outlines


def star() -> Shape:
    """Returns a five-pointed star with round tips, a piece "star"."""
    return Implicit(outlines.STAR.level, (-1.0, -1.0), (1.0, 1.0), name="star")


def annulus() -> Shape:
    """Returns a disk with a hole that is not in its middle, pieces "outer" and "hole"."""
    (centre, radius), (within, hole) = outlines.ANNULUS
    return Disk(centre, radius, name="outer") - Disk(within, hole, name="hole")


def l_shape() -> Shape:
    """Returns an L, pieces "edge 0" to "edge 5", the first and the last at the inner corner."""
    return Polygon(outlines.L_SHAPE, names=[f"edge {k}" for k in range(len(outlines.L_SHAPE))])


def gear() -> Shape:
    """Returns a gear with a bore, pieces "teeth" and "bore"."""
    wheel = Polygon(outlines.gear().tolist(), name="teeth")
    return wheel - Disk((0.0, 0.0), outlines.BORE, name="bore")


def four_holed_square() -> Shape:
    """Returns a square with four round holes, pieces "square lower 0" ... and "hole 0" ... ."""
    half = four_holes.HALF
    shape: Shape = Rectangle((-half, -half), (half, half), name="square")
    for k, centre in enumerate(four_holes.CENTRES):
        shape = shape - Disk(centre, four_holes.RADIUS, name=f"hole {k}")
    return shape


NAMED: dict[str, Callable[[], Shape]] = {
    "disk": lambda: Disk((0.0, 0.0), 0.9, name="rim"),
    "star": star,
    "annulus": annulus,
    "l": l_shape,
    "gear": gear,
    "four-holes": four_holed_square,
}
PLANE: dict[str, Callable[[Path], Shape]] = {
    ".geojson": Polygon.from_geojson,
    ".json": Polygon.from_geojson,
    ".svg": Polygon.from_svg,
}
MESHES = (".stl", ".obj", ".ply", ".off", ".glb", ".3mf")
NAMES = f"{', '.join(list(NAMED)[:-1])} or {list(NAMED)[-1]}"
HELP = f"{NAMES}; or a file: GeoJSON or SVG in the plane, STL, OBJ or PLY in space."
HELP_IN_PLANE = f"{NAMES}; or a file, GeoJSON or SVG."


@dataclass(frozen=True)
class Given:
    """A shape as the user names it.

    Attributes:
        shape: itself.
        centre, size: of the box around it, half its longest edge; the origin and 1 for named ones.
        label: its name, or that of its file.
        digest: a hash of the file; empty for named ones.
    """

    shape: Shape
    centre: tuple[float, ...]
    size: float
    label: str
    digest: str = ""


def is_file(text: str) -> bool:
    """Whether a text names a file, not one of the shapes."""
    return text not in NAMED


def absolute(text: str) -> str:
    """Returns a name as it is, and the path of a file that exists in full."""
    return str(Path(text).resolve()) if is_file(text) and Path(text).is_file() else text


def check_plane(found: Given, text: str) -> None:
    """Raises CaseError for a solid."""
    if found.shape.dim != 2:
        raise CaseError(
            f"--shape {text} is a solid, but this problem is in the plane; take {NAMES}, or a file "
            "of GeoJSON or SVG."
        )


def given(text: str) -> Given:
    """Returns the shape of a name, or of a file.

    Raises:
        CaseError: for an unknown name or kind of file, a missing file, and what its reader refuses.
    """
    if not is_file(text):
        return Given(NAMED[text](), (0.0, 0.0), 1.0, text)
    path = Path(text)
    suffix = path.suffix.lower()
    if suffix not in PLANE and suffix not in MESHES:
        raise CaseError(_unknown(text, suffix))
    return of_file(path, "--shape")


def of_file(path: Path, flag: str) -> Given:
    """Returns the shape in a file, by its suffix: a polygon, or else the inside of a mesh.

    Raises:
        CaseError: for a missing file, and what its reader refuses.
    """
    if not path.is_file():
        raise CaseError(f"{flag}: there is no file {path}.")
    try:
        shape = PLANE.get(path.suffix.lower(), Mesh)(path)
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise CaseError(f"{flag} {path}: {error}") from error
    centre, size = framed(shape)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return Given(shape, centre, size, path.name, digest)


def framed(shape: Shape) -> tuple[tuple[float, ...], float]:
    """Returns the centre of the box around a shape, and half its longest edge."""
    ends = list(zip(shape.lower, shape.upper, strict=True))
    centre = tuple((low + high) / 2 for low, high in ends)
    return centre, max(high - low for low, high in ends) / 2


def _unknown(text: str, suffix: str) -> str:
    """What is wrong with a text that names neither a shape nor a file that can be read."""
    files = ", ".join((*PLANE, *MESHES))
    if suffix:
        return f"--shape {text}: files of kind {suffix} are not read; these are: {files}."
    near = difflib.get_close_matches(text.lower(), NAMED, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(NAMED)}."
    return f"--shape {text}: there is no such shape; {hint} Or pass a file ({files})."
