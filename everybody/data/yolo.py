"""YOLO-pose labels: a .txt per picture, a line per person: class, box (middle, width, height), then
x, y (and visibility) per joint, all as shares of the picture's width and height.

Boxes count from the picture's corner and move by half a pixel. Keypoints are pixel indices divided
by the size, as the tools that convert COCO write them, so they only need to be multiplied.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from ..skeletons import COCO17, Skeleton
from .dataset import Dataset, Picture

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif")


def labels_folder(path: Path) -> Path | None:
    """The folder of labels that `path` is or contains, None if there is none."""
    for folder in (path / "labels", path):
        if folder.is_dir() and any(folder.glob("*.txt")):
            return folder
    return None


def read_yolo(path: Path, *, skeleton: Skeleton | None = None) -> Dataset:
    """A folder of labels, with the pictures in it or in the folder 'images' in place of 'labels'.

    The files do not say whose joints they are: COCO-17 where there are 17, else `skeleton` must.
    """
    folder = labels_folder(path)
    if folder is None:
        raise DataError(f"{path}: no .txt labels there")
    parts = list(folder.parts)
    if "labels" in parts:
        parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
    images = Path(*parts) if Path(*parts).is_dir() else folder
    skeleton = skeleton or COCO17
    pictures, rows, where = [], [], []
    for file in sorted(folder.glob("*.txt")):
        image = next(
            (found for e in ENDINGS if (found := images / (file.stem + e)).is_file()), None
        )
        if image is None:
            raise DataError(
                f"{file}: no picture {file.stem}.jpg (.png, .webp …) in {images}; its size is needed"
            )
        width, height = _size(image)
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            if line.strip():
                rows.append(
                    _person(
                        line, len(skeleton), width, height, f"{file}: line {number}", skeleton.name
                    )
                )
                where.append(len(pictures))
        pictures.append(Picture(image.name, len(pictures) + 1, width, height))
    people = np.array(rows, np.float64).reshape(-1, 4 + 3 * len(skeleton))
    return Dataset(
        skeleton=skeleton,
        pictures=tuple(pictures),
        picture=np.array(where, np.int64),
        keypoints=people[:, 4:].reshape(-1, len(skeleton), 3),
        boxes=people[:, :4],
        name=path.name,
        format="YOLO-pose",
        folder=images,
    )


def _size(image: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(image) as picture:
            return picture.size
    except OSError:
        raise DataError(f"{image}: is not a picture that can be read; its size is needed") from None


def _person(line: str, joints: int, width: int, height: int, where: str, name: str) -> list[float]:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        raise DataError(f"{where} has something that is not a number: {line[:40]!r}") from None
    if len(values) not in (5 + 2 * joints, 5 + 3 * joints):
        raise DataError(
            f"{where} has {len(values)} numbers, expected {5 + 2 * joints} or {5 + 3 * joints} for {joints} joints of "
            f"{name}; another format is chosen with --skeleton"
        )
    if not np.isfinite(values).all():
        raise DataError(f"{where} has a number that is not finite")
    x, y, w, h = (
        value * size for value, size in zip(values[1:5], (width, height) * 2, strict=True)
    )
    box = [x - w / 2 - 0.5, y - h / 2 - 0.5, x + w / 2 - 0.5, y + h / 2 - 0.5]
    points = np.array(values[5:]).reshape(joints, -1)
    seen = points[:, 2] if points.shape[1] == 3 else np.where(points.any(1), 2.0, 0.0)
    return (
        box + np.column_stack([points[:, 0] * width, points[:, 1] * height, seen]).ravel().tolist()
    )
