"""BlazePose: a person's alignment points give a turned square, and in it 33 landmarks are found, in
the picture and in metres.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking" (2020), as published with
MediaPipe: a detector finds the middle of the hips and a point on the circle about the whole body
(after Leonardo's Vitruvian man). The square of 1.25 times the circle, turned so that this point
lies above the hips, is what the landmark network sees. It answers 33 landmarks with visibility, two
alignment points for the next look, whether there is anybody, and the landmarks in metres about the
hips (GHUM, Xu et al. 2020).

      ·  circle point           1. alignment points ──▶ turned square
     /|                         2. landmark network ──▶ 33 landmarks, in metres too,
    / | radius                                          and where to look next
      ·  middle of the hips

Any other finder will do: its box is looked at first, upright or as its people seem to lie, and
what is seen there says where to look properly. People who are followed are found in this way, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .. import geometry, nms
from ..codecs import AnchorPoints, Points
from ..errors import ModelError
from ..geometry import Array
from ..inputs import Input, crop, normalise
from ..method import Method
from ..options import Engine, FindOptions, Options
from ..people import Frame, Image, People, Poses3D
from ..runtime import Session
from ..skeletons import BLAZEPOSE33, Skeleton
from ..weights import manifest
from ..weights.locate import locate, opened
from .bottomup import BottomUp
from .orientation import UNKNOWN, hints
from .parts import with_parts
from .sppe import Crowd, with_keypoints
from .topdown import Distinct, TopDown, open_finder, usual_turn_net

# The points that the detector finds: the circle is about the hips and holds the whole body.
ALIGNMENT = Skeleton(
    name="blazepose-alignment",
    joints=("hips", "circle", "shoulders", "upper_circle"),
    limbs=((0, 1),),
    mirror=(0, 1, 2, 3),
    sigmas=(0.1,) * 4,
)
GROWN = 1.25  # the square, of the circle that it holds
SAME = 0.3  # IoU of two circles' squares that are one person's
LANDMARKS = Input(size=(256, 256), std=(255.0, 255.0, 255.0), layout="nhwc")
ALIGNER = "aligner"  # the task of its detector in the manifest
AUXILIARY = 33, 34  # the alignment points among the answered points: hips and circle
POINTS = 39
VALUES = 5  # x, y, z, visibility and presence
CODEC = Points(
    LANDMARKS.size, joints=33, values=VALUES, score=3, presence=1, logits=True, unit="edges"
)
WORLD = 4  # place of the landmarks in metres among the outputs


def squares(hips: Array, circle: Array, size: tuple[int, int]) -> Array:
    """[N, 2], [N, 2] in a picture -> [N, 2, 3]: the transforms to a crop of `size` in which the
    point on the circle lies straight above the hips, and `GROWN` times the circle fits.
    """
    radius = np.maximum(np.linalg.norm(circle - hips, axis=1), 0.5)[:, None]
    boxes = np.concatenate([hips - radius, hips + radius], 1)
    x, y = (circle - hips).T
    turns = np.arctan2(x, -y) / (np.pi / 2)
    upright = geometry.crop_matrices(boxes, size, GROWN)
    turned = _turned(turns, size)
    return geometry.compose(turned, upright)


def _turned(turns: Array, size: tuple[int, int]) -> Array:
    """Quarter turns against the clock [N] -> [N, 2, 3]: that turn about the middle of a crop."""
    cos, sin = np.cos(turns * np.pi / 2), np.sin(turns * np.pi / 2)
    linear = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    return np.concatenate([linear, (middle - linear @ middle)[..., None]], 2)


class Seen(NamedTuple):
    """What the landmark network says of N crops, in pixels of their pictures."""

    keypoints: Array  # [N, 33, 3]
    world: Array  # [N, 33, 3] metres about the hips: x right, y down, z away
    hips: Array  # [N, 2]
    circle: Array  # [N, 2]


@dataclass(frozen=True, slots=True)
class Landmarks:
    """A `Poser`: people with alignment points are looked at once, others twice."""

    session: Session

    def __post_init__(self) -> None:
        try:
            CODEC.check(self.session.outputs, len(BLAZEPOSE33))
        except ModelError as error:
            raise ModelError(f"{self.session.path}: not BlazePose's landmarks: {error}") from error
        if len(self.session.outputs) <= WORLD or self.session.input.shape[1:] != (256, 256, 3):
            outputs = ", ".join(map(str, self.session.outputs))
            raise ModelError(
                f"{self.session.path}: BlazePose's landmarks take [1, 256, 256, 3] and give "
                f"{WORLD + 1} outputs, the file takes {self.session.input} and gives {outputs}"
            )

    @property
    def skeleton(self) -> Skeleton:
        return BLAZEPOSE33

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {"pose": self.session}

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        """Frames whose people have boxes or alignment points -> the same with landmarks, and with
        `poses3d`.
        """
        worlds: list[Array] = [np.zeros((0, 33, 3))]

        def estimate(pictures: list[Image], crowd: Crowd) -> Array:
            seen = self._looked(pictures, crowd)
            worlds.append(seen.world)
            return seen.keypoints

        posed = with_keypoints(frames, BLAZEPOSE33, estimate)
        ends = np.cumsum([len(frame.people) for frame in frames])[:-1]
        parts = np.split(np.concatenate(worlds), ends)
        return [_in_space(frame, world) for frame, world in zip(posed, parts, strict=True)]

    def _looked(self, pictures: list[Image], crowd: Crowd) -> Seen:
        if crowd.groups[0].skeleton == ALIGNMENT:
            points = np.concatenate([group.keypoints for group in crowd.groups])
            return self.look(pictures, squares(points[:, 0, :2], points[:, 1, :2], LANDMARKS.size))
        likely = np.concatenate([hints(group) for group in crowd.groups])
        turns = np.where((likely > 2 * UNKNOWN).any(1), likely.argmax(1), 0)
        extent = crowd.boxes[:, 2:] - crowd.boxes[:, :2]
        middle = crowd.boxes[:, :2] + extent / 2
        half = extent.max(1, keepdims=True) / 2
        around = np.concatenate([middle - half, middle + half], 1)
        first = self.look(pictures, geometry.crop_matrices(around, LANDMARKS.size, GROWN, turns))
        return self.look(pictures, squares(first.hips, first.circle, LANDMARKS.size))

    def look(self, pictures: Sequence[Image], matrices: Array) -> Seen:
        """Pictures and transforms [N, 2, 3] to crops -> what is seen there."""
        outputs = [
            self.session(normalise([crop(picture, matrix, LANDMARKS)], LANDMARKS))
            for picture, matrix in zip(pictures, matrices, strict=True)
        ]
        together = [np.concatenate(column) for column in zip(*outputs, strict=True)]
        if not all(np.isfinite(together[place]).all() for place in (0, 1, WORLD)):
            raise ModelError(f"{self.session.path}: its answer is infinite: broken weights?")
        keypoints = CODEC.decode(together)
        keypoints[..., 2] *= CODEC.whole(together)[:, None]
        points = together[0].reshape(len(matrices), POINTS, VALUES)[:, AUXILIARY, :2]
        points = points * CODEC.scale + CODEC.offset

        back = geometry.invert(matrices)
        points = geometry.transform(back, points)
        world = together[WORLD].reshape(len(matrices), POINTS, 3)[:, : len(BLAZEPOSE33)]
        turn = back[:, :, :2] / np.linalg.norm(back[:, :, :1], axis=1, keepdims=True)
        world = geometry.transform(np.concatenate([turn, np.zeros((len(turn), 2, 1))], 2), world)
        return Seen(geometry.transform(back, keypoints), world, points[:, 0], points[:, 1])


def _in_space(frame: Frame, world: Array) -> Frame:
    """The frame with the people's landmarks in metres [N, 33, 3], as sure as in the picture."""
    people = frame.people
    joints = np.concatenate([world, people.keypoints[..., 2:]], 2)
    return replace(frame, poses3d=Poses3D(joints, BLAZEPOSE33, people.ids))


def _circles(people: People) -> People:
    """People with alignment points; their boxes hold their circles."""
    hips, circle = people.keypoints[:, 0, :2], people.keypoints[:, 1, :2]
    radius = np.linalg.norm(circle - hips, axis=1)[:, None]
    boxes = np.concatenate([hips - radius, hips + radius], 1)
    return nms.box_nms(replace(people, boxes=boxes), SAME)


def open_aligner(find: FindOptions, engine: Engine) -> Method | None:
    """BlazePose's own detector, if that is what the options name; else None. Raises ModelError."""
    if find.detector is None:
        return None
    named = manifest.load()[0].get(str(find.detector))
    if named is not None and named.task != ALIGNER:
        return None
    path, row = locate(find.detector, ALIGNER)
    if row is None:
        return None
    return BottomUp(
        session=engine(path),
        codec=AnchorPoints(),
        skeleton=ALIGNMENT,
        input=row.input,
        score=find.score,
        max_people=find.max_people,
        suppress=_circles,
    )


def open_blazepose(options: Options) -> TopDown:
    """BlazePose by the options' pose model (none: blazepose-full), behind the detector that they
    name, or everybody's. Raises ModelError, OptionError.
    """
    engine = options.engine
    session, _ = opened(options.pose.model or "blazepose-full", "pose", engine)
    net = usual_turn_net(engine) if options.pose.orientation == "any" else None
    finder = open_aligner(options.find, engine) or open_finder(options.find, net, engine)
    poser = Distinct(Landmarks(session), nms.pose_nms(options.pose.nms).run)
    return TopDown(finder, with_parts(poser, options.pose, engine), options.pose.batch or 1)
