"""Learning to find people and their joints in whole pictures, without boxes in between: bottom-up
and one-stage networks (`models/many_heads.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from .. import geometry
from ..codecs import make_people_codec
from ..errors import DataError
from ..inputs import IMAGENET
from ..methods.keypoint_rcnn import RegionMaps
from ..models.losses import Loss
from ..models.picture_truth import Truth
from ..people import People
from ..skeletons import COCO17
from . import augment, squares
from .about import About
from .augment import normalised
from .detect import precision_of
from .pictures import PictureTask, moved_boxes, padded, plain, visible
from .recipe import Recipe
from .shards import Pack

SEEN = 320  # sides of the picture that an exported file asks for
ENOUGH = 0.5  # OKS of a person who is found
MOST_OF = 0.3  # IoU with somebody ignored above which a found person is neither right nor false


class PeopleTask(PictureTask):
    """Joints of everybody, by the network's own loss; scored by AP at OKS 0.5, of several heads by
    their mean.
    """

    kind = "people"
    quantisable = False

    def __init__(self, recipe: Recipe, pack: Pack) -> None:
        if pack.skeleton.joints != COCO17.joints:
            raise DataError(
                f"these shards hold joints of {pack.skeleton.name}; {recipe.model} learns those of "
                "coco-17: pack with --skeleton coco-17"
            )
        super().__init__(recipe, pack)

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        model = cls.row(recipe)
        if not model.told_of:
            return None
        shown = {"size": (SEEN, SEEN)} | IMAGENET | {"fill": squares.FILL}
        codec = {"codec": dict(model.codec)} if model.codec else {}
        return {"task": "people", "input": shown} | codec | dict(model.told_of)

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        images, matrices = self.shown(rows, rng)
        truth = truths(self.labels(rows), matrices, self.recipe.size)
        return self.model.loss(self.net, net(normalised(images)), truth, self.recipe.size)

    def evaluate(self, net: Any) -> dict[str, float]:
        device, size = next(net.parameters()).device, (SEEN, SEEN)
        people = padded(self.held, device)
        pictures: dict[str, list[Any]] = {}
        for start in range(0, len(self.held), 16):
            rows = slice(start, start + 16)
            images = torch.from_numpy(self.held.images[rows]).to(device)
            matrices = plain(images.shape[1], 0, size, len(images), device)
            truth = truths([column[rows] for column in people], matrices, size)
            for name, found in self.found(net, augment.warp(images, matrices, size)).items():
                judged = [likened(*both) for both in zip(found, truth, strict=True)]
                pictures.setdefault(name, []).extend(judged)
        scores = {name: precision_of(some, ENOUGH) for name, some in pictures.items()}
        mean = {"ap50": float(np.mean(list(scores.values())))}
        return mean | (scores if len(scores) > 1 else {})

    def found(self, net: Any, images: Tensor) -> dict[str, list[People]]:
        """Pictures [N, 3, h, w] in [0, 255] -> by each head, who is found in each."""
        size = images.shape[3], images.shape[2]
        people: dict[str, list[People]] = {}
        for name, part in net(normalised(images)).items():
            head = net.heads[name]
            rows = make_people_codec(head.CODEC).decode(arrays(net.answers(name, part)), size)
            people[name] = [
                People(k, b, s.clip(0, 1), head.SKELETON).to(COCO17) for k, b, s in rows
            ]
        return people


class PeopleByRegionsTask(PeopleTask):
    """The same by proposals and regions (`models/keypoint_rcnn.py`): what such a network learns
    from depends on what it proposes, so its loss sees the pictures.
    """

    kind = "people by regions"

    @classmethod
    def input_size(cls, recipe: Recipe) -> tuple[int, int]:
        return SEEN, SEEN

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        images, matrices = self.shown(rows, rng)
        truth = [cornered(own) for own in truths(self.labels(rows), matrices, self.recipe.size)]

        def learn(net: Any, pictures: Tensor) -> Loss:
            return self.model.loss(net, pictures, truth, rng)

        return net(normalised(images), learn=learn)

    def found(self, net: Any, images: Tensor) -> dict[str, list[People]]:
        answers = arrays(net.answer(net(normalised(images))))
        rows = RegionMaps().decode(answers, (images.shape[3], images.shape[2]))
        people = [People(k, b, s.clip(0, 1), COCO17) for k, b, s in rows]
        nobody = [People.empty(COCO17)] * (len(images) - len(people))
        return {"people": [*people, *nobody]}


def arrays(answers: Sequence[Tensor]) -> list[Any]:
    """A network's answers, as codecs take them."""
    return [a.float().cpu().numpy() for a in answers]


def cornered(truth: Truth) -> Truth:
    """Counted from the picture's corner, as region networks do."""
    half = truth.boxes.new_tensor(0.5)
    assert truth.keypoints is not None
    assert truth.unsure is not None
    points = truth.keypoints + half * truth.keypoints.new_tensor([1, 1, 0])
    return truth._replace(boxes=truth.boxes + half, keypoints=points, unsure=truth.unsure + half)


def truths(columns: list[Tensor], matrices: Tensor, size: tuple[int, int]) -> list[Truth]:
    """Columns of packed people (`padded`) and maps [N, 2, 3] to pictures of `size` (width, height)
    -> who is in each of these. Joints outside are not labelled; mirrored people have their sides
    exchanged. People of whom little is left, or without a labelled joint, are neither to find nor
    false.
    """
    boxes, keypoints, real, ignored, _ = columns
    n, m, k, _ = keypoints.shape
    each = matrices.repeat_interleave(m, 0)
    points = augment.move(keypoints.reshape(n * m, k, 3), each).reshape(n, m, k, 3)
    mirrored = torch.linalg.det(matrices[:, :, :2]) < 0
    swapped = points[:, :, list(COCO17.mirror)]
    points = torch.where(mirrored[:, None, None, None], swapped, points)
    limit = points.new_tensor(size)
    inside = ((points[..., :2] >= -0.5) & (points[..., :2] < limit - 0.5)).all(-1, keepdim=True)
    points = torch.cat([points[..., :2], points[..., 2:] * inside], 3)

    moved, real, ignored = visible(moved_boxes(boxes, keypoints, matrices), real, ignored, size)
    moved = moved - 0.5
    known = (points[..., 2] > 0).any(2)
    unsure = ignored | (real & ~known)
    real = real & known
    return [
        Truth(
            moved[i, real[i]],
            torch.ones(int(real[i].sum()), dtype=torch.long, device=moved.device),
            points[i, real[i]],
            unsure=moved[i, unsure[i]],
        )
        for i in range(n)
    ]


def likened(found: People, truth: Truth) -> tuple[Any, Any, Any, int]:
    """People found in a picture, and who is there -> a row of `precision_of` by OKS."""
    assert truth.keypoints is not None, "people are judged by their joints"
    boxes, points = truth.boxes.cpu().numpy(), truth.keypoints.cpu().numpy()
    unsure = np.zeros((0, 4)) if truth.unsure is None else truth.unsure.cpu().numpy()
    area = geometry.area(boxes) * 0.53
    likeness = geometry.oks(points, found.keypoints, area, COCO17.sigmas, points[..., 2]).T
    away = (geometry.iou(found.boxes, unsure) >= MOST_OF).any(1)
    return found.scores, likeness, away, len(boxes)
