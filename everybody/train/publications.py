"""Published networks whose checkpoints become ONNX files: what is fed to each, and what it finds.

A row is what a checkpoint does not say of itself: how pictures were normalised, the crop that is
usual, which joints. Everything else is the network's own row (`models.Model`), or is told by the
checkpoint's parameters: joints, decoders, deconvolutions. `everybody weights import --as NAME`
takes the names of `PUBLICATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..inputs import IMAGENET
from ..methods import openpose as openpose_method
from ..methods import personlab
from ..models import (
    MODELS,
    dekr,
    hrnet,
    keypoint_rcnn,
    motionbert,
    openpose,
    openpose_light,
    posenet,
    rtmo,
    videopose,
)
from ..models.model import Model, State, family
from . import agreement


class Examples(NamedTuple):
    """Inputs of a network: to trace it, and to compare its ONNX file with it."""

    example: Tensor
    dynamic: dict[int, Any]  # axes of any size (`torch.export.Dim`)
    other: Tensor  # of other sizes along them


def crops(net: nn.Module, joints: int, size: tuple[int, int]) -> Examples:
    """Pictures of one size (width, height), in any number."""
    batch = {0: torch.export.Dim("batch")}
    return Examples(_pictures(2, *size), batch, _pictures(3, *size))


def any_picture(step: int, most: int = 4096) -> Callable[..., Examples]:
    """Pictures whose sides are any multiples of `step`; of a small size, for the time it takes."""

    def examples(net: nn.Module, joints: int, size: tuple[int, int]) -> Examples:
        def side(name: str) -> Any:
            dimension = torch.export.Dim(name, min=-(-64 // step), max=most // step)
            return step * dimension if step > 1 else dimension

        dynamic = {0: torch.export.Dim("batch"), 2: side("height"), 3: side("width")}
        return Examples(_pictures(2, 96, 128), dynamic, _pictures(3, 160, 96))

    return examples


def long_clips(net: nn.Module, joints: int, size: tuple[int, int]) -> Examples:
    """Clips [B, F, K, 2] of `size[1]` frames or more: what convolutions over time need."""
    return _clips(joints, 2, (size[1], 100_000), (size[1] + 4, size[1] + 9))


def short_clips(net: nn.Module, joints: int, size: tuple[int, int]) -> Examples:
    """Clips [B, F, K, 3] of at most `size[1]` frames: those that have a place to attend from."""
    return _clips(joints, 3, (2, size[1]), (min(6, size[1]), min(11, size[1])))


def _clips(joints: int, numbers: int, limits: tuple[int, int], frames: tuple[int, int]) -> Examples:
    """Clips of two lengths, and the (least, most) that there may be."""
    least, most = limits
    random = torch.Generator().manual_seed(1)
    example, other = (torch.randn(2, n, joints, numbers, generator=random) for n in frames)
    frame = torch.export.Dim("frames", min=least, max=most)
    return Examples(example, {0: torch.export.Dim("batch"), 1: frame}, other)


def _pictures(count: int, width: int, height: int) -> Tensor:
    """Smooth, as pictures are [count, 3, height, width]."""
    coarse = torch.randn(count, 3, 8, 6, generator=torch.Generator().manual_seed(count))
    return 2 * functional.interpolate(coarse, size=(height, width), mode="bicubic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A published network. `said` is what its row in a manifest says beside file and codec."""

    model: Model
    size: tuple[int, int] = (192, 256)  # usual (width, height); of clips: joints, frames
    step: int = 32  # both sides are multiples of it
    input: Mapping[str, Any] = field(default_factory=lambda: IMAGENET)  # beside its size
    # (published state) -> the input, where published layouts differ in it.
    fed: Callable[[State], Mapping[str, Any]] | None = None
    skeleton: str = "coco-17"  # where it has as many joints as the checkpoint
    said: Mapping[str, Any] = field(default_factory=lambda: {"task": "pose", "padding": 1.25})
    paper: str = ""
    examples: Callable[..., Examples] = crops
    optimise: bool = True  # by the exporter
    untold: str = ""  # what parameters do not tell, and how to say it
    scores: int | None = None  # which output says how sure people are, where it answers with people

    def fed_with(self, state: State) -> Mapping[str, Any]:
        return self.input if self.fed is None else self.fed(state)

    def difference(self, net: nn.Module, batch: Tensor, path: Path) -> float:
        """Of an ONNX file to the network, relative to the greatest output."""
        return agreement.difference(net, self.model, batch, path, scores=self.scores)


def rows(names: Iterable[str], **common: Any) -> dict[str, Publication]:
    """Networks of crops by their names in `MODELS`."""
    return {name: Publication(model=MODELS[name], **common) for name in names}


def others(
    net: Callable[..., nn.Module],
    variants: Mapping[str, Mapping[str, Any]],
    *,
    published: Callable[[State], State] | None = None,
    told: Callable[[State], dict[str, Any]] | None = None,
    codec: Mapping[str, Any] | None = None,
    outputs: tuple[str, ...],
    **common: Any,
) -> dict[str, Publication]:
    """A network and its variants that are in no row of `MODELS`, or that leave more to the
    checkpoint than their row does.
    """
    models = family(
        net,
        variants,
        kind="none",
        loss=_untrained,
        published=published,
        told=told,
        codec=codec or {},
        outputs=outputs,
    )
    return {name: Publication(model=model, **common) for name, model in models.items()}


def _untrained(*said: Any) -> Any:
    raise NotImplementedError("networks that are in no row of MODELS are imported, not trained")


def hourglass_input(state: State) -> Mapping[str, Any]:
    """The authors feed [0, 1]; pytorch-pose also takes MPII's mean colour away."""
    authors = any(name.startswith("hgs.") for name in state)
    unit = {"std": (255.0,) * 3}
    return unit if authors else unit | {"mean": (112.302, 113.22, 110.3385)}


def resnet_input(state: State) -> Mapping[str, Any]:
    """The authors of Simple Baselines, and after them those of SimCC, feed blue first, less the
    mean of red, by an oversight that their weights have learnt; mmpose, whose names begin with its
    parts, feeds red first.
    """
    authors = any(name.startswith("conv1.") for name in state)
    return IMAGENET | ({"channels": "bgr"} if authors else {})


def openpose_joints(skeleton: str) -> dict[str, Any]:
    spec = openpose_method.INPUT
    return {
        "said": {"task": "people", "method": "openpose"},
        "skeleton": skeleton,
        "size": spec.size,
        "step": 8,
        "input": {
            "channels": spec.channels, "mean": spec.mean, "std": spec.std, "fill": spec.fill,
        },
        "examples": any_picture(8),
        "outputs": ("heatmaps", "fields"),
    }  # fmt: skip


PART: dict[str, Any] = {
    "said": {"task": "part", "padding": 1.0},
    "codec": {
        "type": "heatmap",
        "stride": 8,
        "alignment": "centre",
        "refine": "quarter",
        "background": True,
    },
    "size": (368, 368),
    "step": 8,
    "input": openpose_joints("")["input"],
    "outputs": ("heatmaps",),
    "paper": "Simon et al. 2017, hand keypoints, arXiv 1704.07809",
}
LIFT: dict[str, Any] = {
    "said": {"task": "lift"},
    "skeleton": "h36m-17",
    "step": 1,
    "input": {},
    "outputs": ("joints",),
}
RTMO: dict[str, Any] = {
    "published": rtmo.published,
    "said": {"task": "people", "method": "rtmo"},
    "input": {"channels": "bgr", "fill": 114},
    "optimise": False,
    "outputs": ("boxes", "scores", "keypoints"),
    "scores": 1,
    "paper": "Lu et al. 2024, RTMO, arXiv 2312.07526",
}
DEKR: dict[str, Any] = {
    "published": dekr.published,
    "said": {"task": "people", "method": "dekr"},
    "examples": any_picture(32),
    "optimise": False,
    "outputs": ("heatmaps", "offsets"),
    "paper": "Geng et al. 2021, DEKR, arXiv 2104.02300",
}
GREY = personlab.GREY
# RGB in [0, 1] less this, as those who run the published files report (sophgo/tpu_compiler,
# tensorRT_Pro); the deviation is 1.
FASTPOSE = {"mean": (103.53, 116.535, 122.4), "std": (255.0,) * 3}
PAPERS = {
    "simple-baseline": "Xiao et al. 2018, Simple Baselines, arXiv 1804.06208",
    "hrnet": "Sun et al. 2019, HRNet, arXiv 1902.09212",
    "hourglass": "Newell et al. 2016, Stacked Hourglass, arXiv 1603.06937",
    "cpm": "Wei et al. 2016, Convolutional Pose Machines, arXiv 1602.00134",
    "fastpose": "Fang et al. 2022, AlphaPose, arXiv 2211.03375",
    "deeppose": "Toshev & Szegedy 2014, DeepPose, arXiv 1312.4659",
    "rle": "Li et al. 2021, RLE, arXiv 2107.11291",
    "integral": "Sun et al. 2018, Integral Regression, arXiv 1711.08229",
    "simcc": "Li et al. 2022, SimCC, arXiv 2107.03332",
    "rtmpose": "Jiang et al. 2023, RTMPose, arXiv 2303.07399",
    "vitpose": "Xu et al. 2022, ViTPose, arXiv 2204.12484",
    "openpose": "Cao et al. 2017, OpenPose, arXiv 1611.08050",
    "body25": "Cao et al. 2019, OpenPose, arXiv 1812.08008",
    "light": "Osokin 2018, Lightweight OpenPose, arXiv 1811.12004",
    "posenet": "Papandreou et al. 2018, PersonLab, arXiv 1803.08225",
    "rcnn": "He et al. 2017, Mask R-CNN, arXiv 1703.06870",
    "videopose": "Pavllo et al. 2019, VideoPose3D, arXiv 1811.11742",
    "motionbert": "Zhu et al. 2023, MotionBERT, arXiv 2210.06551",
}

VIDEOPOSE: dict[str, Any] = {
    **LIFT,
    "examples": long_clips,
    "untold": "parameters do not tell whether a network is causal or dense; if it is, say "
    "--as videopose3d-causal, videopose3d-dense or videopose3d-causal-dense",
    "paper": PAPERS["videopose"],
}

PUBLICATIONS: dict[str, Publication] = {
    **rows([f"simple-baseline-{layers}" for layers in
            (18, 34, 50, 101, 152, "50-caffe", "101-caffe", "152-caffe")],
           fed=resnet_input, paper=PAPERS["simple-baseline"]),
    **rows(["hrnet-w32", "hrnet-w48"], paper=PAPERS["hrnet"]),
    **others(hrnet.HRNet, {"hrnet-w18-small": {"width": 16}}, published=hrnet.published,
             told=hrnet.numbers, codec=MODELS["hrnet-w32"].codec, outputs=("heatmaps",),
             paper=PAPERS["hrnet"]),
    **rows([f"hourglass-{stacks}" for stacks in (1, 2, 4, 8)], size=(256, 256), step=4,
           fed=hourglass_input, skeleton="mpii-16", paper=PAPERS["hourglass"]),
    **rows(["cpm-3", "cpm-6"], step=8, paper=PAPERS["cpm"]),
    **rows(["fastpose-50", "fastpose-152", "fastpose-unshuffle-50", "fastpose-dcn-50",
            "fastpose-duc-152"], input=FASTPOSE, paper=PAPERS["fastpose"]),
    **rows(["fastpose-50-whole-body", "fastpose-152-whole-body"], input=FASTPOSE,
           paper=PAPERS["fastpose"],
           untold="parameters do not tell how maps are read: joints of hands and face are taken "
           "as means of their maps; for networks trained on heatmaps alone, leave -whole-body out"),
    **rows(["deeppose-18", "deeppose-50", "deeppose-101", "deeppose-152"], step=1,
           paper=PAPERS["deeppose"]),
    **rows(["deeppose-18-rle", "deeppose-50-rle", "deeppose-101-rle", "deeppose-152-rle"],
           step=1, paper=PAPERS["rle"]),
    **rows(["integral-18", "integral-50"], size=(256, 256), paper=PAPERS["integral"],
           untold="parameters do not tell the factor beta of the softmax: 1 is taken; for mmpose's "
           "debiased weights, add beta = 10 and debias = true to the row's codec"),
    **rows([f"simcc-{layers}" for layers in (18, 50, 101, 152)], fed=resnet_input,
           paper=PAPERS["simcc"]),
    **rows([f"rtmpose-{size}" for size in "tsmlx"], paper=PAPERS["rtmpose"]),
    **rows([f"vitpose-{size}" for size in "sbl"], step=16, paper=PAPERS["vitpose"]),
    **others(openpose.BodyNet, {"openpose-body": {"limbs": 19}}, published=openpose.published,
             paper=PAPERS["openpose"], **openpose_joints("openpose-18")),
    **others(openpose.Body25Net, {"openpose-body25": {"limbs": 26}}, published=openpose.published,
             paper=PAPERS["body25"], **openpose_joints("openpose-25")),
    **others(openpose_light.LightOpenPoseNet, {"openpose-light": {}}, told=openpose_light.numbers,
             paper=PAPERS["light"], **openpose_joints("openpose-18")),
    **others(openpose.PartNet, {"openpose-hand": {}}, skeleton="hand-21",
             published=openpose.published, **PART),
    **others(openpose.PartNet, {"openpose-face": {}}, skeleton="face-70",
             published=openpose.published, **PART),
    **others(posenet.PoseNet, {"posenet-mobilenet": {}}, told=posenet.numbers,
             said={"task": "people", "method": "personlab"}, size=(513, 513), step=1,
             input={"mean": GREY, "std": GREY, "fill": 128}, examples=any_picture(1),
             outputs=("heatmaps", "offsets", "forwards", "backwards"), paper=PAPERS["posenet"]),
    **others(keypoint_rcnn.KeypointRCNN, {"keypoint-rcnn-50": {}},
             published=keypoint_rcnn.published, optimise=False, size=(1344, 800),
             input=IMAGENET | {"fill": 116},
             said={"task": "people", "method": "keypoint_rcnn"},
             outputs=("picture", "boxes", "scores", "labels", "keypoints"), scores=2,
             paper=PAPERS["rcnn"]),
    **others(dekr.DekrNet, {"dekr-w32": dekr.VARIANTS["dekr-w32"]}, size=(512, 512), **DEKR),
    **others(dekr.DekrNet, {"dekr-w48": dekr.VARIANTS["dekr-w48"]}, size=(640, 640), **DEKR),
    **others(rtmo.RtmoNet, {"rtmo-t": rtmo.VARIANTS["rtmo-t"]}, size=(416, 416), **RTMO),
    **others(rtmo.RtmoNet, {name: rtmo.VARIANTS[name] for name in ("rtmo-s", "rtmo-m", "rtmo-l")},
             size=(640, 640), **RTMO),
    **others(videopose.VideoPoseNet, {"videopose3d": {}, "videopose3d-causal": {"causal": True}},
             told=videopose.numbers, **VIDEOPOSE),
    **others(videopose.VideoPoseNet,
             {"videopose3d-dense": {"dense": True},
              "videopose3d-causal-dense": {"causal": True, "dense": True}},
             told=videopose.dense_numbers, **VIDEOPOSE),
    **others(motionbert.MotionBertNet,
             {"motionbert-lite": {"width": 256}, "motionbert": {"width": 512}},
             told=motionbert.numbers, examples=short_clips, paper=PAPERS["motionbert"], **LIFT),
}  # fmt: skip
