"""Samplers and domains: where the points lie, and that (seed, step) alone decides."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from dinfgrid_cuda.geometry.box import Box, check_faces
from dinfgrid_cuda.geometry.regions import Boundary, Interior, Points
from dinfgrid_cuda.geometry.samplers import Lattice, Sobol, Stratified, Uniform, lattice_shape, mix

BOXES = [Box(0.0, 2.0), Box((-1.0, 3.0), (1.0, 3.5)), Box((0.0,) * 3, (1.0, 2.0, 4.0))]
SAMPLERS = [Uniform(), Stratified(), Sobol(), Lattice(), Lattice(ends=True)]
RANDOM = SAMPLERS[:3]


def inside(x: torch.Tensor, box: Box) -> bool:
    lower, upper = torch.tensor(box.lower).to(x), torch.tensor(box.upper).to(x)
    return bool(((x >= lower) & (x <= upper)).all())


@pytest.mark.parametrize("box", BOXES, ids=repr)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_lie_in_the_box(sampler: Any, box: Box, dtype: torch.dtype) -> None:
    x = sampler(100, box, 1, 2, dtype, "cpu")
    assert x.dtype == dtype
    assert x.shape[1] == box.dim
    assert 64 <= x.shape[0] <= 100
    assert inside(x, box)


@pytest.mark.parametrize("sampler", RANDOM, ids=repr)
def test_seed_and_step_alone_decide(sampler: Any) -> None:
    box = BOXES[1]
    first = sampler(64, box, 3, 7)
    torch.rand(5)
    assert torch.equal(first, sampler(64, box, 3, 7))
    assert not torch.equal(first, sampler(64, box, 3, 8))
    assert not torch.equal(first, sampler(64, box, 4, 7))
    assert not torch.equal(sampler(64, box, 7, 3), first)


@pytest.mark.parametrize("sampler", RANDOM, ids=repr)
def test_drawing_leaves_the_global_generator_alone(sampler: Any) -> None:
    before = torch.random.get_rng_state()
    sampler(64, BOXES[1])
    assert torch.equal(before, torch.random.get_rng_state())


def test_stratified_points_keep_to_their_cells_in_row_major_order() -> None:
    box = BOXES[1]
    x = Stratified((4, 3))(99, box, 5, 6, torch.float64)
    assert x.shape == (12, 2)
    unit = (x - torch.tensor(box.lower)) / torch.tensor(box.lengths)
    cells = (unit * torch.tensor([4, 3])).floor().long()
    expected = [[i, j] for i in range(4) for j in range(3)]
    assert cells.tolist() == expected


@pytest.mark.parametrize(
    ("n", "dim", "shape"),
    [
        (65536, 2, (256, 256)),
        (1000, 2, (32, 31)),
        (7, 1, (7,)),
        (64**3, 3, (64, 64, 64)),
        (100, 3, (5, 5, 4)),
        (1, 3, (1, 1, 1)),
        (3, 4, (2, 1, 1, 1)),
        (80, 4, (3, 3, 3, 2)),
    ],
)
def test_lattice_of_at_most_n_cells(n: int, dim: int, shape: tuple[int, ...]) -> None:
    assert lattice_shape(n, dim) == shape
    assert math.prod(shape) <= n


def test_lattice_points_are_pixel_centres_or_reach_the_faces() -> None:
    box = Box((-1.0, 0.0), (1.0, 3.0))
    centres = Lattice((2, 3))(0, box, dtype=torch.float64)
    assert centres.tolist() == [[a, b] for a in (-0.5, 0.5) for b in (0.5, 1.5, 2.5)]
    ends = Lattice((2, 1), ends=True)(0, box, dtype=torch.float64)
    assert ends.tolist() == [[-1.0, 1.5], [1.0, 1.5]]


def test_uniform_points_fill_the_box_evenly() -> None:
    x = Uniform()(20000, BOXES[1], 0, 0, torch.float64)
    middle = (torch.tensor(BOXES[1].lower) + torch.tensor(BOXES[1].upper)) / 2
    # Standard deviation of the mean of a uniform variable: length / sqrt(12 n); 5 of them.
    allowed = 5 * torch.tensor(BOXES[1].lengths) / math.sqrt(12 * 20000)
    assert ((x.mean(dim=0) - middle).abs() < allowed).all()


def test_sobol_points_fill_every_dyadic_cell() -> None:
    x = Sobol()(256, Box((0.0, 0.0), (1.0, 1.0)), 3, 4, torch.float64)
    cells = (x * 16).floor().long()
    assert torch.unique(cells, dim=0).shape[0] == 256


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_no_points_give_an_empty_batch(sampler: Any) -> None:
    assert sampler(0, BOXES[2]).shape == (0, 3)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("n", [-1, 2.5, True])
def test_bad_counts_are_refused(sampler: Any, n: Any) -> None:
    with pytest.raises(ValueError, match="points were requested"):
        sampler(n, BOXES[0])


@pytest.mark.parametrize("shape", [(4,), (4, 0), (4, 2.0)])
def test_bad_lattice_shapes_are_refused(shape: Any) -> None:
    with pytest.raises(ValueError, match="pass 2 positive integers"):
        Stratified(shape)(10, BOXES[1])


def test_mixed_seeds_differ_and_stay_the_same_everywhere() -> None:
    assert len({mix(a, b) for a in range(50) for b in range(50)}) == 2500
    assert mix(1, 2) != mix(12)
    # The value itself: a resumed run on another machine must draw the same points.
    assert mix(0, 0) == 4481077711173917646


@pytest.mark.parametrize("box", BOXES, ids=repr)
def test_boundary_points_lie_exactly_on_their_faces(box: Box) -> None:
    x = Boundary().sample(60, box, 1, 2, torch.float64)
    on_face = torch.zeros(x.shape[0], dtype=torch.bool)
    for axis in range(box.dim):
        for end in (box.lower[axis], box.upper[axis]):
            hit = x[:, axis] == end
            assert hit.any()
            on_face |= hit
    assert on_face.all()
    assert inside(x, box)
    assert x.shape[0] == (60 if box.dim > 1 else 2)


def test_boundary_points_are_shared_by_area() -> None:
    x = Boundary().sample(500, BOXES[1], 0, 0)
    counts = [int((x[:, 0] == end).sum()) for end in (-1.0, 1.0)]
    # Faces of length 0.5, 0.5, 2 and 2.
    assert counts == [50, 50]
    assert x.shape[0] == 500


def test_boundary_can_be_some_faces_only() -> None:
    box = BOXES[2]
    x = Boundary(faces=((2, "lower"),), sampler=Stratified()).sample(50, box)
    assert (x[:, 2] == 0).all()
    assert x.shape[0] == 49
    both = Boundary(faces=((0, "lower"), (0, "upper"))).sample(9, box, 1, 1)
    lower, upper = both[both[:, 0] == 0], both[both[:, 0] == 1]
    assert {lower.shape[0], upper.shape[0]} == {4, 5}
    assert not torch.equal(lower[:4, 1:], upper[:4, 1:])


@pytest.mark.parametrize(
    "faces", [(), ((0, "left"),), ((2, "lower"),), ((0, "lower"),) * 2, (0,), ((True, "lower"),)]
)
def test_bad_faces_are_refused(faces: Any) -> None:
    with pytest.raises(ValueError, match="faces: "):
        check_faces(faces, 2)


def test_sampler_with_a_shape_puts_it_on_every_face() -> None:
    x = Boundary(sampler=Stratified((10,))).sample(8, BOXES[1])
    assert x.shape == (40, 2)


def test_interior_samples_the_box_by_its_sampler() -> None:
    box = BOXES[1]
    assert torch.equal(Interior().sample(36, box, 1, 2), Stratified()(36, box, 1, 2))
    assert torch.equal(Interior(Sobol()).sample(30, box, 1, 2), Sobol()(30, box, 1, 2))


def test_points_come_back_whole_or_as_a_reproducible_choice() -> None:
    x = torch.arange(20.0).view(10, 2)
    region, box = Points(x), BOXES[1]
    assert torch.equal(region.sample(None, box), x)
    assert torch.equal(region.sample(10, box), x)
    some = region.sample(4, box, 1, 2)
    assert torch.equal(some, region.sample(4, box, 1, 2))
    assert torch.equal(some, x[region.choice(4, 1, 2)])
    assert torch.unique(some, dim=0).shape[0] == 4
    assert region.sample(4, box, 1, 3).tolist() != some.tolist()
    assert region.sample(None, box, dtype=torch.float64).dtype == torch.float64


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[0.0, 1.0]], TypeError, "floating tensor"),
        (torch.zeros(3, 2, dtype=torch.long), TypeError, "int64"),
        (torch.zeros(3), ValueError, "shape"),
        (torch.zeros(0, 2), ValueError, "N > 0"),
        (torch.tensor([[0.0, math.nan], [1.0, 1.0]]), ValueError, "1 of 2 points"),
        (torch.tensor([[0.0, math.inf]]), ValueError, "1 of 1 points"),
    ],
)
def test_bad_points_are_refused(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Points(x)


def test_points_of_another_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match="3-D, but the domain is 2-D"):
        Points(torch.zeros(4, 3)).sample(None, BOXES[1])


@pytest.mark.parametrize(
    ("lower", "upper"),
    [((0.0,), (1.0, 2.0)), ((), ()), (0.0, 0.0), ((0.0, 1.0), (1.0, 0.0)), (0.0, math.inf)],
)
def test_bad_boxes_are_refused(lower: Any, upper: Any) -> None:
    with pytest.raises(ValueError, match="Box: "):
        Box(lower, upper)


def test_box_accepts_lists_as_in_the_manual() -> None:
    box = Box([-1, -1], [1, 2])
    assert box == Box((-1.0, -1.0), (1.0, 2.0))
    assert (box.dim, box.lengths, box.face_measure(0)) == (2, (2.0, 3.0), 3.0)
