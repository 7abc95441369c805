"""CVAT's export "CVAT for images 1.1": an XML file of pictures, with skeletons and boxes in pixels.

A skeleton's points have the names of its joints; one that is `outside` is not labelled, one that is
`occluded` is COCO's 1. A box in the same group (`group_id`) is the body's. Pixels count from the
picture's corner, so half a pixel goes off (the coordinate law).
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ..errors import DataError
from ..skeletons import Skeleton
from ..typed import read_bytes
from .bodies import Body, Box, assembled
from .dataset import Dataset, Picture

Element = ElementTree.Element


def read_cvat(
    path: Path,
    *,
    skeleton: Skeleton | None = None,
    category: str | None = None,
    joints: bool = True,
) -> Dataset:
    """The pictures of an export and the bodies on them. joints: whether there must be any; else a
    box that no skeleton's group has is a body, too. Raises DataError.
    """
    try:
        root = ElementTree.fromstring(read_bytes(path))
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: not a readable XML file ({error})") from None
    if root.tag != "annotations":
        raise DataError(f"{path}: XML, but not CVAT's: its root is <{root.tag}>")
    if root.find("track") is not None:
        raise DataError(
            f"{path}: is 'CVAT for video': export the task as 'CVAT for images 1.1', or as COCO "
            "Keypoints"
        )
    pictures: list[Picture] = []
    bodies: list[Body] = []
    for place, image in enumerate(root.iter("image")):
        name = image.get("name") or ""
        where = f"{path}: image '{name}'"
        size = round(_number(image, "width", where)), round(_number(image, "height", where))
        pictures.append(Picture(name, place + 1, *size))
        bodies += _bodies(image, place, where)
        bodies += [] if joints else _boxes_alone(image, place, where)
    return assembled(
        path,
        pictures,
        bodies,
        skeleton,
        format="CVAT",
        names=_joints_in_order(root),
        category=category,
        joints=joints,
    )


def _joints_in_order(root: Element) -> list[str]:
    """The joints as the task declares them: of its skeletons, the points' names."""
    labels = list(root.iter("label"))
    return [
        label.findtext("name") or ""
        for label in labels
        if label.findtext("type") == "points" and label.findtext("parent")
    ]


def _bodies(image: Element, picture: int, where: str) -> list[Body]:
    """The bodies of one picture."""
    boxes = {
        box.get("group_id"): _box(box, where)
        for box in image.findall("box")
        if box.get("group_id", "0") != "0"
    }
    found = []
    for number, element in enumerate(image.findall("skeleton"), 1):
        body = Body(picture, f"{where}, skeleton {number}", element.get("label") or "object")
        body.box = boxes.get(element.get("group_id"))
        for point in element.findall("points"):
            if point.get("outside") == "1":
                continue
            x, y = _point(point, body.where)
            body.add(point.get("label") or "", x, y, 1 if point.get("occluded") == "1" else 2)
        found.append(body)
    return found


def _boxes_alone(image: Element, picture: int, where: str) -> list[Body]:
    """The boxes of one picture that are in no skeleton's group."""
    groups = {element.get("group_id", "0") for element in image.findall("skeleton")} - {"0"}
    return [
        Body(picture, where, box.get("label") or "object", box=_box(box, where))
        for box in image.findall("box")
        if box.get("group_id", "0") not in groups
    ]


def _point(element: Element, where: str) -> tuple[float, float]:
    text = element.get("points") or ""
    try:
        x, y = map(float, text.split(","))
    except ValueError:
        raise DataError(
            f"{where}: the point '{element.get('label')}' is at '{text}', expected x,y"
        ) from None
    return x - 0.5, y - 0.5


def _box(element: Element, where: str) -> Box:
    x0, y0, x1, y1 = (_number(element, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
    return x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5


def _number(element: Element, key: str, where: str) -> float:
    try:
        return float(element.get(key) or "")
    except ValueError:
        raise DataError(
            f"{where}: {key} is '{element.get(key)}' in <{element.tag}>, expected a number"
        ) from None
