"""Hands and faces from the body: where they are looked for, and the skeleton they make."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody import geometry
from everybody.codecs import make_codec
from everybody.errors import OptionError
from everybody.estimator import Estimator
from everybody.methods.parts import MESH, WithParts, face_points, faces, hands, open_part
from everybody.options import Engine
from everybody.people import Frame, People
from everybody.results.formats import FORMATS
from everybody.results.records import Record, Results
from everybody.skeletons import (
    COCO17,
    FACE70,
    FACE_MESH468,
    HAND21,
    LSP14,
    OPENPOSE135,
    mapping,
)
from synthetic import nets

PICTURE = np.zeros((480, 640, 3), np.uint8)
FINGERS = np.stack([np.linspace(100, 124, 21), np.linspace(180, 60, 21)], 1)  # in 224 pixels


def body(count: int = 1) -> People:
    """People who hold their left forearm up and their right one sideways, and look at us."""
    places = {
        "nose": (300, 100), "left_eye": (310, 90), "right_eye": (290, 90),
        "left_ear": (325, 95), "right_ear": (275, 95),
        "left_elbow": (400, 200), "left_wrist": (400, 100),
        "right_elbow": (200, 200), "right_wrist": (100, 200),
    }  # fmt: skip
    keypoints = np.zeros((count, 17, 3))
    for name, place in places.items():
        keypoints[:, COCO17.joints.index(name)] = (*place, 0.9)
    keypoints[..., 0] += 7 * np.arange(count)[:, None]
    boxes = np.tile([90.0, 80, 420, 420], (count, 1))
    return People(keypoints, boxes, np.full(count, 0.9), COCO17)


@dataclass(frozen=True)
class Body:
    """A poser that knows."""

    skeleton = COCO17
    sessions = {}  # noqa: RUF012

    def __call__(self, frames):
        return frames


def weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows `hands` and `mesh` of planted files."""
    points = np.concatenate([FINGERS, np.zeros((21, 1))], 1).reshape(1, 63)
    there = np.array([[0.9]])
    nets.constant(folder / "h.onnx", (224, 224), {"p": points, "there": there}, layout="nhwc")
    mesh = np.zeros((468, 3))
    mesh[list(MESH), 0] = 60 + np.arange(68)
    mesh[list(MESH), 1] = 80
    nets.constant(
        folder / "f.onnx", (192, 192), {"p": mesh.reshape(1, -1), "t": there}, layout="nhwc"
    )
    row = (
        '[model.{}]\ntask = "part"\nfile = "{}"\nlicence = "?"\nskeleton = "{}"\npadding = 1.0\n'
        'codec = {{ type = "points", presence = 1 }}\n'
        'input = {{ size = [{}, {}], layout = "nhwc" }}\n'
    )
    rows = row.format("hands", "h.onnx", "hand-21", 224, 224)
    rows += row.format("mesh", "f.onnx", "face-mesh-468", 192, 192)
    (folder / "manifest.toml").write_text(rows)
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(folder))


@given(angle=st.floats(-3, 3), length=st.floats(5, 100))
def test_a_hand_is_looked_for_beyond_the_wrist_with_the_fingers_up(angle, length):
    people = body()
    keypoints = people.keypoints.copy()
    elbow, wrist = (COCO17.joints.index(f"left_{part}") for part in ("elbow", "wrist"))
    way = length * np.array([np.cos(angle), np.sin(angle)])
    keypoints[0, wrist, :2] = keypoints[0, elbow, :2] + way
    found = hands(People(keypoints, people.boxes, people.scores, COCO17), "left")
    matrices = geometry.crop_matrices(found.boxes, (224, 224), 1.0, found.turns)
    shown = geometry.transform(matrices, keypoints[:, [elbow, wrist], :2].astype(float))[0]
    assert shown[:, 0] == pytest.approx([111.5, 111.5], abs=0.1)
    assert shown[0, 1] > shown[1, 1] > 111.5


def test_a_face_is_looked_for_between_the_eyes_however_it_is_turned():
    people = body()
    found = faces(people)
    assert found.turns == pytest.approx([0], abs=1e-6)
    upside_down = people.keypoints.copy()
    upside_down[..., :2] = (640, 480) - upside_down[..., :2]
    turned = faces(People(upside_down, people.boxes, people.scores, COCO17))
    assert abs(turned.turns[0]) == pytest.approx(2)


def test_parts_that_nobody_sees_are_not_looked_for():
    keypoints = body().keypoints.copy()
    keypoints[..., 2] = 0.1
    people = People(keypoints, body().boxes, body().scores, COCO17)
    assert len(hands(people, "left").person) == len(faces(people).person) == 0


def test_the_whole_holds_body_hands_and_face(tmp_path, monkeypatch):
    weights(tmp_path, monkeypatch)
    hand = open_part("hands", [HAND21], Engine())
    face = open_part("mesh", [FACE_MESH468], Engine())
    both = WithParts(Body(), hand, face)
    nobody = People.empty(COCO17)
    frames = both([Frame(PICTURE, people=body(2)), Frame(PICTURE, people=nobody)])
    whole = frames[0].people
    assert whole.skeleton == OPENPOSE135
    assert len(frames[1].people) == 0
    assert frames[1].people.skeleton == OPENPOSE135

    named = {name: whole.keypoints[0, k] for k, name in enumerate(OPENPOSE135.joints)}
    assert (whole.keypoints[0, :, 2] > 0).sum() == 9 + 40 + 70
    assert np.array_equal(named["left_wrist"], body().keypoints[0, 9])
    # the left forearm points up, the right one to the left: so do the fingers
    assert named["left_hand_12"][1] < named["left_hand_1"][1] - 20
    assert named["right_hand_12"][0] < named["right_hand_1"][0] - 20
    assert named["face_68"][:2] == pytest.approx(
        np.mean([named[f"face_{i}"][:2] for i in range(36, 42)], 0), abs=1e-3
    )


def test_an_imported_openpose_hand_is_read_without_its_background(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    from everybody.train import export, publications

    publication = publications.PUBLICATIONS["openpose-hand"]
    codec = make_codec(publication.model.codec, publication.size)
    fingers = np.concatenate([FINGERS * 368 / 224, np.ones((21, 1))], 1)
    (maps,), _ = codec.encode(fingers[None])
    assert maps.shape == (1, 22, 46, 46)
    about = {"skeleton": publication.skeleton, "codec": dict(publication.model.codec)}
    about |= {**publication.said, "input": {"size": publication.size, **publication.input}}
    file = nets.constant(tmp_path / "hand.onnx", (368, 368), {"maps": maps})
    export.lean(file, about | {"licence": "?"})
    hand = open_part(file, [HAND21], Engine())
    squares = hands(body(), "left")
    found = hand.posed([PICTURE], squares.boxes, squares.turns)
    assert found.shape == (1, 21, 3)
    assert (found[..., 2] > 0.6).all()
    to_crop = geometry.crop_matrices(squares.boxes, (368, 368), 1.0, squares.turns)
    assert np.abs(geometry.transform(to_crop, found)[0, :, :2] - fingers[:, :2]).max() < 4
    whole = WithParts(Body(), hand)([Frame(PICTURE, people=body())])[0].people
    assert (whole.keypoints[0, :, 2] > 0).sum() == 9 + 40


def test_several_people_are_each_as_alone(tmp_path, monkeypatch):
    weights(tmp_path, monkeypatch)
    both = WithParts(Body(), open_part("hands", [HAND21], Engine()))
    (together,) = both([Frame(PICTURE, people=body(3))])
    for person in range(3):
        (alone,) = both([Frame(PICTURE, people=body(3)[person])])
        assert np.allclose(alone.people.keypoints[0], together.people.keypoints[person], atol=1e-3)


def test_openpose_files_hold_all_points(tmp_path, monkeypatch):
    weights(tmp_path, monkeypatch)
    (frame,) = WithParts(Body(), open_part("hands", [HAND21], Engine()))(
        [Frame(PICTURE, source="a.png", people=body())]
    )
    results = Results.of([Record.of(frame)], OPENPOSE135)
    FORMATS["openpose"].write(results, tmp_path / "openpose", lambda text: None)
    (file,) = (tmp_path / "openpose").iterdir()
    (person,) = json.loads(file.read_text())["people"]
    assert len(person["hand_left_keypoints_2d"]) == len(person["hand_right_keypoints_2d"]) == 63
    assert person["hand_left_keypoints_2d"][:3] == pytest.approx([400, 100, 0.9])
    assert len(person["face_keypoints_2d"]) == 210
    assert len(person["pose_keypoints_2d"]) == 75


def test_parts_need_a_body_that_says_where_they_are(tmp_path, monkeypatch):
    weights(tmp_path, monkeypatch)

    @dataclass(frozen=True)
    class Trunk(Body):
        skeleton = LSP14

    with pytest.raises(OptionError, match=r"must find nose, left_eye.*which lsp-14 lacks"):
        WithParts(Trunk(), face=open_part("hands", [HAND21], Engine()))
    with pytest.raises(OptionError, match="finds hand-21, expected face-70"):
        open_part("hands", [FACE70], Engine())
    bare = nets.constant(tmp_path / "bare.onnx", (64, 64), {"p": np.zeros((1, 63))})
    with pytest.raises(OptionError, match="no row of the manifest describes this part"):
        open_part(bare, [HAND21], Engine())


def test_the_mesh_gives_each_point_of_the_face_once():
    mesh = np.random.default_rng(0).normal(size=(2, 468, 3))
    assert face_points(mesh).shape == (2, 70, 3)
    assert len(set(MESH)) == 68
    assert mapping(FACE70, OPENPOSE135).missing[:1] == ("nose",)


def test_a_run_with_parts_has_135_points(tmp_path, monkeypatch):
    weights(tmp_path, monkeypatch)
    found = nets.rtmdet_constant(tmp_path / "d.onnx", np.array([[20, 20, 116, 148, 0.9]]))
    cells = np.stack([np.arange(17) + 3, 2 * np.arange(17)[::-1]], 1)
    posed = nets.heatmap_constant(tmp_path / "p.onnx", cells)
    estimator = Estimator(
        detector=found, det_size=(160, 160), pose=posed, skeleton="coco-17", codec="heatmap",
        hand="hands", workers=1,
    )  # fmt: skip
    people = estimator.estimate(PICTURE)
    assert people.skeleton == OPENPOSE135
    assert estimator.skeleton == OPENPOSE135
