"""Differential equations solved on differentiable feature grids (the ∂∞-Grid method).

A field is a grid and a decoder; its jet is the value and all partial derivatives, in one pass:

    grid = FeatureGrid(dim=2, cells=128, levels=4, channels=2, basis=Gaussian())
    field = Field(grid, LinearDecoder(out_channels=1))
    laplacian = field.jet(x, order=2).laplacian
"""

from typing import Any as _Any

from . import _moved
from ._version import __version__
from .fields.constraints import BoxConstraint, Constraint, DistanceConstraint
from .fields.decoders import Decoder, IdentityDecoder, LinearDecoder, MLPDecoder
from .fields.factorized_grid import FactorizedGrid
from .fields.field import FactorizedField, Field
from .fields.grid import FeatureGrid
from .fields.jet import Jet
from .fields.model import Model
from .fields.network import CoordinateNetwork
from .fields.refinement import Refined
from .fields.shape_constraint import ShapeConstraint
from .fields.slabs import SlabField
from .geometry.adaptive import Adaptive
from .geometry.box import Box
from .geometry.quadrature import GaussPoints
from .geometry.regions import Boundary, Interior, Points
from .geometry.samplers import Lattice, Sobol, Stratified, Uniform
from .geometry.shape import Shape
from .geometry.shapes.ball import Ball, Disk
from .geometry.shapes.capsule import Capsule
from .geometry.shapes.corners import corners, sharp_edges
from .geometry.shapes.curve import Curve
from .geometry.shapes.cylinder import Cone, Cylinder
from .geometry.shapes.ellipse import Ellipse, Ellipsoid
from .geometry.shapes.halfspace import HalfSpace
from .geometry.shapes.implicit import Implicit
from .geometry.shapes.mesh import Mesh
from .geometry.shapes.polygon import Polygon
from .geometry.shapes.product import Product
from .geometry.shapes.rectangle import Cuboid, Rectangle
from .geometry.shapes.torus import Torus
from .kernels import functional
from .kernels.basis import BSpline, Gaussian
from .kernels.build_info import BuildInfo, build_info
from .kernels.spec import GridSpec
from .problem import Problem, Term
from .solvers import (
    LBFGS,
    Adam,
    Adapt,
    Alternating,
    CheckpointError,
    Direct,
    DivergedError,
    Estimate,
    History,
    Interrupted,
    LeastSquares,
    MatrixFree,
    Method,
    Output,
    Solution,
    SolveError,
    State,
    Stop,
    TimeSlabs,
    continuation,
    estimate_error,
    solve,
)
from .solvers.matrix import term_matrix
from .solvers.record.prediction import Loaded, load

__all__ = [
    "LBFGS",
    "Adam",
    "Adapt",
    "Adaptive",
    "Alternating",
    "BSpline",
    "Ball",
    "Boundary",
    "Box",
    "BoxConstraint",
    "BuildInfo",
    "Capsule",
    "CheckpointError",
    "Cone",
    "Constraint",
    "CoordinateNetwork",
    "Cuboid",
    "Curve",
    "Cylinder",
    "Decoder",
    "Direct",
    "Disk",
    "DistanceConstraint",
    "DivergedError",
    "Ellipse",
    "Ellipsoid",
    "Estimate",
    "FactorizedField",
    "FactorizedGrid",
    "FeatureGrid",
    "Field",
    "GaussPoints",
    "Gaussian",
    "GridSpec",
    "HalfSpace",
    "History",
    "IdentityDecoder",
    "Implicit",
    "Interior",
    "Interrupted",
    "Jet",
    "Lattice",
    "LeastSquares",
    "LinearDecoder",
    "Loaded",
    "MLPDecoder",
    "MatrixFree",
    "Mesh",
    "Method",
    "Model",
    "Output",
    "Points",
    "Polygon",
    "Problem",
    "Product",
    "Rectangle",
    "Refined",
    "Shape",
    "ShapeConstraint",
    "SlabField",
    "Sobol",
    "Solution",
    "SolveError",
    "State",
    "Stop",
    "Stratified",
    "Term",
    "TimeSlabs",
    "Torus",
    "Uniform",
    "__version__",
    "build_info",
    "continuation",
    "corners",
    "estimate_error",
    "functional",
    "load",
    "sharp_edges",
    "solve",
    "term_matrix",
]

_moved.keep_old_names()


def __getattr__(name: str) -> _Any:
    return _moved.attribute(name)
