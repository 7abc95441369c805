"""Learning to look again at one joint: later stages of DeepPose's cascade (Toshev & Szegedy 2014,
section 3.2).

Each sample is a person's joint, drawn at random among the labelled ones, in a square of the
person's diameter around where an earlier stage may have found it: off by a normal distribution
(`shift`, in diameters), as the paper draws simulated predictions. Only that joint is learnt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ..methods.cascade import diameters
from .augment import normalised
from .pose import PoseTask, similarity


class CascadeTask(PoseTask):
    """One joint in a crop around it; scored by its OKS on held-back people, each seen once."""

    def framed(self, rows: Tensor, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
        keypoints, boxes = self.keypoints[rows], self.boxes[rows]
        labelled = keypoints[..., 2] > 0
        chances = torch.where(labelled.any(1, keepdim=True), labelled, True).float()
        joint = torch.multinomial(chances, 1, generator=rng)[:, 0]
        one = torch.nn.functional.one_hot(joint, keypoints.shape[1])
        only = torch.cat([keypoints[..., :2], keypoints[..., 2:] * one[..., None]], 2)
        person = diameters(keypoints.cpu().numpy(), boxes.cpu().numpy(), self.skeleton)
        half = torch.from_numpy(person).to(keypoints)[:, None] / 2
        place = keypoints[torch.arange(len(rows)), joint, :2]
        return torch.cat([place - half, place + half], 1), only, only

    def evaluate(self, net: Any) -> dict[str, float]:
        device, values = next(net.parameters()).device, []
        rng = Generator(device).manual_seed(0)
        learnt = set(self.learnt.tolist())
        held = [row for row in range(len(self.keypoints)) if row not in learnt]
        for rows in torch.tensor(held, device=device).split(128):
            images, truth, _, matrices = self.changed(rows, rng)
            answers = self.model.answers(net, normalised(images))
            poses = self.codec.decode([answer.float().cpu().numpy() for answer in answers])
            boxes = self.boxes[rows]
            area = (boxes[:, 2:] - boxes[:, :2]).prod(1) * matrices[:, 0, :2].square().sum(1)
            people = zip(truth.cpu().numpy(), poses, area.cpu().numpy() * 0.53, strict=True)
            values += [
                similarity(true, pose, size, self.skeleton)
                for true, pose, size in people
                if true[:, 2].any()
            ]
        return {"oks": float(np.mean(values))}
