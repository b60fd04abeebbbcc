"""A complex wave in a duct: let in on the left, let out on the right.

    Δu + k²u = 0    for 0 < x, y < 1,    κ² = k² - π²
    u = sin πy at x = 0,    u_x = iκu at x = 1,    u = 0 at y = 0 and y = 1

The exact solution is u = exp(iκx) sin πy; its two parts are the two channels of the field.
"""

import torch
from torch import pi, sin

import dinfgrid_cuda as dg

torch.set_default_dtype(torch.float64)
box = dg.Box([0, 0], [1, 1])
K = 20.0
KAPPA = (K**2 - pi**2) ** 0.5


def wave(x, u):
    return u.as_complex().laplacian + K**2 * u.as_complex().value


def inlet(x, u):
    return u.as_complex().value - sin(pi * x[:, 1:])


def outlet(x, u):
    return u.as_complex().derivative((1, 0)) - 1j * KAPPA * u.as_complex().value


terms = [
    dg.Term("wave", dg.Interior(), wave, order=2),
    dg.Term("inlet", dg.Boundary(((0, "lower"),)), inlet),
    dg.Term("outlet", dg.Boundary(((0, "upper"),)), outlet, order=1),
    dg.Term("walls", dg.Boundary(((1, "lower"), (1, "upper"))), lambda x, u: u.value),
]
grid = dg.FeatureGrid(2, 32, channels=2, lower=0, upper=1, basis=dg.BSpline(7))
field = dg.Field(grid)
dg.solve(dg.Problem(box, terms), field)

x = torch.rand(10_000, 2)
exact = torch.exp(1j * KAPPA * x[:, 0]) * sin(pi * x[:, 1])
error = torch.view_as_complex(field(x)) - exact
print(f"relative error of u: {(error.norm() / exact.norm()).item():.1e}")
