"""Which network a recipe trains."""

from __future__ import annotations

import torch
from torch import nn

from ..models import detector, rmpe, rtmdet, sppe, tinypose
from ..models import turn_net as turn
from .recipe import Recipe


def network(recipe: Recipe, joints: int = 17) -> nn.Module:
    """The untrained network of a recipe; its numbers come from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        if recipe.task == "pose":
            return _sppe(recipe, joints)
        if recipe.task == "turn":
            return turn.TurnNet(**turn.VARIANTS[recipe.model])
        if recipe.task == "sstn":
            return rmpe.Sstn(**rmpe.VARIANTS[recipe.model])
        if recipe.task == "rmpe":
            return rmpe.RmpeNet(
                rmpe.Sstn(**rmpe.VARIANTS["sstn"]), _sppe(recipe, joints), recipe.size
            )
        if recipe.model in rtmdet.VARIANTS:
            return rtmdet.RTMDet(**rtmdet.VARIANTS[recipe.model])
        return detector.DetectorNet(**detector.VARIANTS[recipe.model])


def _sppe(recipe: Recipe, joints: int) -> sppe.SppeNet | tinypose.TinyPoseNet:
    if recipe.model in tinypose.VARIANTS:
        return tinypose.TinyPoseNet(joints)
    return sppe.SppeNet(joints, sigma=recipe.sigma, **sppe.VARIANTS[recipe.model])
