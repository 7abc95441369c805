"""How wrong a 2D model is, and how sure of it, on labelled pictures: the figures from which virtual
cameras draw their errors (`everybody/train/joint_errors.py`).

    python -m benchmarks.joint_errors [--data ../shared/data/coco_train] [--pose everybody-accurate]
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.common import COCO_TRAIN, parsed, parser
from everybody.data.read import read
from everybody.metrics.predict import predict
from everybody.skeletons import COCO17
from everybody.train.joint_errors import QUANTILES, SCORES, kind

LABELLED = 8  # joints that a person needs to count
STEPS = np.arange(0, 1.01, 0.1)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--data", type=Path, default=COCO_TRAIN)
    command.add_argument("--pose", default="everybody-accurate")
    given = parsed(command)
    truth = read(given.data)
    found = predict(truth, pose=given.pose, boxes="gt")
    place = {tuple(box): n for n, box in enumerate(found.boxes.round(1).tolist())}
    order = [place[tuple(box)] for box in truth.boxes.round(1).tolist()]

    known = truth.keypoints[..., 2] > 0
    enough = known.sum(1) >= LABELLED
    points, known = truth.keypoints[enough, :, :2], known[enough]
    scores = found.keypoints[order][enough, :, 2]
    weight = known / known.sum(1, keepdims=True)
    middle = (points * weight[..., None]).sum(1, keepdims=True)
    size = np.sqrt((np.square(points - middle).sum(2) * weight).sum(1))
    gaps = found.keypoints[order][enough, :, :2] - points
    errors = np.linalg.norm(gaps, axis=2) / size[:, None]

    print(f"{len(points)} people with {LABELLED} labelled joints or more")
    print(f"scores at {', '.join(f'{q:g}' for q in QUANTILES)}:")
    kinds = np.array([kind(name) for name in COCO17.joints])
    for name in SCORES:
        chosen = (
            scores[~known]
            if name == "hidden"
            else scores[:, kinds == name][known[:, kinds == name]]
        )
        print(f"  {name}: {', '.join(f'{s:.2f}' for s in np.quantile(chosen, QUANTILES))}")
    print("errors by score: median and 90th of a hundred, by the size of the person")
    for low, high in pairwise(STEPS):
        chosen = errors[known & (scores >= low) & (scores < high)]
        if len(chosen):
            middle_, far = np.quantile(chosen, (0.5, 0.9))
            print(f"  {low:.1f} to {high:.1f}: {middle_:.3f}, {far:.3f} ({len(chosen)} joints)")


if __name__ == "__main__":
    main()
