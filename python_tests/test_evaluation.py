"""Values of fields on lattices, kept while the field stays what it is."""

import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.tools.evaluation import component, on_lattice


def test_kept_values_follow_the_steps_of_a_fused_adam():
    """Its steps do not show in the version counters of the parameters."""
    field = dg.Field(dg.FeatureGrid(2, 4, seed=0), dg.LinearDecoder(1, seed=0))
    box = dg.Box((-1.0, -1.0), (1.0, 1.0))
    optimizer = torch.optim.Adam(field.parameters(), lr=0.1, fused=True)
    before = component(field, box, 3)
    assert component(field, box, 3) is before
    field(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    after = component(field, box, 3)
    assert (after == on_lattice(field, box, 3)[..., 0]).all()
    assert (after != before).any()
