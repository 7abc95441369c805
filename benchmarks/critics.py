"""What Adversarial PoseNet's pose critic says of three bodies in a picture: joint by joint.

    everybody train adversarial -d SHARDS -o RUN --set model=adversarial-tiny  # as long as you like
    python -m benchmarks.critics RUN    # verdicts on stdout, docs/lineage/critics.jpg

The critic sees the true maps, what its generator makes of the crop, and the true maps with wrists
and ankles exchanged: no body can be so. The crops are people of class.mp4 (`overfit.film`), which
neither has seen. RUN's last checkpoint has both networks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.common import ROOT, head, parsed, parser, row
from benchmarks.lineage_pictures import ZOOM, Panels, enlarged, strip
from benchmarks.overfit import film
from everybody.people import Image
from everybody.skeletons import COCO17
from everybody.train import checkpoint
from everybody.train.augment import normalised
from everybody.train.recipe import UNCHANGED, Recipe
from everybody.train.task import encoded
from everybody.train.tasks import task

CRITIC = "pose critic"
EXCHANGED = (("left_wrist", "left_ankle"), ("right_wrist", "right_ankle"))


def players(run: Path, work: Path) -> Any:
    """The task of a run over the film's crops, unchanged, its networks as they were saved last."""
    recipe = Recipe.from_json((run / "recipe.json").read_text())
    made: Any = task(replace(recipe, **UNCHANGED, held_back=0.3), film(work / "film"))
    made.learnt = torch.arange(len(made.keypoints))
    folder = run / "checkpoints"
    state = checkpoint.load(folder, checkpoint.steps(folder)[-1])
    made.net.load_state_dict(state["ema"])
    made.critics[CRITIC].load_state_dict(state["others"][CRITIC]["net"])
    for net in made.players.values():
        net.eval()
    return made


def bodies(made: Any, number: int) -> tuple[Image, dict[str, tuple[Tensor, np.ndarray]]]:
    """A crop enlarged, and by their names the maps [1, 2 K, h, w] and poses [K, 2] of three bodies
    in it.
    """
    rng = torch.Generator().manual_seed(0)
    images, keypoints, _, _ = made.augmented(torch.tensor([number]), rng)
    (truth,), _ = encoded(made.codec, keypoints)
    impossible, at = truth.clone(), keypoints[0, :, :2].numpy()
    moved = at.copy()
    for names in EXCHANGED:
        a, b = map(COCO17.joints.index, names)
        impossible[:, [a, b]], moved[[a, b]] = truth[:, [b, a]], at[[b, a]]

    with torch.no_grad():
        poses = made.net.answer(made.net(normalised(images)))[0]
    found = made.codec.decode([poses.numpy()])[0, :, :2]
    seen = {"true": (truth, at), "generated": (poses, found), "impossible": (impossible, moved)}
    picture = images[0].permute(1, 2, 0).numpy().clip(0, 255).astype(np.uint8)
    return enlarged(picture), {name: (silent(maps), pose) for name, (maps, pose) in seen.items()}


def silent(poses: Tensor) -> Tensor:
    """Pose maps with empty occlusion maps: nobody says what is hidden."""
    return torch.cat([poses, torch.zeros_like(poses)], 1)


def verdict(made: Any, maps: Tensor, number: int) -> np.ndarray:
    """How plausible each joint is to the critic [K], 0 to 1."""
    images, _, _, _ = made.augmented(torch.tensor([number]), torch.Generator().manual_seed(0))
    with torch.no_grad():
        return made.critics[CRITIC](maps, normalised(images))[0].sigmoid().numpy()


def drawn(picture: Image, pose: np.ndarray, plausible: np.ndarray) -> Image:
    """A pose's joints, green where they are believed, red where not."""
    image = np.ascontiguousarray(picture // 2 + 64)
    points = [tuple(round(ZOOM * (float(v) + 0.5)) for v in joint) for joint in pose]
    for a, b in COCO17.limbs:
        cv2.line(image, points[a], points[b], (220, 220, 220), 1, cv2.LINE_AA)
    for point, share in zip(points, plausible, strict=True):
        colour = (round(255 * (1 - float(share))), round(255 * float(share)), 0)
        cv2.circle(image, point, 5, colour, -1, cv2.LINE_AA)
    return image


def main() -> None:
    command = parser(__doc__)
    command.add_argument("run", type=Path)
    command.add_argument("--work", type=Path, default=Path("everybody-overfit"))
    command.add_argument("--row", type=int, default=2, help="which of the crops is drawn")
    given = parsed(command)
    torch.set_num_threads(1)
    made = players(given.run, given.work)
    others = [
        k for k, name in enumerate(COCO17.joints) if "wrist" not in name and "ank" not in name
    ]
    ends = [k for k in range(len(COCO17)) if k not in others]

    panels: Panels = []
    said: dict[str, list[np.ndarray]] = {}
    for number in range(len(made.learnt)):
        picture, seen = bodies(made, number)
        for name, (maps, pose) in seen.items():
            plausible = verdict(made, maps, number)
            said.setdefault(name, []).append(plausible)
            if number == given.row:
                title = f"{name}: {plausible.mean():.2f}"
                panels.append((title, drawn(picture, pose, plausible)))
    strip(panels, ROOT / "docs/lineage/critics.jpg")
    print(head("maps", "all joints", "wrists and ankles", "the others"))
    for name, values in said.items():
        mean = np.mean(values, 0)
        cells = (mean.mean(), mean[ends].mean(), mean[others].mean())
        print(row(name, *(f"{cell:.2f}" for cell in cells)))


if __name__ == "__main__":
    main()
