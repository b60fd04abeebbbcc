"""Outward normals of jets, on the faces of boxes and the boundaries of shapes."""

import pytest
import torch
from solving import make_field, random_points

import dinfgrid_cuda as dg

DOUBLE = torch.float64
RING = dg.Disk((0, 0), 0.9, name="outer") - dg.Disk((0.2, 0.1), 0.25, name="hole")
BOXES = {
    1: dg.Box([-1.0], [0.5]),
    2: dg.Box([-1.0, 0.0], [0.5, 2.0]),
    3: dg.Box([-1.0, 0.0, -0.5], [0.5, 2.0, 1.0]),
}
SAMPLERS = {
    "random": {},
    "uniform": {"sampler": dg.Uniform()},
    "stratified": {"sampler": dg.Stratified()},
    "sobol": {"sampler": dg.Sobol()},
    "lattice": {"sampler": dg.Lattice(ends=True)},
    "gauss": {"sampler": dg.GaussPoints(cells=4, per_cell=3)},
    "adaptive": {"sampler": dg.Adaptive()},
}


def seen(region, domain, points=None, data=None, field=None, order=1):
    """What a residual sees of a term, (x, u) or (x, u, data)."""
    held = []

    def residual(*given):
        held.append(given)
        return given[1].value

    term = dg.Term("wall", region, residual, order=order, points=points, data=data)
    x, numbers = term.draw(domain, 0, 0, DOUBLE, torch.device("cpu"))
    field = field or make_field(
        domain.dim, 4, basis=dg.BSpline(5), scale=1e4, lower=-3.0, upper=3.0
    )
    term.evaluate(x, field.jet(x, order), numbers)
    return held[0]


def box_normals(x, box):
    """Normals at points of faces, by which coordinate is at an end; edges may be either."""
    low, high = x.new_tensor(box.lower), x.new_tensor(box.upper)
    return (x == high).to(x) - (x == low).to(x)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_normals_of_every_face_of_a_box_point_outward(dim, sampler):
    box = BOXES[dim]
    x, u = seen(dg.Boundary(**SAMPLERS[sampler]), box, points=200)
    assert u.normal.shape == x.shape
    # At an edge the normal is that of one of its faces.
    assert torch.equal(
        (u.normal * box_normals(x, box)).sum(dim=1), torch.ones(len(x), dtype=DOUBLE)
    )
    assert torch.equal(u.normal.abs().sum(dim=1), torch.ones(len(x), dtype=DOUBLE))
    torch.testing.assert_close(
        u.normal_derivative, torch.einsum("nci,ni->nc", u.gradient, u.normal), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_lattices_of_a_shape_on_faces_have_normals(dim):
    shape = tuple(range(4, 4 + dim))
    faces = ("upper 0",) if dim == 1 else ("upper 0", "lower 1")
    x, u = seen(dg.Boundary(faces, shape=shape), BOXES[dim])
    first = x[:, 0] == BOXES[dim].upper[0]
    expected = torch.zeros(dim, dtype=DOUBLE)
    expected[0] = 1
    count = 1 if dim == 1 else torch.tensor(shape[1:]).prod()
    assert torch.equal(u.normal[:count], expected.expand(int(count), dim))
    assert int(first.sum()) >= count


@pytest.mark.parametrize("name", [None, "outer", "hole"])
@pytest.mark.parametrize("sampler", [None, dg.Uniform(), dg.Adaptive()])
def test_normals_of_a_ring_point_away_from_it(name, sampler):
    x, u = seen(dg.Boundary(name, sampler=sampler), RING, points=300)
    centre = torch.tensor([0.2, 0.1], dtype=DOUBLE)
    on_hole = (x - centre).norm(dim=1) < 0.5
    radial = torch.where(on_hole[:, None], centre - x, x)
    torch.testing.assert_close(
        u.normal, radial / radial.norm(dim=1, keepdim=True), rtol=0, atol=1e-12
    )
    assert name is None or bool((on_hole == (name == "hole")).all())


def test_what_has_no_normals_says_so():
    _, u = seen(dg.Interior(), RING, points=50)
    for what in ("normal", "normal_derivative"):
        with pytest.raises(ValueError, match=r"no normals; u.normal belongs to terms on Boundary"):
            getattr(u, what)
    _, u = seen(dg.Points(random_points(5)), RING)
    with pytest.raises(ValueError, match=r"Points\(x, normal=n\)"):
        u.normal_derivative  # noqa: B018
    _, u = seen(dg.Boundary(), RING, points=50, order=0)
    assert u.normal.shape == (50, 2)
    with pytest.raises(ValueError, match=r"normal_derivative.* order 1") as caught:
        u.normal_derivative  # noqa: B018
    assert "\n" not in str(caught.value)


def test_a_solve_names_the_term_that_has_no_normals_or_too_low_an_order():
    field = make_field(basis=dg.BSpline(3))

    def problem(region, order):
        term = dg.Term("flux", region, lambda x, u: u.normal_derivative, order=order)
        return dg.Problem(RING, [term])

    with pytest.raises(ValueError, match=r"'flux'.*no normals"):
        dg.solve(problem(dg.Interior(), 1), field, "least-squares", progress=False)
    with pytest.raises(ValueError, match=r"'flux'.*order=1"):
        dg.solve(problem(dg.Boundary(), 0), field, "least-squares", progress=False)


OPERATIONS = {
    "sum": lambda u, v: u + v,
    "with a number": lambda u, v: 2 + u,
    "difference": lambda u, v: u - v,
    "from a number": lambda u, v: 1 - u,
    "product": lambda u, v: u * v,
    "with a tensor": lambda u, v: u * torch.ones(6, 2, dtype=DOUBLE),
    "tensor first": lambda u, v: torch.ones(6, 2, dtype=DOUBLE) * u,
    "quotient": lambda u, v: u / v,
    "over a number": lambda u, v: 1 / u,
    "power": lambda u, v: u**3,
    "negative": lambda u, v: -u,
    "channel": lambda u, v: u[0],
    "last channel": lambda u, v: u[-1],
    "channels": lambda u, v: u[:1],
    "truncated": lambda u, v: u.truncate(1),
    "complex": lambda u, v: u.as_complex(),
    "complex factor": lambda u, v: 1j * u.as_complex(),
    "chain": lambda u, v: ((u[0] * u[1] - 1) / (2 + v[0])).truncate(1),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("held_by", ["first", "second", "both"])
def test_operations_keep_the_normal_of_either_jet(name, held_by):
    x = random_points(6)
    field = make_field(cells=4, basis=dg.BSpline(5), decoder="linear", out=2, channels=2, scale=1e4)
    u, v = field.jet(x, 2) + 1, field.jet(x, 2) + 3
    normal = torch.nn.functional.normalize(random_points(6, seed=1), dim=1)
    one = u.with_normal(normal) if held_by != "second" else u
    other = v.with_normal(normal) if held_by != "first" else v
    if held_by == "second":
        one, other = v.with_normal(normal), u
    result = OPERATIONS[name](one, other)
    assert torch.equal(result.normal, normal)
    expected = OPERATIONS[name](*((v, u) if held_by == "second" else (u, v)))
    torch.testing.assert_close(
        result.normal_derivative,
        torch.einsum("nci,ni->nc", expected.gradient, normal.to(expected.gradient.dtype)),
    )


def test_a_jet_without_normals_takes_them_from_the_other():
    x = random_points(6)
    field = make_field(cells=4, basis=dg.BSpline(5))
    normal = torch.nn.functional.normalize(random_points(6, seed=1), dim=1)
    u = field.jet(x, 1).with_normal(normal)
    factor = dg.Jet.of(lambda x: 1 + x[:, :1] ** 2, x, 1)
    for product in (u * factor, factor * u, factor + u, factor - u, factor / (u + 1)):
        assert torch.equal(product.normal, normal)


@pytest.mark.parametrize("with_data", [False, True])
@pytest.mark.parametrize("points", [None, 40, 100])
def test_normals_and_data_of_given_points_follow_their_choice(with_data, points):
    angle = torch.linspace(0, 6, 40, dtype=DOUBLE)
    x = torch.stack([angle.cos(), angle.sin()], dim=1)
    count = 40 if points is None or points >= 40 else points
    for wanted in (points, 7, 1):
        given = seen(dg.Points(0.5 * x, normal=x), RING, wanted, data=angle if with_data else None)
        count = 40 if wanted is None else min(40, wanted)
        assert len(given[0]) == count
        torch.testing.assert_close(given[1].normal, 2 * given[0], rtol=0, atol=1e-14)
        if with_data:
            torch.testing.assert_close(given[2].cos(), 2 * given[0][:, 0], rtol=0, atol=1e-14)


def test_choice_of_points_with_normals_changes_from_step_to_step():
    angle = torch.linspace(0, 6, 40, dtype=DOUBLE)
    x = torch.stack([angle.cos(), angle.sin()], dim=1)
    term = dg.Term("t", dg.Points(x, x), lambda x, u: u.normal_derivative, order=1, points=7)
    drawn = [term.draw(RING, 0, step, DOUBLE, torch.device("cpu")) for step in (0, 1, 0)]
    assert not torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][0], drawn[2][0])
    for x, numbers in drawn:
        torch.testing.assert_close(x, numbers.normal, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("normal", "message"),
    [
        (torch.ones(3, 2), r"normal must hold unit vectors; divide each by its length"),
        (torch.zeros(3, 2), r"unit vectors"),
        (torch.full((3, 2), torch.nan), r"unit vectors"),
        (torch.ones(2, 2), r"normal is \(2, 2\); pass a tensor of shape \(3, 2\)"),
        ([[1, 0]] * 3, r"normal is list"),
    ],
)
def test_normals_that_are_none_are_refused(normal, message):
    with pytest.raises(ValueError, match=message) as caught:
        dg.Points(torch.zeros(3, 2), normal=normal)
    assert "\n" not in str(caught.value)


def test_normals_are_float32_where_the_field_is():
    term = dg.Term("t", dg.Boundary(), lambda x, u: u.normal_derivative, order=1, points=9)
    for domain in (RING, BOXES[2]):
        x, numbers = term.draw(domain, 0, 0, torch.float32, torch.device("cpu"))
        assert x.dtype == numbers.normal.dtype == torch.float32
