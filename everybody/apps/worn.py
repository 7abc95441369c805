"""Things that people wear or hold: pictures that are fixed to joints.

A thing is a picture with transparent parts and `anchors`: the pixels of it that belong on joints.
Two anchors give a similarity (glasses on both eyes), three an affine map, four a homography (a
jersey on shoulders and hips). It grows, turns and leans with the body. Seen from behind, left and
right change places, and the picture is mirrored with them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import DataError, unknown
from ..geometry import Array
from ..people import Image, People, Poses3D
from ..typed import convert, read_bytes
from .overlay import blended, placed, silhouettes

SEEN = 0.3  # minimum score of a joint that holds something
BEHIND = 0.12  # metres beyond the trunk, from which a held thing is behind the body


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A picture [h, w, 4] and the pixels (x, y) of it that belong on joints, by their names.

    face: shown only where nose and both eyes are seen. held: goes behind the body with its joint.
    """

    name: str
    picture: Image
    anchors: Mapping[str, tuple[float, float]]
    face: bool = False
    held: bool = False


def put_on(
    frame: Image, people: People, things: list[Thing], poses3d: Poses3D | None = None
) -> Image:
    """The frame [H, W, 3] with things on all its people, the nearest ones last."""
    order = np.argsort((people.boxes[:, 3]), kind="stable")  # who stands lower stands nearer
    for row in order.tolist():
        for thing in things:
            matrix = fitted(thing, people[row])
            if matrix is None:
                continue
            layer, alpha = placed(thing.picture, matrix, frame.shape[1::-1])
            if thing.held and poses3d is not None and _behind(thing, poses3d, row):
                alpha = alpha * (1 - silhouettes(people[row], frame.shape[1::-1]))
            frame = blended(frame, layer, alpha)
    return frame


def fitted(thing: Thing, person: People) -> Array | None:
    """[3, 3] from the thing's picture to the frame; None where a joint that holds it, or a face
    that it needs, is not seen.
    """
    place = {joint: k for k, joint in enumerate(person.skeleton.joints)}
    points = person.keypoints[0]

    def seen(joint: str) -> bool:
        return joint in place and points[place[joint], 2] >= SEEN

    needed = {*thing.anchors, *(("nose", "left_eye", "right_eye") if thing.face else ())}
    if not all(seen(joint) for joint in needed):
        return None
    own = np.array(list(thing.anchors.values()), np.float64)
    there = np.array([points[place[joint], :2] for joint in thing.anchors], np.float64)
    if len(own) == 2:
        return _similar(own, there, _upward(points, place))
    if len(own) == 3:
        affine = cv2.getAffineTransform(own.astype(np.float32), there.astype(np.float32))
        return np.vstack([affine, [0, 0, 1]])
    four = cv2.getPerspectiveTransform(own[:4].astype(np.float32), there[:4].astype(np.float32))
    return np.asarray(four, np.float64)


def _upward(points: Array, place: Mapping[str, int]) -> Array | None:
    """From the shoulders' middle to the head; None where it is not seen."""
    shoulders = [place.get("left_shoulder"), place.get("right_shoulder")]
    nose = place.get("nose")
    ears = [place.get(name) for name in ("left_ear", "right_ear")]
    head = [k for k in (nose, *ears) if k is not None and points[k, 2] >= SEEN]
    if None in shoulders or not head:
        return None
    return points[head, :2].mean(0) - points[[k for k in shoulders if k is not None], :2].mean(0)


def _similar(own: Array, there: Array, up: Array | None) -> Array:
    """The similarity of two pairs of points, mirrored if it would stand head down otherwise."""

    def solved(from_: Array) -> Array:
        a, b = (np.array([1, 1j]) @ pair for pair in (from_[1] - from_[0], there[1] - there[0]))
        turn = b / a if a else 0
        linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
        return np.column_stack([linear, there[0] - linear @ from_[0]])

    matrix = np.vstack([solved(own), [0, 0, 1]])
    if up is None or (matrix[:2, :2] @ (0, -1)) @ up >= 0:
        return matrix
    flip = np.diag([-1.0, 1.0, 1.0])
    return np.vstack([solved(own * (-1, 1)), [0, 0, 1]]) @ flip


def _behind(thing: Thing, poses3d: Poses3D, row: int) -> bool:
    """Whether the joints that hold it lie beyond the trunk, as the camera sees them."""
    joints = poses3d.skeleton.joints
    held = [joints.index(joint) for joint in thing.anchors if joint in joints]
    trunk = [k for k, joint in enumerate(joints) if joint.endswith(("_shoulder", "_hip"))]
    if not held or not trunk or poses3d.frame != "camera":
        return False
    depth = poses3d.joints[row, :, 2]
    return bool(depth[held].mean() > depth[trunk].mean() + BEHIND)


# --- what comes with everybody, drawn when it is asked for


def _canvas(width: int, height: int) -> Image:
    return np.zeros((height, width, 4), np.uint8)


def _glasses() -> Thing:
    picture = _canvas(320, 120)
    for x in (100, 220):
        cv2.ellipse(picture, (x, 60), (52, 40), 0, 0, 360, (25, 25, 35, 150), -1, cv2.LINE_AA)
        cv2.ellipse(picture, (x, 60), (52, 40), 0, 0, 360, (20, 20, 20, 255), 8, cv2.LINE_AA)
    cv2.line(picture, (148, 52), (172, 52), (20, 20, 20, 255), 8, cv2.LINE_AA)
    cv2.line(picture, (50, 52), (8, 44), (20, 20, 20, 255), 8, cv2.LINE_AA)
    cv2.line(picture, (270, 52), (312, 44), (20, 20, 20, 255), 8, cv2.LINE_AA)
    return Thing("glasses", picture, {"right_eye": (100, 60), "left_eye": (220, 60)}, face=True)


def _hat() -> Thing:
    picture = _canvas(400, 300)
    cv2.ellipse(picture, (200, 190), (190, 34), 0, 0, 360, (60, 38, 24, 255), -1, cv2.LINE_AA)
    crown = np.array([[95, 190], [112, 50], [200, 34], [288, 50], [305, 190]], np.int32)
    cv2.fillPoly(picture, [crown], (78, 50, 32, 255), cv2.LINE_AA)
    band = np.array([[97, 178], [101, 142], [299, 142], [303, 178]], np.int32)
    cv2.fillPoly(picture, [band], (170, 30, 40, 255), cv2.LINE_AA)
    return Thing("hat", picture, {"right_ear": (105, 270), "left_ear": (295, 270)})


def _jersey() -> Thing:
    picture = _canvas(300, 360)
    outline = [[40, 30], [115, 18], [150, 44], [185, 18], [260, 30], [296, 96], [252, 120],
               [248, 350], [52, 350], [48, 120], [4, 96]]  # fmt: skip
    cv2.fillPoly(picture, [np.array(outline, np.int32)], (20, 70, 160, 235), cv2.LINE_AA)
    cv2.putText(picture, "7", (112, 230), cv2.FONT_HERSHEY_DUPLEX, 4, (255, 255, 255, 255), 10)
    anchors = {"right_shoulder": (52, 52), "left_shoulder": (248, 52), "left_hip": (232, 330),
               "right_hip": (68, 330)}  # fmt: skip
    return Thing("jersey", picture, anchors)


def _sword() -> Thing:
    picture = _canvas(80, 640)
    blade = np.array([[30, 400], [50, 400], [50, 40], [40, 8], [30, 40]], np.int32)
    cv2.fillPoly(picture, [blade], (205, 212, 222, 255), cv2.LINE_AA)
    cv2.line(picture, (40, 396), (40, 40), (150, 158, 170, 255), 3, cv2.LINE_AA)
    cv2.line(picture, (8, 404), (72, 404), (160, 120, 30, 255), 16, cv2.LINE_AA)
    cv2.line(picture, (40, 410), (40, 480), (70, 40, 20, 255), 16, cv2.LINE_AA)
    anchors = {"right_elbow": (40, 636), "right_wrist": (40, 470)}
    return Thing("sword", picture, anchors, held=True)


_MADE = {"glasses": _glasses, "hat": _hat, "jersey": _jersey, "sword": _sword}
THINGS = tuple(_MADE)


def thing(name: str) -> Thing:
    """One that comes with everybody, by name, or that a TOML file describes. Raises OptionError,
    DataError.
    """
    if name.endswith(".toml"):
        return read_thing(Path(name))
    if name not in _MADE:
        raise unknown("thing to wear", name, [*THINGS, "FILE.toml"])
    return _MADE[name]()


def read_thing(path: Path) -> Thing:
    """A TOML file: picture = "crown.png" (beside it), face, held, and a table `anchors` of joints
    and pixels [x, y]. Raises DataError that names file and key.
    """
    try:
        table = tomllib.loads(read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a TOML file ({error})") from None
    known = {"picture", "anchors", "face", "held"}
    if foreign := sorted(set(table) - known):
        raise DataError(f"{path}: {unknown('key', foreign[0], sorted(known))}")
    anchors = convert(table.get("anchors", {}), dict[str, tuple[float, float]], f"{path}, anchors")
    if not 2 <= len(anchors) <= 4:
        raise DataError(f"{path}: anchors are 2 to 4 joints with their pixels, not {len(anchors)}")
    file = path.parent / convert(table.get("picture", ""), str, f"{path}, picture")
    picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED) if file.is_file() else None
    if picture is None or picture.ndim != 3:
        raise DataError(f"{path}: picture '{file}' cannot be read as a colour picture")
    code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    face, held = (convert(table.get(k, False), bool, f"{path}, {k}") for k in ("face", "held"))
    return Thing(path.stem, cv2.cvtColor(picture, code), anchors, face, held)  # type: ignore[arg-type]
