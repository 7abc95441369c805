"""Rigid things in a film: found by features, followed by flow, placed in six degrees of freedom.

Features are SIFT (Lowe 2004), wrong matches fall to MAGSAC++ (Barath et al. 2020), the pose is the
PnP of the inliers (SQPnP, Terzakis and Lourakis 2020, then Levenberg-Marquardt). From frame to
frame the target is drawn as it was last seen and compared with the new frame by optical flow
(Lucas and Kanade 1981), so that errors do not add up; where that fails, features look again.

A target is one or more flat faces with known places in space: a sheet of paper, a poster, an
instrument's panel, or the sides of a box. Its coordinates are metres from its middle: x to the
right, y up the picture, z out of it. The camera's are OpenCV's: x right, y down, z away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import OptionError
from ..geometry import Array
from ..lift.cameras import FARTHEST, Camera
from ..people import Image

FEATURES = 1200  # of a face, the strongest
FEWEST = 60  # of them, for a target to be found in most views
SPREAD = 12  # of the 16 parts of a face, that must hold features
RATIO = 0.75  # nearest to second nearest descriptor (Lowe 2004)
REACH = 3.0  # pixels that an inlier's projection may be off
INLIERS = 14  # for a pose to be believed
KEPT = 0.4  # share of the points seen last that the flow must keep
BACK = 1.0  # pixels by which flow there and back may differ
PASSES = 3  # of the flow, in one frame
NEARLY = 2.0  # pixels by which a corner moves, below which one pass is enough
LONGEST = 800  # pixels of a face's longer side
GOOD = (
    "a good target is sharp, full of corners and contrast all over, and nowhere the same: a page "
    "of pictures, a poster, a map"
)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A flat picture with a place: grey [h, w], its corners [4, 3] in metres, clockwise from the
    upper left; its features' pixels [N, 2] and descriptors [N, 128].
    """

    grey: Image
    corners: Array
    pixels: Array
    descriptors: Array

    @property
    def size(self) -> tuple[int, int]:
        return self.grey.shape[1], self.grey.shape[0]

    def points(self, pixels: Array) -> Array:
        """[N, 2] of the picture -> [N, 3] metres."""
        width, height = self.size
        share = (pixels + 0.5) / (width, height)
        across, down = self.corners[1] - self.corners[0], self.corners[3] - self.corners[0]
        return self.corners[0] + share[:, :1] * across + share[:, 1:] * down

    @property
    def normal(self) -> Array:
        across, down = self.corners[1] - self.corners[0], self.corners[3] - self.corners[0]
        return np.cross(down, across)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Faces with their places."""

    faces: tuple[Face, ...]

    @classmethod
    def flat(cls, picture: Image, width: float = 0.21, name: str = "target") -> Target:
        """A picture [H, W, 3] of something flat, so many metres wide. Raises OptionError for one
        with too little to recognise.
        """
        w, h = width / 2, width / 2 * picture.shape[0] / picture.shape[1]
        corners = np.array([[-w, h, 0], [w, h, 0], [w, -h, 0], [-w, -h, 0]])
        return cls((_face(picture, corners, name),))

    @classmethod
    def box(cls, pictures: Sequence[Image | None], size: tuple[float, float, float]) -> Target:
        """The front, right, back, left, top and bottom of a box of so many metres (across, up,
        deep), seen from outside; None for a side without a picture. Raises OptionError.
        """
        places = box_corners(size)
        names = ("front", "right", "back", "left", "top", "bottom")
        faces = [
            _face(picture, corners, f"the box's {name}")
            for picture, corners, name in zip(pictures, places, names, strict=True)
            if picture is not None
        ]
        if not faces:
            raise OptionError("a box needs a picture of one of its sides at least")
        return cls(tuple(faces))


def box_corners(size: tuple[float, float, float]) -> Array:
    """[6, 4, 3]: the corners of front, right, back, left, top and bottom, as `Face.corners`."""
    x, y, z = (side / 2 for side in size)
    front = [(-x, y, z), (x, y, z), (x, -y, z), (-x, -y, z)]
    back = [(x, y, -z), (-x, y, -z), (-x, -y, -z), (x, -y, -z)]
    right = [front[1], back[0], back[3], front[2]]
    left = [back[1], front[0], front[3], back[2]]
    top = [back[1], back[0], front[1], front[0]]
    bottom = [front[3], front[2], back[3], back[2]]
    return np.array([front, right, back, left, top, bottom])


def _face(picture: Image, corners: Array, name: str) -> Face:
    shrink = min(1.0, LONGEST / max(picture.shape[:2]))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if shrink < 1:
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found, descriptors = _sift().detectAndCompute(grey, None)
    pixels = np.array([point.pt for point in found], np.float64).reshape(-1, 2)
    parts = np.floor(pixels / (grey.shape[1], grey.shape[0]) * 4).astype(int)
    spread = len({tuple(part) for part in parts})
    if len(pixels) < FEWEST or spread < SPREAD:
        raise OptionError(
            f"{name}: has {len(pixels)} features in {spread} of 16 parts; expected {FEWEST} in "
            f"{SPREAD}: {GOOD}"
        )
    return Face(grey, np.asarray(corners, np.float64), pixels, descriptors)  # type: ignore[arg-type]


def _sift() -> cv2.SIFT:
    return cv2.SIFT.create(nfeatures=FEATURES)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A target in a frame: rotation [3, 3] and translation [3] to the camera, how many points
    agree, and how far off they are (root mean square, pixels).
    """

    rotation: Array
    translation: Array
    inliers: int
    error: float

    def of(self, camera: Camera) -> Camera:
        """The camera as the target sees it: in the target's axes."""
        return camera.at(self.rotation, self.translation)


class Tracker:
    """Follows one target through the frames of one film."""

    def __init__(self, target: Target, camera: Camera) -> None:
        self.target, self.camera = target, camera
        self._matcher = cv2.BFMatcher()
        self._last: Sight | None = None

    def see(self, image: Image) -> Sight | None:
        """A frame [H, W, 3] -> where the target is; None where it is not seen."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        seen = self._followed(grey) if self._last else None
        if seen is None:
            self._last = self._find(grey)
            seen = (self._followed(grey) or self._last) if self._last else None
        self._last = seen
        return seen

    def _followed(self, grey: Image) -> Sight | None:
        """By flow, again and again until the target hardly moves: the nearer it is drawn to where
        it is, the more exact the flow.
        """
        seen = None
        for _ in range(PASSES):
            before = self._last
            seen = self._follow(grey)
            if seen is None or before is None:
                break
            self._last = seen
            if self._moved(before, seen) < NEARLY:
                break
        return seen

    def _moved(self, before: Sight, after: Sight) -> float:
        """The farthest way of a corner, in pixels."""
        corners = np.concatenate([face.corners for face in self.target.faces])
        was = before.of(self.camera).onto(corners)
        return float(np.abs(after.of(self.camera).onto(corners) - was).max())

    def _find(self, grey: Image) -> Sight | None:
        """By features."""
        found, descriptors = _sift().detectAndCompute(grey, None)
        if descriptors is None or len(found) < INLIERS:
            return None
        pixels = np.array([point.pt for point in found], np.float64)
        told = np.asarray(descriptors, np.float32)
        pairs = [self._matches(face, pixels, told) for face in self.target.faces]
        points, places = (np.concatenate(column) for column in zip(*pairs, strict=True))
        return self._pose(points, places)

    def _matches(self, face: Face, pixels: Array, descriptors: Array) -> tuple[Array, Array]:
        """Points [M, 3] of a face and their pixels [M, 2], that one homography explains."""
        nothing = np.zeros((0, 3)), np.zeros((0, 2))
        pairs = self._matcher.knnMatch(face.descriptors, descriptors, k=2)
        good = [
            pair[0]
            for pair in pairs
            if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance
        ]
        if len(good) < INLIERS:
            return nothing
        own = face.pixels[[match.queryIdx for match in good]]
        other = pixels[[match.trainIdx for match in good]]
        _, kept = cv2.findHomography(own, other, cv2.USAC_MAGSAC, REACH)
        if kept is None or kept.sum() < INLIERS:
            return nothing
        agree = kept[:, 0].astype(bool)
        return face.points(own[agree]), other[agree]

    def _follow(self, grey: Image) -> Sight | None:
        """By flow from the target as it was last seen to this frame."""
        assert self._last is not None
        parts = [self._flowed(face, grey, self._last) for face in self.target.faces]
        points, places = (np.concatenate(column) for column in zip(*parts, strict=True))
        shown = sum(len(face.pixels) for face in self.target.faces if self._faces(face, self._last))
        if len(points) < max(INLIERS, KEPT * min(shown, FEATURES)):
            return None
        return self._pose(points, places, self._last)

    def _faces(self, face: Face, sight: Sight) -> bool:
        """Whether a face turns towards the camera."""
        middle = face.corners.mean(0) @ sight.rotation.T + sight.translation
        return bool((face.normal @ sight.rotation.T) @ middle < 0)

    def _flowed(self, face: Face, grey: Image, sight: Sight) -> tuple[Array, Array]:
        nothing = np.zeros((0, 3)), np.zeros((0, 2))
        if not self._faces(face, sight):
            return nothing
        edges = sight.of(self.camera).onto(face.corners)
        width, height = face.size
        own = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
        matrix = cv2.getPerspectiveTransform(own.astype(np.float32), edges.astype(np.float32))
        drawn = cv2.warpPerspective(face.grey, matrix, grey.shape[1::-1], dst=grey.copy(),
                                    borderMode=cv2.BORDER_TRANSPARENT)  # fmt: skip
        points = face.points(face.pixels)
        start = sight.of(self.camera).onto(points).astype(np.float32)
        inside = ((start > 4) & (start < np.array(grey.shape[1::-1]) - 5)).all(1)
        if inside.sum() < 4:
            return nothing
        points, start = points[inside], start[inside]
        there, ok, _ = cv2.calcOpticalFlowPyrLK(drawn, grey, start, None)  # type: ignore[call-overload]
        back, ok_too, _ = cv2.calcOpticalFlowPyrLK(grey, drawn, there, None)  # type: ignore[call-overload]
        same = np.abs(back - start).max(1) < BACK
        kept = same & (ok[:, 0] == 1) & (ok_too[:, 0] == 1)
        return points[kept], there[kept].astype(np.float64)

    def _pose(self, points: Array, places: Array, near: Sight | None = None) -> Sight | None:
        """Points [N, 3] seen at pixels [N, 2] -> the pose that most of them agree on."""
        return pose_of(points, places, self.camera, near)


def pose_of(
    points: Array, places: Array, camera: Camera, near: Sight | None = None
) -> Sight | None:
    """Points [N, 3] of any rigid thing, seen at pixels [N, 2] -> its pose; None where fewer than
    `INLIERS` (or all, of fewer) agree. near: a pose to start from.
    """
    needed = min(INLIERS, max(len(points), 4))
    if len(points) < needed:
        return None
    ok, turn, shift, kept = cv2.solvePnPRansac(
        points, places, camera.matrix, None, flags=cv2.SOLVEPNP_SQPNP, reprojectionError=REACH,
        iterationsCount=200, confidence=0.999,
    )  # fmt: skip
    if not ok or kept is None or len(kept) < needed:
        return None
    agree = np.asarray(kept[:, 0], np.intp)
    if near is not None:  # copied: the refinement writes into what it is given
        turn, shift = cv2.Rodrigues(near.rotation)[0], near.translation.reshape(3, 1).copy()
    turn, shift = cv2.solvePnPRefineLM(
        points[agree], places[agree], camera.matrix, None, turn, shift
    )
    rotation = np.asarray(cv2.Rodrigues(turn)[0], np.float64)
    translation = np.asarray(shift, np.float64)[:, 0]
    if not (translation[2] > 0 and np.abs(translation).max() < FARTHEST):
        return None
    gaps = camera.at(rotation, translation).onto(points[agree]) - places[agree]
    error = float(np.sqrt(np.square(gaps).sum(1).mean()))
    return Sight(rotation, translation, len(agree), error) if error <= REACH else None
