"""Augmented reality: things drawn into a film, on targets and on people.

A scene is a target with something to show on it, and things that people wear. It is given frame
after frame; people who stand in front of a target hide what is drawn there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..geometry import Array
from ..lift.cameras import Camera
from ..media.images import decode
from ..media.read import one, read
from ..people import Frame, Image
from .overlay import Model, blended, modelled, on_target, read_model, silhouettes
from .target import Sight, Target, Tracker
from .worn import Thing, put_on

MODELS = (".glb", ".gltf", ".obj", ".stl", ".ply")
FILMS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif", ".m4v")
STEADY = 0.5  # share of a new place that is believed while the target hardly moves
STILL = 1.5  # pixels by which corners move, up to which it hardly does


class Film:
    """A film that starts again at its end: a picture [H, W, 3] for each time in seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames: Iterator[Frame] = read(str(path))
        self._now, self._next = next(self._frames), next(self._frames, None)
        self._start = 0.0  # time of the scene at which this round began

    def __call__(self, time: float) -> Image:
        while self._next is not None and self._start + self._next.time <= time:
            self._now, self._next = self._next, next(self._frames, None)
        if self._next is None and time > self._start + self._now.time:
            self._start = time
            self._frames = read(str(self._path))
            self._now, self._next = next(self._frames), next(self._frames, None)
        return self._now.image


def showable(path: Path, size: float) -> Image | Film | Model:
    """What a file is that is to be shown: a model (`size` metres), a film, or a picture with its
    transparency. Raises DataError, OptionError, InputError.
    """
    suffix = path.suffix.lower()
    if suffix in MODELS:
        return read_model(path, size)
    if suffix in FILMS:
        return Film(path)
    if suffix == ".png":
        decode(path.read_bytes(), str(path))  # says best what is wrong with it
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is not None and picture.ndim == 3 and picture.shape[2] == 4:
            return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)  # type: ignore[return-value]
    return one(str(path)).image


@dataclass
class Scene:
    """What is drawn into one film. fov: the camera's, across the longer
    side, in degrees."""

    target: Target | None = None
    show: Image | Film | Model | None = None
    things: list[Thing] = field(default_factory=list)
    fov: float = 60.0
    occlusion: bool = True
    _tracker: Tracker | None = field(default=None, init=False)
    _last: Sight | None = field(default=None, init=False)
    frames: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)
    errors: list[float] = field(default_factory=list, init=False)

    def draw(self, frame: Frame) -> Image:
        """The frame's picture [H, W, 3] with everything in it."""
        image = frame.image
        self.frames += 1
        if self.target is not None:
            image = self._on_target(frame)
        return put_on(image, frame.people, self.things, frame.poses3d)

    def _on_target(self, frame: Frame) -> Image:
        assert self.target is not None
        if self._tracker is None:
            self._tracker = Tracker(self.target, Camera.of(frame.size, self.fov))
        sight = self._steady(self._tracker.see(frame.image))
        if sight is None or self.show is None:
            return frame.image
        self.seen += 1
        self.errors.append(sight.error)
        layer, alpha = self._layer(sight, frame)
        if self.occlusion and len(frame.people):
            alpha = alpha * (1 - silhouettes(frame.people, frame.size))
        return blended(frame.image, layer, alpha)

    def _layer(self, sight: Sight, frame: Frame) -> tuple[Image, Array]:
        assert self.target is not None
        assert self._tracker is not None
        camera = self._tracker.camera
        if isinstance(self.show, Model):
            return modelled(self.show, sight, camera, frame.size)
        picture = self.show(frame.time) if isinstance(self.show, Film) else self.show
        assert picture is not None
        return on_target(picture, self.target.faces[0].corners, sight, camera, frame.size)

    def _steady(self, sight: Sight | None) -> Sight | None:
        """The place, calmed while the target hardly moves: the drawing must not tremble."""
        last, self._last = self._last, sight
        if sight is None or last is None or self._tracker is None or self.target is None:
            return sight
        corners = self.target.faces[0].corners
        camera = self._tracker.camera
        before, after = (one.of(camera).onto(corners) for one in (last, sight))
        if np.abs(after - before).max() > STILL:
            return sight
        turn = cv2.Rodrigues(sight.rotation @ last.rotation.T)[0] * STEADY
        rotation = cv2.Rodrigues(turn)[0] @ last.rotation
        translation = last.translation + STEADY * (sight.translation - last.translation)
        self._last = Sight(rotation, translation, sight.inliers, sight.error)
        return self._last


def augmented(scene: Scene, frames: Iterable[Frame]) -> Iterator[tuple[float, Image]]:
    """Frames -> (time, picture) of each, once and in order."""
    for frame in frames:
        yield frame.time, scene.draw(frame)
