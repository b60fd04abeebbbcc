"""Problems, fields and methods whose solves are broken off and resumed."""

import math

import torch
from solving import helmholtz, make_field
from torch import nn

import dinfgrid_cuda as dg

LINE = dg.Box([0.0], [1.0])
SQUARE = dg.Box([0.0, 0.0], [1.0, 1.0])


def box_field():
    """Septic splines with a free decoder, on [-1, 1]^2."""
    grid = dg.FeatureGrid(2, 10, basis=dg.BSpline(7), dtype=torch.float64, seed=1)
    return dg.Field(grid, dg.LinearDecoder(1, seed=2))


def spline_field(cells=12, box=LINE):
    return make_field(cells=cells, box=box, decoder=dg.LinearDecoder(1, seed=2))


def network_field():
    grid = dg.FeatureGrid(2, 4, channels=2, seed=3, dtype=torch.float64)
    return dg.Field(grid, dg.MLPDecoder(1, hidden=8, seed=4))


def oscillator():
    """u'' + a u = 0 with a unknown, and values of cos 3x."""
    a = nn.Parameter(torch.tensor(5.0, dtype=torch.float64))
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian + a * u.value, order=2),
        dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - 1),
        dg.Term("data", dg.Points(x), lambda x, u, d: u.value - d, data=torch.cos(3 * x)),
    ]
    return dg.Problem(LINE, terms, {"a": a})


def noisy_source():
    """u'' = c with c unknown: linear in all unknowns together."""
    c = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian - c, order=2),
        dg.Term("data", dg.Points(x), lambda x, u, d: u.value - d, data=x**2, noise=1e-3),
    ]
    return dg.Problem(LINE, terms, {"c": c})


def system():
    """u' = v, v' = -9 u from (1, 0)."""

    def start(x, u):
        return u.value - torch.tensor([1.0, 0.0], dtype=torch.float64)

    terms = [
        dg.Term("u", dg.Interior(), lambda x, u: u.gradient[:, 0] - u.value[:, 1:], order=1),
        dg.Term("v", dg.Interior(), lambda x, u: u.gradient[:, 1] + 9 * u.value[:, :1], order=1),
        dg.Term("start", dg.Boundary(((0, "lower"),)), start),
    ]
    return dg.Problem(LINE, terms)


def system_field():
    grid = dg.FeatureGrid(
        1,
        12,
        channels=2,
        lower=0.0,
        upper=1.0,
        basis=dg.BSpline(7),
        dtype=torch.float64,
        seed=0,
    )
    return dg.Field(grid, dg.LinearDecoder(2, seed=2))


def coupled():
    """u'' + u less its own mean: residuals that couple points."""
    terms = [
        dg.Term(
            "equation",
            dg.Interior(),
            lambda x, u: u.laplacian + u.value - u.value.mean(),
            order=2,
        ),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value - x),
    ]
    return dg.Problem(LINE, terms)


def bratu():
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian + 2 * u.value.exp(), order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
    ]
    return dg.Problem(LINE, terms)


def porous():
    """(u u')' = 2 + 6 x^2, whose weights are balanced again on the way."""

    def equation(x, u):
        return u.gradient[:, :, 0] ** 2 + u.value * u.laplacian - (6 * x**2 + 2)

    terms = [
        dg.Term("equation", dg.Interior(), equation, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value - 1 - x**2),
    ]
    return dg.Problem(LINE, terms)


def membrane():
    def energy(x, u):
        return 0.5 * u.gradient[:, 0, 0] ** 2 - u.value[:, 0]

    terms = [
        dg.Term("energy", dg.Interior(), energy, order=1, loss="mean"),
        dg.Term("rim", dg.Boundary(), lambda x, u: u.value, weight=100.0),
    ]
    return dg.Problem(LINE, terms)


def heat(nonlinear=0.0):
    def exact(x):
        return torch.exp(-(math.pi**2) * x[:, :1] / 4) * torch.sin(math.pi * x[:, 1:])

    def equation(x, u):
        source = nonlinear * (u.value**2 - exact(x) ** 2)
        return 4 * u.derivative((1, 0)) - u.derivative((0, 2)) + source

    terms = [
        dg.Term("equation", dg.Interior(), equation, order=2),
        dg.Term("initial", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - exact(x)),
        dg.Term("ends", dg.Boundary(((1, "lower"), (1, "upper"))), lambda x, u: u.value - exact(x)),
    ]
    return dg.Problem(SQUARE, terms)


def slabs():
    return dg.SlabField(lambda box: spline_field((3, 8), box), SQUARE, 3)


def products():
    grid = dg.FactorizedGrid(
        3,
        4,
        lower=0.0,
        upper=1.0,
        basis=dg.BSpline(5),
        dtype=torch.float64,
        seed=5,
        products="axes",
    )
    return dg.FactorizedField(grid, dg.LinearDecoder(1, seed=6))


def poisson_3d():
    box = dg.Box([0.0] * 3, [1.0] * 3)

    def exact(x):
        return torch.sin(math.pi * x).sum(dim=1, keepdim=True)

    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian + math.pi**2 * exact(x), 2),
        dg.Term("rim", dg.Boundary(), lambda x, u: u.value - exact(x)),
    ]
    return dg.Problem(box, terms)


RING = dg.Disk((0, 0), 0.9, name="outer") - dg.Disk((0.2, 0.1), 0.25, name="hole")


def on_ring(nonlinear=0.0):
    """u = sin 2x e^y, held on the outside, with its flux into the hole."""

    def exact(x):
        return torch.sin(2 * x[:, :1]) * torch.exp(x[:, 1:])

    def flux(x, u):
        slope = torch.cat([2 * torch.cos(2 * x[:, :1]) * torch.exp(x[:, 1:]), exact(x)], dim=1)
        return u.normal_derivative - (slope * u.normal).sum(dim=1, keepdim=True)

    def equation(x, u):
        return u.laplacian + 3 * exact(x) + nonlinear * (u.value**3 - exact(x) ** 3)

    terms = [
        dg.Term("equation", dg.Interior(), equation, order=2),
        dg.Term("wall", dg.Boundary("outer"), lambda x, u: u.value - exact(x)),
        dg.Term("flux", dg.Boundary("hole"), flux, order=1),
    ]
    return dg.Problem(RING, terms)


def ring_field(constraint=None):
    grid = dg.FeatureGrid.covering(RING, cells=10, basis=dg.BSpline(5), dtype=torch.float64, seed=1)
    return dg.Field(grid, dg.LinearDecoder(1, seed=2), constraint)


def ring_energy():
    """The energy of -lap u = 1, u = 0 held on the boundary."""

    def energy(x, u):
        return 0.5 * u.gradient[:, 0].square().sum(dim=1) - u.value[:, 0]

    return dg.Problem(RING, [dg.Term("e", dg.Interior(), energy, order=1, loss="mean")])


def held_field():
    return ring_field(dg.ShapeConstraint(RING, 0.0))


def heat_in_a_disk():
    """u = e^-t sin x cos y in a disk, from t = 0."""

    def exact(x):
        return torch.exp(-x[:, :1]) * torch.sin(x[:, 1:2]) * torch.cos(x[:, 2:])

    def equation(x, u):
        cooling = u.derivative((0, 2, 0)) + u.derivative((0, 0, 2))
        return u.derivative((1, 0, 0)) - cooling - exact(x)

    terms = [
        dg.Term("heat", dg.Interior(), equation, order=2),
        dg.Term("initial", dg.Boundary("lower 0"), lambda x, u: u.value - exact(x)),
        dg.Term("wall", dg.Boundary("wall"), lambda x, u: u.value - exact(x)),
    ]
    return dg.Problem(dg.Product(dg.Disk((0, 0), 0.8, name="wall"), 0, 1, axis=0), terms)


def disk_slabs():
    box = dg.Box([0, -0.8, -0.8], [1, 0.8, 0.8])
    return dg.SlabField(
        lambda box: make_field(cells=(2, 5, 5), box=box, basis=dg.BSpline(3)), box, 2
    )


LEAST = {"method": "least-squares"}
# name: problem, field, options of solve, steps of the whole, breaks
CASES = {
    "adam": (helmholtz, network_field, {"method": dg.Adam(decay=(0.5, 2))}, 5, (0, 1, 2, 4)),
    "adam out of patience": (
        helmholtz,
        network_field,
        {"method": "adam", "stop": dg.Stop(patience=2, min_decrease=0.9)},
        8,
        (1, 2, 3, 5),
    ),
    "lbfgs to a target": (
        helmholtz,
        box_field,
        {"method": "lbfgs", "stop": dg.Stop(loss=19.6)},
        40,
        (1, 6, 20),
    ),
    "adam with a parameter": (oscillator, spline_field, {"method": "adam"}, 5, (1, 3)),
    "lbfgs": (helmholtz, network_field, {"method": "lbfgs"}, 6, (0, 1, 2, 3, 5)),
    "lbfgs with a parameter": (oscillator, spline_field, {"method": "lbfgs"}, 5, (1, 2, 4)),
    "lbfgs on an energy": (membrane, spline_field, {"method": "lbfgs"}, 5, (1, 2, 4)),
    "linear": (helmholtz, box_field, LEAST, 20, (0, 1, 2, 3)),
    "linear without balance": (
        helmholtz,
        box_field,
        {"method": dg.LeastSquares(balance=False)},
        20,
        (1, 2),
    ),
    "linear, chosen": (helmholtz, box_field, {}, 20, (0, 1, 2)),
    "linear, no matrix": (
        helmholtz,
        box_field,
        {"method": dg.LeastSquares("matrix-free")},
        9,
        (1, 2, 3),
    ),
    "parameter": (oscillator, spline_field, LEAST, 20, (0, 1, 2, 3, 4, 5)),
    "parameter, linear": (noisy_source, spline_field, LEAST, 20, (0, 1, 2)),
    "system": (system, system_field, LEAST, 20, (0, 1, 2)),
    "coupled points": (coupled, spline_field, LEAST, 20, (0, 1, 2)),
    "nonlinear": (bratu, spline_field, LEAST, 20, (0, 1, 2, 3, 4)),
    "balanced again": (porous, spline_field, {**LEAST, "guess": 0.1}, 30, (0, 1, 2, 4, 8)),
    "energy": (membrane, spline_field, LEAST, 20, (1, 2)),
    "slabs": (heat, slabs, LEAST, 60, (1, 2, 3, 4, 5)),
    "slabs, nonlinear": (lambda: heat(3.0), slabs, LEAST, 60, (1, 2, 3, 4, 5, 6, 7)),
    "on a shape": (on_ring, ring_field, LEAST, 20, (0, 1, 2)),
    "on a shape, no matrix": (
        on_ring,
        ring_field,
        {"method": dg.LeastSquares("matrix-free")},
        9,
        (1, 2),
    ),
    "on a shape, nonlinear": (lambda: on_ring(1.0), ring_field, LEAST, 20, (0, 1, 2, 3)),
    "on a shape, adam": (on_ring, ring_field, {"method": "adam"}, 5, (0, 1, 3)),
    "on a shape, lbfgs": (on_ring, ring_field, {"method": "lbfgs"}, 5, (1, 2, 4)),
    "on a shape, energy": (ring_energy, held_field, LEAST, 20, (0, 1, 2)),
    "on a shape, energy by lbfgs": (ring_energy, held_field, {"method": "lbfgs"}, 5, (1, 3)),
    "on a shape, slabs": (heat_in_a_disk, disk_slabs, LEAST, 60, (1, 2, 3)),
    "products in turn": (poisson_3d, products, {"method": dg.Alternating(False)}, 5, (0, 1, 2, 3)),
    "products together": (poisson_3d, products, {"method": dg.Alternating(True)}, 6, (0, 1, 2, 4)),
}
