"""Differential equations solved on differentiable feature grids (the ∂∞-Grid method).

A field is a grid and a decoder; its jet is the value and all partial derivatives, in one pass:

    grid = FeatureGrid(dim=2, cells=128, levels=4, channels=2, basis=Gaussian())
    field = Field(grid, LinearDecoder(out_channels=1))
    laplacian = field.jet(x, order=2).laplacian
"""

from . import functional
from ._build_info import BuildInfo, build_info
from ._version import __version__
from .basis import BSpline, Gaussian
from .constraints import BoxConstraint, Constraint, DistanceConstraint
from .decoders import Decoder, IdentityDecoder, LinearDecoder, MLPDecoder
from .domain import Boundary, Box, Interior, Points
from .factorized import FactorizedGrid
from .field import FactorizedField, Field
from .grid import FeatureGrid
from .jet import Jet
from .networks import CoordinateNetwork
from .quadrature import GaussPoints
from .sampling import Lattice, Sobol, Stratified, Uniform
from .slabs import SlabField
from .solvers import (
    CheckpointError,
    DivergedError,
    History,
    Interrupted,
    Problem,
    Solution,
    SolveError,
    Term,
    continuation,
    solve,
)
from .solvers.prediction import Loaded, load
from .spec import GridSpec

__all__ = [
    "BSpline",
    "Boundary",
    "Box",
    "BoxConstraint",
    "BuildInfo",
    "CheckpointError",
    "Constraint",
    "CoordinateNetwork",
    "Decoder",
    "DistanceConstraint",
    "DivergedError",
    "FactorizedField",
    "FactorizedGrid",
    "FeatureGrid",
    "Field",
    "GaussPoints",
    "Gaussian",
    "GridSpec",
    "History",
    "IdentityDecoder",
    "Interior",
    "Interrupted",
    "Jet",
    "Lattice",
    "LinearDecoder",
    "Loaded",
    "MLPDecoder",
    "Points",
    "Problem",
    "SlabField",
    "Sobol",
    "Solution",
    "SolveError",
    "Stratified",
    "Term",
    "Uniform",
    "__version__",
    "build_info",
    "continuation",
    "functional",
    "load",
    "solve",
]
