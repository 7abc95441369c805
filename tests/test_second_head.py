"""The further joints of Halpe-26: asked for, they change nothing of the seventeen; not asked for,
they cost nothing; what teaches them is what several looks agree on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from everybody import Estimator, geometry, onnx_part, runtime
from everybody.cli import app
from everybody.data.dataset import Dataset, Picture
from everybody.errors import ModelError
from everybody.methods.orientation import Tries
from everybody.methods.sppe import Crowd
from everybody.nms import PoseNms
from everybody.nms.parametric import part_weights
from everybody.people import Frame, People
from everybody.results.formats import FORMATS, read_results
from everybody.skeletons import BLAZEPOSE33, BODY23, COCO17, HALPE26, SKELETONS
from everybody.track import Rules, Tracker
from everybody.weights import fetch

PICTURE = Path(__file__).parents[1] / "examples/class.jpg"
MODELS = ("everybody-accurate", "everybody-fast")
SMALL_TOES = [HALPE26.joints.index(f"{side}_small_toe") for side in ("left", "right")]


def session(name: str, *outputs: str):
    path = fetch.resolve(fetch.row(name))
    return runtime.load(path, device="cpu", threads=1, outputs=outputs)


@pytest.mark.parametrize("name", MODELS)
def test_a_part_of_a_file_answers_as_the_whole(name):
    whole, one, both = session(name), session(name, "heatmaps"), session(name, "all")
    assert {port.name for port in whole.outputs} == {"heatmaps", "all"}
    assert [port.name for port in one.outputs] == ["heatmaps"]
    width, height = fetch.row(name).input.size
    image = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
    (alone,), (every,) = one(image), both(image)
    assert np.array_equal(alone, every[:, : len(COCO17)])
    assert every.shape[1] == len(BODY23)
    told = dict(zip((port.name for port in whole.outputs), whole(image), strict=True))
    assert np.array_equal(told["heatmaps"], alone)
    assert np.array_equal(told["all"], every)


def test_a_part_holds_nothing_that_it_does_not_need():
    path = fetch.resolve(fetch.row(MODELS[1]))
    onnx = pytest.importorskip("onnx")
    whole, cut = onnx.load(path).graph, onnx.load_from_string(onnx_part.read(path, ["heatmaps"]))
    needed = {name for node in cut.graph.node for name in node.input}
    assert {value.name for value in cut.graph.initializer} <= needed
    made = {name for node in cut.graph.node for name in node.output}
    assert {name for name in needed if name} <= made | {"image"} | {
        value.name for value in cut.graph.initializer
    }
    assert len(cut.graph.node) < len(whole.node)
    onnx.checker.check_model(cut)


def test_all_outputs_are_the_file_itself():
    path = fetch.resolve(fetch.row(MODELS[1]))
    assert onnx_part.read(path, ["all", "heatmaps"]) == path.read_bytes()


@pytest.mark.parametrize("content", [b"not a network", b"", b"\x3a\x7f", b"half"])
def test_what_cannot_be_cut_is_an_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "broken.onnx"
    good = fetch.resolve(fetch.row(MODELS[1])).read_bytes()
    path.write_bytes(good[: len(good) // 2] if content == b"half" else content)
    with pytest.raises(ModelError, match=r"broken\.onnx: not a usable ONNX model"):
        onnx_part.read(path, ["all"])


def test_an_output_that_is_not_there_is_an_error_that_lists_those_that_are():
    path = fetch.resolve(fetch.row(MODELS[1]))
    with pytest.raises(ModelError, match="no output 'feet': it has heatmaps, all"):
        onnx_part.read(path, ["feet"])


@pytest.mark.parametrize("model", ["accurate", "fast"])
def test_halpe_26_has_the_seventeen_to_the_digit(model):
    alone = Estimator(model=model, threads=1, workers=1).estimate(PICTURE)
    more = Estimator(model=model, threads=1, workers=1, skeleton="halpe-26").estimate(PICTURE)
    assert alone.skeleton == COCO17
    assert more.skeleton == HALPE26
    assert len(alone) > 2
    assert np.array_equal(more.keypoints[:, : len(COCO17)], alone.keypoints)
    assert np.array_equal(more.scores, alone.scores)
    assert np.array_equal(more.boxes, alone.boxes)
    joint = {name: more.keypoints[:, at] for at, name in enumerate(HALPE26.joints)}
    hips = np.stack([joint["left_hip"], joint["right_hip"]])
    assert np.allclose(joint["pelvis"][:, :2], hips[..., :2].mean(0))
    assert not more.keypoints[:, SMALL_TOES, 2].any()


def command(*words: str) -> None:
    app(list(words), standalone_mode=False)


def test_a_run_of_halpe_26_writes_every_format_and_goes_on(tmp_path):
    out = tmp_path / "out"
    asked = ["run", str(PICTURE), "--model", "fast", "--skeleton", "halpe-26", "--threads", "1"]
    formats = [word for name in FORMATS for word in ("--format", name)]
    command(*asked, *formats, "--out", str(out))
    journal = read_results(out)
    assert journal.skeleton == HALPE26
    for name in ("coco", "csv", "parquet", "alphapose"):
        found = read_results(out / FORMATS[name].target)
        assert found.skeleton == HALPE26
        assert np.allclose(
            next(iter(found)).people.keypoints, next(iter(journal)).people.keypoints, atol=0.01
        )
    before = (out / "frames.jsonl").read_bytes()
    command(*asked, "--out", str(out), "--resume")
    assert (out / "frames.jsonl").read_bytes() == before


# --- who decides


def crowd(skeleton, seed: int = 0) -> People:
    random = np.random.default_rng(seed)
    places = random.uniform(0, 100, (4, len(skeleton), 2))
    places[2:] = places[:2] + random.normal(0, 1, places[:2].shape)  # each is there twice
    scores = random.uniform(0.3, 1, (4, len(skeleton), 1))
    keypoints = np.concatenate([places, scores], 2).astype(np.float32)
    boxes = np.tile([0, 0, 100, 100], (4, 1)).astype(np.float32)
    return People(keypoints, boxes, random.random(4, np.float32), skeleton)


def test_who_is_there_twice_is_decided_by_the_leading_joints():
    people = crowd(BODY23)
    keypoints = people.keypoints.copy()
    keypoints[:, len(COCO17) :] = np.random.default_rng(1).uniform(0, 100, keypoints[:, 17:].shape)
    scattered = People(keypoints, people.boxes, people.scores, BODY23)
    alone = People(people.keypoints[:, :17], people.boxes, people.scores, COCO17)
    suppress = PoseNms()
    for group in (people, scattered):
        kept = suppress(group)
        assert np.array_equal(kept.keypoints[:, :17], suppress(alone).keypoints)
        assert len(kept) == 2


def test_leading_joints_weigh_as_they_do_alone():
    weights = part_weights(BODY23)
    assert np.array_equal(weights[:17], part_weights(COCO17))
    assert not weights[17:].any()


@pytest.mark.parametrize("whole", SKELETONS.values(), ids=str)
def test_the_leading_joints_make_a_skeleton_of_their_own(whole):
    core = whole.core
    assert core.joints == whole.joints[whole.leading]
    assert sorted(core.mirror) == list(range(len(core)))
    assert core.sides == whole.sides[whole.leading]
    assert core.core is core
    assert whole.deciding or core is whole


def test_who_is_followed_is_decided_by_the_leading_joints():
    """Joints that score 0 at (0, 0), as small toes do, draw no box and no track after them."""
    whole, alone = Tracker(Rules()), Tracker(Rules())
    for number in range(4):
        group = crowd(HALPE26, seed=3)[[0, 1]]
        assert (group.scores > 0.1).all()
        keypoints = group.keypoints.copy()
        keypoints[..., 0] += 2 * number
        keypoints[:, SMALL_TOES] = 0
        boxes = group.boxes + np.float32([[0, 0, 0, 0], [70, 0, 70, 0]]) + 2 * number
        more = replace(group, keypoints=keypoints, boxes=boxes)
        time, detected = number / 25, number < 2
        found = whole.update(more, time, detected=detected)
        cut = replace(more, keypoints=keypoints[:, : len(COCO17)], skeleton=COCO17)
        expected = alone.update(cut, time, detected=detected)
        assert found.skeleton == HALPE26
        assert np.array_equal(found.keypoints[:, : len(COCO17)], expected.keypoints)
        assert np.array_equal(found.boxes, expected.boxes)
        assert np.array_equal(found.ids, expected.ids)
    assert len(found) > 0
    assert whole.expected(0.16).skeleton == HALPE26.core


class Backwards:
    """A poser whose further joints are the surer, the less sure the seventeen are."""

    skeleton = BODY23
    sessions: ClassVar[dict[str, runtime.Session]] = {}

    def posed(self, pictures, boxes, turns):
        found = np.zeros((len(boxes), len(BODY23), 3), np.float32)
        sure = np.array([0.1, 0.2, 0.9, 0.3])[np.asarray(turns)]
        found[:, : len(COCO17), 2] = sure[:, None]
        found[:, len(COCO17) :, 2] = 5 * (1 - sure[:, None])
        return found


def test_the_best_turn_is_that_of_the_leading_joints():
    people = People.from_boxes([[0, 0, 9, 9], [3, 3, 9, 9]])
    group = Crowd([Frame(np.zeros((9, 9, 3), np.uint8), people=people)])
    tries = Tries(Backwards(), group)  # type: ignore[arg-type]
    tries.look(np.ones((2, 4), bool))
    assert np.allclose(tries.confidence(), 0.9)
    assert np.allclose(tries.best()[:, 0, 2], 0.9)


feet = pytest.importorskip("everybody.train.feet")
# --- what teaches heels and toes

FOOT = BLAZEPOSE33.joints.index("left_foot_index"), BODY23.joints.index("left_big_toe")
ANKLE = BLAZEPOSE33.joints.index("left_ankle"), BODY23.joints.index("left_ankle")


def looked(seed: int = 0):
    """A labelled person, and what a teacher says who is right about the ankle, three times."""
    random = np.random.default_rng(seed)
    truth, said = random.uniform(0, 100, (1, 23, 3)), random.uniform(0, 100, (1, 33, 3))
    truth[..., 2], said[..., 2] = 2, 0.9
    for theirs, own in ((15 + 12, 15), (28, 16)):
        said[:, theirs, :2] = truth[:, own, :2]
    return truth, [said.copy() for _ in range(3)]


def test_three_looks_that_agree_make_a_label_as_sure_as_they_are():
    truth, views = looked()
    found = feet.agreed(views, truth, np.array([100.0]))
    assert np.allclose(found[0, FOOT[1]], views[0][0, FOOT[0]])
    people_said = [joint for joint in range(23) if BODY23.joints[joint] not in feet.FEET]
    assert np.array_equal(found[:, people_said], truth[:, people_said])


def test_looks_that_differ_or_miss_the_ankle_make_none():
    truth, views = looked()
    views[0][0, FOOT[0], 0] += 40
    assert feet.agreed(views, truth, np.array([100.0]))[0, FOOT[1], 2] < 0.01
    truth, views = looked()
    for view in views:
        view[0, ANKLE[0], 1] += 40
    assert feet.agreed(views, truth, np.array([100.0]))[0, FOOT[1], 2] < 0.01
    truth, views = looked()
    truth[0, ANKLE[1], 2] = 0
    assert feet.agreed(views, truth, np.array([100.0]))[0, FOOT[1], 2] == 0


def test_all_three_looks_put_the_neck_above_the_hips():
    truth, _ = looked()
    hips, up = feet.circles(truth)
    for matrices in feet.looks(hips, up):
        points = geometry.transform(matrices, np.stack([hips, hips + up], 1))[0]
        (x, y), (top_x, top_y) = points
        assert abs(x - 127.5) < 1e-6
        assert abs(y - 127.5) < 1e-6
        assert top_y < y
        assert abs(np.degrees(np.arctan2(top_x - x, y - top_y))) < 13


# --- learning


def packed(tmp_path) -> str:
    """Shards of eight grey people whose joints are anywhere."""
    from everybody.train.squares import pack_crops

    data = Dataset(
        skeleton=BODY23,
        pictures=tuple(Picture(f"{n}.png", n) for n in range(8)),
        picture=np.arange(8),
        keypoints=np.random.default_rng(0).uniform(20, 100, (8, 23, 3)).clip(max=[99, 99, 1]),
        boxes=np.tile([10.0, 10.0, 110.0, 110.0], (8, 1)),
        folder=tmp_path,
    )
    for picture in data.pictures:
        Image.fromarray(np.full((120, 120, 3), picture.id * 20, np.uint8)).save(
            tmp_path / picture.name
        )
    assert pack_crops(data, tmp_path / "shards", size=64, say=lambda text: None) == 8
    return str(tmp_path / "shards")


@pytest.mark.parametrize("name", MODELS)
def test_a_network_of_two_heads_starts_from_both_heads_of_a_file(name):
    torch = pytest.importorskip("torch")
    from everybody.models import MODELS as NETWORKS
    from everybody.train import checkpoint

    model = NETWORKS["tinypose-deeper" if name == "everybody-accurate" else "tinypose-more"]
    net = model.build(23, None)
    checkpoint.start(name, net, model, speaks_of=BODY23.joints)
    file = session(name, "all")
    width, height = fetch.row(name).input.size
    image = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
    with torch.no_grad():
        said = torch.cat(net.eval()(torch.from_numpy(image)), 1).numpy()
    assert np.allclose(said, file(image)[0], atol=1e-3)


@pytest.mark.parametrize("name", ["tinypose-more", "tinypose-deeper"])
def test_two_heads_are_laid_out_for_engines_and_back(name):
    """The same answers from other places of channels, and the same numbers from those; and what is
    kept of a frozen trunk says what the whole network would.
    """
    torch = pytest.importorskip("torch")
    from everybody.models import MODELS as NETWORKS
    from everybody.models import deployed

    torch.manual_seed(0)
    net = NETWORKS[name].build(23, None).eval()
    images = torch.randn(2, 3, 128, 96)
    laid_out = deployed.deployed(net)
    with torch.no_grad():
        first, second = net(images)
        assert torch.equal(net.second(net.below(images)), second)
        for said, true in zip(laid_out(images), (first, second), strict=True):
            assert torch.allclose(said, true, atol=1e-5)
    back = deployed.restored_more(net, laid_out.state_dict())
    assert all(torch.equal(back[at], value) for at, value in net.state_dict().items())


def test_a_second_head_starts_as_the_first():
    """Of whatever a file has beside the first: nothing, or a second head of another kind."""
    torch = pytest.importorskip("torch")
    from everybody.models import MODELS as NETWORKS
    from everybody.models import deployed

    torch.manual_seed(0)
    plain = NETWORKS["tinypose"].build(17, None).eval()
    images = torch.randn(1, 3, 128, 96)
    for name, other in (("tinypose-more", "tinypose-deeper"), ("tinypose-deeper", "tinypose-more")):
        net, files = NETWORKS[name].build(23, None).eval(), [plain]
        files.append(NETWORKS[other].build(23, None).eval())
        files[1].load_state_dict(files[1].of_one(plain.state_dict()))
        for file in files:
            net.load_state_dict(deployed.restored_more(net, deployed.deployed(file).state_dict()))
            net.more.heatmaps.load_state_dict(
                {at: value[:6] for at, value in plain.head.heatmaps.state_dict().items()}
            )
            with torch.no_grad():
                first, second = net(images)
                assert torch.allclose(first, plain(images), atol=1e-5)
                assert torch.allclose(second, first[:, :6], atol=1e-5)


def test_only_the_second_head_learns(tmp_path, monkeypatch):
    train = pytest.importorskip("everybody.train.second_head")
    import torch

    from everybody.models import MODELS as NETWORKS
    from everybody.train import checkpoint, export
    from everybody.train.recipes import recipe

    shards = packed(tmp_path)
    settings = ["steps=3", "batch=4", "warmup=1", "log_every=1", "held_back=0.3"]
    chosen = replace(recipe("halpe-128", settings), data=(shards,))
    monkeypatch.setattr(train, "PART", 4)
    said: list[str] = []
    weights = train.learn(chosen, tmp_path / "run", crops=6, say=said.append)
    assert [text for text in said if "seen" in text] == ["4 of 6 crops seen", "6 of 6 crops seen"]

    net = NETWORKS["tinypose-more"].build(23, None)
    checkpoint.start("everybody-fast", net, NETWORKS["tinypose-more"], speaks_of=BODY23.joints)
    before, (after, _) = net.state_dict(), checkpoint.read_weights(weights)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("more.") for name in changed)

    shown = train.Seen(sorted((tmp_path / "run/seen").iterdir()))
    every = [torch.cat(kind) for kind in zip(*(part for part, _ in shown._parts), strict=True)]
    rows = torch.tensor([5, 0, 4, 3])
    for kind, some in zip(every, shown.features(rows), strict=True):
        assert torch.equal(kind[rows].float(), some)
    said.clear()
    again = train.learn(chosen, tmp_path / "run", crops=6, say=said.append)
    assert not any("seen" in text for text in said)
    for name, value in checkpoint.read_weights(again)[0].items():
        assert torch.equal(value, after[name])

    _, loaded = export.load(weights)
    with torch.no_grad():
        first, more = loaded.eval()(torch.zeros(1, 3, 128, 96))
    assert (first.shape[1], more.shape[1]) == (17, 6)
    told = train.MoreTask.told(chosen, export.about(weights))
    assert told is not None
    assert (told["skeleton"], told["output"]) == ("coco-17", "heatmaps")
    assert told["also"] == {"halpe-26": {"output": "all", "skeleton": "body-23"}}
