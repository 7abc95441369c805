"""OpenPose's --write_json (doc/02_output.md of OpenPose), and AlphaPose's two flavours of it: a
file per frame.

`NAME_keypoints.json` for pictures, `NAME_000000000012_keypoints.json` for frames of videos, frames
without people too:

    {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, score, ...],
                                 "face_keypoints_2d": [...], "hand_left_keypoints_2d": [...],
                                 "hand_right_keypoints_2d": [...], ...}]}

The body is in the order BODY_25 (or COCO-18), joints copied by name, neck and mid-hip derived where
they are lacking, and 0, 0, 0 for what nobody knows: so are the pupils, the last two of OpenPose's
70 face points, of most skeletons. Skeletons with face and hands fill those lists; a hand that lacks
its first point begins at the wrist. Not held: boxes and scores of
persons (read back as the box around the joints and their mean score), times, sizes, suffixes of
sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..atomic import replacing
from ..errors import DataError, OutputError
from ..geometry import Array, box_around
from ..media.clock import Clock
from ..media.names import Names
from ..messages import Say
from ..people import People
from ..skeletons import BOX, HALPE136, OPENPOSE18, OPENPOSE25, Skeleton, mapping
from ..typed import decode, read_bytes
from .coco import track_id
from .records import Record, Results, as_people, bounded, persons

_FACE = tuple(f"face_{i}" for i in range(70))
_LEFT, _RIGHT = (tuple(f"{side}_hand_{i}" for i in range(21)) for side in ("left", "right"))
_FRAME = re.compile(r"(.+)_(\d{12})", re.ASCII)
_PARTS = {
    "face_keypoints_2d": _FACE,
    "hand_left_keypoints_2d": _LEFT,
    "hand_right_keypoints_2d": _RIGHT,
}
_KEYS_2D = ("pose_keypoints_2d", *_PARTS)
_KEYS = (*_KEYS_2D, *(key.replace("_2d", "_3d") for key in _KEYS_2D))  # the latter always empty


class Person(msgspec.Struct):
    """A person of a file, all flavours as OpenPose's."""

    pose_keypoints_2d: list[float] = []
    face_keypoints_2d: list[float] = []
    hand_left_keypoints_2d: list[float] = []
    hand_right_keypoints_2d: list[float] = []
    person_id: Any = -1
    category: str | None = None

    def lists(self) -> tuple[list[float], ...]:
        """Body, face, left hand, right hand."""
        return (
            self.pose_keypoints_2d,
            self.face_keypoints_2d,
            self.hand_left_keypoints_2d,
            self.hand_right_keypoints_2d,
        )


class Body(msgspec.Struct):
    """A person in the flavour of CMU."""

    joints: list[float]


class Document(msgspec.Struct):
    """A file, of any flavour."""

    people: list[Person] | None = None
    bodies: list[Body] | None = None


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one program names its files and lays out a frame."""

    suffix: str  # of its file names
    document: Callable[[list[dict[str, Any]]], dict[str, Any]]
    body: Skeleton
    extras: bool = False  # face and hands too


def _openpose(people: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": 1.3, "people": people}


def _alphapose_open(people: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "version": 0.1,
        "people": [{"pose_keypoints_2d": person["pose_keypoints_2d"]} for person in people],
    }


def _alphapose_cmu(people: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "version": 0.1,
        "bodies": [{"joints": person["pose_keypoints_2d"]} for person in people],
    }


BODY_25 = Flavour("_keypoints.json", _openpose, OPENPOSE25, extras=True)
COCO_18 = Flavour("_keypoints.json", _openpose, OPENPOSE18, extras=True)
ALPHAPOSE_OPEN = Flavour(".json", _alphapose_open, OPENPOSE18)
ALPHAPOSE_CMU = Flavour(".json", _alphapose_cmu, OPENPOSE18)


def writer(flavour: Flavour) -> Callable[[Results, Path, Say], None]:
    """A function that writes results into a folder, a file per frame; it comes whole or not at all.
    An older one of the same kind is replaced, one that holds anything else is an OutputError.
    """

    return partial(_write, flavour)


def _write(flavour: Flavour, results: Results, path: Path, say: Say) -> None:
    ours = path.is_dir() and all(file.name.endswith(flavour.suffix) for file in path.iterdir())
    if path.exists() and not ours:
        raise OutputError(
            f"{path}: holds something else than *{flavour.suffix}; choose another place"
        )
    names = Names()
    with replacing(path) as part:
        part.mkdir()
        for record in results:
            document = flavour.document(_persons(record, results.skeleton, flavour))
            file = part / (names.frame(record.source, record.index) + flavour.suffix)
            file.write_text(json.dumps(document, separators=(",", ":")), encoding="ascii")


def _persons(record: Record, skeleton: Skeleton, flavour: Flavour) -> list[dict[str, Any]]:
    """One dictionary per person, as OpenPose has it."""
    people = persons(record)
    keypoints = np.array([person["keypoints"] for person in people], np.float64)
    keypoints = keypoints.reshape(len(people), len(skeleton), 3)
    lists = {"pose_keypoints_2d": mapping(skeleton, flavour.body)(keypoints)}
    for key, joints in _PARTS.items():
        if joints[1] in skeleton.joints and flavour.extras:
            lists[key] = _listed(keypoints, skeleton, joints)
    rows = {
        key: np.round(values, 4).reshape(len(people), 3 * values.shape[1]).tolist()
        for key, values in lists.items()
    }
    return [
        {
            "person_id": [-1 if person["id"] is None else person["id"]],
            **{key: rows[key][place] if key in rows else [] for key in _KEYS},
            **({"category": person["category"]} if "category" in person else {}),
        }
        for place, person in enumerate(people)
    ]


def _listed(keypoints: Array, skeleton: Skeleton, joints: Sequence[str]) -> Array:
    """[N, K, 3] of the skeleton -> [N, K', 3] of these joints, zeros for what it lacks."""
    place = {joint: index for index, joint in enumerate(skeleton.joints)}
    for side in ("left", "right"):
        if f"{side}_wrist" in place:
            place.setdefault(f"{side}_hand_0", place[f"{side}_wrist"])
    padded = np.concatenate([keypoints, np.zeros((len(keypoints), 1, 3))], 1)
    return padded[:, [place.get(joint, len(skeleton)) for joint in joints]]


def read(path: Path, skeleton: Skeleton | None, say: Say, fps: float | None = None) -> Results:
    """A folder of any flavour, by name and frame -> Results of openpose-25 or -18, of halpe-136
    where people have faces or hands, or of the `skeleton` asked for. Frames follow each other at
    `fps` per second.
    """
    named = ((_frame(file.name), file) for file in path.iterdir() if file.suffix == ".json")
    files = sorted(named, key=lambda entry: (entry[0][0], entry[0][1] or 0, entry[1].name))
    first = next((person for _, file in files for person in _load(file)), Person())
    named_so = any(file.name.endswith(BODY_25.suffix) for _, file in files)
    usual = OPENPOSE25 if named_so else OPENPOSE18  # where nobody is in any of the frames
    numbers = len(first.pose_keypoints_2d) or 3 * len(usual)
    body = OPENPOSE18 if numbers == 3 * len(OPENPOSE18) else OPENPOSE25
    told = HALPE136 if any(first.lists()[1:]) else body
    chosen = told if skeleton is None else skeleton
    found = (*body.joints, *(joint for joints in _PARTS.values() for joint in joints))
    everything = replace(
        BOX,
        name=body.name,
        joints=found,
        mirror=tuple(range(len(found))),
        sigmas=(0.0,) * len(found),
    )
    to_chosen = mapping(everything, chosen)

    def records() -> Iterator[Record]:
        clock = Clock(fps)
        for (source, index), file in files:
            people = _people(_load(file), body, chosen, to_chosen, str(file))
            if index is None:
                yield Record(source, 0, clock.picture(source), 0, 0, people)
            else:
                yield Record(source, index, clock.frame(index), 0, 0, people)

    return Results(chosen, records)


def _people(
    found: list[Person],
    body: Skeleton,
    chosen: Skeleton,
    to_chosen: Callable[[Any], Any],
    where: str,
) -> People:
    """The people of one frame; their scores are the mean of the joints that were seen."""
    if not found:
        return People.empty(chosen)
    keypoints = np.stack([_keypoints(person, body, where) for person in found])
    seen = keypoints[..., 2] > 0
    scores = (keypoints[..., 2] * seen).sum(1) / np.maximum(seen.sum(1), 1)
    ids = [track_id(person.person_id, where) for person in found]
    tracked = all(number is not None and number >= 0 for number in ids)
    boxes = box_around(keypoints)
    mapped = to_chosen(keypoints.astype(np.float32))
    kinds = [person.category for person in found]
    return as_people(mapped, boxes, scores, ids if tracked else None, chosen, where, kinds)


def _frame(name: str) -> tuple[str, int | None]:
    """A file's name -> source and frame index, None for a picture."""
    name = name.removesuffix(".json").removesuffix("_keypoints")
    match = _FRAME.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, None)


def _load(file: Path) -> list[Person]:
    """The people of one file, all flavours as OpenPose's."""
    document = decode(read_bytes(file), Document, file)
    if document.bodies is not None:
        return [Person(body.joints) for body in document.bodies]
    if document.people is None:
        raise DataError(f"{file}: expected a frame of OpenPose, with a list of people")
    return document.people


def _keypoints(person: Person, body: Skeleton, where: str) -> Array:
    """One person -> [body + 70 + 21 + 21, 3]; zeros for lists that are empty, and for pupils."""
    counts = (len(body), *map(len, _PARTS.values()))
    rows = []
    for key, values, count in zip(_KEYS_2D, person.lists(), counts, strict=True):
        points = bounded(values or np.zeros(3 * count), key, where)
        least = count - 2 if key == "face_keypoints_2d" else count
        if len(points) % 3 or len(points) < 3 * least:
            others = "; other joints are read from a list in COCO's form" if not rows else ""
            raise DataError(
                f"{where}: {key} has {len(points)} numbers, expected x, y, score of {count} points"
                f"{others}"
            )
        rows.append(np.zeros((count, 3)))
        rows[-1][: len(points) // 3] = points.reshape(-1, 3)[:count]
    return np.concatenate(rows)
