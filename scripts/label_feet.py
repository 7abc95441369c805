"""Shards whose heels and big toes BlazePose has labelled: what the heads of body-23 learn from.

    python scripts/label_feet.py OUT DATA... [--pictures N]

Of each data set (LSP's .npz, COCO's folder, or a folder of photos without labels, whose bodies
everybody-accurate finds), its pictures in an order drawn once, 100 at a time into OUT/NAME-000,
OUT/NAME-001, …; folders that are there are not made again. The teacher is the manifest's
blazepose-full (docs/import.md).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.estimator import Estimator
from everybody.media.images import SUFFIXES
from everybody.methods.blazepose import Landmarks
from everybody.options import Engine
from everybody.train import distill, squares
from everybody.train.feet import FEET, with_feet
from everybody.weights.locate import opened

CHUNK = 100
SURE = 0.4  # least score of a joint of everybody-accurate's that says where a body is
LEAST = 0.2  # least that a label counts; those that count less are left out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=10**9, help="At most so many of each.")
    options = parser.parse_args()
    teacher = Landmarks(opened("blazepose-full", "pose", Engine(threads=1))[0])
    for path in options.data:
        label(path, options.out, options.pictures, teacher)


def unlabelled(path: Path) -> bool:
    """Whether it is a folder of nothing but pictures."""
    return path.is_dir() and all(file.suffix.lower() in SUFFIXES for file in path.iterdir())


def with_bodies(pictures: Dataset, estimator: Estimator) -> Dataset:
    """Pictures without people -> the same with the people that are found, and the joints that are
    seen surely.
    """
    paths = [pictures.path(index) for index in range(len(pictures))]
    people = [estimator.estimate(str(path)) for path in paths]
    found = gathered(people, pictures.pictures, estimator.skeleton, name=pictures.name)
    return distill.trusted(replace(found, folder=pictures.folder), SURE)


def label(path: Path, out: Path, most: int, teacher: Landmarks) -> None:
    """One data set into folders of shards."""
    labels = distill.nobody(path) if unlabelled(path) else read(path)
    estimator = Estimator(model="accurate", threads=1, workers=1) if unlabelled(path) else None
    order = np.random.default_rng(0).permutation(len(labels))[:most]
    name = path.parent.name if path.suffix else path.name
    for number, start in enumerate(range(0, len(order), CHUNK)):
        folder = out / f"{name}-{number:03}"
        if folder.exists():
            continue
        part = labels.subset(order[start : start + CHUNK])
        if estimator:
            part = with_bodies(part, estimator)
        part = distill.trusted(with_feet(part, teacher), LEAST)
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
