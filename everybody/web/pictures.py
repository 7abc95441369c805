"""Loaded models, shared by POST /api/people and the cameras, and one picture -> its people."""

from __future__ import annotations

import threading
import time
from typing import Any

from ..estimator import Estimator
from ..media import images
from ..options import Options
from ..people import Frame


class Models:
    """The bundled pairs of models by name, each loaded when it is first asked for. One worker each:
    a single picture is answered soonest.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Estimator] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Estimator:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = Estimator(Options(model=name, workers=1))
            return self._loaded[name]


def people(data: bytes, estimator: Estimator, pixels: int) -> dict[str, Any]:
    """The bytes of one picture -> who is on it, in its pixels. Raises InputError."""
    begun = time.perf_counter()
    frame = estimator([Frame(images.decode(data, "the picture", pixels))])[0]
    width, height = frame.size
    return {
        "width": width,
        "height": height,
        "skeleton": frame.people.skeleton.name,
        "people": frame.people.to_dicts(digits=4),
        "milliseconds": round((time.perf_counter() - begun) * 1000, 2),
    }
