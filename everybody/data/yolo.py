"""YOLO's labels: a .txt per picture, a line per person: class, box (middle, width, height), then
x, y (and visibility) per joint, all as shares of the picture's width and height. Those of detectors
end with the box.

Boxes count from the picture's corner and move by half a pixel. Keypoints are pixel indices divided
by the size, as the tools that convert COCO write them, so they only need to be multiplied.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import SAY_JOINTS_OF_DATA, DataError
from ..skeletons import COCO17, Skeleton
from .bodies import Body, assembled
from .dataset import Dataset, Picture
from .text import lines_of

MOST = 1e4  # shares of a picture's side: what lies farther off is no place
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif")
BOX = 5  # numbers of a line without joints
CLASSES = ("classes.txt", "obj.names")  # files with the name of a class in each line
# What a .yaml has under 'names': [a, b], {0: a, 1: b}, or lines of "- a" or "0: a".
_NAMES = re.compile(r"^names:\s*(\[[^]]*\]|\{[^}]*\}|(?:\s*(?:-|\d+:).*)+)", re.MULTILINE)
_NAME = re.compile(r"(?:(\d+)\s*:)?\s*(.+)")


class _Line(NamedTuple):
    """What a line says: numbers, and where it stands."""

    values: list[float]
    picture: int
    where: str


def labels_folder(path: Path) -> Path | None:
    """The folder of labels that `path` is or contains, None if there is none."""
    for folder in (path / "labels", path):
        if folder.is_dir() and _files(folder):
            return folder
    return None


def _files(folder: Path) -> list[Path]:
    """The files of labels in a folder."""
    return sorted(file for file in folder.glob("*.txt") if file.name not in CLASSES)


def read_yolo(
    path: Path,
    *,
    skeleton: Skeleton | None = None,
    category: str | None = None,
    joints: bool = True,
) -> Dataset:
    """A folder of labels, with the pictures in it or in the folder 'images' in place of 'labels'.

    The files do not name their joints: COCO-17 where there are 17, else `skeleton` must be given.
    joints: whether there must be any; else boxes alone will do, whose classes are the categories
    (of them, those that `category` names). Raises DataError.
    """
    folder = labels_folder(path)
    if folder is None:
        raise DataError(f"{path}: no .txt labels there")
    images = _images_folder(folder)
    pictures, lines = _read(folder, images)
    if lines and not joints and max(len(line.values) for line in lines) <= BOX:
        return _boxes_alone(path, folder, images, pictures, lines, skeleton, category)
    if category is not None:
        raise DataError(f"{path}: has no categories, and --category {category} asks for one")

    skeleton = skeleton or COCO17
    sizes = [(picture.width, picture.height) for picture in pictures]
    rows = [_person(line, skeleton, *sizes[line.picture]) for line in lines]
    people = np.array(rows, np.float64).reshape(-1, 4 + 3 * len(skeleton))
    return Dataset(
        skeleton=skeleton,
        pictures=tuple(pictures),
        picture=np.array([line.picture for line in lines], np.int64),
        keypoints=people[:, 4:].reshape(-1, len(skeleton), 3),
        boxes=people[:, :4],
        name=path.name,
        format="YOLO-pose",
        folder=images,
    )


def _read(folder: Path, images: Path) -> tuple[list[Picture], list[_Line]]:
    """The pictures that have a file of labels, and all their lines."""
    pictures, lines = [], []
    for file in _files(folder):
        image = _image(file, images)
        width, height = _size(image)
        for number, text in enumerate(lines_of(file), start=1):
            if text.strip():
                where = f"{file}: line {number}"
                lines.append(_Line(_numbers(text, where), len(pictures), where))
        pictures.append(Picture(image.name, len(pictures) + 1, width, height))
    return pictures, lines


def _boxes_alone(
    path: Path,
    folder: Path,
    images: Path,
    pictures: Sequence[Picture],
    lines: Sequence[_Line],
    skeleton: Skeleton | None,
    category: str | None,
) -> Dataset:
    names, bodies = _class_names(folder), []
    for line in lines:
        if len(line.values) != BOX:
            raise DataError(
                f"{line.where} has {len(line.values)} numbers, expected {BOX}: a class and the "
                "middle, width and height of a box"
            )
        number = line.values[0]
        if number < 0 or number != int(number):
            raise DataError(f"{line.where} has the class {number:g}, expected a whole number")
        picture = pictures[line.picture]
        x0, y0, x1, y1 = _box(line.values, picture.width, picture.height)
        called = names.get(int(number), f"class {int(number)}")
        bodies.append(Body(line.picture, line.where, called, box=(x0, y0, x1, y1)))
    made = assembled(
        path, pictures, bodies, skeleton, format="YOLO", category=category, joints=False
    )
    return replace(made, folder=images)


def _class_names(labels: Path) -> dict[int, str]:
    """What a data set calls its classes, beside the labels or one or two folders above: in
    classes.txt or obj.names, a name in each line, or in a .yaml. {} if it does not say.
    """
    for folder in (labels, labels.parent, labels.parent.parent):
        for name in CLASSES:
            if (folder / name).is_file():
                return dict(enumerate(line.strip() for line in lines_of(folder / name)))
        for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            if found := _NAMES.search("\n".join(lines_of(file))):
                return _listed(found[1])
    return {}


def _listed(names: str) -> dict[int, str]:
    """What follows 'names:' in a .yaml -> the names by their numbers."""
    entries = [part.partition("#")[0] for part in re.split(r"[,\n]", names.strip("[]{}"))]
    plain = [entry.strip().removeprefix("- ") for entry in entries if entry.strip()]
    found = [match for entry in plain if (match := _NAME.fullmatch(entry))]
    return {int(one[1] or place): one[2].strip("'\" ") for place, one in enumerate(found)}


def _images_folder(labels: Path) -> Path:
    """The folder 'images' in place of 'labels' in the path, if there is one; else the same."""
    parts = list(labels.parts)
    if "labels" not in parts:
        return labels
    parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
    return Path(*parts) if Path(*parts).is_dir() else labels


def _image(labels: Path, folder: Path) -> Path:
    found = (folder / (labels.stem + ending) for ending in ENDINGS)
    image = next((file for file in found if file.is_file()), None)
    if image is None:
        raise DataError(
            f"{labels}: no picture {labels.stem}.jpg (.png, .webp …) in {folder}; "
            "its size is needed"
        )
    return image


def _size(image: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures: only the header is read
            with Image.open(image) as picture:
                return picture.size
    except Exception as error:  # Pillow's plug-ins raise anything for a broken header
        raise DataError(
            f"{image}: is not a picture that can be read ({error}); its size is needed"
        ) from None


def _numbers(text: str, where: str) -> list[float]:
    """The numbers of a line. Raises DataError."""
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        raise DataError(f"{where} has something that is not a number: {text[:40]!r}") from None
    if not (np.abs(values) <= MOST).all():
        raise DataError(f"{where} has a number that is not finite, or beyond ±{MOST:g}")
    return values


def _box(values: Sequence[float], width: int, height: int) -> list[float]:
    """A line's numbers -> its box xyxy in pixels."""
    sizes = (width, height, width, height)
    x, y, w, h = (value * size for value, size in zip(values[1:5], sizes, strict=True))
    return [x - w / 2 - 0.5, y - h / 2 - 0.5, x + w / 2 - 0.5, y + h / 2 - 0.5]


def _person(line: _Line, skeleton: Skeleton, width: int, height: int) -> list[float]:
    """A line -> box xyxy and x, y, flag per joint, in pixels. Raises DataError."""
    joints, values = len(skeleton), line.values
    expected = f"expected {BOX + 2 * joints} or {BOX + 3 * joints} for {joints} joints"
    if len(values) == BOX:
        raise DataError(
            f"{line.where} has {BOX} numbers, a class and a box alone; {expected} of "
            f"{skeleton.name} (folders of boxes alone are for `everybody pack --pictures` and "
            "`everybody eval --metrics BoxAP`)"
        )
    if len(values) not in (BOX + 2 * joints, BOX + 3 * joints):
        raise DataError(
            f"{line.where} has {len(values)} numbers, {expected} of {skeleton.name}: "
            f"{SAY_JOINTS_OF_DATA}"
        )
    points = np.array(values[BOX:]).reshape(joints, -1)
    seen = points[:, 2] if points.shape[1] == 3 else np.where(points.any(1), 2.0, 0.0)
    keypoints = np.column_stack([points[:, 0] * width, points[:, 1] * height, seen])
    return _box(values, width, height) + keypoints.ravel().tolist()
