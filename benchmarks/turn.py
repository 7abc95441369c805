"""AP on true boxes with a trained turn net choosing each crop's quarter turn, beside no turn at all.

    python benchmarks/turn.py RUN/best.safetensors [--data ../shared/data/coco_train] [--pose tinypose-256x192]

All pictures upright and turned; a net that is less sure than the threshold leaves a crop as it is. Choose the threshold
on training data: the default data are no evaluation pictures.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch

from everybody import geometry
from everybody.data.own import gathered
from everybody.data.read import read
from everybody.data.turn import turned
from everybody.load import load_sppe
from everybody.media.images import decode
from everybody.metrics.judge import judge
from everybody.people import People
from everybody.train import augment, export
from everybody.train.shards import warp

SHARED = Path(__file__).resolve().parents[2] / "shared"
THRESHOLDS = (1.0, 0.85, 0.7, 0.5)  # 1: never turned


def turns(net: torch.nn.Module, image: np.ndarray, boxes: np.ndarray, size: int, padding: float) -> np.ndarray:
    """[N, 4] -> how likely each quarter is the body's [N, 4]."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(1)[:, None] / 2
    matrices = geometry.crop_matrices(np.concatenate([middle - half, middle + half], 1), (size, size), padding)
    crops = torch.from_numpy(np.stack([warp(image, matrix, size) for matrix in matrices]))
    with torch.no_grad():
        return net(augment.normalised(crops.permute(0, 3, 1, 2).float())).softmax(1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data/coco_train")
    parser.add_argument("--pose", default="tinypose-256x192")
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    recipe, net = export.load(given.weights)
    truth, sppe = read(given.data / "annotations.json"), load_sppe(given.pose)
    images = [decode(truth.path(i).read_bytes(), truth.pictures[i].name) for i in range(len(truth))]
    print(f"{given.data.name}: {len(truth)} pictures, {(~truth.ignored).sum()} people, true boxes; AP by threshold")
    for quarter in range(4):
        shown = turned(truth, quarter)
        found: dict[float, list[People]] = {threshold: [] for threshold in THRESHOLDS}
        for image, rows in zip(images, shown.rows(), strict=True):
            boxes, view = shown.boxes[rows[~shown.ignored[rows]]], np.ascontiguousarray(np.rot90(image, quarter))
            likely = turns(net, view, boxes, recipe.size[0], recipe.padding) if len(boxes) else np.zeros((0, 4))
            for threshold, people in found.items():
                chosen = np.where(likely.max(1, initial=0) > threshold, likely.argmax(1), 0)
                keypoints = sppe.posed([view] * len(boxes), boxes, chosen)
                people.append(People(keypoints, boxes, keypoints[..., 2].mean(1), truth.skeleton))
        row = []
        for threshold, people in found.items():
            results = gathered(people, shown.pictures, truth.skeleton, name="turn", boxes_from="gt")
            row.append(f"{threshold}: {next(f.value for f in judge(shown, results, ['AP']) if f.name == 'AP'):.3f}")
        print(f"{90 * quarter:3}°  " + "  ".join(row), flush=True)


if __name__ == "__main__":
    main()
