"""Shards whose heels and big toes BlazePose has labelled: what the heads of body-23 learn from.

    python scripts/label_feet.py OUT DATA... [--pictures N]

Of each data set (LSP's .npz, COCO's folder), its pictures in an order drawn once, 100 at a time
into OUT/NAME-000, OUT/NAME-001, …; folders that are there are not made again. The teacher is the
manifest's blazepose-full: `everybody weights import blazepose-full` (docs/import.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from everybody.data.read import read
from everybody.methods.blazepose import Landmarks
from everybody.options import Engine
from everybody.train import distill, squares
from everybody.train.feet import FEET, with_feet
from everybody.weights.locate import opened

CHUNK = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=10**9, help="At most so many of each.")
    options = parser.parse_args()
    teacher = Landmarks(opened("blazepose-full", "pose", Engine(threads=1))[0])
    for path in options.data:
        label(path, options.out, options.pictures, teacher)


def label(path: Path, out: Path, most: int, teacher: Landmarks) -> None:
    """One data set into folders of shards."""
    labels = read(path)
    order = np.random.default_rng(0).permutation(len(labels))[:most]
    name = path.parent.name if path.suffix else path.name
    for number, start in enumerate(range(0, len(order), CHUNK)):
        folder = out / f"{name}-{number:03}"
        if folder.exists():
            continue
        part = labels.subset(order[start : start + CHUNK])
        part = distill.trusted(with_feet(part, teacher), 0.3)
        part_folder = folder.with_suffix(".part")
        for old in part_folder.glob("*.npz"):
            old.unlink()
        count = squares.pack_crops(part, part_folder)
        part_folder.rename(folder)
        feet = [joint in FEET for joint in part.skeleton.joints]
        share = part.labelled[:, feet].mean()
        print(f"{folder}: {count} people, {share:.0%} of their heels and toes", flush=True)


if __name__ == "__main__":
    main()
