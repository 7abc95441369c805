"""The figures of docs/metrics.md, computed by the measures themselves: .venv/bin/python
scripts/metric_figures.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from everybody.data.dataset import Dataset, Picture
from everybody.metrics import charts, mpjpe, oks, pck
from everybody.skeletons import COCO17, LSP14

FOLDER = Path(__file__).resolve().parents[1] / "docs/images"


def similarity() -> str:
    """The similarity of a joint by its distance: small joints forgive less."""
    steps = np.linspace(0, 0.4, 81)
    series = []
    for joint in ("left_eye", "left_wrist", "left_shoulder", "left_hip"):
        sigma = COCO17.sigmas[COCO17.joints.index(joint)]
        likeness = oks.likeness(steps[:, None], np.ones(len(steps)), [sigma])[:, 0]
        series.append((joint.partition("_")[2], steps.tolist(), likeness.tolist()))
    return charts.lines(
        series,
        title="keypoint similarity",
        x="distance / √ area",
        y="similarity",
        limits=(0, 0.4),
        height=280,
    )


def precision_recall() -> str:
    """200 people found with errors of different size, a quarter overlooked, some of nobody; scores
    tell a little.
    """
    random = np.random.default_rng(0)
    points = random.uniform(0, 100, (200, 17, 2))
    picture, found = np.arange(200), random.random(200) < 0.75
    spread = random.exponential(3.5, 200)
    moved = points + random.normal(0, 1, points.shape) * spread[:, None, None]
    moved[random.random(200) < 0.15] += 500
    flags = np.full((200, 17, 1), 2.0)
    truth = Dataset(
        skeleton=COCO17,
        pictures=tuple(Picture("", i + 1) for i in range(200)),
        picture=picture,
        keypoints=np.concatenate([points, flags], 2),
        areas=np.full(200, 5300.0),
    )
    scores = (0.9 - spread / 20 + random.normal(0, 0.1, 200)).clip(0, 1)
    results = Dataset(
        skeleton=COCO17,
        pictures=truth.pictures,
        picture=picture,
        keypoints=np.concatenate([moved, flags], 2),
        scores=scores,
    ).select(found)
    matches = oks.Matches(oks.evaluation(truth, results), truth)
    series = []
    for threshold in (0, 5, 9):
        recall, precision, _ = matches.curve(threshold)
        series.append((f"OKS {oks.THRESHOLDS[threshold]:.2f}", recall.tolist(), precision.tolist()))
    return charts.lines(series, title="precision and recall", x="recall", y="precision", height=280)


def poses(spread: float, count: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LSP-like stick people of torsos about 100 pixels long, and what a method of this error makes
    of them.
    """
    random = np.random.default_rng(1)
    figure = {
        "right_ankle": (-15, 180),
        "right_knee": (-15, 130),
        "right_hip": (-15, 80),
        "left_hip": (15, 80),
        "left_knee": (15, 130),
        "left_ankle": (15, 180),
        "right_wrist": (-35, 90),
        "right_elbow": (-35, 45),
        "right_shoulder": (-25, 0),
        "left_shoulder": (25, 0),
        "left_elbow": (35, 45),
        "left_wrist": (35, 90),
        "neck": (0, -8),
        "head_top": (0, -45),
    }
    truth = np.array([figure[name] for name in LSP14.joints], float) * random.uniform(
        0.8, 1.2, (count, 1, 1)
    )
    return truth, truth + random.normal(0, spread, truth.shape), np.ones(truth.shape[:2], bool)


def keypoints_correct() -> str:
    """The same results by four lengths."""
    truth, found, labelled = poses(12)
    distance = pck.distances(found, truth)
    boxes = np.concatenate([truth.min(1), truth.max(1)], 1)
    lengths = {
        "torso (PCK, PDJ)": pck.torso_length(truth, labelled, LSP14),
        "head (PCKh)": 40.0,
        "box (PCKb)": pck.box_length(boxes),
        "100 pixels": 100.0,
    }
    series = [
        (name, *(values.tolist() for values in pck.curve(distance, labelled, length, 0.5)))
        for name, length in lengths.items()
    ]
    return charts.lines(
        series,
        title="correct keypoints",
        x="α",
        y="share of joints",
        limits=(0, 0.5),
        height=280,
        width=600,
    )


def parts_correct() -> str:
    """Strict and loose PCP of results that get worse and worse."""
    spreads = np.linspace(0, 40, 21)
    series = []
    for name, strict in (("strict", True), ("loose", False)):
        values = []
        for spread in spreads:
            truth, found, labelled = poses(spread, 200)
            _, ends, known = pck.limb_ends(truth, labelled, LSP14)
            _, others, _ = pck.limb_ends(found, labelled, LSP14)
            values.append(pck.pcp(others, ends, known, strict=strict).over_all)
        series.append((name, spreads.tolist(), values))
    return charts.lines(
        series,
        title="correct parts",
        x="error of a joint (pixels; torso 100)",
        y="share of limbs",
        limits=(0, 40),
        height=280,
    )


def in_space() -> str:
    """A pose that is right but for a turn about its upright axis: Procrustes forgives it, MPJPE
    does not.
    """
    truth = np.random.default_rng(2).normal(0, 0.35, (50, 17, 3))
    angles = np.linspace(0, 90, 19)
    plain, freed = [], []
    for angle in np.radians(angles):
        turn = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        plain.append(mpjpe.mpjpe(truth @ turn.T, truth).over_all)
        freed.append(mpjpe.pa_mpjpe(truth @ turn.T, truth).over_all)
    series = [("MPJPE", angles.tolist(), plain), ("PA-MPJPE", angles.tolist(), freed)]
    return charts.lines(
        series,
        title="errors in space",
        x="turned by (degrees)",
        y="metres",
        limits=(0, 90),
        height=280,
    )


FIGURES = {
    "metrics-oks": similarity,
    "metrics-ap": precision_recall,
    "metrics-pck": keypoints_correct,
    "metrics-pcp": parts_correct,
    "metrics-3d": in_space,
}


def main(folder: Path = FOLDER) -> None:
    for name, figure in FIGURES.items():
        (folder / f"{name}.svg").write_text(figure(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
