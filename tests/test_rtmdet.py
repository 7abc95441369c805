"""RTMDet as ours: the public numbers give the public answers; what it is taught with, by law."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody import geometry  # noqa: E402
from everybody.data.dataset import Dataset, Picture  # noqa: E402
from everybody.errors import DataError, ModelError, OptionError  # noqa: E402
from everybody.methods.detector import Detector  # noqa: E402
from everybody.models import MODELS  # noqa: E402
from everybody.models.detector import cells_of  # noqa: E402
from everybody.models.rtmdet import Pool, RTMDet  # noqa: E402
from everybody.skeletons import ANIMAL20, COCO17, LSP14  # noqa: E402
from everybody.train import (  # noqa: E402
    agreement,
    augment,
    checkpoint,
    detect,
    distill,
    equivariant,
    export,
    loop,
    parameters,
    relative,
    shards,
    squares,
)
from everybody.train.recipe import UNCHANGED  # noqa: E402
from everybody.train.recipes import RECIPES  # noqa: E402
from everybody.train.tasks import network  # noqa: E402

from .loaded import load_detector  # noqa: E402

RECIPE = RECIPES["rtmdet-nano"]
ROW = MODELS["rtmdet-nano"]


@pytest.fixture(scope="module")
def public(request) -> Path:
    path = Path(__file__).resolve().parents[2] / "shared/weights/rtmdet-nano-person.onnx"
    if not path.is_file():
        pytest.skip("needs ../shared/weights/rtmdet-nano-person.onnx")
    return path


# --- the network


def test_the_public_numbers_give_the_public_answers(public, tmp_path):
    """Logits and boxes before duplicates are suppressed, on noise of two shapes, within 1e-3."""
    import onnx
    import onnxruntime

    model = onnx.load(public)
    for name in ("onnx::Sigmoid_1402", "y.24"):  # what goes into the sigmoid, and all boxes
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    net = network(RECIPE).eval()
    checkpoint.load_weights(public, net, ROW)
    for height, width in ((96, 128), (160, 64)):
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        logits, boxes = map(
            np.asarray,
            session.run(["onnx::Sigmoid_1402", "y.24"], {"input": image.flip(1).numpy()}),
        )  # BGR
        with torch.no_grad():
            ours = net(image)
        assert np.abs(logits - ours[0].numpy()).max() < 1e-3
        assert np.abs(boxes - ours[1].numpy()).max() < 1e-3


def test_the_export_finds_what_the_public_file_finds_also_many_at_once(public, shared, tmp_path):
    """Start, save, export, run: the same people as the public file, on pictures of two shapes, in
    one call.
    """
    chosen = replace(RECIPE, size=(96, 96))
    net = network(chosen)
    checkpoint.load_weights(public, net, ROW)
    checkpoint.save_weights(
        tmp_path / "w.safetensors", net.state_dict(), {"recipe": chosen.to_json()}
    )
    assert export.export(tmp_path / "w.safetensors", tmp_path / "w.onnx") <= agreement.CLOSE
    images = [
        np.array(Image.open(path))
        for path in sorted((shared / "data/coco_train/images").iterdir())[:4]
    ]
    ours = load_detector(tmp_path / "w.onnx")
    assert (ours.input.size, ours.input.resize, ours.input.mean) == (
        (416, 416),
        "letterbox",
        augment.MEAN,
    )
    ours = replace(ours, input=replace(ours.input, size=(256, 256)), tight=False)
    theirs = load_detector(public, size=(256, 256))
    found, single = ours(images), replace(theirs, tight=False)
    assert sum(map(len, found)) >= 4
    for image, people in zip(images, found, strict=True):
        (wanted,) = single([image])
        sure = wanted[wanted.scores > 0.4]
        best = geometry.iou(sure.boxes, people.boxes).max(1, initial=0)
        assert (best > 0.97).all()
    assert isinstance(ours, Detector)
    assert ours.batches


def test_files_to_start_from_are_told_apart(public, tmp_path):
    with pytest.raises(DataError, match="DetectorNet starts from safetensors"):
        checkpoint.load_weights(public, network(RECIPES["detector-fast"]))
    with pytest.raises(ModelError, match=r"has \d+ weights and biases, RTMDet \d+"):
        checkpoint.load_weights(public, RTMDet(depths=(1, 1, 1, 1)), ROW)
    with pytest.raises(ModelError, match=r"'stem\.0\.0\.weight'"):
        checkpoint.load_weights(public, RTMDet(width=8), ROW)
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="not an ONNX file"):
        checkpoint.load_weights(tmp_path / "text.onnx", network(RECIPE), ROW)
    with pytest.raises(ModelError, match="not an ONNX file"):
        checkpoint.load_weights(tmp_path / "nothing.onnx", network(RECIPE), ROW)


def test_three_small_pools_are_the_large_ones():
    x = torch.randn(1, 8, 20, 20)
    pool = Pool(8)
    narrow = pool.narrow(x)
    large = [torch.nn.functional.max_pool2d(narrow, size, 1, size // 2) for size in (5, 9, 13)]
    assert torch.equal(pool(x), pool.join(torch.cat([narrow, *large], 1)))


def test_frozen_parts_stay_as_they_were_and_the_others_learn(tmp_path):
    chosen = replace(
        RECIPE, start="", size=(64, 64), steps=2, batch=2, warmup=1, held_back=0.4, freeze=("stem",)
    )
    task = detect.DetectorTask(chosen, scene(8, 64))
    before = {name: value.clone() for name, value in task.net.state_dict().items()}
    loop.train(chosen, task, tmp_path)
    after = task.net.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert not any(name.startswith("stem.") for name in changed)
    assert any(name.startswith("stages.") for name in changed)
    with pytest.raises(OptionError, match="no such part; it has stem, stages"):
        parameters.freeze(task.net, ["stam"])


# --- what it learns from


def scene(count: int, side: int) -> shards.Pack:
    """Dark squares, a bright ellipse in each: the person."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    images, boxes = np.full((count, side, side, 3), 50, np.uint8), np.zeros((count, 4), np.float32)
    for image, box in zip(images, boxes, strict=True):
        cx, cy = random.uniform(0.4 * side, 0.6 * side, 2)
        a, b = random.uniform(0.08, 0.25, 2) * side
        image[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1] = 220
        box[:] = cx - a, cy - b, cx + a, cy + b
    return shards.Pack(
        images=images,
        picture=np.arange(count),
        boxes=boxes,
        keypoints=np.zeros((count, 17, 3), np.float32),
        ignored=np.zeros(count, bool),
        names=tuple(f"s/{i}.jpg" for i in range(count)),
        skeleton=COCO17,
    )


def test_boxes_turn_with_their_pictures_by_any_angle():
    """Without joints the box is that of the turned ellipse, which here is the person: edge to edge
    within a pixel.
    """
    task = detect.DetectorTask(
        replace(
            RECIPE, **UNCHANGED | {"anywhere": 1.0}, size=(192, 192), padding=1.0, held_back=0.2
        ),
        scene(30, 192),
    )
    images, boxes, real, *_ = task.augmented(
        torch.arange(len(task)), torch.Generator().manual_seed(0)
    )
    assert real.all()
    for image, box in zip(images, boxes[:, 0], strict=True):
        y, x = torch.nonzero(image[0] > 135, as_tuple=True)
        edges = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()
        assert (edges - box).abs().max() < 1.6


def test_shares_of_angles_are_those_asked_for():
    found = augment.angles(
        20_000, near=5, anywhere=0.2, quarters=0.5, rng=torch.Generator().manual_seed(0)
    )
    turns = found / (math.pi / 2)
    exact = (turns - turns.round()).abs() < 1e-6
    assert (exact & (turns.round() > 0)).float().mean().item() == pytest.approx(0.4, abs=0.02)
    for quarter in (1, 2, 3):
        assert (exact & (turns.round() == quarter)).float().mean().item() == pytest.approx(
            0.4 / 3, abs=0.02
        )
    upright = (found.abs() <= math.radians(10) + 1e-6).float().mean().item()
    assert upright == pytest.approx(0.4 + 0.2 * 20 / 360, abs=0.02)


def dataset(boxes, scores: Any = None, keypoints=None, picture=None, **rest) -> Dataset:
    boxes = np.array(boxes, float).reshape(-1, 4)
    keypoints = np.zeros((len(boxes), 17, 3)) if keypoints is None else keypoints
    picture = np.zeros(len(boxes), int) if picture is None else np.array(picture)
    rest = {
        "skeleton": COCO17,
        "pictures": (Picture("a.jpg", 1, 200, 200), Picture("b.jpg", 2, 200, 200)),
    } | rest
    return Dataset(picture=picture, boxes=boxes, scores=scores, keypoints=keypoints, **rest)


def test_unsure_and_doubled_people_are_neither_to_find_nor_false():
    found = [[0, 0, 50, 100], [4, 4, 52, 100], [100, 0, 150, 100], [100, 110, 150, 190]]
    labels = distill.certain(dataset(found, [0.9, 0.8, 0.4, 0.6]), 0.5)
    assert labels.ignored.tolist() == [False, True, True, False]
    people = distill.certain(dataset(found[:2], [1.0, 1.0]), 0.5)
    assert not people.ignored.any()  # what people labelled stands, however close
    assert distill.certain(dataset([], []), 0.5).ignored.shape == (0,)


def test_people_and_whom_the_teacher_sees_besides():
    """A labelled box stands; the extent of joints becomes the teacher's box, or grows; others keep
    their scores.
    """
    teacher = dataset(
        [[10, 10, 60, 110], [100, 10, 150, 110], [0, 0, 50, 50]],
        [0.9, 0.8, 0.7],
        picture=[0, 0, 1],
        folder=Path("x"),
    )
    human = dataset([[12, 12, 60, 112], [150, 150, 190, 190]], picture=[0, 1])
    both = distill.with_others(human, teacher)
    assert both.boxes[:2].tolist() == human.boxes.tolist()
    assert both.boxes[2:].tolist() == [[100, 10, 150, 110], [0, 0, 50, 50]]
    assert both.picture.tolist() == [0, 1, 0, 1]
    assert both.scores.tolist() == [1, 1, 0.8, 0.7]

    joints = np.zeros((2, 14, 3))
    joints[0, :2] = [[15, 20, 2], [55, 105, 2]]
    joints[1, :2] = [[100, 100, 2], [120, 180, 2]]
    lsp = Dataset(
        skeleton=LSP14, pictures=human.pictures, picture=np.array([0, 1]), keypoints=joints
    )
    both = distill.with_others(lsp, teacher)
    assert both.boxes[0].tolist() == [10, 10, 60, 110]
    assert both.boxes[1].tolist() == [96, 96, 124, 184]
    assert len(both.picture) == 4


def test_pictures_share_a_square_each_with_its_people(tmp_path):
    random = np.random.default_rng(1)
    pictures, boxes = [], []
    for number in range(5):
        image = np.full((60, 80 + number, 3), 40, np.uint8)
        x, y = random.integers(5, 30, 2)
        image[y : y + 20, x : x + 12] = 230
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        pictures.append(Picture(f"{number}.png", number + 1))
        boxes.append([x - 0.5, y - 0.5, x + 11.5, y + 19.5])
    data = dataset(
        boxes,
        picture=np.arange(5),
        pictures=tuple(pictures),
        folder=tmp_path,
        ignored=np.zeros(5, bool),
    )
    assert squares.pack_pictures(data, tmp_path / "out", size=200, grid=2) == 2
    pack = shards.load([tmp_path / "out"])
    assert pack.picture.tolist() == [0, 0, 0, 0, 1]
    for picture, (x0, y0, x1, y1) in zip(pack.picture, pack.boxes.round(3) + 0.5, strict=True):
        inside = pack.images[picture, int(y0) : int(y1), int(x0) : int(x1), 0]
        assert inside.shape == (20, 12)
        assert np.median(inside) > 200
    assert (pack.images[..., 0] > 180).sum() == pytest.approx(5 * 20 * 12, rel=0.1)


def test_a_folder_of_pictures_without_anybody(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    data = distill.certain(distill.nobody(tmp_path), 0.5)
    assert (len(data), len(data.picture)) == (2, 0)
    assert squares.pack_pictures(data, tmp_path / "out", size=64) == 2
    pack = shards.load([tmp_path / "out"])
    names = [f"n/{number}.jpg" for number in range(40)]
    back = shards.held_back(names, 0.5)
    pack = replace(
        pack, names=(names[back.argmin()], names[back.argmax()])
    )  # one to learn from, one held back
    task = detect.DetectorTask(replace(RECIPE, size=(64, 64), held_back=0.5), pack)
    loss, weight = task.loss(task.net, torch.arange(len(task)), torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)
    assert weight == 1
    with pytest.raises(DataError, match="no pictures here"):
        distill.nobody(tmp_path / "out")


def test_pictures_of_nobody_are_of_no_category_and_of_any_joints(tmp_path):
    """Backgrounds teach a detector of animals nothing but that nothing is there."""
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    writer = shards.Writer(tmp_path / "cows", ANIMAL20, ("cow", "dog"))
    writer.add(
        np.zeros((64, 64, 3), np.uint8),
        "set/b.png",
        keypoints=np.ones((1, len(ANIMAL20), 3), np.float32),
        boxes=np.array([[2, 2, 40, 40]], np.float32),
        ignored=np.zeros(1, bool),
        kinds=np.ones(1, np.int64),
    )
    writer.flush()
    squares.pack_pictures(distill.nobody(tmp_path, ANIMAL20), tmp_path / "none", size=64)
    for folders in (("none", "cows"), ("cows", "none")):
        pack = shards.load([tmp_path / name for name in folders])
        assert (len(pack), pack.categories, pack.kinds.tolist()) == (2, ("cow", "dog"), [1])
    assert shards.load([tmp_path / "none"]).categories == ("person",)


def test_relative_steps_do_not_mind_the_size_of_a_channel():
    """A channel a hundred times as large whose output is divided by a hundred goes the same way."""
    x, wanted = torch.randn(64, 5), torch.randn(64, 3)
    start, factor = torch.randn(3, 5), torch.tensor([[1.0], [100.0], [0.01]])
    ways = []
    for size in (torch.ones(3, 1), factor):
        weight = torch.nn.Parameter(start * size)
        optimiser = relative.RelativeAdamW([weight], lr=0.02, weight_decay=0.0, eps=1e-14)
        for _ in range(30):
            optimiser.zero_grad()
            (x @ (weight / size).T - wanted).square().mean().backward()
            optimiser.step()
        ways.append(weight.detach() / size)
    assert torch.allclose(*ways, rtol=1e-3, atol=1e-4)
    assert (ways[0] - start).abs().max() > 0.1


# --- a teacher that sees upright, a network that learns to see turned


class Sees(torch.nn.Module):
    """A detector that is equivariant by nature: a cell is as sure as the picture is bright where it
    counts from, and its box lies around that place, twice as high as it is wide.
    """

    MIDDLE = 0.0

    def forward(self, image):
        side = image.shape[2]
        at = cells_of((side, side), image.device, 0.0)
        grid = (at / side * 2 - 1).expand(len(image), 1, -1, 2)
        bright = torch.nn.functional.grid_sample(
            image[:, :1], grid, align_corners=False, padding_mode="border"
        )[:, 0, 0]
        half = torch.tensor([8.0, 16.0]).expand(len(image), len(at), 2)
        return (bright - 0.5)[..., None], torch.cat([at - half, at + half], 2)


def equivariant_task(**changes) -> equivariant.EquivariantTask:
    task = equivariant.EquivariantTask(
        replace(RECIPE, size=(64, 64), held_back=0.3, start="x", **changes), scene(10, 64)
    )
    task._teacher = task.net = Sees()
    return task


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_what_is_taught_of_a_turned_picture_is_what_was_seen_upright(quarter, monkeypatch):
    """For a teacher who sees all turns alike, the answers carried over are its answers to the
    turned picture: scores everywhere, boxes turned with it. (Without asking it about the turned
    picture.)
    """
    monkeypatch.setattr(equivariant, "SURE", 2.0)
    task = equivariant_task()
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    smooth = 120 + 60 * torch.sin(x / 9) + 50 * torch.cos(y / 13 + x / 30)
    seen = smooth.expand(2, 3, 64, 64)
    shown = torch.rot90(seen, -quarter, (2, 3))  # clockwise
    angle = torch.full((2,), quarter * math.pi / 2)
    score, boxes, known = task.taught(seen, shown, angle, augment.rotations_about(angle, 64, 64))
    logits, wanted = task.teacher(augment.normalised(shown))
    assert known.float().mean() > (0.99 if quarter == 0 else 0.6)
    assert (score - logits[..., 0].sigmoid())[known].abs().max() < 0.02
    if quarter % 2:  # the boxes that were high lie now
        middle, half = (
            (wanted[..., :2] + wanted[..., 2:]) / 2,
            (wanted[..., 2:] - wanted[..., :2]) / 2,
        )
        wanted = torch.cat([middle - half.flip(-1), middle + half.flip(-1)], 2)
    assert (boxes - wanted)[known].abs().max() < 1e-3


def test_who_lies_in_the_picture_stands_in_the_turned_one(monkeypatch):
    """Where the teacher is sure of the turned picture itself, its answer there counts."""
    task = equivariant_task()
    dark, bright = torch.zeros(1, 3, 64, 64), torch.full((1, 3, 64, 64), 255.0)
    angle = torch.tensor([math.pi])
    about = augment.rotations_about(angle, 64, 64)
    score, _, known = task.taught(dark, bright, angle, about)
    assert known.all()
    assert (score > 0.5).all()
    score, _, _ = task.taught(bright, dark, angle, about)
    assert (score > 0.5).float().mean() > 0.6  # what it saw upright stays


def test_imitation_costs_nothing_where_both_agree_and_nowhere_that_is_unknown():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 30, generator=random)
    corner = torch.rand(2, 30, 2, generator=random) * 50
    boxes = torch.cat([corner, corner + 20], 2)
    every = torch.ones(2, 30, dtype=torch.bool)
    loss, weight = equivariant.imitation(logits, boxes, logits.sigmoid(), boxes, every)
    assert loss.abs() < 1e-4
    assert weight > 1
    worse, _ = equivariant.imitation(logits + 1, boxes + 3, logits.sigmoid(), boxes, every)
    assert worse > 1
    nothing, weight = equivariant.imitation(logits + 1, boxes + 3, logits.sigmoid(), boxes, ~every)
    assert (nothing, weight) == (0, 1)


def test_the_start_agrees_with_itself_upright_and_nobody_is_taught_where_nobody_is_labelled(public):
    still = dict.fromkeys(("colour", "blur", "jpeg", "anywhere", "quarters"), 0.0)
    task = equivariant.EquivariantTask(
        replace(RECIPE, size=(64, 64), held_back=0.3, start=str(public), **still), scene(10, 64)
    )
    checkpoint.load_weights(public, task.net, ROW)
    rows, rng = torch.arange(4), torch.Generator().manual_seed(0)
    loss, _ = task.loss(task.net, rows, rng)
    assert loss.abs() < 1e-3
    task.counts = torch.zeros_like(task.counts)
    loss, weight = task.loss(task.net, rows, rng)
    assert weight == 1
    assert loss > 1e-3
