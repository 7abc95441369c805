"""YOLO-pose labels: a .txt per picture, a line per person: class, box (middle, width, height), then
x, y (and visibility) per joint, all as shares of the picture's width and height.

Boxes count from the picture's corner and move by half a pixel. Keypoints are pixel indices divided
by the size, as the tools that convert COCO write them, so they only need to be multiplied.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..skeletons import COCO17, Skeleton
from .dataset import Dataset, Picture
from .text import lines_of

MOST = 1e4  # shares of a picture's side: what lies farther off is no place
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif")


def labels_folder(path: Path) -> Path | None:
    """The folder of labels that `path` is or contains, None if there is none."""
    for folder in (path / "labels", path):
        if folder.is_dir() and any(folder.glob("*.txt")):
            return folder
    return None


def read_yolo(path: Path, *, skeleton: Skeleton | None = None) -> Dataset:
    """A folder of labels, with the pictures in it or in the folder 'images' in place of 'labels'.

    The files do not name their joints: COCO-17 where there are 17, else `skeleton` must be given.
    """
    folder = labels_folder(path)
    if folder is None:
        raise DataError(f"{path}: no .txt labels there")
    images = _images_folder(folder)
    skeleton = skeleton or COCO17
    pictures: list[Picture] = []
    rows: list[list[float]] = []
    picture: list[int] = []
    for file in sorted(folder.glob("*.txt")):
        image = _image(file, images)
        width, height = _size(image)
        for number, line in enumerate(lines_of(file), start=1):
            if line.strip():
                where = f"{file}: line {number}"
                rows.append(_person(line, skeleton, width, height, where))
                picture.append(len(pictures))
        pictures.append(Picture(image.name, len(pictures) + 1, width, height))

    people = np.array(rows, np.float64).reshape(-1, 4 + 3 * len(skeleton))
    return Dataset(
        skeleton=skeleton,
        pictures=tuple(pictures),
        picture=np.array(picture, np.int64),
        keypoints=people[:, 4:].reshape(-1, len(skeleton), 3),
        boxes=people[:, :4],
        name=path.name,
        format="YOLO-pose",
        folder=images,
    )


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


def _person(line: str, skeleton: Skeleton, width: int, height: int, where: str) -> list[float]:
    """A line -> box xyxy and x, y, flag per joint, in pixels."""
    joints = len(skeleton)
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        raise DataError(f"{where} has something that is not a number: {line[:40]!r}") from None
    if len(values) not in (5 + 2 * joints, 5 + 3 * joints):
        raise DataError(
            f"{where} has {len(values)} numbers, expected {5 + 2 * joints} or {5 + 3 * joints} "
            f"for {joints} joints of {skeleton.name}; another format is chosen with --skeleton"
        )
    if not (np.abs(values) <= MOST).all():
        raise DataError(f"{where} has a number that is not finite, or beyond ±{MOST:g}")
    sizes = (width, height, width, height)
    x, y, w, h = (value * size for value, size in zip(values[1:5], sizes, strict=True))
    box = [x - w / 2 - 0.5, y - h / 2 - 0.5, x + w / 2 - 0.5, y + h / 2 - 0.5]
    points = np.array(values[5:]).reshape(joints, -1)
    seen = points[:, 2] if points.shape[1] == 3 else np.where(points.any(1), 2.0, 0.0)
    keypoints = np.column_stack([points[:, 0] * width, points[:, 1] * height, seen])
    return box + keypoints.ravel().tolist()
