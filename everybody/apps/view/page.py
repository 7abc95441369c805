"""One HTML file that shows people in space: nothing outside it is asked for.

`page.html`, `.css` and `.js` lie beside this file and go into the page as they are; a policy with
their hashes lets a browser run nothing else. What is shown is JSON within: millimetres with z up,
pixels of the picture, whole degrees, null where a joint is not seen.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...atomic import replacing
from ...draw import hue
from ...people import Image, People
from .show import DARKER, FAR, LEAST, Array, Moment, Show, spatial_angles

WIDE = 480  # pixels of a picture within the page

Pictures = Callable[[Moment], Image | None]


def no_pictures(moment: Moment) -> Image | None:
    return None


def page(show: Show, pictures: Pictures = no_pictures) -> str:
    """The whole page. pictures: what lies behind a moment's people in 2D."""
    parts = {name: _file(f"page.{name}") for name in ("html", "css", "js")}
    policy = (
        f"default-src 'none'; img-src data:; script-src {_hashed(parts['js'])}; "
        f"style-src {_hashed(parts['css'])}"
    )
    # "<" would let a name end the script.
    data = json.dumps(content(show, pictures), separators=(",", ":")).replace("<", "\\u003c")
    fields = {
        "policy": policy,
        "title": html.escape(show.name),
        "style": parts["css"],
        "script": parts["js"],
        "data": data,
    }
    first, *pieces = parts["html"].split("@")
    return first + "".join(fields.get(piece, piece) for piece in pieces)


def write_page(show: Show, path: Path, pictures: Pictures = no_pictures) -> None:
    """Raises OutputError."""
    with replacing(path) as part:
        part.write_text(page(show, pictures), encoding="utf-8")


def _file(name: str) -> str:
    return files("everybody.apps.view").joinpath(name).read_text(encoding="utf-8")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def content(show: Show, pictures: Pictures = no_pictures) -> dict[str, Any]:
    """What the page shows, as JSON has it."""
    middle, reach = show.room()
    flat = next((m.flat.skeleton for m in show.moments if m.flat is not None), None)
    names = list(spatial_angles(np.zeros((len(show.skeleton), 3)), show.skeleton))
    return {
        "middle": _whole(1000 * middle),
        "reach": round(1000 * reach),
        "far": round(1000 * FAR * reach),
        "ids": show.ids,
        "colours": {"light": _colours(show.ids, DARKER), "dark": _colours(show.ids, 1.0)},
        "limbs": show.skeleton.limbs,
        "sides": show.skeleton.sides,
        "flat": flat and {"limbs": flat.limbs, "sides": flat.sides},
        "angles": names,
        "frames": [_frame(show, moment, pictures) for moment in show.moments],
    }


def _colours(ids: list[int], part: float) -> list[str]:
    return [f"#{bytes(round(part * value) for value in hue(number)).hex()}" for number in ids]


def _frame(show: Show, moment: Moment, pictures: Pictures) -> dict[str, Any]:
    found = list(spatial_angles(moment.places, show.skeleton).values())
    people = [
        {
            "id": number,
            "joints": [_whole(joint) for joint in 1000 * moment.places[n]],
            "angles": [_number(values[n]) for values in found],
        }
        for n, number in enumerate(moment.ids)
    ]
    picture = None if moment.flat is None else pictures(moment)
    return {
        "source": moment.source,
        "frame": moment.index,
        "time": round(moment.time, 4),
        "size": moment.size,
        "people": people,
        "flat": [] if moment.flat is None else _flat(moment.flat),
        "picture": None if picture is None else _jpeg(picture),
    }


def _flat(people: People) -> list[dict[str, Any]]:
    ids = [None] * len(people) if people.ids is None else people.ids.tolist()
    shown = np.where(people.keypoints[..., 2:] >= LEAST, people.keypoints[..., :2], np.nan)
    rows = zip(ids, shown, strict=True)
    return [{"id": i, "joints": [_whole(joint) for joint in joints]} for i, joints in rows]


def _whole(values: Array) -> list[int] | None:
    return [round(float(value)) for value in values] if np.isfinite(values).all() else None


def _number(value: Any) -> int | None:
    return round(float(value)) if np.isfinite(value) else None


def _jpeg(image: Image) -> str:
    """A picture RGB as the address of itself, at most `WIDE` wide."""
    scale = min(1.0, WIDE / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()
