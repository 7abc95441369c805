"""YOLOX: as published, by numbers, by law; which cells answer for whom."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody import runtime  # noqa: E402
from everybody.codecs import YoloxBoxes  # noqa: E402
from everybody.errors import ModelError  # noqa: E402
from everybody.models import MODELS, yolox  # noqa: E402
from everybody.models.one_stage_losses import (  # noqa: E402
    NOBODY,
    assigned,
    yolox_losses,
)
from everybody.models.suppression import overlap  # noqa: E402
from everybody.models.yolox import YoloxDetector, YoloxNet  # noqa: E402
from everybody.skeletons import COCO17  # noqa: E402
from everybody.train import agreement, checkpoint, export  # noqa: E402
from everybody.train.about import About  # noqa: E402
from everybody.train.recipes import recipe  # noqa: E402
from everybody.weights import fetch  # noqa: E402
from tests import golden, network_laws  # noqa: E402
from tests.one_stage_scene import scene, total  # noqa: E402

TINY = {"width": 8, "inner": 16, "maps": 32, "group": 2, "pose": 16, "encoder": 32, "most": 20}
SIGMAS = torch.tensor(COCO17.sigmas)


def test_yolox_says_what_the_published_one_says():
    net = YoloxNet(**yolox.VARIANTS["yolox-nano"]).eval()
    net.load_state_dict(golden.state("yolox_nano"))
    with torch.no_grad():
        said = net(golden.image("yolox_nano"))
        boxes, grid = yolox.boxes(said, (416, 416)), net.answer(said)
        golden.check("yolox_nano", {"out": torch.cat([boxes, grid[..., 4:]], 2)})
    ((_, found, scores),) = YoloxBoxes(offset=0.0).decode([grid.numpy()], (416, 416))
    centre, half = boxes[0, :, :2], boxes[0, :, 2:] / 2
    corners = torch.cat([centre - half, centre + half], 1)
    torch.testing.assert_close(torch.from_numpy(found).float(), corners, rtol=1e-4, atol=1e-2)
    assert scores.shape == (3549,)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("yolox-tiny", 5_055_855), ("yolox-s", 8_968_255), ("yolox-m", 25_326_495)],
)
def test_other_sizes_of_yolox_have_the_published_numbers(name, parameters):
    net = YoloxNet(**yolox.VARIANTS[name])
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_yolox_keeps_the_laws_of_networks(tmp_path):
    torch.manual_seed(0)
    net = YoloxNet(width=8, classes=2)
    images = torch.randn(2, 3, 64, 96)
    network_laws.every_parameter_learns(net, images, lambda said: said.square().sum())
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx")


def test_a_detector_starts_as_the_file_that_it_is_read_from():
    """The bundled file, which holds half precision, and the network with its numbers agree; with
    fewer categories, those that both know by name.
    """
    row = fetch.row("yolox-nano-animals")
    path = fetch.resolve(row)
    net = YoloxDetector(80, **yolox.VARIANTS["yolox-nano"]).eval()
    net.load_state_dict(net.from_onnx(path))
    pixels = 255 * torch.rand(1, 3, 416, 416, generator=torch.Generator().manual_seed(0))
    (grid,) = runtime.load(path, device="cpu", engine="onnxruntime")(pixels.numpy())
    with torch.no_grad():
        logits, boxes = net((pixels.flip(1) - net.mean) / net.std)
    wanted = torch.from_numpy(grid[..., 4:5] * grid[..., 5:])
    torch.testing.assert_close(logits.sigmoid(), wanted, rtol=1e-3, atol=1e-5)
    ((_, found, _),) = YoloxBoxes(offset=0.0).decode([grid], (416, 416))
    torch.testing.assert_close(boxes[0], torch.from_numpy(found).float(), rtol=1e-3, atol=0.05)

    names = checkpoint.spoken(path, MODELS["yolox-nano"])
    assert len(names) == 80
    assert names[16] == "dog"
    own = ("cow", "lorry", "dog")
    few = MODELS["yolox-nano"].build(3, None).eval()
    checkpoint.start("yolox-nano-animals", few, MODELS["yolox-nano"], speaks_of=own)
    with torch.no_grad():
        some, same = few((pixels.flip(1) - net.mean) / net.std)
    torch.testing.assert_close(some[..., 0], logits[..., 19])
    torch.testing.assert_close(some[..., 2], logits[..., 16])
    assert torch.equal(same, boxes)


def test_a_detector_keeps_the_laws_of_networks():
    torch.manual_seed(0)
    net = YoloxDetector(2, width=8)
    images = torch.randn(2, 3, 64, 96)
    network_laws.every_parameter_learns(net, images, lambda said: said[0].sum() + said[1].sum())
    network_laws.batched_equals_single(net, images)


@pytest.mark.slow
def test_an_exported_detector_can_be_started_from_again(tmp_path):
    """The file has the normalisation folded away; its boxes are those of `picodet`."""
    model, about = MODELS["yolox-nano"], About(COCO17, ("cow", "dog"))
    net = model.build(2, None).eval()
    checkpoint.start("yolox-nano-animals", net, model, speaks_of=about.categories)
    said = {"recipe": recipe("custom-detector").to_json()} | about.to_dict()
    checkpoint.save_weights(tmp_path / "w.safetensors", net.state_dict(), said)
    assert export.export(tmp_path / "w.safetensors", tmp_path / "net.onnx") < agreement.CLOSE
    assert checkpoint.spoken(tmp_path / "net.onnx", model) == ("cow", "dog")
    again = model.build(2, None).eval()
    checkpoint.start(str(tmp_path / "net.onnx"), again, model, speaks_of=about.categories)
    image = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        for ours, theirs in zip(again(image), net(image), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_files_of_other_networks_are_refused():
    net = YoloxDetector(80, **yolox.VARIANTS["yolox-nano"])
    with pytest.raises(ModelError, match="convolutions, YOLOX 113"):
        net.from_onnx(fetch.resolve(fetch.row("everybody-detector")))
    other = YoloxDetector(80, **yolox.VARIANTS["yolox-nano"] | {"width": 8})
    with pytest.raises(ModelError, match="a convolution is"):
        other.from_onnx(fetch.resolve(fetch.row("yolox-nano-animals")))


def test_cells_answer_for_the_people_they_describe():
    """Two people side by side: cells within each, as many as their likenesses add up to."""
    at = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="xy"), 2)
    at = at.reshape(-1, 2) * 16 + 7.5
    strides, logits = torch.full((64,), 16.0), torch.zeros(64)
    boxes = torch.tensor([[0.0, 0, 60, 120], [64, 0, 127, 127]])
    likeness = torch.full((64, 2), 0.3)
    owner = assigned(logits, likeness, at, strides, boxes)
    assert sorted(owner[owner >= 0].tolist()) == [0] * 3 + [1] * 3
    for person in (0, 1):
        mine = at[owner == person]
        assert ((mine > boxes[person, :2]) & (mine < boxes[person, 2:])).all()

    order = torch.tensor([1, 0])
    swapped = assigned(logits, likeness[:, order], at, strides, boxes[order])
    assert (swapped >= 0).sum() == 6
    nobody = assigned(logits, likeness[:, :0], at, strides, boxes[:0])
    assert (nobody == NOBODY).all()
    outside = assigned(logits, likeness[:, :1], at, strides, torch.tensor([[900.0, 0, 950, 9]]))
    assert (outside == NOBODY).all()


def test_yolox_learns_two_pictures_by_heart():
    torch.manual_seed(0)
    net, (image, truth) = YoloxNet(width=8, separable=True, classes=1).train(), scene()
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(80):
        losses = yolox_losses(net(image), (96, 128), truth)
        optimiser.zero_grad()
        total(losses, boxes=5).backward()
        optimiser.step()
    with torch.no_grad():
        said = net(image)
        centre, sides = yolox.boxes(said, (96, 128)).split(2, 2)
    scores = said[..., 4].sigmoid()
    assert scores[0].max() > 0.5 > scores[1].max()
    boxes = torch.cat([centre - sides / 2, centre + sides / 2], 2)[0, scores[0] > 0.5]
    assert (overlap(truth[0].boxes, boxes).max(1).values > 0.7).all()
