"""Fields and problems that the solvers' tests share."""

import math

import torch

import dinfgrid_cuda as dg


def make_field(dim=2, cells=8, box=None, basis=None, levels=1, channels=1, dtype=torch.float64):
    """A field whose decoder is a fixed sum over levels and channels."""
    box = box or dg.Box([-1.0] * dim, [1.0] * dim)
    grid = dg.FeatureGrid(
        dim=box.dim,
        cells=cells,
        levels=levels,
        channels=channels,
        basis=basis or dg.BSpline(7),
        lower=box.lower,
        upper=box.upper,
        dtype=dtype,
    )
    field = dg.Field(grid, dg.LinearDecoder(1, bias=False))
    with torch.no_grad():
        field.decoder.layer.weight.fill_(1.0)
    field.decoder.layer.weight.requires_grad_(False)
    return field


def wave(x):
    """sin(pi x) sin(pi y) ... [N]."""
    return torch.sin(math.pi * x).prod(dim=1)


def helmholtz(dim=2, k=1.0, variable=False):
    """u = `wave`, from a Laplacian, k^2 u and values on the rim of [-1, 1]^dim."""

    def equation(x, u):
        factor = 1 + x[:, :1] ** 2 if variable else 1.0
        given = (k**2 - dim * math.pi**2 * factor) * wave(x)[:, None]
        return factor * u.laplacian + k**2 * u.value - given

    return dg.Problem(
        dg.Box([-1.0] * dim, [1.0] * dim),
        [
            dg.Term("equation", dg.Interior(), equation, order=2),
            dg.Term("rim", dg.Boundary(), lambda x, u: u.value - wave(x)[:, None]),
        ],
    )


def relative_error(field, exact, box):
    """Of u on a lattice of the box."""
    shape = (41,) * box.dim if box.dim < 3 else (15,) * box.dim
    dtype = next(field.parameters()).dtype
    x = dg.Lattice(shape, ends=True)(0, box, dtype=dtype)
    with torch.no_grad():
        found = field(x)[:, 0]
    return float((found - exact(x)).norm() / exact(x).norm())
