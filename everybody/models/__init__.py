"""Networks, one file each, and `MODELS`: a row for every variant that can be trained.

torch lives here and in `everybody.train` only (extra `train`). A new network is a file of its own
and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from . import (
    adversarial,
    conditioned,
    cpm,
    deeppose,
    deployed,
    detector,
    dsnt,
    fastpose,
    hourglass,
    hrnet,
    ief,
    integral,
    keypoint_rcnn,
    lifter,
    likelihood,
    losses,
    many_heads,
    rcnn_losses,
    regression,
    rmpe,
    rtmdet,
    rtmpose,
    simcc,
    simple_baseline,
    sppe,
    symmetric_integral,
    tinypose,
    tompson,
    turn_net,
    videopose,
    vitpose,
    yolox,
)
from .detection import detection_loss
from .losses import Loss
from .model import Model, family

__all__ = ["MODELS", "Model", "family"]

Targets = tuple[Tensor, ...]


def alone(loss: Callable[..., Loss]) -> Callable[..., Loss]:
    """A loss (said, …) as one that the network is given to."""
    return lambda net, *rest: loss(*rest)


def heatmaps(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Heatmaps as they are to be decoded, of every stage."""
    stages = (said,) if isinstance(said, Tensor) else said
    error = partial(losses.heatmap_error, sigma=codec.sigma)
    return losses.every_stage(error, stages, targets[0], weights)


def poses_and_occlusions(
    net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any, hidden: Tensor
) -> Loss:
    """Heatmaps of where joints are and of which are hidden, of every stack."""
    known = hidden >= 0
    truth = adversarial.told(adversarial.maps_of(targets[0], hidden.clamp(min=0)), known)
    stacks = [adversarial.told(maps, known) for maps in said]
    return adversarial.generator_error(stacks, truth, weights, sigma=codec.sigma)


def as_heatmaps(said: Tensor, wanted: Tensor, known: Tensor, codec: Any) -> Loss:
    """The difference of heatmaps from wanted ones."""
    return losses.heatmap_difference(said, wanted, known, sigma=codec.sigma)


def softmax_over_cells(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Logits of one map per joint."""
    return losses.spatial_cross_entropy(said, targets[0], weights)


def mean_cells(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Logits of one map per joint, by their mean cell."""
    numbers = {"beta": codec.beta, "debias": codec.debias}
    return integral.coordinate_loss(said, targets, weights, **numbers)


def peaks_and_means(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Whole bodies: heatmaps of large joints; of hands and face, maps by their mean cell."""
    joints = said.shape[1]
    large = (torch.arange(joints, device=said.device) < codec.large(joints)).float()
    counts = {"by_heatmap": large, "by_integral": symmetric_integral.FINE * (1 - large)}
    return symmetric_integral.whole_body_loss(said, targets, weights, sigma=codec.sigma, **counts)


def squared_distances(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Coordinates."""
    return deeppose.squared_distance(said, targets, weights)


def likelihoods(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Coordinates and their scales, by the density that the network has learnt."""
    return likelihood.likelihood_loss(said, targets, weights, flow=net.flow)


def bins(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Logits of the bins of both axes, as SimCC."""
    return simcc.divergence(said, targets, weights)


def sharp_bins(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Values of the bins of both axes, as RTMPose."""
    return simcc.divergence(said, targets, weights, beta=10.0, label_softmax=True)


def spread_cells(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Mean cells and the maps that they are means of."""
    return dsnt.dsnt_loss(said, targets, weights)


def two_looks(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Coarse maps, fine maps and where the fine ones begin."""
    return tompson.tompson_loss(said, targets, weights, stride=net.stride)


def corrections(net: Any, said: Any, targets: Targets, weights: Tensor, codec: Any) -> Loss:
    """Guesses and the corrections of each."""
    return ief.ief_loss(said, targets, weights, bound=net.bound)


def path(net: Any, image: Tensor, targets: Targets, weights: Tensor) -> Targets:
    """The guesses of perfect corrections."""
    start, (truth,) = net.first(image), targets
    return (ief.fixed_path(start, truth, weights, steps=net.steps, bound=net.bound),)


def first_heatmaps(net: Any, said: Any) -> Targets:
    """What a network of two heads says by the first alone."""
    return (said[0],)


def distances(net: Any, said: Tensor, poses: Tensor) -> Loss:
    """Poses in space."""
    return videopose.position_error(said, poses, torch.ones_like(poses[..., 0]))


CENTRE = {"type": "heatmap", "alignment": "centre"}
CORNER = {"type": "heatmap", "alignment": "corner"}
STRIDE8 = CORNER | {"stride": 8}
UDP = {"type": "heatmap", "alignment": "udp", "refine": "udp"}
COORDINATES = {"type": "regression"}
WITH_SIGMAS = {"type": "regression", "sigmas": True}
PIXELS = {"type": "regression", "unit": "pixels"}
SIMCC = {"type": "simcc", "activation": "softmax"}
RTMPOSE = {"type": "simcc", "scale": "peak", "sigma": (4.9, 5.66)}

HEATMAPS: dict[str, Any] = {"codec": CORNER, "loss": heatmaps, "difference": as_heatmaps}
STAGES: dict[str, Any] = {"codec": CORNER, "loss": heatmaps}
COARSE_STAGES: dict[str, Any] = {"codec": STRIDE8, "loss": heatmaps}
UDP_HEATMAPS: dict[str, Any] = {"codec": UDP, "loss": heatmaps, "difference": as_heatmaps}
POINTS: dict[str, Any] = {"outputs": ("keypoints",)}
AXES: dict[str, Any] = {"codec_numbers": ("size", "split"), "outputs": ("x", "y")}
BOXES: dict[str, Any] = {
    "kind": "pictures",
    "loss": alone(detection_loss),
    "outputs": ("boxes", "scores"),
    "dynamic": True,
}
PEOPLE: dict[str, Any] = {
    "kind": "people",
    "loss": many_heads.many_losses,
    "restore": many_heads.from_detector,
    "dynamic": True,
}
REGIONS: dict[str, Any] = {
    "kind": "people by regions",
    "loss": rcnn_losses.people_loss,
    "restore": keypoint_rcnn.from_detector,
    "outputs": ("picture", "boxes", "scores", "labels", "keypoints"),
    "surest": 2,
    "told_of": {"method": "keypoint_rcnn", "skeleton": "coco-17"},
}
WITH_FLOW = {name for name, numbers in regression.VARIANTS.items() if "likelihood" in numbers}


MODELS: dict[str, Model] = {
    **family(sppe.SppeNet, sppe.VARIANTS,
             codec_numbers=("sigma",), codec=CENTRE, loss=softmax_over_cells),
    **family(tinypose.TinyPoseNet, tinypose.VARIANTS, **HEATMAPS, deploy=deployed.deployed,
             restore=deployed.restored, read=tinypose.TinyPoseNet.from_onnx),
    **family(tinypose.TinyPoseCells, tinypose.CELLS, codec_numbers=("sigma",), codec=CORNER,
             loss=softmax_over_cells, deploy=deployed.deployed, restore=deployed.restored,
             read=tinypose.TinyPoseNet.from_onnx),
    **family(tinypose.TinyPoseMore, tinypose.MORE, kind="more", codec=CORNER,
             loss=tinypose.more_error,
             outputs=("heatmaps", "all"), also=first_heatmaps,
             deploy=deployed.deployed, restore=deployed.restored_more,
             read=tinypose.TinyPoseMore.from_onnx),
    **family(tinypose.TinyPoseDeeper, tinypose.DEEPER, kind="more", codec=CORNER,
             loss=tinypose.more_error,
             outputs=("heatmaps", "all"), also=first_heatmaps,
             deploy=deployed.deployed, restore=deployed.restored_more,
             read=tinypose.TinyPoseDeeper.from_onnx),
    **family(conditioned.ConditionedTinyPoseNet, conditioned.VARIANTS, kind="conditioned",
             **STAGES, deploy=deployed.deployed, restore=conditioned.restored,
             read=conditioned.of_public),
    **family(deeppose.DeepPoseNet, deeppose.VARIANTS,
             codec_numbers=("size",), codec=COORDINATES, loss=squared_distances, **POINTS),
    **family(regression.RegressionNet,
             {n: v for n, v in regression.VARIANTS.items() if n not in WITH_FLOW},
             codec=COORDINATES, loss=squared_distances, published=regression.published, **POINTS),
    **family(regression.RegressionNet,
             {n: v for n, v in regression.VARIANTS.items() if n in WITH_FLOW},
             codec=WITH_SIGMAS, loss=likelihoods, published=regression.published, **POINTS),
    **family(tompson.TompsonNet, tompson.VARIANTS,
             codec=PIXELS | {"sigmas": True}, loss=two_looks, **POINTS),
    **family(cpm.CpmNet, cpm.VARIANTS, **COARSE_STAGES, published=cpm.published),
    **family(ief.IefNet, ief.VARIANTS, codec=PIXELS, loss=corrections, guide=path,
             begin=ief.IefNet.begin, **POINTS),
    **family(hourglass.HourglassNet, hourglass.VARIANTS, **STAGES, published=hourglass.published,
             told=hourglass.layout),
    **family(adversarial.AdversarialPoseNet, adversarial.VARIANTS, kind="occluded",
             codec=CORNER, loss=poses_and_occlusions),
    **family(simple_baseline.SimpleBaselineNet, simple_baseline.VARIANTS, **HEATMAPS,
             published=simple_baseline.published),
    **family(integral.IntegralNet, integral.VARIANTS, codec={"type": "integral"},
             loss=mean_cells, published=integral.published),
    **family(dsnt.DsntNet, dsnt.VARIANTS,
             codec=WITH_SIGMAS | {"unit": "signed"}, loss=spread_cells, **POINTS),
    **family(hrnet.HRNet, hrnet.VARIANTS, **HEATMAPS, published=hrnet.published),
    **family(fastpose.FastPoseNet,
             {n: v for n, v in fastpose.VARIANTS.items() if not n.endswith("whole-body")},
             **HEATMAPS, published=fastpose.published, told=fastpose.layout),
    **family(fastpose.FastPoseNet,
             {n: v for n, v in fastpose.VARIANTS.items() if n.endswith("whole-body")},
             codec={"type": "whole-body"}, loss=peaks_and_means, published=fastpose.published,
             told=fastpose.layout),
    **family(simcc.SimccNet, simcc.VARIANTS, codec=SIMCC, loss=bins, published=simcc.published,
             told=simcc.numbers, **AXES),
    **family(rtmpose.RtmPoseNet, rtmpose.VARIANTS, codec=RTMPOSE, loss=sharp_bins,
             told=rtmpose.numbers, **AXES),
    **family(vitpose.VitPoseNet, vitpose.VARIANTS,
             **UDP_HEATMAPS, codec_numbers=("size",), published=vitpose.published,
             told=vitpose.numbers),
    **family(detector.DetectorNet, detector.VARIANTS, **BOXES),
    **family(rtmdet.RTMDet, rtmdet.VARIANTS, read=rtmdet.RTMDet.from_onnx, **BOXES),
    **family(yolox.YoloxDetector, yolox.VARIANTS, read=yolox.YoloxDetector.from_onnx, **BOXES),
    **{
        name: row
        for name, numbers in many_heads.VARIANTS.items()
        for row in family(many_heads.ManyHeads, {name: numbers}, **PEOPLE,
                          **many_heads.use_of(numbers["heads"])).values()
    },
    **family(keypoint_rcnn.KeypointRCNN,
             {"keypoint-rcnn-small": keypoint_rcnn.VARIANTS["keypoint-rcnn-small"]}, **REGIONS),
    **family(turn_net.TurnNet, turn_net.VARIANTS, kind="turns", joints=False, outputs=("turns",),
             loss=alone(losses.soft_cross_entropy), answer=lambda net, said: (said.softmax(1),)),
    **family(rmpe.Sstn, rmpe.VARIANTS, kind="regions", joints=False, outputs=("theta",),
             loss=alone(rmpe.theta_loss),
             answer=lambda net, said: (rmpe.guarded(said, rmpe.ASPECT),)),
    **family(lifter.LifterNet, lifter.VARIANTS, kind="sequences", outputs=("poses",),
             loss=distances),
}  # fmt: skip
