"""Published checkpoints -> ONNX files that `everybody run` takes, proven equal to torch.

Names are rewritten to ours, the checkpoint's parameters tell what the name of the network leaves
open (`Model.told`), and every parameter must fit. The file says in its metadata what a row of a
manifest would say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import runtime
from ..atomic import replacing
from ..codecs import make_codec
from ..errors import DataError, ModelError, OptionError, unknown
from ..models.model import State
from ..skeletons import SKELETONS, skeleton
from ..weights.manifest import LONGEST
from . import agreement, checkpoint, export, foreign
from .publications import PUBLICATIONS, Publication

UNKNOWN = "unknown"
COUNTER = "num_batches_tracked"
OTHER_NAME = "give its own --as NAME; a wrong name lists all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint as the network of a publication."""

    path: Path
    name: str
    publication: Publication
    net: nn.Module
    joints: int
    size: tuple[int, int]
    input: Mapping[str, Any]
    codec: Mapping[str, Any]  # a row; {}: has none
    told: Mapping[str, Any]  # by its parameters

    @property
    def answered(self) -> int:
        """The number of joints that come out."""
        return self.told.get("joints_out", self.joints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import wrote: the row of the file, and how far it is from torch."""

    row: dict[str, Any]
    difference: float


def read(
    path: Path, name: str, size: tuple[int, int] | None = None, key: str | None = None
) -> Checkpoint:
    """A checkpoint as the network `name`; size: (width, height) of the crop, None: as told by the
    weights, or the usual; key: of the state dict to take, where there are several. Raises DataError
    and OptionError.
    """
    if name not in PUBLICATIONS:
        raise unknown("network to import", name, PUBLICATIONS)
    publication = PUBLICATIONS[name]
    if path.suffix == ".safetensors" or foreign.is_safetensors(path):
        if key is not None:
            raise OptionError(f"--key {key}: {path} holds one state dict only; leave --key out")
        theirs = foreign.unwrapped(checkpoint.read_weights(path)[0])
    else:
        theirs = foreign.read(path, key)
    ours = _ours(theirs, publication, path)

    of_weights = publication.model.numbers_in(ours).get("size")
    size = _size(size or of_weights or publication.size, publication, name)
    shape = _shape(ours, publication, size)
    ours = _without_unused_counters(ours, shape)
    try:
        _fit(shape.wanted, ours, theirs, name, path)
    except DataError as error:
        if of_weights and size != of_weights:
            raise OptionError(
                f"{path}: these weights are of inputs of {of_weights[0]}x{of_weights[1]}, not "
                f"{size[0]}x{size[1]}: leave --input-size out"
            ) from error
        raise DataError(f"{error}; {_what_to_do(name, shape.wanted, ours, size)}") from error
    _demand_numbers(shape.wanted, ours, theirs, path)

    net = publication.model.build(shape.joints, shape.codec, **shape.told)
    net.load_state_dict(net.state_dict() | ours)
    return Checkpoint(
        path=path,
        name=name,
        publication=publication,
        net=net.eval(),
        joints=shape.joints,
        size=size,
        input=publication.fed_with(theirs),
        codec=shape.row,
        told=shape.told,
    )


class Shape(NamedTuple):
    """What a publication's network is for a state: as many joints, as deep and wide as it tells."""

    joints: int
    row: Mapping[str, Any]  # of the codec; {}: has none
    codec: Any
    told: Mapping[str, Any]
    wanted: State  # without data


def _shape(ours: State, publication: Publication, size: tuple[int, int]) -> Shape:
    model = publication.model
    told = model.numbers_in(ours)
    told.pop("size", None)
    row = {**model.codec, **told.pop("codec", {})}
    codec = make_codec(row, size) if row else None
    joints = max(model.joints_in(ours, codec, **told), 0) or 17
    with torch.device("meta"):  # no numbers are drawn for what may not fit
        wanted = model.build(joints, codec, **told).state_dict()
    return Shape(joints, row, codec, told, wanted)


def onnx(
    found: Checkpoint,
    out: Path,
    *,
    skeleton: str | None = None,
    licence: str = UNKNOWN,
    origin: str = UNKNOWN,
) -> Imported:
    """Write the ONNX file. Raises OptionError for a skeleton of other joints, DataError for weights
    whose answer is NaN, ModelError if the file differs from torch; nothing is written then.
    """
    publication, model = found.publication, found.publication.model
    row: dict[str, Any] = dict(publication.said)
    if publication.skeleton and (joints := skeleton_of(found, skeleton)):
        row["skeleton"] = joints
    if found.codec:
        row["codec"] = dict(found.codec)
    row |= {"input": {"size": found.size, **found.input}, "licence": licence, "origin": origin}
    row |= {"paper": publication.paper} if publication.paper else {}

    examples = publication.examples(found.net, found.joints, found.size)
    with torch.no_grad():
        answer = export.Answer(found.net, model)(examples.other)
    if any(part.isnan().any() for part in answer):
        raise DataError(f"{found.path}: answers with NaN: its weights are broken; fetch it again")

    with replacing(out) as part:
        export.write(
            found.net, model, examples.example, examples.dynamic, part,
            optimise=publication.optimise,
        )  # fmt: skip
        export.lean(part, row)
        difference = publication.difference(found.net, examples.other, part)
        agreement.demand_close(difference, out)
    written = {"file": out.name, "sha256": runtime.sha256(out), "bytes": out.stat().st_size}
    return Imported(row=row | written, difference=difference)


def reheaded(found: Checkpoint, out: Path, name: str, about: dict[str, str]) -> list[str]:
    """Write the weights as safetensors for the joints of another skeleton, to start training from
    (`--set start=OUT`): parameters that depend on the joints are new. Returns their names.
    """
    model = found.publication.model
    codec = make_codec(found.codec, found.size) if found.codec else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = model.build(len(skeleton(name)), codec, **found.told)
    old, state = found.net.state_dict(), net.state_dict()
    kept = {key: old[key] for key, value in state.items() if old[key].shape == value.shape}
    checkpoint.save_weights(out, state | kept, {"skeleton": name, **about})
    return [key for key in state if key not in kept]


def skeleton_of(found: Checkpoint, given: str | None) -> str | None:
    """The name of the skeleton that a checkpoint's joints are: the given one, the usual one of its
    network, or the only one of as many joints; None for lifters of other joints, which are for
    Python, where they need no name. Raises OptionError.
    """
    fitting = [name for name, known in SKELETONS.items() if len(known) == found.answered]
    usual = found.publication.skeleton
    if given is None and usual in fitting:
        return usual
    if given is None and len(fitting) == 1:
        return fitting[0]
    if given is not None and len(skeleton(given)) == found.answered:
        return given
    if given is None and found.publication.said["task"] == "lift":
        return None

    has = f"{found.path}: has {found.answered} joints"
    known = f"skeletons of {found.joints}: {', '.join(fitting) or 'none'}"
    if given is None:
        raise OptionError(f"{has}: say which with --skeleton ({known})")
    raise OptionError(
        f"{has}, skeleton '{given}' has {len(skeleton(given))} ({known}). To teach it the other "
        f"joints, give it a new head: add --re-head and -o FILE.safetensors, then train with "
        f"--set model={found.name} --set start=FILE.safetensors"
    )


def _ours(theirs: State, publication: Publication, path: Path) -> State:
    """A published state by our names."""
    if publication.model.published is None:
        return theirs
    try:
        return publication.model.published(theirs)
    except ModelError as error:
        found = ", ".join(f"'{name}'" for name in list(theirs)[:3])
        raise DataError(f"{path}: {error}; found {found}, …; {OTHER_NAME}") from error


def _without_unused_counters(state: State, shape: Shape) -> State:
    """Counters are of no use to a trained network; some networks have none."""
    return {k: v for k, v in state.items() if k in shape.wanted or not k.endswith(COUNTER)}


def _what_to_do(name: str, wanted: State, ours: State, size: tuple[int, int]) -> str:
    """For weights that do not fit `name`: which networks of the same kind they fit."""
    mine, fitting = PUBLICATIONS[name], []
    if 2 * len(ours.keys() & wanted.keys()) < min(len(ours), len(wanted)):
        return OTHER_NAME
    for other, publication in PUBLICATIONS.items():
        same_names = publication.model.published is mine.model.published
        alike = mine.model.published is not None or publication.paper == mine.paper
        if other != name and same_names and alike:
            shape = _shape(ours, publication, size)
            if _differing(shape.wanted, _without_unused_counters(ours, shape)) == (None, None):
                fitting.append(other)
    return f"its parameters fit --as {' or '.join(fitting)}" if fitting else OTHER_NAME


def _size(size: tuple[int, int], publication: Publication, name: str) -> tuple[int, int]:
    """The crop's (width, height), if the network takes it."""
    step = publication.step
    if any(side < step or side % step or side > LONGEST for side in size):
        raise OptionError(
            f"--input-size {size[0]}x{size[1]}: {name} takes sides that are multiples of {step} "
            f"up to {LONGEST}, as {publication.size[0]}x{publication.size[1]}"
        )
    return size


def _fit(wanted: State, state: State, theirs: State, name: str, path: Path) -> None:
    """Raises DataError that names the first parameters that differ, as the network expects them and
    as the file has them. Counters may be missing.
    """
    published = {id(value): key for key, value in theirs.items()}

    def shown(key: str, value: Tensor) -> str:
        return f"'{published.get(id(value), key)}' {list(value.shape)}"

    missing, more = _differing(wanted, state)
    if missing is None and more is None:
        return
    expected = f"'{missing}' {list(wanted[missing].shape)}" if missing else "nothing more"
    found = shown(more, state[more]) if more else "nothing by that name"
    raise DataError(
        f"{path}: of another architecture than {name}: expected {expected}, found {found}"
    )


def _differing(wanted: State, state: State) -> tuple[str | None, str | None]:
    """The first name of `wanted` whose shape a state has otherwise, twice; or the first that it
    lacks and the first that it has more. Counters may be missing.
    """
    for key, value in wanted.items():
        if key in state and state[key].shape != value.shape:
            return key, key
    missing = next((k for k in wanted if k not in state and not k.endswith(COUNTER)), None)
    return missing, next((k for k in state if k not in wanted), None)


def _demand_numbers(wanted: State, state: State, theirs: State, path: Path) -> None:
    """Raises DataError for a parameter that is sparse, quantised, without data or not finite."""
    published = {id(value): key for key, value in theirs.items()}
    for key, value in state.items():
        name = published.get(id(value), key)
        plain = value.layout == torch.strided and not (value.is_quantized or value.is_meta)
        if not plain or value.is_floating_point() != wanted[key].is_floating_point():
            raise DataError(
                f"{path}: '{name}' holds {value.dtype} ({value.layout}, on {value.device}), "
                "expected plain floating numbers: save the state dict so"
            )
        if not value.isfinite().all():
            raise DataError(
                f"{path}: '{name}' holds NaN or infinite numbers: fetch the file again, or give a "
                "checkpoint from before training went wrong"
            )


def table(name: str, row: Mapping[str, Any]) -> str:
    """A row as a table of a manifest, in TOML."""
    key = name if re.fullmatch(r"[\w-]+", name, re.ASCII) else _toml(name)
    return "\n".join([f"[model.{key}]", *(f"{k} = {_toml(v)}" for k, v in row.items()), ""])


def _toml(value: Any) -> str:
    """A value of a row in TOML."""
    return _WRITTEN[type(value)](value)


def _text(value: str) -> str:
    """A basic string of TOML; halves of characters, as of bytes that are no text, become "?"."""
    escaped = (
        c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}"
        for c in value.encode("utf-8", "replace").decode()
    )
    return f'"{"".join(escaped)}"'


def _list(values: Any) -> str:
    return f"[{', '.join(map(_toml, values))}]"


def _inline(values: Mapping[str, Any]) -> str:
    return f"{{ {', '.join(f'{k} = {_toml(v)}' for k, v in values.items())} }}"


_WRITTEN: dict[type, Any] = {
    str: _text,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: repr,
    list: _list,
    tuple: _list,
    dict: _inline,
}
