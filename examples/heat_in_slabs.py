"""Heat along a rod, in slabs of time: each is solved from the end of the one before.

    u_t = u_xx    for 0 < t < 0.5,  0 < x < 1
    u(0, x) = sin πx + ½ sin 3πx,    u = 0 at both ends

The exact solution is u = exp(-π²t) sin πx + ½ exp(-9π²t) sin 3πx.
"""

import torch
from torch import exp, pi, sin

import dinfgrid_cuda as dg

torch.set_default_dtype(torch.float64)
box = dg.Box([0, 0], [0.5, 1])  # the first axis is time


def exact(x):
    t, x = x[:, :1], x[:, 1:]
    return exp(-(pi**2) * t) * sin(pi * x) + exp(-9 * pi**2 * t) * sin(3 * pi * x) / 2


def heat(x, u):
    return u.derivative((1, 0)) - u.derivative((0, 2))


def make_field(slab):
    basis = dg.BSpline(7)
    grid = dg.FeatureGrid(2, (16, 32), lower=slab.lower, upper=slab.upper, basis=basis)
    return dg.Field(grid)


# From the second slab on, "start" means continuity with the slab before.
terms = [
    dg.Term("heat", dg.Interior(), heat, order=2),
    dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - exact(x)),
    dg.Term("ends", dg.Boundary(((1, "lower"), (1, "upper"))), lambda x, u: u.value),
]
field = dg.SlabField(make_field, box, slabs=5)
dg.solve(dg.Problem(box, terms), field)

x = dg.Uniform()(10_000, box)
print(f"relative error of u: {((field(x) - exact(x)).norm() / exact(x).norm()).item():.1e}")
