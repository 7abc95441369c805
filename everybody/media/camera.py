"""A camera by number, through OpenCV: PyAV needs another driver and another device name on each
platform.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2

from ..errors import InputError
from ..people import Frame
from .selection import Selection, Sieve
from .sources import Report

_quiet_lock = threading.Lock()


def frames(
    number: int, name: str, report: Report, *, select: Selection, after: int = -1
) -> Iterator[Frame]:
    """The selected frames with index > `after`; time is seconds since the first. Ends when the
    camera stops giving.
    """
    camera = _open(number)
    try:
        if not camera.isOpened():
            report(
                InputError(
                    f"{name}: there is no such camera, or another program holds it; "
                    "the first one is 0"
                )
            )
            return
        sieve, index, first, now = Sieve(select), 0, None, 0.0
        while not sieve.over(index, now):  # asked before the camera is, which may let us wait
            given, image = camera.read()
            first = time.monotonic() if first is None else first
            now = time.monotonic() - first
            if not given or image is None:
                report(
                    InputError(f"{name}: gives no picture after {index} frames; was it unplugged?")
                )
                return
            if sieve.keep(index, now) and index > after:
                rgb: Any = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
                yield Frame(rgb, index, now, name)
            index += 1
    finally:
        camera.release()


def _open(number: int) -> cv2.VideoCapture:
    """OpenCV reports each driver that has no such camera on stderr; our one line says enough."""
    logging = cv2.utils.logging
    with _quiet_lock:  # the level belongs to the process
        level = logging.getLogLevel()
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        try:
            return cv2.VideoCapture(number)
        finally:
            logging.setLogLevel(level)
