"""Learning to find the joints in crops: the task of all single-person pose estimators.

A network that starts from another can learn what people have labelled without forgetting what it
knew (learning without forgetting, Li & Hoiem 2016). For people that only a teacher has labelled,
the target is its own answer at the start to the crop turned back to how the picture lies.
Labels made of a teacher's answers say neither how sure it was nor where else the joint may be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from .. import geometry, skeleton_file
from ..codecs import Codec
from ..errors import ModelError, OptionError
from ..inputs import IMAGENET, STRIDE
from ..models import affine
from ..models.losses import Loss
from ..models.model import FEW, Model
from ..runtime import Port
from ..skeletons import Skeleton
from . import augment, checkpoint
from .about import About
from .augment import normalised
from .crops import TURNS, Crops
from .recipe import Recipe
from .shards import Pack
from .task import codec_of, codec_row, encoded


class PoseTask(Crops):
    """Joints in crops, by the codec and the loss of the network's row; scored by OKS, upright and
    turned by quarters.
    """

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        super().__init__(recipe, pack)
        self.codec = codec_of(self.model, recipe)
        demand_fit(self.model, self.codec, recipe)
        self.net = self.network(recipe, len(pack.skeleton))
        if self.model.begin is not None:
            places = self.unchanged(self.keypoints[self.learnt], self.boxes[self.learnt])
            self.model.begin(self.net, places[..., :2], places[..., 2], recipe.size)
        self._teacher: Any = None
        if recipe.imitate and (not recipe.start or self.model.difference is None):
            raise OptionError(
                "imitate: only a network that regresses heatmaps and starts from another can"
            )

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        shown = {"size": cls.input_size(recipe)} | IMAGENET
        codec = codec_row(cls.row(recipe), recipe) | {"size": recipe.size}
        return {
            "task": "pose",
            "padding": recipe.padding,
            "input": shown,
            "skeleton": skeleton_file.told(about.skeleton),
            "codec": codec,
        }

    def loss(self, net: nn.Module, rows: Tensor, rng: Generator) -> Loss:
        images, keypoints, flip, matrices = self.augmented(rows, rng)
        targets, weights = encoded(self.codec, keypoints)
        images, more = self.shown(normalised(images), keypoints, rows, flip, matrices, rng), ()
        if self.model.guide is not None:
            more = self.model.guide(self.net, images, targets, weights)
        said = net(images, *more)
        if not self.recipe.imitate:
            return self.model.loss(self.net, said, targets, weights, self.codec)
        pupils = self.taught[self.learnt[rows]]
        return self.imitated(said, targets, weights, pupils, rows, matrices)

    def shown(
        self,
        images: Tensor,
        keypoints: Tensor,
        rows: Tensor,
        flip: Tensor,
        matrices: Tensor,
        rng: Generator,
    ) -> Tensor:
        """What the network gets of augmented crops [N, 3, h, w], given all that `augmented` says of
        them: the crops.
        """
        return images

    def imitated(
        self,
        said: Tensor,
        targets: tuple[Tensor, ...],
        weights: Tensor,
        pupils: Tensor,
        rows: Tensor,
        matrices: Tensor,
    ) -> Loss:
        """The loss of labels, and, for the pupils [N] bool, of differing from the teacher."""
        known = ~pupils
        labels = tuple(target[known] for target in targets)
        total, weight = self.model.loss(self.net, said[known], labels, weights[known], self.codec)
        if not pupils.any() or self.model.difference is None:
            return total, weight
        wanted, seen = self.expected(self.learnt[rows][pupils], matrices[pupils])
        error, count = self.model.difference(said[pupils], wanted, seen, self.codec)
        share = self.recipe.imitate
        return total + share * error, weight + share * count

    @property
    def teacher(self) -> Any:
        """The network as it was at the start. It is read when it is first asked: to score or to
        export needs none.
        """
        if self._teacher is None:
            self._teacher = checkpoint.as_started(self.recipe.start, self.net, self.model)
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
            (heatmaps,) = self.model.answers(self.teacher, normalised(seen))
        (sx, sy), (ox, oy) = self.codec.scale, self.codec.offset
        cells = upright.new_tensor([[[sx, 0, ox], [0, sy, oy]]])  # from cells to pixels
        shape = heatmaps.shape[3], heatmaps.shape[2]
        turned = affine.compose(affine.inverse(cells), affine.compose(upright, cells))
        maps = affine.normalised(turned, shape, shape)
        ones = heatmaps.new_ones(len(rows), 1, *heatmaps.shape[2:])
        return affine.sample(heatmaps, maps, shape), affine.sample(ones, maps, shape) > 0.99

    def evaluate(self, net: Any) -> dict[str, float]:
        """Mean OKS of the held-back people: upright, and, if the recipe turns people anywhere, of
        the quarter turns; `oks` is the mean of both.
        """
        quarters = TURNS if self.recipe.anywhere else 1
        found = [float(np.mean(self.similarities(net, quarter))) for quarter in range(quarters)]
        if len(found) == 1:
            return {"oks": found[0]}
        turned = float(np.mean(found[1:]))
        return {"oks": (found[0] + turned) / 2, "upright": found[0], "turned": turned}

    def similarities(self, net: Any, quarter: int) -> list[float]:
        """OKS of each held-back person, turned by so many quarters."""
        device, values = next(net.parameters()).device, []
        for start in range(0, len(self.held), 128):
            images, truth, area = self.plain(quarter, start, start + 128, device)
            answers = self.model.answers(net, images)
            poses = self.codec.decode([answer.float().cpu().numpy() for answer in answers])
            people = zip(truth.cpu().numpy(), poses, area.cpu().numpy() * 0.53, strict=True)
            values += [similarity(true, pose, size, self.skeleton) for true, pose, size in people]
        return values


def demand_fit(model: Model, codec: Codec, recipe: Recipe) -> None:
    """Raises OptionError unless the network answers crops of the recipe's size with what its codec
    means. All take multiples of 32; else it is asked without numbers, which computes nothing.
    """
    width, height = recipe.size
    if not (width % STRIDE or height % STRIDE):
        return
    try:
        with torch.device("meta"):
            net = model.build(FEW, codec).eval()
            answers = model.answers(net, torch.empty(1, model.channels(net), height, width))
        ports = [
            Port(name, tuple(answer.shape))
            for name, answer in zip(model.outputs[-len(answers) :], answers, strict=True)
        ]
        codec.check(ports, FEW)
    except (RuntimeError, ModelError) as error:
        raise OptionError(
            f"size={width}x{height}: {recipe.model} does not divide such crops into cells: choose "
            f"multiples of {STRIDE}, as 96x128"
        ) from error


def similarity(true: Any, pose: Any, area: Any, skeleton: Skeleton) -> float:
    """OKS of one pose [K, 3] with the true one [K, 3], whose third column says which joints
    count.
    """
    seen = true[None, :, 2]
    return float(geometry.oks(true[None], pose[None], area[None], skeleton.sigmas, seen)[0, 0])
