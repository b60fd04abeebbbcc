"""Levels where they are needed: the corner of an L, where u = r^(2/3) sin(2 theta / 3) is singular.

    Δu = 0 in an L-shaped domain,    u = g on its boundary

The grid starts with 8 x 8 cells. Each round adds levels where the residual is, down to the corner.
"""

import math

import torch

import dinfgrid_cuda as dg

shape = dg.Polygon([(-1, -1), (0, -1), (0, 0), (1, 0), (1, 1), (-1, 1)])


def exact(x):
    theta = torch.atan2(x[:, 1:], x[:, :1])
    theta = torch.where(theta < -1e-12, theta + 2 * math.pi, theta)
    return x.norm(dim=1, keepdim=True) ** (2 / 3) * torch.sin(2 / 3 * theta)


terms = [
    dg.Term("inside", dg.Interior(), lambda x, u: u.laplacian, order=2),
    dg.Term("boundary", dg.Boundary(), lambda x, u: u.value - exact(x)),
]
field = dg.Field(dg.FeatureGrid.covering(shape, cells=8, basis=dg.BSpline(7)))
solution = dg.solve(dg.Problem(shape, terms), field, adapt=dg.Adapt(error=1e-6))

x = dg.Interior(dg.Uniform()).sample(100_000, shape, dtype=torch.float64)
error = ((field(x) - exact(x)).norm() / exact(x).norm()).item()
unknowns, levels = field.grid.unknown_count, len(field.grid.spec.local)
print(f"relative error of u: {error:.1e} ({unknowns:,} features, {levels} local levels)")
