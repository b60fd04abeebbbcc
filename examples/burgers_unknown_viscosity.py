"""Burgers' equation with an unknown viscosity, found together with u from values of u.

    u_t + u u_x = ν u_xx    for 0 < t < 1,  -1 < x < 1

There are no initial or boundary conditions; 2000 values of u are given instead. They are those of a
front that moves with speed ½:  u = ½ - ½ tanh((x - t/2 + ¼) / 4ν)  with ν = 0.05.
"""

import torch

import dinfgrid_cuda as dg

torch.set_default_dtype(torch.float64)
TRUE_NU = 0.05
box = dg.Box([0, -1], [1, 1])  # t, x


def exact(x):
    return 0.5 - 0.5 * torch.tanh((x[:, 1:] - x[:, :1] / 2 + 0.25) / (4 * TRUE_NU))


nu = torch.nn.Parameter(torch.tensor(0.5))  # the first guess


def burgers(x, u):
    return u.derivative((1, 0)) + u.value * u.derivative((0, 1)) - nu * u.derivative((0, 2))


# Data belong to the points of a term; the residual gets those of its points as third argument.
points = dg.Uniform()(2000, box)
terms = [
    dg.Term("burgers", dg.Interior(), burgers, order=2),
    dg.Term("data", dg.Points(points), lambda x, u, d: u.value - d, data=exact(points)),
]
grid = dg.FeatureGrid(2, (12, 48), lower=box.lower, upper=box.upper, basis=dg.BSpline(5))
field = dg.Field(grid)
dg.solve(dg.Problem(box, terms, parameters={"nu": nu}), field)

x = dg.Uniform()(10_000, box, seed=1)
print(f"relative error of u: {((field(x) - exact(x)).norm() / exact(x).norm()).item():.1e}")
print(f"relative error of nu: {abs(nu.item() / TRUE_NU - 1):.1e}")
