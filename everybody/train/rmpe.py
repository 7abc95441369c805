"""Learning to look at the right place: the tasks of the SSTN alone, and of RMPE whole (Fang et al.,
ICCV 2017).

The SSTN learns θ directly (`SstnTask`), hundreds of small pictures a second, with no SPPE at work.

`RmpeTask` is the paper's. The parallel SPPE is a frozen copy without SDTN. It sees what the SSTN
found, and its answer is compared with the pose as it lies in a perfect region, in the centre; only
a better θ lowers its loss. The main SPPE learns in the regions that it gets. Its answer, brought
back by θ, is compared in the crop too, so that no θ wins by making the region's errors look small.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ..codecs import Heatmap
from ..errors import OptionError
from ..inputs import IMAGENET
from ..models import affine, rmpe
from ..models.losses import Loss
from ..models.model import Model
from . import checkpoint
from .about import About
from .augment import normalised
from .crops import TURNS
from .pose import PoseTask, similarity
from .recipe import Recipe
from .regions import Regions
from .shards import Pack
from .task import codec_of, encoded

PACKED = 128  # side of the pictures that an SSTN learns from: larger ones only cost time
JUDGED = 200  # people that choose RMPE's checkpoint: each is posed four times


class SstnTask(Regions):
    """θ itself, of turned people in wrong boxes; no SPPE at work. Scored by how often the region is
    right: turned within 30 degrees, its centre within a tenth of its sides and its size within a
    fifth.
    """

    kind = "regions"

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        smaller = pack.images.shape[1] // PACKED
        pack = pack.shrunk(smaller) if smaller > 1 else pack
        super().__init__(recipe, pack, crop=rmpe.LOOK, region=rmpe.LOOK)
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
        images, _, views = self.drawn(rows, rng)
        said = net(normalised(images))
        wanted = views.theta(self.region, self.crop)
        return self.model.loss(self.net, said, wanted, rmpe.ASPECT)

    def evaluate(self, net: Any) -> dict[str, float]:
        device = next(net.parameters()).device
        turns, places = [], []
        for _, images, _, views in self.judged(len(self.held), device, group=512):
            wanted = views.theta(self.region, self.crop)
            (theta,) = self.model.answers(net, images)
            off = affine.compose(affine.inverse(wanted), theta)  # found, seen from the right one
            linear = affine.in_pixels(off, self.region, self.region)[:, :, :2]
            turns.append(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]).abs() < math.radians(30))
            factor = linear.det().clamp(min=1e-9).log().abs() / 2
            places.append((off[:, :, 2].abs() < 0.2).all(1) & (factor < math.log(1.2)))
        turned, placed = torch.cat(turns), torch.cat(places)
        share = {"right": turned & placed, "turned": turned, "placed": placed}
        return {name: values.float().mean().item() for name, values in share.items()}


class RmpeTask(Regions):
    """RMPE whole, around an SPPE; scored by OKS in wrong boxes, upright and turned by quarters."""

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        super().__init__(recipe, pack, crop=rmpe.crop_size(recipe.size), region=recipe.size)
        self.sppe = super().row(recipe)
        self.codec = codec_of(self.sppe, recipe)
        self.net: Any = self.network(recipe, len(pack.skeleton))
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
        recipe, region, crop = self.recipe, self.region, self.crop
        aspect = region[0] / region[1]
        images, keypoints, views = self.drawn(rows, rng)
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
        return affine.move(pixels, affine.normalising(self.region, pixels))

    def joint_loss(self, said: Any, keypoints: Tensor) -> Tensor:
        """The SPPE's own loss for keypoints [N, K, 3], normalised in the region: every person
        counts 1, whatever is labelled of them.
        """
        inside = (keypoints[..., :2].abs() <= 1).all(-1, keepdim=True)
        to_pixels = affine.inverse(affine.normalising(self.region, keypoints))
        pixels = affine.move(keypoints, to_pixels)
        pixels = torch.cat([pixels[..., :2], pixels[..., 2:] * inside], 2)
        targets, weights = encoded(self.codec, pixels)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
        joints, _ = self.sppe.loss(self.net.sppe, said, targets, weights, self.codec)
        return joints

    def evaluate(self, net: Any) -> dict[str, float]:
        region, device = self.region, next(net.parameters()).device
        found: list[list[float]] = [[] for _ in range(TURNS)]
        judged = self.judged(JUDGED, device, group=32)
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
