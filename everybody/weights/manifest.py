"""The manifest: what everybody knows of each model, as typed rows read from TOML.

A row is data: task, file, checksum and licence, and how to speak to the network (input size,
normalisation, output layout or codec, skeleton). Users add rows with a `manifest.toml` in a folder
that EVERYBODY_WEIGHTS names.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..codecs import PICTURE_CODECS, make_codec
from ..errors import ModelError, OptionError, unknown
from ..inputs import Input
from ..runtime import ABOUT
from ..skeletons import SKELETONS

HERE = Path(__file__).parent


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
    skeleton: str = ""  # SPPEs
    codec: Mapping[str, Any] = field(default_factory=dict)
    padding: float = 1.25
    region: float = 1.25  # SSTNs: padding of the person's box to the region that they find


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A detector and a pose model that go together, by their names in the manifest."""

    detector: str
    pose: str
    det_size: tuple[int, int] | None = None  # width, height; None: the detector's own


def _detector(row: Row) -> None:
    if row.layout not in PICTURE_CODECS:
        raise unknown("layout", row.layout, PICTURE_CODECS)


def _pose(row: Row) -> None:
    if row.skeleton not in SKELETONS:
        raise unknown("skeleton", row.skeleton, SKELETONS)
    make_codec(row.codec, row.input.size)


def _as_it_is(row: Row) -> None:
    """Nothing more to demand."""


# What a row must say, by its task. Raises OptionError.
TASKS: dict[str, Callable[[Row], None]] = {
    "detector": _detector,
    "pose": _pose,
    "people": _as_it_is,
    "turn": _as_it_is,
    "sstn": _as_it_is,
    "embedding": _as_it_is,
}


def _row(name: str, data: Mapping[str, Any], where: str) -> Row:
    known = {f.name for f in fields(Row)} - {"name"}
    try:
        if foreign := sorted(set(data) - known):
            raise unknown("key", foreign[0], sorted(known))
        tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data["input"].items()
        }
        row = Row(name=name, **{**data, "input": Input(**tuples)})
        for key in ("file", "member"):
            _check_plain(key, getattr(row, key))
        if row.task not in TASKS:
            raise unknown("task", row.task, TASKS)
        TASKS[row.task](row)
    except (KeyError, TypeError, ValueError, OptionError) as error:
        reason = f"missing key {error}" if isinstance(error, KeyError) else error
        raise ModelError(f"{where}: model '{name}': {reason}") from error
    return row


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
    try:
        return _row(
            path.stem, {"file": path.name, "licence": "", **json.loads(about[ABOUT])}, str(path)
        )
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: its metadata '{ABOUT}' are not ours ({error}); export it again"
        ) from error


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


@lru_cache(maxsize=8)
def _load(paths: tuple[Path, ...]) -> tuple[dict[str, Row], dict[str, str], dict[str, Variant]]:
    rows: dict[str, Row] = {}
    default: dict[str, str] = {}
    variants: dict[str, Variant] = {}
    for path in paths:
        data = _read(path)
        default |= data.get("default", {})
        rows |= {name: _row(name, row, str(path)) for name, row in data.get("model", {}).items()}
        for name, row in data.get("variant", {}).items():
            try:
                tuples: dict[str, Any] = {
                    k: tuple(v) if isinstance(v, list) else v for k, v in row.items()
                }
                variants[name] = Variant(**tuples)
            except TypeError as error:
                raise ModelError(f"{path}: variant '{name}': {error}") from error
    return rows, default, variants


def _paths() -> tuple[Path, ...]:
    extra = [folder / "manifest.toml" for folder in folders()]
    return HERE / "manifest.toml", *(path for path in extra if path.is_file())


def variant(name: str) -> Variant:
    """The variant of that name (`everybody run --model NAME`). Raises OptionError that lists the
    known ones.
    """
    variants = _load(_paths())[2]
    if name not in variants:
        raise OptionError(
            f"unknown variant '{name}': known are {', '.join(variants)}; "
            "single models: --detector, --pose"
        )
    return variants[name]


def load() -> tuple[dict[str, Row], dict[str, str]]:
    """(all rows by name, default names by task 'detector', 'pose' and 'turn'); later folders
    override earlier ones.
    """
    return _load(_paths())[:2]
