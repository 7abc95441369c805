"""Checkpoints: a folder per step, written whole or not at all, in parts if asked for; and plain
weights.

    OUT/checkpoints/00001000/index.json, 000.part, 001.part, …

The folder appears by a rename once everything is in it. So a full disk or a kill leaves the
checkpoint before it as it was.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from .. import runtime, typed
from ..atomic import replacing
from ..errors import DataError, ModelError
from ..models.model import Model
from ..weights import fetch, manifest
from . import foreign
from .about import PEOPLE, About
from .transfer import demand_joints, transferred

KEEP = 2
INDEX = "index.json"
BOX_AND_THING = 5  # numbers of a cell of YOLOX before its categories


class Index(msgspec.Struct):
    """What INDEX says of a checkpoint."""

    parts: int
    sha256: str


def save(folder: Path, step: int, state: dict[str, Any], *, part: float = 0.0) -> Path:
    """State (tensors and plain values) of a step into `folder`; parts of at most `part` MiB (0:
    one). The older ones but `KEEP` go. Raises OutputError.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    length = int(part * 2**20) or len(content)
    with replacing(folder / f"{step:08}") as partial:
        partial.mkdir()
        pieces = [content[i : i + length] for i in range(0, len(content), length)]
        for number, piece in enumerate(pieces):
            (partial / f"{number:03}.part").write_bytes(piece)
        index = {"step": step, "parts": len(pieces), "sha256": hashlib.sha256(content).hexdigest()}
        (partial / INDEX).write_text(json.dumps(index))
    for old in steps(folder)[:-KEEP]:
        shutil.rmtree(folder / f"{old:08}", ignore_errors=True)
    return folder / f"{step:08}"


def steps(folder: Path) -> list[int]:
    """The steps that have a complete checkpoint in `folder`, in order."""
    return sorted(
        int(path.parent.name) for path in folder.glob(f"*/{INDEX}") if path.parent.name.isdecimal()
    )


def load(folder: Path, step: int) -> dict[str, Any]:
    """The state saved at a step. Raises DataError if it is damaged."""
    place = folder / f"{step:08}"
    index = typed.decode(typed.read_bytes(place / INDEX), Index, place / INDEX)
    try:
        content = b"".join(
            (place / f"{number:03}.part").read_bytes() for number in range(index.parts)
        )
    except OSError as error:
        raise DataError(
            f"{place}: a part is missing ({error.filename}); remove it to use the checkpoint before"
        ) from error
    if hashlib.sha256(content).hexdigest() != index.sha256:
        raise DataError(f"{place}: its checksum is wrong; remove it to use the checkpoint before")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def save_weights(path: Path, weights: dict[str, Tensor], about: dict[str, str]) -> None:
    """Weights as safetensors, with what they are about (recipe, step, scores)."""
    with replacing(path) as part:
        # Not safetensors' save_file: what it writes only its owner may read.
        part.write_bytes(
            save_tensors(
                {name: value.detach().cpu().contiguous() for name, value in weights.items()}, about
            )
        )


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """safetensors -> the tensors, and what the file is about. Raises DataError."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a safetensors file ({error})") from error


def load_weights(path: Path, net: nn.Module, model: Model | None = None) -> dict[str, str]:
    """Fill a network from a file; returns what the file is about.

    The file is safetensors, or, as far as the network's `model` row can read it, a checkpoint with
    published parameter names (.pth, .pt, .safetensors), a public ONNX file, or an ONNX file that
    `everybody export` wrote. Raises DataError or ModelError for another architecture.
    """
    state, about = read_state(path, net, model)
    fit(net, state, str(path))
    net.load_state_dict(state)
    return about


def read_state(path: Path, net: nn.Module, model: Model | None) -> Found:
    """The numbers of a file that `load_weights` takes, by our names."""
    read = READERS.get(path.suffix, of_safetensors)
    try:
        return read(path, net, model)
    except (KeyError, IndexError) as error:
        raise DataError(
            f"{path}: of another architecture, or other joints, than {type(net).__name__}"
        ) from error


Found = tuple[dict[str, Tensor], dict[str, str]]  # a state, and what the file is about


def of_safetensors(path: Path, net: nn.Module, model: Model | None) -> Found:
    """Numbers by our names, or by published ones."""
    state, about = read_weights(path)
    return renamed(state, net, model, path), about


def of_pickle(path: Path, net: nn.Module, model: Model | None) -> Found:
    """A checkpoint of torch; no code in it is run."""
    return renamed(foreign.read(path), net, model, path), {}


def of_onnx(path: Path, net: nn.Module, model: Model | None) -> Found:
    """The numbers of an ONNX file that `everybody export` wrote, or of a public one."""
    numbers = exported(path) if model and (model.read or model.restore) else None
    if model is None or (numbers is None and model.read is None):
        raise DataError(
            f"{path}: {type(net).__name__} starts from safetensors of `everybody train`, "
            "not from this ONNX file"
        )
    names = net.state_dict().keys()
    whole = numbers is not None and names <= numbers.keys()  # else normalisation is folded away
    if numbers is not None and model.restore is not None and not whole:
        return model.restore(net, numbers), {}
    if model.read is not None and not whole:
        return model.read(net, path), {}
    assert numbers is not None
    return {name: numbers[name] for name in names}, {}


READERS = {".onnx": of_onnx, **dict.fromkeys((".pth", ".pt", ".bin", ".tar"), of_pickle)}


def renamed(
    state: dict[str, Tensor], net: nn.Module, model: Model | None, path: Path
) -> dict[str, Tensor]:
    """A state by our names, of one that may have published names. Raises DataError for others."""
    if model is None or model.published is None or state.keys() == net.state_dict().keys():
        return state
    try:
        return model.published(state)
    except ModelError as error:
        raise DataError(f"{path}: {error}") from error


def exported(path: Path) -> dict[str, Tensor] | None:
    """The numbers in an ONNX file of `everybody export`, in float32 by their names in the network;
    None for files of others. Raises ModelError.
    """
    import onnx

    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's own classes have no common base
        raise ModelError(f"{path}: not an ONNX file ({error})") from error
    if runtime.ABOUT not in {prop.key for prop in model.metadata_props}:
        return None
    return {
        value.name.removeprefix("net.").removesuffix("_half"): torch.tensor(
            onnx.numpy_helper.to_array(value)
        ).float()
        for value in model.graph.initializer
    }


def start(
    name: str,
    net: nn.Module,
    model: Model | None = None,
    *,
    speaks_of: Sequence[str] = (),
    codec: Any = None,
) -> None:
    """Fill a network from a file, or from the manifest's model of that name.

    speaks_of: the joints or categories that the network answers for. Where the file is known to
    speak of others, what is shared is taken over (`transfer.py`); `codec` builds its network.
    Raises ModelError for what is not there, and what `load_weights` raises.
    """
    path = Path(name)
    if not path.suffix:
        path = fetch.resolve(fetch.row(name))
    theirs = spoken(path, model)
    if model is None or not theirs or not speaks_of or tuple(theirs) == tuple(speaks_of):
        state, _ = read_state(path, net, model)
        try:
            fit(net, state, str(path))
        except DataError:
            if model is not None and speaks_of:
                demand_joints(state, model, len(speaks_of), codec, path)
            raise
        net.load_state_dict(state)
        return
    other = model.build(len(theirs), codec)
    load_weights(path, other, model)
    fresh = net.state_dict()
    net.load_state_dict(transferred(other.state_dict(), fresh, theirs, speaks_of))


def spoken(path: Path, model: Model | None) -> tuple[str, ...]:
    """The joints of a pose model, or the categories of a detector, as its row, its own metadata or
    a run says; () if none does.
    """
    kind = "" if model is None else model.kind
    if path.suffix == ".safetensors":
        told = read_weights(path)[1]
        return About.of_dict(told, path).named_by(kind) if "skeleton" in told else ()
    if path.suffix != ".onnx" or not path.is_file():
        return ()
    checksum = runtime.sha256(path)
    rows = [row for row in manifest.load()[0].values() if row.sha256 == checksum]
    row = rows[0] if rows else manifest.told(metadata(path), path)
    if row is None:
        return ()
    if kind == "pictures":
        return _answered(path, row)
    # Of a file of two heads, a network of two heads takes both.
    answers = [row, *(row.asked(name) for name in row.also)] if kind == "more" else [row]
    return max((answer.joints for answer in answers), key=len)


def _answered(path: Path, row: manifest.Row) -> tuple[str, ...]:
    """The categories that a detector's file answers for, by their places; "" for those that its row
    does not name.
    """
    import onnx

    if not row.categories:
        return PEOPLE
    shapes = [
        [axis.dim_value for axis in output.type.tensor_type.shape.dim]
        for output in onnx.load(path, load_external_data=False).graph.output
    ]
    count = shapes[0][2] - BOX_AND_THING if row.layout == "yolox" else shapes[-1][1]
    names = [""] * max(count, *(place + 1 for place in row.categories.values()))
    for name, place in row.categories.items():
        names[place] = name
    return tuple(names)


def metadata(path: Path) -> dict[str, str]:
    """What an ONNX file says of itself. Raises ModelError for other files."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own classes have no common base
        raise ModelError(f"{path}: not an ONNX file ({error})") from error
    return {prop.key: prop.value for prop in model.metadata_props}


def as_started(name: str, net: nn.Module, model: Model | None = None) -> nn.Module:
    """A frozen copy of a network, filled as `start` does: a teacher of what it becomes."""
    teacher = copy.deepcopy(net).eval().requires_grad_(False)
    start(name, teacher, model)
    return teacher


def load_matching(path: Path, net: nn.Module) -> None:
    """Fill those parameters of a network that have the same name and shape in safetensors. Raises
    DataError if none has.
    """
    weights, _ = read_weights(path)
    mine = net.state_dict()
    same = {
        name: value
        for name, value in weights.items()
        if name in mine and mine[name].shape == value.shape
    }
    if not same:
        raise DataError(
            f"{path}: has nothing in common with {type(net).__name__}: give weights of its kind"
        )
    net.load_state_dict(same, strict=False)


def fit(net: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Raises DataError that names the first parameter in which weights differ from a network's."""
    wanted = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    for key in [*wanted, *found]:
        if wanted.get(key) != found.get(key):
            raise DataError(
                f"{name}: of another architecture than {type(net).__name__}: '{key}' is "
                f"{found.get(key, 'missing')}, expected {wanted.get(key, 'none')}; "
                "choose its own recipe, or another folder"
            )
