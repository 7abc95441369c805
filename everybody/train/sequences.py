"""Learning to lift: clips of captured motion, seen by virtual cameras, to poses in space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from .. import skeleton_file
from ..data.cmu import Capture, read_captures
from ..errors import DataError
from ..lift import window
from ..lift.anatomy import stature
from ..metrics.mpjpe import aligned, mpjpe, pa_mpjpe, pck3d
from ..models.losses import Loss
from ..skeletons import H36M17
from .about import About
from .recipe import Recipe
from .task import OneNetwork
from .virtual_cameras import Bodies, Shots, clips

JUDGED = 2048  # clips of the subjects that were held out
# Nothing about the bodies and the cameras is strange, nothing is lost: fields of `Shots`.
AS_CAPTURED: dict[str, Any] = {
    **dict.fromkeys(("arms", "fast", "back", "bones", "bias", "live", "strange"), 0.0),
    "lost": False,
}


class SequenceTask(OneNetwork):
    """Poses in space, of one camera's joints over time. The subjects that a recipe holds out are
    seen by its evaluation only.
    """

    kind = "sequences"
    quantisable = False
    skeleton = H36M17

    def __init__(self, recipe: Recipe, motions: list[Capture]) -> None:
        self.recipe, self.model = recipe, self.row(recipe)
        self.net = self.network(recipe)
        held = set(map(int, recipe.held_out))
        learnt = [motion for motion in motions if motion.subject not in held]
        kept = [motion for motion in motions if motion.subject in held]
        if not learnt or not kept:
            subjects = ", ".join(map(str, sorted({motion.subject for motion in motions})))
            raise DataError(
                f"held_out={','.join(recipe.held_out)}: the data have subjects {subjects}; name "
                "some of them, but not all"
            )
        before, after = self.net.padding
        self.shots = Shots(reach=(before, after))
        self.learnt, self.held = Bodies.of(learnt), Bodies.of(kept)
        self.rows = self.learnt.distinct()

    @classmethod
    def load(cls, folders: Iterable[Path]) -> list[Capture]:
        """The sequences of packed files (`everybody.data.cmu`)."""
        return [motion for path in folders for motion in read_captures(path)]

    @classmethod
    def clips(cls, net: Any) -> Tensor:
        random = torch.Generator().manual_seed(1)
        return torch.randn(3, net.field, net.points, 3, generator=random)

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any]:
        net = cls.network(recipe)
        skeleton = skeleton_file.told(about.skeleton)
        return {"task": "lift", "skeleton": skeleton, "input": {"size": (net.points, net.field)}}

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device) -> None:
        self.device = device

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        random = np.random.default_rng(rng.initial_seed() % 2**63)
        chosen = self.rows[rows.cpu().numpy()]
        said, truth = examples(self.learnt, chosen, self.shots, random)
        if random.random() < 0.5:
            said, truth = window.mirrored(said), mirrored_pose(truth)
        found = net(torch.from_numpy(said).to(self.device))
        wanted = torch.from_numpy(truth).to(self.device)[:, None]
        return self.model.loss(net, found, wanted)

    def evaluate(self, net: Any) -> dict[str, float]:
        """`near`: share of joints within 50 mm of the truth after alignment, of joints as our 2D
        models find them; `mpjpe` and `pa`: millimetres; `true_…`: of joints seen perfectly.
        """
        rows = np.linspace(0, len(self.held) - 1, JUDGED).astype(int)
        scores: dict[str, float] = {}
        for name, noise in (("", 1.0), ("true_", 0.0)):
            shots = replace(self.shots, noise=noise, **AS_CAPTURED)
            said, truth = examples(self.held, rows, shots, np.random.default_rng(1))
            found = lifted(net, said)[:, 0] * 1700
            truth = truth * 1700
            near = pck3d(aligned(found, truth), truth, limit=50, root=None).over_all
            scores[f"{name}near"] = near
            scores[f"{name}mpjpe"] = mpjpe(found, truth).over_all
            scores[f"{name}pa"] = pa_mpjpe(found, truth).over_all
        return scores


def examples(bodies: Bodies, rows: Any, shots: Shots, rng: np.random.Generator) -> tuple[Any, Any]:
    """Middle frames [B] -> clips [B, F, 18, 3], and poses [B, 17, 3] as the network answers them:
    turned as the clip, in heights of the body.
    """
    points, pose = clips(bodies, rows, shots, rng)
    seen = window.seen(points, middle=shots.reach[0])
    pose = pose @ seen.turns.mT / stature(pose)[:, None, None]
    return seen.clips, pose.astype(np.float32)


def mirrored_pose(poses: Any) -> Any:
    """Poses [..., 17, 3] of H36M17 as a mirror shows them."""
    return poses[..., list(H36M17.mirror), :] * np.array([-1, 1, 1], np.float32)


@torch.no_grad()
def lifted(net: Any, said: Any) -> Any:
    """Clips [B, F, 18, 3] -> answers [B, 1, 17, 3], averaged with those for the mirrored clips."""
    straight, other = (
        torch.cat([net(part) for part in torch.from_numpy(clip).split(512)]).numpy()
        for clip in (said, window.mirrored(said))
    )
    return (straight + mirrored_pose(other)) / 2
