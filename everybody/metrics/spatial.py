"""Measures of poses in space by name, from files of poses: MPJPE, PA-MPJPE, N-MPJPE, PCK3D, AUC3D,
MPJVE.

Files and their layouts are those of `everybody.data.poses`: .npz with `positions_3d` in metres, one
pose a row, NaN for joints that are not known. Poses of two files belong together by their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.joints import skeleton_of
from ..data.poses import PosesFile, holds_poses, read_poses
from ..errors import DataError, OptionError
from ..geometry import Array
from .compare import Judged
from .figure import Figure
from .mpjpe import auc3d, mpjpe, n_mpjpe, pa_mpjpe, pck3d
from .pck import Rates
from .tables import About

__all__ = ["holds_poses", "judge_files", "read_poses"]

Mask = NDArray[np.bool_]

ROOTS = ("pelvis", "hip", "root")  # what poses are moved together by; else the first joint
MILLIMETRES = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class _Poses:
    """What is compared: poses [N, K, 3] in millimetres, the root first; rows that follow [N]."""

    predicted: Array
    true: Array
    joints: tuple[str, ...]
    follows: Mask | None


def judge_files(results: Sequence[Path], data: Path, names: Sequence[str] = ()) -> list[Judged]:
    """Figures of files of poses, by default all; lengths in millimetres. Raises OptionError for
    other measures, DataError for poses that do not belong together.
    """
    truth = read_poses(data)
    usual = [one for one in _MEASURES.values() if not one.steps or truth.follows is not None]
    wanted = [_measure(name) for name in names] or usual
    judged = []
    for path in results:
        found = read_poses(path)
        poses = _common(truth, found)
        about = About(
            results=found.name,
            boxes="",
            data=truth.name,
            pictures=len(poses.true),
            people=len(poses.true),
            skeleton=skeleton_of(f"{len(poses.joints)} joints", poses.joints),
        )
        judged.append(Judged(about, [_figure(measure, poses, data) for measure in wanted]))
    return judged


def _common(truth: PosesFile, found: PosesFile) -> _Poses:
    """The poses of the joints that both have. A pose whose root is not known is left out."""
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
    follows = None
    if truth.follows is not None:  # of the rows that are left, those after a row that is left
        follows = (truth.follows & np.concatenate([[False], rows[:-1]]))[rows]
    return _Poses(predicted[rows] * MILLIMETRES, true[rows] * MILLIMETRES, joints, follows)


_Compared = Callable[[Array, Array, Mask], Rates | float]


@dataclass(frozen=True, slots=True)
class _Measure:
    """How two sets of poses are compared. steps: what is compared are the steps between rows."""

    name: str
    compare: _Compared
    says: str
    steps: bool = False


def _figure(measure: _Measure, poses: _Poses, data: Path) -> Figure:
    predicted, true, rows = poses.predicted, poses.true, np.arange(len(poses.true))
    if measure.steps:
        if poses.follows is None:
            raise DataError(
                f"{data}: {measure.name} is of motion, and the file does not say which poses "
                "follow each other: it needs 'length', or 'id' and 'frame'"
            )
        rows = np.flatnonzero(poses.follows)
        predicted, true = (
            own[rows] - own[rows - 1] for own in (predicted - predicted[:, :1], true - true[:, :1])
        )
    counted = np.isfinite(true.sum(2))
    predicted, true = np.nan_to_num(predicted), np.nan_to_num(true)

    def again(weights: Array) -> float:
        drawn = np.repeat(np.arange(len(true)), weights[rows].astype(int))
        return _over_all(measure.compare(predicted[drawn], true[drawn], counted[drawn]))

    whole = measure.compare(predicted, true, counted)
    each = whole.each.tolist() if isinstance(whole, Rates) else []
    parts = {joint: rate for joint, rate in zip(poses.joints, each, strict=False) if rate == rate}
    return Figure(measure.name, _over_all(whole), again, parts, measure.says)


def _over_all(value: Rates | float) -> float:
    return value.over_all if isinstance(value, Rates) else value


_MEASURES = {
    measure.name: measure
    for measure in (
        _Measure("MPJPE", mpjpe, "mm, after the roots are moved together"),
        _Measure("PA-MPJPE", pa_mpjpe, "mm, after the best rotation, scale and shift"),
        _Measure("N-MPJPE", n_mpjpe, "mm, after the roots are moved together, at the best scale"),
        _Measure("PCK3D", pck3d, "share of joints within 150 mm"),
        _Measure("AUC3D", auc3d, "mean of PCK3D over 0, 5 … 150 mm"),
        _Measure("MPJVE", partial(mpjpe, root=None), "mm a frame: of the joints' motion", True),
    )
}
_ALSO = {"auc": "AUC3D"}


def _measure(name: str) -> _Measure:
    """The measure of a name; PCK3D@100 is PCK3D within 100 mm. Raises OptionError."""
    known = {key.lower(): measure for key, measure in _MEASURES.items()}
    lower = _ALSO.get(name.lower(), name).lower()
    base, at, limit = lower.partition("@")
    if not at and base in known:
        return known[base]
    try:
        within = float(limit)
    except ValueError:
        within = 0.0
    if base != "pck3d" or not 0 < within < 1e6:
        raise OptionError(
            f"unknown measure '{name}' of poses in space: known are {', '.join(_MEASURES)}, and "
            "PCK3D@150 by its limit in mm"
        )
    compare = partial(pck3d, limit=within)
    return _Measure(f"PCK3D@{within:g}", compare, f"share of joints within {within:g} mm")
