"""Damaged checkpoints: every damage is one clear line, whether the checksum agrees or not."""

import hashlib
import json
import random

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers import load
from dinfgrid_cuda.solvers.record import checkpoint as module
from dinfgrid_cuda.solvers.record.checkpoint import CHECKSUM, FILE_NAME, KEY, OLD_FORMATS

safetensors = pytest.importorskip("safetensors")
pytestmark = pytest.mark.usefixtures("one_thread")

BOX = dg.Box([0.0], [1.0])


def problem():
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.value - x, points=16),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value - x),
    ]
    return dg.Problem(BOX, terms)


def make_field():
    return dg.Field(dg.FeatureGrid(1, 8, lower=0.0, upper=1.0, seed=0), dg.LinearDecoder(1, seed=0))


def run(**options):
    return dg.solve(problem(), make_field(), "adam", progress=False, **options)


@pytest.fixture
def written(tmp_path):
    run(steps=3, out=tmp_path)
    return tmp_path / FILE_NAME


def rewrite(path, change=None, tensors=None, checksum=True):
    """Changes the header, or the tensors, of a file, and its checksum along with them."""
    with safetensors.safe_open(path, "pt") as file:
        header = json.loads(file.metadata()[KEY])
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if change is not None:
        change(header)
    if tensors is not None:
        tensors(header, held)
    text = json.dumps(header)
    metadata = {KEY: text}
    if checksum:
        metadata[CHECKSUM] = module._checksum(text, held)
    path.write_bytes(safetensors.torch.save(held, metadata))


def shorten(header, held):
    name = header["history"]["__pairs__"][1][1]["__tensor__"]
    held[name] = held[name][:1]


def spoil(header, held):
    name = header["parameters"]["__pairs__"][0][1]["__tensor__"]
    held[name] = held[name] * float("nan")


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    ("change", "tensors", "message"),
    [
        (lambda h: h.update(method=""), None, "its method has no name"),
        (lambda h: h.update(step=float("inf")), None, "its header cannot be read"),
        (lambda h: h.update(step=-5), None, "it counts -5 steps"),
        (lambda h: h.update(step=10**9), None, "it counts 1000000000 steps, but .* holds 3"),
        (lambda h: h.update(seconds=float("nan")), None, "it counts nan s"),
        (lambda h: h.update(optimizer=nested(900)), None, "nested too deep|no usable state"),
        (None, shorten, "its history holds"),
        (None, spoil, "holds NaN or infinite values"),
    ],
)
@pytest.mark.parametrize("checksum", [True, False])
def test_what_no_checkpoint_can_hold_is_refused(change, tensors, message, checksum, written):
    rewrite(written, change, tensors, checksum)
    with pytest.raises(dg.CheckpointError, match=message if checksum else "checksum") as caught:
        run(steps=5, resume=written)
    assert "\n" not in str(caught.value)


def test_flipped_bits_are_found_wherever_they_are(written):
    whole = written.read_bytes()
    chance = random.Random(0)
    places = [chance.randrange(8 * len(whole)) for _ in range(300)]
    # The safetensors header alone is most of a file as small as this.
    places += [8 * len(whole) - 1 - chance.randrange(8 * 200) for _ in range(50)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        written.write_bytes(damaged)
        with pytest.raises(dg.CheckpointError) as caught:
            load(written)
        assert "\n" not in str(caught.value)
    written.write_bytes(whole)
    assert load(written).step == 3


def test_checksum_is_that_of_header_and_tensors(written):
    with safetensors.safe_open(written, "pt") as file:
        metadata = file.metadata()
        digest = hashlib.sha256(metadata[KEY].encode())
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    assert metadata[CHECKSUM] == digest.hexdigest()


def test_file_of_the_old_format_is_read_but_not_resumed(written):
    def age(header):
        header["format"] = OLD_FORMATS[-1]
        del header["problem"]

    rewrite(written, age, checksum=False)
    saved = load(written)
    assert saved.step == 3
    assert torch.equal(saved.parameters["grid.features"], load(written).parameters["grid.features"])
    with pytest.raises(dg.CheckpointError, match="written by an older version"):
        run(steps=5, resume=written)
