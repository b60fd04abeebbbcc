"""A training loop of one's own: `field.jet` and an optimizer of torch, without `dg.solve`.

    Δu = f    for -1 < x, y < 1,    u = 0 on the sides

The exact solution is u = sin πx sin πy. The boundary values are built into the field, so that the
loss is a single mean square.
"""

import torch
from torch import pi, sin

import dinfgrid_cuda as dg


def exact(x):
    return sin(pi * x[:, :1]) * sin(pi * x[:, 1:])


torch.manual_seed(0)
# Several resolutions at once: coarse levels carry the long waves, so that few steps suffice.
grid = dg.FeatureGrid(dim=2, cells=32, levels=4, basis=dg.BSpline(5))
field = dg.Field(grid, dg.LinearDecoder(1), dg.BoxConstraint())
optimizer = torch.optim.Adam(field.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.995)

for step in range(1000):
    x = 2 * torch.rand(4096, 2) - 1
    u = field.jet(x, order=2)  # u and its derivatives in one pass
    loss = (u.laplacian + 2 * pi**2 * exact(x)).square().mean()
    optimizer.zero_grad()
    loss.backward()  # and the gradient of all features in another
    optimizer.step()
    schedule.step()
    if step % 200 == 0:
        print(f"step {step:3}  loss {loss.item():.1e}")

x = 2 * torch.rand(10_000, 2) - 1
print(f"relative error of u: {((field(x) - exact(x)).norm() / exact(x).norm()).item():.1e}")
