"""Images as float64 arrays [height, width, channels] in [0, 1], checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .case import CaseError

Array = npt.NDArray[np.float64]

MIN_PIXELS, MAX_PIXELS = 8, 8192
# A longer side than this is reduced unless a size is asked for: the work grows with the pixels.
DEFAULT_LIMIT = 1024


@dataclass(frozen=True)
class Image:
    """An image and where it came from.

    Attributes:
        pixels: [height, width, channels] with 1 (grey) or 3 (colour) channels, in [0, 1].
        source: file name, or "camera (scikit-image)".
        original: (height, width) before a change of size.
    """

    pixels: Array
    source: str
    original: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (height, width, channels)."""
        height, width, channels = self.pixels.shape
        return height, width, channels


def load_image(path: str | Path | None = None, size: int | None = None) -> Image:
    """Reads an image; without a path, the camera image that scikit-image ships.

    Args:
        path: any file that Pillow reads, a TIFF, or a .npy array; grey or colour, 8 or 16 bit or
            float, an alpha channel is laid over white.
        size: longer side in pixels to scale to. None keeps the image, up to 1024 pixels.

    Raises:
        CaseError: if it cannot be read, is too small or constant, or holds NaN.
    """
    if size is not None and size < MIN_PIXELS:
        raise CaseError(f"size is {size} pixels, but at least {MIN_PIXELS} are needed.")
    if path is None:
        pixels, source = _camera(), "camera (scikit-image)"
    else:
        pixels, source = _read(Path(path)), Path(path).name
    pixels = _to_unit_range(pixels, source)
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_PIXELS:
        raise CaseError(
            f"{source} has {width} x {height} pixels, but at least {MIN_PIXELS} x {MIN_PIXELS} are "
            "needed."
        )
    longer = size if size is not None else min(max(height, width), DEFAULT_LIMIT)
    pixels = _resize(pixels, longer)
    if min(pixels.shape[:2]) < MIN_PIXELS:
        raise CaseError(
            f"{source} scaled to {pixels.shape[1]} x {pixels.shape[0]} pixels is too small; at "
            f"least {MIN_PIXELS} on each side are needed."
        )
    if float(np.ptp(pixels)) < 1e-12:
        raise CaseError(f"{source} is constant: its derivatives are zero and say nothing.")
    return Image(pixels, source, (height, width))


def _camera() -> Any:
    try:
        from skimage import data
    except ImportError as error:
        raise CaseError(
            "the camera image comes with scikit-image; install it (pip install scikit-image) or "
            "pass --image FILE."
        ) from error
    return data.camera()


def _read(path: Path) -> Any:
    """Reads the raw array of a file. Raises CaseError with one line for whatever goes wrong."""
    if not path.exists():
        raise CaseError(f"there is no image {path}.")
    if path.is_dir():
        raise CaseError(f"{path} is a folder, not an image.")
    try:
        if path.stat().st_size == 0:
            raise CaseError(f"{path} is empty.")
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        if path.suffix.lower() in (".tif", ".tiff"):
            from skimage import io

            return io.imread(path)
        return _read_with_pillow(path)
    except CaseError:
        raise
    except Exception as error:  # image libraries raise errors of every kind on damaged files
        detail = " ".join(str(error).split()) or type(error).__name__
        raise CaseError(f"{path} cannot be read as an image: {detail}.") from error


def _read_with_pillow(path: Path) -> Any:
    from PIL import Image as Pillow
    from PIL import ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("error", Pillow.DecompressionBombWarning)
        try:
            with Pillow.open(path) as opened:
                image = ImageOps.exif_transpose(opened)
                if image.mode in ("P", "PA"):
                    image = image.convert("RGBA")
                elif image.mode in ("1", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
                    image = image.convert("L" if image.mode == "1" else "RGB")
                return np.asarray(image)
        except UnidentifiedImageError as error:
            raise CaseError(f"{path} is not an image that Pillow can read.") from error
        except Pillow.DecompressionBombWarning as error:
            raise CaseError(f"{path} has too many pixels to be decoded safely.") from error


def _to_unit_range(raw: Any, source: str) -> Array:
    """The image [height, width, 1 or 3] in [0, 1] of an array of any usual type and layout."""
    array = np.asarray(raw)
    if array.size == 0:
        raise CaseError(f"{source} holds no pixels.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] > 4:
        raise CaseError(
            f"{source} has the shape {array.shape}; pass one grey or colour image, not a stack."
        )
    pixels = _scaled(array, source)
    if pixels.shape[2] in (2, 4):
        alpha = pixels[:, :, -1:]
        pixels = pixels[:, :, :-1] * alpha + (1 - alpha)
    return np.ascontiguousarray(pixels)


def _scaled(array: Any, source: str) -> Array:
    """The values in [0, 1]: integers by the range of their type, other numbers by their own."""
    kind = array.dtype.kind
    if kind == "b":
        return array.astype(np.float64)  # type: ignore[no-any-return]
    if kind == "u":
        return array.astype(np.float64) / np.iinfo(array.dtype).max  # type: ignore[no-any-return]
    if kind not in "if":
        raise CaseError(f"{source} holds {array.dtype} values, not numbers.")
    pixels: Array = array.astype(np.float64)
    if not np.isfinite(pixels).all():
        raise CaseError(f"{source} holds NaN or infinite pixels.")
    low, high = float(pixels.min()), float(pixels.max())
    if kind == "f" and low >= 0 and high <= 1:
        return pixels
    if kind == "i" and low >= 0 and high <= 65535:  # Pillow's mode I: 16 bits in 32
        return pixels / (255 if high <= 255 else 65535)
    return (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)


def _resize(pixels: Array, longer: int) -> Array:
    """The image with its longer side scaled to ``longer`` pixels, smoothed before it shrinks."""
    height, width = pixels.shape[:2]
    if longer == max(height, width):
        return pixels
    from skimage.transform import resize

    factor = longer / max(height, width)
    shape = (max(1, round(height * factor)), max(1, round(width * factor)))
    resized = resize(pixels, shape, order=1, anti_aliasing=factor < 1, mode="reflect")
    return np.ascontiguousarray(np.clip(resized, 0.0, 1.0), dtype=np.float64)
