"""torch.export with a dynamic number of points, for every decoder and constraint."""

import io

import pytest
import solving
import torch

import dinfgrid_cuda as dg

COUNTS = (10, 400, 441, 1000)


def make_field(decoder, constraint):
    basis = dg.BSpline(5)
    return solving.make_field(2, 16, 2, basis=basis, decoder=decoder, constraint=constraint)


class WithLaplacian(torch.nn.Module):
    """u and its Laplacian."""

    def __init__(self, field):
        super().__init__()
        self.field = field

    def forward(self, x):
        jet = self.field.jet(x, order=2)
        return jet.value, jet.laplacian


@pytest.mark.slow
@pytest.mark.parametrize("constraint", [None, dg.BoxConstraint(0.5)], ids=["free", "constrained"])
@pytest.mark.parametrize(
    "decoder",
    [dg.LinearDecoder(1, seed=0), dg.LinearDecoder(3, seed=0), dg.MLPDecoder(2, hidden=8, seed=0)],
    ids=["linear", "three", "mlp"],
)
def test_exported_field_takes_any_number_of_points(decoder, constraint):
    model = WithLaplacian(make_field(decoder, constraint))
    example = torch.rand(50, 2, dtype=torch.float64) * 2 - 1
    program = torch.export.export(
        model, (example,), dynamic_shapes={"x": {0: torch.export.Dim("n")}}
    )
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for count in COUNTS:
        x = torch.rand(count, 2, dtype=torch.float64) * 2 - 1
        for found, expected in zip(loaded(x), model(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_exported_wide_network_takes_more_points_than_fit_its_blocks(monkeypatch):
    monkeypatch.setattr("dinfgrid_cuda.fields.layers.BLOCK", 64)
    model = make_field(dg.MLPDecoder(1, hidden=8, seed=0), None)
    example = torch.rand(50, 2, dtype=torch.float64)
    program = torch.export.export(
        model, (example,), dynamic_shapes={"x": {0: torch.export.Dim("n")}}
    )
    for count in COUNTS:
        x = torch.rand(count, 2, dtype=torch.float64)
        torch.testing.assert_close(program.module()(x), model(x))
