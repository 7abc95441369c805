"""Learning to find the joints in crops, and to tell which way up a body is: the tasks of SPPEs and
of the turn net.

A network that starts from another can learn what people labelled without forgetting what it knew
(learning without forgetting, Li & Hoiem 2016): of those whom only a teacher has labelled, it
answers as it did at the start to the crop turned back to how the picture lies, heatmap for heatmap.
Labels made of a teacher's answers say neither how sure it was nor where else.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from .. import geometry
from ..codecs import Heatmap
from ..data.dataset import with_margin
from ..errors import DataError, OptionError
from ..models import affine, sppe, tinypose
from . import augment, checkpoint, losses, proposals
from .augment import normalised
from .losses import Loss
from .networks import network
from .recipe import Recipe
from .shards import Pack, held_back

UPPER = ("nose", "eye", "ear", "shoulder", "elbow", "wrist", "neck", "head")
TURNS = 4


class Crops:
    """What both tasks share: packed crops of one person each, split in those to learn from and
    those held back.
    """

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        if len(pack) != len(pack.picture):
            raise DataError(
                "these shards hold whole pictures: an SPPE learns from crops (`everybody pack` without --pictures)"
            )
        self.recipe, self.skeleton = recipe, pack.skeleton
        pack = replace(pack, boxes=with_margin(pack.boxes, pack.keypoints).astype(np.float32))
        back = held_back(pack.names, recipe.held_back)
        if back.all() or not back.any():
            raise DataError(
                f"{len(pack)} pictures are too few to hold {recipe.held_back:.0%} back; pack more of them"
            )
        self.held = pack.subset(back)
        self._pack, self._learnt = pack, ~back
        self.mirror = torch.tensor(pack.skeleton.mirror)
        self.limbs = torch.tensor(pack.skeleton.limbs)
        self.wrong = proposals.named(recipe.proposals, recipe.noise, pack.skeleton)
        self.upper = torch.tensor(
            [any(part in name for part in UPPER) for name in pack.skeleton.joints]
        )
        self.to(torch.device("cpu"))

    def __len__(self) -> int:
        return int(self._learnt.sum())

    def to(self, device: torch.device) -> None:
        self.images = torch.from_numpy(self._pack.images).to(
            device
        )  # all: a second copy may be too much
        self.keypoints, self.boxes = (
            torch.from_numpy(x).to(device) for x in (self._pack.keypoints, self._pack.boxes)
        )
        self.learnt = torch.from_numpy(self._learnt.nonzero()[0]).to(device)
        self.taught = (self.keypoints[..., 2] < 1).all(1)  # whom only a teacher has labelled
        self.mirror, self.limbs, self.upper = (
            t.to(device) for t in (self.mirror, self.limbs, self.upper)
        )

    def augmented(
        self, rows: Tensor, rng: Generator, *, angle: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows -> crops [N, 3, h, w] in [0, 255], keypoints [N, K, 3] in their pixels, who is
        mirrored [N], and the maps [N, 2, 3] from the packed pictures to the crops.
        """
        recipe, n, rows = self.recipe, len(rows), self.learnt[rows]
        keypoints = self.keypoints[rows]
        if angle is None:
            angle = augment.angles(n, near=recipe.near, anywhere=recipe.anywhere, rng=rng)
        boxes, inside = augment.half_body(
            self.boxes[rows], keypoints, self.upper, recipe.half_body, rng
        )
        turned = augment.rotations(angle)
        flip = augment.chance(n, recipe.flip, rng)
        around = augment.turned_boxes(boxes, inside, turned)
        around = around + self.offsets(keypoints, rng) * (around[:, 2:] - around[:, :2]).repeat(
            1, 2
        )
        to_crop = augment.crops(
            around,
            recipe.size,
            padding=recipe.padding,
            flip=flip,
            scale=1 + augment.uniform(n, -recipe.scale, recipe.scale, rng),
            shift=augment.normal(2 * n, rng).reshape(n, 2) * recipe.shift,
        )
        matrices = augment.compose(to_crop, turned)
        images = augment.warp(self.images[rows], matrices, recipe.size)
        keypoints = augment.relabel(augment.move(keypoints, matrices), flip, self.mirror)
        keypoints = augment.outside_is_unlabelled(keypoints, recipe.size)
        return self.disturbed(images, keypoints, rng), keypoints, flip, matrices

    def offsets(self, keypoints: Tensor, rng: Generator) -> Tensor:
        """[N, K, 3] -> how wrong the recipe's proposals make each box: [N, 4], in its sides."""
        if not self.recipe.proposals:
            return keypoints.new_zeros(len(keypoints), 4)
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        found = self.wrong(keypoints.cpu().numpy(), np.random.default_rng(seed))
        return torch.from_numpy(found).to(keypoints)

    def disturbed(self, images: Tensor, keypoints: Tensor, rng: Generator) -> Tensor:
        """Crops [N, 3, h, w] with what hides people and spoils pictures; keypoints [N, K, 3] are in
        their pixels.
        """
        recipe = self.recipe
        images = augment.paste_people(images, keypoints, self.limbs, recipe.paste, rng)
        images = augment.occlude(images, recipe.occlude, rng)
        images = augment.erase(images, recipe.erase, rng)
        images = augment.blur(images, recipe.blur, rng)
        images = augment.jpeg(images, recipe.jpeg, rng)
        return augment.colour(images, recipe.colour, rng)

    def plain(
        self, quarter: int, start: int, stop: int, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Held-back rows turned by so many quarters and cropped without augmentation -> crops [N,
        3, h, w] normalised, keypoints [N, K, 3] and areas [N] of the boxes, both in crop pixels.
        """
        keypoints = torch.from_numpy(self.held.keypoints[start:stop]).to(device)
        boxes = torch.from_numpy(self.held.boxes[start:stop]).to(device)
        n = len(keypoints)
        turned = augment.rotations(torch.full((n,), quarter * math.pi / 2, device=device))
        around = augment.turned_boxes(boxes, keypoints, turned)
        ones = torch.ones(n, device=device)
        to_crop = augment.crops(
            around,
            self.recipe.size,
            padding=self.recipe.padding,
            scale=ones,
            shift=torch.zeros(n, 2, device=device),
            flip=ones < 0,
        )
        matrices = augment.compose(to_crop, turned)
        images = augment.warp(
            torch.from_numpy(self.held.images[start:stop]).to(device), matrices, self.recipe.size
        )
        area = (around[:, 2:] - around[:, :2]).prod(1) * to_crop[:, 0, 0].square()
        return normalised(images), augment.move(keypoints, matrices), area


class PoseTask(Crops):
    """Joints in crops, by a softmax over cells or by heatmaps, as the network has it; scored by OKS
    upright and turned by quarters.
    """

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        super().__init__(recipe, pack)
        self.net = network(recipe, len(pack.skeleton))
        alignment = cast("sppe.SppeNet | tinypose.TinyPoseNet", self.net).alignment
        self.codec = Heatmap(recipe.size, sppe.STRIDE, recipe.sigma, alignment)

        self._teacher: Any = None
        if recipe.imitate and (not recipe.start or isinstance(self.net, sppe.SppeNet)):
            raise OptionError(
                "imitate: only a network that regresses heatmaps and starts from another imitates it"
            )

    def loss(self, net: nn.Module, rows: Tensor, rng: Generator) -> Loss:
        images, keypoints, _, matrices = self.augmented(rows, rng)
        scale, offset = (
            keypoints.new_tensor(self.codec.scale),
            keypoints.new_tensor(self.codec.offset),
        )
        cells = torch.cat([(keypoints[..., :2] - offset) / scale, keypoints[..., 2:]], 2)
        answer = net(normalised(images))
        if isinstance(self.net, sppe.SppeNet):
            return losses.spatial_cross_entropy(answer, cells, sigma=self.recipe.sigma)
        if not self.recipe.imitate:
            return losses.heatmap_error(answer, cells, sigma=self.recipe.sigma)
        pupils = self.taught[self.learnt[rows]]
        total, weight = losses.heatmap_error(
            answer[~pupils], cells[~pupils], sigma=self.recipe.sigma
        )
        if pupils.any():
            wanted, known = self.expected(self.learnt[rows][pupils], matrices[pupils])
            imitated, count = losses.heatmap_difference(
                answer[pupils], wanted, known, sigma=self.recipe.sigma
            )
            total, weight = (
                total + self.recipe.imitate * imitated,
                weight + self.recipe.imitate * count,
            )
        return total, weight

    @property
    def teacher(self) -> Any:
        """The network as it was at the start, read when it is first asked: to score or export needs
        none.
        """
        if self._teacher is None:
            self._teacher = checkpoint.as_started(self.recipe.start, self.net)
        return self._teacher.to(self.images.device)

    def expected(self, rows: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """Packed people and the maps [N, 2, 3] to their crops -> what the teacher says of the crops
        turned upright, as they lie: heatmaps [N, K, h, w], and which cells [N, 1, h, w] it has
        seen.
        """
        size = self.recipe.size
        upright = augment.rotations_about(torch.atan2(matrices[:, 0, 1], matrices[:, 1, 1]), *size)
        seen = augment.warp(self.images[rows], augment.compose(upright, matrices), size)
        with torch.no_grad():
            heatmaps = self.teacher.heatmaps(normalised(seen))
        cells = upright.new_tensor(
            [
                [
                    [self.codec.scale[0], 0, self.codec.offset[0]],
                    [0, self.codec.scale[1], self.codec.offset[1]],
                ]
            ]
        )
        shape = heatmaps.shape[3], heatmaps.shape[2]
        turned = affine.compose(affine.inverse(cells), affine.compose(upright, cells))
        maps = affine.normalised(turned, shape, shape)
        ones = heatmaps.new_ones(len(rows), 1, *heatmaps.shape[2:])
        return affine.sample(heatmaps, maps, shape), affine.sample(ones, maps, shape) > 0.99

    def evaluate(self, net: Any) -> dict[str, float]:
        """Mean OKS of the held-back people: upright, and, if the recipe turns people anywhere, of
        the quarter turns; `oks` is the mean of both.
        """
        device, found = next(net.parameters()).device, []
        for quarter in range(TURNS if self.recipe.anywhere else 1):
            values = []
            for start in range(0, len(self.held), 128):
                images, truth, area = self.plain(quarter, start, start + 128, device)
                decoded = self.codec.decode([net.heatmaps(images).float().cpu().numpy()])
                seen = truth[..., 2].cpu().numpy()
                similar = [
                    geometry.oks(t[None], p[None], a[None], self.skeleton.sigmas, s[None])[0, 0]
                    for t, p, a, s in zip(
                        truth.cpu().numpy(), decoded, area.cpu().numpy() * 0.53, seen, strict=True
                    )
                ]
                values += similar
            found.append(float(np.mean(values)))
        if len(found) == 1:
            return {"oks": found[0]}
        turned = float(np.mean(found[1:]))
        return {"oks": (found[0] + turned) / 2, "upright": found[0], "turned": turned}


class TurnTask(Crops):
    """By which quarter a body is turned, from square crops turned by known angles.

    What counts is what an SPPE makes of it: its confidence in each quarter turn of the crop as it
    lies (`Pack.turns`, by `everybody pack --turns`) goes round with the crop, and its softmax is
    the target. So people who bend or sit in an upright picture stay as the SPPE knows them, and
    those whom it cannot tell apart count little.
    """

    SHARP = 12.0  # of the softmax: a confidence .1 lower is a third as good

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        if pack.turns is None:
            raise DataError(
                "these shards do not say how bodies are turned: make them with `everybody pack --turns SPPE`"
            )
        smaller = pack.images.shape[1] // (2 * max(recipe.size))
        super().__init__(recipe, pack.shrunk(smaller) if smaller > 1 else pack)
        self.net = network(recipe, len(pack.skeleton))

    def to(self, device: torch.device) -> None:
        super().to(device)
        self.turns = torch.from_numpy(self._pack.turns).to(device)

    def loss(self, net: nn.Module, rows: Tensor, rng: Generator) -> Loss:
        n = len(rows)
        angle = augment.angles(n, near=self.recipe.near, anywhere=self.recipe.anywhere, rng=rng)
        angle = angle + augment.uniform(n, 0, TURNS, rng).floor() * (math.pi / 2)
        images, _, flip, _ = self.augmented(rows, rng, angle=angle)
        scores = turned_scores(self.turns[self.learnt[rows]], angle, flip)
        log = net(normalised(images)).float().log_softmax(1)
        weight = scores.amax(1) - scores.amin(1)
        return (-((self.SHARP * scores).softmax(1) * log).sum(1) * weight).sum(), weight.sum()

    def evaluate(self, net: Any) -> dict[str, float]:
        """How much of the SPPE's confidence in the best quarters is left in the chosen ones; and
        how often upright and turned people are set right, where that is clear.
        """
        device, turns = next(net.parameters()).device, torch.from_numpy(self.held.turns)
        chosen = []
        for quarter in range(TURNS):
            for start in range(0, len(self.held), 512):
                images, _, _ = self.plain(quarter, start, start + 512, device)
                chosen.append(net(images).float().argmax(1).cpu())
        picked = torch.cat(chosen).reshape(TURNS, -1)
        angle = torch.arange(TURNS)[:, None].expand(picked.shape) * (math.pi / 2)
        scores = torch.stack([turned_scores(turns, a, a < 0) for a in angle])  # [4, N, 4]
        best, second = scores.topk(2, -1).values.unbind(-1)
        kept = (scores.gather(2, picked[..., None]).sum() / best.sum()).item()
        right, clear = picked == scores.argmax(2), best - second > 0.1
        upright = clear & (scores.argmax(2) == 0)
        shares = [
            (right & which).sum().item() / max(which.sum().item(), 1)
            for which in (upright, clear & ~upright)
        ]
        return {"kept": kept, "upright": shares[0], "turned": shares[1]}


def turned_scores(scores: Tensor, angle: Tensor, flip: Tensor) -> Tensor:
    """Confidence in each quarter turn [N, 4] of pictures that are then turned by angles [N]
    (radians, clockwise) and mirrored where flip [N] -> [N, 4]; linear between quarters.
    """
    at = (torch.arange(TURNS, device=scores.device) - angle[:, None] / (math.pi / 2)) % TURNS
    below = at.floor()
    part, low = at - below, below.long() % TURNS
    moved = (1 - part) * scores.gather(1, low) + part * scores.gather(1, (low + 1) % TURNS)
    return torch.where(flip[:, None], moved[:, [0, 3, 2, 1]], moved)
