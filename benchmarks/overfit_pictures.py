"""Do networks of whole pictures learn 16 pictures by heart? AP at OKS .5 on these pictures.

    python -m benchmarks.overfit_pictures --work WORK [--steps 400]  # half an hour; can be stopped

The pictures are the first of coco_train with two to five people of six labelled joints or more;
others on them are neither to find nor false. What is trained is `many-small`, which has the heads
of OpenPose, PersonLab, MoveNet and a one-stage method on the bundled detector's trunk, and
`keypoint-rcnn-small`, by the loop and the tasks of `everybody train` without any change of the
pictures.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import COCO_TRAIN, head, parsed, parser, row
from everybody.data.dataset import Dataset
from everybody.data.read import read
from everybody.train import loop, shards
from everybody.train.people import SEEN
from everybody.train.recipe import UNCHANGED
from everybody.train.recipes import recipe
from everybody.train.squares import pack_pictures
from everybody.train.tasks import task_of

PICTURES, PEOPLE, JOINTS = 16, (2, 5), 6
NAMES = ("many-small", "keypoint-rcnn-small")


def lesson() -> Dataset:
    """The pictures, with the people who are well labelled; the others ignored."""
    data = read(COCO_TRAIN)
    clear = ~data.ignored & ((data.keypoints[..., 2] > 0).sum(1) >= JOINTS)
    counts = np.bincount(data.picture[clear], minlength=len(data))
    chosen = np.flatnonzero((counts >= PEOPLE[0]) & (counts <= PEOPLE[1]))[:PICTURES]
    return replace(data, ignored=~clear).subset(chosen)


def learnt(name: str, folder: Path, work: Path, steps: int) -> list[dict[str, str]]:
    """The log of a run that learns and is judged on the same pictures."""
    told = replace(
        recipe(name),
        **UNCHANGED,
        data=(str(folder),),
        size=(SEEN, SEEN),
        padding=1.0,
        held_back=0.5,
        steps=steps,
        rate=1e-3,
        warmup=20,
        ema=0.9,
        evaluate_every=max(1, steps // 4),
        precision="32-true",
    )
    whole = shards.load([folder])
    task = task_of(told)(told, whole)  # type: ignore[arg-type]
    task.learnt = task.held = whole  # type: ignore[union-attr]
    task.to(torch.device("cpu"))
    loop.train(told, task, work / name, say=lambda text: print(text, file=sys.stderr))
    with (work / name / "log.csv").open() as file:
        return [line for line in csv.DictReader(file) if line["ap50"]]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--work", type=Path, required=True)
    command.add_argument("--steps", type=int, default=400)
    command.add_argument("--only", default="", help="networks whose name holds this")
    given = parsed(command)
    torch.set_num_threads(1)
    folder, data = given.work / "shards", lesson()
    if not folder.is_dir():
        pack_pictures(data, folder, say=lambda text: print(text, file=sys.stderr))
    print(f"{len(data)} pictures, {int((~data.ignored).sum())} people\n")
    print(head("network", "step", "AP at OKS .5", "by head"))
    for name in NAMES:
        if given.only not in name:
            continue
        for line in learnt(name, folder, given.work, given.steps):
            other = ("step", "ap50", "seconds", "loss", "rate", "per_second")
            heads = ", ".join(f"{k} {float(v):.3f}" for k, v in line.items() if k not in other)
            print(row(name, line["step"], f"{float(line['ap50']):.3f}", heads))


if __name__ == "__main__":
    main()
