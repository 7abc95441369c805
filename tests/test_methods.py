"""Laws of every method, and of choosing one: through `run`, tracking, `eval`, formats, overlays."""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from everybody import schedule
from everybody.cli import main
from everybody.errors import ModelError, OptionError
from everybody.estimator import Estimator
from everybody.follow import Follow
from everybody.media.images import decode
from everybody.method import Stage, enough
from everybody.methods import METHODS
from everybody.options import Options
from everybody.people import Frame, People
from everybody.results.formats import FORMATS, read_results
from everybody.skeletons import BOX, COCO17, OPENPOSE18, SKELETONS
from synthetic import nets

from .test_bottomup import PLANTINGS
from .test_methods_published import FILES

SIZE = 320, 240  # width, height of the pictures
POINTS = np.stack([np.linspace(60, 200, 17), np.linspace(30, 220, 17)], 1)
BOUNDS = np.array([50.0, 20.0, 210.0, 230.0])


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), image)
    return path


def movenet(path: Path, *people: tuple[np.ndarray, np.ndarray, float]) -> Path:
    """A file that says these people (points and box in pixels of the picture, score), and faint
    noise in its other places."""
    poses = np.zeros((6, 56))
    canvas = np.array([384, 288])  # the picture scaled to 384 × 288: a multiple of 32 on both sides
    factor = canvas / SIZE
    for row, (points, box, score) in enumerate(people):
        shares = (points + 0.5) * factor / canvas
        poses[row, :51] = np.column_stack([shares[:, ::-1], np.full(17, 0.8)]).ravel()
        poses[row, 51:55] = ((box.reshape(2, 2) + 0.5) * factor / canvas)[:, ::-1].ravel()
        poses[row, 55] = score
    return nets.movenet_constant(path, poses)


def topdown(folder: Path) -> list[str]:
    """Flags of a detector and an SPPE whose answers are known."""
    found = nets.rtmdet_constant(folder / "d.onnx", np.array([[20, 20, 116, 148, 0.9]], np.float32))
    cells = np.stack([np.arange(17) + 3, 2 * np.arange(17)[::-1]], 1)
    posed = nets.heatmap_constant(folder / "p.onnx", cells)
    more = ["--skeleton", "coco-17", "--codec", "heatmap", "--normalise", "none"]
    return ["--detector", str(found), "--det-size", "160", "--pose", str(posed), *more]


def bottom_up(place: int) -> Callable[[Path], list[str]]:
    """Flags of a file that says one planted person."""

    def flags(folder: Path) -> list[str]:
        planting = PLANTINGS[place]
        return ["--pose", str(planting.file(folder / "b.onnx", planting.crossing()[:1]))]

    return flags


def whole_network(method: str) -> Callable[[Path], list[str]]:
    """Flags of a file of a published network that says one planted person."""
    return lambda folder: ["--pose", str(FILES[method](folder / "w.onnx", POINTS[None]))]


def blazepose(folder: Path) -> list[str]:
    """Flags of a detector and landmarks whose answers are known."""
    found = nets.rtmdet_constant(folder / "d.onnx", np.array([[20, 20, 116, 148, 0.9]], np.float32))
    points = np.stack([np.linspace(60, 200, 33), np.linspace(30, 220, 33)], 1)
    posed = nets.blazepose_constant(folder / "b.onnx", points, np.zeros((33, 3)))
    return ["--detector", str(found), "--det-size", "160", "--pose", str(posed)]


FLAGS = {
    "topdown": topdown,
    "blazepose": blazepose,
    "movenet": lambda folder: ["--pose", str(movenet(folder / "m.onnx", (POINTS, BOUNDS, 0.9)))],
    "openpose": bottom_up(0),
    "personlab": bottom_up(2),
    "deepcut": bottom_up(3),
    **{name: whole_network(name) for name in FILES},
}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["everybody", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_every_known_method_is_tried_here():
    assert set(FLAGS) == set(METHODS)


@pytest.mark.parametrize("method", ["movenet", "blazepose"])
def test_people_of_a_method_are_told_in_the_joints_asked_for(
    tmp_path, monkeypatch, picture, method
):
    flags = ["--method", method, *FLAGS[method](tmp_path), "--quiet"]
    for name, more in {"plain": [], "asked": ["--skeleton", "openpose-18", "--track"]}.items():
        assert call(monkeypatch, "run", picture, *flags, *more, "-o", tmp_path / name) in (None, 0)
    (found,), (asked,) = (read_results(tmp_path / name) for name in ("plain", "asked"))
    assert len(found.people) == 1
    assert asked.people.skeleton == OPENPOSE18
    assert np.allclose(asked.people.keypoints, found.people.to(OPENPOSE18).keypoints, atol=0.01)
    refused = ["--skeleton", "animal-20", "-o", tmp_path / "refused"]
    assert call(monkeypatch, "run", picture, *flags, *refused) == 1


@pytest.mark.parametrize("method", FLAGS)
def test_a_method_goes_through_every_command(tmp_path, monkeypatch, picture, method):
    out, formats = tmp_path / "out", sorted(set(FORMATS) - {"jsonl"})
    flags = ["--method", method, *FLAGS[method](tmp_path), "--quiet"]
    drawn = ["--save-images", "--format", ",".join(formats)]
    assert call(monkeypatch, "run", picture, *flags, "-o", out, *drawn) in (None, 0)
    (found,) = read_results(out)
    assert len(found.people) == 1
    assert found.people.skeleton.name in SKELETONS
    overlay = decode((out / "images/picture.png").read_bytes(), "overlay")
    assert overlay.shape == (SIZE[1], SIZE[0], 3)
    for path in out.iterdir():
        assert path.is_dir() or path.stat().st_size > 0

    tracked = tmp_path / "tracked"
    assert call(monkeypatch, "run", picture, *flags, "-o", tracked, "--track") in (None, 0)
    (followed,) = read_results(tracked)
    assert followed.people.ids is not None
    assert np.allclose(followed.people.keypoints, found.people.keypoints)


def test_a_model_that_is_a_method_is_judged_by_its_name(tmp_path, monkeypatch, picture, capsys):
    """A row of one's own in a folder of EVERYBODY_WEIGHTS; truth is what the file says."""
    movenet(tmp_path / "mine.onnx", (POINTS, BOUNDS, 0.9))
    (tmp_path / "manifest.toml").write_text(
        '[model.mine]\ntask = "people"\nmethod = "movenet"\nfile = "mine.onnx"\nlicence = "?"\n'
        'input = { size = [384, 384], layout = "nhwc", dtype = "int32" }\n'
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    keypoints = np.column_stack([POINTS + 0.5, np.full(17, 2)]).ravel().tolist()
    person = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "keypoints": keypoints,
        "num_keypoints": 17,
        "bbox": [50.5, 20.5, 160, 210],
        "area": 160 * 210,
        "iscrowd": 0,
    }
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}
    image = {"id": 1, "file_name": picture.name, "width": SIZE[0], "height": SIZE[1]}
    data = {"images": [image], "annotations": [person], "categories": [category]}
    (tmp_path / "truth.json").write_text(json.dumps(data))
    assert call(
        monkeypatch, "eval", "--data", tmp_path / "truth.json", "--model", "mine", "--json"
    ) in (None, 0)
    (judged,) = re.findall(r'"AP": ([0-9.]+)', capsys.readouterr().out)
    assert float(judged) == pytest.approx(1)
    assert call(monkeypatch, "run", picture, "--method", "mine", "-o", tmp_path / "out") in (
        None,
        0,
    )


@pytest.mark.parametrize("method", FLAGS)
def test_nobody_is_always_legal(tmp_path, monkeypatch, picture, method):
    flags = ["--method", method, *FLAGS[method](tmp_path), "--det-score", "1.01", "--quiet"]
    assert call(monkeypatch, "run", picture, *flags, "-o", tmp_path / "out") in (None, 0)
    (found,) = read_results(tmp_path / "out")
    assert len(found.people) == 0


def one_stage(path: Path, **keywords) -> Estimator:
    return Estimator(method="movenet", pose=path, threads=1, workers=1, **keywords)


def test_a_planted_person_is_where_they_were_planted(tmp_path):
    other = POINTS + np.array([100, 0]), BOUNDS + np.array([100, 0, 100, 0]), 0.5
    path = movenet(tmp_path / "m.onnx", other, (POINTS, BOUNDS, 0.9))
    blank = Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    (frame,) = one_stage(path)([blank])
    people = frame.people
    assert people.scores.tolist() == pytest.approx([0.9, 0.5])
    assert np.abs(people.keypoints[0, :, :2] - POINTS).max() < 0.02
    assert np.abs(people.boxes[0] - BOUNDS).max() < 0.02
    assert np.abs(people.boxes[1] - other[1]).max() < 0.02
    together = one_stage(path)([blank, blank, blank])
    assert all(np.array_equal(f.people.keypoints, people.keypoints) for f in together)
    assert len(one_stage(path, max_people=1)([blank])[0].people) == 1
    assert len(one_stage(path, det_score=0.7)([blank])[0].people) == 1
    twice = movenet(tmp_path / "twice.onnx", (POINTS, BOUNDS, 0.9), (POINTS + 1, BOUNDS, 0.6))
    assert len(one_stage(twice, pose_nms="oks")([blank])[0].people) == 1
    assert len(one_stage(twice, pose_nms="none")([blank])[0].people) == 2


def test_one_stage_methods_have_nobody_to_pose(tmp_path):
    estimator = one_stage(movenet(tmp_path / "m.onnx", (POINTS, BOUNDS, 0.9)))
    with pytest.raises(OptionError, match="at once"):
        estimator.pose([Frame(np.zeros((9, 9, 3), np.uint8))])
    with pytest.raises(OptionError, match="detect_every 5: this method"):
        next(Follow(detect_every=5)(estimator, []))


def test_what_is_not_movenet_is_refused(tmp_path):
    path = nets.heatmap_finder(tmp_path / "p.onnx", 17)
    with pytest.raises(ModelError, match="not MoveNet MultiPose, which takes"):
        one_stage(path)


@pytest.mark.parametrize("what", ["heatmap", "regression", "detector", "movenet", "blazepose"])
def test_an_answer_of_nan_names_the_file(tmp_path, what):
    """It never becomes a person at no place, whose NaN would be in every file of results."""
    nan, file, box = np.nan, tmp_path / "nan.onnx", np.array([[20, 20, 116, 148, 0.9]], np.float32)
    found = nets.rtmdet_constant(tmp_path / "d.onnx", box)
    keywords = {"detector": found, "det_size": (160, 160), "pose": file, "skeleton": "coco-17"}
    if what == "heatmap":
        nets.constant(file, (48, 64), {"maps": np.full((1, 17, 16, 12), nan)})
        keywords["codec"] = "heatmap"
    elif what == "regression":
        nets.constant(file, (48, 64), {"points": np.full((1, 17, 2), nan)})
        keywords["codec"] = "regression"
    elif what == "detector":
        nets.rtmdet_constant(file, np.array([[nan, 20, 116, 148, 0.9]], np.float32))
        keywords = {"detector": file, "det_size": (160, 160)}
    elif what == "movenet":
        nets.movenet_constant(file, np.full((6, 56), nan))
        keywords = {"method": "movenet", "pose": file}
    else:
        nets.blazepose_constant(file, np.full((33, 2), nan), np.zeros((33, 3)))
        keywords |= {"method": "blazepose", "skeleton": None}
    with pytest.raises(ModelError, match=r"^[^:]*nan\.onnx: its answer .* holds NaN"):
        Estimator(threads=1, workers=1, **keywords)([Frame(np.zeros((240, 320, 3), np.uint8))])


def test_an_unknown_method_names_the_known_ones():
    known = "unknown method 'magic': known are topdown, movenet.*movenet-multipose"
    with pytest.raises(OptionError, match=known):
        Estimator(method="magic")


@pytest.mark.parametrize(
    ("keywords", "option"),
    [
        ({"flip_test": True}, "--flip-test"),
        ({"associate": True}, "--associate"),
        ({"refine": ("stage.onnx",)}, "--refine"),
        ({"second": "posenet"}, "--second"),
        ({"boxes": "boxes.json"}, "--boxes"),
        ({"face": "mediapipe-face"}, "--face"),
    ],
)
def test_an_option_that_a_method_would_leave_out_is_refused(tmp_path, keywords, option):
    path = movenet(tmp_path / "m.onnx", (POINTS, BOUNDS, 0.9))
    with pytest.raises(OptionError, match=f"method 'movenet' has no use for {option}: leave it"):
        one_stage(path, **keywords)


def test_an_unknown_keyword_names_the_known_ones():
    with pytest.raises(TypeError, match="unknown option 'detecter'; known are method, model"):
        Estimator(detecter="x")  # type: ignore[call-arg]
    with pytest.raises(OptionError, match="not both"):
        Estimator(Options(), model="fast")


def test_an_estimator_is_pickled_as_its_options():
    estimator = Estimator(model="fast", det_score=0.4, threads=1)
    again = pickle.loads(pickle.dumps(estimator))
    assert again.options == estimator.options
    assert again.models() == estimator.models()


def _count(estimator: Estimator) -> int:
    return len(estimator([Frame(np.zeros((64, 64, 3), np.uint8))])[0].people)


def test_an_estimator_travels_to_another_process():
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(_count, Estimator(model="fast", threads=1)).result() == 0


def test_stages_run_in_order_and_name_themselves_where_they_fail():
    def failing(frames: list[Frame]) -> list[Frame]:
        if any(frame.index == 3 for frame in frames):
            raise ValueError("no luck")
        return frames

    frames = [Frame(np.zeros((4, 4, 3), np.uint8), n, source="a.mp4") for n in range(6)]
    stages = [Stage("first", list, enough(2)), Stage("second", failing, enough(1))]
    out = schedule.run(stages, frames, workers=2)
    assert [next(out).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Exception, match=r"second failed at a.mp4 \[3\]: no luck"):
        next(out)
    assert list(schedule.run(stages, [], workers=2)) == []
    assert [f.index for f in schedule.at_once(stages[:1], frames)] == list(range(6))


def test_opencv_has_as_many_threads_after_a_stream_as_before():
    before = cv2.getNumThreads()
    frames = [Frame(np.zeros((4, 4, 3), np.uint8), n) for n in range(3)]

    def threads(frames: list[Frame]) -> list[Frame]:
        seen.append(cv2.getNumThreads())
        return frames

    seen: list[int] = []
    outer = schedule.run([Stage("look", threads, enough(1))], frames, workers=1)
    next(outer)
    list(schedule.run([Stage("look", threads, enough(1))], frames, workers=1))
    outer.close()
    assert set(seen) == {1}
    assert cv2.getNumThreads() == before


def test_groups_of_people_become_one_group():
    two, one = People.from_boxes([[0, 0, 1, 1], [2, 2, 3, 3]]), People.from_boxes([[4, 4, 5, 5]])
    empty = People.empty(BOX)
    everyone = People.concatenate([two, empty, one])
    assert everyone.boxes.tolist() == [*two.boxes.tolist(), *one.boxes.tolist()]
    assert len(People.concatenate([empty, empty])) == 0
    with pytest.raises(ValueError, match="several skeletons"):
        People.concatenate([two, People.empty(BOX), _posed()])


def _posed() -> People:

    return People(np.zeros((1, 17, 3)), np.zeros((1, 4)), np.ones(1), COCO17)


def test_boxes_from_a_file_are_used_or_said(tmp_path, monkeypatch, picture, capsys):
    """Whatever the one category is called, and with the separators of another system."""
    flags = topdown(tmp_path)[4:]

    def people(**entry: object) -> tuple[int, int]:
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps([{"bbox": [10, 10, 90, 120], "score": 0.9} | entry]))
        out = tmp_path / "out"
        code = call(
            monkeypatch, "run", picture, "--boxes", path, *flags, "-o", out, "--overwrite", "-q"
        )
        return code, sum(len(record.people) for record in read_results(out))

    assert people(file_name="picture.png") == (0, 1)
    assert people(file_name="picture.png", category_id=0) == (0, 1)
    assert people(file_name="train\\picture.png") == (0, 1)
    assert people(file_name="other.png") == (1, 0)
    assert (
        "1 boxes of 1 pictures belong to none of the frames (other.png)" in capsys.readouterr().err
    )


def test_boxes_of_other_pictures_are_no_problem_beside_those_that_are_used(
    tmp_path, monkeypatch, picture, capsys
):
    """A file for a whole data set serves a part of it, and a run that goes on asks for none."""
    path, out = tmp_path / "boxes.json", tmp_path / "out"
    box = {"bbox": [10, 10, 90, 120], "score": 0.9}
    names = ("picture.png", "other.png")
    path.write_text(json.dumps([box | {"file_name": name} for name in names]))
    flags = ["--boxes", path, *topdown(tmp_path)[4:], "-o", out]
    assert call(monkeypatch, "run", picture, *flags) == 0
    assert "1 boxes of 1 pictures belong to none" in capsys.readouterr().err
    assert call(monkeypatch, "run", picture, *flags, "--resume") == 0
    assert "belong to none" not in capsys.readouterr().err
    (found,) = read_results(out)
    assert len(found.people) == 1
