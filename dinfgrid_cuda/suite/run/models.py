"""The models a case can be solved with: the grid, and what the paper compares it to."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from dinfgrid_cuda import (
    LBFGS,
    Adam,
    Box,
    BSpline,
    CoordinateNetwork,
    Decoder,
    FeatureGrid,
    Field,
    LeastSquares,
    LinearDecoder,
    MLPDecoder,
    SlabField,
    Stop,
)
from dinfgrid_cuda.suite.tools.case import Case, CaseError, Setup

# Those of `solve` but "auto": a case knows its method.
METHODS = ("least-squares", "lbfgs", "adam")
MODELS = ("grid", "siren", "mlp", "linear-grid")
HIDDEN, LAYERS = 256, 3  # of SIREN's own image and wave experiments
# A coordinate network uses all parameters at every point: on a CPU a batch of this size allows a
# few steps per second.
NETWORK_POINTS = 4096
NETWORK_SECONDS = 240.0
RATES = {"siren": 1e-4, "mlp": 1e-3}


def adapt(setup: Setup, model: str, method: str | None = None) -> Setup:
    """Returns the setup of a case for a model other than the grid, or for another method.

    Raises:
        CaseError: for a model or method that does not exist, or two that do not go together.
    """
    if model not in MODELS:
        raise CaseError(f"--model is {model!r}; it must be one of {MODELS}.")
    if method is not None and method not in METHODS:
        raise CaseError(f"--method is {method!r}; it must be one of {METHODS}.")
    if model in RATES:
        if method == "least-squares":
            raise CaseError(
                f"--method least-squares needs a grid, whose features enter linearly; --model "
                f"{model} takes adam or lbfgs."
            )
        setup = replace(
            setup,
            dtype="float32",
            method=Adam(lr=RATES[model]),
            steps=100_000,
            stop=Stop(seconds=NETWORK_SECONDS),
            slabs=1,
            points=min(setup.points, NETWORK_POINTS) if method != "lbfgs" else setup.points,
        )
    elif model == "linear-grid":
        boundary = setup.boundary if isinstance(setup.boundary, tuple) else (setup.boundary,)
        ghosts = tuple("ghost" if b == "clamp" else b for b in boundary)
        setup = replace(setup, basis=BSpline(1), boundary=ghosts if len(ghosts) > 1 else ghosts[0])
    return setup if method is None else _with_method(setup, method)


def _with_method(setup: Setup, method: str) -> Setup:
    """The setup with another method, by its name."""
    if method == setup.method.name:
        return setup
    stop = replace(setup.stop, patience=None)
    if method == "least-squares":
        return replace(
            setup,
            method=LeastSquares(),
            decoder="sum",
            levels=1,  # coarser ones add no function that the finest lacks
            channels=1,
            dtype="float64",
            steps=20,
            stop=stop,
        )
    if setup.slabs > 1:
        raise CaseError(f"--method {method} cannot go slab by slab in time; use least-squares.")
    value, steps = {"adam": (Adam(), 10_000), "lbfgs": (LBFGS(), 500)}[method]
    return replace(setup, method=value, steps=steps, stop=stop)


def make_model(
    case: Case, setup: Setup, model: str, seed: int = 0
) -> Field | SlabField | CoordinateNetwork:
    """Returns the field of a case, with its hard constraint.

    Raises:
        CaseError: if the grid cannot be built, such as too many cells.
    """
    dtype = {"float32": torch.float32, "float64": torch.float64}[setup.dtype]
    if model in RATES:
        return CoordinateNetwork(
            case.box(),
            case.out_channels,
            HIDDEN,
            LAYERS,
            "sine" if model == "siren" else "tanh",
            constraint=case.constraint(setup),
            dtype=dtype,
            seed=seed,
        )
    try:
        if setup.slabs > 1:
            return SlabField(
                lambda box: _make_field(case, setup, box, dtype, seed), case.box(), setup.slabs
            )
        return _make_field(case, setup, case.grid_box(setup), dtype, seed)
    except (ValueError, MemoryError) as error:
        raise CaseError(str(error)) from error


def _make_field(case: Case, setup: Setup, box: Box, dtype: torch.dtype, seed: int) -> Field:
    grid = FeatureGrid(
        dim=box.dim,
        cells=case.grid_cells(setup),
        levels=setup.levels,
        channels=setup.channels * (case.out_channels if setup.decoder == "sum" else 1),
        basis=setup.basis,
        boundary=setup.boundary,
        lower=box.lower,
        upper=box.upper,
        dtype=dtype,
        seed=seed,
    )
    field = Field(grid, _decoder(case, setup, seed + 1), case.constraint(setup))
    if setup.decoder == "sum":
        _fix_sum(field, setup)
    return field


def _decoder(case: Case, setup: Setup, seed: int) -> Decoder:
    if setup.decoder == "mlp":
        return MLPDecoder(case.out_channels, seed=seed)
    return LinearDecoder(case.out_channels, bias=setup.decoder == "trained", seed=seed)


def _fix_sum(field: Field, setup: Setup) -> None:
    """Sets the decoder to the sum over levels and channels, weighted by level, for good."""
    block = torch.eye(field.out_channels).repeat(1, setup.channels)
    weights = [block * setup.level_weight**level for level in range(setup.levels)]
    layer: nn.Linear = field.decoder.layer  # type: ignore[assignment]
    with torch.no_grad():
        layer.weight.copy_(torch.cat(weights, dim=1))
    layer.weight.requires_grad_(False)
