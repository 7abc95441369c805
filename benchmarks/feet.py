"""Halpe-26's further joints: how far they are off, of everybody's networks and of BlazePose `full`.

    python -m benchmarks.feet [sport trial clicks] [--every 10] [--turns 0 90 180] [--blazepose]

sport: head top and neck of lspet/val, true boxes: PCK@0.2 of the torso. trial: Pose2Sim's markers
of heels and big toes, projected into its four videos; every so many frames; median distance in % of
the body's height, upright and turned. The trial's clock is not the videos': each camera's offset is
the one of -3 to 3 frames at which everybody-accurate's knees and ankles fit best. clicks: the feet
of `feet.csv` on coco_val, clicked at full zoom: heel where the sole ends behind, toe where the
shoe ends in front; median distance in % of the longer side of the true box, and the share within
4 %. Of all systems, people are given by true boxes; --blazepose: BlazePose, too, which is told how
people are turned by the same net. `feet.csv` has numbers of pictures, places of people among the
labelled ones of a picture, and coordinates; nothing was chosen or trained by them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import COCO_VAL, DATA, head, parsed, parser, picture, rotated, row
from benchmarks.views import MARKERS, MOTION, TRIAL, trial_cameras, trial_truth
from everybody import geometry
from everybody.data.dataset import extents, with_margin
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.media.read import read as frames_of
from everybody.methods.topdown import usual_turn_net
from everybody.metrics import pck
from everybody.options import Engine
from everybody.people import Frame, Image, People
from everybody.skeletons import HALPE26, LSP14, mapping

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


def sport(given: Any, systems: dict[str, System]) -> None:
    truth = read(DATA / "lspet/val.npz")
    boxes = with_margin(truth.boxes, truth.keypoints)
    labelled = truth.labelled
    length = pck.torso_length(truth.keypoints, labelled, LSP14)
    wanted = [LSP14.joints.index(name) for name in ("head_top", "neck")]
    print(head("lspet/val, PCK@0.2", "head top", "neck", "people"))
    for name, system in systems.items():
        if system.net is not None:
            continue
        found = np.zeros((len(boxes), len(LSP14), 3))
        table = mapping(HALPE26, LSP14)
        for person, box in enumerate(boxes):
            image = picture(truth, truth.picture[person])
            points = system.joints(image, box, 0, list(HALPE26.joints))
            found[person] = table(np.concatenate([points, np.ones((len(points), 1))], 1))
        rates = pck.pck(pck.distances(found, truth.keypoints), labelled, length, 0.2)
        counted = int(rates.counted[wanted].max())
        print(row(name, *(f"{rates.each[joint]:.3f}" for joint in wanted), counted), flush=True)


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


def trial(given: Any, systems: dict[str, System]) -> None:
    truth, cameras = trial_truth(), trial_cameras()
    places = list(MARKERS)
    heels = truth[:, [places.index(name) for name in FEET["heel"]], 2]
    stature = float(np.median(truth[:, places.index("head"), 2] - heels.min(1)))
    pixels = np.stack([camera.project(truth) for camera in cameras])  # [4, T, 21, 2]
    hips = truth[:, [places.index("left_hip"), places.index("right_hip")]].mean(1)
    up = np.array([0, 0, 0.5])
    ends = [[camera.project(place) for camera in cameras] for place in (hips + up, hips - up)]
    tall = np.linalg.norm(np.subtract(*ends), axis=-1)  # [4, T]: pixels of a metre at the hips
    some = list(shots(given.every))

    def boxed(shot: Shot) -> Array:
        points = pixels[shot.camera, shot.number]
        points = np.concatenate([points, np.ones((len(points), 1))], 1)[None]
        return with_margin(extents(points), points)[0]

    def off(found: Array, shot: Shot, names: list[str], late: int) -> Array:
        true = pixels[shot.camera, shot.number + late, [places.index(name) for name in names]]
        height = stature * tall[shot.camera, shot.number + late]
        return 100 * np.linalg.norm(found - true, axis=-1) / height

    legs = [f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle")]
    seen = [systems["accurate"].joints(shot.image, boxed(shot), 0, legs) for shot in some]
    clocks = []
    for camera in range(len(cameras)):
        of = [(f, shot) for f, shot in zip(seen, some, strict=True) if shot.camera == camera]
        errors = [np.median([off(f, shot, legs, late) for f, shot in of]) for late in OFFSETS]
        clocks.append(OFFSETS[int(np.argmin(errors))])
    print(f"trial: {len(some)} frames, stature {stature:.2f} m, offsets {clocks}")
    print(head("% of body height, median", "turned", "heel", "big toe", "ankle"))
    parts = {**FEET, "ankle": ["left_ankle", "right_ankle"]}
    names = [name for part in parts.values() for name in part]
    for label, system in systems.items():
        for turn in given.turns:
            away = []
            for shot in some:
                found = system.joints(shot.image, boxed(shot), turn // 90, names)
                away.append(off(found, shot, names, clocks[shot.camera]))
            each = np.median(np.array(away).reshape(len(away), len(parts), 2), axis=(0, 2))
            print(row(label, f"{turn}°", *(f"{value:.2f}" for value in each)), flush=True)


def clicks(given: Any, systems: dict[str, System]) -> None:
    truth = read(COCO_VAL)
    place = {one.id: index for index, one in enumerate(truth.pictures)}
    rows = truth.rows()
    people = {
        (one.id, number): person
        for one in truth.pictures
        for number, person in enumerate(rows[place[one.id]].tolist())
    }
    with CLICKS.open(encoding="utf-8", newline="") as file:
        clicked = list(csv.DictReader(file))
    print(
        f"clicks: {len(clicked)} feet, {len({(c['picture'], c['person']) for c in clicked})} people"
    )
    print(head("% of box, median (within 4 %)", "turned", "heel", "big toe"))
    for label, system in systems.items():
        for turn in given.turns:
            away: dict[str, list[float]] = {"heel": [], "toe": []}
            for foot in clicked:
                person = people[int(foot["picture"]), int(foot["person"])]
                box = truth.boxes[person]
                image = picture(truth, truth.picture[person])
                names = [f"{foot['side']}_heel", f"{foot['side']}_big_toe"]
                found = system.joints(image, box, turn // 90, names)
                for point, part in zip(found, away, strict=True):
                    if foot[f"{part}_x"]:
                        true = [float(foot[f"{part}_{axis}"]) for axis in "xy"]
                        size = (box[2:] - box[:2]).max()
                        away[part].append(100 * float(np.linalg.norm(point - true)) / size)
            cells = [
                f"{np.median(v):.2f} ({np.mean(np.array(v) <= NEAR):.2f})" for v in away.values()
            ]
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
    add("--turns", type=int, nargs="*", default=[0, 90, 180])
    add("--blazepose", action="store_true")
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
