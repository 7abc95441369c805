"""OpenPose's --write_json (doc/02_output.md of OpenPose), and AlphaPose's two flavours of it: a
file per frame.

`NAME_keypoints.json` for pictures, `NAME_000000000012_keypoints.json` for frames of videos, frames
without people too:

    {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, score, ...], "face_keypoints_2d": [...],
                                 "hand_left_keypoints_2d": [...], "hand_right_keypoints_2d": [...], ...}]}

The body is in the order BODY_25 (or COCO-18), joints copied by name, neck and mid-hip derived where
they are lacking, and 0, 0, 0 for what nobody knows: so are the pupils, the last two of OpenPose's
70 face points. Skeletons with face and hands fill those lists. Not held: boxes and scores of
persons (read back as the box around the joints and their mean score), times, sizes, suffixes of
sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import DataError, OutputError
from ..geometry import box_around
from ..media.names import Names
from ..people import Floats, People
from ..skeletons import BOX, HALPE136, OPENPOSE18, OPENPOSE25, Skeleton, mapping
from .records import Record, Results, Say, plain

_FACE = tuple(f"face_{i}" for i in range(68))
_LEFT, _RIGHT = (tuple(f"{side}_hand_{i}" for i in range(21)) for side in ("left", "right"))
_FRAME = re.compile(r"(.+)_(\d{12})")
_PARTS = {
    "face_keypoints_2d": _FACE,
    "hand_left_keypoints_2d": _LEFT,
    "hand_right_keypoints_2d": _RIGHT,
}
_KEYS_2D = ("pose_keypoints_2d", *_PARTS)
_KEYS = (*_KEYS_2D, *(key.replace("_2d", "_3d") for key in _KEYS_2D))  # the latter always empty


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

    def write(results: Results, path: Path, say: Say) -> None:
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

    return write


def _persons(record: Record, skeleton: Skeleton, flavour: Flavour) -> list[dict[str, Any]]:
    """One dictionary per person, as OpenPose has it."""
    persons = plain(record)
    keypoints = np.array([person["keypoints"] for person in persons], np.float64)
    keypoints = keypoints.reshape(len(persons), len(skeleton), 3)
    lists = {"pose_keypoints_2d": mapping(skeleton, flavour.body)(keypoints)}
    for key, joints in _PARTS.items():
        if joints[0] in skeleton.joints and flavour.extras:
            lists[key] = keypoints[:, [skeleton.joints.index(joint) for joint in joints]]
    if "face_keypoints_2d" in lists:
        lists["face_keypoints_2d"] = np.pad(
            lists["face_keypoints_2d"], ((0, 0), (0, 2), (0, 0))
        )  # no pupils
    rows = {
        key: np.round(values, 4).reshape(len(persons), 3 * values.shape[1]).tolist()
        for key, values in lists.items()
    }
    return [
        {
            "person_id": [-1 if person["id"] is None else person["id"]],
            **{key: rows[key][place] if key in rows else [] for key in _KEYS},
        }
        for place, person in enumerate(persons)
    ]


def read(path: Path, skeleton: Skeleton | None, say: Say) -> Results:
    """A folder of any flavour, by name and frame -> Results of openpose-25 or -18, of halpe-136
    where people have faces or hands, or of the `skeleton` asked for.
    """
    files = sorted((_frame(file.name), file) for file in path.iterdir() if file.suffix == ".json")
    first = next((person for _, file in files for person in _load(file)), {})
    body = (
        OPENPOSE18 if len(first.get("pose_keypoints_2d", ())) == 3 * len(OPENPOSE18) else OPENPOSE25
    )
    told = HALPE136 if any(first.get(key) for key in _PARTS) else body
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
        for (source, index), file in files:
            persons = _load(file)
            try:
                keypoints = np.zeros((len(persons), len(found), 3), np.float32)
                for place, person in enumerate(persons):
                    keypoints[place] = _keypoints(person, len(body))
                ids = [int(np.ravel(person.get("person_id", -1))[0]) for person in persons]
            except (ValueError, TypeError, IndexError) as error:
                raise DataError(
                    f"{file}: not people of {body.name} as OpenPose writes them ({error})"
                ) from error
            seen = keypoints[..., 2] > 0
            scores = (keypoints[..., 2] * seen).sum(1) / np.maximum(seen.sum(1), 1)
            tracked = len(ids) > 0 and min(ids) >= 0
            people = People(
                to_chosen(keypoints),
                box_around(keypoints),
                scores,
                chosen,
                np.array(ids) if tracked else None,
            )
            yield Record(source, index, 0.0, 0, 0, people)

    return Results(chosen, records)


def _frame(name: str) -> tuple[str, int]:
    """A file's name -> source and frame index."""
    name = name.removesuffix(".json").removesuffix("_keypoints")
    match = _FRAME.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 0)


def _load(file: Path) -> list[dict[str, Any]]:
    """The people of one file, all flavours as OpenPose's."""
    try:
        document = json.loads(file.read_bytes())
        if "bodies" in document:
            return [{"pose_keypoints_2d": body["joints"]} for body in document["bodies"]]
        return [dict(person) for person in document["people"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: expected a frame of OpenPose, with a list of people ({error!r})"
        ) from error


def _keypoints(person: dict[str, Any], body: int) -> Floats:
    """One person -> [body + 68 + 21 + 21, 3]; zeros for lists that are empty."""
    rows = []
    for key, count in (
        ("pose_keypoints_2d", body),
        *((key, len(joints)) for key, joints in _PARTS.items()),
    ):
        values = np.array(person.get(key) or np.zeros(3 * count), np.float32).reshape(-1, 3)
        if len(values) < count:
            raise ValueError(f"{key} has {len(values)} points, expected {count}")
        rows.append(values[:count])
    return np.concatenate(rows)
