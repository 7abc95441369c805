"""The stages composed: source → people found → poses → duplicates removed; every frame once and in
order.

`Estimator` holds the loaded models. `estimate` does one picture, `stream` any source.

    read ──ahead──▶ find (pool) ──▶ pose (pool) ──▶ frames

Each arrow is a bounded queue (`stages.py`). Reading has a thread of its own; the networks share one
pool of workers, so that no more calls run at a time than there are cores.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from . import geometry, nms, runtime
from .errors import DataError, EverybodyError, OptionError
from .media.read import Selection, read
from .methods.again import LookAgain
from .methods.detector import Detector, Tiles
from .methods.open import Engine, load_detector, load_sppe
from .methods.sppe import Sppe
from .people import Frame, People
from .schedule import ahead, flattened, grouped, mapped
from .skeletons import BOX, Skeleton
from .weights.manifest import variant

if TYPE_CHECKING:
    from .follow import Follow

Finder = Callable[[Sequence[Frame]], list[People]]

GROUP_PIXELS = 64_000_000  # frames are not gathered into one call beyond this, so that large pictures do not pile up


def whole_picture(frames: Sequence[Frame]) -> list[People]:
    """A finder that takes each picture as one box."""
    return [People.from_boxes(geometry.whole(*frame.size)) for frame in frames]


class GivenBoxes:
    """A finder that looks boxes up in a COCO detection results file: image_id, bbox (x, y, width,
    height), score.

    A box belongs to the frame whose file name it gives (`file_name`), or whose file name is the
    number `image_id` ("000000000872.jpg" is 872), or, in a video, whose index is `frame` or
    `image_id`. Category 1 (person) only.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.boxes: dict[object, list[tuple[list[float], float]]] = defaultdict(list)
        try:
            entries = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise DataError(f"{path}: not JSON ({error})") from error
        if not isinstance(entries, list):
            raise DataError(
                f"{path}: boxes must be a list of COCO detections, found {type(entries).__name__}"
            )
        for number, entry in enumerate(entries):
            try:
                if entry.get("category_id", 1) == 1:
                    box = [float(value) for value in entry["bbox"]]
                    if len(box) != 4 or not np.isfinite(box).all():
                        raise ValueError(f"bbox {entry['bbox']}")
                    key = (
                        Path(entry["file_name"]).name
                        if "file_name" in entry
                        else int(entry["image_id"])
                    )
                    if "frame" in entry and "file_name" in entry:
                        key = (key, int(entry["frame"]))
                    self.boxes[key].append((box, float(entry.get("score", 1.0))))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"{path}: detection {number} needs image_id or file_name, and bbox of 4 numbers ({error})"
                ) from error

    def __call__(self, frames: Sequence[Frame]) -> list[People]:
        return [self._of(frame) for frame in frames]

    def _of(self, frame: Frame) -> People:
        name = Path(frame.source)
        number = int(name.stem) if name.stem.isdecimal() else frame.index
        found = next(
            (
                self.boxes[key]
                for key in ((name.name, frame.index), name.name, number)
                if key in self.boxes
            ),
            [],
        )
        if not found:
            return People.empty(BOX)
        boxes, scores = zip(*found, strict=True)
        people = People.from_boxes(geometry.xyxy(boxes), np.clip(scores, 0, 1))
        return people[np.argsort(-people.scores, kind="stable")]


class Estimator:
    """Finds the people of pictures, and their poses. Holds the loaded models; use it from any
    thread.

    model names a pair of bundled models (fast, accurate); detector, pose: names of the manifest or
    paths of ONNX files in their place (None: the pair's, or the defaults). whole takes each picture
    as one box, boxes takes them from a COCO detection results file; then no detector is loaded.
    `det_*`, min_size, max_people and tiles choose the boxes (see `Detector`); det_turns 0 looks
    again in other turns where people seem to lie (see `LookAgain`), if orientation is any and the
    turn net at hand. skeleton, codec, input_size, normalise, channels and padding describe a pose
    model that the manifest does not know, and sstn looks before it (see `load_sppe`); flip_test and
    orientation are `Sppe`'s. pose_nms removes duplicates: parametric, alphapose, oks, soft-oks, box
    or none, with parameters as in `nms.pose_nms`.

    batch is the most crops in one call of the SPPE, gathered from several frames; det_batch the
    frames in one call of the detector; 0 chooses by device. workers is how many calls run at a
    time, threads the cores they share (0: all). One worker answers a single picture soonest; as
    many as cores do the most work per second.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        detector: str | Path | None = None,
        pose: str | Path | None = None,
        whole: bool = False,
        boxes: str | Path | None = None,
        det_size: tuple[int, int] | None = None,
        det_score: float = 0.3,
        det_nms: float | None = None,
        min_size: float = 0.0,
        max_people: int | None = None,
        tiles: Tiles = (1, 1),
        det_turns: int = 0,
        skeleton: str | None = None,
        codec: str | None = None,
        input_size: tuple[int, int] | None = None,
        normalise: str | None = None,
        channels: str | None = None,
        padding: float | None = None,
        sstn: str | Path | None = None,
        flip_test: bool = False,
        orientation: str = "any",
        pose_nms: str = "parametric",
        batch: int = 0,
        det_batch: int = 0,
        device: str = "auto",
        engine: str = "auto",
        threads: int = 0,
        workers: int = 0,
    ) -> None:
        if whole and boxes:
            raise OptionError("whole and boxes exclude each other: choose one")
        self.pose_nms = nms.pose_nms(pose_nms)
        if model:
            pair = variant(model)
            if detector is None:
                detector, det_size = pair.detector, det_size or pair.det_size
            pose = pose or pair.pose
        cv2.setNumThreads(
            1
        )  # the workers are the parallelism; OpenCV's own pool would fight them for the cores
        on_cpu = device == "cpu" or (device == "auto" and runtime.devices()[0] == "cpu")
        threads = threads or runtime.cores()
        self.workers = workers or (threads if on_cpu else 1)
        run = Engine(
            device=device,
            engine=engine,
            threads=max(1, threads // self.workers),
            parallel=self.workers,
        )
        self.det_batch = det_batch or (1 if on_cpu else 8)
        self.batch = batch or (2 if on_cpu else 32)
        # Both files load at the same time: half of the wait for the first result.
        with ThreadPoolExecutor(2) as loading:
            sppe = loading.submit(
                load_sppe,
                pose,
                skeleton_name=skeleton,
                codec=codec,
                size=input_size,
                normalise=normalise,
                channels=channels,
                padding=padding,
                sstn=sstn,
                engine=run,
                batch=self.batch,
                flip_test=flip_test,
                orientation=orientation,
            )
            self.detector: Detector | None = None
            if not (whole or boxes):
                self.detector = load_detector(
                    detector,
                    size=det_size,
                    nms=det_nms,
                    engine=run,
                    score=det_score,
                    min_size=min_size,
                    max_people=max_people,
                    tiles=tiles,
                    turns=det_turns or 1,
                )
            self.sppe: Sppe = sppe.result()
        self._find: Finder = GivenBoxes(boxes) if boxes else whole_picture
        if self.detector:
            look: Detector | LookAgain = self.detector
            if not det_turns and self.sppe.turn_net:
                look = LookAgain(detector=self.detector, turn_net=self.sppe.turn_net)
            self._find = lambda frames: look([frame.image for frame in frames])

    @property
    def skeleton(self) -> Skeleton:
        return self.sppe.skeleton

    def models(self) -> list[dict[str, str]]:
        """Which files are loaded: task, name, path, sha256, engine and device of each."""
        loaded = [("pose", self.sppe.session)]
        if self.detector:
            loaded.insert(0, ("detector", self.detector.session))
        if self.sppe.turn_net:
            loaded.append(("turn", self.sppe.turn_net.session))
        if self.sppe.sstn:
            loaded.append(("sstn", self.sppe.sstn.session))
        return [describe(task, session) for task, session in loaded]

    def find(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames with their people as boxes without joints."""
        found = self._find(frames)
        return [replace(frame, people=people) for frame, people in zip(frames, found, strict=True)]

    def pose(self, frames: Sequence[Frame]) -> list[Frame]:
        """Frames with boxes -> frames with poses, duplicates removed, most confident person first."""
        posed = self.sppe([frame.image for frame in frames], [frame.people for frame in frames])
        return [
            replace(frame, people=self._sorted(people))
            for frame, people in zip(frames, posed, strict=True)
        ]

    def _sorted(self, people: People) -> People:
        people = self.pose_nms(people)
        return people[np.argsort(-people.scores, kind="stable")]

    def __call__(self, frames: Sequence[Frame]) -> list[Frame]:
        """Both steps, at once, in the caller's thread."""
        return self.pose(self.find(frames))

    def estimate(self, source: Any) -> People:
        """The people of one picture: a path, a URL, an array [H, W, 3] RGB or any other source of
        one frame.
        """
        frames = read(source)
        first = next(frames)
        if next(frames, None) is not None:
            raise OptionError(
                f"{first.source}: holds several frames: use stream() instead of estimate()"
            )
        return self([first])[0].people

    def stream(
        self,
        source: Any,
        *,
        select: Selection | None = None,
        after: Mapping[str, int] | None = None,
        max_pixels: int = 200_000_000,
        problem: Callable[[EverybodyError], None] | None = None,
        track: bool | Follow = False,
    ) -> Iterator[Frame]:
        """The frames of any source with their people, each once and in order; arguments as in
        `media.read.read`.

        track: give people ids that stay, by the usual rules or as a `Follow` says.
        """
        frames = read(
            source,
            select=select or Selection(),
            after=after,
            max_pixels=max_pixels,
            problem=problem,
        )
        if track is False:
            return self.frames(frames)
        from .follow import Follow

        return (Follow() if track is True else track)(self, frames)

    def frames(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Frames -> the same frames with their people, in order, while the frames after them are
        read and estimated.
        """
        depth = self.workers + 1
        pool = ThreadPoolExecutor(self.workers, "everybody-worker")
        try:
            groups = grouped(ahead(frames, depth), partial(_full, count=self.det_batch))
            found = mapped(partial(named, "finding people", self.find), groups, pool, depth)
            regrouped = grouped(flattened(found), partial(_full, count=self.batch, crops=True))
            posed = mapped(partial(named, "pose", self.pose), regrouped, pool, depth)
            with closing(posed):
                for group in posed:
                    yield from group
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def describe(task: str, session: runtime.Session) -> dict[str, str]:
    """What run.json says of a loaded model."""
    return {
        "task": task,
        "name": session.path.stem,
        "path": str(session.path),
        "sha256": runtime.sha256(session.path),
        "engine": session.engine,
        "device": session.device,
    }


def _full(group: list[Frame], *, count: int, crops: bool = False) -> bool:
    """Whether a group of frames is enough for one call: by frames or by crops, and by pixels in any
    case.
    """
    size = max(len(group), sum(len(frame.people) for frame in group) if crops else 0)
    return size >= count or sum(frame.size[0] * frame.size[1] for frame in group) >= GROUP_PIXELS


def named(
    stage: str, function: Callable[[list[Frame]], list[Frame]], frames: list[Frame]
) -> list[Frame]:
    """function(frames); an error says in which stage and at which frame it happened."""
    try:
        return function(frames)
    except Exception as error:
        first = frames[0]
        kind = type(error) if isinstance(error, EverybodyError) else EverybodyError
        raise kind(
            f"{stage} failed at {first.source or 'frame'} [{first.index}]: {error}"
        ) from error


def estimate(source: Any, **options: Any) -> People:
    """The people of one picture; options as in `Estimator`, which saves loading the models again
    for the next one.
    """
    return Estimator(**{"workers": 1, **options}).estimate(source)


def stream(
    source: Any,
    *,
    select: Selection | None = None,
    after: Mapping[str, int] | None = None,
    max_pixels: int = 200_000_000,
    problem: Callable[[EverybodyError], None] | None = None,
    track: bool | Follow = False,
    **options: Any,
) -> Iterator[Frame]:
    """The frames of any source with their people; the first arguments as in `Estimator.stream`,
    options as in `Estimator`.
    """
    estimator = Estimator(**options)
    return estimator.stream(
        source, select=select, after=after, max_pixels=max_pixels, problem=problem, track=track
    )
