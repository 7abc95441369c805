"""Starting from a network of other joints or categories, and detectors of several categories."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from everybody import runtime  # noqa: E402
from everybody.errors import DataError, ModelError  # noqa: E402
from everybody.methods.detector import open_detector  # noqa: E402
from everybody.models import MODELS, detection, detector, sppe  # noqa: E402
from everybody.models.detector import cells_of  # noqa: E402
from everybody.options import Engine, FindOptions  # noqa: E402
from everybody.skeletons import ANIMAL20, COCO17, Skeleton  # noqa: E402
from everybody.train import checkpoint, detect, export, loop, pose, shards  # noqa: E402
from everybody.train.about import About  # noqa: E402
from everybody.train.recipe import UNCHANGED  # noqa: E402
from everybody.train.recipes import BASE  # noqa: E402
from everybody.train.transfer import transferred  # noqa: E402
from everybody.weights import manifest  # noqa: E402

THIN = {"width": 8, "head": 8, "depths": (1, 1, 1, 1)}
STILL = replace(
    BASE, **UNCHANGED, precision="32-true", held_back=0.3, warmup=1, log_every=1, rate=1e-3
)
FROG = Skeleton(
    name="frog-3",
    joints=("nose", "left_hand", "right_hand"),
    limbs=((0, 1), (0, 2)),
    mirror=(0, 2, 1),
    sigmas=(0.1,) * 3,
)


@pytest.fixture(autouse=True, scope="module")
def small_models():
    with pytest.MonkeyPatch.context() as patch:
        builds = {
            "thin": ("sppe-fast", lambda k, codec: sppe.SppeNet(k, sigma=codec.sigma, **THIN)),
            "thin-detector": ("detector-fast", lambda k, codec: detector.DetectorNet(k, **THIN)),
        }
        for name, (like, build) in builds.items():
            patch.setitem(MODELS, name, replace(MODELS[like], build=build))
        yield


# --- rows of the last layer


def test_shared_names_keep_their_rows_and_others_begin_with_the_mean():
    old = {"body": torch.randn(4, 4), "head": torch.randn(3, 5)}
    fresh = {"body": torch.zeros(4, 4), "head": torch.zeros(2, 5)}
    state = transferred(old, fresh, ("nose", "hip", "knee"), ("tail", "nose"))
    assert torch.equal(state["body"], old["body"])
    assert torch.equal(state["head"][1], old["head"][0])
    assert torch.allclose(state["head"][0], old["head"].mean(0))


def test_the_same_names_are_the_same_network():
    old = {"head": torch.randn(3, 5), "bias": torch.randn(3)}
    state = transferred(old, old, "abc", "abc")
    assert all(torch.equal(state[name], old[name]) for name in old)


def test_what_has_no_row_per_name_stays_untrained():
    fresh = {"head": torch.ones(7, 5), "new": torch.ones(2)}
    state = transferred({"head": torch.randn(9, 5)}, fresh, "abc", "ab")
    assert all(torch.equal(state[name], fresh[name]) for name in fresh)


def crops(skeleton, count=10, side=64):
    random = np.random.default_rng(0)
    keypoints = np.ones((count, len(skeleton), 3), np.float32)
    keypoints[..., :2] = random.uniform(20, 44, (count, len(skeleton), 2))
    return shards.Pack(
        images=random.integers(0, 255, (count, side, side, 3)).astype(np.uint8),
        picture=np.arange(count),
        keypoints=keypoints,
        boxes=np.tile(np.array([[16, 16, 48, 48]], np.float32), (count, 1)),
        ignored=np.zeros(count, bool),
        names=tuple(f"set/{i}.jpg#0" for i in range(count)),
        skeleton=skeleton,
    )


def trained(folder, skeleton, **changes):
    recipe = replace(STILL, model="thin", size=(64, 64), steps=2, batch=4, **changes)
    task = pose.PoseTask(recipe, crops(skeleton))
    loop.train(recipe, task, folder)
    return task


def test_joints_without_limbs_are_learnt_too(tmp_path):
    """A skeleton file may leave limbs out; what is pasted over people is then cut out by joints."""
    alone = replace(FROG, limbs=())
    task = trained(tmp_path, alone, paste=1.0)
    assert task.limbs.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert (tmp_path / "last.safetensors").exists()


def test_a_run_starts_from_one_of_other_joints_and_its_file_says_its_own(tmp_path):
    trained(tmp_path / "people", COCO17)
    start = tmp_path / "people" / "last.safetensors"
    task = trained(tmp_path / "frogs", FROG, start=str(start), rate=1e-12)
    before, _ = checkpoint.read_weights(start)
    after = task.net.state_dict()
    name = next(name for name, value in after.items() if value.shape != before[name].shape)
    assert torch.allclose(after[name][0], before[name][0], atol=1e-6)  # the nose

    out = tmp_path / "frog.onnx"
    export.export(tmp_path / "frogs" / "last.safetensors", out)
    export.export(tmp_path / "frogs" / "last.safetensors", tmp_path / "mixed.onnx", mix=0.5)
    row = manifest.told(runtime.load(out).about, out)
    assert row.joints == FROG.joints
    assert checkpoint.spoken(out, MODELS["thin"]) == FROG.joints


def test_shards_hold_skeletons_that_nobody_knows(tmp_path):
    writer = shards.Writer(tmp_path, FROG, ("frog", "toad"))
    columns = {
        "keypoints": np.ones((1, 3, 3), np.float32),
        "boxes": np.array([[0, 0, 9, 9]], np.float32),
        "ignored": np.zeros(1, bool),
        "kinds": np.array([1]),
    }
    writer.add(np.zeros((16, 16, 3), np.uint8), "a", **columns)
    writer.flush()
    pack = shards.load([tmp_path])
    assert pack.skeleton == FROG
    assert pack.categories == ("frog", "toad")
    assert pack.kinds.tolist() == [1]

    # Another export lists its categories in another order, and has one more: names tell.
    other = shards.Writer(tmp_path / "more", FROG, ("newt", "toad"))
    for name, kind in (("b", 0), ("c", 1)):
        image = np.zeros((16, 16, 3), np.uint8)
        other.add(image, name, **columns | {"kinds": np.array([kind])})
    other.flush()
    both = shards.load([tmp_path])
    assert both.categories == ("frog", "toad", "newt")
    assert [both.categories[kind] for kind in both.kinds] == ["toad", "newt", "toad"]

    joints = {"keypoints": np.ones((1, 17, 3), np.float32)}
    third = shards.Writer(tmp_path / "third", COCO17)
    third.add(np.zeros((16, 16, 3), np.uint8), "d", **columns | joints | {"kinds": np.array([0])})
    third.flush()
    with pytest.raises(DataError, match=r"third.*: holds joints of coco-17, .* those of frog"):
        shards.load([tmp_path])

    fourth = shards.Writer(tmp_path / "fourth", COCO17)
    fourth.add(np.zeros((16, 16, 3), np.uint8), "e", **columns | joints)
    fourth.flush()
    with pytest.raises(DataError, match=r"fourth.*: somebody is of category 1, but it names 1"):
        shards.load([tmp_path / "fourth"])


def test_weights_of_earlier_versions_speak_of_people(tmp_path):
    assert About.of_dict({}, tmp_path) == About(COCO17)
    told = About(FROG, ("frog", "toad"))
    assert About.of_dict(told.to_dict(), tmp_path) == told


# --- detectors of several categories


def test_a_cell_learns_the_category_of_the_body_that_it_answers_for():
    cells = cells_of((64, 64), torch.device("cpu"))
    truth = torch.tensor([[[4.0, 4, 36, 60]]])
    real, kinds = torch.tensor([[True]]), torch.tensor([[1]])
    logits = torch.zeros(1, len(cells), 3, requires_grad=True)
    boxes = truth.expand(1, len(cells), 4)
    total, weight = detection.detection_loss(
        (logits, boxes), cells, truth, real, torch.zeros_like(real), kinds
    )
    (total / weight).backward()
    pull = logits.grad[0]
    assert (pull[:, [0, 2]] > 0).all()  # down: nothing of these kinds is there
    assert (pull[:, 1] < 0).sum() == detection.TOP  # up, where a cell answers for the body


def test_categories_are_judged_each_for_itself():
    boxes = np.array([[0, 0, 40, 40], [60, 60, 99, 99]], float)
    real, none, kinds = np.array([True, True]), np.zeros(2, bool), np.array([0, 1])
    right = np.array([[0.9, 0.0], [0.0, 0.8]])
    truth = [(boxes, real, none, kinds)]
    assert detect.mean_precision([(right, boxes)], truth) == 1.0
    assert detect.mean_precision([(right[:, ::-1], boxes)], truth) == 0.0


def scenes(count=12, side=96):
    """A bright or a dark square in each: two kinds of things."""
    random = np.random.default_rng(0)
    images, boxes = np.full((count, side, side, 3), 120, np.uint8), []
    for i in range(count):
        x, y = random.integers(8, 48, 2)
        images[i, y : y + 36, x : x + 36] = 250 if i % 2 else 0
        boxes.append([x - 0.5, y - 0.5, x + 35.5, y + 35.5])
    return shards.Pack(
        images=images,
        picture=np.arange(count),
        keypoints=np.zeros((count, 20, 3), np.float32),
        boxes=np.array(boxes, np.float32),
        ignored=np.zeros(count, bool),
        names=tuple(f"scene/{i}.jpg" for i in range(count)),
        skeleton=ANIMAL20,
        kinds=np.arange(count) % 2,
        categories=("black", "white"),
    )


def test_a_detector_learns_two_kinds_and_its_file_names_them(tmp_path):
    recipe = replace(
        STILL, model="thin-detector", size=(96, 96), padding=1.0, batch=4, steps=120, rate=8e-3,
        decay=0.0, evaluate_every=120, ema=0.9, held_back=0.2,
    )  # fmt: skip
    task = detect.DetectorTask(recipe, scenes())
    loop.train(recipe, task, tmp_path)
    out = tmp_path / "kinds.onnx"
    export.export(tmp_path / "last.safetensors", out)
    find = FindOptions(detector=out, size=(96, 96), score=0.1)
    finder = open_detector(find, Engine(threads=1))
    assert finder.categories == ("black", "white")
    learnt = task.learnt
    found = finder(list(learnt.images))
    right = [
        len(people) > 0 and people.categories[0] == learnt.categories[learnt.kinds[n]]
        for n, people in enumerate(found)
    ]
    assert np.mean(right) >= 0.8


def test_a_detector_of_people_becomes_one_of_several_kinds(tmp_path):
    recipe = replace(STILL, model="thin-detector", size=(96, 96), batch=4, steps=1)
    people = detect.DetectorTask(recipe, replace(scenes(), kinds=None, categories=("person",)))
    loop.train(recipe, people, tmp_path / "people")
    start = tmp_path / "people" / "last.safetensors"
    more = replace(recipe, start=str(start), rate=1e-12)
    task = detect.DetectorTask(more, scenes())
    loop.train(more, task, tmp_path / "kinds")
    old, new = checkpoint.read_weights(start)[0], task.net.state_dict()
    rows = new["scores.1.weight"]
    assert len(rows) == 2
    assert torch.allclose(rows[0], old["scores.1.weight"][0], atol=1e-6)
    assert torch.allclose(rows[1], old["scores.1.weight"][0], atol=1e-6)


# --- manifests


def test_a_variant_may_name_files_beside_its_manifest(tmp_path, monkeypatch):
    (tmp_path / "manifest.toml").write_text(
        '[variant.mine]\ndetector = "boxes.onnx"\npose = "everybody-fast"\nturns = false\n'
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    mine = manifest.variant("mine")
    assert mine.detector == str(tmp_path / "boxes.onnx")
    assert mine.pose == "everybody-fast"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('task = "detector"\nlayout = "yolox"\ncategories = { dog = -1 }', "count from 0"),
        (
            'task = "pose"\nskeleton = "squid"\ncodec = { type = "simcc" }',
            "unknown skeleton 'squid'",
        ),
        (
            'task = "pose"\ncodec = { type = "simcc" }\n'
            'skeleton = { name = "x", joints = ["a"], mirror = [3] }',
            "mirror names the joint '3'",
        ),
    ],
)
def test_rows_that_cannot_be_are_named(tmp_path, monkeypatch, row, said):
    text = f'[model.mine]\nfile = "m.onnx"\nlicence = "x"\ninput = {{ size = [64, 64] }}\n{row}\n'
    (tmp_path / "manifest.toml").write_text(text)
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match=f"model 'mine'.*{said}"):
        manifest.load()


def test_weights_that_do_not_say_their_joints_are_told_how_to_re_head(tmp_path):
    model = MODELS["integral-tiny"]
    torch.save(model.build(17, None).state_dict(), tmp_path / "body.pth")
    with pytest.raises(DataError, match=r"has 17 joints, .* has 3: .*--re-head .*--set start="):
        checkpoint.start(
            str(tmp_path / "body.pth"), model.build(3, None), model, speaks_of=FROG.joints
        )
    other = MODELS["deeppose-18"]
    with pytest.raises(DataError, match="of another architecture than"):
        checkpoint.start(
            str(tmp_path / "body.pth"), other.build(3, None), other, speaks_of=FROG.joints
        )
