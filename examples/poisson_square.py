"""Poisson's equation on a square: the deflection of a membrane under an even load.

    -Δu = 1    for 0 < x, y < 1,    u = 0 on the sides

The exact solution is a sine series, which converges fast away from y = 0 and y = 1. The second
derivatives of u jump at the corners; that is where the error is largest.
"""

import math

import torch

import dinfgrid_cuda as dg


def exact(x):
    x, y = x[:, :1], x[:, 1:]
    u = x * (1 - x) / 2
    for n in range(1, 400, 2):
        a = n * math.pi
        cosh = (torch.exp(-a * y) + torch.exp(-a * (1 - y))) / (1 + math.exp(-a))
        u = u - 4 / a**3 * torch.sin(a * x) * cosh
    return u


torch.set_default_dtype(torch.float64)
box = dg.Box([0, 0], [1, 1])
terms = [
    dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian + 1, order=2),
    dg.Term("sides", dg.Boundary(), lambda x, u: u.value),
]
grid = dg.FeatureGrid(dim=2, cells=64, lower=0, upper=1, basis=dg.BSpline(5))
field = dg.Field(grid)
dg.solve(dg.Problem(box, terms), field)

x = dg.Uniform()(10_000, box)
print(f"relative error of u: {((field(x) - exact(x)).norm() / exact(x).norm()).item():.1e}")
