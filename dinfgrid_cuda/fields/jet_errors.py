"""What is said where a jet does not hold what was asked of it."""

from __future__ import annotations

# What to do where a field has too few.
MORE_CHANNELS = "for more, build it with FeatureGrid(channels=...) and, e.g., LinearDecoder(3)"


class OrderError(ValueError):
    """Raised for a derivative of higher order than a jet holds.

    Attributes:
        what: the name of the derivative.
        wanted, held: its order, and the highest that the jet holds.
    """

    def __init__(self, what: str, wanted: int, held: int) -> None:
        super().__init__(
            f"jet: {what} needs order {wanted}, but this jet holds orders 0 to {held}; "
            f"ask for field.jet(x, order={wanted})."
        )
        self.what, self.wanted, self.held = what, wanted, held


class NormalError(ValueError):
    """Raised for the normal of a jet at points that lie on no boundary."""

    reason = (
        "these points have no normals; u.normal belongs to terms on Boundary(...), or on "
        "Points(x, normal=n)."
    )

    def __init__(self) -> None:
        super().__init__(f"jet: {self.reason}")


def channels_of(count: int) -> str:
    """The number of channels in words, "1 channel" or "3 channels"."""
    return f"{count} channel" + ("" if count == 1 else "s")


def slice_text(channels: slice) -> str:
    """A slice as Python writes it, "1:" or "0:3"."""
    start, stop = channels.start, channels.stop
    return f"{'' if start is None else start}:{'' if stop is None else stop}"


def no_channels(asked: str, count: int) -> IndexError:
    """The error for channels that a field of ``count`` channels does not have."""
    return IndexError(f"jet: {asked}; the field has {channels_of(count)}; {MORE_CHANNELS}.")
