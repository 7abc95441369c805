"""The manifest: what everybody knows of each model, as typed rows read from TOML.

A row is data: task, file, checksum and licence, and how to speak to the network (input size,
normalisation, output layout or codec, skeleton). Users add rows with a `manifest.toml` in a folder
that EVERYBODY_WEIGHTS names.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from .. import skeleton_file
from ..codecs import PICTURE_CODECS, make_codec, make_people_codec
from ..errors import ModelError, OptionError, unknown
from ..inputs import Input
from ..runtime import ABOUT
from ..skeletons import Skeleton, mapping
from ..typed import convert, decode

T = TypeVar("T")

HERE = Path(__file__).parent
LONGEST = 8192  # pixels of the longer side of an input


@dataclass(frozen=True, slots=True, kw_only=True)
class Also:
    """What else a file answers: the name of the output, and whose joints it speaks of."""

    output: str
    skeleton: str | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model of the manifest."""

    name: str
    task: str
    file: str  # a plain name: it stays in the folder of the weights
    input: Input
    licence: str
    sha256: str = ""
    bytes: int = 0
    url: str = ""
    member: str = ""
    bundled: bool = False
    verified: bool = False
    paper: str = ""
    origin: str = ""
    layout: str = ""  # detectors
    method: str = ""  # models that are a whole method: its name in `methods.METHODS`
    nms: float = 0.6
    # Detectors of more than people: their names, and the place of each in the file's answers.
    categories: Mapping[str, int] = field(default_factory=dict)
    # SPPEs: the name of a known skeleton, or one of the file's own (`skeleton_file.told`).
    skeleton: str | Mapping[str, Any] = ""
    codec: Mapping[str, Any] = field(default_factory=dict)  # also of whole methods that we trained
    output: str = ""  # of a file that has several
    also: Mapping[str, Also] = field(default_factory=dict)  # by the skeleton that is asked for
    padding: float = 1.25
    region: float = 1.25  # SSTNs: padding of the person's box to the region that they find

    def asked(self, skeleton: str | None) -> Row:
        """The row of what the file answers to who asks for a skeleton: its own where it knows no
        better.
        """
        return (self.answering(skeleton) if skeleton else None) or self

    def answering(self, skeleton: str) -> Row | None:
        """The row of the answer from which a skeleton follows: the one that `also` names so, else
        the first that lacks least of it. None where too much of it would be missing.
        """
        if not self.skeleton:
            return None
        answers = {also: self._also(also) for also in self.also}
        if skeleton in answers:
            return answers[skeleton]
        wanted = skeleton_file.chosen(skeleton)
        tables = [(row, mapping(row.finds, wanted)) for row in (self, *answers.values())]
        row, table = min(tables, key=lambda one: len(one[1].missing))
        return row if table.nearly_whole else None

    def _also(self, skeleton: str) -> Row:
        also = self.also[skeleton]
        return replace(self, output=also.output, skeleton=also.skeleton)

    @property
    def finds(self) -> Skeleton:
        """The joints of an SPPE. Raises OptionError for models of other things."""
        return skeleton_file.of_data(self.skeleton, self.file)

    @property
    def skeleton_name(self) -> str:
        """What its joints are called together; "" for models of other things."""
        own = self.skeleton
        return own if isinstance(own, str) else str(own.get("name", ""))

    @property
    def joints(self) -> tuple[str, ...]:
        """The joints of an SPPE; () for models of other things."""
        return self.finds.joints if self.skeleton else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A detector and a pose model that go together, by their names in the manifest, or by the names
    of files that lie beside it and say what they are.
    """

    detector: str
    pose: str
    det_size: tuple[int, int] | None = None  # width, height; None: the detector's own
    turns: bool = (
        True  # the search for people who lie or hang helps; else all are looked at upright
    )


def _detector(row: Row) -> None:
    if row.layout not in PICTURE_CODECS:
        raise unknown("layout", row.layout, PICTURE_CODECS)
    if any(place < 0 for place in row.categories.values()):
        raise OptionError("categories: the places in a file's answers count from 0")


def _pose(row: Row) -> None:
    skeleton_file.of_data(row.skeleton, "skeleton")
    for name, also in row.also.items():
        skeleton_file.chosen(name)
        skeleton_file.of_data(also.skeleton, f"also.{name}")
    make_codec(row.codec, row.input.size)


def _people(row: Row) -> None:
    """What published files of a method mean, the method knows."""
    if row.codec:
        make_people_codec(row.codec)


def _part(row: Row) -> None:
    """An imported network of a part may not say how its answers are read."""
    if row.skeleton:
        _pose(row)


def _as_it_is(row: Row) -> None:
    """Nothing more to demand."""


# What a row must say, by its task. Raises OptionError.
TASKS: dict[str, Callable[[Row], None]] = {
    "detector": _detector,
    "pose": _pose,
    "people": _people,
    "aligner": _as_it_is,  # alignment points of people, before BlazePose
    "turn": _as_it_is,
    "sstn": _as_it_is,
    "embedding": _as_it_is,
    "part": _part,  # joints of a hand or a face in its crop
    "lift": _as_it_is,  # poses of a clip in 2D -> 3D; its input's size: joints, frames
}


def _table(data: Any, kind: type[T], place: str, **more: Any) -> T:
    """A table as a value of a dataclass, some fields of which are given. Raises ModelError that
    names the place, for keys that it does not know, too.
    """
    table: dict[str, Any] = convert(data, dict[str, Any], place, ModelError)
    known = sorted({f.name for f in fields(kind)} - set(more))  # type: ignore[arg-type]
    if foreign := sorted(set(table) - set(known)):
        raise ModelError(f"{place}: {unknown('key', foreign[0], known)}")
    return convert({**table, **more}, kind, place, ModelError)


def _row(name: str, data: Any, where: str) -> Row:
    """One table of a manifest -> its row. Raises ModelError that names the file and the model."""
    place = f"{where}: model '{name}'"
    row = _table(data, Row, place, name=name)
    _table(data["input"], Input, f"{place}, input")
    try:
        for key in ("file", "member"):
            _check_plain(key, getattr(row, key))
        _check_numbers(row)
        if row.task not in TASKS:
            raise unknown("task", row.task, TASKS)
        TASKS[row.task](row)
    except (ValueError, OptionError) as error:
        raise ModelError(f"{place}: {error}") from error
    return row


def _check_numbers(row: Row) -> None:
    """Sizes, factors and normalisation that a network can be fed with. Raises ValueError."""
    spec = row.input
    if not all(1 <= side <= LONGEST for side in spec.size):
        raise ValueError(f"input.size {spec.size}: sides are 1 to {LONGEST} pixels")
    numbers = (*spec.mean, *spec.std, row.nms, row.padding, row.region)
    if not all(map(math.isfinite, numbers)) or 0 in spec.std:
        raise ValueError("its numbers must be finite, and input.std not 0")
    if not (0 < row.padding < 100 and 0 < row.region < 100 and 0 <= spec.fill <= 255):
        raise ValueError("padding and region are 0 to 100, input.fill 0 to 255")


def _check_plain(key: str, name: str) -> None:
    """A name of a file that stays in its folder, on every system. Raises ValueError."""
    if not isinstance(name, str) or set(name) & set("/\\:\0") or name in (".", ".."):
        raise ValueError(f"{key} {name!r} must be the plain name of a file, without folders")


def told(about: Mapping[str, str], path: Path) -> Row | None:
    """What a file of ours says in its metadata (`train.export`) -> its row; None for others. Raises
    ModelError.
    """
    if ABOUT not in about:
        return None
    where = f"{path}: its metadata '{ABOUT}'"
    data = decode(about[ABOUT].encode("utf-8", "replace"), dict[str, Any], where, ModelError)
    return _row(path.stem, {"file": path.name, "licence": "", **data}, str(path))


def folders() -> list[Path]:
    """The folders of EVERYBODY_WEIGHTS that exist."""
    return [
        Path(part) for part in os.environ.get("EVERYBODY_WEIGHTS", "").split(os.pathsep) if part
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: not a readable manifest ({error})") from error


@dataclass(frozen=True, slots=True)
class _File:
    """The tables of one manifest."""

    default: dict[str, str] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    variant: dict[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=8)
def _load(paths: tuple[Path, ...]) -> tuple[dict[str, Row], dict[str, str], dict[str, Variant]]:
    rows: dict[str, Row] = {}
    default: dict[str, str] = {}
    variants: dict[str, Variant] = {}
    for path in paths:
        file = convert(_read(path), _File, path, ModelError)
        default |= file.default
        rows |= {name: _row(name, data, str(path)) for name, data in file.model.items()}
        for name, data in file.variant.items():
            pair = _table(data, Variant, f"{path}: variant '{name}'")
            files = {part: _beside(path, getattr(pair, part)) for part in ("detector", "pose")}
            variants[name] = replace(pair, **files)
    return rows, default, variants


def _beside(path: Path, model: str) -> str:
    """A model that is called by its file lies beside the manifest."""
    return str(path.parent / model) if model.endswith(".onnx") else model


def _paths() -> tuple[Path, ...]:
    extra = [folder / "manifest.toml" for folder in folders()]
    return HERE / "manifest.toml", *(path for path in extra if path.is_file())


def variants() -> dict[str, Variant]:
    """All variants by name; later folders override earlier ones."""
    return _load(_paths())[2]


def variant(name: str) -> Variant:
    """The variant of that name (`everybody run --model NAME`). Raises OptionError that lists the
    known ones.
    """
    known = variants()
    if name not in known:
        raise OptionError(
            f"unknown variant '{name}': known are {', '.join(known)}; "
            "single models: --detector, --pose"
        )
    return known[name]


def load() -> tuple[dict[str, Row], dict[str, str]]:
    """(all rows by name, default names by task 'detector', 'pose' and 'turn'); later folders
    override earlier ones.
    """
    return _load(_paths())[:2]
