"""Detectors and posers from files in a line, called with pictures and people rather than frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from everybody.method import Poser
from everybody.methods.detector import Detector, open_detector
from everybody.methods.orientation import AnyTurn, TurnNet
from everybody.methods.topdown import open_sppe
from everybody.options import Engine, FindOptions, PoseOptions
from everybody.people import Frame, Image, People


def load_detector(
    model: str | Path | None = None, *, engine: Engine | None = None, **find: Any
) -> Detector:
    return open_detector(FindOptions(detector=model, **find), engine)


class Posed:
    """A poser: pictures and the people in each -> the same people with joints."""

    def __init__(self, poser: Poser) -> None:
        self.poser = poser

    def __call__(self, images: Sequence[Image], people: Sequence[People]) -> list[People]:
        frames = [Frame(image, people=p) for image, p in zip(images, people, strict=True)]
        return [frame.people for frame in self.poser(frames)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.poser, name)


def load_sppe(
    model: str | Path | None = None,
    *,
    engine: Engine | None = None,
    orientation: str = "upright",
    net: TurnNet | None = None,
    **pose: Any,
) -> Posed:
    poser: Poser = open_sppe(PoseOptions(model=model, **pose), engine)
    if PoseOptions(orientation=orientation).orientation == "any":
        poser = AnyTurn(poser=poser, net=net)  # type: ignore[arg-type]
    return Posed(poser)
