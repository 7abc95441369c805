"""Halpe-26's further joints: how far they are off, of everybody's networks and of BlazePose `full`.

    python -m benchmarks.feet [sport trial clicks] [--every 10] [--turns 0 90 180] [--blazepose]

sport: head top and neck of lspet/val, true boxes: PCK@0.2 of the torso, of all and by how much the
trunk leans; beside them the shoulders, which are the trunk network's own. --people held: of the
people of lspet/train that no head has learnt from, to choose by.

trial: Pose2Sim's markers of heels and big toes, projected into its four videos; every so many
frames; median distance in % of the body's height, upright and turned. The trial's clock is not the
videos': each camera's offset is the one of -3 to 3 frames at which everybody-accurate's knees and
ankles fit best.

clicks: the feet of `feet.csv` on coco_val, clicked at full zoom: heel where the sole ends behind,
toe where the shoe ends in front; median distance in % of the longer side of the true box, and the
share within 4 %. Of all systems, people are given by true boxes; --blazepose: BlazePose, too, which
is told how people are turned by the same net. `feet.csv` has numbers of pictures, places of people
among the labelled ones of a picture, and coordinates; nothing was chosen or trained by them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from benchmarks.common import COCO_VAL, DATA, head, parsed, parser, picture, rotated, row
from benchmarks.views import MARKERS, MOTION, TRIAL, trial_cameras, trial_truth
from everybody import geometry
from everybody.data.dataset import Dataset, extents, with_margin
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.media.read import read as frames_of
from everybody.methods.topdown import usual_turn_net
from everybody.metrics import pck
from everybody.options import Engine
from everybody.people import Frame, Image, People
from everybody.skeletons import HALPE26, LSP14, mapping
from everybody.train.shards import held_back

Array = np.ndarray
CLICKS = Path(__file__).with_name("feet.csv")
OURS: dict[str, dict[str, Any]] = {
    "accurate": {"model": "accurate", "skeleton": "halpe-26"},
    "fast": {"model": "fast", "skeleton": "halpe-26"},
}
BLAZEPOSE: dict[str, Any] = {"method": "blazepose"}
CALLED = {f"{side}_big_toe": f"{side}_foot_index" for side in ("left", "right")}
FEET = {part: [f"{side}_{part}" for side in ("left", "right")] for part in ("heel", "big_toe")}
OFFSETS = range(-3, 4)  # frames
LEANS = ((0, 30), (30, 60), (60, 120), (120, 180))  # degrees
NEAR = 4.0  # %


class System:
    """A system that looks at people whose boxes are known."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.estimator = Estimator(**options, whole=True, pose_nms="none", threads=1, workers=1)
        self.net = usual_turn_net(Engine(threads=1)) if "method" in options else None

    def joints(self, image: Image, box: Array, quarters: int, names: list[str]) -> Array:
        """A picture, somebody's box [4] in it, and by how many quarters both are turned before the
        system sees them -> joints [K, 2] in the picture as it is.
        """
        height, width = image.shape[:2]
        turn = geometry.turn_matrix(width, height, quarters)
        people = People.from_boxes(geometry.transform_boxes(turn, box[None]))
        shown = rotated(image, quarters)
        if self.net is not None:
            people = replace(people, turns=self.net([shown], people.boxes))
        found = self.estimator.pose([Frame(shown, people=people)])[0].people
        known = found.skeleton.joints
        rows = [known.index(name if name in known else CALLED[name]) for name in names]
        return geometry.transform(geometry.invert(turn[None]), found.keypoints[:1, rows, :2])[0]


def sport_people(which: str) -> Dataset:
    """lspet/val, or those of lspet/train that no head has learnt from."""
    if which == "val":
        return read(DATA / "lspet/val.npz")
    data = read(DATA / "lspet/train.npz")
    return data.subset(np.flatnonzero(held_back([f"train/{one.name}" for one in data.pictures])))


def leaning(truth: Dataset) -> Array:
    """By how many degrees trunks lean [N]: 0 upright, 180 upside down; NaN where that is not
    labelled.
    """
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    trunk = truth.keypoints[:, [LSP14.joints.index(name) for name in names]]
    up = trunk[:, :2, :2].mean(1) - trunk[:, 2:, :2].mean(1)
    away = np.degrees(np.abs(np.arctan2(up[:, 0], -up[:, 1])))
    return np.where((trunk[..., 2] > 0).all(1), away, np.nan)


def heads(system: System, truth: Dataset | None = None) -> dict[str, Array]:
    """PCK@0.2 of head top, neck and shoulders [3], and how many necks, of all and by how much
    trunks lean.
    """
    truth = sport_people("val") if truth is None else truth
    boxes = with_margin(truth.boxes, truth.keypoints)
    length = pck.torso_length(truth.keypoints, truth.labelled, LSP14)
    found, table = np.zeros((len(boxes), len(LSP14), 3)), mapping(HALPE26, LSP14)
    for person, box in enumerate(boxes):
        image = picture(truth, truth.picture[person])
        points = system.joints(image, box, 0, list(HALPE26.joints))
        found[person] = table(np.concatenate([points, np.ones((len(points), 1))], 1))
    away, lean = pck.distances(found, truth.keypoints), leaning(truth)
    groups = {"all": np.ones(len(lean), bool)}
    groups |= {f"{low}° to {high}°": (lean >= low) & (lean <= high) for low, high in LEANS}
    out = {}
    for name, some in groups.items():
        rates = pck.pck(away[some], truth.labelled[some], length[some], 0.2)
        parts = ("head_top", "neck", "left_shoulder", "right_shoulder")
        top, neck, *shoulders = (LSP14.joints.index(part) for part in parts)
        both = np.mean(rates.each[shoulders])
        out[name] = np.array([rates.each[top], rates.each[neck], both, rates.counted[neck]])
    return out


def sport(given: Any, systems: dict[str, System]) -> None:
    truth = sport_people(given.people)
    labels = ("trunk leans", "head top", "neck", "shoulders", "people")
    print(head(f"lspet/{given.people}, PCK@0.2", *labels))
    for name, system in systems.items():
        if system.net is None:
            for group, (*rates, people) in heads(system, truth).items():
                cells = [f"{rate:.3f}" for rate in rates]
                print(row(name, group, *cells, f"{people:.0f}"), flush=True)


class Shot(NamedTuple):
    """A frame of a trial's video."""

    image: Image
    camera: int
    number: int


def shots(every: int) -> Iterator[Shot]:
    folder = MOTION / "pose2sim/S00_P00_SingleParticipant" / TRIAL / "videos"
    for camera in range(4):
        for frame in frames_of(str(folder / f"cam0{camera + 1}.mp4")):
            if 5 <= frame.index < 95 and frame.index % every == 0:
                yield Shot(frame.image, camera, frame.index)


class Trial:
    """Pose2Sim's man, his markers projected into the four videos, and their clocks."""

    parts: ClassVar[dict[str, list[str]]] = {**FEET, "ankle": ["left_ankle", "right_ankle"]}

    def __init__(self, every: int) -> None:
        truth, cameras = trial_truth(), trial_cameras()
        self.places = list(MARKERS)
        heels = truth[:, [self.places.index(name) for name in FEET["heel"]], 2]
        top = truth[:, self.places.index("head"), 2]
        self.stature = float(np.median(top - heels.min(1)))
        self.pixels = np.stack([camera.project(truth) for camera in cameras])  # [4, T, 21, 2]
        hips = truth[:, [self.places.index(f"{side}_hip") for side in ("left", "right")]].mean(1)
        up = np.array([0, 0, 0.5])
        above, below = (
            np.stack([camera.project(place) for camera in cameras])
            for place in (hips + up, hips - up)
        )
        self.metre = np.linalg.norm(above - below, axis=-1)  # [4, T]: its pixels at the hips
        self.shots = list(shots(every))
        self.clocks = self._clocks(System(OURS["accurate"]))

    def _clocks(self, system: System) -> list[int]:
        """By how many frames the markers are late in each video."""
        legs = [f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle")]
        seen = [system.joints(shot.image, self.box(shot), 0, legs) for shot in self.shots]
        clocks = []
        for camera in range(len(self.pixels)):
            of = [
                (f, shot) for f, shot in zip(seen, self.shots, strict=True) if shot.camera == camera
            ]
            errors = [
                np.median([self.off(f, shot, legs, late) for f, shot in of]) for late in OFFSETS
            ]
            clocks.append(OFFSETS[int(np.argmin(errors))])
        return clocks

    def box(self, shot: Shot) -> Array:
        """The box of the markers, as boxes are drawn elsewhere."""
        points = self.pixels[shot.camera, shot.number]
        points = np.concatenate([points, np.ones((len(points), 1))], 1)[None]
        return with_margin(extents(points), points)[0]

    def off(self, found: Array, shot: Shot, names: list[str], late: int) -> Array:
        """Distances [K] in % of the body's height."""
        at = [self.places.index(name) for name in names]
        true = self.pixels[shot.camera, shot.number + late, at]
        height = self.stature * self.metre[shot.camera, shot.number + late]
        return 100 * np.linalg.norm(found - true, axis=-1) / height

    def errors(
        self, system: System, quarters: int, cameras: Sequence[int] = range(4)
    ) -> dict[str, float]:
        """The median of each part, as some cameras see it."""
        names = [name for part in self.parts.values() for name in part]
        away = []
        for shot in self.shots:
            if shot.camera not in cameras:
                continue
            found = system.joints(shot.image, self.box(shot), quarters, names)
            away.append(self.off(found, shot, names, self.clocks[shot.camera]))
        each = np.median(np.array(away).reshape(len(away), len(self.parts), 2), axis=(0, 2))
        return dict(zip(self.parts, each.tolist(), strict=True))


def trial(given: Any, systems: dict[str, System]) -> None:
    truth = Trial(given.every)
    about = f"{len(truth.shots)} frames, stature {truth.stature:.2f} m, offsets {truth.clocks}"
    print(f"trial: {about}")
    print(head("% of body height, median", "turned", *truth.parts))
    for label, system in systems.items():
        for turn in given.turns:
            each = truth.errors(system, turn // 90).values()
            print(row(label, f"{turn}°", *(f"{value:.2f}" for value in each)), flush=True)
        for camera in range(4) if given.cameras else ():
            each = truth.errors(system, 0, [camera]).values()
            print(row(label, f"camera {camera + 1}", *(f"{value:.2f}" for value in each)))


class Clicked(NamedTuple):
    """A person of coco_val and the clicked points by name [2], NaN where nothing was clicked."""

    person: int
    points: dict[str, Array]


def clicked(truth: Dataset) -> list[Clicked]:
    """The feet of `feet.csv`, by person."""
    place = {one.id: index for index, one in enumerate(truth.pictures)}
    rows, found = truth.rows(), dict[int, dict[str, Array]]()
    with CLICKS.open(encoding="utf-8", newline="") as file:
        for foot in csv.DictReader(file):
            person = int(rows[place[int(foot["picture"])]][int(foot["person"])])
            for part, name in (("heel", "heel"), ("toe", "big_toe")):
                point = [float(foot[f"{part}_{axis}"] or "nan") for axis in "xy"]
                found.setdefault(person, {})[f"{foot['side']}_{name}"] = np.array(point)
    return [Clicked(*one) for one in found.items()]


def clicks(given: Any, systems: dict[str, System]) -> None:
    truth = read(COCO_VAL)
    people = clicked(truth)
    print(f"clicks: {sum(len(c.points) for c in people) // 2} feet of {len(people)} people")
    print(head("% of box, median (within 4 %)", "turned", "heel", "big toe"))
    for label, system in systems.items():
        for turn in given.turns:
            away: dict[str, list[float]] = {part: [] for part in FEET}
            for person, points in people:
                box, image = truth.boxes[person], picture(truth, truth.picture[person])
                found = system.joints(image, box, turn // 90, list(points))
                for (name, true), point in zip(points.items(), found, strict=True):
                    part = name.partition("_")[2]
                    off = np.linalg.norm(point - true) / (box[2:] - box[:2]).max()
                    away[part].append(100 * float(off))
            known = [np.array(values)[np.isfinite(values)] for values in away.values()]
            cells = [f"{np.median(off):.2f} ({(off <= NEAR).mean():.2f})" for off in known]
            print(row(label, f"{turn}°", *cells), flush=True)


PARTS: dict[str, Callable[[Any, dict[str, System]], None]] = {
    "sport": sport,
    "trial": trial,
    "clicks": clicks,
}


def main() -> None:
    command = parser(__doc__)
    add = command.add_argument
    add("parts", nargs="*", default=[])
    add("--every", type=int, default=10, help="frames of the trial's videos")
    add("--cameras", action="store_true", help="the trial by camera, too, upright")
    add("--turns", type=int, nargs="*", default=[0, 90, 180])
    add("--blazepose", action="store_true")
    add("--people", choices=["val", "held"], default="val")
    add("--models", nargs="*", default=list(OURS))
    given = parsed(command)
    named = {name: OURS[name] for name in given.models}
    if given.blazepose:
        named["BlazePose full"] = BLAZEPOSE
    systems = {name: System(options) for name, options in named.items()}
    for part in given.parts or PARTS:
        PARTS[part](given, systems)


if __name__ == "__main__":
    main()
