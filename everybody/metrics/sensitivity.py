"""How much harder it gets with size, occlusion, crowding, truncation and rotation: recall by sorts
of people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.dataset import Dataset
from ..geometry import Array, iou
from .oks import THRESHOLDS


@dataclass(frozen=True, slots=True)
class Slice:
    """True people of one sort: how many, the share found at OKS .5, and the recall averaged over
    .50 … .95.
    """

    label: str
    people: int
    found: float
    recall: float


def slices(truth: Dataset, likeness: Array) -> dict[str, list[Slice]]:
    """likeness [N]: the OKS at which each true person was found, 0 if not. People to ignore are
    left out, as is what the data do not tell (the size of the picture, both shoulders and hips).
    """
    side = np.sqrt(truth.areas)
    labelled = truth.labelled.sum(1)
    hidden = (truth.keypoints[..., 2] == 1).sum(1) / np.maximum(labelled, 1)
    sizes = np.array([(picture.width, picture.height) for picture in truth.pictures]).reshape(
        -1, 2
    )[truth.picture]
    margin = np.minimum(truth.boxes[:, :2].min(1), (sizes - truth.boxes[:, 2:]).min(1)) + 0.5
    cut = np.where((sizes > 0).all(1), (margin < 2).astype(float), np.nan)
    groups = {
        "size (√ area, pixels)": (
            side,
            (0, 64, 96, 192, np.inf),
            ("below 64", "64 – 96", "96 – 192", "above 192"),
        ),
        "labelled joints": (
            labelled / len(truth.skeleton),
            (0, 0.34, 0.67, 0.99, 2),
            ("to a third", "to two thirds", "more", "all"),
        ),
        "occlusion (hidden joints)": (hidden, (0, 0.001, 0.25, 2), ("none", "up to 25 %", "more")),
        "crowding (IoU with a neighbour)": (
            _crowding(truth),
            (0, 0.1, 0.4, 2),
            ("below .1", ".1 – .4", "above .4"),
        ),
        "truncation": (cut, (0, 0.5, 2), ("inside the picture", "at its border")),
        "rotation of the torso": (
            _rotation(truth),
            (0, 30, 60, 120, 181),
            ("up to 30°", "30 – 60°", "60 – 120°", "above 120°"),
        ),
    }
    out = {}
    for name, (value, edges, labels) in groups.items():
        rows = [
            _slice(label, likeness[~truth.ignored & (value >= low) & (value < high)])
            for label, low, high in zip(labels, edges, edges[1:], strict=False)
        ]
        if sum(row.people > 0 for row in rows) > 1:
            out[name] = rows
    return out


def _slice(label: str, likeness: Array) -> Slice:
    if not len(likeness):
        return Slice(label, 0, float("nan"), float("nan"))
    recall = (likeness[:, None] >= THRESHOLDS).mean()
    return Slice(label, len(likeness), float((likeness >= 0.5).mean()), float(recall))


def _crowding(truth: Dataset) -> Array:
    """[N]: the greatest IoU of each person's box with another one's of the picture, crowds left
    out.
    """
    out = np.zeros(len(truth.picture))
    for rows in truth.rows():
        rows = rows[~truth.crowd[rows]]
        if len(rows) > 1:
            table = iou(truth.boxes[rows], truth.boxes[rows])
            np.fill_diagonal(table, 0)
            out[rows] = table.max(1)
    return out


def _rotation(truth: Dataset) -> Array:
    """[N]: by how many degrees the line from hips to shoulders leans from upright, NaN where one of
    them is missing.
    """
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    if not set(names) <= set(truth.skeleton.joints):
        return np.full(len(truth.picture), np.nan)
    joints = [truth.skeleton.joints.index(name) for name in names]
    points = truth.keypoints[:, joints, :2]
    up = points[:, :2].mean(1) - points[:, 2:].mean(1)
    angle = np.degrees(np.abs(np.arctan2(up[:, 0], -up[:, 1])))
    return np.where(truth.labelled[:, joints].all(1) & (np.abs(up).sum(1) > 0), angle, np.nan)
