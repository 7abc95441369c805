"""From a name of the manifest, or the path of any ONNX file and a few options, to a `Detector` or
an `Sppe`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import runtime
from ..codecs import CODECS
from ..errors import ModelError, OptionError
from ..inputs import IMAGENET, NORMALISATIONS, Input
from ..runtime import Session, sha256
from ..skeletons import skeleton
from ..weights import fetch, manifest
from ..weights.manifest import Row
from .detector import Detector, guess_layout
from .orientation import TurnNet
from .sppe import Sppe, Sstn

# What detectors of each layout are fed where no row says otherwise: as their publishers train them.
INPUTS = {
    "rtmdet": Input(
        size=(640, 640),
        channels="bgr",
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
        fill=114,
    ),
    "yolox": Input(size=(640, 640), channels="bgr", fill=114),
    "picodet": Input(size=(320, 320), resize="stretch", **IMAGENET),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where and how networks run: see `everybody.runtime.load`."""

    device: str = "auto"
    engine: str = "auto"
    threads: int = 0
    parallel: int = 1

    def __call__(self, path: Path) -> Session:
        return runtime.load(
            path,
            device=self.device,
            engine=self.engine,
            threads=self.threads,
            parallel=self.parallel,
        )


def locate(model: str | Path, task: str) -> tuple[Path, Row | None]:
    """A manifest's name or a path -> the file, and the row that describes it: also for a path, if
    its checksum is in the manifest.
    """
    path = Path(model)
    if path.suffix == ".onnx" or path.is_file():
        if not path.is_file():
            raise ModelError(f"{path}: no such model file")
        checksum = sha256(path)
        rows, _ = manifest.load()
        return path, next(
            (row for row in rows.values() if row.sha256 == checksum and row.task == task), None
        )
    row = fetch.row(str(model))
    if row.task != task:
        raise OptionError(
            f"model '{model}' is a {row.task}, not a {task}: `everybody models` lists all"
        )
    return fetch.resolve(row), row


def load_detector(
    model: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    nms: float | None = None,
    engine: Engine | None = None,
    **options: Any,
) -> Detector:
    """A person detector by name or path (None: the manifest's default).

    size (width, height) replaces the row's where the network is dynamic; nms replaces its IoU; the
    other options are `Detector`'s (score, min_size, max_people, tiles, turns, person). Raises
    ModelError, OptionError.
    """
    path, row = locate(model or manifest.load()[1]["detector"], "detector")
    session = (engine or Engine())(path)
    row = row or manifest.told(session.about, path)
    layout = row.layout if row else guess_layout(session)
    spec = row.input if row else INPUTS[layout]
    fixed = session.input.shape[3:1:-1]
    if row is None and None not in fixed:
        spec = replace(spec, size=fixed)
    if size:
        spec = replace(spec, size=size)
    nms = nms if nms is not None else row.nms if row else 0.6
    return Detector(session=session, layout=layout, input=spec, nms=nms, **options)


def parse_codec(text: str) -> dict[str, Any]:
    """'heatmap', 'simcc,split=2' or 'heatmap,alignment=udp,refine=quarter' -> a codec's row. Raises
    OptionError.
    """
    kind, *pairs = text.split(",")
    if kind not in CODECS:
        raise OptionError(f"unknown codec '{kind}': known are {', '.join(CODECS)}")
    row: dict[str, Any] = {"type": kind}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            row[key] = float(value) if "." in value else int(value)
        except ValueError:
            row[key] = value
    return row


def load_sppe(
    model: str | Path | None = None,
    *,
    skeleton_name: str | None = None,
    codec: str | None = None,
    size: tuple[int, int] | None = None,
    normalise: str | None = None,
    channels: str | None = None,
    padding: float | None = None,
    sstn: str | Path | None = None,
    engine: Engine | None = None,
    **options: Any,
) -> Sppe:
    """A single-person pose estimator by name or path (None: the manifest's default).

    For a file that neither a row nor its own metadata describe, skeleton_name and codec must be
    given; size is read from the file where it is fixed there; sstn is the name or file of an SSTN
    to look with first (everybody-sstn); normalise is imagenet (default), unit (0 to 1) or none (0
    to 255). Given options replace the row's; the other options are `Sppe`'s (batch, flip_test,
    orientation). Orientation "any" brings the default turn net, where it is at hand. Raises
    ModelError, OptionError.
    """
    path, row = locate(model or manifest.load()[1]["pose"], "pose")
    session = (engine or Engine())(path)
    row = row or manifest.told(session.about, path)
    if row is None and not (skeleton_name and codec):
        raise OptionError(
            f"{path}: no row of the manifest describes this model: give its --skeleton and --codec "
            f"(and --input-size, --normalise, --channels where they are not the usual)"
        )
    spec = row.input if row else Input(size=_fixed_size(session, size), **IMAGENET)
    if size:
        spec = replace(spec, size=size)
    if normalise:
        if normalise not in NORMALISATIONS:
            raise OptionError(
                f"unknown normalisation '{normalise}': known are {', '.join(NORMALISATIONS)}"
            )
        spec = replace(
            Input(size=spec.size, channels=spec.channels, fill=spec.fill),
            **NORMALISATIONS[normalise],
        )
    if channels:
        if channels not in ("rgb", "bgr"):
            raise OptionError(f"unknown channel order '{channels}': known are rgb, bgr")
        spec = replace(spec, channels=channels)  # type: ignore[arg-type]
    codec_row = parse_codec(codec) if codec else row.codec if row else {}
    try:
        made = manifest.make_codec(codec_row, spec.size)
    except (TypeError, ValueError) as error:
        raise OptionError(f"codec '{codec}': {error}") from error
    name = skeleton_name or (row.skeleton if row else "")
    turn = manifest.load()[1].get("turn")
    if options.get("orientation") == "any" and turn and fetch.find(fetch.row(turn)):
        options.setdefault("turn_net", load_turn(turn, engine=engine))
    return Sppe(
        session=session,
        skeleton=skeleton(name),
        codec=made,
        input=spec,
        padding=padding or (row.padding if row else 1.25),
        sstn=load_sstn(sstn, engine) if sstn else None,
        **options,
    )


def load_turn(model: str | Path | None = None, *, engine: Engine | None = None) -> TurnNet:
    """The net that says which way up people are, by name or path (None: the manifest's default).
    Raises ModelError.
    """
    path, row = locate(model or manifest.load()[1]["turn"], "turn")
    session = (engine or Engine())(path)
    if row:
        return TurnNet(session=session, input=row.input, padding=row.padding)
    return TurnNet(
        session=session, input=Input(size=_fixed_size(session, None), fill=114, **IMAGENET)
    )


def load_sstn(model: str | Path, engine: Engine | None = None) -> Sstn:
    """An SSTN by name or path, to look for the person with before any SPPE. Raises ModelError,
    OptionError.
    """
    path, row = locate(model, "sstn")
    session = (engine or Engine())(path)
    row = row or manifest.told(session.about, path)
    if row is None or row.task != "sstn":
        raise ModelError(
            f"{path}: not an SSTN: give everybody-sstn, or make one with `everybody train rmpe-sstn`"
        )
    return Sstn(session=session, input=row.input, padding=row.padding, region=row.region)


def _fixed_size(session: Session, size: tuple[int, int] | None) -> tuple[int, int]:
    shape = session.input.shape
    if size is None and (len(shape) != 4 or shape[2] is None or shape[3] is None):
        raise OptionError(
            f"{session.path}: takes {session.input}: give its --input-size (width×height)"
        )
    return size or (shape[3], shape[2])  # type: ignore[return-value]
