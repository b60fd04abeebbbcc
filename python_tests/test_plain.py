"""Arrays, tensors and numpy's numbers where numbers are expected; classes where instances are."""

import numpy as np
import pytest
import torch

import dinfgrid_cuda as dg

NUMBERS = [[0.0, -1.0], [1.0, 2.0]]
MAKERS = {
    "list": list,
    "array": np.array,
    "single array": lambda values: np.array(values, np.float32),
    "tensor": torch.tensor,
    "numpy's scalars": lambda values: [np.float64(value) for value in values],
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_corners_may_be_arrays_and_tensors(make):
    lower, upper = (make(corner) for corner in NUMBERS)
    box = dg.Box(lower, upper)
    assert box == dg.Box((0.0, -1.0), (1.0, 2.0))
    assert all(type(value) is float for value in (*box.lower, *box.upper))
    grid = dg.FeatureGrid(2, 4, lower=lower, upper=upper)
    assert grid.spec == dg.FeatureGrid(2, 4, lower=(0.0, -1.0), upper=(1.0, 2.0)).spec


@pytest.mark.parametrize("number", [np.float32(0.5), torch.tensor(0.5), np.array(0.5)])
def test_one_number_makes_a_line(number):
    assert dg.Box(0, number) == dg.Box([0.0], [0.5])


@pytest.mark.parametrize("corner", [None, "ab", [None], {}])
def test_corners_that_are_no_numbers_are_refused(corner):
    with pytest.raises((TypeError, ValueError), match="Box: lower") as caught:
        dg.Box(corner, 1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cells", [np.int64(4), np.array([4, 8]), torch.tensor([4, 8])])
def test_cells_may_be_other_libraries_integers(cells):
    spec = dg.FeatureGrid(np.int64(2), cells, channels=np.int64(1), seed=np.int64(0)).spec
    assert spec.cells in ((4, 4), (4, 8))
    assert all(type(count) is int for count in spec.cells)


@pytest.mark.parametrize("whole", [np.int64, np.int32, torch.tensor])
@pytest.mark.parametrize("real", [np.float32, torch.tensor, np.array])
def test_terms_take_other_libraries_numbers(whole, real):
    term = dg.Term(
        "a", dg.Interior(), lambda x, u: u.value, order=whole(2), weight=real(0.5), points=whole(9)
    )
    assert (term.order, term.weight, term.points) == (2, 0.5, 9)
    assert [type(v) for v in (term.order, term.weight, term.points)] == [int, float, int]


@pytest.mark.parametrize("weight", [torch.tensor([1.0, 2.0]), np.array([1.0]), "1", True])
def test_weights_that_are_no_number_are_refused(weight):
    with pytest.raises(TypeError, match="weight is .*it must be a number"):
        dg.Term("a", dg.Interior(), lambda x, u: u.value, weight=weight)


def test_solve_takes_other_libraries_numbers():
    term = dg.Term("a", dg.Interior(), lambda x, u: u.value - 1)
    field = dg.Field(dg.FeatureGrid(1, 4, basis=dg.BSpline(5)))
    solution = dg.solve(
        dg.Problem(dg.Box(-1, 1), [term]),
        field,
        dg.Adam(lr=np.float32(0.01)),
        steps=np.int64(2),
        seed=torch.tensor(1),
        progress=False,
    )
    assert solution.steps == 2


def test_shapes_and_faces_may_be_numpys():
    box = dg.Box([0, 0], [1, 1])
    assert dg.Lattice(np.array([3, 2]))(0, box).shape == (6, 2)
    assert dg.Boundary(((np.int64(0), "lower"),), shape=np.array([3, 2])).sample(0, box).shape == (
        2,
        2,
    )


def grid():
    return dg.FeatureGrid(1, 4)


CLASSES = {
    "Interior": lambda: dg.Term("a", dg.Interior, lambda x, u: u.value),
    "Boundary": lambda: dg.Term("a", dg.Boundary, lambda x, u: u.value),
    "BSpline": lambda: dg.FeatureGrid(1, 4, basis=dg.BSpline),
    "Gaussian": lambda: dg.FeatureGrid(1, 4, basis=dg.Gaussian),
    "LinearDecoder": lambda: dg.Field(grid(), dg.LinearDecoder),
    "BoxConstraint": lambda: dg.Field(grid(), None, dg.BoxConstraint),
    "FeatureGrid": lambda: dg.Field(dg.FeatureGrid),
    "Lattice": lambda: dg.Interior(dg.Lattice),
    "Uniform": lambda: dg.Boundary(None, dg.Uniform),
    "Box": lambda: dg.Problem(dg.Box, []),
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_in_place_of_an_instance_is_told(name):
    with pytest.raises(TypeError, match=rf"the class {name}; pass {name}\(...\), an instance"):
        CLASSES[name]()


@pytest.mark.parametrize(
    ("low", "dtype", "fits"),
    [
        (1e8, torch.float32, False),
        (-1e8, torch.float32, False),
        (1e8, torch.float64, True),
        (1e15, torch.float64, False),
        (100.0, torch.float32, True),
    ],
)
def test_cells_that_the_numbers_cannot_resolve_are_refused(low, dtype, fits):
    def make():
        return dg.FeatureGrid(1, 64, lower=low, upper=low + 1, dtype=dtype)

    if fits:
        assert make().spec.cells == (64,)
        return
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ValueError, match=f"on axis 0 cells are 0.0156 long, but {name} numbers"):
        make()
