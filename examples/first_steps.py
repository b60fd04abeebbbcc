"""First steps: a field, its derivatives, and a first equation.

    u'' + 25 u = 0    for 0 < x < 1,    u(0) = 1,    u'(0) = 0

The exact solution is u = cos 5x.
"""

import torch

import dinfgrid_cuda as dg

torch.set_default_dtype(torch.float64)

# A field: a grid of features with smooth functions in between. Points have shape [N, dim].
box = dg.Box([0], [1])
grid = dg.FeatureGrid(dim=1, cells=32, lower=0, upper=1, basis=dg.BSpline(7))
field = dg.Field(grid)
x = torch.linspace(0, 1, 1001)[:, None]

# Its jet: the value and all derivatives up to an order, in one pass over the grid.
jet = field.jet(x, order=2)
print("value", list(jet.value.shape), "gradient", list(jet.gradient.shape))


# A term: a function of points x and the jet u there, which is to be zero in a region.
def equation(x, u):
    return u.laplacian + 25 * u.value


left = dg.Boundary(((0, "lower"),))
terms = [
    dg.Term("equation", dg.Interior(), equation, order=2),
    dg.Term("start value", left, lambda x, u: u.value - 1),
    dg.Term("start slope", left, lambda x, u: u.derivative((1,)), order=1),
]
problem = dg.Problem(box, terms)

# Solving changes the features; the steps and a report appear on the terminal.
dg.solve(problem, field)
print(f"largest error of u: {(field(x) - torch.cos(5 * x)).abs().max().item():.1e}")
