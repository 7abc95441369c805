"""Can every network of single people learn 32 crops by heart? PCK@0.2 of a small variant.

    python -m benchmarks.overfit [--work FOLDER] [--only hourglass]   # some minutes for each
    python -m benchmarks.overfit --work OTHER --crops 8 --steps 200  # enough for pictures

The crops are the people of class.mp4, seven frames two seconds apart, labelled by the bundled
estimator; 96 × 128, not augmented. AdamW on all 32 at once, until PCK@0.2 (of the torso) is at
least .95 in eval mode, for at most --steps steps. Networks that drop features at random keep all.
With --work, the networks are kept there (`lineage_pictures` draws what they see), and so is each
network's line: the same command goes on after a stop.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import VIDEO, head, parsed, parser, row
from everybody.data.dataset import Dataset, Picture
from everybody.estimator import Estimator
from everybody.media.read import Selection, read
from everybody.metrics import pck
from everybody.skeletons import COCO17
from everybody.train import shards, squares
from everybody.train.augment import normalised
from everybody.train.recipe import UNCHANGED, Recipe
from everybody.train.recipes import BASE
from everybody.train.tasks import task

ENOUGH, EVERY = 0.95, 20
SMALLEST: dict[str, dict[str, Any]] = {  # of each network; what its recipe has beside `recipe_of`
    "deeppose-tiny": {},
    "deeppose-resnet-tiny": {},
    "deeppose-resnet-tiny-rle": {},
    "tompson-slim": {},
    "cpm-tiny": {"sigma": 1.0},
    "ief-slim": {},
    "hourglass-tiny": {"sigma": 1.0},
    "adversarial-tiny": {"sigma": 1.0, "critics": 0.0},
    "simple-baseline-slim": {"sigma": 1.0},
    "integral-tiny": {"sigma": 1.0},
    "dsnt-fast": {},
    # Not hrnet-tiny: its 17 maps would be sums of 8 features (docs/log/lineage.md).
    "hrnet-w18-small": {"sigma": 1.0},
    "fastpose-tiny": {"sigma": 1.0},
    "simcc-slim": {},
    "rtmpose-t": {},
    "vitpose-slim": {"sigma": 1.0},
    "tinypose": {"sigma": 1.0},
    "sppe-fast": {"sigma": 1.0},
}


def recipe_of(model: str, settings: dict[str, Any]) -> Recipe:
    """Crops as they are."""
    numbers: dict[str, Any] = {**UNCHANGED, "size": (96, 128), "sigma": 0.0}
    return replace(BASE, **{**numbers, **settings}, model=model, held_back=0.3)


def film(folder: Path) -> shards.Pack:
    """The people of some frames of class.mp4, packed in FOLDER, as the bundled estimator sees
    them.
    """
    if not any(folder.glob("*.npz")):
        import cv2

        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for frame in Estimator().frames(read(VIDEO / "class.mp4", select=Selection(every=48))):
            name = f"{frame.index:04}.png"
            cv2.imwrite(str(folder / name), frame.image[..., ::-1])
            found.append((name, frame.people))
        people = [group for _, group in found]
        data = Dataset(
            skeleton=COCO17,
            pictures=tuple(Picture(name, number) for number, (name, _) in enumerate(found)),
            picture=np.repeat(np.arange(len(found)), [len(group) for group in people]),
            keypoints=np.concatenate([group.keypoints for group in people]),
            boxes=np.concatenate([group.boxes for group in people]),
            folder=folder,
        )
        squares.pack_crops(data, folder, size=224, say=lambda text: None)
    return shards.load([folder], threads=1)


def learnt(recipe: Recipe, pack: shards.Pack, crops: int, steps: int) -> tuple[Any, int, float]:
    """(the task, steps that it took, PCK@0.2) after training on the first crops."""
    made: Any = task(recipe, pack)
    made.learnt = torch.arange(min(crops, len(pack)))  # nothing is held back: all is by heart
    for module in made.net.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
            module.p = 0.0
    optimiser = torch.optim.AdamW(made.net.parameters(), 2e-3, weight_decay=0.0)
    rows, share = torch.arange(len(made.learnt)), 0.0
    for step in range(1, steps + 1):
        made.net.train()
        loss, weight = made.play("net", made.players, rows, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        (loss / weight).backward()
        torch.nn.utils.clip_grad_norm_(made.net.parameters(), 5.0)
        optimiser.step()
        if step % EVERY == 0:
            share = right(made, rows)
            if share >= ENOUGH:
                return made, step, share
    return made, steps, share


def right(made: Any, rows: torch.Tensor) -> float:
    """PCK@0.2 of the crops."""
    images, keypoints, _, _ = made.augmented(rows, torch.Generator().manual_seed(0))
    net = made.net.eval()
    with torch.no_grad():
        answers = made.model.answers(net, normalised(images))
    found = made.codec.decode([answer.float().numpy() for answer in answers])
    truth = keypoints.numpy()
    labelled = truth[..., 2] > 0
    torso = pck.torso_length(truth, labelled, COCO17)
    return pck.pck(pck.distances(found, truth), labelled, torso, 0.2).over_all


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=Path("everybody-overfit"))
    command.add_argument("--only", default="", help="networks whose name holds this")
    command.add_argument("--crops", type=int, default=32)
    command.add_argument("--steps", type=int, default=600)
    given = parsed(command)
    torch.set_num_threads(1)
    pack = film(given.work / "film")
    lines = [head("network", "M", "steps", "PCK@0.2", "CPU s")]
    for name, settings in SMALLEST.items():
        if given.only not in name:
            continue
        kept = given.work / f"{name}.md"
        if not kept.is_file():
            begun = time.process_time()
            made, steps, share = learnt(recipe_of(name, settings), pack, given.crops, given.steps)
            spent = time.process_time() - begun
            torch.save(made.net.state_dict(), given.work / f"{name}.pth")
            count = sum(parameter.numel() for parameter in made.net.parameters())
            kept.write_text(row(name, f"{count / 1e6:.2f}", steps, f"{share:.3f}", f"{spent:.0f}"))
        lines.append(kept.read_text())
        print(lines[-1], file=sys.stderr, flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
