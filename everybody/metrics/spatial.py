"""Measures of poses in space by name, from files of poses: MPJPE, PA-MPJPE, PCK3D, AUC3D.

A file of poses is an .npz with `positions_3d` [N, K, 3] in metres, one pose a row, NaN for joints
that are not known, and `joints` [K], their names. Poses of two files belong together by their rows.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.joints import skeleton_of
from ..data.npz import read_npz
from ..errors import DataError, OptionError
from ..typed import read_bytes
from .compare import Judged
from .figure import Figure
from .mpjpe import auc3d, mpjpe, pa_mpjpe, pck3d
from .pck import Rates
from .tables import About

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

ROOTS = ("pelvis", "hip", "root")  # what poses are moved together by; else the first joint
MILLIMETRES = 1000.0
FARTHEST = 1e6  # metres


@dataclass(frozen=True, slots=True, eq=False)
class PosesFile:
    """positions [N, K, 3] in metres, NaN where not known."""

    name: str
    joints: tuple[str, ...]
    positions: Array


def holds_poses(path: Path) -> bool:
    """Whether a file is an .npz with poses in space."""
    return zipfile.is_zipfile(path) and b"positions_3d.npy" in path.read_bytes()


def read_poses(path: Path) -> PosesFile:
    """Raises DataError for arrays that do not fit together."""
    content = read_npz(path, read_bytes(path), ("positions_3d", "joints"))
    positions, joints = content["positions_3d"], content["joints"]
    shape = (len(positions) if positions.ndim else 0, joints.size, 3)
    if positions.shape != shape or joints.ndim != 1 or not joints.size:
        raise DataError(
            f"{path}: 'positions_3d' is {positions.shape}, 'joints' {joints.shape}, "
            "expected (N, K, 3) and (K,)"
        )
    if positions.dtype.kind not in "fiu" or joints.dtype.kind != "U":
        raise DataError(f"{path}: 'positions_3d' must be numbers, 'joints' text")
    positions = positions.astype(np.float64)
    if (np.abs(positions) > FARTHEST).any():
        raise DataError(f"{path}: 'positions_3d' has a number beyond ±{FARTHEST:g} metres")
    return PosesFile(path.name, tuple(str(name) for name in joints), positions)


def judge_files(results: Sequence[Path], data: Path, names: Sequence[str] = ()) -> list[Judged]:
    """Figures of files of poses, by default all; lengths in millimetres. Raises OptionError for
    other measures, DataError for poses that do not belong together.
    """
    known = {name.lower(): name for name in _MEASURES}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise OptionError(
            f"unknown measure '{unknown[0]}' of poses in space: known are {', '.join(_MEASURES)}"
        )
    wanted = [known[name.lower()] for name in names] or list(_MEASURES)
    truth = read_poses(data)
    judged = []
    for path in results:
        found = read_poses(path)
        true, predicted, joints = _common(truth, found)
        about = About(
            results=found.name,
            boxes="",
            data=truth.name,
            pictures=len(true),
            people=len(true),
            skeleton=skeleton_of(f"{len(joints)} joints", joints),
        )
        judged.append(Judged(about, [_figure(name, predicted, true, joints) for name in wanted]))
    return judged


def _common(truth: PosesFile, found: PosesFile) -> tuple[Array, Array, tuple[str, ...]]:
    """True and found poses [N, K, 3] in millimetres, of the joints that both have, the root first.
    A pose whose root is not known is left out.
    """
    if len(truth.positions) != len(found.positions):
        raise DataError(
            f"{found.name}: has {len(found.positions)} poses, {truth.name} "
            f"{len(truth.positions)}: each row must be the same pose"
        )
    shared = [name for name in truth.joints if name in found.joints]
    if not shared:
        raise DataError(f"{found.name}: shares no joint with {truth.name}")
    root = next((name for name in ROOTS if name in shared), shared[0])
    joints = (root, *(name for name in shared if name != root))
    true = truth.positions[:, [truth.joints.index(name) for name in joints]]
    predicted = found.positions[:, [found.joints.index(name) for name in joints]]

    known = np.isfinite(true.sum(2))
    rows = known[:, 0]
    if not np.isfinite(predicted[rows][known[rows]]).all():
        raise DataError(f"{found.name}: lacks joints that {truth.name} has: NaN is not a place")
    predicted = np.where(known[..., None], predicted, np.nan)
    return true[rows] * MILLIMETRES, predicted[rows] * MILLIMETRES, joints


def _figure(name: str, predicted: Array, true: Array, joints: tuple[str, ...]) -> Figure:
    measure, says = _MEASURES[name]
    counted = np.isfinite(true.sum(2))
    predicted, true = np.nan_to_num(predicted), np.nan_to_num(true)

    def again(weights: Array) -> float:
        rows = np.repeat(np.arange(len(true)), weights.astype(int))
        return _over_all(measure(predicted[rows], true[rows], counted[rows]))

    whole = measure(predicted, true, counted)
    each = whole.each.tolist() if isinstance(whole, Rates) else []
    parts = {joint: rate for joint, rate in zip(joints, each, strict=False) if rate == rate}
    return Figure(name, _over_all(whole), again, parts, says)


def _over_all(value: Rates | float) -> float:
    return value.over_all if isinstance(value, Rates) else value


_Measure = Callable[[Array, Array, Mask], Rates | float]
_MEASURES: dict[str, tuple[_Measure, str]] = {
    "MPJPE": (mpjpe, "mm, after the roots are moved together"),
    "PA-MPJPE": (pa_mpjpe, "mm, after the best rotation, scale and shift"),
    "PCK3D": (pck3d, "share of joints within 150 mm"),
    "AUC3D": (auc3d, "mean of PCK3D over 0, 5 … 150 mm"),
}
