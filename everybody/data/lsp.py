"""Leeds Sports Poses (Johnson & Everingham 2010) and its extension (2011): one person per picture,
fourteen joints.

LSP's joints.mat is [3, 14, N], its third number 1 where a joint is hidden. The extension's is [14,
3, N], its third number 1 where a joint is labelled. Both count pixels from 1 and number the
pictures im0001.jpg and im00001.jpg on. Our .npz of the extension (names, joints [N, 14, 3]) is in
pixel indices of its own, smaller pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..skeletons import LSP14
from .dataset import Dataset, Picture, image_folder
from .records import Array, Records


def read_lsp(path: Path, content: dict[str, Any]) -> Dataset:
    """joints.mat of LSP or LSP-extended, told by the order of its axes."""
    joints = np.asarray(content["joints"], np.float64)
    if joints.ndim == 3 and joints.shape[:2] == (3, 14):
        joints, digits = np.transpose(joints, (2, 1, 0)), 4
        flags = np.where(joints[..., 2] > 0, 1.0, 2.0)
    elif joints.ndim == 3 and joints.shape[:2] == (14, 3):
        joints, digits = np.transpose(joints, (2, 0, 1)), 5
        flags = np.where(joints[..., 2] > 0, 2.0, 0.0)
    else:
        raise DataError(
            f"{path}: 'joints' is {joints.shape}, expected (3, 14, N) of LSP or (14, 3, N) of LSP-extended"
        )
    names = [f"im{number:0{digits}}.jpg" for number in range(1, len(joints) + 1)]
    return _dataset(path, names, np.concatenate([joints[..., :2] - 1, flags[..., None]], 2))


def read_lsp_npz(path: Path, content: dict[str, Any]) -> Dataset:
    """names [N], with or without ending, and joints [N, 14, 3], 1 where labelled."""
    names, joints = content["names"], np.asarray(content["joints"], np.float64)
    if joints.shape != (len(names), 14, 3):
        raise DataError(
            f"{path}: 'joints' is {joints.shape}, expected {(len(names), 14, 3)} for {len(names)} names"
        )
    folder = path.parent / path.stem
    ending = next((file.suffix for file in folder.glob(f"{names[0]}*")), "") if len(names) else ""
    return _dataset(path, [f"{name}{ending}" for name in names], joints * (1.0, 1.0, 2.0), folder)


def _dataset(path: Path, names: list[str], keypoints: Array, folder: Path | None = None) -> Dataset:
    people = Records(path, "joints", [{}] * len(names), range(len(names)))
    keypoints = people.numbers(keypoints.reshape(len(names), 42), 42, "joints").reshape(-1, 14, 3)  # type: ignore[arg-type]
    pictures = tuple(Picture(name, number) for number, name in enumerate(names, start=1))
    return Dataset(
        skeleton=LSP14,
        pictures=pictures,
        picture=np.arange(len(names)),
        keypoints=keypoints,
        name=path.name,
        format="LSP",
        folder=folder if folder and folder.is_dir() else image_folder(path, pictures),
    )
