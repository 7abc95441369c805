"""Hands and faces by networks of their own, merged with the body: OpenPose's 135 points.

After Simon et al., "Hand Keypoint Detection in Single Images using Multiview Bootstrapping"
(CVPR 2017) and Cao et al., "OpenPose" (TPAMI 2019), Sec. 5: the body says where its hands and face
are, and a network of that part looks there. A hand follows its forearm and is three quarters as
long (Drillis and Contini 1966: hand .108, forearm .146 of body height); the face lies between eyes,
nose and ears. What the first look finds places and turns the crop of the second.

         elbow ───▶ wrist ─▶ ┌──────┐           the second look: about what was found,
                             │ hand │           fingers (or forehead) up
                             └──────┘

MediaPipe's face mesh of 468 points gives the 70 by a table: the 68 of iBUG, and for the pupils the
middle of each eye.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..codecs import make_codec
from ..errors import OptionError
from ..geometry import Array, box_around
from ..method import Poser
from ..options import Engine, PoseOptions
from ..people import Frame, Image, People
from ..runtime import Session
from ..skeletons import (
    FACE70,
    FACE_MESH468,
    HAND21,
    OPENPOSE135,
    Skeleton,
    mapping,
    skeleton,
)
from ..weights.locate import opened
from .sppe import Boxed, Crowd, Sppe

SEEN = 0.2  # minimum score of the joints that place a part
HAND = 0.108 / 0.146  # of the forearm's length
ROOM = 2.0  # of the hand's length: the square in which it is looked for
FACE = 2.4  # of the eyes' and ears' spread, as for the hand
AGAIN = 1.6  # of what the first look found: the square of the second
THERE = 0.2  # mean score of a part's points from which it is looked at again

# Points of MediaPipe's mesh that lie where the 68 of iBUG do: jaw, brows, nose, eyes, mouth.
MESH = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
EYES = (slice(36, 42), slice(42, 48))  # right and left, among the 68


def face_points(mesh: Array) -> Array:
    """[N, 468, 3] of MediaPipe's mesh -> [N, 70, 3]."""
    points = mesh[:, MESH]
    pupils = [points[:, eye].mean(1, keepdims=True) for eye in EYES]
    return np.concatenate([points, *pupils], 1)


@dataclass(frozen=True, slots=True)
class Squares:
    """Where parts are looked for: boxes [M, 4], quarter turns [M], and whose they are [M]."""

    boxes: Array
    turns: Array
    person: NDArray[np.intp]


def _squares(middle: Array, side: Array, up: Array, person: NDArray[np.intp]) -> Squares:
    """Middles [M, 2], sides [M], and the directions [M, 2] that are to point up."""
    half = side[:, None] / 2
    turns = np.arctan2(up[:, 0], -up[:, 1]) / (np.pi / 2)
    return Squares(np.concatenate([middle - half, middle + half], 1), turns, person)


def hands(people: People, side: str) -> Squares:
    """Squares beyond the wrists of one side, where elbow and wrist are seen."""
    elbow, wrist = (_joint(people, f"{side}_{part}") for part in ("elbow", "wrist"))
    person = np.flatnonzero((elbow[:, 2] > SEEN) & (wrist[:, 2] > SEEN))
    elbow, wrist = elbow[person, :2], wrist[person, :2]
    hand = HAND * (wrist - elbow)
    length = np.maximum(np.linalg.norm(hand, axis=1), 1.0)
    return _squares(wrist + hand / 2, ROOM * length, hand, person)


def faces(people: People) -> Squares:
    """Squares about the faces that look at the camera: nose and both eyes are seen."""
    names = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
    points = np.stack([_joint(people, name) for name in names], 1)
    person = np.flatnonzero((points[:, :3, 2] > SEEN).all(1))
    points = points[person]

    seen = points[..., 2] > SEEN
    spread = np.linalg.norm(points[:, None, :, :2] - points[:, :, None, :2], axis=-1)
    widest = np.where(seen[:, None] & seen[:, :, None], spread, 0).max((1, 2), initial=1.0)
    nose, right, left = points[:, :3, :2].transpose(1, 0, 2)
    across = left - right
    up = np.stack([across[:, 1], -across[:, 0]], 1)
    return _squares((nose + right + left) / 3, FACE * widest, up, person)


def _joint(people: People, name: str) -> Array:
    """[N, 3]"""
    return people.keypoints[:, people.skeleton.joints.index(name)]


def _around(points: Array, up: Array, squares: Squares) -> Squares:
    """The second look at parts found [M, K, 3], with the directions [M, 2] that point up."""
    boxes = box_around(points)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1, initial=1.0), 1.0)
    return _squares(middle, AGAIN * side, up, squares.person)


def _hand_up(points: Array) -> Array:
    """From the wrist to the root of the middle finger."""
    return points[:, 9, :2] - points[:, 0, :2]


def _face_up(points: Array) -> Array:
    """Across the line from the right eye's outer corner to the left one's."""
    across = points[:, 45, :2] - points[:, 36, :2]
    return np.stack([across[:, 1], -across[:, 0]], 1)


@dataclass(frozen=True, slots=True)
class WithParts:
    """A poser around a poser: the body's joints, then hands and faces in it, as `openpose-135`.

    Raises OptionError for a body without the joints that place the parts.
    """

    body: Poser
    hand: Sppe | None = None
    face: Sppe | None = None

    def __post_init__(self) -> None:
        needed = [f"{side}_{part}" for side in ("left", "right") for part in ("elbow", "wrist")]
        needed = needed if self.hand else []
        needed += ["nose", "left_eye", "right_eye", "left_ear", "right_ear"] if self.face else []
        lacking = [joint for joint in needed if joint not in self.body.skeleton.joints]
        if lacking:
            raise OptionError(
                f"hands and faces are looked for from the body: its pose model must find "
                f"{', '.join(lacking)}, which {self.body.skeleton.name} lacks"
            )

    @property
    def skeleton(self) -> Skeleton:
        return OPENPOSE135

    @property
    def sessions(self) -> Mapping[str, Session]:
        parts = {"hand": self.hand, "face": self.face}
        return {
            **self.body.sessions,
            **{name: part.session for name, part in parts.items() if part},
        }

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        posed = self.body(frames)
        if not any(len(frame.people) for frame in posed):
            return [replace(frame, people=People.empty(OPENPOSE135)) for frame in posed]
        crowd = Crowd(posed)
        keypoints = np.concatenate([frame.people.keypoints for frame in posed])
        people = People(keypoints, crowd.boxes, crowd.scores, self.body.skeleton)
        whole = mapping(people.skeleton, OPENPOSE135)(keypoints)

        for side in ("left", "right") if self.hand else ():
            assert self.hand is not None
            squares = hands(people, side)
            points = self._looked(self.hand, squares, crowd.pictures())
            self._put(whole, [f"{side}_hand_{i}" for i in range(1, 21)], squares, points[:, 1:])
        if self.face:
            squares = faces(people)
            points = self._looked(self.face, squares, crowd.pictures())
            self._put(whole, FACE70.joints, squares, points)

        ends = np.cumsum([len(frame.people) for frame in posed])[:-1]
        return [
            replace(frame, people=replace(frame.people, keypoints=points, skeleton=OPENPOSE135))
            for frame, points in zip(posed, np.split(whole, ends), strict=True)
        ]

    @staticmethod
    def _put(whole: Array, joints: Sequence[str], squares: Squares, points: Array) -> None:
        rows = [OPENPOSE135.joints.index(joint) for joint in joints]
        whole[squares.person[:, None], rows] = points

    @staticmethod
    def _looked(part: Sppe, squares: Squares, pictures: list[Image]) -> Array:
        """Points [M, K, 3] of a part by two looks, the surer of the two."""
        shown = [pictures[row] for row in squares.person]
        first = _as_part(part.posed(shown, squares.boxes, squares.turns), part.skeleton)
        up = _hand_up(first) if part.skeleton == HAND21 else _face_up(first)
        around = _around(first, up, squares)

        rows = np.flatnonzero(first[..., 2].mean(1) > THERE)
        shown = [shown[row] for row in rows]
        again = part.posed(shown, around.boxes[rows], around.turns[rows])
        second = _as_part(again, part.skeleton)
        surer = second[..., 2].mean(1) >= first[rows][..., 2].mean(1)
        first[rows[surer]] = second[surer]
        return first


def _as_part(points: Array, skeleton: Skeleton) -> Array:
    """What a part's network found, as the hand's 21 or the face's 70 points."""
    if skeleton == FACE_MESH468:
        return face_points(points)
    return mapping(skeleton, FACE70)(points) if skeleton != HAND21 else points


def open_part(model: str | Path, kinds: Sequence[Skeleton], engine: Engine) -> Sppe:
    """A network of a part, by name or path, whose skeleton must be one of `kinds`. Raises
    ModelError, OptionError.
    """
    session, row = opened(model, "part", engine)
    wanted = " or ".join(kind.name for kind in kinds)
    if row is None:
        raise OptionError(
            f"{session.path}: no row of the manifest describes this part: write one with task "
            f"'part', its codec and skeleton {wanted} into a folder that EVERYBODY_WEIGHTS names"
        )
    if row.skeleton_name not in {kind.name for kind in kinds}:
        raise OptionError(f"{session.path}: finds {row.skeleton_name}, expected {wanted}")
    return Sppe(
        session=session,
        skeleton=skeleton(row.skeleton_name),
        codec=make_codec(row.codec, row.input.size),
        input=row.input,
        look=Boxed(row.padding),
    )


def with_parts(body: Poser, pose: PoseOptions, engine: Engine) -> Poser:
    """The poser, with the hands and faces that the options ask for. Raises ModelError,
    OptionError.
    """
    if pose.hand is None and pose.face is None:
        return body
    hand = None if pose.hand is None else open_part(pose.hand, [HAND21], engine)
    face = None if pose.face is None else open_part(pose.face, [FACE70, FACE_MESH468], engine)
    return WithParts(body, hand, face)
