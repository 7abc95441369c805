"""Networks of whole pictures: codecs and their targets, the law of mirrored pictures, heads on one
trunk, two pictures by heart, and from a run to `--method`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.codecs import CellPoses, make_people_codec  # noqa: E402
from everybody.errors import DataError, OptionError  # noqa: E402
from everybody.estimator import Estimator  # noqa: E402
from everybody.geometry import box_around  # noqa: E402
from everybody.methods import is_method  # noqa: E402
from everybody.methods.keypoint_rcnn import RegionMaps  # noqa: E402
from everybody.models import MODELS  # noqa: E402
from everybody.models import picture_losses as losses  # noqa: E402
from everybody.models.cells_head import CellsHead  # noqa: E402
from everybody.models.keypoint_rcnn import VARIANTS as VARIANTS_RCNN  # noqa: E402
from everybody.models.keypoint_rcnn import KeypointRCNN  # noqa: E402
from everybody.models.many_heads import HEADS, VARIANTS, ManyHeads, many_losses  # noqa: E402
from everybody.models.picture_truth import Truth  # noqa: E402
from everybody.models.rtmdet import RTMDet  # noqa: E402
from everybody.people import Frame  # noqa: E402
from everybody.skeletons import COCO17, LSP14, mapping  # noqa: E402
from everybody.train import agreement, checkpoint, export, loop, people, shards  # noqa: E402
from everybody.train.about import About  # noqa: E402
from everybody.train.recipe import UNCHANGED  # noqa: E402
from everybody.train.recipes import recipe  # noqa: E402
from synthetic import nets, planted  # noqa: E402

from .network_laws import batched_equals_single, every_parameter_learns  # noqa: E402
from .test_bottomup_by_heart import pictures  # noqa: E402

SMALL = [name for name, numbers in VARIANTS.items() if len(numbers["heads"]) == 1]
REGIONS = "keypoint-rcnn-small"
SIZE = (192, 160)


def crossing(skeleton) -> np.ndarray:
    """[2, K, 2]: one upright, one lying across."""
    upright = planted.body(skeleton, (90.3, 80), 130)
    return np.stack([upright, planted.body(skeleton, (110, 75.7), 130, turn=75, spread=1.3)])


def truth_of(joints: np.ndarray) -> Truth:
    """People [P, 17, 2] as a network learns from them."""
    keypoints = planted.seen(joints)
    boxes = torch.from_numpy(box_around(keypoints)).float()
    return Truth(boxes, torch.ones(len(joints), dtype=torch.long), torch.tensor(keypoints).float())


def two() -> tuple[torch.Tensor, list[Truth]]:
    """Pictures of one, and of two who cross."""
    image, joints = pictures(COCO17, SIZE)
    return image, [truth_of(some) for some in joints]


@pytest.mark.parametrize("name", HEADS)
def test_targets_are_decoded_within_half_a_cell(name):
    head = HEADS[name]
    codec = make_people_codec(head.CODEC)
    joints = crossing(head.SKELETON)
    targets = codec.targets(planted.seen(joints), SIZE)
    encoded = codec.encode(planted.seen(joints), SIZE)
    assert all(np.array_equal(a, b) for (a, _), b in zip(targets, encoded, strict=True))
    ((found, _, _),) = codec.decode([maps[None] for maps in encoded], SIZE)
    assert planted.same_people(found, joints, within=2)


def test_cells_that_say_people_are_decoded_as_they_were():
    keypoints = planted.seen(crossing(COCO17))
    boxes, scores = box_around(keypoints), np.array([0.4, 0.9])
    ((found, places, sure),) = CellPoses().decode(
        CellPoses().encode(keypoints, boxes, scores), SIZE
    )
    assert np.array_equal(found, keypoints[::-1])
    assert np.array_equal(places, boxes[::-1])
    assert sure.tolist() == [0.9, 0.4]


@pytest.mark.parametrize("name", HEADS)
def test_unlabelled_joints_and_unsure_people_teach_nothing(name):
    """What is said of them costs nothing; what is said of others does."""
    head = HEADS[name](17, 8)
    joints = crossing(COCO17)[:1]
    truth = truth_of(joints)
    codec = make_people_codec(head.CODEC)
    keypoints = head.spoken(truth)
    keypoints[:, 4, 2] = 0
    for wanted, known in codec.targets(keypoints, SIZE):
        assert known.shape[1:] == wanted.shape[1:]
        assert len(known) in (1, len(wanted))
        assert not (wanted * (1 - known)).any()

    far = truth._replace(unsure=torch.tensor([[4.0, 8, 23, 40]]))
    (_, clear), (_, all_count) = head.targets([far], SIZE)[0], head.targets([truth], SIZE)[0]
    assert all_count.all()
    away = 1 - clear[0, 0]
    assert away[2:10, 1:6].all()
    assert away.sum() == 9 * 5


def test_losses_are_of_what_there_is_to_find():
    wanted = torch.zeros(1, 1, 8, 8)
    wanted[..., 2, 3] = 1
    ones, blind = torch.ones(1, 1, 8, 8), 1 - wanted
    assert losses.squared(0 * wanted, wanted, ones) == 1
    assert losses.squared(wanted, wanted, ones) == 0
    larger = torch.nn.functional.pad(wanted, (0, 40, 0, 40))
    assert losses.squared(0 * larger, larger, torch.ones_like(larger)) == 1
    for loss in (losses.squared, losses.discs, losses.peaks):
        right = wanted if loss is losses.squared else 60 * wanted - 30
        assert loss(right, wanted, ones) < 1e-6
        assert loss(-right, wanted, ones) > 0.5
        assert torch.equal(loss(right + 9 * wanted, wanted, blind), loss(right, wanted, blind))
    vectors, known = torch.full((1, 2, 8, 8), 6.0), wanted.expand(1, 2, 8, 8)
    assert losses.smooth_distance(vectors, 0 * vectors, known, scale=4.0) == 2
    assert losses.smooth_distance(vectors * (1 - known), 0 * vectors, known, scale=4.0) == 0


def test_the_laws_of_networks():
    torch.manual_seed(0)
    image, truth = two()
    tiny = planted.body(COCO17, (20, 20), 24)[None]
    truth[0] = truth_of(np.concatenate([crossing(COCO17), tiny]))  # the finest cells' too
    net = ManyHeads(17, **VARIANTS["many-small"])
    every_parameter_learns(net, image, lambda said: many_losses(net, said, truth, SIZE)[0])
    batched_equals_single(export.Answer(net, MODELS["many-small"]), image, tolerance=1e-3)


@pytest.mark.parametrize("name", SMALL)
def test_a_part_of_a_network_answers_as_the_whole(name):
    torch.manual_seed(0)
    image, _ = two()
    whole = ManyHeads(17, **VARIANTS["many-small"]).eval()
    part = ManyHeads(17, **VARIANTS[name]).eval()
    state = whole.state_dict()
    part.load_state_dict({key: state[key] for key in part.state_dict()})
    (head,) = part.heads
    with torch.no_grad():
        said, wanted = part(image), whole(image)
    for ours, theirs in zip(part.answer(said), whole.answers(head, wanted[head]), strict=True):
        assert torch.equal(ours, theirs)


def test_the_trunk_starts_from_the_bundled_detector():
    image, _ = two()
    model = MODELS["one-stage-small"]
    net, alone = model.build(17, None).eval(), RTMDet().eval()
    checkpoint.start("everybody-detector", net, model)
    checkpoint.start("everybody-detector", alone, MODELS["rtmdet-nano"])
    with torch.no_grad():
        logits, boxes, _ = net(image)["cells"]
        wanted = alone(image)
    assert torch.equal(logits, wanted[0])
    assert torch.equal(boxes, wanted[1])


def packed(tmp_path: Path) -> shards.Pack:
    """24 pictures of stick people, one or two on each."""
    image, joints = pictures(COCO17, SIZE)
    writer = shards.Writer(tmp_path / "shards", COCO17)
    for number in range(24):
        keypoints = planted.seen(joints[number % 2]).astype(np.float32)
        square = np.full((SIZE[0], SIZE[0], 3), 114, np.uint8)
        square[: SIZE[1]] = ((image[number % 2].permute(1, 2, 0).numpy() + 1) * 127.5).round()
        writer.add(
            square,
            f"set/{number}.png",
            keypoints=keypoints,
            boxes=box_around(keypoints),
            ignored=np.zeros(len(keypoints), bool),
            kinds=np.zeros(len(keypoints), np.int64),
        )
    writer.flush()
    return shards.load([tmp_path / "shards"])


def made(pack: shards.Pack, **changes) -> people.PeopleTask:
    base = replace(recipe("openpose-small"), **UNCHANGED, padding=1.0, held_back=0.3)
    return people.PeopleTask(replace(base, **changes), pack)


def test_people_move_with_their_picture_and_sides_change_places_in_a_mirror(tmp_path):
    """The brightest reds are where labels say; a mirrored person's left is their right."""
    task = made(packed(tmp_path), size=(192, 192))
    rows = torch.arange(2)
    rng = torch.Generator().manual_seed(0)
    _, matrices = task.shown(rows, rng)
    plain = people.truths(task.labels(rows), matrices, (192, 192))
    mirror = torch.tensor([[[-1.0, 0, 191], [0, 1, 0]]])
    other = people.truths(task.labels(rows), people.augment.compose(mirror, matrices), (192, 192))
    for a, b in zip(plain, other, strict=True):
        expected = a.keypoints[:, list(COCO17.mirror)].clone()
        expected[..., 0] = 191 - expected[..., 0]
        assert torch.allclose(b.keypoints, expected, atol=1e-3)
        assert torch.allclose(b.boxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1])
                              + torch.tensor([191.0, 0, 191, 0]), a.boxes, atol=1e-3)  # fmt: skip


def test_joints_outside_are_not_labelled_and_people_cut_away_are_unsure(tmp_path):
    task = made(packed(tmp_path), size=(192, 192))
    rows = torch.arange(2)
    shift = torch.tensor([[[1.0, 0, -60], [0, 1, 0]]]).expand(2, -1, -1)
    for own in people.truths(task.labels(rows), shift, (192, 192)):
        inside = (own.keypoints[..., 0] >= -0.5) & (own.keypoints[..., 0] < 191.5)
        assert torch.equal(own.keypoints[..., 2] > 0, inside)
        assert (own.boxes[:, 0] >= -0.5).all()
    gone = torch.tensor([[[1.0, 0, -400], [0, 1, 0]]]).expand(2, -1, -1)
    for own in people.truths(task.labels(rows), gone, (192, 192)):
        assert len(own.boxes) == len(own.unsure) == 0


def test_shards_of_other_joints_are_refused(tmp_path):
    pack = packed(tmp_path)
    with pytest.raises(DataError, match=r"lsp-14.*--skeleton coco-17"):
        made(replace(pack, skeleton=LSP14, keypoints=pack.keypoints[:, :14]))


@pytest.mark.parametrize("name", HEADS)
def test_a_file_that_says_its_codec_is_a_method_by_itself(tmp_path, name):
    head, path = HEADS[name], tmp_path / "planted.onnx"
    joints = crossing(head.SKELETON)
    maps = make_people_codec(head.CODEC).encode(planted.seen(joints), SIZE)
    nets.maps_constant(path, {f"maps_{n}": some for n, some in enumerate(maps)}, SIZE)
    assert not is_method(str(path))
    about = About(COCO17)
    export.lean(path, people.PeopleTask.told(recipe(f"{name}-small"), about))
    assert is_method(str(path))
    frame = Frame(np.zeros((2 * SIZE[1], 2 * SIZE[0], 3), np.uint8))
    (found,) = Estimator(method=path, threads=1)([frame])
    assert found.people.skeleton == head.SKELETON
    assert planted.same_people(found.people.keypoints, 2 * joints + 0.5, within=4)


def learn(name: str, steps: int) -> tuple[ManyHeads, torch.Tensor, list[Truth]]:
    """A network that starts from the bundled detector and learns two pictures."""
    torch.manual_seed(0)
    image, truth = two()
    model = MODELS[name]
    net = model.build(17, None)
    checkpoint.start("everybody-detector", net, model)
    net.trunk.stem.requires_grad_(False)
    net.trunk.stages.requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(steps):
        loss, weight = many_losses(net, net(image), truth, SIZE)
        optimiser.zero_grad()
        (loss / weight).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    return net, image, truth


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_two_pictures_by_heart(name):
    net, image, truth = learn(name, 150)
    (head,) = net.heads.values()
    with torch.no_grad():  # two pictures are too few for running averages
        answers = [part.numpy() for part in net.answer(net(image))]
    decoded = make_people_codec(head.CODEC).decode(answers, SIZE)
    for (found, _, scores), own in zip(decoded, truth, strict=True):
        sure = mapping(head.SKELETON, COCO17)(found[scores >= 0.3])
        gaps = np.abs(sure[:, None, :, :2] - own.keypoints.numpy()[None, ..., :2]).max((2, 3))
        assert (gaps.min(0) < 6).all()  # everybody is found
        assert (gaps.min(1) < 12).all()  # and nobody else


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_from_a_run_of_all_heads_to_each_method(tmp_path, name):
    """Trained together, resumed, cut apart, exported, and found by its file alone."""
    task = made(packed(tmp_path), model="many-small", fresh=("pyramid", "heads"), steps=2, batch=2)
    task.recipe = replace(task.recipe, evaluate_every=2, precision="32-true", size=(128, 128))
    loop.train(replace(task.recipe, steps=1), task, tmp_path / "run")
    done = loop.train(task.recipe, task, tmp_path / "run")
    assert done.step == 2
    file = tmp_path / f"{name}.onnx"
    assert export.export(tmp_path / "run/last.safetensors", file, model=name) < agreement.CLOSE
    method = MODELS[name].told_of["method"]
    frame = Frame(np.full((200, 240, 3), 90, np.uint8))
    by_file = Estimator(method=file, threads=1, det_score=0.0)([frame])[0].people
    by_name = Estimator(method=method, pose=file, threads=1, det_score=0.0)([frame])[0].people
    assert by_file.skeleton.name == MODELS[name].told_of["skeleton"]
    assert np.array_equal(by_file.keypoints, by_name.keypoints)


def regions(**numbers):
    """The small network of regions, on the bundled detector's trunk."""
    torch.manual_seed(0)
    model = MODELS[REGIONS]
    net = KeypointRCNN(17, **VARIANTS_RCNN[REGIONS] | numbers)
    checkpoint.start("everybody-detector", net, model)
    return net, model


def test_the_region_network_starts_from_the_bundled_detector():
    net, alone = regions()[0].eval(), RTMDet().eval()
    checkpoint.start("everybody-detector", alone, MODELS["rtmdet-nano"])
    image, _ = two()
    with torch.no_grad():
        fine, *neck = net.backbone.body(image)
        levels = alone.levels(image)
        wanted = [levels[0], *alone.joined(levels)]
    for ours, theirs in zip((fine, *neck), wanted, strict=True):
        assert torch.equal(ours, theirs)
    assert [part.shape[1] for part in wanted] == list(net.backbone.body.channels)


def test_regions_learn_from_people_counted_from_the_corner(tmp_path):
    """The task shows its loss what `truths` says, half a pixel further, and unsure people too."""
    pack = packed(tmp_path)
    task = people.PeopleByRegionsTask(
        replace(recipe(REGIONS), **UNCHANGED, padding=1.0, held_back=0.3, size=(192, 192)), pack
    )
    seen = []
    task.model = replace(task.model, loss=lambda *given: seen.append(given))
    rows = torch.arange(2)
    task.loss(task.net, rows, torch.Generator().manual_seed(0))
    ((net, pictures_, truth, _),) = seen
    assert net is task.net
    _, matrices = task.shown(rows, torch.Generator().manual_seed(0))
    plain = people.truths(task.labels(rows), matrices, (192, 192))
    assert pictures_.shape == (2, 3, 192, 192)
    for own, law in zip(truth, plain, strict=True):
        assert torch.equal(own.boxes, law.boxes + 0.5)
        assert torch.equal(own.unsure, law.unsure + 0.5)
        assert torch.equal(own.keypoints[..., :2], law.keypoints[..., :2] + 0.5)
        assert torch.equal(own.keypoints[..., 2], law.keypoints[..., 2])


def test_the_region_network_learns_all_that_it_has():
    net, model = regions()
    image, truth = two()
    rng = torch.Generator().manual_seed(0)
    cornered = [people.cornered(own._replace(unsure=own.boxes[:0])) for own in truth]
    loss, weight = net(image, learn=lambda *some: model.loss(*some, cornered, rng))
    assert weight == 2
    loss.backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert not [name for name in silent if not name.startswith("backbone.body.")]


@pytest.mark.slow
def test_regions_of_two_pictures_by_heart():
    net, model = regions()
    image, truth = two()
    cornered = [people.cornered(own._replace(unsure=own.boxes[:0])) for own in truth]
    rng = torch.Generator().manual_seed(0)
    net.backbone.body.requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=200)
    for _ in range(200):
        loss, weight = net(image, learn=lambda *some: model.loss(*some, cornered, rng))
        optimiser.zero_grad()
        (loss / weight).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        answers = people.arrays(net.eval().answer(net(image)))
    for (found, _, scores), own in zip(RegionMaps().decode(answers, SIZE), truth, strict=True):
        sure = found[scores >= 0.5]
        gaps = np.abs(sure[:, None, :, :2] - own.keypoints.numpy()[None, ..., :2]).max((2, 3))
        assert (gaps.min(0) < 6).all()  # everybody is found
        assert (gaps.min(1) < 12).all()  # and nobody else


@pytest.mark.slow
def test_from_a_run_of_regions_to_the_method(tmp_path):
    base = replace(
        recipe(REGIONS), **UNCHANGED, padding=1.0, held_back=0.3, steps=2, batch=2,
        size=(128, 128), evaluate_every=2,
    )  # fmt: skip
    task = people.PeopleByRegionsTask(base, packed(tmp_path))
    loop.train(replace(base, steps=1), task, tmp_path / "run")
    assert loop.train(base, task, tmp_path / "run").step == 2
    file = tmp_path / "regions.onnx"
    assert export.export(tmp_path / "run/last.safetensors", file) < agreement.CLOSE
    frame = Frame(np.full((200, 240, 3), 90, np.uint8))
    by_file = Estimator(method=file, threads=1, det_score=0.0)([frame])[0].people
    by_name = Estimator(method="keypoint_rcnn", pose=file, threads=1, det_score=0.0)([frame])[0]
    assert np.array_equal(by_file.keypoints, by_name.people.keypoints)


def test_what_is_no_part_of_a_network_is_said(tmp_path):
    net = MODELS["movenet-small"].build(17, None)
    about = {"recipe": recipe("movenet-small").to_json()}
    checkpoint.save_weights(tmp_path / "w.safetensors", net.state_dict(), about)
    with pytest.raises(DataError, match=r"heads\.openpose"):
        export.load(tmp_path / "w.safetensors", "openpose-small")
    with pytest.raises(OptionError, match="unknown model"):
        export.load(tmp_path / "w.safetensors", "openpose-tiny")
    with pytest.raises(OptionError, match="option of codec 'movenet'"):
        make_people_codec({"type": "movenet", "strid": 4})


def test_levels_of_cells_keep_averages_of_their_own():
    """What a level says in training and afterwards is the same, however different levels are."""
    head = CellsHead(5, 8)
    for part in head.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    rng = torch.Generator().manual_seed(0)
    neck = [
        scale * torch.randn(4, 8, side, side, generator=rng)
        for scale, side in ((1.0, 32), (20.0, 16), (400.0, 8))
    ]
    with torch.no_grad():
        learning, learnt = head.train()(neck), head.eval()(neck)
    assert learning.std() > 0
    assert (learning - learnt).abs().max() < 0.05 * learning.abs().max()
