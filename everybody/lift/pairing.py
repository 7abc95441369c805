"""Which camera of a calibration saw which view, and whether its pictures are those calibrated."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DataError
from ..messages import Say
from .cameras import Camera
from .view import View

CROPPED = 0.02  # share by which a picture may differ from the calibrated one and still be the same


def paired(
    cameras: Sequence[Camera], views: Sequence[View], say: Say = lambda text: None
) -> tuple[list[Camera], list[View]]:
    """The camera of each view: of the same name (cam_01 is cam01), else of a name within it
    (cam01 is trial3_cam01_hd), else by order where there are as many of both.
    """
    names = [_plain(camera.name) for camera in cameras]
    places = []
    for view in views:
        plain = _plain(view.name)
        found = [n for n, name in enumerate(names) if name == plain]
        if not found:
            inside = [n for n, name in enumerate(names) if name and name in plain]
            longest = max((len(names[n]) for n in inside), default=0)
            found = [n for n in inside if len(names[n]) == longest]
        places.append(found[0] if len(found) == 1 else -1)
    known = ", ".join(camera.name for camera in cameras)
    if -1 in places or len(set(places)) < len(places):
        if len(cameras) != len(views) or any(place >= 0 for place in places):
            lost = views[places.index(-1)].name if -1 in places else "two views"
            raise DataError(
                f"{lost}: no camera of the calibration is called so; known are {known}: name each "
                "video or folder like its camera"
            )
        places = list(range(len(views)))
        pairs = zip(views, cameras, strict=True)
        told = ", ".join(f"{view.name} is {camera.name}" for view, camera in pairs)
        say(f"views and cameras have no names in common and are taken in order: {told}")
    unused = [camera.name for n, camera in enumerate(cameras) if n not in places]
    if unused:
        say(f"no view of {', '.join(unused[:8])}{' …' * (len(unused) > 8)}: goes without")
    return [cameras[place] for place in places], list(views)


def _plain(name: str) -> str:
    """cam_01 -> cam1: letters and numbers, without zeros that only pad."""
    out, digits = [], ""
    for sign in [*name.lower(), ""]:
        if sign.isdigit():
            digits += sign
            continue
        if digits:
            out.append(digits.lstrip("0") or "0")
            digits = ""
        out.append(sign if sign.isalnum() else "")
    return "".join(out)


def fitting(camera: Camera, view: View, say: Say) -> Camera:
    """The camera for pictures of the view's size, where that differs from the calibrated one."""
    if camera.size is None or view.size is None or camera.size == view.size:
        return camera
    (width, height), (wide, high) = camera.size, view.size
    said = f"{view.name}: pictures are {wide} × {high}, calibrated were {width} × {height}"
    across, down = wide / width, high / height
    if abs(across - 1) < CROPPED and abs(down - 1) < CROPPED:
        say(f"{said}: taken as the same, cut at the right and below")
        return camera
    if abs(across / down - 1) < CROPPED:
        say(f"{said}: taken as the same, made {'smaller' if across < 1 else 'larger'}")
        return camera.of_size(view.size)
    raise DataError(f"{said}: these are turned or cut; calibrate with the pictures you use")
