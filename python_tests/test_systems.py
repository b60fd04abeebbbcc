"""Systems: several unknowns as channels of one grid, whatever the decoder's random weights."""

import copy
import io
import math

import pytest
import torch

import dinfgrid_cuda as dg

pytest.importorskip("scipy")
pytestmark = pytest.mark.usefixtures("one_thread")

BOX = dg.Box([0.0, 0.0], [1.0, 1.0])


def grid(channels, cells=8, levels=1, dim=2, seed=0, box=None, dtype=torch.float64):
    box = box or dg.Box([0.0] * dim, [1.0] * dim)
    made = dg.FeatureGrid(
        dim,
        cells,
        levels,
        channels,
        dg.BSpline(5),
        lower=box.lower,
        upper=box.upper,
        seed=seed,
        dtype=dtype,
    )
    with torch.no_grad():
        made.features.mul_(1e4)
    return made


def points(n=200, dim=2):
    return dg.Uniform()(n, dg.Box([0.0] * dim, [1.0] * dim), dtype=torch.float64)


@pytest.mark.parametrize("levels", [1, 2])
def test_channels_of_the_grid_are_the_unknowns_without_a_decoder(levels):
    features = grid(3, levels=levels)
    field = dg.Field(features)
    x = points()
    for n in (3, 200):  # both ways through the decoder
        jet = field.jet(x[:n], 2)
        expected = features.gather(x[:n], 2, reduce="sum")
        torch.testing.assert_close(jet.components, expected, rtol=1e-12, atol=1e-9)
    assert field.out_channels == 3
    assert field.parameter_count() == features.features.numel()
    assert dg.Field(grid(1)).decoder.out_channels == 1


def test_default_decoder_is_saved_copied_and_exported():
    field = dg.Field(grid(2))
    x = points(20)
    again = dg.Field(grid(2, seed=1))
    buffer = io.BytesIO()
    torch.save(field.state_dict(), buffer)
    buffer.seek(0)
    again.load_state_dict(torch.load(buffer, weights_only=True))
    exported = torch.export.export(field, (x,)).module()
    with torch.no_grad():
        for other in (again, copy.deepcopy(field), exported):
            torch.testing.assert_close(other(x), field(x), rtol=1e-12, atol=1e-12)


def test_slabs_have_the_grid_s_channels():
    box = dg.Box([0.0], [2.0])
    field = dg.SlabField(lambda slab: dg.Field(grid(2, dim=1, box=slab)), box, 2)

    def turning(x, u):
        return torch.cat(
            [u[0].gradient[:, :, 0] - u[1].value, u[1].gradient[:, :, 0] + u[0].value], 1
        )

    start = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    terms = [
        dg.Term("turn", dg.Interior(), turning, order=1),
        dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - start),
    ]
    dg.solve(dg.Problem(box, terms), field, progress=False)
    t = torch.linspace(0, 2, 50, dtype=torch.float64)[:, None]
    with torch.no_grad():
        error = (field(t) - torch.cat([t.sin(), t.cos()], dim=1)).abs().max()
    assert float(error) < 1e-5


@pytest.mark.parametrize(("channels", "out"), [(3, 3), (4, 3), (2, 3), (1, 2)])
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_orthonormal_weights_give_the_same_field(channels, out, levels, dtype):
    field = dg.Field(grid(channels, levels=levels, dtype=dtype), dg.LinearDecoder(out, seed=0))
    x = points().to(dtype)
    before = field.jet(x, 2).components.detach()
    terms = [dg.Term("none", dg.Points(x), lambda x, u: u.value - 1.0)]
    dg.solve(dg.Problem(BOX, terms), field, "least-squares", steps=0, progress=False)
    eps = torch.finfo(dtype).eps
    after = field.jet(x, 2).components.detach()
    assert float((after - before).abs().max()) < 1e3 * eps * float(before.abs().max())
    for block in field.decoder.layer.weight.detach().split(channels, dim=1):
        short = block if out <= channels else block.T
        torch.testing.assert_close(
            short @ short.T, torch.eye(len(short), dtype=dtype), rtol=0, atol=100 * eps
        )


def test_weights_that_are_held_or_of_one_output_are_kept():
    frozen = dg.Field(grid(2), dg.LinearDecoder(2, seed=0))
    frozen.decoder.layer.weight.requires_grad_(False)
    for field in (frozen, dg.Field(grid(2), dg.LinearDecoder(1, seed=0))):
        before = copy.deepcopy(field.state_dict())
        terms = [dg.Term("none", dg.Points(points()), lambda x, u: u.value - 1.0)]
        dg.solve(dg.Problem(BOX, terms), field, "least-squares", steps=0, progress=False)
        for name, value in field.state_dict().items():
            assert torch.equal(value, before[name])


def stokes():
    """Stokes' equations of u = sin(pi x) cos(pi y), v = -cos(pi x) sin(pi y), p = x y."""

    def exact(x):
        a, b = math.pi * x[:, :1], math.pi * x[:, 1:]
        return torch.cat([a.sin() * b.cos(), -a.cos() * b.sin(), x[:, :1] * x[:, 1:]], dim=1)

    def equations(x, j):
        u, v, p = j[0], j[1], j[2]
        force = 2 * math.pi**2 * exact(x)[:, :2] + x.flip(1)
        return torch.cat(
            [
                p.derivative((1, 0)) - u.laplacian - force[:, :1],
                p.derivative((0, 1)) - v.laplacian - force[:, 1:],
                u.derivative((1, 0)) + v.derivative((0, 1)),
            ],
            dim=1,
        )

    spot = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    terms = [
        dg.Term("stokes", dg.Interior(), equations, order=2),
        dg.Term("walls", dg.Boundary(), lambda x, j: j.value[:, :2] - exact(x)[:, :2]),
        dg.Term("p", dg.Points(spot), lambda x, j: j.value[:, 2:] - exact(x)[:, 2:]),
    ]
    return dg.Problem(BOX, terms), exact


@pytest.mark.slow
def test_three_unknowns_do_not_depend_on_the_decoder_s_seed():
    problem, exact = stokes()
    x = points(500)
    found, conditions = [], []
    decoders = [None, *[dg.LinearDecoder(3, seed=seed) for seed in range(3)]]
    for decoder in decoders:
        field = dg.Field(grid(3), decoder)
        solution = dg.solve(problem, field, progress=False)
        with torch.no_grad():
            found.append(field(x))
        conditions.append(solution.report.findings.condition)
    assert float((found[0] - exact(x)).abs().max()) < 1e-3
    for values in found[1:]:
        assert float((values - found[0]).abs().max()) < 1e-6
    assert max(conditions) < 1.1 * min(conditions)


def test_channel_that_the_field_lacks_is_named():
    term = dg.Term("second", dg.Interior(), lambda x, u: u.value[:, 1:] - 1.0)
    for method in ("auto", "least-squares", "adam"):
        with pytest.raises(
            ValueError, match="'second': the residual has shape .*no columns; the field has 1"
        ):
            dg.solve(dg.Problem(BOX, [term]), dg.Field(grid(1)), method, steps=1, progress=False)
