"""Fields, problems and measures that many tests share."""

import math
from functools import partial

import torch

import dinfgrid_cuda as dg


def make_field(
    dim=2,
    cells=8,
    levels=1,
    channels=1,
    basis=None,
    constraint=None,
    *,
    box=None,
    decoder="sum",
    out=1,
    dtype=torch.float64,
    seed=0,
    scale=1.0,
    **options,
):
    """A field of B-splines of degree 7 on [-1, 1]^dim, unless otherwise asked.

    Args:
        box: in place of ``dim``, and of ``lower`` and ``upper`` in ``options``.
        decoder: "sum", a fixed sum over levels and channels; "linear", with ``out`` channels; or
            what `Field` takes.
        scale: of the initial features, which are up to 1e-4 by themselves.
        options: of the `FeatureGrid`.
    """
    if box is not None:
        dim, options = box.dim, {**options, "lower": box.lower, "upper": box.upper}
    basis = basis or dg.BSpline(7)
    grid = dg.FeatureGrid(dim, cells, levels, channels, basis, dtype=dtype, seed=seed, **options)
    with torch.no_grad():
        grid.features.mul_(scale)
    if decoder == "linear":
        decoder = dg.LinearDecoder(out, seed=seed)
    if decoder != "sum":
        return dg.Field(grid, decoder, constraint)
    field = dg.Field(grid, dg.LinearDecoder(1, bias=False), constraint)
    with torch.no_grad():
        field.decoder.layer.weight.fill_(1.0)
    field.decoder.layer.weight.requires_grad_(False)
    return field


# On [0, 1], all of it trained.
line_field = partial(make_field, 1, lower=0.0, basis=dg.BSpline(5), decoder="linear")


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


def relative_error(field, exact, where):
    """The relative L2 error of u at points [N, dim], or on a lattice of a box.

    Args:
        exact: of points [N, dim], with the shape of u or, of one channel, [N].
    """
    if isinstance(where, dg.Box):
        shape = (41,) * where.dim if where.dim < 3 else (15,) * where.dim
        where = dg.Lattice(shape, ends=True)(0, where, dtype=next(field.parameters()).dtype)
    with torch.no_grad():
        u = field(where.to(next(field.parameters()).dtype)).to(where.dtype)
        expected = exact(where)
        return float((u.reshape(expected.shape) - expected).norm() / expected.norm())


def random_points(count=6, dim=2, seed=0):
    """Points [count, dim] in [-1, 1]^dim."""
    random = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, dim, dtype=torch.float64, generator=random) - 1
