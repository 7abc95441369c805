"""Poses in space from .npz files of several layouts, and out of motion capture, one pose a row.

ours, HumanEva     positions_3d [N, K, 3] in metres, joints [K] their names; `length` of each
                   sequence, or `id` and `frame` of each row, where rows follow each other
CMU                packed steps (`everybody.data.cmu`)
Human3.6M          VideoPose3D's: a dictionary of subjects of dictionaries of actions of
                   [T, 32 or 17, 3], pickled; only arrays and dictionaries are unpickled
motion capture     BVH, ASF with AMC, TRC, C3D (`everybody.data.motions`): a row per frame, people
                   one after the other; joints of ours by their names
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import DataError
from ..skeletons import CMU24, H36M17
from ..typed import read_bytes
from .cmu import STEPS, read_captures
from .motions import holds_motion, read_motions
from .npz import read_npz

Array = NDArray[np.floating[Any]]

FARTHEST = 1e6  # metres
# Human3.6M's 32 joints -> those of H36M17, in its order.
OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
LARGEST = 1 << 30  # bytes of a pickled layout


@dataclass(frozen=True, slots=True, eq=False)
class PosesFile:
    """positions [N, K, 3] in metres, NaN where not known. follows [N]: the row is of the next frame
    of the same person as the row before; None where the file does not say.
    """

    name: str
    joints: tuple[str, ...]
    positions: Array
    follows: NDArray[np.bool_] | None = None


def names_in(path: Path) -> set[str]:
    """The arrays of an .npz; none of other files."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def holds_poses(path: Path) -> bool:
    """Whether a file is an .npz with poses in space, or motion capture."""
    return any(layout.needs <= names_in(path) for layout in LAYOUTS) or holds_motion(path)


def read_poses(path: Path) -> PosesFile:
    """Raises DataError for files of no known layout, and for arrays that do not fit together."""
    if holds_motion(path):
        return _captured(path)
    found = names_in(path)
    for layout in LAYOUTS:
        if layout.needs <= found:
            poses = layout.read(path, found)
            if (np.abs(poses.positions) > FARTHEST).any():
                raise DataError(f"{path}: 'positions_3d' has a number beyond ±{FARTHEST:g} metres")
            return poses
    content = read_npz(path, read_bytes(path), ("positions_3d", "joints"))  # says what is missing
    raise DataError(f"{path}: holds {', '.join(content)}: no poses in space")


def _named(path: Path, found: set[str]) -> PosesFile:
    wanted = {"positions_3d", "joints"} | (found & {"length", "id", "frame"})
    content = read_npz(path, read_bytes(path), sorted(wanted))
    positions, joints = content["positions_3d"], content["joints"]
    shape = (len(positions) if positions.ndim else 0, joints.size, 3)
    if positions.shape != shape or joints.ndim != 1 or not joints.size:
        raise DataError(
            f"{path}: 'positions_3d' is {positions.shape}, 'joints' {joints.shape}, "
            "expected (N, K, 3) and (K,)"
        )
    if positions.dtype.kind not in "fiu" or joints.dtype.kind != "U":
        raise DataError(f"{path}: 'positions_3d' must be numbers, 'joints' text")
    names = tuple(str(name) for name in joints)
    return PosesFile(path.name, names, positions.astype(np.float64), _follows(content, path))


def _follows(content: Mapping[str, Any], path: Path) -> NDArray[np.bool_] | None:
    """Which rows follow the row before, by lengths of sequences or by persons and frames."""
    count = len(content["positions_3d"])
    if "length" in content:
        lengths = content["length"]
        if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or lengths.sum() != count:
            raise DataError(f"{path}: 'length' must be whole numbers that sum up to {count} poses")
        return _after_first(lengths.astype(int), count)
    if not {"id", "frame"} <= content.keys():
        return None
    ids, frames = content["id"], content["frame"]
    if ids.shape != (count,) or frames.shape != (count,):
        raise DataError(f"{path}: 'id' and 'frame' must have one number for each of {count} poses")
    same = (ids[1:] == ids[:-1]) & (frames[1:] == frames[:-1] + 1) & (ids[1:] >= 0)
    return np.concatenate([[False], same])[:count]


def _after_first(lengths: Any, count: int) -> NDArray[np.bool_]:
    """Lengths of sequences -> [N]: True but for the first row of each."""
    follows = np.ones(count, bool)
    starts = np.cumsum(lengths) - lengths
    follows[starts[starts < count]] = False
    return follows


def _captured(path: Path) -> PosesFile:
    """Motion capture of one person, or of several with the same joints."""
    people = [motion for motion in read_motions(path) if len(motion)]
    joints = people[0].skeleton.joints if people else ()
    if not people or any(motion.skeleton.joints != joints for motion in people):
        raise DataError(f"{path}: holds nobody, or people of several sets of joints")
    positions = np.concatenate([motion.places for motion in people])
    lengths = np.array([len(motion) for motion in people])
    return PosesFile(path.name, joints, positions, _after_first(lengths, len(positions)))


def _packed(path: Path, found: set[str]) -> PosesFile:
    captures = read_captures(path)
    lengths = np.array([len(capture.joints) for capture in captures])
    positions = np.concatenate([capture.joints for capture in captures]).astype(np.float64)
    return PosesFile(path.name, CMU24.joints, positions, _after_first(lengths, len(positions)))


def _by_subject(path: Path, found: set[str]) -> PosesFile:
    subjects = _unpickled(path)
    parts: list[Array] = []
    try:
        for subject in sorted(subjects):
            for action in sorted(subjects[subject]):
                clip = np.asarray(subjects[subject][action], np.float64)
                if clip.ndim != 3 or clip.shape[1] not in (17, 32) or clip.shape[2] != 3:
                    raise DataError(
                        f"{path}: {subject}, {action} is {clip.shape}, expected (T, 32, 3) or "
                        "(T, 17, 3)"
                    )
                parts.append(clip[:, OF_32] if clip.shape[1] == 32 else clip)
    except (TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: not subjects of actions of arrays ({error})") from None
    if not parts:
        raise DataError(f"{path}: holds no poses")
    lengths = np.array([len(part) for part in parts])
    positions = np.concatenate(parts)
    return PosesFile(path.name, H36M17.joints, positions, _after_first(lengths, len(positions)))


class _ArraysOnly(pickle.Unpickler):
    """Unpickles nothing that could run code: arrays, their types, and Python's own containers."""

    def find_class(self, module: str, name: str) -> Any:
        modules = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "_codecs")
        if module in modules and name in ("ndarray", "dtype", "_reconstruct", "scalar", "encode"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _unpickled(path: Path) -> dict[Any, Any]:
    """The dictionary in 'positions_3d'. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("positions_3d.npy")
            if info.file_size > LARGEST:
                raise ValueError(f"{info.file_size} bytes, more than {LARGEST}")
            file = io.BytesIO(archive.read(info))
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        if not header(file)[2].hasobject:
            raise ValueError("it has no names of joints beside it")
        value = _ArraysOnly(file, encoding="latin1").load()
        return value.item() if isinstance(value, np.ndarray) else value
    except Exception as error:  # a broken pickle raises anything
        raise DataError(f"{path}: 'positions_3d' is of no known layout ({error})") from None


@dataclass(frozen=True, slots=True)
class _Layout:
    needs: frozenset[str]
    read: Callable[[Path, set[str]], PosesFile]


LAYOUTS = (
    _Layout(frozenset({"positions_3d", "joints"}), _named),
    _Layout(frozenset(STEPS), _packed),
    _Layout(frozenset({"positions_3d"}), _by_subject),
)
