"""Networks, one file each, and `MODELS`: a row for every variant that can be trained.

torch lives here and in `everybody.train` only (extra `train`). A new network is a file of its own
and a line here.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from . import deployed, detector, losses, rmpe, rtmdet, simple_baseline, sppe, tinypose, turn_net
from .detection import detection_loss
from .losses import Loss
from .model import Model, family

__all__ = ["MODELS", "Model", "family"]


def softmax_over_cells(said: Tensor, targets: Any, weights: Tensor, codec: Any) -> Loss:
    """Logits of one map per joint."""
    return losses.spatial_cross_entropy(said, targets[0], weights)


def heatmaps(said: Tensor, targets: Any, weights: Tensor, codec: Any) -> Loss:
    """Heatmaps as they are to be decoded."""
    return losses.heatmap_error(said, targets[0], weights, sigma=codec.sigma)


def as_heatmaps(said: Tensor, wanted: Tensor, known: Tensor, codec: Any) -> Loss:
    """Heatmaps, of which others are wanted."""
    return losses.heatmap_difference(said, wanted, known, sigma=codec.sigma)


CENTRE = {"type": "heatmap", "alignment": "centre"}
CORNER = {"type": "heatmap", "alignment": "corner"}
HEATMAPS = {"codec": CORNER, "loss": heatmaps, "difference": as_heatmaps}
BOXES = {"kind": "pictures", "joints": False, "loss": detection_loss,
         "outputs": ("boxes", "scores"), "dynamic": True}  # fmt: skip

MODELS: dict[str, Model] = {
    **family(sppe.SppeNet, sppe.VARIANTS, sigma=True, codec=CENTRE, loss=softmax_over_cells),
    **family(
        tinypose.TinyPoseNet,
        tinypose.VARIANTS,
        **HEATMAPS,
        deploy=deployed.deployed,
        restore=deployed.restored,
        read=tinypose.TinyPoseNet.from_onnx,
    ),
    **family(simple_baseline.SimpleBaselineNet, simple_baseline.VARIANTS, **HEATMAPS),
    **family(detector.DetectorNet, detector.VARIANTS, **BOXES),
    **family(rtmdet.RTMDet, rtmdet.VARIANTS, read=rtmdet.RTMDet.from_onnx, **BOXES),
    **family(
        turn_net.TurnNet,
        turn_net.VARIANTS,
        kind="turns",
        joints=False,
        loss=losses.soft_cross_entropy,
        answer=lambda net, said: (said.softmax(1),),
        outputs=("turns",),
    ),
    **family(
        rmpe.Sstn,
        rmpe.VARIANTS,
        kind="regions",
        joints=False,
        loss=rmpe.theta_loss,
        answer=lambda net, said: (rmpe.guarded(said, rmpe.ASPECT),),
        outputs=("theta",),
    ),
}
