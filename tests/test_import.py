"""Published checkpoints become ONNX files that answer as published and say what they are; whatever
else is given is refused in a line that says why.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from safetensors.torch import save_file  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from everybody import runtime  # noqa: E402
from everybody.cli import app  # noqa: E402
from everybody.codecs import make_codec, soft_argmax  # noqa: E402
from everybody.errors import DataError, ModelError, OptionError  # noqa: E402
from everybody.inputs import IMAGENET  # noqa: E402
from everybody.methods import open_method  # noqa: E402
from everybody.methods.bottomup import BottomUp  # noqa: E402
from everybody.methods.personlab import open_personlab  # noqa: E402
from everybody.methods.topdown import open_sppe  # noqa: E402
from everybody.models import MODELS, hrnet  # noqa: E402
from everybody.models.openpose import BodyNet  # noqa: E402
from everybody.models.posenet import PoseNet  # noqa: E402
from everybody.models.vitpose import VitPoseNet  # noqa: E402
from everybody.options import Options, PoseOptions  # noqa: E402
from everybody.train import agreement, foreign, importing  # noqa: E402
from everybody.train.publications import PUBLICATIONS, openpose_joints, others, rows  # noqa: E402
from everybody.weights import manifest  # noqa: E402
from tests import golden  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
run = CliRunner()


# --- what is published


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def integral(name: str, found: list[Any]) -> dict[str, Any]:
    """The golden's map is sharpened by a beta of 25."""
    cells, _ = soft_argmax(found[0], beta=25)
    return {"coords": (cells / (64, 64)).astype(np.float32)}


def stacked(name: str, found: list[Any]) -> dict[str, Any]:
    """The golden has all stages; a file answers the last."""
    wanted = golden.fill().outputs(name)["out"]
    step = golden.fill().spec(name).get("stored_step", {}).get("out", (1,) * 5)
    kept = found[0][tuple(slice(None, None, s) for s in (step[0], *step[2:]))]
    all_stages = wanted.copy()
    all_stages[:, -1] = kept
    return {"out": full(name, "out", all_stages)}


def full(name: str, output: str, stored) -> Any:
    """What is stored of an output, in its full shape."""
    shape = golden.fill().spec(name)["outputs"][output]
    step = golden.fill().spec(name).get("stored_step", {}).get(output, (1,) * len(shape))
    values = np.zeros(shape, np.float32)
    values[tuple(slice(None, None, s) for s in step)] = stored
    return values


def rle(name: str, found: list[Any]) -> dict[str, Any]:
    """The golden's sigmas are before the sigmoid."""
    values = found[0].astype(np.float64)
    values[..., 2:] = np.log(values[..., 2:] / (1 - values[..., 2:]))
    return {"out": values}


def named(*names: str):
    return lambda name, found: dict(zip(names, found, strict=True))


def detections(name: str, found: list[Any]) -> dict[str, Any]:
    """Boxes and scores in the picture's pixels."""
    from everybody.models.keypoint_rcnn import fitted

    _, factors = fitted(golden.image(name).sigmoid(), 256, 400)
    _, boxes, scores, labels, _ = found
    return {"boxes": boxes * np.tile(factors.numpy(), 2), "scores": scores, "labels": labels}


def rcnn_picture(name: str):
    from everybody.models.keypoint_rcnn import fitted

    return fitted(golden.image(name).sigmoid(), 256, 400)[0]


HEATMAPS = named("out")
# golden: (--as, --input-size, the answer as the golden's outputs)
GOLDEN: dict[str, tuple[str, str | None, Any]] = {
    "simple_baseline_r18": ("simple-baseline-18", None, HEATMAPS),
    "simple_baseline_r34": ("simple-baseline-34", None, HEATMAPS),
    "simple_baseline_r50": ("simple-baseline-50", None, HEATMAPS),
    "hrnet_w32": ("hrnet-w32", None, HEATMAPS),
    "hrnet_w48_384": ("hrnet-w48", "288x384", HEATMAPS),
    "hourglass8": ("hourglass-8", None, stacked),
    "hourglass2_bearpaw": ("hourglass-2", None, stacked),
    "cpm6": ("cpm-6", "288x384", named("5")),
    "fastpose_r50": ("fastpose-50", None, HEATMAPS),
    "deeppose_r50": ("deeppose-50", None, HEATMAPS),
    "deeppose_r50_rle": ("deeppose-50-rle", None, rle),
    "integral_r50": ("integral-50", None, integral),
    "simcc_r50": ("simcc-50", None, named("x", "y")),
    "simcc_r50_nodeconv": ("simcc-50", None, named("x", "y")),
    "rtmpose_s": ("rtmpose-s", None, named("x", "y")),
    "vitpose_s": ("vitpose-s", None, HEATMAPS),
    "vitpose_s_simple": ("vitpose-s", None, HEATMAPS),
    "openpose_body": ("openpose-body", None, named("1", "0")),
    "openpose_body25": (
        "openpose-body25",
        None,
        lambda name, found: {"net_output": np.concatenate(found, 1)},
    ),
    "openpose_face": ("openpose-face", "184x184", named("net_output")),
    "lightweight_openpose": ("openpose-light", None, named("2", "3")),
    "posenet_mobilenet_101": ("posenet-mobilenet", None, named("0", "1", "2", "3")),
    "keypoint_rcnn_r50_fpn_whole": ("keypoint-rcnn-50", "320x256", detections),
    "dekr_w32": ("dekr-w32", None, named("heatmap", "offset")),
    "rtmo_s": ("rtmo-s", "320x320", None),
    "videopose3d_27": ("videopose3d", None, HEATMAPS),
    "motionbert_lite": ("motionbert-lite", None, HEATMAPS),
}
QUICK = {"posenet_mobilenet_101", "rtmpose_s", "vitpose_s_simple"}
NHWC = {"hourglass8"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in GOLDEN]
)
def test_published_weights_answer_as_published(name, tmp_path):
    network, size, answer = GOLDEN[name]
    file = tmp_path / f"{name}.pth"
    torch.save({"state_dict": golden.state(name), "epoch": 210}, file)
    image = rcnn_picture(name) if "rcnn" in name else golden.image(name)
    image = image.permute(0, 3, 1, 2) if name in NHWC else image
    imported(file, network, tmp_path / "net.onnx", *(("--input-size", size) if size else ()))

    session = runtime.load(tmp_path / "net.onnx", device="cpu", threads=1)
    found = session(np.ascontiguousarray(image.numpy()))
    if answer is not None:  # else the golden's outputs are parts; the import is equal to torch
        golden.check(name, answer(name, found))
    row = manifest.told(session.about, session.path)
    assert row is not None
    assert row.licence == row.origin == "unknown"


# --- small ones, for the laws


def imported(file: Path, network: str, out: Path, *options: str) -> Any:
    """The row that the command prints."""
    arguments = ["weights", "import", str(file), "--as", network, "-o", str(out), *options]
    result = run.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return tomllib.loads(result.stdout)


def tiny(monkeypatch, name: str = "cpm-tiny", **common) -> Any:
    """A small network of crops, published for this test -> one with 17 joints."""
    monkeypatch.setitem(PUBLICATIONS, name, rows([name], **common)[name])
    torch.manual_seed(0)
    return MODELS[name].build(17, None)


@pytest.fixture
def cpm(monkeypatch, tmp_path) -> Path:
    """A published checkpoint of a small network of 17 joints, with mmpose's names."""
    net = tiny(monkeypatch, step=8, size=(64, 64))
    state = {f"module.backbone.{name}": value for name, value in net.state_dict().items()}
    torch.save({"meta": {"epoch": 1}, "state_dict": state}, tmp_path / "cpm.pth")
    return tmp_path / "cpm.pth"


def test_the_file_says_what_it_is_and_the_row_says_the_same(cpm, tmp_path, monkeypatch):
    out, text = tmp_path / "mine.onnx", 'CC-BY "4.0"\n'
    options = ["--licence", text, "--origin", "we", "--manifest", str(tmp_path / "manifest.toml")]
    assert imported(cpm, "cpm-tiny", out, *options) == {}

    with pytest.raises(OptionError, match=r"unknown method .*mine\.onnx"):
        open_method(Options(method=str(out)))
    sppe = open_sppe(PoseOptions(model=out))
    assert sppe.skeleton.name == "coco-17"
    assert sppe.input.size == sppe.codec.size == (64, 64)

    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    row = manifest.load()[0]["mine"]
    said = manifest.told(sppe.session.about, out)
    assert said is not None
    assert row.sha256 == runtime.sha256(out)
    assert row.bytes == out.stat().st_size
    for key in ("task", "input", "skeleton", "codec", "padding", "licence", "origin"):
        assert getattr(row, key) == getattr(said, key), key
    assert (row.licence, row.origin) == (text, "we")
    assert open_sppe(PoseOptions(model="mine")).input == sppe.input

    again = run.invoke(app, ["weights", "import", str(cpm), "--as", "cpm-tiny", "-o", str(out),
                             "--manifest", str(tmp_path / "manifest.toml")])  # fmt: skip
    assert isinstance(again.exception, OptionError)
    assert "has a row 'mine' already" in str(again.exception)


def test_a_manifest_is_made_where_it_is_wanted_and_a_broken_one_is_told(cpm, tmp_path):
    rows = tmp_path / "new" / "manifest.toml"
    for name in ("one", "two"):
        out, odd = tmp_path / f"{name}.onnx", "\x1b\U000e0001\udcff\\"
        imported(cpm, "cpm-tiny", out, "--manifest", str(rows), "--licence", odd)
    found = tomllib.loads(rows.read_text("utf-8"))["model"]
    assert list(found) == ["one", "two"]
    assert found["two"]["licence"] == "\x1b\U000e0001?\\"

    rows.write_text("model = 3\n")
    result = run.invoke(
        app, ["weights", "import", str(cpm), "--as", "cpm-tiny", "--manifest", str(rows)]
    )
    assert isinstance(result.exception, ModelError)
    assert "'model' is 3; expected a table [model.NAME] per row" in str(result.exception)


def test_all_containers_give_the_same_file(cpm, tmp_path):
    state = foreign.read(cpm)
    torch.save(state, tmp_path / "plain.pt")
    figures = {"lr": 0.1, "best_acc": torch.tensor(0.9)}  # as pytorch-pose's, beside the state
    torch.save({"model": {"state_dict": state}, **figures}, tmp_path / "nested.pth")
    save_file(state, tmp_path / "safe.safetensors")
    outs = []
    for file in (
        cpm,
        *(tmp_path / name for name in ("plain.pt", "nested.pth", "safe.safetensors")),
    ):
        found = importing.read(file, "cpm-tiny")
        outs.append(found.net.state_dict())
    for other in outs[1:]:
        assert all(torch.equal(other[name], value) for name, value in outs[0].items())


def test_averages_and_wrong_suffixes_are_read(cpm, tmp_path):
    state = foreign.read(cpm)
    average = {"steps": torch.tensor(9)} | {f"module.{name}": v for name, v in state.items()}
    torch.save({"ema_state_dict": average, "epoch": 3}, tmp_path / "average.pth")
    save_file(state, tmp_path / "safe.pth")
    for name in ("average.pth", "safe.pth"):
        found = importing.read(tmp_path / name, "cpm-tiny").net.state_dict()
        assert torch.equal(found["stem.0.conv.weight"], state["backbone.stem.0.conv.weight"])


def test_counters_of_batches_may_be_missing(cpm, tmp_path):
    state = {k: v for k, v in foreign.read(cpm).items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    assert importing.read(tmp_path / "old.pth", "cpm-tiny").joints == 17


def test_whole_pictures_of_any_size_by_their_method(monkeypatch, tmp_path):
    """An OpenPose and a PoseNet: the file says which method it is of."""
    numbers = {"limbs": 19, "stages": 2, "width": 8}
    row = others(BodyNet, {"small": numbers}, **openpose_joints("openpose-18"))["small"]
    monkeypatch.setitem(PUBLICATIONS, "small", row)
    torch.save(BodyNet(18, **numbers).state_dict(), tmp_path / "body.pth")
    row = imported(tmp_path / "body.pth", "small", tmp_path / "body.onnx")["model"]["body"]
    assert (row["task"], row["method"], row["skeleton"]) == ("people", "openpose", "openpose-18")
    method = open_method(Options(method=str(tmp_path / "body.onnx")))
    assert isinstance(method, BottomUp)
    assert (method.input.channels, method.skeleton.name) == ("bgr", "openpose-18")
    picture = np.zeros((50, 90, 3), np.uint8)
    assert len(method([picture])) == 1

    torch.save(PoseNet(17, multiplier=0.125).state_dict(), tmp_path / "posenet.pth")
    imported(tmp_path / "posenet.pth", "posenet-mobilenet", tmp_path / "posenet.onnx")
    lab = open_personlab(Options(pose=PoseOptions(model=tmp_path / "posenet.onnx")))
    assert lab.input.size == (513, 513)
    assert len(lab([picture])) == 1


def test_bins_to_a_pixel_and_colours_of_simccs_authors_are_in_the_file(monkeypatch, tmp_path):
    """Their names; 3 bins to a pixel; blue first."""
    row = rows(["simcc-slim"], fed=PUBLICATIONS["simcc-50"].fed)["simcc-slim"]
    monkeypatch.setitem(PUBLICATIONS, "simcc-slim", row)
    net = row.model.build(17, make_codec({"type": "simcc", "split": 3.0}, (64, 64)))
    state = {
        re.sub(r"^(backbone|head(\.deconv_head)?)\.", "module.", name): value
        for name, value in net.state_dict().items()
    }
    torch.save(state, tmp_path / "theirs.pth")
    imported(tmp_path / "theirs.pth", "simcc-slim", tmp_path / "simcc.onnx")
    sppe = open_sppe(PoseOptions(model=tmp_path / "simcc.onnx"))
    assert sppe.input.channels == "bgr"
    assert (sppe.codec.size, sppe.codec.split, sppe.codec.bins) == ((64, 64), 3, (192, 192))


# --- what cannot be imported

OTHERS = [  # one of each file of networks
    "simple-baseline-18", "hrnet-w18-small", "deeppose-18", "deeppose-18-rle", "integral-50",
    "simcc-18", "rtmpose-t", "vitpose-s", "openpose-body", "openpose-body25", "openpose-face",
    "openpose-light", "posenet-mobilenet", "keypoint-rcnn-50", "dekr-w32", "rtmo-t",
    "videopose3d", "motionbert-lite",
]  # fmt: skip


def refusal(*arguments: str) -> str:
    """The error of `everybody weights import`."""
    result = run.invoke(app, ["weights", "import", *arguments])
    assert isinstance(result.exception, DataError | OptionError), result.output
    return str(result.exception)


def test_another_architecture_is_named_by_its_first_differences(cpm, tmp_path):
    assert (
        "of another architecture than cpm-6: expected 'stem.0.conv.weight' [128, 3, 9, 9], "
        "found 'backbone.stem.0.conv.weight' [16, 3, 9, 9]"
    ) in refusal(str(cpm), "--as", "cpm-6")
    assert "expected 'conv1.weight' [64, 3, 7, 7], found 'stem.0.conv.weight'" in refusal(
        str(cpm), "--as", "simple-baseline-18"
    ).replace("backbone.", "")
    assert "hgs.* or hg.*" in refusal(str(cpm), "--as", "hourglass-8")
    assert "expected a ResNet named preact.*" in refusal(str(cpm), "--as", "fastpose-50")
    for network in OTHERS:  # none of them loses its way in parameters that it does not know
        assert f"cpm.pth: of another architecture than {network}: expected '" in refusal(
            str(cpm), "--as", network
        )
    unknown = refusal(str(cpm), "--as", "hrnet-32")
    assert "unknown network to import 'hrnet-32': did you mean hrnet-w32" in unknown


@pytest.mark.parametrize(
    ("size", "given", "expected"),
    [
        ((48, 64), "64x48", (64, 48)),
        ((48, 64), None, (48, 64)),
        ((128, 256), "128x256", (128, 256)),
    ],
)
def test_positions_of_patches_fit_crops_of_as_many(size, given, expected, tmp_path):
    """Of 3 to 4, unless another size with as many patches is given."""
    net = VitPoseNet(17, size=size)
    torch.save(net.state_dict(), tmp_path / "vit.pth")
    pair = tuple(int(side) for side in given.split("x")) if given else None
    assert importing.read(tmp_path / "vit.pth", "vitpose-s", pair).size == expected
    with pytest.raises(DataError if size == (128, 256) else OptionError, match=r"vit\.pth: "):
        importing.read(tmp_path / "vit.pth", "vitpose-s", (256, 256))


def test_weights_of_another_size_of_the_same_network_are_told_which(tmp_path):
    for made, said, fits in (
        ("deeppose-18", "deeppose-18-rle", "deeppose-18"),
        ("simple-baseline-50-caffe", "simple-baseline-18", "simple-baseline-50 or simple-base"),
        ("cpm-3", "cpm-6", "cpm-3"),
    ):
        with torch.device("meta"):
            state = MODELS[made].build(17, None).state_dict()
        file = tmp_path / f"{made}.pth"
        torch.save({name: torch.zeros(value.shape) for name, value in state.items()}, file)
        assert f"; its parameters fit --as {fits}" in refusal(str(file), "--as", said)


class Code:
    def __reduce__(self):
        return Path.touch, (Path("/nowhere/executed"),)


def test_code_is_not_run_and_broken_files_are_told(cpm, tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "hook": Code()}, tmp_path / "code.pth")
    text = refusal(str(tmp_path / "code.pth"), "--as", "cpm-6")
    assert "holds pickled code (" in text
    assert "which is not run here" in text

    whole_file = cpm.read_bytes()
    for share in (0, 0.01, 0.5, 0.99):
        part = tmp_path / "part.pth"
        part.write_bytes(whole_file[: int(share * len(whole_file))])
        assert "part.pth: not a checkpoint" in refusal(str(part), "--as", "cpm-6")
    save_file({"a": torch.zeros(1000)}, tmp_path / "s.safetensors")
    part = tmp_path / "part.safetensors"
    part.write_bytes((tmp_path / "s.safetensors").read_bytes()[:1000])
    assert "part.safetensors: not a safetensors file" in refusal(str(part), "--as", "cpm-6")
    assert "no such file" in refusal(str(tmp_path / "no.pth"), "--as", "cpm-6").lower()

    torch.save({"epoch": 3, "meta": {"name": "x"}}, tmp_path / "empty.pth")
    text = refusal(str(tmp_path / "empty.pth"), "--as", "cpm-6")
    assert "holds no state dict of tensors (found epoch, meta)" in text


def test_weights_that_are_no_numbers_are_refused(cpm, tmp_path):
    state = foreign.read(cpm)
    broken = state["backbone.stem.0.conv.weight"].clone()
    broken[0, 0, 0, 0] = torch.nan
    torch.save(state | {"backbone.stem.0.conv.weight": broken}, tmp_path / "nan.pth")
    text = refusal(str(tmp_path / "nan.pth"), "--as", "cpm-tiny")
    assert "nan.pth: 'backbone.stem.0.conv.weight' holds NaN or infinite numbers" in text

    for other in (broken.to_sparse(), broken.to("meta"), torch.zeros(16, 3, 9, 9).char()):
        torch.save(state | {"backbone.stem.0.conv.weight": other}, tmp_path / "kind.pth")
        text = refusal(str(tmp_path / "kind.pth"), "--as", "cpm-tiny")
        assert f"kind.pth: 'backbone.stem.0.conv.weight' holds {other.dtype}" in text

    torch.save(state | {"backbone.stem.0.bn.running_var": -torch.ones(16)}, tmp_path / "root.pth")
    out = tmp_path / "out.onnx"
    text = refusal(str(tmp_path / "root.pth"), "--as", "cpm-tiny", "-o", str(out))
    assert "root.pth: answers with NaN" in text
    assert not out.exists()


SMALLS = {"as published": (32, 1), "of the authors' pose network": (64, 4)}


@pytest.mark.parametrize("stage", SMALLS)
def test_the_small_hrnet_has_either_first_stage(stage, tmp_path):
    inner, count = SMALLS[stage]
    numbers = {"width": 16, "modules": (1, 1, 1), "blocks": (count, 2, 2, 2), "inner": inner}
    torch.save(hrnet.HRNet(16, **numbers).state_dict(), tmp_path / "small.pth")
    found = importing.read(tmp_path / "small.pth", "hrnet-w18-small")
    assert found.joints == 16
    assert len(found.net.layer1) == count


@pytest.mark.parametrize("multiplier", [0.5, 0.75, 1.0])
def test_posenets_of_all_widths(multiplier, tmp_path):
    net = PoseNet(17, multiplier=multiplier, wide=multiplier == 1)
    torch.save(net.state_dict(), tmp_path / "posenet.pth")
    assert importing.read(tmp_path / "posenet.pth", "posenet-mobilenet").joints == 17


def test_colours_of_simple_baselines_are_in_the_order_of_who_trained_them():
    fed = PUBLICATIONS["simple-baseline-50"].fed_with
    names = ("conv1.weight", "layer1.0.conv1.weight", "final_layer.bias")
    authors = {name: torch.zeros(1) for name in names}
    assert fed(authors) == IMAGENET | {"channels": "bgr"}
    assert fed({f"backbone.{name}": value for name, value in authors.items()}) == IMAGENET


def test_a_crop_that_does_not_fit_is_refused(cpm, tmp_path):
    text = refusal(str(cpm), "--as", "cpm-tiny", "--input-size", "80000x64")
    assert "--input-size 80000x64: cpm-tiny takes sides that are multiples of 8 up to 8192" in text
    text = refusal(str(cpm), "--as", "cpm-tiny", "--input-size", "60x64")
    assert "--input-size 60x64: cpm-tiny takes sides that are multiples of 8 up to" in text
    row = MODELS["rtmpose-t"]
    net = row.build(17, importing.make_codec(row.codec, (96, 128)))
    torch.save(net.state_dict(), tmp_path / "rtm.pth")
    assert importing.read(tmp_path / "rtm.pth", "rtmpose-t").size == (96, 128)
    text = refusal(str(tmp_path / "rtm.pth"), "--as", "rtmpose-t", "--input-size", "192x256")
    assert "rtm.pth: these weights are of inputs of 96x128, not 192x256" in text


def test_joints_must_be_those_of_the_skeleton(cpm, tmp_path, monkeypatch):
    text = refusal(str(cpm), "--as", "cpm-tiny", "--skeleton", "mpii-16")
    assert "cpm.pth: has 17 joints, skeleton 'mpii-16' has 16" in text
    assert "--re-head" in text
    assert "--set start=" in text

    torch.save(MODELS["cpm-tiny"].build(5, None).state_dict(), tmp_path / "five.pth")
    text = refusal(str(tmp_path / "five.pth"), "--as", "cpm-tiny")
    assert "has 5 joints: say which with --skeleton (skeletons of 5: none)" in text
    torch.save(MODELS["cpm-tiny"].build(14, None).state_dict(), tmp_path / "fourteen.pth")
    text = refusal(str(tmp_path / "fourteen.pth"), "--as", "cpm-tiny")
    assert "skeletons of 14: crowdpose-14, lsp-14" in text


def test_a_new_head_is_what_the_message_says(cpm, tmp_path):
    """Everything but what depends on the joints is the checkpoint's; training can start from it."""
    from everybody.train import checkpoint

    out = tmp_path / "new.safetensors"
    result = run.invoke(
        app,
        ["weights", "import", str(cpm), "--as", "cpm-tiny", "--re-head", "--skeleton", "mpii-16",
         "-o", str(out)],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0
    net = MODELS["cpm-tiny"].build(16, None)
    checkpoint.start(str(out), net, MODELS["cpm-tiny"])
    old = importing.read(cpm, "cpm-tiny").net.state_dict()
    for name, value in net.state_dict().items():
        kept = old[name].shape == value.shape
        assert kept == ("stem.9." not in name and "out_convs.0.1" not in name
                        and name != "cpm_stages.0.model.0.conv.weight")  # fmt: skip
        assert not kept or torch.equal(old[name], value)


def test_a_missing_torch_is_told(cpm, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "torch" else find(n))
    text = refusal(str(cpm), "--as", "cpm-6")
    assert text == "importing weights needs torch: pip install 'everybody[train]'"


PROMISED = {
    "simple-baseline": ("18", "34", "50", "101", "152", "50-caffe"),
    "hrnet": ("w18-small", "w32", "w48"),
    "hourglass": ("1", "2", "4", "8"),
    "cpm": ("3", "6"),
    "fastpose": ("50", "152", "unshuffle-50"),
    "deeppose": ("18", "18-rle", "50", "50-rle"),
    "integral": ("50",),
    "simcc": ("18", "50", "101", "152"),
    "rtmpose": ("t", "s", "m", "l"),
    "vitpose": ("s", "b"),
    "openpose": ("body", "body25", "hand", "face", "light"),
    "posenet": ("mobilenet",),
    "keypoint": ("rcnn-50",),
    "dekr": ("w32", "w48"),
    "rtmo": ("t", "s"),
    "motionbert": ("lite",),
}


def test_every_name_that_is_promised_is_there():
    names = {f"{network}-{size}" for network, sizes in PROMISED.items() for size in sizes}
    assert names | {"videopose3d"} <= PUBLICATIONS.keys()


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_every_row_says_what_a_manifest_can_read(name):
    publication = PUBLICATIONS[name]
    row = {**publication.said, "file": "x.onnx", "licence": "unknown", "codec": {}}
    row["codec"] = dict(publication.model.codec)
    row["input"] = {"size": publication.size, **publication.input}
    row |= {"skeleton": publication.skeleton} if publication.skeleton else {}
    read = tomllib.loads(importing.table(name, row))["model"][name]
    said = manifest.told({runtime.ABOUT: json.dumps(read)}, Path(f"{name}.onnx"))
    assert said is not None
    assert said.input.size == publication.size
    assert json.loads(json.dumps(row)) == read


def test_people_are_compared_with_the_nearest_whatever_their_order():
    """Another order is the same; so is one other in a hundred, but not seven, nor a tenth less."""
    random = np.random.default_rng(0)
    scores = np.sort(random.uniform(0.1, 1, (1, 100)))[:, ::-1]
    boxes, shuffled = random.uniform(0, 1, (1, 100, 4)), random.permutation(100)

    def compared(others: list[Any]) -> float:
        return agreement.difference_of_people(others, [boxes, scores], scores=1)

    assert compared([boxes[:, shuffled], scores[:, shuffled]]) == 0
    few, many = boxes.copy(), boxes.copy()
    few[:, 7], many[:, :7] = 5, 5
    assert compared([few, scores]) == 0
    assert compared([many, scores]) > 1
    assert compared([boxes[:, :90], scores[:, :90]]) == np.inf
    assert compared([boxes[:, :0], scores[:, :0]]) == np.inf
