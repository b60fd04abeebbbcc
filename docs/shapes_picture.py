"""Draws docs/shapes.png, the picture of the page on shapes: python docs/shapes_picture.py

The domain is that of the page, the points are those of a coarse grid, u that of a fine one.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.geometry.cell_points import BoundaryPoints, CellPoints

INK, SOFT, ACCENT = "#1b2733", "#b8c1ca", "#c2410c"
CELLS = 8

torch.set_default_dtype(torch.float64)
shape = dg.Disk((0, 0), 0.9, name="outer") - dg.Disk((0.2, 0.1), 0.25, name="hole")
terms = [
    dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian + 10, order=2),
    dg.Term("wall", dg.Boundary("outer"), lambda x, u: u.value),
    dg.Term("flux", dg.Boundary("hole"), lambda x, u: u.normal_derivative, order=1),
]
field = dg.Field(dg.FeatureGrid.covering(shape, cells=32, basis=dg.BSpline(7)))
dg.solve(dg.Problem(shape, terms), field, progress=False)

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
ends = torch.linspace(-0.9, 0.9, CELLS + 1).tolist()
for end in ends:
    left.plot([end, end], [-0.9, 0.9], color=SOFT, lw=0.8)
    left.plot([-0.9, 0.9], [end, end], color=SOFT, lw=0.8)
edges = (tuple(ends), tuple(ends))
inside = CellPoints(edges)(0, shape)
rule = BoundaryPoints(edges).rule(shape)
left.scatter(*inside.T.numpy(), s=3, color=INK)
left.scatter(*rule.x.T.numpy(), s=9, color=ACCENT)
left.quiver(*rule.x.T.numpy(), *rule.normals.T.numpy(), color=ACCENT, scale=22, width=0.003)
left.set_title("points of the equation, of the boundary, normals", fontsize=10, color=INK)

line = torch.linspace(-0.9, 0.9, 400)
x = torch.cartesian_prod(line, line)
u = field(x).detach()[:, 0].where(shape.contains(x), torch.nan).reshape(400, 400)
right.imshow(u.T.numpy(), extent=(-0.9, 0.9, -0.9, 0.9), origin="lower", cmap="viridis")
right.set_title("Δu = -10, u = 0 outside, no flux into the hole", fontsize=10, color=INK)
for axes in (left, right):
    axes.set_aspect("equal")
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    axes.axis("off")
figure.savefig(Path(__file__).with_name("shapes.png"), dpi=100)
