"""Least squares on shapes without a matrix: boxes of features and a coarse grid precondition."""

import numpy as np
import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers import SolveError
from dinfgrid_cuda.solvers.linear import routes, schwarz
from dinfgrid_cuda.solvers.linear.box_assembly import BoxBlocks
from dinfgrid_cuda.solvers.linear.direct import DirectSystem, _normal_matrix
from dinfgrid_cuda.solvers.linear.extension import extension_of
from dinfgrid_cuda.solvers.linear.factor_estimate import estimate_of
from dinfgrid_cuda.solvers.linear.feature_boxes import FeatureBoxes
from dinfgrid_cuda.solvers.linear.nested_grid import NestedGrid
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.schwarz import Schwarz, suits_boxes
from dinfgrid_cuda.solvers.linear.taking_part import nodes_taking_part

pytestmark = pytest.mark.usefixtures("one_thread")

RING = dg.Disk((0.0, 0.0), 0.9, name="outer") - dg.Disk((0.2, 0.1), 0.3, name="hole")
BALL = dg.Ball((0.0, 0.0, 0.0), 0.9)


def exact(x):
    return torch.sin(3 * x[:, :1]) * torch.exp(x[:, 1:2])


def slope(x):
    sine, cosine, growth = torch.sin(3 * x[:, :1]), torch.cos(3 * x[:, :1]), torch.exp(x[:, 1:2])
    rest = x.new_zeros(len(x), x.shape[1] - 2)
    return torch.cat([3 * cosine * growth, sine * growth, rest], dim=1)


def poisson(shape, flux=()):
    """-u.laplacian + u, whose laplacian is -8 u; Neumann's condition on some pieces."""
    pde = dg.Term("pde", dg.Interior(), lambda x, u: u.value - u.laplacian - 9 * exact(x), order=2)
    terms = [pde]
    for name in shape.names:
        if name in flux:
            terms.append(
                dg.Term(
                    f"flux {name}",
                    dg.Boundary(name),
                    lambda x, u: u.normal_derivative - (slope(x) * u.normal).sum(1, keepdim=True),
                    order=1,
                )
            )
        else:
            terms.append(
                dg.Term(f"wall {name}", dg.Boundary(name), lambda x, u: u.value - exact(x))
            )
    return dg.Problem(shape, terms)


def field_on(shape, cells, degree=3, channels=1):
    grid = dg.FeatureGrid.covering(
        shape, cells=cells, basis=dg.BSpline(degree), channels=channels, dtype=torch.float64
    )
    return dg.Field(grid)


def solved(problem, field, linear, **options):
    method = dg.LeastSquares(linear=linear)
    report = dg.solve(problem, field, method, progress=False, **options).report
    return report.findings, field


def normal_of(problem, field):
    problem = dg.LeastSquares().prepare(problem, field)
    objective = Objective(problem, field, 0, resample=False)
    extension = extension_of(objective)
    extension.weigh(1.0)
    return NormalOperator(objective)


@pytest.mark.parametrize(
    ("shape", "cells", "flux"),
    [
        (RING, 24, ()),
        (RING, 24, ("outer", "hole")),
        pytest.param(BALL, 9, (), marks=pytest.mark.slow),
        pytest.param(BALL, 9, ("ball",), marks=pytest.mark.slow),
    ],
)
def test_iterations_end_where_the_factor_does(shape, cells, flux):
    problem = poisson(shape, flux)
    iterated, one = solved(problem, field_on(shape, cells), dg.MatrixFree())
    direct, other = solved(problem, field_on(shape, cells), dg.Direct())
    assert (iterated.route, direct.route) == ("matrix-free", "direct")
    x = dg.Uniform()(2000, shape, dtype=torch.float64)
    with torch.no_grad():
        u, v = (field(x[shape.contains(x)]) for field in (one, other))
    assert float((u - v).abs().max()) < 1e-8 * float(v.abs().max())


def test_number_of_iterations_does_not_grow_with_that_of_cells():
    taken = []
    for cells in (24, 48):
        findings, _ = solved(poisson(RING), field_on(RING, cells), dg.MatrixFree(), steps=1)
        taken.append(findings.iterations)
    # The condition of A' A has grown by 2^4, and the number of iterations with the diagonal by 4.
    assert taken[1] < 1.5 * taken[0]
    assert max(taken) < 150


@pytest.mark.parametrize(("shape", "cells", "channels"), [(RING, 20, 2), (BALL, 9, 1)])
def test_blocks_are_those_of_the_whole_matrix(shape, cells, channels):
    field = field_on(shape, cells, channels=channels)
    equation = dg.Term("e", dg.Interior(), lambda x, u: u.laplacian + x[:, :1] * u.value, order=2)
    wall = dg.Term("w", dg.Boundary(), lambda x, u: u.value)
    # Fewer points than cells, which are assembled as sparse rows.
    points = dg.Uniform()(5, shape, dtype=torch.float64)
    data = dg.Term("d", dg.Points(points), lambda x, u: u.value)
    normal = normal_of(dg.Problem(shape, [equation, wall, data]), field)
    whole = _normal_matrix(normal, None).toarray()
    boxes = FeatureBoxes(normal.spec)
    covered = np.zeros(len(whole), dtype=bool)
    number = 0
    for features, block in BoxBlocks(normal, boxes):
        at = features.numpy()
        np.testing.assert_allclose(block, whole[np.ix_(at, at)], atol=1e-12 * whole.max())
        covered[at] = True
        number += 1
    assert number == boxes.count > 1
    assert covered.all()


@pytest.mark.parametrize("cells", [(12, 9), (7, 5, 3)])
def test_functions_of_the_coarse_grid_belong_to_the_fine_one(cells, monkeypatch):
    monkeypatch.setattr("dinfgrid_cuda.solvers.linear.nested_grid.COARSEST", 100)
    dim = len(cells)
    box = dg.Box([0.0] * dim, [float(count) for count in cells])
    grid = dg.FeatureGrid(
        dim, cells, basis=dg.BSpline(3), lower=box.lower, upper=box.upper, dtype=torch.float64
    )
    nested = NestedGrid(grid.spec)
    assert nested.spec.total_nodes <= 100
    ends = {"lower": nested.spec.lower, "upper": nested.spec.upper}
    coarse = dg.FeatureGrid(
        dim, nested.spec.cells, basis=dg.BSpline(3), dtype=torch.float64, **ends
    )
    random = torch.Generator().manual_seed(0)
    v = torch.randn(nested.spec.total_nodes, generator=random, dtype=torch.float64)
    r = torch.randn(grid.spec.total_nodes, generator=random, dtype=torch.float64)
    with torch.no_grad():
        coarse.features.copy_(v[:, None])
        grid.features.copy_(nested.prolonged(v)[:, None])
    x = dg.Uniform()(200, box, dtype=torch.float64)
    torch.testing.assert_close(grid(x), coarse(x), rtol=0, atol=1e-13)
    assert float(r @ nested.prolonged(v)) == pytest.approx(float(nested.restricted(r) @ v))
    torch.testing.assert_close(torch.from_numpy(nested.matrix @ v.numpy()), nested.prolonged(v))


def test_preconditioner_is_symmetric_and_positive():
    normal = normal_of(poisson(RING), field_on(RING, 24))
    precondition = Schwarz(normal)
    random = torch.Generator().manual_seed(0)
    seen = torch.from_numpy(nodes_taking_part(normal)).double()
    v, w = seen * torch.randn(2, normal.feature_count, generator=random, dtype=torch.float64)
    one, other = precondition(v), precondition(w)
    # Boxes are solved in single precision, the parts of a sum that may cancel.
    assert float(w @ one) == pytest.approx(
        float(v @ other), abs=1e-6 * float((v @ one) * (w @ other)) ** 0.5
    )
    assert float(v @ one) > 0


def test_features_that_take_part_are_counted_and_factorised():
    problem, field = poisson(dg.Disk((0.0, 0.0), 0.9)), field_on(dg.Disk((0.0, 0.0), 0.9), 48)
    normal = normal_of(problem, field)
    system = DirectSystem(normal)
    taking_part = nodes_taking_part(normal)
    assert np.array_equal(taking_part, _normal_matrix(normal, None).diagonal() > 0)
    assert len(system.matrix.order) == taking_part.sum() < 0.95 * len(taking_part)
    size = estimate_of(normal)
    assert size.unknown_count == taking_part.sum()
    assert size.work == pytest.approx(size.unknown_count * system.matrix.plan.width**2)


def test_problem_too_large_for_a_factor_takes_boxes(monkeypatch):
    monkeypatch.setattr(routes, "free_memory", lambda: 1e5)
    findings, _ = solved(poisson(RING), field_on(RING, 24), "auto")
    assert findings.route == "matrix-free"
    assert "0.0001 GB free; overlapping boxes of features precondition" in findings.route_reason
    with pytest.raises(SolveError, match=r"the factor for [\d,]+ features will take about"):
        solved(poisson(RING), field_on(RING, 24), dg.Direct())


def test_factor_that_takes_long_gives_way_to_iterations_on_trial(monkeypatch):
    monkeypatch.setattr(routes, "SLOW_ON_SHAPES", 1e5)
    findings, _ = solved(poisson(RING), field_on(RING, 24), "auto")
    assert findings.route == "matrix-free"
    assert "multiplications; overlapping boxes" in findings.route_reason
    monkeypatch.setattr(routes, "LONG_TRIAL", 3)
    findings, _ = solved(poisson(RING), field_on(RING, 24), "auto")
    assert findings.route == "direct"
    assert "3 iterations of conjugate gradients did not suffice" in findings.route_reason


def test_boxes_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(schwarz, "free_memory", lambda: 1e5)
    with pytest.raises(SolveError, match="factors of overlapping boxes of .* features will take"):
        solved(poisson(RING), field_on(RING, 24), dg.MatrixFree())


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"basis": dg.BSpline(3)}, True),
        ({"basis": dg.BSpline(3), "levels": 2}, False),
        ({"basis": dg.Gaussian()}, False),
        ({"basis": dg.BSpline(3), "boundary": "periodic"}, False),
    ],
)
def test_boxes_are_for_splines_of_one_level(options, fits):
    box = dg.Box([0.0, 0.0], [1.0, 1.0])
    field = dg.Field(dg.FeatureGrid(2, 8, lower=0.0, dtype=torch.float64, **options))
    term = dg.Term("e", dg.Interior(dg.Uniform()), lambda x, u: u.value, points=50)
    normal = NormalOperator(Objective(dg.Problem(box, [term]), field, 0, resample=False))
    assert suits_boxes(normal) == fits


@pytest.mark.filterwarnings("ignore")
def test_pure_flux_is_still_named_as_not_determined():
    disk = dg.Disk((0.0, 0.0), 0.9)
    pde = dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian + 8 * exact(x), order=2)
    flux = poisson(disk, disk.names).terms[1]
    findings, _ = solved(dg.Problem(disk, [pde, flux]), field_on(disk, 16, 5), dg.MatrixFree())
    assert findings.route == "matrix-free"
    assert any("not determined up to a constant" in note for note in findings.notes)


def test_iterations_cut_short_are_not_called_converged(monkeypatch):
    def short(normal, squares):
        return routes.Route("matrix-free", "short", limit=2)

    monkeypatch.setattr("dinfgrid_cuda.solvers.methods.present_system.choose_route", short)
    solution = dg.solve(poisson(RING), field_on(RING, 24), progress=False, steps=40)
    assert not solution.reason.startswith("converged")
