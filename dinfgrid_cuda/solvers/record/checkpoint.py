"""Checkpoints: one safetensors file, written atomically, read without executing code."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.solvers.errors import CheckpointError

from .atomic import FILE_NAME as FILE_NAME  # read here by many
from .atomic import clear_abandoned
from .atomic import write_atomically as write_atomically
from .history import History

TENSOR, PAIRS, TUPLE = "__tensor__", "__pairs__", "__tuple__"


class UnsavableError(TypeError):
    """A checkpoint cannot hold a value; ``what`` describes it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"checkpoint: cannot store {what}.")
        self.what = what


def pack(tree: Any, prefix: str, tensors: dict[str, Tensor]) -> Any:
    """``tree`` as JSON-ready data; its tensors go into ``tensors`` under ``prefix/number``.

    Raises:
        UnsavableError: for a leaf that is no number, string, bool, None or real tensor, and for a
            key of a dict that is neither a number nor a string.
    """
    if isinstance(tree, Tensor):
        if tree.is_complex():
            raise UnsavableError("a complex tensor")
        name = f"{prefix}/{len(tensors)}"
        tensors[name] = tree.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        return {TENSOR: name}
    if isinstance(tree, dict):
        for key in tree:
            if not isinstance(key, (str, int, float)):
                raise UnsavableError(f"the key {key!r}")
        pairs = [[key, pack(value, prefix, tensors)] for key, value in tree.items()]
        return {PAIRS: pairs}  # pairs, because JSON would turn integer keys into strings
    if isinstance(tree, (list, tuple)):
        items = [pack(value, prefix, tensors) for value in tree]
        return items if isinstance(tree, list) else {TUPLE: items}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise UnsavableError(f"a {type(tree).__name__}")


def unpack(data: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `pack`.

    Raises:
        KeyError, TypeError, ValueError: if ``data`` was not made by `pack`.
    """
    if isinstance(data, dict):
        if TENSOR in data:
            return tensors[data[TENSOR]]
        if TUPLE in data:
            return tuple(unpack(value, tensors) for value in data[TUPLE])
        return {key: unpack(value, tensors) for key, value in data[PAIRS]}
    if isinstance(data, list):
        return [unpack(value, tensors) for value in data]
    return data


FORMAT = "dinfgrid_cuda checkpoint 3"
# Read for prediction, not resumed: 2 holds other states, 1 neither a checksum nor what tells
# problems apart.
OLD_FORMATS = ("dinfgrid_cuda checkpoint 2", "dinfgrid_cuda checkpoint 1")
KEY, CHECKSUM = "dinfgrid_cuda", "sha256"


@dataclass
class Checkpoint:
    """Holds all that a solve needs to go on as if it had never stopped.

    Attributes:
        method: of the optimizer.
        seed: of the collocation points.
        settings: of optimizer and grid, each as its repr; the same in a solve that resumes.
        step: steps completed.
        seconds: spent on them.
        parameters: of the field, by name (its whole state_dict).
        optimizer: nested state of numbers and tensors.
        history: the record so far.
        extra: JSON data of the caller, such as the name of the problem and its options.
        unknowns: the problem's own parameters, by name.
        problem: what tells the problem from others, see `fingerprint`.
        resumable: False for files of an older version.
    """

    method: str
    seed: int
    settings: dict[str, str]
    step: int
    seconds: float
    parameters: dict[str, Tensor]
    optimizer: Any
    history: History
    extra: dict[str, Any] = field(default_factory=dict)
    unknowns: dict[str, Tensor] = field(default_factory=dict)
    problem: dict[str, dict[str, Any]] = field(default_factory=dict)
    resumable: bool = True


def prepare_folder(folder: str | os.PathLike[str]) -> Path:
    """Creates ``folder`` if it is absent and proves that checkpoints can be written in it.

    What killed runs have left half written there is deleted.

    Raises:
        CheckpointError: if not, or if safetensors is not installed.
    """
    _safetensors()
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        clear_abandoned(path)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"\0")
            file.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(f"cannot write to the folder {path}: {reason}.") from error
    return path


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint file.

    Raises:
        CheckpointError: if it cannot be written, or a parameter is NaN or infinite.
    """
    for name, tensor in checkpoint.parameters.items():
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path} was not written: {name} holds NaN or infinite values.")
    try:
        contents = _contents(checkpoint)
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} was not written: {error}") from error
    write_atomically(path, contents)


def _contents(checkpoint: Checkpoint) -> bytes:
    """The bytes of a checkpoint file."""
    tensors: dict[str, Tensor] = {}
    header = {
        "format": FORMAT,
        "method": checkpoint.method,
        "seed": checkpoint.seed,
        "settings": checkpoint.settings,
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "parameters": pack(checkpoint.parameters, "field", tensors),
        "unknowns": pack(checkpoint.unknowns, "problem", tensors),
        "optimizer": pack(checkpoint.optimizer, "optimizer", tensors),
        "names": list(checkpoint.history.names),
        "history": pack(checkpoint.history.tensors(), "history", tensors),
        "extra": checkpoint.extra,
        "problem": checkpoint.problem,
    }
    text = json.dumps(header)
    metadata = {KEY: text, CHECKSUM: _checksum(text, tensors)}
    contents: bytes = _safetensors().save(tensors, metadata)
    return contents


def _checksum(header: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the header and of all tensors (on the CPU) with their names, dtypes and shapes."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint file; tensors are on the CPU.

    Raises:
        CheckpointError: if the file is absent, damaged or not a checkpoint of this package.
    """
    header, tensors = _read(Path(path))
    try:
        if header["format"] not in (FORMAT, *OLD_FORMATS):
            raise CheckpointError(
                f"{path} has the format {header['format']!r}, but this version reads {FORMAT!r}."
            )
        checkpoint = Checkpoint(
            method=str(header["method"]),
            seed=int(header["seed"]),
            settings=dict(header["settings"]),
            step=int(header["step"]),
            seconds=float(header["seconds"]),
            parameters=unpack(header["parameters"], tensors),
            optimizer=unpack(header["optimizer"], tensors),
            history=History.from_tensors(
                tuple(header["names"]), unpack(header["history"], tensors)
            ),
            extra=dict(header["extra"]),
            unknowns=unpack(header["unknowns"], tensors) if "unknowns" in header else {},
            problem=dict(header.get("problem", {})),
            resumable=header["format"] == FORMAT,
        )
        fault = _fault(checkpoint)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{path} is damaged: its header cannot be read ({reason})."
        ) from error
    except RecursionError as error:
        raise CheckpointError(f"{path} is damaged: its header is nested too deep.") from error
    if fault:
        raise CheckpointError(f"{path} is damaged: {fault}.")
    return checkpoint


def _fault(checkpoint: Checkpoint) -> str:
    """What no checkpoint of this package can hold, in words, or ""."""
    history, step = checkpoint.history, checkpoint.step
    lengths = {len(column) for column in history.columns}
    if not checkpoint.method:
        return "its method has no name"
    if step < 0 or lengths != {step}:
        return f"it counts {step} steps, but its history holds {', '.join(map(str, lengths))}"
    if not 0 <= checkpoint.seconds < math.inf:
        return f"it counts {checkpoint.seconds} s"
    for name, tensor in [*checkpoint.parameters.items(), *checkpoint.unknowns.items()]:
        if not bool(tensor.isfinite().all()):
            return f"{name} holds NaN or infinite values"
    return ""


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    safetensors = _safetensors()
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}.")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                raise CheckpointError(f"{path} is no checkpoint of dinfgrid_cuda.")
            text = metadata[KEY]
            header = json.loads(text)
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint; it is truncated or another kind of file "
            f"({' '.join(str(error).split())})."
        ) from error
    except RecursionError as error:
        raise CheckpointError(f"{path} is damaged: its header is nested too deep.") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is damaged: its header is no JSON object.")
    needed = header.get("format") != OLD_FORMATS[-1] or CHECKSUM in metadata
    if needed and metadata.get(CHECKSUM) != _checksum(text, tensors):
        raise CheckpointError(
            f"{path} is damaged: its content does not agree with its checksum; take an older copy, "
            "or start again."
        )
    return header, tensors


def restore_parameters(field: nn.Module, checkpoint: Checkpoint, where: str) -> None:
    """Puts the checkpoint's parameters into a field of the same shapes and dtypes.

    Raises:
        CheckpointError: if the field differs.
    """
    own, saved = (
        {name: f"{tuple(t.shape)} {t.dtype}".replace("torch.", "") for name, t in state.items()}
        for state in (field.state_dict(), checkpoint.parameters)
    )
    if own != saved:
        differing = sorted(
            name for name in own.keys() | saved.keys() if own.get(name) != saved.get(name)
        )
        name = differing[0]
        raise CheckpointError(
            f"{where} belongs to another field: {name} is {saved.get(name, 'absent')} there and "
            f"{own.get(name, 'absent')} here."
        )
    field.load_state_dict(checkpoint.parameters)


class _Safetensors:
    """The parts of safetensors that are used here."""

    def __init__(self) -> None:
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import save as to_bytes

        self.SafetensorError, self.safe_open, self.save = SafetensorError, safe_open, to_bytes


def _safetensors() -> _Safetensors:
    try:
        return _Safetensors()
    except ImportError as error:
        raise CheckpointError(
            "checkpoints need the package safetensors; install it with: pip install safetensors"
        ) from error
