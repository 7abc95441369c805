"""Leeds Sports Poses (Johnson & Everingham 2010) and its extension (2011): one person per picture,
fourteen joints.

LSP's joints.mat is [3, 14, N], its third number 1 where a joint is hidden. The extension's is [14,
3, N], its third number 1 where a joint is labelled. Both count pixels from 1 and number the
pictures im0001.jpg and im00001.jpg on. Our .npz of the extension (names, joints [N, 14, 3]) is in
pixel indices of its own, smaller pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from ..skeletons import LSP14
from .dataset import Dataset, Picture, image_folder
from .npz import read_npz
from .records import Array, Records


def read_lsp(path: Path, joints: Array) -> Dataset:
    """'joints' of the joints.mat of LSP or LSP-extended, told by the order of its axes."""
    if joints.ndim == 3 and joints.shape[:2] == (3, 14):
        joints, digits = np.transpose(joints, (2, 1, 0)), 4
        flags = np.where(joints[..., 2] > 0, 1.0, 2.0)
    elif joints.ndim == 3 and joints.shape[:2] == (14, 3):
        joints, digits = np.transpose(joints, (2, 0, 1)), 5
        flags = np.where(joints[..., 2] > 0, 2.0, 0.0)
    else:
        raise DataError(
            f"{path}: 'joints' is {joints.shape}, "
            "expected (3, 14, N) of LSP or (14, 3, N) of LSP-extended"
        )
    names = [f"im{number:0{digits}}.jpg" for number in range(1, len(joints) + 1)]
    return _dataset(path, names, np.concatenate([joints[..., :2] - 1, flags[..., None]], 2))


def read_lsp_npz(path: Path, data: bytes) -> Dataset:
    """names [N], with or without ending, and joints [N, 14, 3], 1 where labelled."""
    content = read_npz(path, data, ("names", "joints"))
    names, joints = content["names"], content["joints"]
    if names.dtype.kind != "U" or joints.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: 'names' is of {names.dtype}, 'joints' of {joints.dtype}, "
            "expected text and numbers"
        )
    if names.ndim != 1 or joints.shape != (len(names), 14, 3):
        raise DataError(
            f"{path}: 'names' is {names.shape}, 'joints' {joints.shape}, "
            "expected (N,) and (N, 14, 3)"
        )
    folder = path.parent / path.stem
    ending = _ending(folder, str(names[0])) if len(names) else ""
    keypoints = joints.astype(np.float64) * (1.0, 1.0, 2.0)
    return _dataset(path, [f"{name}{ending}" for name in names], keypoints, folder)


def _ending(folder: Path, name: str) -> str:
    """The suffix of the pictures in a folder, "" if `name` has it."""
    files = folder.iterdir() if folder.is_dir() else ()
    return next((file.suffix for file in files if file.stem == name), "")


def _dataset(path: Path, names: list[str], keypoints: Array, folder: Path | None = None) -> Dataset:
    people = Records.of(path, "joints", names)
    flat = people.numbers(list(keypoints.reshape(len(names), 42)), 42, "joints")
    pictures = tuple(Picture(name, number) for number, name in enumerate(names, start=1))
    return Dataset(
        skeleton=LSP14,
        pictures=pictures,
        picture=np.arange(len(names)),
        keypoints=flat.reshape(-1, 14, 3),
        name=path.name,
        format="LSP",
        folder=folder if folder and folder.is_dir() else image_folder(path, pictures),
    )
