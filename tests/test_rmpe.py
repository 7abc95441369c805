"""RMPE, by law: what goes into the region comes back, θ is always invertible, and who learns from
what.
"""

from __future__ import annotations

import copy
import json
import math
import warnings
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody import geometry  # noqa: E402
from everybody.codecs import Heatmap  # noqa: E402
from everybody.errors import DataError, ModelError, OptionError  # noqa: E402
from everybody.inputs import crop, normalise  # noqa: E402
from everybody.methods.sstn import open_sstn  # noqa: E402
from everybody.models import MODELS, affine, rmpe, sppe  # noqa: E402
from everybody.models import turn_net as turn  # noqa: E402
from everybody.options import Engine  # noqa: E402
from everybody.people import People  # noqa: E402
from everybody.skeletons import COCO17  # noqa: E402
from everybody.train import (  # noqa: E402
    agreement,
    augment,
    checkpoint,
    compress,
    export,
    log,
    loop,
    shards,
)
from everybody.train.pose import PoseTask  # noqa: E402
from everybody.train.recipe import UNCHANGED  # noqa: E402
from everybody.train.recipes import recipe  # noqa: E402
from everybody.train.regions import Regions  # noqa: E402
from everybody.train.rmpe import RmpeTask, SstnTask  # noqa: E402
from everybody.train.tasks import network  # noqa: E402
from synthetic import nets  # noqa: E402

from .loaded import load_sppe  # noqa: E402

REGION, CROP = (96, 128), (120, 160)
ASPECT = 3 / 4
TINY = {"width": 8, "head": 8, "depths": (1, 1, 1, 1)}
SEEN = replace(
    recipe("rmpe-sstn"),
    **UNCHANGED,
    proposals="uniform",
    noise=0.0,
    held_back=0.3,
    evaluate_every=1000,
    warmup=1,
    log_every=1,
)
WHOLE = replace(
    recipe("rmpe-fast"),
    **UNCHANGED,
    model="tiny-rmpe",
    size=REGION,
    proposals="uniform",
    noise=0.0,
    held_back=0.3,
    evaluate_every=1000,
    warmup=1,
    log_every=1,
    precision="32-true",
)


@pytest.fixture(autouse=True, scope="module")
def small_models():
    with pytest.MonkeyPatch.context() as patch:
        sstn = {"width": 4, "hidden": 8}
        build = {
            "sppe-fast": lambda joints, codec: sppe.SppeNet(joints, sigma=codec.sigma, **TINY),
            "sstn": lambda joints, codec: rmpe.Sstn(**sstn),
        }
        for name, like in (("tiny-rmpe", "sppe-fast"), ("sstn", "sstn")):
            patch.setitem(MODELS, name, replace(MODELS[like], build=build[like]))
        patch.setitem(rmpe.VARIANTS, "sstn", sstn)
        yield


def thetas(n: int = 6, seed: int = 0, spread: float = 1.0) -> torch.Tensor:
    raw = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)) * spread
    raw[:, 2] = raw[:, 2].clamp(
        -0.5, 0.3
    )  # a region of coarser cells than these blurs no peak away
    raw[:, 3:] *= 0.2
    return rmpe.guarded(raw, ASPECT)


def points(n: int, k: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, k, 3, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


def bodies(count: int = 12, side: int = 128, seed: int = 0) -> shards.Pack:
    """Upright stick people of 17 joints, a bright spot at the nose."""
    random = np.random.default_rng(seed)
    stick = np.array(
        [
            [0, -4],
            [0.2, -4.2],
            [-0.2, -4.2],
            [0.4, -4],
            [-0.4, -4],
            [0.8, -3],
            [-0.8, -3],
            [1, -2],
            [-1, -2],
            [1, -1],
            [-1, -1],
            [0.5, -1],
            [-0.5, -1],
            [0.5, 1],
            [-0.5, 1],
            [0.5, 3],
            [-0.5, 3],
        ]
    )
    keypoints = np.ones((count, 17, 3), np.float32)
    middle = random.uniform(0.45 * side, 0.55 * side, (count, 1, 2))
    keypoints[..., :2] = stick * side / 14 + middle + random.normal(size=(count, 17, 2))
    images = np.stack([nets.blob(side, side, *keypoint[0, :2], sigma=4) for keypoint in keypoints])
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


# --- θ


def test_an_untrained_sstn_is_the_identity():
    theta = rmpe.Sstn(**rmpe.VARIANTS["sstn"]).eval().theta(torch.randn(3, 3, 160, 120))
    assert torch.equal(theta, torch.eye(2, 3).expand(3, 2, 3))
    image = torch.randn(2, 3, 8, 6)
    assert torch.allclose(affine.sample(image, theta[:2], (6, 8)), image, atol=1e-5)


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5), st.floats(0.5, 2))
def test_theta_is_invertible_whatever_the_network_says(raw, aspect):
    theta = rmpe.guarded(torch.tensor([raw], dtype=torch.float64), aspect)
    determinant = theta[:, :, :2].det().item()
    assert rmpe.LEAST**2 * 0.999 <= determinant <= rmpe.MOST**2 * 1.001
    assert theta[:, :, 2].abs().max() <= 1
    there = affine.move(points(1).double(), theta)
    assert torch.allclose(affine.move(there, affine.inverse(theta)), points(1).double(), atol=1e-6)


def test_a_vector_of_no_length_means_no_turn():
    raw = torch.tensor([[-1.0, 0, 0, 0, 0]], requires_grad=True)
    theta = rmpe.guarded(raw, ASPECT)
    assert torch.equal(theta.detach(), torch.eye(2, 3)[None])
    theta.sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_theta_turns_in_pixels_not_in_normalised_coordinates():
    """A square of the region is a square of the crop, turned clockwise by the angle that was asked
    for.
    """
    angle = 0.7
    raw = torch.tensor([[math.cos(angle) - 1, math.sin(angle), 0, 0, 0]])
    linear = affine.in_pixels(rmpe.guarded(raw, ASPECT), REGION, CROP)[0, :, :2] / rmpe.ROOM
    assert torch.allclose(linear, augment.rotations(torch.tensor([angle]))[0, :, :2], atol=1e-6)


def test_coordinates_there_and_back_are_the_identity_and_numpy_agrees():
    theta, some = thetas(), points(6)
    assert torch.allclose(
        affine.move(affine.move(some, affine.inverse(theta)), theta), some, atol=1e-5
    )
    pixels = affine.in_pixels(theta, REGION, CROP)
    assert torch.allclose(affine.normalised(pixels, REGION, CROP), theta, atol=1e-5)
    assert np.allclose(geometry.in_pixels(theta.numpy(), REGION, CROP), pixels.numpy(), atol=1e-4)


# --- sampling


def test_a_spot_of_the_crop_lies_in_the_region_where_gamma_says():
    """Picture and points move by the same θ: the sampler and the coordinate law agree to a
    twentieth of a pixel.
    """
    theta = thetas(8, spread=0.6)
    spots = torch.tensor([[[58.3, 81.2]]]).expand(8, 1, 2)
    crop = torch.stack(
        [torch.from_numpy(nets.blob(*CROP, *spot[0].tolist(), sigma=5)).float() for spot in spots]
    )
    region = affine.sample(crop.permute(0, 3, 1, 2), theta, REGION)[:, 0]
    there = affine.move(spots, affine.inverse(affine.in_pixels(theta, REGION, CROP)))[:, 0]
    ys, xs = torch.meshgrid(torch.arange(128.0), torch.arange(96.0), indexing="ij")
    checked = 0
    for map_, (x, y) in zip(region, there, strict=True):
        if 30 < x < 66 and 30 < y < 98:
            found = torch.stack([(map_ * xs).sum(), (map_ * ys).sum()]) / map_.sum()
            assert (found - torch.stack([x, y])).abs().max() < 0.05
            checked += 1
    assert checked >= 3


def test_a_peak_through_sstn_and_sdtn_comes_back_within_half_a_cell():
    """By coordinates; cells are those of the region where it is the coarser grid."""
    codec = Heatmap(REGION, 4, 1.5, "centre")
    theta = thetas(40, seed=3, spread=0.5)
    truth = points(40, 17) * torch.tensor([0.8, 0.8, 0]) + torch.tensor([0.0, 0, 1])
    in_crop = affine.move(truth, affine.inverse(affine.normalising(REGION, truth)))
    region = affine.sample(
        torch.from_numpy(codec.encode(in_crop.numpy())[0][0]), theta, codec.cells
    )
    covered = affine.move(truth, affine.inverse(theta))[..., :2].abs().amax(-1) < 0.75
    assert covered.sum() > 200
    cell = codec.stride * theta[:, :, :2].det().sqrt().clamp(min=1)[:, None]

    def away(keypoints: torch.Tensor) -> float:
        return ((keypoints - in_crop)[..., :2].norm(dim=-1) / cell)[covered].max().item()

    decoded = torch.from_numpy(codec.decode([region.numpy()]))
    assert away(affine.move(decoded, affine.in_pixels(theta, REGION, REGION))) < 0.5


def test_the_way_there_and_back_is_differentiable_in_theta_and_pose():
    raw = (torch.randn(2, 5) * 0.1).double().requires_grad_()
    some = points(2).double().requires_grad_()

    def way(raw, some):
        theta = rmpe.guarded(raw, ASPECT)
        return affine.move(affine.move(some, affine.inverse(theta))[..., :2] * 2, theta)

    assert torch.autograd.gradcheck(way, (raw, some))


# --- learning


class Sized(Regions):
    kind = SstnTask.kind


def test_known_turns_and_wrong_boxes_give_the_theta_that_puts_them_right():
    """The region that the wanted θ finds in the crop is the upright person, whatever the turn and
    the box.
    """
    size = (120, 160)
    disturbed = replace(SEEN, near=90.0, anywhere=0.5, noise=0.3, flip=0.5)
    task = Sized(disturbed, bodies(30), crop=size, region=size)
    rows, rng = torch.arange(len(task)), torch.Generator().manual_seed(0)
    images, keypoints, views = task.drawn(rows, rng)
    theta = views.theta(size, size)
    region = affine.sample(images, theta, size)
    right = affine.move(keypoints, views.region)
    assert torch.allclose(
        affine.move(
            affine.move(keypoints, views.crop), affine.inverse(affine.in_pixels(theta, size, size))
        ),
        right,
        atol=1e-2,
    )
    middle = (right[..., :2].amin(1) + right[..., :2].amax(1)) / 2
    assert (middle - torch.tensor([59.5, 79.5])).abs().max() < 1
    assert (right[:, 0, 1] < right[:, 15, 1]).all()  # heads above feet
    x, y = region[:, 0].flatten(1).argmax(1) % 120, region[:, 0].flatten(1).argmax(1) // 120
    inside = ((right[:, 0, :2] > 0) & (right[:, 0, :2] < torch.tensor(size))).all(1)
    seen = affine.move(keypoints, views.crop)[:, 0, :2]
    inside &= ((seen > 8) & (seen < torch.tensor([112, 152]))).all(1)
    away = (torch.stack([x, y], 1) - right[:, 0, :2]).norm(dim=1)
    assert inside.sum() > 12
    assert away[inside].max() < 2.5


def test_proposals_make_the_boxes_of_sppes_wrong_too():
    still = replace(recipe("sppe-fast"), **UNCHANGED, model="tiny-rmpe", size=REGION, held_back=0.3)
    rows = torch.arange(6)

    def seen(kind: str, noise: float = 0.0) -> torch.Tensor:
        task = PoseTask(replace(still, proposals=kind, noise=noise), bodies(12))
        return task.augmented(rows, torch.Generator().manual_seed(0))[1][..., :2]

    assert torch.equal(seen("uniform", 0.0), seen(""))
    for kind, noise in (("uniform", 0.3), ("pgpg", 0.0), ("jitter", 0.0)):
        away = (seen(kind, noise) - seen("")).norm(dim=-1).mean(1)
        assert (away > 0.1).all()
        assert away.max() < 80
    with pytest.raises(OptionError, match="unknown proposals"):
        seen("gaussian")


def test_lying_people_are_turned_and_those_who_lean_a_little_are_not():
    task = SstnTask(SEEN, bodies(8))
    keypoints = task.keypoints
    for angle, least, most in ((0.3, 0.0, 0.1), (math.pi / 2, 1.4, 1.7), (-3.0, -3.2, -2.8)):
        turned = augment.rotations(torch.full((len(keypoints),), angle))
        lean = task.lean(affine.move(keypoints, turned), None)
        assert (lean >= least - 1e-6).all()
        assert (lean <= most).all()
    unknown = keypoints.clone()
    unknown[:, :7, 2] = 0
    assert (task.lean(unknown, None) == 0).all()


def test_a_teacher_who_knows_people_as_they_lie_keeps_them_so():
    task = SstnTask(SEEN, bodies(8))
    lying = affine.move(
        task.keypoints, augment.rotations(torch.full((len(task.keypoints),), math.pi / 2))
    )
    sure = torch.tensor([[0.8, 0.8, 0.1, 0.1]]).expand(len(task.keypoints), 4)
    unsure = torch.tensor([[0.3, 0.8, 0.1, 0.1]]).expand(len(task.keypoints), 4)
    assert (task.lean(lying, sure) == 0).all()
    assert torch.allclose(task.lean(lying, unsure), task.axis(lying)[0])
    elsewhere = torch.tensor([[0.3, 0.1, 0.1, 0.8]]).expand(
        len(task.keypoints), 4
    )  # then its quarter, not the axis
    assert torch.allclose(task.lean(lying, elsewhere), torch.tensor(-math.pi / 2))


def test_the_parallel_branch_teaches_the_sstn_and_nobody_else():
    torch.manual_seed(0)
    task = RmpeTask(
        replace(WHOLE, direct=0.0, pose=0.0, parallel=1.0, near=30.0, noise=0.2), bodies()
    )
    before = copy.deepcopy(task.frozen.state_dict())
    net = task.net.train()
    loss, _ = task.loss(net, torch.arange(4), torch.Generator().manual_seed(0))
    loss.backward()
    last = task.net.sstn.answer[2]
    assert last.weight.grad is not None
    assert (
        last.bias.grad[1:] != 0
    ).all()  # the first, along (1, 0), is the length of the turn's vector: it means nothing
    assert all(
        parameter.grad is None
        for parameter in [*task.frozen.parameters(), *task.net.sppe.parameters()]
    )
    assert not any(parameter.requires_grad for parameter in task.frozen.parameters())
    after = task.frozen.state_dict()
    assert all(
        torch.equal(value, after[name]) for name, value in before.items()
    )  # no statistics either


def test_the_parallel_branch_is_no_part_of_the_network():
    task = RmpeTask(WHOLE, bodies())
    assert {name.split(".")[0] for name in task.net.state_dict()} == {"sstn", "sppe"}
    shared = {id(p) for p in task.net.parameters()} & {id(p) for p in task.frozen.parameters()}
    assert not shared


def test_every_parameter_learns_when_rmpe_is_trained_whole():
    torch.manual_seed(0)
    task = RmpeTask(replace(WHOLE, near=30.0, noise=0.2), bodies())
    torch.nn.init.normal_(task.net.sstn.answer[2].weight, std=0.01)
    for module in task.net.modules():  # blocks that start as the identity hide what is in them
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    loss, weight = task.loss(task.net.train(), torch.arange(4), torch.Generator().manual_seed(0))
    assert weight == 4
    loss.backward()
    silent = [
        name for name, p in task.net.named_parameters() if p.grad is None or not (p.grad != 0).any()
    ]
    assert silent == []


def test_losses_of_parts_of_a_batch_add_up():
    """However many joints are labelled in each part."""
    pack = bodies()
    for i in range(len(pack)):
        pack.keypoints[i, : i % 7, 2] = 0
    task = RmpeTask(WHOLE, pack)
    rows = torch.arange(6)
    net = task.net.eval()
    whole = torch.stack(task.loss(net, rows, torch.Generator().manual_seed(0)))
    parts = [
        torch.stack(task.loss(net, some, torch.Generator().manual_seed(0)))
        for some in (rows[:1], rows[1:])
    ]
    assert torch.allclose(whole, sum(parts), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [SstnTask, RmpeTask])
def test_a_run_is_trained_judged_and_exported(tmp_path, kind):
    chosen = replace(
        SEEN if kind is SstnTask else WHOLE, steps=3, batch=4, evaluate_every=3, precision="32-true"
    )
    progress = loop.train(chosen, kind(chosen, bodies()), tmp_path)
    assert progress.step == 3
    names = {"right", "turned", "placed"} if kind is SstnTask else {"oks", "upright", "turned"}
    (judged,) = [row for row in progress.rows if names <= row.keys()]
    assert all(0 <= judged[name] <= 1 for name in names)
    assert export.export(tmp_path / "best.safetensors", tmp_path / "net.onnx") <= agreement.CLOSE
    with pytest.raises(OptionError, match="--int8"):
        next(compress.calibration(tmp_path / "best.safetensors", [tmp_path]))


@pytest.mark.parametrize("proposals", ["uniform", "pgpg", "jitter"])
def test_people_without_joints_and_boxes_without_area_teach_nothing_wrong(proposals):
    pack = bodies()
    keypoints, boxes = pack.keypoints.copy(), pack.boxes.copy()
    keypoints[::2, :, 2] = 0
    boxes[::3, 2:] = boxes[::3, :2]
    pack = replace(pack, keypoints=keypoints, boxes=boxes)
    for chosen, kind in ((SEEN, SstnTask), (WHOLE, RmpeTask)):
        task = kind(replace(chosen, proposals=proposals, noise=0.3, near=40.0), pack)
        loss, _ = task.loss(
            task.net.train(), torch.arange(len(task)), torch.Generator().manual_seed(0)
        )
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in task.net.parameters())


def test_every_parameter_of_an_sstn_learns():
    net = network(SEEN).train()
    torch.nn.init.normal_(net.answer[2].weight, std=0.01)  # zero, it would hide what is behind it
    net(torch.randn(4, 3, 80, 60)).square().sum().backward()
    assert all(
        parameter.grad is not None and (parameter.grad != 0).any() for parameter in net.parameters()
    )


def test_an_sstn_learns_a_few_wrong_boxes_by_heart(tmp_path):
    chosen = replace(
        SEEN,
        anywhere=1.0,
        noise=0.2,
        steps=250,
        batch=16,
        rate=5e-3,
        decay=0.0,
        ema=0.9,
        log_every=25,
    )
    loop.train(chosen, SstnTask(chosen, bodies(6)), tmp_path, fabric=loop.on(chosen, "cpu"))
    rows = [row["loss"] for row in log.read(tmp_path) if "loss" in row]
    assert rows[-1] < 0.5 * rows[0]


def test_an_sstn_may_start_from_a_turn_net_and_says_if_it_cannot(tmp_path):
    pack = bodies()
    net = turn.TurnNet(width=4)
    checkpoint.save_weights(tmp_path / "turn.safetensors", net.state_dict(), {})
    task = SstnTask(replace(SEEN, sstn=str(tmp_path / "turn.safetensors")), pack)
    assert torch.equal(task.net.body[0][0][0].weight, net.body[0][0][0].weight)
    checkpoint.save_weights(tmp_path / "other.safetensors", {"x": torch.zeros(3)}, {})
    with pytest.raises(DataError, match="nothing in common"):
        SstnTask(replace(SEEN, sstn=str(tmp_path / "other.safetensors")), pack)


def test_sizes_that_no_sstn_can_look_at_are_refused():
    with pytest.raises(ModelError, match="3 : 4"):
        RmpeTask(replace(WHOLE, size=(128, 128)), bodies())
    assert rmpe.crop_size((192, 256)) == (240, 320)
    assert rmpe.crop_size((144, 192)) == (180, 240)


# --- the exported graph


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """RMPE around a random SPPE, with an SSTN that is not the identity: as torch, and as ONNX."""
    folder = tmp_path_factory.mktemp("rmpe")
    chosen = replace(WHOLE, **UNCHANGED)
    task = RmpeTask(chosen, bodies())
    for parameter in task.net.sstn.answer[2].parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(5))
    about = loop.describe(chosen, task, 0)
    checkpoint.save_weights(folder / "rmpe.safetensors", task.net.state_dict(), about)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own insides
        difference = export.export(folder / "rmpe.safetensors", folder / "rmpe.onnx")
    return folder, task.net.eval(), difference


def by_hand(estimator, net, images, boxes) -> np.ndarray:
    """What the exported graph should say, by torch."""
    matrices = geometry.crop_matrices(boxes, CROP, 1.3)
    crops = [
        crop(image, matrix, estimator.input) for image, matrix in zip(images, matrices, strict=True)
    ]
    with torch.no_grad():
        seen = torch.from_numpy(normalise(crops, estimator.input))
        heatmaps, theta = RmpeTask.row(WHOLE).answers(net, seen)
    decoded = torch.from_numpy(Heatmap(REGION, 4, 1.5, "centre").decode([heatmaps.numpy()]))
    in_crop = affine.move(decoded, affine.in_pixels(theta, REGION, CROP)).numpy()
    return geometry.transform(geometry.invert(matrices), in_crop)


def noise(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return list(random.integers(0, 255, (count, 90, 110, 3), np.uint8))


BOXES = np.array(
    [[10, 10, 60, 80], [-30, -20, 50, 40], [200, 300, 240, 390], [30, 30, 30, 30]], np.float32
)


def test_the_exported_graph_runs_as_it_is_and_is_the_trained_one(exported):
    """No options: the file says what it is. Boxes partly or wholly outside the picture, and without
    area, are legal.
    """
    folder, net, difference = exported
    assert difference <= 1e-4
    estimator = load_sppe(folder / "rmpe.onnx")
    assert estimator.look.padding == 1.3
    assert estimator.input.size == CROP
    images = noise(1) * len(BOXES)
    found = estimator(images, [People.from_boxes(box[None]) for box in BOXES])
    wanted = by_hand(estimator, net, images, BOXES)
    for one, pose in zip(found, wanted, strict=True):
        assert np.median(np.abs(one.keypoints[0, :, :2] - pose[:, :2])) < 0.02
    one, none = estimator(
        images[:2], [People.from_boxes(BOXES[:1]), People.from_boxes(np.zeros((0, 4)))]
    )
    assert len(one) == 1
    assert len(none) == 0


def test_openvino_computes_the_same_and_reads_what_the_file_says(exported):
    """In float32; where a CPU has bfloat16, `--engine openvino` computes in that."""
    openvino = pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    folder, net, _ = exported
    core = openvino.Core()
    model = core.compile_model(folder / "rmpe.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    batch = torch.randn(3, 3, CROP[1], CROP[0], generator=torch.Generator().manual_seed(2))
    found = model({0: batch.numpy()})
    with torch.no_grad():
        wanted = [output.numpy() for output in RmpeTask.row(WHOLE).answers(net, batch)]
    for output, right in zip(model.outputs, wanted, strict=True):
        assert np.abs(found[output] - right).max() <= 1e-4 * np.abs(right).max()
    estimator = load_sppe(folder / "rmpe.onnx", engine=Engine(engine="openvino"))
    assert estimator.codec == load_sppe(folder / "rmpe.onnx").codec
    assert len(estimator(noise(1), [People.from_boxes(BOXES)])[0]) == len(BOXES)


def test_the_exported_graph_holds_one_sppe(exported):
    folder, net, _ = exported
    graph = onnx.load(folder / "rmpe.onnx").graph
    convolutions = sum(isinstance(module, torch.nn.Conv2d) for module in net.modules())
    assert sum(node.op_type == "Conv" for node in graph.node) == convolutions
    assert sum(node.op_type == "GridSample" for node in graph.node) == 1
    assert [output.name for output in graph.output] == ["heatmaps", "theta"]


def test_flip_test_averages_what_both_regions_answer(exported):
    folder, _, _ = exported
    estimator = load_sppe(folder / "rmpe.onnx", flip_test=True)
    image, box = noise(1)[0], BOXES[:1]
    (found,) = estimator([image], [People.from_boxes(box)])
    mirrored = np.ascontiguousarray(image[:, ::-1])
    there = box[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [109, 0, 109, 0]
    (other,) = estimator([mirrored], [People.from_boxes(there)])
    back = geometry.mirror_keypoints(other.keypoints, 110, COCO17.mirror)
    assert (
        np.median(np.abs(found.keypoints - back)) < 0.5
    )  # a person and their mirror image are one


def test_what_a_file_says_of_itself_must_make_sense(exported, tmp_path):
    model = onnx.load(exported[0] / "rmpe.onnx")
    model.metadata_props[0].value = json.dumps({"task": "pose", "skeleton": "centaur"})
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match=r"odd\.onnx"):
        load_sppe(tmp_path / "odd.onnx")
    with pytest.raises(OptionError, match=r"--skeleton mpii-16: rmpe finds the joints of coco-17"):
        load_sppe(exported[0] / "rmpe.onnx", skeleton="mpii-16")


# --- an SSTN before any SPPE


@pytest.mark.parametrize("seed", range(6))
def test_whatever_region_the_sstn_chooses_the_answer_is_that_of_the_picture(tmp_path, seed):
    """An SPPE that finds the brightest spot finds it where it is in the picture, turned, shifted
    and scaled.
    """
    pose = nets.heatmap_finder(tmp_path / "pose.onnx", 17, size=REGION, alignment="corner")
    random = np.random.default_rng(seed)
    angle = random.uniform(-math.pi, math.pi)
    raw = [
        math.cos(angle) - 1,
        math.sin(angle),
        random.uniform(-0.3, 0.2),
        *random.uniform(-0.15, 0.15, 2),
    ]
    theta = rmpe.guarded(torch.tensor([raw]), ASPECT)[0].numpy()
    sstn = nets.sstn_constant(tmp_path / "sstn.onnx", theta)
    image = nets.blob(300, 260, 141.3, 122.6, sigma=7)
    estimator = load_sppe(
        pose,
        skeleton="coco-17",
        codec="heatmap,alignment=corner,refine=dark",
        normalise="none",
        sstn=sstn,
    )
    (found,) = estimator([image], [People.from_boxes([[70, 30, 210, 220]])])
    assert np.abs(found.keypoints[..., :2] - [141.3, 122.6]).max() < 1.0
    assert len(estimator([image], [People.from_boxes(np.zeros((0, 4)))])[0]) == 0


@pytest.mark.parametrize(
    "bad", [[[1, 2, 0], [2, 4, 0]], [[np.nan, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]]]
)
def test_a_theta_that_cannot_be_inverted_is_an_error_that_names_the_file(tmp_path, bad):
    pose = nets.heatmap_finder(tmp_path / "pose.onnx", 17, size=REGION)
    sstn = nets.sstn_constant(tmp_path / "odd-sstn.onnx", np.array(bad, np.float32))
    estimator = load_sppe(pose, skeleton="coco-17", codec="heatmap", sstn=sstn)
    with pytest.raises(ModelError, match=r"odd-sstn\.onnx"):
        estimator(noise(1), [People.from_boxes(BOXES[:1])])


def test_what_is_no_sstn_is_refused(tmp_path):
    pose = nets.heatmap_finder(tmp_path / "pose.onnx", 17, size=REGION)
    with pytest.raises(ModelError, match="rmpe-sstn"):
        load_sppe(pose, skeleton="coco-17", codec="heatmap", sstn=pose)


def test_an_exported_sstn_says_what_torch_says(tmp_path):
    net = network(SEEN)
    for parameter in net.answer[2].parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(5))
    task = SstnTask(SEEN, bodies())
    checkpoint.save_weights(
        tmp_path / "sstn.safetensors", net.state_dict(), loop.describe(SEEN, task, 0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert export.export(tmp_path / "sstn.safetensors", tmp_path / "sstn.onnx") <= 1e-4
    found = open_sstn(tmp_path / "sstn.onnx")
    images, turns = noise(1), np.zeros(1, np.intp)
    matrices = geometry.crop_matrices(BOXES[:1], found.input.size, 1.3)
    with torch.no_grad():
        seen = torch.from_numpy(normalise([crop(images[0], matrices[0], found.input)], found.input))
        theta = net.eval().theta(seen)
    to_crop = affine.in_pixels(theta, REGION, found.input.size).numpy()
    wanted = geometry.compose(geometry.invert(to_crop), matrices)
    assert np.allclose(
        replace(found, looks=1, trust=1)(images, BOXES[:1], turns, REGION), wanted, atol=1e-2
    )


def test_a_second_look_is_at_what_the_first_found(tmp_path):
    """An SSTN that always says the same goes there twice: the first region, grown to a crop, is the
    second crop.
    """
    raw = torch.tensor([[math.cos(0.4) - 1, math.sin(0.4), -0.2, 0.1, -0.1]])
    theta = rmpe.guarded(raw, ASPECT)
    sstn = replace(open_sstn(nets.sstn_constant(tmp_path / "sstn.onnx", theta[0].numpy())), trust=1)
    assert sstn.looks == 2
    first = geometry.crop_matrices(BOXES, sstn.input.size, sstn.padding)
    grown = theta * torch.tensor([sstn.padding / sstn.region] * 2 + [1.0])
    to_crop = affine.in_pixels(affine.compose(grown, theta), REGION, sstn.input.size).numpy()
    wanted = geometry.compose(geometry.invert(to_crop).repeat(len(BOXES), 0), first)
    found = sstn(noise(1) * len(BOXES), BOXES, np.zeros(len(BOXES), np.intp), REGION)
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_the_region_lies_between_what_the_sstn_found_and_the_box_turned_as_it_says(tmp_path):
    raw = torch.tensor([[math.cos(0.4) - 1, math.sin(0.4), -0.2, 0.1, -0.1]])
    sstn = open_sstn(
        nets.sstn_constant(tmp_path / "sstn.onnx", rmpe.guarded(raw, ASPECT)[0].numpy())
    )
    regions = {
        trust: replace(sstn, looks=1, trust=trust)(
            noise(1) * len(BOXES), BOXES, np.zeros(len(BOXES)), REGION
        )
        for trust in (0.0, 0.5, 1.0)
    }
    wanted = geometry.crop_matrices(BOXES, REGION, sstn.region, 0.4 / (np.pi / 2))
    assert np.allclose(regions[0.0], wanted, atol=1e-2)
    corners = np.broadcast_to([[0.0, 0.0], [REGION[0], 0.0], [0.0, REGION[1]]], (len(BOXES), 3, 2))
    low, middle, high = (
        geometry.transform(geometry.invert(regions[trust]), corners) for trust in (0.0, 0.5, 1.0)
    )
    assert np.allclose(middle, (low + high) / 2, atol=1e-2)
    assert np.abs(low - high).max() > 5
