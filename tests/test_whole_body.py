"""Whole bodies of 133, 135 and 136 points, end to end: networks of known answer through crops,
formats, drawing and judging, and parts of networks of their own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from everybody import Estimator, geometry
from everybody.cli import app
from everybody.codecs import make_codec
from everybody.draw import draw
from everybody.people import People
from everybody.results.formats import read_results
from everybody.skeletons import (
    COCO17,
    HALPE136,
    HAND21,
    OPENPOSE25,
    OPENPOSE135,
    SKELETONS,
    WHOLEBODY133,
    Skeleton,
    mapping,
)
from synthetic import nets
from synthetic.whole_bodies import figure

SIZE = (192, 256)
WIDTH, HEIGHT = 320, 400
BOX = np.array([[60.0, 20, 260, 380]])  # where somebody is on the picture
PARTS = ("body", "feet", "face", "left hand", "right hand")
CODECS = {  # as plain data, and as users say them
    "heatmap": ({"alignment": "corner"}, "heatmap,alignment=corner"),
    "simcc": ({"alignment": "corner", "split": 2}, "simcc,split=2,alignment=corner"),
    "whole-body": ({"alignment": "corner"}, "whole-body,alignment=corner"),
}


def command(*words: object) -> None:
    app([str(word) for word in words], standalone_mode=False)


def in_crop(skeleton: Skeleton) -> np.ndarray:
    """[K, 3]: where the network says that the joints are."""
    places = figure(skeleton, height=210, middle=96, top=20)
    return np.concatenate([places, np.ones((len(places), 1))], 1)


def in_picture(skeleton: Skeleton, padding: float) -> np.ndarray:
    """[K, 2]: the same on the picture, for the crop about `BOX`."""
    to_crop = geometry.crop_matrices(BOX, SIZE, padding)
    return geometry.transform(geometry.invert(to_crop), in_crop(skeleton)[None, :, :2])[0]


def network(path: Path, skeleton: Skeleton, kind: str) -> Path:
    """A file that always says `in_crop`."""
    codec = make_codec({"type": kind, **CODECS[kind][0]}, SIZE)
    truth = in_crop(skeleton)[None]
    if kind == "whole-body":
        # It is encoded as coordinates and as maps that sum to 1; it answers peaks and logits.
        (_, maps), _ = codec.encode(truth)
        maps = 0.9 * maps / maps.max((2, 3), keepdims=True)
        large = codec.large(len(skeleton))  # type: ignore[attr-defined]
        sure = maps[:, large:].clip(1e-12)
        maps[:, large:] = np.log(sure / (1 - sure))
        return nets.answers_constant(path, {"maps": maps}, SIZE)
    targets, _ = codec.encode(truth)
    return nets.answers_constant(path, {f"answer_{i}": t for i, t in enumerate(targets)}, SIZE)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "somebody.png"
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(path)
    return path


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """The detector's file of the picture's one person."""
    return nets.rtmdet_constant(tmp_path / "boxes.onnx", np.array([[*BOX[0], 0.9]]))


def truth_file(path: Path, places: np.ndarray) -> Path:
    """A person [133, 2] as COCO-WholeBody has it."""
    points = np.concatenate([places, np.full((133, 1), 2)], 1).reshape(-1)
    ends = np.cumsum([0, 17, 6, 68, 21, 21]) * 3
    names = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    parts = {name: points[a:b].tolist() for name, a, b in zip(names, ends, ends[1:], strict=False)}
    x0, y0, x1, y1 = BOX[0].tolist()
    person = {
        **parts, "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
        "area": 0.5 * (x1 - x0) * (y1 - y0), "bbox": [x0, y0, x1 - x0, y1 - y0],
    }  # fmt: skip
    image = {"id": 1, "file_name": "somebody.png", "width": WIDTH, "height": HEIGHT}
    document = {"images": [image], "annotations": [person]}
    document |= {"categories": [{"id": 1, "name": "person"}]}
    path.write_text(json.dumps(document))
    return path


def average_precisions(capsys: pytest.CaptureFixture[str], results: Path, data: Path, *more: str):
    """AP of the whole and of each part, as `everybody eval` says them."""
    capsys.readouterr()
    command("eval", results, "--data", data, "--metrics", "AP", "--json", *more)
    told = json.loads(capsys.readouterr().out)
    return {part: told[f"AP {part}".removesuffix(" ")] for part in ("", *PARTS)}


def test_the_figure_is_its_own_mirror_image_in_every_skeleton_of_whole_bodies():
    for skeleton in (WHOLEBODY133, HALPE136, OPENPOSE135):
        places = figure(skeleton)
        np.testing.assert_allclose(places[list(skeleton.mirror)] * (-1, 1), places, atol=1e-9)
        for side, (x, _) in zip(skeleton.sides, places, strict=True):
            assert side == ("left" if x > 1e-9 else "right" if x < -1e-9 else "centre")


@pytest.mark.parametrize("padding", [1.1, 1.4])
@pytest.mark.parametrize("kind", CODECS)
@pytest.mark.parametrize("skeleton", ["wholebody-133", "halpe-136"])
def test_a_users_file_says_where_each_point_is(tmp_path, boxes, skeleton, kind, padding):
    joints = SKELETONS[skeleton]
    file = network(tmp_path / "mine.onnx", joints, kind)
    estimator = Estimator(
        detector=boxes, det_size=(WIDTH, HEIGHT), pose=file, skeleton=skeleton,
        codec=CODECS[kind][1], padding=padding, orientation="upright", workers=1,
    )  # fmt: skip
    people = estimator.estimate(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    assert people.skeleton == joints
    assert people.keypoints.shape == (1, len(joints), 3)
    to_crop = geometry.crop_matrices(BOX, SIZE, padding)[0, 0, 0]
    off = np.abs(people.keypoints[0, :, :2] - in_picture(joints, padding)) * to_crop
    assert off.max() < 0.6  # pixels of the crop, whose cells are four
    assert (people.keypoints[..., 2] > 0).all()


@pytest.mark.parametrize("skeleton", [WHOLEBODY133, HALPE136], ids=str)
def test_a_run_fills_openposes_arrays_and_is_judged_by_part(
    tmp_path, capsys, picture, boxes, skeleton
):
    file = network(tmp_path / "mine.onnx", skeleton, "heatmap")
    out = tmp_path / "out"
    command(
        "run", picture, "--detector", boxes, "--det-size", f"{WIDTH}x{HEIGHT}", "--pose", file,
        "--skeleton", skeleton.name, "--codec", CODECS["heatmap"][1], "--padding", 1.25,
        "--orientation", "upright", "-f", "openpose,coco", "--save-images", "-o", out,
    )  # fmt: skip

    (person,) = json.loads((out / "openpose/somebody_keypoints.json").read_text())["people"]
    wanted = {joint: in_picture(skeleton, 1.25)[k] for k, joint in enumerate(skeleton.joints)}
    lists = {
        "face_keypoints_2d": [f"face_{i}" for i in range(68)],
        "hand_left_keypoints_2d": [f"left_hand_{i}" for i in range(21)],
        "hand_right_keypoints_2d": [f"right_hand_{i}" for i in range(21)],
        "pose_keypoints_2d": [joint if joint in wanted else "nose" for joint in OPENPOSE25.joints],
    }
    for key, joints in lists.items():
        points = np.reshape(person[key], (-1, 3))
        known = [k for k, joint in enumerate(joints) if joint != "nose"]
        places = np.array([wanted[joint] for joint in joints])
        assert np.abs(points[known, :2] - places[known]).max() < 1, key
        assert (points[known, 2] > 0.5).all()
    assert np.array(person["face_keypoints_2d"]).reshape(-1, 3)[68:].max() == 0  # no pupils

    truth = in_picture(WHOLEBODY133, 1.25)
    data = truth_file(tmp_path / "truth.json", truth)
    exact = average_precisions(capsys, out, data, "--map")
    assert exact == dict.fromkeys(("", *PARTS), pytest.approx(1))

    moved = truth.copy()
    moved[[joint.startswith("left_hand") for joint in WHOLEBODY133.joints]] += 60
    data = truth_file(tmp_path / "moved.json", moved)
    each = average_precisions(capsys, out, data, "--map")
    assert each["left hand"] == 0
    assert [each[part] for part in PARTS if part != "left hand"] == pytest.approx([1] * 4)


def parts_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows `hands` and `faces`: all points are at the brightest spot of the crop."""
    row = (
        '[model.{name}]\ntask = "part"\nfile = "{name}.onnx"\nlicence = "?"\npadding = 1.0\n'
        'skeleton = "{skeleton}"\ncodec = {{ type = "heatmap", alignment = "corner" }}\n'
        "input = {{ size = [128, 128] }}\n"
    )
    kinds = {"hands": HAND21, "faces": SKELETONS["face-70"]}
    for name, skeleton in kinds.items():
        nets.heatmap_finder(folder / f"{name}.onnx", len(skeleton), (128, 128))
    text = "".join(row.format(name=name, skeleton=s.name) for name, s in kinds.items())
    (folder / "manifest.toml").write_text(text)
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(folder))


def test_parts_of_networks_of_their_own_are_found_in_their_own_crops(
    tmp_path, monkeypatch, capsys, boxes
):
    """Hands and face are bright spots: what sees only its own crop finds only its own spot."""
    parts_manifest(tmp_path, monkeypatch)
    body = network(tmp_path / "body.onnx", COCO17, "heatmap")
    place = dict(zip(WHOLEBODY133.joints, in_picture(WHOLEBODY133, 1.25), strict=True))
    spots = {
        "left_hand": place["left_hand_11"] + (3, -2),
        "right_hand": place["right_hand_11"],
        "face": place["nose"] + (2, 3),
    }
    blobs = [nets.blob(WIDTH, HEIGHT, *spot, sigma=2.5) for spot in spots.values()]
    image = np.max(blobs, 0)
    path = tmp_path / "somebody.png"
    Image.fromarray(image).save(path)
    out = tmp_path / "out"
    command(
        "run", path, "--detector", boxes, "--det-size", f"{WIDTH}x{HEIGHT}", "--pose", body,
        "--skeleton", "coco-17", "--codec", CODECS["heatmap"][1], "--padding", 1.25,
        "--orientation", "upright", "--hand", "hands", "--face", "faces", "-o", out,
    )  # fmt: skip

    results = read_results(out)
    assert results.skeleton == OPENPOSE135
    (record,) = results
    found = dict(zip(OPENPOSE135.joints, record.people.keypoints[0], strict=True))
    for joint in COCO17.joints:
        assert np.abs(found[joint][:2] - place[joint]).max() < 1
    for part, spot in spots.items():
        points = [at for joint, at in found.items() if joint.startswith(f"{part}_")]
        assert len(points) == (70 if part == "face" else 20)
        assert np.abs(np.array(points)[:, :2] - spot).max() < 1.5, part

    truth = np.array([place[joint] for joint in WHOLEBODY133.joints])
    for part, spot in spots.items():
        truth[[joint.startswith(f"{part}_") for joint in WHOLEBODY133.joints]] = spot
    for side in ("left", "right"):  # a hand begins at the wrist
        truth[WHOLEBODY133.joints.index(f"{side}_hand_0")] = place[f"{side}_wrist"]
    each = average_precisions(capsys, out, truth_file(tmp_path / "t.json", truth), "--map")
    assert [each[part] for part in ("body", "left hand", "right hand")] == pytest.approx([1] * 3)


def test_a_hand_without_its_root_begins_at_the_wrist_and_a_body_without_hands_has_none():
    table = mapping(OPENPOSE135, WHOLEBODY133)
    assert table.missing == ()
    points = np.random.default_rng(0).uniform(0, 9, (1, len(OPENPOSE135), 3))
    root, wrist = WHOLEBODY133.joints.index("left_hand_0"), OPENPOSE135.joints.index("left_wrist")
    assert np.array_equal(table(points)[:, root], points[:, wrist])
    assert "left_hand_0" in mapping(COCO17, WHOLEBODY133).missing


@pytest.mark.parametrize("skeleton", [WHOLEBODY133, HALPE136], ids=str)
def test_the_body_decides_how_surely_somebody_is_there(tmp_path, skeleton):
    codec = make_codec({"type": "heatmap"}, SIZE)
    scores = []
    for fine in (0.9, 0.1):
        (maps,), _ = codec.encode(in_crop(skeleton)[None])
        maps *= np.where(skeleton.fine, fine, 0.8)[:, None, None]
        file = nets.answers_constant(tmp_path / f"{fine}.onnx", {"maps": maps}, SIZE)
        estimator = Estimator(
            whole=True, pose=file, skeleton=skeleton.name, codec="heatmap", workers=1
        )
        people = estimator.estimate(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        scores.append(people.scores[0])
    assert scores[0] == scores[1]


def somebody(skeleton: Skeleton, body: float, fine: float) -> People:
    """The figure, its body and the points of its face and hands scored so."""
    places = figure(skeleton, height=360, middle=160, top=20)
    scores = np.where(skeleton.fine, fine, body)[:, None]
    keypoints = np.concatenate([places, scores], 1)[None].astype(np.float32)
    return People(keypoints, BOX.astype(np.float32), np.ones(1, np.float32), skeleton)


def drawn(people: People, min_score_parts: float | None = None) -> int:
    grey = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    return int((draw(grey, people, min_score_parts=min_score_parts) != grey).any(2).sum())


@pytest.mark.parametrize("skeleton", [WHOLEBODY133, HALPE136, OPENPOSE135], ids=str)
def test_faces_and_hands_are_drawn_from_a_score_of_their_own(skeleton):
    assert drawn(somebody(skeleton, 0.2, 0.2)) > 0  # fine points only
    assert drawn(somebody(skeleton, 0.2, 0.1)) == 0
    everything = drawn(somebody(skeleton, 0.9, 0.2))
    body = drawn(somebody(skeleton, 0.9, 0.2), min_score_parts=0.5)
    assert 0 < body < everything
    assert body == drawn(replace(somebody(skeleton, 0.9, 0.0)))


def test_a_parts_own_points_are_no_finer_than_any():
    assert not any(HAND21.fine)
    assert not any(SKELETONS["face-70"].fine)
    assert sum(WHOLEBODY133.fine) == 133 - 23
    assert sum(HALPE136.fine) == 136 - 26
    assert not any(COCO17.fine)
