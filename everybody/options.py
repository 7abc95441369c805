"""What a user can choose, as frozen values that are built once and passed whole.

    options = Options(model="fast", find=FindOptions(score=0.1), pose=PoseOptions(flip_test=True))
    options = Options.of(model="fast", det_score=0.1, flip_test=True)     # the same

Each default stands here and nowhere else. `Options.of` takes the flat keywords of `Estimator`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from . import runtime
from .errors import OptionError
from .runtime import Session

Orientation = Literal["upright", "any"]
ORIENTATIONS: tuple[Orientation, ...] = get_args(Orientation)
NO_POSE = "none"  # in place of a pose model: boxes alone


@dataclass(frozen=True, slots=True, kw_only=True)
class FindOptions:
    """How people are found in a picture.

    detector: a name of the manifest or the path of an ONNX file; None: the default. second: a
    method of joints, by its name or file, whose people are added where the detector has nobody
    (`methods/second_chance.py`). In place of both, boxes is a COCO detection results file, and
    whole takes each picture as one box. size (width, height) is the detector's input. score, nms
    (IoU), min_size (pixels of the longer side) and max_people choose among its boxes. tiles
    (columns, rows) also looks at overlapping parts. turns: the number of quarter turns to look in;
    0: upright, and as people seem to lie. batch: frames in one call; 0: by device.
    """

    detector: str | Path | None = None
    second: str | Path | None = None
    boxes: str | Path | None = None
    whole: bool = False
    size: tuple[int, int] | None = None
    score: float = 0.3
    nms: float | None = None
    min_size: float = 0.0
    max_people: int | None = None
    tiles: tuple[int, int] = (1, 1)
    turns: int = 0
    batch: int = 0

    def __post_init__(self) -> None:
        if self.whole and self.boxes:
            raise OptionError("whole and boxes exclude each other: choose one")
        if self.second and (self.whole or self.boxes):
            raise OptionError("second adds to what a detector finds: leave whole and boxes out")
        if not 0 <= self.turns <= 4:
            raise OptionError(
                f"a detector looks at 1 to 4 quarter turns of a picture (0: as needed), "
                f"not at {self.turns}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseOptions:
    """How the joints of people are estimated.

    model: a name of the manifest or the path of an ONNX file; None: the default; `NO_POSE`: boxes
    alone. skeleton, codec ("heatmap,alignment=udp"), input_size (width, height), normalise
    (imagenet, unit or none), channels (rgb or bgr) and padding (growth of the box) describe a file
    that neither the manifest nor its own metadata describe, and otherwise replace what these say;
    but a described file that is asked for another skeleton finds what it finds, and people are told
    in that one (`methods/told.py`). sstn: the name or path of an SSTN that finds the region of each
    person first. refine: later stages of a cascade, which look at each joint again
    (`methods/cascade.py`). condition: a network that looks again at people who overlap, told which
    of them is meant (`methods/conditioned.py`). associate shares the joints of people who overlap
    out among them (`methods/associated.py`). hand, face: models of these parts; people then are
    openpose-135. flip_test averages with the mirrored crop. orientation "any" also finds people who
    lie or hang. nms removes duplicate poses, as in `nms.pose_nms`. batch: crops in one call; 0: by
    device.
    """

    model: str | Path | None = None
    skeleton: str | None = None
    codec: str | None = None
    input_size: tuple[int, int] | None = None
    normalise: str | None = None
    channels: str | None = None
    padding: float | None = None
    sstn: str | Path | None = None
    refine: tuple[str | Path, ...] = ()
    condition: str | Path | None = None
    associate: bool = False
    hand: str | Path | None = None
    face: str | Path | None = None
    flip_test: bool = False
    orientation: str = "any"
    nms: str = "parametric"
    batch: int = 0

    def __post_init__(self) -> None:
        if self.orientation not in ORIENTATIONS:
            raise OptionError(
                f"unknown orientation '{self.orientation}': known are {', '.join(ORIENTATIONS)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where and how networks run (see `everybody.runtime.load`); opens files as such sessions."""

    device: str = "auto"
    engine: str = "auto"
    threads: int = 0
    parallel: int = 1

    def __call__(self, path: Path, outputs: Sequence[str] = ()) -> Session:
        return runtime.load(
            path,
            outputs=outputs,
            device=self.device,
            engine=self.engine,
            threads=self.threads,
            parallel=self.parallel,
        )

    @property
    def on_cpu(self) -> bool:
        return self.device == "cpu" or (self.device == "auto" and runtime.devices()[0] == "cpu")


class Keywords(TypedDict, total=False):
    """The flat keywords of `Estimator`, `estimate` and `stream`; meanings as in the options."""

    method: str | Path | None
    model: str | None
    detector: str | Path | None
    second: str | Path | None
    pose: str | Path | None
    whole: bool
    boxes: str | Path | None
    det_size: tuple[int, int] | None
    det_score: float
    det_nms: float | None
    det_turns: int
    det_batch: int
    min_size: float
    max_people: int | None
    tiles: tuple[int, int]
    skeleton: str | None
    codec: str | None
    input_size: tuple[int, int] | None
    normalise: str | None
    channels: str | None
    padding: float | None
    sstn: str | Path | None
    refine: tuple[str | Path, ...]
    condition: str | Path | None
    associate: bool
    hand: str | Path | None
    face: str | Path | None
    flip_test: bool
    orientation: str
    pose_nms: str
    batch: int
    device: str
    engine: str
    threads: int
    workers: int


# Where the flat keywords belong whose names differ from the fields they fill.
_RENAMED = {
    "det_size": ("find", "size"), "det_score": ("find", "score"), "det_nms": ("find", "nms"),
    "det_turns": ("find", "turns"), "det_batch": ("find", "batch"), "pose": ("pose", "model"),
    "pose_nms": ("pose", "nms"), "batch": ("pose", "batch"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that makes an `Estimator`.

    method: a name of `methods.METHODS`, or a model that is a whole method; None: top-down. model:
    a pair of bundled models (fast, accurate), in place of find.detector and pose.model. workers:
    calls of networks at a time; 0: as many as cores. One worker answers a single picture soonest;
    as many as cores do the most work per second.
    """

    method: str | Path | None = None
    model: str | None = None
    find: FindOptions = field(default_factory=FindOptions)
    pose: PoseOptions = field(default_factory=PoseOptions)
    engine: Engine = field(default_factory=Engine)
    workers: int = 0

    @classmethod
    def of(cls, **keywords: Any) -> Options:
        """Flat keywords -> options. Raises TypeError for one that is not in `Keywords`."""
        groups: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for name, value in keywords.items():
            group, key = _place(name)
            groups[group][key] = value
        return cls(
            find=FindOptions(**groups["find"]),
            pose=PoseOptions(**groups["pose"]),
            engine=Engine(**groups["engine"]),
            **groups[""],
        )

    def flat(self) -> dict[str, Any]:
        """The flat keywords that make these options: the inverse of `of`."""
        said: dict[str, Any] = {}
        for name in Keywords.__annotations__:
            group, key = _place(name)
            said[name] = getattr(getattr(self, group) if group else self, key)
        return said


def _place(name: str) -> tuple[str, str]:
    """The group and the field that a flat keyword fills."""
    if name not in Keywords.__annotations__:
        raise TypeError(f"unknown option '{name}'; known are {', '.join(Keywords.__annotations__)}")
    if name in _RENAMED:
        return _RENAMED[name]
    for group, kind in (("find", FindOptions), ("pose", PoseOptions), ("engine", Engine)):
        if name in {field.name for field in fields(kind)} and name != "model":
            return group, name
    return "", name
