"""Sizes that no golden output shows become ONNX files, too: their published names and shapes are
those of a golden network, made deeper, wider or shorter. The command itself proves that the file
equals torch. Minutes in all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from typer.testing import CliRunner  # noqa: E402

from everybody import runtime  # noqa: E402
from everybody.cli import app  # noqa: E402
from everybody.train.publications import PUBLICATIONS  # noqa: E402
from everybody.weights import manifest  # noqa: E402
from tests import golden  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
Shapes = dict[str, tuple[int, ...]]
COUNTERS = "num_batches_tracked"


# --- published names and shapes of other sizes


def shapes(name: str) -> Shapes:
    """Published name -> shape of a golden network's parameters."""
    spec = golden.fill().spec(name)
    fixed = {key: np.shape(value) for key, value in spec.get("constants", {}).items()}
    return {key: tuple(shape) for key, (shape, _) in spec["state"].items()} | fixed


def deeper(state: Shapes, stages: Mapping[str, int], first: int = 1) -> Shapes:
    """So many blocks in each stage (a prefix of names), all like block `first` after it."""
    made: Shapes = {}
    for name, shape in state.items():
        stage = next((prefix for prefix in stages if name.startswith(prefix)), None)
        if stage is None:
            made[name] = shape
            continue
        number, _, rest = name.removeprefix(stage).partition(".")
        if int(number) < first:
            made[name] = shape
        if int(number) == first:
            copies = range(first, stages[stage])
            made |= {f"{stage}{copy}.{rest}": shape for copy in copies}
    return made


def wider(state: Shapes, factor: int, which: str) -> Shapes:
    """The channels of some parameters times a factor; those of colour and of one stay."""

    def grown(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not re.search(which, name):
            return shape
        channels = (n if n in (1, 3) else n * factor for n in shape[:2])
        return (*channels, *shape[2:])

    return {name: grown(name, shape) for name, shape in state.items()}


def like(name: str, network: str) -> Shapes:
    """A golden network's names; the shapes are those of our network of another width."""
    row, theirs = PUBLICATIONS[network].model, shapes(name)
    with torch.device("meta"):
        ours = row.build(17, None).state_dict()
        renamed = row.published or (lambda state: state)
        fitting = {old: renamed({old: torch.empty(1)}) for old in theirs}
    return {
        old: tuple(ours[next(iter(new))].shape) if new else theirs[old]
        for old, new in fitting.items()
    }


def resnet(layers: int, prefix: str = "") -> Shapes:
    """A published ResNet without a head."""
    blocks = {18: None, 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[layers]
    state = shapes("simple_baseline_r18" if blocks is None else "simple_baseline_r50")
    state = {k: v for k, v in state.items() if not k.startswith(("deconv_layers", "final_layer"))}
    if blocks:
        state = deeper(state, {f"layer{n}.": depth for n, depth in enumerate(blocks, 1)})
    return {f"{prefix}{name}": shape for name, shape in state.items()}


def heads(name: str, **replaced: tuple[int, ...]) -> Shapes:
    """What a golden network has beside its backbone, some of it of other shapes."""
    state = {k: v for k, v in shapes(name).items() if not k.startswith(("backbone.", "layer"))}
    for part, shape in replaced.items():
        (key,) = (key for key in state if key.endswith(part.replace("__", ".")))
        state[key] = shape
    return state


def simple_baseline(layers: int) -> Shapes:
    head = shapes("simple_baseline_r50").items()
    return resnet(layers) | {k: v for k, v in head if k.startswith(("deconv_layers", "final"))}


def cut(name: str, counted: str, count: int) -> Shapes:
    """Only so many of the modules whose number the pattern finds."""

    def kept(key: str) -> bool:
        found = re.match(counted, key)
        return found is None or int(found[2]) < count

    return {key: shape for key, shape in shapes(name).items() if kept(key)}


def hourglass(stacks: int, name: str, each: str, between: str) -> Shapes:
    state = cut(name, rf"^({each})\.(\d+)\.", stacks)
    return {
        key: shape
        for key, shape in state.items()
        if (found := re.match(rf"^({between})\.(\d+)\.", key)) is None or int(found[2]) < stacks - 1
    }


def authors(stacks: int) -> Shapes:
    return hourglass(
        stacks, "hourglass8", "hgs|features|outs|merge_features|merge_preds",
        "merge_features|merge_preds",
    )  # fmt: skip


def pytorch_pose(stacks: int) -> Shapes:
    return hourglass(stacks, "hourglass2_bearpaw", "hg|res|fc|score|fc_|score_", "fc_|score_")


def cpm(stages: int) -> Shapes:
    return cut("cpm6", r"^(cpm_stages|middle_conv|out_convs)\.(\d+)\.", stages - 1)


def rtmpose(width: int, depths: tuple[int, ...], joints: int = 17) -> Shapes:
    """Width against that of -s; the blocks of -s are as many as its last stage's."""
    state = wider(shapes("rtmpose_s"), width, r"^backbone\.")
    for number, depth in enumerate(depths, 1):
        csp = 2 if number == 4 else 1
        blocks = {f"backbone.stage{number}.{csp}.blocks.": depth}
        state = deeper(state, blocks, first=0)
    state["head.final_layer.weight"] = (joints, 512 * width, 7, 7)
    state["head.final_layer.bias"] = (joints,)
    return state


def vitpose(name: str) -> Shapes:
    """Twice as wide as -s, which is -b."""
    state = wider(shapes(name), 2, r"^backbone\.(?!pos_embed)")
    state["backbone.pos_embed"] = (1, 193, 768)
    if "keypoint_head.deconv_layers.0.weight" in state:
        state["keypoint_head.deconv_layers.0.weight"] = (768, 256, 4, 4)
    else:
        state["keypoint_head.final_layer.weight"] = (17, 768, 3, 3)
    return state


def of_larger_crops(width: int, height: int) -> Shapes:
    places = 1 + width // 16 * (height // 16)
    return shapes("vitpose_s") | {"backbone.pos_embed": (1, places, 384)}


def small_hrnet() -> Shapes:
    """The authors' pose network of half the widths of W32, two blocks and one module a stage: its
    stage 1 is that of W32, and its last module has one answer, as W32's last.
    """
    made: Shapes = {}
    for name, shape in shapes("hrnet_w32").items():
        name = name.replace("stage4.0.", "stage4.9.").replace("stage4.2.", "stage4.0.")
        if re.match(r"stage\d\.[^0]|stage\d\.0\.branches\.\d\.[23]\.", name):
            continue
        outside = name.startswith(("conv", "bn", "layer1"))
        halved = [n if outside or n in (3, 17) else n // 2 for n in shape[:2]]
        if name.startswith("transition1") and len(shape) > 1:
            halved[1] = shape[1]
        made[name] = (*halved, *shape[2:])
    return made


def posenet(multiplier: float) -> Shapes:
    """Of less width: no layer has more than 512 · multiplier channels."""

    def width(channels: int) -> int:
        return channels if channels in (1, 3) else int(min(channels, 512) * multiplier)

    return {
        name: (*(width(n) for n in shape[:2]), *shape[2:])
        if name.startswith("features.")
        else (shape[0], *(width(n) for n in shape[1:2]), *shape[2:])
        for name, shape in shapes("posenet_mobilenet_101").items()
    }


def fastpose() -> Shapes:
    return deeper(shapes("fastpose_r50"), {"preact.layer2.": 8, "preact.layer3.": 36})


def videopose(frames: int) -> Shapes:
    """A block of two convolutions and two norms for each power of 3 above 1."""
    state = shapes("videopose3d_27")
    for block in range(round(np.log(frames) / np.log(3)) - 1):
        for part in range(2):
            number = 2 * block + part
            for name, shape in shapes("videopose3d_27").items():
                kind, _, leaf = name.rpartition(".")
                if kind in (f"layers_conv.{part}", f"layers_bn.{part}"):
                    state[f"{kind.split('.')[0]}.{number}.{leaf}"] = shape
    return state


def integral() -> Shapes:
    head = heads("integral_r50", deconv_layers__0__weight=(512, 256, 4, 4))
    return resnet(18, "backbone.") | head


def simcc(name: str, first: str, shape: tuple[int, ...]) -> Shapes:
    return resnet(18, "backbone.") | heads(name, **{first: shape})


# What is imported: (--as, --input-size, its published parameters).
OTHER: dict[str, tuple[str, str | None, Callable[[], Shapes]]] = {
    "simple-baseline-101": ("simple-baseline-101", None, lambda: simple_baseline(101)),
    "simple-baseline-152": ("simple-baseline-152", "288x384", lambda: simple_baseline(152)),
    "integral-18": ("integral-18", None, integral),
    "simcc-18": ("simcc-18", None, lambda: simcc(
        "simcc_r50", "deconv_layers__0__weight", (512, 256, 4, 4))),
    "simcc-18 straight": ("simcc-18", None, lambda: simcc(
        "simcc_r50_nodeconv", "final_layer__weight", (17, 512, 1, 1))),
    "deeppose-18": ("deeppose-18", None, lambda: resnet(18, "backbone.") | heads(
        "deeppose_r50", fc__weight=(34, 512))),
    "deeppose-18-rle": ("deeppose-18-rle", None, lambda: resnet(18, "backbone.") | heads(
        "deeppose_r50_rle", fc__weight=(68, 512))),
    "hourglass-4": ("hourglass-4", None, lambda: authors(4)),
    "hourglass-1": ("hourglass-1", None, lambda: authors(1)),
    "hourglass-1 of pytorch-pose": ("hourglass-1", None, lambda: pytorch_pose(1)),
    "cpm-3": ("cpm-3", "192x256", lambda: cpm(3)),
    "fastpose-152": ("fastpose-152", None, fastpose),
    "rtmpose-l": ("rtmpose-l", None, lambda: rtmpose(2, (3, 6, 6, 3))),
    "rtmpose-l of whole bodies": (
        "rtmpose-l", None, lambda: rtmpose(2, (3, 6, 6, 3), joints=133)),
    "vitpose-b": ("vitpose-b", None, lambda: vitpose("vitpose_s")),
    "vitpose-b simple": ("vitpose-b", None, lambda: vitpose("vitpose_s_simple")),
    "vitpose-s of larger crops": ("vitpose-s", "288x384", lambda: of_larger_crops(288, 384)),
    "hrnet-w18-small": ("hrnet-w18-small", None, small_hrnet),
    "posenet of half": ("posenet-mobilenet", None, lambda: posenet(0.5)),
    "posenet of three quarters": ("posenet-mobilenet", None, lambda: posenet(0.75)),
    "dekr-w48": ("dekr-w48", None, lambda: like("dekr_w32", "dekr-w48")),
    "rtmo-t": ("rtmo-t", None, lambda: like("rtmo_s", "rtmo-t")),
    "videopose3d of 81": ("videopose3d", None, lambda: videopose(81)),
    "videopose3d of 243": ("videopose3d", None, lambda: videopose(243)),
}  # fmt: skip


# --- what becomes of them


def drawn(name: str, shape: tuple[int, ...]) -> Any:
    """Numbers of a size with which signals neither die nor grow."""
    if name.endswith(COUNTERS):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var"):
        return torch.ones(shape)
    values = torch.from_numpy(golden.fill().normal(name, shape)).float()
    if len(shape) > 1:
        return values / np.prod(shape[1:]) ** 0.5
    return 0.6 + 0.05 * values if name.endswith(("weight", ".g", ".scale")) else 0.1 * values


@pytest.mark.parametrize("case", OTHER)
def test_other_sizes_are_imported_and_equal_to_torch(case, tmp_path):
    network, size, published = OTHER[case]
    state = {name: drawn(name, shape) for name, shape in published().items()}
    torch.save({"state_dict": state}, tmp_path / "theirs.pth")
    out = tmp_path / "ours.onnx"
    command = ["weights", "import", str(tmp_path / "theirs.pth"), "--as", network, "-o", str(out)]
    command += ["--input-size", size] if size else []
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "ours.onnx: differs from torch by" in result.stderr

    row = manifest.told(runtime.load(out, device="cpu", threads=1).about, out)
    assert row is not None
    wide, high = (int(n) for n in size.split("x")) if size else PUBLICATIONS[network].size
    if row.task != "lift":
        assert row.input.size == (wide, high)
