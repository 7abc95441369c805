"""Training, by law: pictures and keypoints move together, stopped and resumed is unbroken, two
processes are one.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody import geometry, runtime  # noqa: E402
from everybody.cli import app, main  # noqa: E402
from everybody.codecs import Heatmap, PicodetBoxes  # noqa: E402
from everybody.data.dataset import Dataset, Picture  # noqa: E402
from everybody.data.read import read  # noqa: E402
from everybody.errors import (  # noqa: E402
    DataError,
    EverybodyError,
    ModelError,
    OptionError,
    OutputError,
)
from everybody.models import (  # noqa: E402
    MODELS,
    deployed,
    detection,
    detector,
    losses,
    sppe,
    tinypose,
    turn_net,
)
from everybody.people import People  # noqa: E402
from everybody.skeletons import COCO17, LSP14  # noqa: E402
from everybody.train import (  # noqa: E402
    agreement,
    augment,
    checkpoint,
    compress,
    detect,
    distill,
    export,
    log,
    loop,
    pose,
    shards,
    spoil,
    squares,
    teachers,
)
from everybody.train.recipe import UNCHANGED, Recipe  # noqa: E402
from everybody.train.recipes import BASE, RECIPES, recipe  # noqa: E402
from everybody.train.tasks import network  # noqa: E402
from everybody.train.turn import TurnTask, turned_scores  # noqa: E402
from synthetic import nets  # noqa: E402

from .loaded import load_detector, load_sppe  # noqa: E402

SIZE = (48, 64)
TINYPOSE = MODELS["tinypose"]
STILL = replace(
    BASE,
    size=SIZE,
    near=0.0,
    scale=0.0,
    shift=0.0,
    flip=0.0,
    half_body=0.0,
    colour=0.0,
    blur=0.0,
    jpeg=0.0,
    erase=0.0,
    occlude=0.0,
    paste=0.0,
    precision="32-true",
    held_back=0.3,
    warmup=1,
    log_every=1,
    rate=1e-3,
)
MOVED = replace(STILL, near=40.0, anywhere=0.5, scale=0.3, shift=0.1, flip=0.5)


@pytest.fixture(autouse=True, scope="module")
def small_models():
    """The same architectures, thin: the laws do not depend on the width."""
    with pytest.MonkeyPatch.context() as patch:
        thin = {"width": 8, "head": 8, "depths": (1, 1, 1, 1)}
        builds = {
            "tiny": ("sppe-fast", lambda k, codec: sppe.SppeNet(k, sigma=codec.sigma, **thin)),
            "tiny-turn": ("turn", lambda k, codec: turn_net.TurnNet(width=4)),
            "tiny-detector": ("detector-fast", lambda k, codec: detector.DetectorNet(**thin)),
        }
        for name, (like, build) in builds.items():
            patch.setitem(MODELS, name, replace(MODELS[like], build=build))
        yield


NOBODY = {
    "keypoints": np.zeros((0, 17, 3)),
    "boxes": np.zeros((0, 4)),
    "ignored": np.zeros(0, bool),
}


def person(pack: shards.Pack, row: int) -> dict:
    """The columns of one person."""
    return {name: getattr(pack, name)[row : row + 1] for name in NOBODY}


def rng(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def crops(count: int = 12, side: int = 96, seed: int = 0) -> shards.Pack:
    """Pictures of noise with a body of 17 random joints each, a bright spot at the first."""
    random = np.random.default_rng(seed)
    keypoints = np.ones((count, 17, 3), np.float32)
    keypoints[..., :2] = random.uniform(0.35 * side, 0.65 * side, (count, 17, 2))
    images = np.stack(
        [nets.blob(side, side, *keypoint[0, :2], sigma=2.5) for keypoint in keypoints]
    )
    low, high = keypoints[..., :2].min(1) - 4, keypoints[..., :2].max(1) + 4
    return shards.Pack(
        images=images,
        picture=np.arange(count),
        keypoints=keypoints,
        boxes=np.concatenate([low, high], 1),
        ignored=np.zeros(count, bool),
        names=tuple(f"set/{i}.jpg#0" for i in range(count)),
        skeleton=COCO17,
    )


# --- augmentation


def test_picture_and_keypoints_move_together():
    """The bright spot of every augmented crop lies where its keypoint says, whatever turn, scale,
    shift and flip.
    """
    task = pose.PoseTask(replace(MOVED, model="tiny", size=(96, 128)), crops(40))
    images, keypoints, _, _ = task.augmented(torch.arange(len(task)), rng())
    nose = COCO17.joints.index("nose")
    checked = 0
    for image, (x, y, weight) in zip(images, keypoints[:, nose], strict=True):
        if weight == 0 or not (6 < x < 90 and 6 < y < 122):
            continue
        bright = (image[0] - 114).clamp(min=0) if image[0].max() > 150 else image[0]
        ys, xs = torch.meshgrid(torch.arange(128.0), torch.arange(96.0), indexing="ij")
        assert abs((bright * xs).sum() / bright.sum() - x) < 0.5
        assert abs((bright * ys).sum() / bright.sum() - y) < 0.5
        checked += 1
    assert checked > 10


def test_neutral_numbers_give_the_crop_of_inference():
    boxes = torch.tensor([[10.0, 20.0, 50.0, 90.0], [0.0, 0.0, 100.0, 30.0]])
    ones = torch.ones(2)
    found = augment.crops(
        boxes, SIZE, padding=1.25, scale=ones, shift=torch.zeros(2, 2), flip=ones < 0
    )
    assert np.allclose(found.numpy(), geometry.crop_matrices(boxes.numpy(), SIZE, 1.25), atol=1e-5)


def test_maps_invert_and_compose():
    some = augment.compose(
        augment.crops(
            torch.tensor([[10.0, 20, 50, 90]]),
            SIZE,
            padding=1.1,
            scale=torch.tensor([0.8]),
            shift=torch.tensor([[0.1, 0.2]]),
            flip=torch.tensor([True]),
        ),
        augment.rotations(torch.tensor([0.7])),
    )
    points = torch.tensor([[[3.0, 4.0, 1.0], [30.0, 70.0, 0.5]]])
    back = augment.move(augment.move(points, some), augment.inverse(some))
    assert torch.allclose(back, points, atol=1e-4)


def test_warps_of_both_devices_agree():
    image = torch.from_numpy(crops(3).images)
    matrices = augment.compose(
        augment.crops(
            torch.tensor([[20.0, 20, 70, 80]] * 3),
            SIZE,
            padding=1.1,
            scale=torch.ones(3),
            shift=torch.zeros(3, 2),
            flip=torch.tensor([True, False, False]),
        ),
        augment.rotations(torch.tensor([0.0, 1.0, 3.0])),
    )
    a, b = augment.warp(image, matrices, SIZE), augment.warp_on_device(image, matrices, SIZE)
    assert (a - b).abs().max() < 6  # OpenCV's fixed-point weights
    assert (a - b).abs().mean() < 0.5


class Patches(torch.nn.Module):
    """Heatmaps that turn as the picture turns: how bright it is about the pixel of each cell's
    corner.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        blurred = torch.nn.functional.avg_pool2d(image[:, :1], 9, 1, 4, count_include_pad=False)
        return blurred[:, :, ::4, ::4].expand(-1, 17, -1, -1)


def taught(tmp_path: Path, score: float, **changes):
    """A PP-TinyPose that imitates its start, of people whose joints have this score: the task, and
    the network.
    """
    chosen = replace(
        STILL,
        model="tinypose",
        size=(96, 128),
        sigma=1.0,
        imitate=1.0,
        start=str(tmp_path / "start.safetensors"),
    )
    chosen = replace(chosen, **changes)
    net = network(chosen, 17)
    checkpoint.save_weights(tmp_path / "start.safetensors", net.state_dict(), {})
    pack = crops(12)
    pack.keypoints[..., 2] = score
    return pose.PoseTask(chosen, pack), net


def test_who_has_learnt_nothing_imitates_without_error(tmp_path):
    task, net = taught(tmp_path, 0.9)
    rows = torch.arange(4)
    assert task.loss(net, rows, rng())[0] < 1e-6
    for value in net.parameters():
        value.data += 0.01
    assert task.loss(net, rows, rng())[0] > 1e-3


def test_labels_of_people_are_learnt_not_imitated(tmp_path):
    task, net = taught(tmp_path, 1.0)
    plain = pose.PoseTask(replace(task.recipe, imitate=0.0), crops(12))
    rows = torch.arange(4)
    assert torch.equal(task.loss(net, rows, rng())[0], plain.loss(net, rows, rng())[0])


def test_the_teacher_sees_people_upright_and_its_answer_is_turned_back(tmp_path, monkeypatch):
    """A teacher that turns with the picture is expected to say of a turned crop what it would say
    itself.
    """
    task, _ = taught(tmp_path, 0.9, near=25.0, anywhere=0.7, flip=0.5, scale=0.2)
    task._teacher = Patches()
    shown, warp = [], augment.warp
    monkeypatch.setattr(
        augment, "warp", lambda images, maps, size: shown.append(maps) or warp(images, maps, size)
    )
    rows = torch.arange(len(task))
    images, _, flip, matrices = task.augmented(rows, rng(1))
    wanted, known = task.expected(task.learnt[rows], matrices)
    turned, upright = shown
    assert turned[:, 0, 1].abs().max() > 0.2
    assert upright[:, [0, 1], [1, 0]].abs().max() < 1e-5
    assert (upright[:, 1, 1] > 0).all()
    assert torch.equal(upright[:, 0, 0] < 0, flip)
    itself = Patches()(augment.normalised(images))
    assert known.float().mean() > 0.5
    off = ((wanted - itself).abs() * known).amax(1)
    spread = itself.amax((1, 2, 3)) - itself.amin((1, 2, 3))
    assert (off.flatten(1).quantile(0.95, dim=1) < 0.15 * spread).all()


def test_only_who_can_imitates():
    with pytest.raises(OptionError, match="imitate"):
        pose.PoseTask(replace(STILL, model="tiny", imitate=1.0, start="somewhere"), crops())
    with pytest.raises(OptionError, match="imitate"):
        pose.PoseTask(replace(STILL, model="tinypose", size=(96, 128), imitate=1.0), crops())


def test_mirroring_relabels_left_and_right():
    mirror = torch.tensor(COCO17.mirror)
    keypoints = torch.rand(2, 17, 3)
    flip = torch.tensor([True, False])
    once = augment.relabel(keypoints, flip, mirror)
    assert torch.equal(augment.relabel(once, flip, mirror), keypoints)
    left, right = COCO17.joints.index("left_wrist"), COCO17.joints.index("right_wrist")
    assert torch.equal(once[0, left], keypoints[0, right])
    assert torch.equal(once[1], keypoints[1])


def test_photometric_changes_keep_range_shape_and_what_has_nothing_to_lose():
    images = torch.rand(16, 3, 64, 48) * 255
    points = torch.rand(16, 17, 3) * 40
    limbs = torch.tensor(COCO17.limbs)
    for change in (
        lambda x: spoil.colour(x, 0.5, rng()),
        lambda x: spoil.blur(x, 1.0, rng()),
        lambda x: spoil.jpeg(x, 1.0, rng()),
        lambda x: spoil.erase(x, 1.0, rng()),
        lambda x: spoil.occlude(x, 1.0, rng()),
        lambda x: spoil.paste_people(x, points, limbs, 1.0, rng()),
    ):
        changed = change(images.clone())
        assert changed.shape == images.shape
        assert not torch.equal(changed, images)
        assert changed.min() >= -1e-2
        assert changed.max() <= 255.01
    for change in (
        lambda x: spoil.colour(x, 0.0, rng()),
        lambda x: spoil.blur(x, 0.0, rng()),
        lambda x: spoil.erase(x, 0.0, rng()),
        lambda x: spoil.paste_people(x, points, limbs, 0.0, rng()),
    ):
        assert torch.allclose(change(images.clone()), images, atol=1e-2)
    flat = torch.full((2, 3, 64, 48), 90.0)
    assert torch.allclose(spoil.blur(flat.clone(), 1.0, rng()), flat, atol=1e-3)
    assert (
        spoil.jpeg(flat.clone(), 1.0, rng()) - flat
    ).abs().max() < 16  # one coarse step of the mean


def test_half_bodies_hold_their_joints_and_turned_boxes_theirs():
    pack = crops(30)
    keypoints, boxes = torch.from_numpy(pack.keypoints), torch.from_numpy(pack.boxes)
    upper = torch.tensor([i < 11 for i in range(17)])
    halves, part = augment.half_body(boxes, keypoints, upper, 1.0, rng())
    for box, points, labelled in zip(halves, keypoints, part[..., 2] > 0, strict=True):
        inside = ((points[:, :2] >= box[:2]) & (points[:, :2] <= box[2:])).all(1)
        assert inside[labelled].all()
        assert torch.equal(labelled, upper) or torch.equal(labelled, ~upper)
    kept, whole = augment.half_body(boxes, keypoints, upper, 0.0, rng())
    assert torch.equal(kept, boxes)
    assert torch.equal(whole, keypoints)
    turned = augment.rotations(torch.full((30,), 1.0))
    around = augment.turned_boxes(halves, part, turned)  # the turn keeps the half
    size, before = (around[:, 2:] - around[:, :2]).amax(1), (halves[:, 2:] - halves[:, :2]).amax(1)
    assert (size < 1.5 * before).all()
    turned = augment.rotations(torch.full((30,), 1.0))
    around, moved = augment.turned_boxes(boxes, keypoints, turned), augment.move(keypoints, turned)
    assert (moved[..., :2] >= around[:, None, :2] - 1e-3).all()
    assert (moved[..., :2] <= around[:, None, 2:] + 1e-3).all()
    same = augment.turned_boxes(boxes, keypoints, augment.rotations(torch.zeros(30)))
    assert torch.allclose(same, boxes, atol=1e-4)


def test_the_scores_of_a_turn_go_round_with_the_picture():
    """Quarter turns and mirrors move the teacher's confidences as they move a picture; between
    quarters, in parts.
    """
    scores = torch.tensor([[0.9, 0.4, 0.1, 0.2]])
    straight, mirrored = torch.tensor([False]), torch.tensor([True])
    for quarter in range(-3, 6):
        moved = turned_scores(scores, torch.tensor([quarter * math.pi / 2]), straight)
        assert torch.allclose(moved, scores.roll(quarter, 1), atol=1e-5)
    assert torch.allclose(turned_scores(scores, torch.zeros(1), mirrored), scores[:, [0, 3, 2, 1]])
    half = turned_scores(scores, torch.tensor([math.pi / 4]), straight)
    assert torch.allclose(half, (scores + scores.roll(1, 1)) / 2, atol=1e-5)


def test_a_teacher_says_which_way_up_people_are(tmp_path):
    """A network that knows people under a blue sky is sure of the quarter that brings it up: the
    right label.
    """
    top = nets.upright_finder(tmp_path / "top.onnx", 17)
    teacher = load_sppe(
        top,
        skeleton="coco-17",
        codec="heatmap,alignment=corner",
        padding=1.0,
        normalise="none",
    )
    image = nets.blob(128, 128, 63.5, 63.5)
    image[..., 1:] = 0
    image[:40, :, 2] = 255
    turned = np.stack([np.ascontiguousarray(np.rot90(image, -quarter)) for quarter in range(4)])
    scores = teachers.turn_scores(teacher, turned, np.tile(np.float32([0, 0, 127, 127]), (4, 1)))
    assert scores.shape == (4, 4)
    assert scores[0].argmax() == 0
    assert scores[0, 0] > scores[0, 1:].max() + 0.1
    for quarter in range(4):
        assert np.allclose(scores[quarter], np.roll(scores[0], quarter), atol=0.02)


def test_turns_are_packed_and_wanted(tmp_path):
    data = labelled(tmp_path)
    given = np.float32([[0.1, 0.2, 0.3, 0.4]])
    squares.pack_crops(
        data,
        tmp_path / "t",
        size=128,
        least=10,
        turns=lambda crops, boxes: given.repeat(len(crops), 0),
    )
    squares.pack_crops(data, tmp_path / "plain", size=128, least=10)
    with_turns, without = shards.load([tmp_path / "t"]), shards.load([tmp_path / "plain"])
    assert np.allclose(with_turns.turns, given)
    assert without.turns is None
    assert shards.load([tmp_path / "t", tmp_path / "plain"]).turns is None
    with pytest.raises(DataError, match="--turns"):
        TurnTask(replace(STILL, model="tiny-turn", size=(64, 64)), without)


def test_boxes_of_all_data_have_a_margin():
    """Data without boxes of its own (LSP) has boxes that end at the joints: tasks grow them as
    detectors do.
    """
    pack = crops(12)
    low, high = pack.keypoints[..., :2].min(1), pack.keypoints[..., :2].max(1)
    task = pose.PoseTask(
        replace(STILL, model="tiny"), replace(pack, boxes=np.concatenate([low, high], 1))
    )
    assert (task.boxes.numpy()[:, :2] < low - 1).all()
    assert (task.boxes.numpy()[:, 2:] > high + 1).all()
    drawn = pose.PoseTask(replace(STILL, model="tiny"), pack)
    assert np.array_equal(drawn.boxes.numpy(), pack.boxes)


def test_shrunk_packs_keep_their_keypoints():
    pack = crops(6, side=128)
    small = pack.shrunk(2)
    assert small.images.shape[1:3] == (64, 64)
    for image, keypoints in zip(small.images, small.keypoints, strict=True):
        assert np.abs(brightest(image) - keypoints[0, :2]).max() < 0.6


# --- losses and networks


def test_cross_entropy_is_least_at_the_truth_and_blind_to_unlabelled_joints():
    codec = Heatmap((48, 64), 4, 1.5, "corner")
    (target,), weights = map_to_torch(codec.encode(np.float32([[[20, 28, 1], [8, 12, 0]]])))
    x, y = torch.arange(12), torch.arange(16)

    def loss(at_x: float, at_y: float):
        one = -((x - at_x).square()[None] + (y - at_y).square()[:, None]) / (2 * 1.5**2)
        logits = torch.stack([one, torch.randn(16, 12)])[None]
        return losses.spatial_cross_entropy(logits, target, weights)

    right, weight = loss(5, 7)
    assert weight == 1
    for other in ((6, 7), (5, 6), (1, 1)):
        assert loss(*other)[0] > right
    assert torch.isclose(loss(5, 7)[0], right, atol=1e-5)


def test_heatmap_error_is_least_at_the_truth_and_one_for_an_empty_map():
    codec = Heatmap((48, 64), 4, 1.0, "corner")
    (target,), weights = map_to_torch(codec.encode(np.float32([[[20, 28, 1], [8, 12, 0]]])))
    said = target.clone()
    said[0, 1] = torch.randn(16, 12)
    right, weight = losses.heatmap_error(said, target, weights, sigma=1.0)
    assert weight == 1
    assert right < 1e-6
    assert losses.heatmap_error(said.roll(1, 3), target, weights, sigma=1.0)[0] > 0.1
    empty = losses.heatmap_error(torch.zeros_like(said), target, weights, sigma=1.0)[0]
    assert empty == pytest.approx(1, abs=0.01)


def map_to_torch(encoded):
    targets, weights = encoded
    return tuple(map(torch.from_numpy, targets)), torch.from_numpy(weights)


@pytest.mark.parametrize("name", ["tinypose-256x192", "tinypose-128x96"])
def test_public_numbers_load_and_answer_alike(shared, name):
    """Our PP-TinyPose with the public file's numbers is the public file."""
    path = shared / f"weights/{name}.onnx"
    net = tinypose.TinyPoseNet().eval()
    checkpoint.load_weights(path, net, TINYPOSE)
    height, width = map(int, name.rpartition("-")[2].split("x"))
    image = torch.randn(2, 3, height, width, generator=rng())
    wanted = runtime.load(path, device="cpu", engine="onnxruntime")(image.numpy())[0]
    with torch.no_grad():
        assert np.abs(net(image).numpy() - wanted).max() < 1e-5


def test_a_network_laid_out_for_engines_is_the_same_function(tmp_path):
    """Whatever the numbers; and its graph splits, stacks and shuffles nothing."""
    import onnx

    net = tinypose.TinyPoseNet(joints=5).eval()
    for parameter in net.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=rng())
    image = torch.randn(2, 3, 64, 96, generator=rng())
    with torch.no_grad():
        wanted, found = net(image), deployed.deployed(net)(image)
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
    weights = tmp_path / "net.safetensors"
    chosen = replace(recipe("tinypose-128"), size=(96, 64))
    checkpoint.save_weights(
        weights, net.state_dict(), {"recipe": chosen.to_json(), "skeleton": "coco-17"}
    )
    assert export.export(weights, tmp_path / "net.onnx") < agreement.CLOSE
    compress.halve(tmp_path / "net.onnx", tmp_path / "half.onnx")
    for name, close in (
        ("net.onnx", 0.0),
        ("half.onnx", 1e-3),
    ):  # and the numbers can be had back, to go on from
        again = tinypose.TinyPoseNet(joints=5)
        checkpoint.load_weights(tmp_path / name, again, TINYPOSE)
        for key, value in again.state_dict().items():
            assert (value - net.state_dict()[key]).abs().max() <= close
    with pytest.raises(DataError, match="other joints"):
        checkpoint.load_weights(tmp_path / "net.onnx", tinypose.TinyPoseNet(joints=6), TINYPOSE)
    nodes = {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert "Conv" in nodes
    assert not nodes & {"Split", "Slice", "Gather", "Transpose", "Unsqueeze"}


def test_a_start_is_of_the_same_architecture(tmp_path):
    path = nets.heatmap_finder(tmp_path / "other.onnx", 17)
    with pytest.raises(ModelError, match="not those of PP-TinyPose"):
        checkpoint.load_weights(path, tinypose.TinyPoseNet(), TINYPOSE)
    with pytest.raises(DataError, match="starts from safetensors"):
        checkpoint.load_weights(path, network(replace(STILL, model="tiny"), 17))
    (tmp_path / "broken.onnx").write_bytes(b"no")
    with pytest.raises(ModelError, match="not an ONNX file"):
        checkpoint.load_weights(tmp_path / "broken.onnx", tinypose.TinyPoseNet(), TINYPOSE)


def _tensors(said):
    """A network's answer, whatever holds it -> its tensors."""
    if isinstance(said, torch.Tensor):
        yield said
        return
    for part in said.values() if isinstance(said, dict) else said:
        yield from _tensors(part)


# RMPE's are in test_rmpe.py, those of clips in test_train_sequences.py, what is told a pose, which
# counts for nothing at first, in test_train_conditioned.py, and regions in test_train_people.py.
ELSEWHERE = ("rmpe", "lifter", "conditioned", "keypoint-rcnn")


@pytest.mark.parametrize("name", [name for name in RECIPES if not name.startswith(ELSEWHERE)])
def test_every_parameter_gets_a_gradient(name):
    chosen = RECIPES[name]
    net = network(chosen, 17).train()
    for (
        module
    ) in net.modules():  # residual branches that start at zero would hide what is behind them
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    width, height = chosen.size
    out = net(torch.randn(2, 3, height, width))
    parts = list(_tensors(out))
    sum((part * torch.randn_like(part)).sum() for part in parts).backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for parameter in net.parameters()
    )


def test_a_few_crops_can_be_learnt_by_heart(tmp_path):
    chosen = replace(
        STILL, model="tiny", steps=200, batch=8, rate=1e-2, decay=0.0, evaluate_every=500, ema=0.9
    )
    pack = crops(8, seed=3)
    pack = replace(pack, names=("a/back#0",) * 2 + tuple(f"a/{i}#0" for i in range(6)))
    while not (back := shards.held_back(pack.names, 0.3))[:2].all() or back[2:].any():
        pack = replace(pack, names=tuple(f"{name[:-2]}x#0" for name in pack.names))
    task = pose.PoseTask(chosen, pack)
    progress = loop.train(chosen, task, tmp_path)
    found = [row["loss"] for row in progress.rows if "loss" in row]
    entropy = math.log(2 * math.pi * math.e * chosen.sigma**2)  # what a perfect answer leaves
    assert found[0] > 4.5
    assert found[-1] < entropy + 0.3


# --- detectors


def scenes(count: int = 12, side: int = 128) -> shards.Pack:
    """Dark squares with one to three bright rectangles: the people."""
    random = np.random.default_rng(0)
    images, boxes, picture = np.full((count, side, side, 3), 60, np.uint8), [], []
    for i in range(count):
        for _ in range(1 + i % 3):
            x, y, w, h = random.integers((5, 5, 20, 30), (70, 50, 40, 70))
            images[i, y : y + h, x : x + w] = random.integers(150, 255)
            boxes.append([x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5])
            picture.append(i)
    return shards.Pack(
        images=images,
        picture=np.array(picture),
        boxes=np.array(boxes, np.float32),
        keypoints=np.zeros((len(boxes), 17, 3), np.float32),
        ignored=np.zeros(len(boxes), bool),
        names=tuple(f"scene/{i}.jpg" for i in range(count)),
        skeleton=COCO17,
    )


def detector_task(**changes) -> detect.DetectorTask:
    chosen = replace(STILL, model="tiny-detector", size=(128, 128), batch=4, **changes)
    return detect.DetectorTask(chosen, scenes())


@pytest.mark.parametrize("quarter", range(4))
def test_pictures_and_boxes_turn_together(quarter):
    """Quarter turns are exact: the rectangle's pixels lie in its box, edge to edge."""
    task = detector_task()
    boxes, keypoints, real, *_ = task.people
    matrices = detect.plain(128, quarter, (128, 128), len(boxes), torch.device("cpu"))
    images = augment.warp(task.images, matrices, (128, 128))
    moved = detect.moved_boxes(boxes, keypoints, matrices)
    for image, some, there in zip(images, moved, real, strict=True):
        if there.sum() == 1:
            y, x = torch.nonzero(image[0] > 100, as_tuple=True)
            edges = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]) - 0.5
            assert torch.allclose(edges.float(), some[0], atol=0.01)


def test_people_cut_by_the_edge_are_neither_to_find_nor_false():
    boxes = torch.tensor(
        [[[10.0, 10, 50, 50], [-90, 10, 10, 50], [200, 10, 240, 50], [-10, 0, 60, 60]]]
    )
    real = torch.ones(1, 4, dtype=torch.bool)
    cut, there, ignored = detect.visible(boxes, real, ~real, (128, 128))
    assert there.tolist() == [[True, False, False, True]]
    assert ignored.tolist() == [[False, True, False, False]]
    assert cut.min() >= 0
    assert cut.max() <= 128


def test_cells_answer_for_the_person_they_are_inside_and_fit_best():
    cells = detector.cells_of((128, 128), torch.device("cpu"))
    truth = torch.tensor([[[8.0, 8, 40, 72], [80, 60, 120, 124], [0, 0, 0, 0]]])
    real = torch.tensor([[True, True, False]])
    boxes = truth[0, 0].expand(1, len(cells), 4).clone()
    boxes[:, ::2] = truth[0, 1]
    kinds = torch.zeros(1, 3, dtype=torch.long)
    scores = torch.full((1, len(cells), 1), 0.1)
    person, target = detection.assign(scores, boxes, cells, truth, real, kinds)
    assert set(person.unique().tolist()) == {-1, 0, 1}
    for number in (0, 1):
        chosen = (person[0] == number).nonzero()[:, 0]
        low, high = truth[0, number].split(2)
        assert ((cells[chosen] > low) & (cells[chosen] < high)).all()
        assert target[0, chosen].max() == pytest.approx(1.0, abs=0.01)
        assert len(chosen) <= detection.TOP
    assert (target[person < 0] == 0).all()


def test_the_loss_of_perfect_boxes_is_least_and_ignored_people_cost_nothing():
    cells = detector.cells_of((128, 128), torch.device("cpu"))
    truth, real = torch.tensor([[[16.0, 16, 80, 112]]]), torch.tensor([[True]])
    right = truth[0].expand(len(cells), 4)[None]
    kind = torch.zeros(1, 1, dtype=torch.long)
    even = torch.full((1, len(cells), 1), 0.1)
    owner, _ = detection.assign(even, right, cells, truth, real, kind)
    sure, unsure = torch.where(owner == 0, 6.0, -9.0), torch.where(owner == 0, -3.0, -9.0)
    none = torch.zeros_like(real)

    def value(logits, boxes, real=real, ignored=none):
        loss, weight = detection.detection_loss(
            (logits[..., None], boxes), cells, truth, real, ignored, kind
        )
        return (loss / weight).item()

    assert value(unsure, right) > value(sure, right)
    assert value(sure, right) < value(sure, right + 12)
    assert value(sure, right, real=none) > 1.0
    assert value(sure, right, real=none, ignored=real) < 0.1


def test_average_precision_by_hand():
    """Two people; found: A well, a phantom in between, B last -> precision 1, 1/2, 2/3 at recall
    1/2, 1/2, 1.
    """
    a, b, phantom = [0, 0, 40, 80], [60, 0, 100, 80], [0, 90, 30, 120]
    everyone = np.array([True, True])
    truth = (np.array([a, b], float), everyone, ~everyone)
    scores, boxes = np.array([0.9, 0.8, 0.7]), np.array([a, phantom, b], float)
    assert detect.average_precision([(scores, boxes)], [truth]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    ignoring = (
        np.array([a, b, phantom], float),
        np.array([True, True, False]),
        np.array([False, False, True]),
    )
    assert detect.average_precision([(scores, boxes)], [ignoring]) == pytest.approx(1.0)
    assert detect.average_precision([(scores[:0], boxes[:0])], [truth]) == 0.0


def test_a_detector_learns_a_few_scenes_by_heart_and_its_export_finds_them(tmp_path):
    task = detector_task(
        steps=150, rate=8e-3, decay=0.0, evaluate_every=150, ema=0.9, held_back=0.2
    )
    progress = loop.train(task.recipe, task, tmp_path)
    found = [row["loss"] for row in progress.rows if "loss" in row]
    assert found[-1] < found[0] / 2
    difference = export.export(tmp_path / "last.safetensors", tmp_path / "net.onnx")
    assert difference <= agreement.CLOSE
    finder = load_detector(tmp_path / "net.onnx", size=(128, 128), score=0.05)
    assert isinstance(finder.codec, PicodetBoxes)
    assert len(finder([task.learnt.images[0], task.learnt.images[1]])) == 2


# --- the loop


class Stops(Exception):
    pass


def run(
    out: Path, *, steps: int = 6, stop_at: int | None = None, pack=None, **changes
) -> loop.Progress:
    chosen = replace(
        MOVED,
        model="tiny",
        steps=steps,
        batch=4,
        evaluate_every=3,
        checkpoint_minutes=0.0,
        **changes,
    )
    task = pose.PoseTask(chosen, pack or crops(24))
    if stop_at is not None:
        plain, calls = task.loss, iter(range(100))

        def loss(*arguments):
            if next(calls) == stop_at:
                raise Stops
            return plain(*arguments)

        task.loss = loss  # type: ignore[method-assign]
    return loop.train(chosen, task, out)


def test_stopped_and_resumed_is_unbroken(tmp_path):
    whole = run(tmp_path / "whole")
    with pytest.raises(Stops):
        run(tmp_path / "parts", stop_at=4)
    again = run(tmp_path / "parts")

    def curve(progress):
        return [(row["step"], row.get("loss"), row.get("oks")) for row in progress.rows]

    assert curve(again) == curve(whole)
    a, _ = checkpoint.read_weights(tmp_path / "whole/last.safetensors")
    b, _ = checkpoint.read_weights(tmp_path / "parts/last.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert (tmp_path / "whole/curves.png").read_bytes()[:4] == b"\x89PNG"
    assert Recipe.from_json((tmp_path / "whole/recipe.json").read_text()).steps == 6


@pytest.mark.parametrize(("scores", "kept"), [((0.5, 0.5), 6), ((0.5, 0.4), 3), ((0.4, 0.5), 6)])
def test_of_weights_that_score_the_same_the_later_are_best(tmp_path, monkeypatch, scores, kept):
    """A few held-back pictures often do not tell; worse ones never replace better ones."""
    said = iter(scores)
    monkeypatch.setattr(pose.PoseTask, "evaluate", lambda self, net: {"oks": next(said)})
    run(tmp_path)
    _, about = checkpoint.read_weights(tmp_path / "best.safetensors")
    assert int(about["step"]) == kept


def test_a_stop_between_two_rows_of_the_log_does_not_show_in_it(tmp_path):
    whole = run(tmp_path / "whole", log_every=3)
    with pytest.raises(Stops):
        run(tmp_path / "parts", stop_at=4, log_every=3)
    again = run(tmp_path / "parts", log_every=3)
    losses_ = [
        [row["loss"] for row in progress.rows if "loss" in row] for progress in (whole, again)
    ]
    assert len(losses_[0]) == 2
    assert losses_[0] == losses_[1]


def test_parts_of_a_batch_add_up_to_the_batch(tmp_path):
    """Accumulated in two parts, statistics frozen, nothing random: the same steps."""
    for parts in (1, 2):
        run(
            tmp_path / str(parts),
            accumulate=parts,
            freeze_norm=True,
            near=0.0,
            anywhere=0.0,
            scale=0.0,
            shift=0.0,
            flip=0.0,
        )
    a, b = (checkpoint.read_weights(tmp_path / parts / "last.safetensors")[0] for parts in "12")
    assert all(
        torch.allclose(a[name], b[name], atol=1e-5) for name in a if a[name].is_floating_point()
    )


def test_two_processes_are_one(tmp_path):
    """The same global batch over two gloo processes: the same weights."""
    writer = shards.Writer(tmp_path / "shards", COCO17)
    pack = crops(24)
    for i, image in enumerate(pack.images):
        keypoints = pack.keypoints[i : i + 1].copy()
        keypoints[0, : i % 5, 2] = 0  # unequal weights on the two sides
        writer.add(
            image,
            pack.names[i],
            keypoints=keypoints,
            boxes=pack.boxes[i : i + 1],
            ignored=np.zeros(1, bool),
        )
    writer.flush()
    fixed = UNCHANGED | {
        "precision": "32-true",
        "held_back": 0.3,
        "freeze_norm": "true",
        "steps": 3,
        "batch": 8,
        "warmup": 1,
        "size": "64x64",
        "log_every": 1,
        "evaluate_every": 3,
    }
    options = [part for key, value in fixed.items() for part in ("--set", f"{key}={value}")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    weights, curves = [], []
    for count in (1, 2):
        torchrun = (
            ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
            if count > 1
            else []
        )
        command = [
            sys.executable,
            "-m",
            *torchrun,
            "everybody",
            "train",
            "sppe-fast",
            "--device",
            "cpu",
            *options,
        ]
        command += ["-d", str(tmp_path / "shards"), "-o", str(tmp_path / str(count))]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        weights.append(checkpoint.read_weights(tmp_path / str(count) / "last.safetensors")[0])
        curves.append([row["loss"] for row in log.read(tmp_path / str(count)) if "loss" in row])
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    # Adam makes whole steps of gradients that are nothing but rounding: the way that was gone
    # together is compared.
    start = network(RECIPES["sppe-fast"], 17).state_dict()
    floats = [name for name, value in start.items() if value.is_floating_point()]
    one, two = (
        torch.cat([(some[name] - start[name]).flatten() for name in floats]) for some in weights
    )
    assert one.norm() > 0.1
    assert (one - two).norm() < 0.05 * one.norm()


def test_a_loss_that_is_no_number_stops_and_keeps_what_was_good(tmp_path):
    good = run(tmp_path, steps=3)
    kept = checkpoint.load(tmp_path / "checkpoints", 3)["net"]
    assert good.step == 3
    task = pose.PoseTask(replace(MOVED, model="tiny"), crops(24))
    plain = task.loss

    def loss(*arguments):
        value, weight = plain(*arguments)
        return value * float("nan"), weight

    task.loss = loss  # type: ignore[method-assign]
    chosen = replace(MOVED, model="tiny", steps=9, batch=4, checkpoint_minutes=0.0, log_every=8)
    with pytest.raises(
        loop.Diverged, match=r"step 4.*\(step 3\)"
    ):  # before the log would tell, as a checkpoint is due
        loop.train(chosen, task, tmp_path)
    assert checkpoint.steps(tmp_path / "checkpoints")[-1] == 3
    assert all(torch.isfinite(value).all() for value in kept.values() if value.is_floating_point())


def test_a_gradient_that_is_no_number_reaches_no_weights(tmp_path):
    """The loss is fine, its slope is not: √ of 0."""
    task = pose.PoseTask(replace(MOVED, model="tiny"), crops(24))
    plain, calls = task.loss, iter(range(100))

    def loss(net, *arguments):
        value, weight = plain(net, *arguments)
        steep = sum((parameter.sum() * 0).sqrt() for parameter in net.parameters())
        return value + (steep if next(calls) == 3 else 0), weight

    task.loss = loss  # type: ignore[method-assign]
    chosen = replace(MOVED, model="tiny", steps=9, batch=4, checkpoint_minutes=0.0)
    with pytest.raises(loop.Diverged, match=r"gradient's norm is nan at step 4.*\(step 3\)"):
        loop.train(chosen, task, tmp_path)
    assert checkpoint.steps(tmp_path / "checkpoints")[-1] == 3
    kept = checkpoint.load(tmp_path / "checkpoints", 3)["net"]
    assert all(torch.isfinite(value).all() for value in kept.values() if value.is_floating_point())


def test_a_turn_net_trains_and_is_judged(tmp_path):
    """Who is told apart by where the bright spot lies is set right more often than by chance."""
    chosen = replace(STILL, model="tiny-turn", size=(64, 64), steps=60, batch=12, evaluate_every=60)
    pack = crops(36)
    turns = np.tile(np.float32([0.9, 0.2, 0.2, 0.2]), (36, 1))
    for i, image in enumerate(pack.images):
        image[...] = nets.blob(96, 96, 48, 20 + i % 8, sigma=9)  # above the middle: that is upright
    pack = replace(pack, turns=turns, boxes=np.tile(np.float32([16, 16, 80, 80]), (36, 1)))
    pack.keypoints[..., :2] = np.linspace(20, 76, 17)[None, :, None]
    progress = loop.train(chosen, TurnTask(chosen, pack), tmp_path)
    judged = [row for row in progress.rows if "kept" in row][-1]
    assert judged["upright"] > 0.5
    assert judged["turned"] > 0.5
    assert judged["kept"] > 0.6


def test_a_run_says_what_it_is_now(tmp_path):
    """Settings that change on the way are written down; checkpoints need their recipe."""
    run(tmp_path, steps=1)
    run(tmp_path, steps=2)
    assert Recipe.from_json((tmp_path / "recipe.json").read_text()).steps == 2
    (tmp_path / "recipe.json").unlink()
    with pytest.raises(DataError, match="does not say whose checkpoints"):
        run(tmp_path, steps=3)


def test_another_run_in_the_folder_is_refused(tmp_path):
    run(tmp_path, steps=1)
    chosen = replace(STILL, model="tiny-turn", size=(64, 64), steps=2)
    with pytest.raises(DataError, match="holds a run of 'tiny', not 'tiny-turn'"):
        loop.train(
            chosen,
            TurnTask(chosen, replace(crops(24), turns=np.ones((24, 4), np.float32))),
            tmp_path,
        )


def test_rows_of_an_epoch_are_each_picture_once():
    chosen = replace(BASE, batch=5)
    seen = torch.cat([loop.batch_rows(10, chosen, step) for step in range(4)])
    assert sorted(seen[:10].tolist()) == list(range(10))
    assert sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_the_rate_rises_and_falls():
    chosen = replace(BASE, warmup=10, steps=100)
    rates = [loop.schedule(chosen, step) for step in range(100)]
    assert rates[9] == pytest.approx(chosen.rate) == max(rates)
    assert all(np.diff(rates[:10]) > 0)
    assert all(np.diff(rates[10:]) < 0)


# --- checkpoints


def test_checkpoints_in_parts_come_back_whole_and_damage_is_told(tmp_path):
    state = {"net": {"a": torch.arange(1000.0)}, "step": 7}
    place = checkpoint.save(tmp_path, 7, state, part=0.001)
    assert len(list(place.glob("*.part"))) > 3
    assert torch.equal(checkpoint.load(tmp_path, 7)["net"]["a"], state["net"]["a"])
    part = place / "001.part"
    part.write_bytes(part.read_bytes()[::-1])
    with pytest.raises(DataError, match="checksum"):
        checkpoint.load(tmp_path, 7)
    part.unlink()
    with pytest.raises(DataError, match="part is missing"):
        checkpoint.load(tmp_path, 7)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"step": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        checkpoint.save(tmp_path, 2, {"step": 2})
    monkeypatch.undo()
    assert checkpoint.steps(tmp_path) == [1]
    assert checkpoint.load(tmp_path, 1) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["00000001"]


def test_weights_of_another_architecture_are_refused(tmp_path):
    net = network(replace(BASE, model="tiny"), 17)
    checkpoint.save_weights(tmp_path / "w.safetensors", net.state_dict(), {})
    with pytest.raises(
        DataError,
        match=r"of another architecture than SppeNet: 'logits\.weight' is \(17, 8, 1, 1\)",
    ):
        checkpoint.load_weights(
            tmp_path / "w.safetensors", network(replace(BASE, model="tiny"), 26)
        )
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(DataError, match="not a safetensors file"):
        checkpoint.load_weights(tmp_path / "text.safetensors", net)


# --- recipes


def test_recipes_take_settings_and_offer_the_nearest_name():
    chosen = recipe(
        "sppe-fast", ["batch=32", "rate=1e-3", "size=192x256", "data=a,b", "freeze_norm=true"]
    )
    assert (chosen.batch, chosen.rate, chosen.size, chosen.data) == (
        32,
        1e-3,
        (192, 256),
        ("a", "b"),
    )
    assert chosen.freeze_norm is True
    assert Recipe.from_json(chosen.to_json()) == chosen
    for settings, said in (
        (["bach=3"], "did you mean batch"),
        (["batch"], "expected key=value"),
        (["batch=many"], "expected a int"),
        (["size=wide"], "width x height"),
        (["freeze_norm=perhaps"], "expected a bool"),
    ):
        with pytest.raises(OptionError, match=said):
            recipe("sppe-fast", settings)
    with pytest.raises(OptionError, match="did you mean sppe-fast"):
        recipe("spe-fast")


# --- data


def labelled(folder: Path, count: int = 6) -> Dataset:
    """Pictures on disk with one person each, a bright spot at the nose."""
    pack = crops(count, side=160)
    for i, image in enumerate(pack.images):
        Image.fromarray(image).save(folder / f"{i}.png")
    pictures = tuple(Picture(f"{i}.png", i, 160, 160) for i in range(count))
    return Dataset(
        skeleton=COCO17,
        pictures=pictures,
        picture=np.arange(count),
        keypoints=pack.keypoints.astype(float),
        boxes=pack.boxes.astype(float),
        folder=folder,
        name="labelled",
    )


def brightest(image: np.ndarray) -> np.ndarray:
    grey = image[..., 0].astype(float)
    grey = np.where(grey > grey.max() / 2, grey, 0)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    return np.array([(x * grey).sum(), (y * grey).sum()]) / grey.sum()


def test_packed_pictures_keep_their_keypoints(tmp_path):
    data = labelled(tmp_path)
    (tmp_path / "3.png").write_bytes(b"broken")
    said: list[str] = []
    assert squares.pack_crops(data, tmp_path / "crops", size=128, least=10, say=said.append) == 5
    assert "3.png" in said[0]
    assert "1 of 6 pictures could not be read" in said[-1]
    assert squares.pack_pictures(data, tmp_path / "pictures", size=80, say=said.append) == 5
    for folder, side in (("crops", 128), ("pictures", 80)):
        pack = shards.load([tmp_path / folder])
        assert pack.images.shape == (5, side, side, 3)
        for i, image in enumerate(pack.images):
            spot = pack.keypoints[pack.picture == i][0, 0, :2]
            assert np.abs(brightest(image) - spot).max() < 1.0


def test_shards_are_small_and_all_of_one_kind(tmp_path):
    limit, random = 40_000, np.random.default_rng(0)
    writer = shards.Writer(tmp_path / "a", COCO17, limit=limit)
    for i in range(8):
        writer.add(random.integers(0, 255, (96, 96, 3), np.uint8), str(i), **NOBODY)
    writer.flush()
    sizes = [path.stat().st_size for path in (tmp_path / "a").glob("*.npz")]
    assert len(sizes) > 1
    assert max(sizes) <= limit
    pack = shards.load([tmp_path / "a"])
    assert pack.names == tuple(map(str, range(8)))
    other = shards.Writer(tmp_path / "b", COCO17)
    other.add(np.zeros((32, 32, 3), np.uint8), "x", **NOBODY)
    other.flush()
    with pytest.raises(DataError, match=r"32×32, those of .* 96×96: pack"):
        shards.load([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(OutputError, match="holds shards already"):
        shards.Writer(tmp_path / "a", COCO17)
    with pytest.raises(DataError, match="no shards"):
        shards.load([tmp_path / "nowhere"])
    (tmp_path / "b/000.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="not a shard"):
        shards.load([tmp_path / "b"])


def test_near_duplicates_of_what_is_judged_are_left_out(tmp_path):
    train, judged = tmp_path / "train", tmp_path / "judged"
    train.mkdir()
    judged.mkdir()
    random = np.random.default_rng(0)
    pictures = [
        np.kron(random.integers(0, 255, (8, 9, 3)), np.ones((20, 20, 1))).astype(np.uint8)
        for _ in range(5)
    ]
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(train / f"{i}.png")
    smaller = Image.fromarray(pictures[2]).resize((90, 80)).point(lambda v: v * 0.9)
    smaller.save(judged / "same.jpg", quality=60)
    data = replace(
        labelled(tmp_path), pictures=tuple(Picture(f"{i}.png", i) for i in range(5)), folder=train
    ).subset(range(5))
    kept, count = distill.without_leaks(data, [judged])
    assert count == 1
    assert [picture.name for picture in kept.pictures] == ["0.png", "1.png", "3.png", "4.png"]
    assert len(kept.picture) == 4
    (train / "3.png").write_bytes(
        b"broken"
    )  # stays for the packer, who names it; a missing one too
    (train / "4.png").unlink()
    assert [len(kept), count] == [4, 1]
    said = []
    again, count = distill.without_leaks(data, [judged])
    assert [picture.name for picture in again.pictures] == ["0.png", "1.png", "3.png", "4.png"]
    squares.pack_crops(again, tmp_path / "shards", say=said.append)
    assert sum("skipped:" in line for line in said) == 2
    assert "2 of 4 pictures could not be read" in said[-1]
    (judged / "same.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"same\.jpg: cannot be read"):
        distill.without_leaks(data, [judged])


def test_people_win_over_teachers_but_for_swaps_and_gross_errors():
    """One person of LSP, one teacher: an exchanged knee is exchanged back, an absurd wrist dropped,
    hips and face come from the teacher, and what both agree on is the person's.
    """
    lsp = np.zeros((1, 14, 3))
    teacher = np.zeros((1, 17, 3))
    teacher[..., 2] = 0.9
    for place, name in enumerate(COCO17.joints):
        left = name.startswith("left")
        teacher[0, place, :2] = [60 if left else 20, 10 + 6 * place]
    joints = {name: i for i, name in enumerate(LSP14.joints)}
    for name, place in joints.items():
        if name in COCO17.joints:
            lsp[0, place] = [*(teacher[0, COCO17.joints.index(name), :2] + 1.0), 1]
    a, b = joints["left_knee"], joints["right_knee"]
    lsp[0, [a, b]] = lsp[0, [b, a]]
    lsp[0, joints["left_wrist"], :2] = [500, 500]
    picture = (Picture("a.jpg", 1, 100, 120),)
    human = Dataset(
        skeleton=LSP14,
        pictures=picture,
        picture=np.zeros(1),
        keypoints=lsp,
        boxes=np.array([[0, 0, 90, 120]]),
    )
    known = Dataset(skeleton=COCO17, pictures=picture, picture=np.zeros(1), keypoints=teacher)
    merged, counts = distill.merge(human, known, distrust=("left_hip", "right_hip"))
    assert counts == {
        "people": 1,
        "known to the teacher": 1,
        "swapped": 2,
        "dropped": 1,
        "added": 7,
    }
    out = dict(zip(COCO17.joints, merged.keypoints[0], strict=True))
    assert out["left_wrist"][2] == 0
    assert out["left_knee"][0] == 61
    assert out["right_knee"][0] == 21
    assert out["left_hip"][:2].tolist() == [60, 10 + 6 * COCO17.joints.index("left_hip")]
    assert out["left_elbow"][:2].tolist() == [61, 11 + 6 * COCO17.joints.index("left_elbow")]
    assert out["nose"][2] == 0.9


def test_teachers_that_agree_are_believed_and_others_less():
    views = [
        People(np.full((1, 17, 3), [50.0 + dx, 40.0, 0.8]), [[0, 0, 100, 100]], [1.0], COCO17)
        for dx in (-1, 1)
    ]
    far = [
        People(np.full((1, 17, 3), [50.0 + dx, 40.0, 0.8]), [[0, 0, 100, 100]], [1.0], COCO17)
        for dx in (-30, 30)
    ]
    boxes = People.from_boxes([[0, 0, 100, 100]])
    close, apart = teachers.combined(views, boxes), teachers.combined(far, boxes)
    assert np.allclose(close.keypoints[..., :2], [50, 40], atol=1e-3)
    assert close.keypoints[0, 5, 2] > 0.75
    assert apart.keypoints[0, 5, 2] < 0.2
    assert (
        len(teachers.combined([People.empty(COCO17)] * 2, People.from_boxes(np.zeros((0, 4))))) == 0
    )


# --- export


@pytest.mark.filterwarnings("ignore")
def test_an_exported_sppe_is_the_trained_one_and_runs_as_any_other(tmp_path):
    run(tmp_path / "run", steps=3)
    difference = export.export(tmp_path / "run/last.safetensors", tmp_path / "net.onnx")
    assert difference <= agreement.CLOSE
    sppe = load_sppe(
        tmp_path / "net.onnx",
        skeleton="coco-17",
        codec="heatmap,sigma=1.5",
        input_size=SIZE,
        normalise="imagenet",
    )
    pack = crops(3)
    people = [People.from_boxes(pack.boxes[i : i + 1]) for i in range(3)]
    together = sppe(list(pack.images), people)
    chosen, net = export.load(tmp_path / "run/last.safetensors")
    assert len(together) == 3
    with torch.no_grad():
        matrices = geometry.crop_matrices(pack.boxes, SIZE, sppe.look.padding)
        images = augment.warp(
            torch.from_numpy(pack.images), torch.from_numpy(matrices).float(), SIZE
        )
        decoded = Heatmap(SIZE, 4, chosen.sigma, "centre").decode(
            [MODELS["tiny"].answers(net, augment.normalised(images))[0].numpy()]
        )
    expected = geometry.transform(geometry.invert(matrices), decoded)
    for i, found in enumerate(together):
        likely = found.keypoints[0, :, 2] > 0
        assert np.abs(found.keypoints[0, likely, :2] - expected[i, likely, :2]).max() < 3.0
    checkpoint.save_weights(tmp_path / "x.safetensors", net.state_dict(), {})
    with pytest.raises(DataError, match="which recipe"):
        export.load(tmp_path / "x.safetensors")
    assert json.loads(chosen.to_json())["model"] == "tiny"


# --- the commands


def test_from_pictures_to_shards_by_the_commands(shared, tmp_path, monkeypatch, capsys):
    """Two teachers (one detector at two sizes) label pictures, the labels are packed, the judged
    ones left out.
    """
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(shared / "weights"))
    pictures = sorted((shared / "data/coco_train/images").iterdir())[:4]

    def command(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["everybody", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0)

    sizes = ("--det-size", 320, "--det-size", 416)
    assert (
        command("label", *pictures, "-o", tmp_path / "labels", *sizes, "--paddings", "1.15,1.3")
        == 0
    )
    labels = read(tmp_path / "labels")
    assert len(labels) == 4
    assert len(labels.picture) >= 2
    judged = tmp_path / "judged"
    judged.mkdir()
    (judged / pictures[0].name).write_bytes(pictures[0].read_bytes())
    assert (
        command(
            "pack", tmp_path / "labels", "-o", tmp_path / "shards", "--pictures", "--avoid", judged
        )
        == 0
    )
    assert "1 pictures left out" in capsys.readouterr().err
    pack = shards.load([tmp_path / "shards"])
    assert len(pack) == 3
    assert not any(pictures[0].name in name for name in pack.names)
    assert command("pack", tmp_path / "nothing", "-o", tmp_path / "x") == 1
    assert command("train", "sppe-fast", "-o", tmp_path / "run") == 1
    assert command("train", "sppe-fast", "-d", tmp_path / "shards", "-o", tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "nothing" in said
    assert "--data FOLDER of shards" in said


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("joints", [5, 17])
def test_mixed_weights_lie_between_the_start_and_what_was_learnt(tmp_path, joints):
    before, after = (tinypose.TinyPoseNet(joints) for _ in range(2))
    checkpoint.save_weights(tmp_path / "before.safetensors", before.state_dict(), {})
    chosen = replace(
        recipe("tinypose-128"), size=(64, 64), start=str(tmp_path / "before.safetensors")
    )
    checkpoint.save_weights(
        tmp_path / "after.safetensors", after.state_dict(), {"recipe": chosen.to_json()}
    )
    export.export(tmp_path / "after.safetensors", tmp_path / "net.onnx", mix=0.25)
    found = tinypose.TinyPoseNet(joints)
    checkpoint.load_weights(tmp_path / "net.onnx", found, TINYPOSE)
    for name, value in found.state_dict().items():
        wanted = 0.75 * before.state_dict()[name] + 0.25 * after.state_dict()[name]
        assert torch.allclose(value, wanted, atol=1e-6)
    nothing = replace(chosen, start="")
    checkpoint.save_weights(
        tmp_path / "after.safetensors", after.state_dict(), {"recipe": nothing.to_json()}
    )
    with pytest.raises(DataError, match="started from scratch"):
        export.export(tmp_path / "after.safetensors", tmp_path / "net.onnx", mix=0.25)


@pytest.mark.filterwarnings("ignore")
def test_half_is_half_as_large_and_says_the_same(tmp_path):
    chosen = replace(STILL, model="sppe-fast", size=(48, 64))
    checkpoint.save_weights(
        tmp_path / "w.safetensors", network(chosen, 17).state_dict(), {"recipe": chosen.to_json()}
    )
    whole, small = tmp_path / "whole.onnx", tmp_path / "half.onnx"
    export.export(tmp_path / "w.safetensors", whole)
    compress.halve(whole, small)
    assert small.stat().st_size < 0.55 * whole.stat().st_size
    image = torch.randn(3, 3, 64, 48, generator=rng()).numpy()
    for engine in set(runtime.engines()) - {"litert"}:  # which runs no ONNX files
        wanted, found = (
            runtime.load(path, device="cpu", engine=engine)(image)[0] for path in (whole, small)
        )
        assert np.abs(wanted - found).max() < 0.01 * np.abs(wanted).max()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["pose", "detector", "turn"])
def test_int8_is_smaller_and_says_nearly_the_same(tmp_path, task):
    """On the pictures it was calibrated on, a network of random weights loses little of its
    outputs' range.
    """
    model, size = {
        "pose": ("sppe-fast", (48, 64)),
        "detector": ("detector-fast", (64, 64)),
        "turn": ("turn", (64, 64)),
    }[task]
    chosen = replace(STILL, model=model, size=size)
    net = network(chosen, 17)
    checkpoint.save_weights(
        tmp_path / "w.safetensors", net.state_dict(), {"recipe": chosen.to_json()}
    )
    writer = shards.Writer(tmp_path / "shards", COCO17)
    pack = crops(24)
    more = {"turns": np.ones((1, 4), np.float32)} if task == "turn" else {}
    for i, image in enumerate(pack.images):
        writer.add(image, pack.names[i], **person(pack, i), **more)
    writer.flush()
    whole, small = tmp_path / "whole.onnx", tmp_path / "int8.onnx"
    export.export(tmp_path / "w.safetensors", whole)
    batches = list(compress.calibration(tmp_path / "w.safetensors", [tmp_path / "shards"]))
    compress.quantise(whole, small, iter(batches))
    assert small.stat().st_size < 0.5 * whole.stat().st_size
    wanted, found = (runtime.load(path, device="cpu")(batches[0]) for path in (whole, small))
    for a, b in zip(wanted, found, strict=True):
        assert np.abs(a - b).max() < 0.2 * np.ptp(a) + 1e-3
        assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--int8", "small.onnx"], "--int8 needs pictures to calibrate on"),
        (["--int8", "small.onnx", "--data", "nowhere"], r"nowhere: no shards"),
        (["--data", "nowhere"], "--data is for --int8, which is not given"),
    ],
)
def test_export_refuses_what_int8_lacks_before_it_writes_anything(tmp_path, flags, said):
    net = network(STILL, 17)
    weights, out = tmp_path / "w.safetensors", tmp_path / "whole.onnx"
    checkpoint.save_weights(weights, net.state_dict(), {"recipe": STILL.to_json()})
    outcome = CliRunner().invoke(app, ["export", str(weights), str(out), *flags])
    assert isinstance(outcome.exception, EverybodyError)
    assert re.search(said, str(outcome.exception))
    assert not out.exists()
