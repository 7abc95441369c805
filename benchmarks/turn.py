"""What the turn net is worth: AP on true boxes and poses per person, over how unlikely a turn may be to be tried.

    python benchmarks/turn.py turn.onnx [--data ../shared/data/coco_train] [--pose tinypose-256x192]

All pictures upright and turned. The default data are no evaluation pictures: choose `orient.WORTH` on them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from everybody import orient
from everybody.data.own import gathered
from everybody.data.read import read
from everybody.data.turn import turned
from everybody.load import load_sppe, load_turn
from everybody.media.images import decode
from everybody.metrics.judge import judge
from everybody.people import People

SHARED = Path(__file__).resolve().parents[2] / "shared"
WORTH = (1.0, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.0)  # 1: the likeliest only; 0: all four


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("net", nargs="?", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data/coco_train")
    parser.add_argument("--pose", default="tinypose-256x192")
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    net, truth, sppe = load_turn(given.net), read(given.data / "annotations.json"), load_sppe(given.pose)
    images = [decode(truth.path(i).read_bytes(), truth.pictures[i].name) for i in range(len(truth))]
    print(f"{given.data.name}: {len(truth)} pictures, {(~truth.ignored).sum()} people, true boxes, {given.pose}")
    print("| turned | upright only | " + " | ".join(map(str, WORTH)) + " |")
    print("| --- " * (2 + len(WORTH)) + "|")
    for quarter in range(4):
        shown = turned(truth, quarter)
        found: dict[float, list[People]] = {worth: [] for worth in (-1.0, *WORTH)}
        poses = dict.fromkeys(found, 0)
        for image, rows in zip(images, shown.rows(), strict=True):
            boxes, view = (
                shown.boxes[rows[~shown.ignored[rows]]].astype(np.float32),
                np.ascontiguousarray(np.rot90(image, quarter)),
            )
            count = len(boxes)
            likely = net([view] * count, boxes)
            turns = np.tile(np.arange(4), count)
            keypoints = sppe.posed([view] * 4 * count, boxes.repeat(4, 0), turns).reshape(count, 4, -1, 3)
            for worth, people in found.items():
                tried = likely >= np.minimum(worth, likely.max(1, initial=0)[:, None])
                if worth < 0:
                    tried = np.tile(np.arange(4) == 0, (count, 1))
                chosen = keypoints[np.arange(count), orient.best_turn(keypoints, tried)]
                people.append(People(chosen, boxes, chosen[..., 2].mean(1), truth.skeleton))
                poses[worth] += int(tried.sum())
        row = []
        for worth, people in found.items():
            results = gathered(people, shown.pictures, truth.skeleton, name="turn", boxes_from="gt")
            (value,) = (figure.value for figure in judge(shown, results, ["AP"]) if figure.name == "AP")
            row.append(f"{value:.3f} ({poses[worth] / sum(map(len, people)):.2f})")
        print(f"| {90 * quarter}° | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
