"""Learning to look at the right place: the tasks of the SSTN alone, and of RMPE whole (Fang et al.,
ICCV 2017).

A packed crop is turned by a known angle and its box is made wrong in a known way, so the θ that
puts things right is known too. The SSTN learns it directly (`SstnTask`), hundreds of small pictures
a second, with no SPPE at work.

`RmpeTask` is the paper's. The parallel SPPE is a frozen copy without SDTN. It sees what the SSTN
found, and its answer is compared with the pose as it lies in a perfect region, in the centre; only
a better θ lowers its loss. The main SPPE learns in the regions that it gets. Its answer, brought
back by θ, is compared in the crop too, so that no θ wins by making the region's errors look small.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ..codecs import Heatmap
from ..errors import OptionError
from ..inputs import IMAGENET
from ..methods.orientation import UPRIGHT_BONUS
from ..models import affine, rmpe
from ..models.losses import Loss
from ..models.model import Model
from . import augment, checkpoint, wrong_boxes
from .about import About
from .augment import normalised
from .crops import TURNS, Crops
from .pose import PoseTask, similarity
from .recipe import Recipe
from .shards import Pack
from .task import codec_of, encoded

UP = ("nose", "eye", "ear", "shoulder")
DOWN = ("hip", "knee", "ankle")
LEAN = math.pi / 4  # without a teacher: people who lean by less are upright enough for any SPPE
PACKED = 128  # side of the pictures that an SSTN learns from: larger ones only cost time
JUDGED = 200  # people that choose RMPE's checkpoint: each is posed four times


@dataclass(frozen=True, slots=True)
class Views:
    """People seen through wrong boxes: maps [N, 2, 3] from the pixels of the packed picture to
    pixels of the crop around the wrong box, and to pixels of the region that the SSTN should find.
    """

    crop: Tensor
    region: Tensor

    def theta(self, region: tuple[int, int], crop: tuple[int, int]) -> Tensor:
        """[N, 2, 3]: the θ from region to crop; sizes are (width, height)."""
        to_crop = affine.compose(self.crop, affine.inverse(self.region))
        return affine.normalised(to_crop, region, crop)


class Regions(Crops):
    """What both tasks share: wrong boxes, turns, and the regions that would be right."""

    quantisable = False  # a grid of 8 bits would move every pixel

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        super().__init__(recipe, pack)
        joints = pack.skeleton.joints
        self._up = [i for i, name in enumerate(joints) if any(part in name for part in UP)]
        self._down = [i for i, name in enumerate(joints) if any(part in name for part in DOWN)]

    def to(self, device: torch.device) -> None:
        super().to(device)
        turns = self._pack.turns
        self.turns = None if turns is None else torch.from_numpy(turns).to(device)

    def lean(self, keypoints: Tensor, turns: Tensor | None) -> Tensor:
        """[N, K, 3], a teacher's confidence in each quarter turn [N, 4] -> [N] radians, clockwise:
        the angle by which the region should turn with the body.

        It is 0 where the teacher is as sure of the person as they lie: a person who bends in an
        upright picture is best left so. Otherwise it is the angle of the body's axis if that is
        near the teacher's quarter, else the quarter. Without a teacher the axis alone decides: 0
        near upright, the whole angle from `2 · LEAN` on.
        """
        angle, known = self.axis(keypoints)
        if turns is None:
            share = ((angle.abs() - LEAN) / LEAN).clamp(0, 1)
            return angle * share * share * (3 - 2 * share) * known
        best = (turns + turns.new_tensor([UPRIGHT_BONUS, 0, 0, 0])).argmax(1)
        quarter = torch.remainder(best * (math.pi / 2) + math.pi, 2 * math.pi) - math.pi
        near = torch.cos(angle - quarter) > math.cos(math.pi / 3)
        return torch.where(best == 0, 0.0, torch.where(near & known, angle, quarter))

    def axis(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """[N, K, 3] -> the angle [N] from upright to the line from legs to head, clockwise, and
        whether it is known.
        """
        middles, known = [], []
        for part in (self._up, self._down):
            weight = (keypoints[:, part, 2] > 0).float()[..., None]
            middles.append((keypoints[:, part, :2] * weight).sum(1) / weight.sum(1).clamp(min=1))
            known.append(weight.any(1)[:, 0])
        up = middles[0] - middles[1]
        return torch.atan2(up[:, 0], -up[:, 1]), known[0] & known[1]

    def views(
        self,
        keypoints: Tensor,
        boxes: Tensor,
        lean: Tensor,
        angle: Tensor,
        offsets: Tensor,
        flip: Tensor,
        crop: tuple[int, int],
        region: tuple[int, int],
    ) -> Views:
        """The views of people who `lean` [N], turned by `angle` [N], mirrored where `flip` [N],
        through boxes whose sides are off by offsets [N, 4] (in sides of the box).
        """
        ones, still = torch.ones_like(angle), torch.zeros_like(boxes[:, :2])

        def seen(turned: Tensor, boxes: Tensor, size: tuple[int, int], padding: float) -> Tensor:
            to = augment.crops(boxes, size, padding=padding, scale=ones, shift=still, flip=flip)
            return affine.compose(to, turned)

        turned, upright = augment.rotations(angle), augment.rotations(-lean)
        found = augment.turned_boxes(boxes, keypoints, turned)
        found = found + offsets * (found[:, 2:] - found[:, :2]).repeat(1, 2)
        right = augment.turned_boxes(boxes, keypoints, upright)
        return Views(
            seen(turned, found, crop, self.recipe.padding),
            seen(upright, right, region, self.recipe.region),
        )

    def drawn(
        self, rows: Tensor, rng: Generator, crop: tuple[int, int], region: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Views]:
        """Rows to train on -> crops [N, 3, h, w] in [0, 255], keypoints [N, K, 3] in pixels of the
        *packed* picture, left and right exchanged where it is mirrored, and the views of both.
        """
        n, recipe, rows = len(rows), self.recipe, self.learnt[rows]
        angle = augment.angles(n, near=recipe.near, anywhere=recipe.anywhere, rng=rng)
        flip = augment.chance(n, recipe.flip, rng)
        keypoints = self.keypoints[rows]
        offsets = self.offsets(keypoints, rng)
        lean = self.lean(keypoints, None if self.turns is None else self.turns[rows])
        views = self.views(keypoints, self.boxes[rows], lean, angle, offsets, flip, crop, region)
        keypoints = augment.relabel(keypoints, flip, self.mirror)
        images = augment.warp(self.images[rows], views.crop, crop)
        return self.disturbed(images, augment.move(keypoints, views.crop), rng), keypoints, views

    def judged(
        self,
        most: int,
        crop: tuple[int, int],
        region: tuple[int, int],
        device: torch.device,
        *,
        group: int = 64,
    ) -> Any:
        """Held-back people at each quarter turn, in boxes that are wrong the same way every time:
        (quarter, crops normalised, keypoints [N, K, 3] in pixels of the packed picture, views).
        """
        random = np.random.default_rng(0)
        for quarter in range(TURNS):
            for start in range(0, min(most, len(self.held)), group):
                rows = slice(start, min(start + group, most))
                keypoints = torch.from_numpy(self.held.keypoints[rows]).to(device)
                boxes = torch.from_numpy(self.held.boxes[rows]).to(device)
                offsets = torch.from_numpy(wrong_boxes.uniform(len(boxes), 0.25, random)).to(boxes)
                angle = boxes.new_full((len(boxes),), quarter * math.pi / 2)
                turns = self.held.turns
                sure = None if turns is None else torch.from_numpy(turns[rows]).to(device)
                lean = self.lean(keypoints, sure)
                views = self.views(keypoints, boxes, lean, angle, offsets, angle > 9, crop, region)
                packed = torch.from_numpy(self.held.images[rows]).to(device)
                images = augment.warp(packed, views.crop, crop)
                yield quarter, normalised(images), keypoints, views


class SstnTask(Regions):
    """θ itself, of turned people in wrong boxes; no SPPE at work. Scored by how often the region is
    right: turned within 30 degrees, its centre within a tenth of its sides and its size within a
    fifth.
    """

    kind = "regions"

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        smaller = pack.images.shape[1] // PACKED
        super().__init__(recipe, pack.shrunk(smaller) if smaller > 1 else pack)
        self.net = self.network(recipe)
        if recipe.sstn:
            checkpoint.load_matching(Path(recipe.sstn), self.net)

    @classmethod
    def input_size(cls, recipe: Recipe) -> tuple[int, int]:
        return rmpe.SEEN

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        shown = {"size": cls.input_size(recipe)} | IMAGENET
        return {
            "task": "sstn",
            "padding": recipe.padding,
            "input": shown,
            "region": recipe.region,
        }

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        size = rmpe.LOOK
        images, _, views = self.drawn(rows, rng, size, size)
        said = net(normalised(images))
        return self.model.loss(self.net, said, views.theta(size, size), rmpe.ASPECT)

    def evaluate(self, net: Any) -> dict[str, float]:
        size, device = rmpe.LOOK, next(net.parameters()).device
        turns, places = [], []
        for _, images, _, views in self.judged(len(self.held), size, size, device, group=512):
            wanted = views.theta(size, size)
            (theta,) = self.model.answers(net, images)
            off = affine.compose(affine.inverse(wanted), theta)  # found, seen from the right one
            linear = affine.in_pixels(off, size, size)[:, :, :2]
            turns.append(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]).abs() < math.radians(30))
            factor = linear.det().clamp(min=1e-9).log().abs() / 2
            places.append((off[:, :, 2].abs() < 0.2).all(1) & (factor < math.log(1.2)))
        turned, placed = torch.cat(turns), torch.cat(places)
        share = {"right": turned & placed, "turned": turned, "placed": placed}
        return {name: values.float().mean().item() for name, values in share.items()}


class RmpeTask(Regions):
    """RMPE whole, around an SPPE; scored by OKS in wrong boxes, upright and turned by quarters."""

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        super().__init__(recipe, pack)
        self.sppe = super().row(recipe)
        self.codec = codec_of(self.sppe, recipe)
        self.net: Any = self.network(recipe, len(pack.skeleton))
        self.crop = rmpe.crop_size(recipe.size)
        if recipe.sstn:
            checkpoint.load_matching(Path(recipe.sstn), self.net.sstn)
        if recipe.sppe:
            checkpoint.start(recipe.sppe, self.net.sppe, self.sppe)
        # The parallel SPPE, which is never exported.
        self.frozen = copy.deepcopy(self.net.sppe).eval().requires_grad_(False)
        self.net.sppe.requires_grad_(recipe.pose > 0)

    @classmethod
    def row(cls, recipe: Recipe) -> Model:
        model = super().row(recipe)
        if not isinstance(codec_of(model, recipe), Heatmap):
            raise OptionError(
                f"model '{recipe.model}': RMPE needs an SPPE that answers with heatmaps"
            )
        return rmpe.around(model)

    @classmethod
    def input_size(cls, recipe: Recipe) -> tuple[int, int]:
        return rmpe.crop_size(recipe.size)

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        shown = {"size": cls.input_size(recipe)} | IMAGENET
        return (PoseTask.told(recipe, about) or {}) | {"input": shown}

    def to(self, device: torch.device) -> None:
        super().to(device)
        if hasattr(self, "frozen"):  # not yet when the pictures come
            self.frozen.to(device)

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        recipe, region, crop = self.recipe, self.recipe.size, self.crop
        aspect = region[0] / region[1]
        images, keypoints, views = self.drawn(rows, rng, crop, region)
        images = normalised(images)
        said, raw = net(images)
        theta = rmpe.guarded(raw, aspect)

        each = recipe.direct * rmpe.theta_distance(raw, views.theta(region, crop), aspect)
        if recipe.parallel:
            right = affine.move(keypoints, views.region)
            right = affine.move(right, affine.normalising(region, keypoints))
            seen = affine.sample(images, theta, region)
            found = self.placed(self.sppe.answers(self.frozen, seen))
            each = each + recipe.parallel * rmpe.joint_distance(found, right)
        if recipe.pose:
            here = affine.move(keypoints, views.crop)
            here = affine.move(here, affine.normalising(crop, keypoints))
            brought = affine.move(self.placed(self.sppe.answer(self.net.sppe, said)), theta)
            each = each + recipe.pose * rmpe.joint_distance(brought, here)
            joints = self.joint_loss(said, affine.move(here, affine.inverse(theta.detach())))
            each = each + recipe.pose * joints / len(each)
        return each.sum(), each.new_tensor(float(len(each)))

    def placed(self, answers: tuple[Tensor, ...]) -> Tensor:
        """Heatmaps of the region -> [N, K, 2], where they are highest on the whole, normalised."""
        cells = rmpe.expected(answers[0])
        scale, offset = cells.new_tensor(self.codec.scale), cells.new_tensor(self.codec.offset)
        pixels = cells * scale + offset
        return affine.move(pixels, affine.normalising(self.recipe.size, pixels))

    def joint_loss(self, said: Any, keypoints: Tensor) -> Tensor:
        """The SPPE's own loss for keypoints [N, K, 3], normalised in the region: every person
        counts 1, whatever is labelled of them.
        """
        inside = (keypoints[..., :2].abs() <= 1).all(-1, keepdim=True)
        to_pixels = affine.inverse(affine.normalising(self.recipe.size, keypoints))
        pixels = affine.move(keypoints, to_pixels)
        pixels = torch.cat([pixels[..., :2], pixels[..., 2:] * inside], 2)
        targets, weights = encoded(self.codec, pixels)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
        joints, _ = self.sppe.loss(self.net.sppe, said, targets, weights, self.codec)
        return joints

    def evaluate(self, net: Any) -> dict[str, float]:
        region, device = self.recipe.size, next(net.parameters()).device
        found: list[list[float]] = [[] for _ in range(TURNS)]
        judged = self.judged(JUDGED, self.crop, region, device, group=32)
        for quarter, images, keypoints, views in judged:
            heatmaps, theta = self.model.answers(net, images)
            decoded = torch.from_numpy(self.codec.decode([heatmaps.float().cpu().numpy()]))
            to_crop = affine.in_pixels(theta.float(), region, self.crop)
            poses = affine.move(decoded.to(device), to_crop).cpu().numpy()
            truth = affine.move(keypoints, views.crop).cpu().numpy()

            # A person's area, in pixels of the crop: that of the region, which is the box padded.
            scale = views.crop[:, :, :2].det().abs() / views.region[:, :, :2].det().abs()
            area = 0.53 * 0.6 * scale * math.prod(region) / self.recipe.region**2
            people = zip(truth, poses, area.cpu().numpy(), strict=True)
            found[quarter] += [
                similarity(true, pose, size, self.skeleton) for true, pose, size in people
            ]
        upright, *turned = (float(np.mean(values)) for values in found)
        mean = float(np.mean(turned))
        return {"oks": (upright + mean) / 2, "upright": upright, "turned": mean}
