"""Any shape, no mesh of its inside: a temperature in a solid given by its surface of triangles.

    Δu = 0 inside,    u = g on the surface

    python examples/shape.py part.stl         # or .obj, .ply; closed, as for printing in 3-D

Without a file the solid is a torus. g = e^x sin y, x and y in units of a third of the solid's
length, is harmonic itself, so that u is known inside. shape.png shows a cut through the middle.
"""

import sys

import matplotlib.pyplot as plt
import torch
import trimesh

import dinfgrid_cuda as dg

torch.set_default_dtype(torch.float64)
surface = sys.argv[1] if len(sys.argv) > 1 else trimesh.creation.torus(1.0, 0.45, 64, 32)
shape = dg.Mesh(surface, name="surface")
size = max(shape.lengths) / 3


def exact(x):
    return torch.exp(x[:, :1] / size) * torch.sin(x[:, 1:2] / size)


terms = [
    dg.Term("heat", dg.Interior(), lambda x, u: u.laplacian, order=2),
    dg.Term("walls", dg.Boundary("surface"), lambda x, u: u.value - exact(x)),
]
field = dg.Field(dg.FeatureGrid.covering(shape, cells=12, basis=dg.BSpline(5)))
dg.solve(dg.Problem(shape, terms), field)

x = dg.Interior(dg.Uniform()).sample(10_000, shape)
print(f"relative error of u: {((field(x) - exact(x)).norm() / exact(x).norm()).item():.1e}")

(left, front, bottom), (right, back, top) = shape.lower, shape.upper
lines = torch.linspace(left, right, 200), torch.linspace(front, back, 200)
x = torch.cartesian_prod(*lines, torch.tensor([(bottom + top) / 2]))
u = field(x).detach()[:, 0].where(shape.contains(x), torch.nan).reshape(200, 200)
plt.imshow(u.T.numpy(), extent=(left, right, front, back), origin="lower")
plt.savefig("shape.png")
