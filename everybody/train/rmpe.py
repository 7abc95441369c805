"""Learning to look at the right place: the tasks of the SSTN alone, and of RMPE whole (Fang et al.,
ICCV 2017).

A packed crop is turned by a known angle and its box is made wrong in a known way, so the θ that
puts things right is known too, for free: the SSTN learns it directly (`SstnTask`), hundreds of
small pictures a second, with no SPPE at work.

`RmpeTask` is the paper's. The parallel SPPE is a frozen copy without SDTN, which is shown what the
SSTN found and compared with the pose as it lies in a perfect region, in the centre: its loss cannot
be lowered but by a better θ. The main SPPE learns in the regions that it gets; its answer, brought
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

from .. import geometry
from ..codecs import Heatmap
from ..methods.orientation import UPRIGHT_BONUS
from ..models import affine, rmpe, sppe
from . import augment, checkpoint, losses, proposals
from .augment import normalised
from .losses import Loss
from .networks import network
from .pose import TURNS, Crops
from .recipe import Recipe
from .shards import Pack

UP = ("nose", "eye", "ear", "shoulder")
DOWN = ("hip", "knee", "ankle")
LEAN = math.pi / 4  # without a teacher: who leans by less is upright enough for any SPPE
PACKED = 128  # side of the pictures that an SSTN learns from: larger ones only cost time
JUDGED = 200  # people that choose RMPE's checkpoint: each is posed four times


@dataclass(frozen=True, slots=True)
class Views:
    """People seen through wrong boxes: maps [N, 2, 3] from the pixels of the packed picture to
    those of the crop around the wrong box, and to those of the region that the SSTN should find
    there.
    """

    crop: Tensor
    region: Tensor

    def theta(self, region: tuple[int, int], crop: tuple[int, int]) -> Tensor:
        """[N, 2, 3]: the θ that leads from the one to the other; sizes are (width, height)."""
        return affine.normalised(
            affine.compose(self.crop, affine.inverse(self.region)), region, crop
        )


class Regions(Crops):
    """What both tasks share: wrong boxes, turns, and the regions that would be right."""

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
        by how much the region should turn with the body.

        Not at all where the teacher is as sure of the person as they lie: who bends in an upright
        picture is best left so. Else by the body's axis, if the teacher's quarter is near it.
        Without a teacher the axis alone tells: 0 for who is near upright, the whole angle from `2 ·
        LEAN` on.
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
        """People who `lean` [N], turned by `angle` [N], mirrored where `flip` [N], seen through
        boxes whose sides are off by offsets [N, 4] (in sides of the box).
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
        """Of held-back people, at each quarter turn, in boxes that are wrong the same way every
        time: (quarter, crops normalised, keypoints [N, K, 3] in pixels of the packed picture,
        views).
        """
        random = np.random.default_rng(0)
        for quarter in range(TURNS):
            for start in range(0, min(most, len(self.held)), group):
                rows = slice(start, min(start + group, most))
                keypoints = torch.from_numpy(self.held.keypoints[rows]).to(device)
                boxes = torch.from_numpy(self.held.boxes[rows]).to(device)
                offsets = torch.from_numpy(proposals.uniform(len(boxes), 0.25, random)).to(boxes)
                angle = boxes.new_full((len(boxes),), quarter * math.pi / 2)
                turns = (
                    None
                    if self.held.turns is None
                    else torch.from_numpy(self.held.turns[rows]).to(device)
                )
                lean = self.lean(keypoints, turns)
                views = self.views(keypoints, boxes, lean, angle, offsets, angle > 9, crop, region)
                images = augment.warp(
                    torch.from_numpy(self.held.images[rows]).to(device), views.crop, crop
                )
                yield quarter, normalised(images), keypoints, views


class SstnTask(Regions):
    """θ itself, of turned people in wrong boxes; no SPPE at work. Scored by how often the region is
    right: turned within 30 degrees, its centre within a tenth of its sides and its size within a
    fifth.
    """

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        smaller = pack.images.shape[1] // PACKED
        super().__init__(recipe, pack.shrunk(smaller) if smaller > 1 else pack)
        self.net = network(recipe)
        if recipe.sstn:
            checkpoint.load_matching(Path(recipe.sstn), self.net)

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        size = rmpe.LOOK
        images, _, views = self.drawn(rows, rng, size, size)
        off = losses.theta_distance(
            net(normalised(images)), views.theta(size, size), size[0] / size[1]
        )
        return off.sum(), off.new_tensor(float(len(off)))

    def evaluate(self, net: Any) -> dict[str, float]:
        size, device = rmpe.LOOK, next(net.parameters()).device
        turns, places = [], []
        for _, images, _, views in self.judged(len(self.held), size, size, device, group=512):
            wanted = views.theta(size, size)
            off = affine.compose(
                affine.inverse(wanted), net.theta(images)
            )  # the found region, seen from the right one
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
        self.net: Any = network(recipe, len(pack.skeleton))
        self.crop = rmpe.crop_size(recipe.size)
        self.codec = Heatmap(recipe.size, sppe.STRIDE, recipe.sigma, self.net.sppe.alignment)
        if recipe.sstn:
            checkpoint.load_matching(Path(recipe.sstn), self.net.sstn)
        if recipe.sppe:
            checkpoint.start(recipe.sppe, self.net.sppe)
        self.frozen = (
            copy.deepcopy(self.net.sppe).eval().requires_grad_(False)
        )  # the parallel SPPE: never exported
        self.net.sppe.requires_grad_(recipe.pose > 0)

    def to(self, device: torch.device) -> None:
        super().to(device)
        if hasattr(self, "frozen"):  # not yet when the pictures come
            self.frozen.to(device)

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        recipe, region, crop = self.recipe, self.recipe.size, self.crop
        aspect = region[0] / region[1]
        images, keypoints, views = self.drawn(rows, rng, crop, region)
        images = normalised(images)
        answer, raw = net(images)
        theta = rmpe.guarded(raw, aspect)
        here = affine.move(affine.move(keypoints, views.crop), affine.normalising(crop, keypoints))
        each = recipe.direct * losses.theta_distance(raw, views.theta(region, crop), aspect)
        if recipe.parallel:
            centred = affine.move(
                affine.move(keypoints, views.region), affine.normalising(region, keypoints)
            )
            found = self.placed(self.frozen.heatmaps(affine.sample(images, theta, region)))
            each = each + recipe.parallel * losses.joint_distance(found, centred)
        if recipe.pose:
            logits = isinstance(self.net.sppe, sppe.SppeNet)
            brought = affine.move(
                self.placed(self.net.sppe.scaled(answer) if logits else answer), theta
            )
            each = each + recipe.pose * losses.joint_distance(brought, here)
            cells = self.cells(affine.move(here, affine.inverse(theta.detach())))
            cells[..., 2] /= (
                cells[..., 2].sum(1, keepdim=True).clamp(min=1e-6)
            )  # everybody counts 1, as above
            learn = losses.spatial_cross_entropy if logits else losses.heatmap_error
            joints, _ = learn(answer, cells, sigma=recipe.sigma)
            each = each + recipe.pose * joints / len(each)
        return each.sum(), each.new_tensor(float(len(each)))

    def placed(self, heatmaps: Tensor) -> Tensor:
        """Heatmaps of the region -> [N, K, 2], where they are highest on the whole, normalised."""
        pixels = rmpe.expected(heatmaps) * heatmaps.new_tensor(
            self.codec.scale
        ) + heatmaps.new_tensor(self.codec.offset)
        return affine.move(pixels, affine.normalising(self.recipe.size, pixels))

    def cells(self, keypoints: Tensor) -> Tensor:
        """[N, K, 3], normalised in the region -> in cells of the heatmaps; weight 0 outside."""
        inside = (keypoints[..., :2].abs() <= 1).all(-1, keepdim=True)
        pixels = affine.move(
            keypoints, affine.inverse(affine.normalising(self.recipe.size, keypoints))
        )[..., :2]
        cells = (pixels - keypoints.new_tensor(self.codec.offset)) / keypoints.new_tensor(
            self.codec.scale
        )
        return torch.cat([cells, keypoints[..., 2:] * inside], 2)

    def evaluate(self, net: Any) -> dict[str, float]:
        device = next(net.parameters()).device
        found: list[list[float]] = [[] for _ in range(TURNS)]
        for quarter, images, keypoints, views in self.judged(
            JUDGED, self.crop, self.recipe.size, device, group=32
        ):
            heatmaps, theta = net.heatmaps(images)
            decoded = torch.from_numpy(self.codec.decode([heatmaps.float().cpu().numpy()])).to(
                device
            )
            decoded = (
                affine.move(decoded, affine.in_pixels(theta.float(), self.recipe.size, self.crop))
                .cpu()
                .numpy()
            )
            truth = affine.move(keypoints, views.crop).cpu().numpy()
            # A person's area, in pixels of the crop: of the region's, which is the box padded.
            scale = views.crop[:, :, :2].det().abs() / views.region[:, :, :2].det().abs()
            area = 0.53 * 0.6 * scale * math.prod(self.recipe.size) / self.recipe.region**2
            for true, pose, size in zip(truth, decoded, area.cpu().numpy(), strict=True):
                similar = geometry.oks(
                    true[None], pose[None], size[None], self.skeleton.sigmas, true[None, :, 2]
                )
                found[quarter].append(float(similar[0, 0]))
        upright, *turned = (float(np.mean(values)) for values in found)
        return {
            "oks": (upright + float(np.mean(turned))) / 2,
            "upright": upright,
            "turned": float(np.mean(turned)),
        }
