"""Following people through the pipeline and the command line, with networks whose answers are
known.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import everybody
from everybody import schedule
from everybody.cli import main
from everybody.errors import EverybodyError, ModelError, OptionError
from everybody.follow import IN_FLIGHT, Follow
from everybody.follow.as_needed import AsNeeded
from everybody.follow.keep import kept
from everybody.media.trails import Trails
from everybody.method import Stage, enough
from everybody.people import Frame, People
from everybody.results.formats import FORMATS, read_results
from everybody.results.lines import progress
from everybody.runtime import load
from everybody.skeletons import BOX
from everybody.track import Tracker
from everybody.track.appearance import Embedder, load_embedder
from synthetic import nets

from . import movies
from .test_journal import disk
from .test_track import standing

PICTURE = np.zeros((240, 320, 3), np.uint8)


class Scripted:
    """An estimator whose detector finds `people(index)`, and whose poses are those of the person
    nearest each box. whole: one stage does both.
    """

    workers = 2

    def __init__(self, people, *, whole: bool = False) -> None:
        self.people, self.looked, self.posed, self.whole = people, [], [], whole

    @property
    def method(self):
        if self.whole:
            both = Stage("everything", lambda frames: self.pose(self.find(frames)), enough(1))
            return SimpleNamespace(stages=(both,), poser=None)
        stages = (
            Stage("finding people", self.find, enough(1)),
            Stage("pose", self.pose, enough(1)),
        )
        return SimpleNamespace(stages=stages, poser=self.pose)

    def frames(self, frames, *, live=False):
        return schedule.run(self.method.stages, frames, workers=self.workers, live=live)

    def find(self, frames):
        self.looked += [frame.index for frame in frames]
        found = [self.people(frame.index) for frame in frames]
        return [
            replace(frame, people=People.from_boxes(p.boxes, p.scores))
            for frame, p in zip(frames, found, strict=True)
        ]

    def pose(self, frames):
        out = []
        for frame in frames:
            self.posed.append((frame.index, len(frame.people)))
            there, boxes = self.people(frame.index), frame.people.boxes
            centres, wanted = (b.reshape(-1, 2, 2).mean(1) for b in (there.boxes, boxes))
            near = np.linalg.norm(wanted[:, None] - centres, axis=-1)
            rows = [int(row.argmin()) for row in near if row.size and row.min() < 60]
            found = there[rows]
            places = [n for n, row in enumerate(near) if row.size and row.min() < 60]
            out.append(replace(frame, people=replace(found, boxes=boxes[places])))
        return out


def skipping(estimator, frames, tracker: Tracker, every: int):
    guide = AsNeeded(estimator, tracker, every)
    return schedule.guided(guide, frames, workers=estimator.workers, most=IN_FLIGHT)


def film(count: int) -> list[Frame]:
    return [Frame(PICTURE, n, n / 25, "a.mp4") for n in range(count)]


def walking(index: int) -> People:
    return standing((100 + 3 * index, 220), (1000 - 2 * index, 220))


@pytest.mark.parametrize("every", [1, 2, 5, 10])
def test_every_frame_comes_out_once_with_the_same_ids_however_seldom_one_looks(every):
    estimator = Scripted(walking)
    frames = list(Follow(detect_every=every, camera=False)(estimator, film(40)))
    assert [frame.index for frame in frames] == list(range(40))
    for frame in frames:
        truth = walking(frame.index)
        assert {tuple(np.rint(p.boxes[0, :2] / 30)) for p in frame.people} == {
            tuple(np.rint(p.boxes[0, :2] / 30)) for p in truth
        } or every > 1
        assert sorted(frame.people.ids.tolist()) == [1, 2]
        by_id = frame.people[np.argsort(frame.people.boxes[:, 0])]
        assert np.abs(by_id.boxes - truth.boxes[np.argsort(truth.boxes[:, 0])]).max() < 25
    assert estimator.looked == list(range(0, 40, every))


def test_live_reads_nothing_before_there_is_a_worker_for_it():
    read = []

    def source():
        for frame in film(20):
            read.append(frame.index)
            yield frame

    for frame in Follow(live=True, camera=False)(Scripted(walking), source()):
        assert frame.people.ids.tolist() == [1, 2]
        assert len(read) <= frame.index + Scripted.workers
    assert read == list(range(20))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("every", [0, 1])
def test_live_each_answer_comes_before_the_next_frame_does(whole, every):
    """A client that sends the next picture when the last answer is there is never left waiting."""
    answered = [threading.Event() for _ in range(8)]

    def source():
        for frame in film(8):
            assert frame.index == 0 or answered[frame.index - 1].wait(20)
            yield frame

    estimator = Scripted(walking, whole=whole)
    estimator.workers = 4
    for frame in Follow(live=True, camera=False, detect_every=every)(estimator, source()):
        answered[frame.index].set()
    assert all(event.is_set() for event in answered)


HOLDING = {  # what holds frames back: work in hand, smoothing's window, hindsight
    "live": {"live": True},
    "as needed": {},
    "every frame": {"detect_every": 1},
    "smooth": {"smooth": "kalman"},
    "flow": {"flow": True},
    "all": {"flow": True, "smooth": "kalman"},
}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("how", HOLDING.values(), ids=HOLDING)
def test_an_error_of_the_source_comes_after_all_frames_before_it(how, whole):
    """However late the frames are: here the source breaks while the first is looked at."""
    broken = threading.Event()

    def source():
        yield from film(3)
        broken.set()
        raise OSError("unplugged")

    def people(index: int) -> People:
        broken.wait(1)
        return walking(index)

    estimator = Scripted(people, whole=whole)
    estimator.workers = 4
    frames = Follow(camera=False, **how)(estimator, source())
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="unplugged"):
        next(frames)


def test_who_is_missed_makes_the_detector_look_again():
    def people(index: int) -> People:
        return walking(index) if index < 12 else standing((700, 220), (1000 - 2 * index, 220))

    estimator = Scripted(people)
    frames = list(skipping(estimator, film(40), Tracker(camera=False), 20))
    assert [frame.index for frame in frames] == list(range(40))
    assert any(12 < index <= 16 for index in estimator.looked)
    assert len(frames[18].people) == 2


def test_each_source_is_looked_at_first_and_nobody_is_always_legal():
    estimator = Scripted(lambda index: People.empty(standing((1, 1)).skeleton))
    frames = film(12) + [replace(frame, source="b.mp4") for frame in film(3)]
    out = list(skipping(estimator, frames, Tracker(), 10))
    assert [(frame.source, frame.index) for frame in out] == [
        (frame.source, frame.index) for frame in frames
    ]
    assert estimator.looked == [0, 10, 0]
    assert all(len(frame.people) == 0 for frame in out)
    assert list(skipping(estimator, [], Tracker(), 10)) == []


@pytest.mark.parametrize("broken", ["find", "pose", "source"])
def test_an_error_anywhere_ends_the_chain_and_is_told(broken):
    class Breaking(Scripted):
        def find(self, frames):
            if broken == "find" and frames[0].index >= 10:
                raise ValueError(broken)
            return super().find(frames)

        def pose(self, frames):
            if broken == "pose" and frames[0].index >= 12:
                raise ValueError(broken)
            return super().pose(frames)

    def source():
        for frame in film(40):
            if broken == "source" and frame.index == 14:
                raise ValueError(broken)
            yield frame

    got = []
    tracked = skipping(Breaking(walking), source(), Tracker(camera=False), 5)
    told = broken if broken == "source" else rf"failed at a.mp4 \[1\d\]: {broken}"
    with pytest.raises(ValueError if broken == "source" else EverybodyError, match=told):
        got.extend(frame.index for frame in tracked)
    assert got == list(range(len(got)))
    assert 8 <= len(got) <= 14


def shown(people, count: int) -> list[Frame]:
    """A film in which everybody is a patch of stripes that goes along."""
    out = []
    for n in range(count):
        picture = np.full((240, 1100, 3), 128, np.uint8)
        for x0, y0, x1, y1 in people(n).boxes.astype(int).tolist():
            picture[max(y0, 0) : y1, max(x0, 0) : x1] = np.where(
                (np.arange(max(x0, 0), x1) - x0) // 6 % 2, 30, 220
            )[:, None]
        out.append(Frame(picture, n, n / 25, "a.mp4"))
    return out


def resting(index: int) -> People:
    return standing((100, 220), (700, 220))


def paced(people, rate: float, count: int) -> list[Frame]:
    return [replace(frame, time=frame.index / rate) for frame in shown(people, count)]


def there_and_back(index: int) -> People:
    """One who turns back every few frames, and one who stands."""
    return standing((400 + 50 * abs(index % 8 - 4), 220), (1000, 220))


@pytest.mark.parametrize("rate", [1, 4, 8, 15])
def test_of_a_slow_film_every_frame_is_looked_at(rate):
    estimator, each = Scripted(there_and_back), Scripted(there_and_back)
    source = paced(there_and_back, rate, 24)
    frames = list(Follow(camera=False)(estimator, source))
    assert estimator.looked == list(range(24))
    every = Follow(camera=False, detect_every=1)(each, source)
    for one, other in zip(frames, every, strict=True):
        assert np.array_equal(one.people.boxes, other.people.boxes)
        assert np.array_equal(one.people.ids, other.people.ids)


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_of_a_quick_film_it_is_not(rate):
    estimator = Scripted(resting)
    list(Follow(camera=False)(estimator, paced(resting, rate, 60)))
    assert len(estimator.looked) < 20


def test_after_a_gap_in_a_quick_film_one_looks_at_once():
    quick = shown(resting, 40)
    frames = quick[:20] + [replace(frame, time=frame.time + 0.1) for frame in quick[20:]]
    estimator = Scripted(resting)
    list(Follow(camera=False)(estimator, frames))
    assert 20 in estimator.looked


def test_a_slow_film_is_looked_at_as_seldom_as_one_says_and_live_only_where_needed():
    estimator, live = Scripted(resting), Scripted(resting)
    list(Follow(camera=False, detect_every=4)(estimator, paced(resting, 8, 24)))
    assert estimator.looked == list(range(0, 24, 4))
    list(Follow(camera=False, live=True)(live, paced(resting, 8, 24)))
    assert len(live.looked) < 16


def test_where_nothing_moves_the_detector_rests_and_poses_are_kept():
    estimator = Scripted(resting)
    frames = list(Follow()(estimator, shown(resting, 50)))
    assert [frame.people.ids.tolist() for frame in frames] == [[1, 2]] * 50
    assert 4 <= len(estimator.looked) <= 8
    assert max(np.diff(estimator.looked)) / 25 < 0.45
    assert 0 < sum(count for _, count in estimator.posed) < 50
    for frame in frames:
        assert np.allclose(frame.people.keypoints, resting(0).keypoints)


def test_who_rests_keeps_the_pose_when_the_detector_looks_unless_something_is_unclear():
    """Whom it finds alone, that is; whom it finds twice, or not, or who moves, is estimated."""
    estimator = Scripted(resting)
    frame = shown(resting, 1)[0]
    expected = replace(resting(0), ids=np.array([7, 8]))

    def looked(people: People, quiet: set[int]) -> tuple[int, set[int]]:
        estimator.people = lambda _: people
        guide = AsNeeded(estimator, Tracker(), 0)
        found, kept = guide._looked(frame, expected, quiet)
        return len(found.people), kept

    assert looked(resting(0), {7, 8}) == (0, {7, 8})
    assert looked(resting(0), {8}) == (1, {8})
    assert looked(resting(0), set()) == (2, set())
    assert looked(standing((100, 220), (400, 220)), {7, 8}) == (1, {7})
    assert looked(standing((100, 220), (700, 220), (710, 220)), {7, 8}) == (2, {7})


def test_who_moves_is_estimated_in_each_frame_and_who_rests_is_not():
    def people(index: int) -> People:
        return standing((100 + 3 * index, 220), (900, 220))

    estimator = Scripted(people)
    frames = list(Follow(camera=False)(estimator, shown(people, 60)))
    assert [sorted(frame.people.ids.tolist()) for frame in frames] == [[1, 2]] * 60
    assert {index for index, _ in estimator.posed} | set(estimator.looked) == set(range(60))
    assert sum(count for _, count in estimator.posed) < 2 * 60 - 20
    for frame in frames:
        row = int(frame.people.boxes[:, 0].argmin())
        assert np.allclose(frame.people.keypoints[row], people(frame.index).keypoints[0])


@pytest.mark.parametrize("score", [0.8, 0.4])
def test_somebody_new_is_looked_at_as_soon_as_something_moves(score):
    def people(index: int) -> People:
        return (
            resting(index)
            if index < 20
            else standing((100, 220), (700, 220), (400, 220), score=score)
        )

    estimator = Scripted(people)
    frames = list(Follow()(estimator, shown(people, 40)))
    assert min(index for index in estimator.looked if index >= 20) <= 23
    known = [frame.index for frame in frames if 3 in frame.people.ids]
    assert known == list(range(known[0], 40))
    assert known[0] <= (23 if score > 0.5 else 32)  # who is not sure takes three looks


def test_a_folder_of_pictures_is_looked_at_picture_by_picture():
    estimator = Scripted(walking)
    frames = [replace(frame, source=f"{frame.index}.png", index=0, time=0.0) for frame in film(9)]
    out = list(Follow()(estimator, frames))
    assert len(estimator.looked) == 9
    assert [frame.people.ids.tolist() for frame in out] == [[1, 2]] * 9


def test_keep_an_id_the_largest_or_the_one_in_the_middle():
    def frames():
        for n in range(10):
            big = standing((60, 200), tall=100 + 30 * (n >= 5))
            people = People(
                *(
                    np.concatenate(
                        [getattr(p, name) for p in (big, standing((160, 160), tall=110))]
                    )
                    for name in ("keypoints", "boxes", "scores")
                ),
                big.skeleton,
                np.array([1, 2]) if n < 8 else np.array([3, 2]),
            )
            yield Frame(PICTURE, n, n / 25, "a.mp4", people)

    def ids(who) -> list[list[int]]:
        return [frame.people.ids.tolist() for frame in kept(frames(), who)]

    assert ids(None) == [[1, 2]] * 8 + [[3, 2]] * 2
    assert ids("1") == [[1]] * 8 + [[]] * 2
    assert ids((1, 3)) == [[1]] * 8 + [[3]] * 2
    assert ids("largest") == [[2]] * 10  # who was the largest at first stays
    assert ids("centre") == [[2]] * 10
    nobody = [Frame(PICTURE)]
    assert len(next(kept(nobody, "largest")).people) == 0


@pytest.mark.parametrize(
    ("wrong", "word"), [({"detect_every": -1}, "detect_every"), ({"keep": "left"}, "largest")]
)
def test_wrong_options_are_told(wrong, word):
    with pytest.raises(OptionError, match=word):
        Follow(**wrong)


def test_trails_end_and_begin_anew_with_another_source():
    trails = Trails(0.5)
    people = replace(standing((100, 200), tall=100), ids=np.array([4]))
    moved = replace(standing((160, 200), tall=100), ids=np.array([4]))
    assert not trails(Frame(PICTURE, 0, 0.0, "a.mp4", people)).sum() > 2000
    assert trails(Frame(PICTURE, 1, 0.1, "a.mp4", moved))[201, 110:150].any(axis=1).all()
    assert not trails(Frame(PICTURE, 9, 2.0, "a.mp4", People.empty(BOX))).any()
    trails(Frame(PICTURE, 10, 2.1, "a.mp4", people))
    assert not trails(Frame(PICTURE, 0, 2.2, "b.mp4", moved))[201, 110:150].any()


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    detector = nets.rtmdet_constant(
        tmp_path / "detector.onnx", np.array([[20, 20, 116, 148, 0.9]], np.float32)
    )
    pose = nets.heatmap_constant(
        tmp_path / "pose.onnx", np.stack([np.arange(17) + 3, 2 * np.arange(17)[::-1]], 1)
    )
    film = movies.encode(tmp_path / "film.mp4", [nets.blob(160, 160, 60, 70)] * 12)
    return [
        *("run", str(film), "--detector", str(detector), "--det-size", "160", "--pose", str(pose)),
        *(
            "--skeleton",
            "coco-17",
            "--codec",
            "heatmap,alignment=corner",
            "--normalise",
            "none",
            "--quiet",
        ),
    ]


def call(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["everybody", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def ids_in(path: Path) -> list[list[int]]:
    return [[p["id"] for p in json.loads(line)["people"]] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("every", [1, 5])
def test_ids_are_in_every_format_and_on_video(tmp_path, monkeypatch, options, every):
    out = tmp_path / "out"
    formats = sorted(set(FORMATS) - {"jsonl"})
    more = [
        "--detect-every",
        every,
        "-f",
        ",".join(formats),
        "--save-video",
        "--trails",
        1,
        "--draw-ids",
    ]
    assert call(monkeypatch, *options, "--track", *more, "-o", out) == 0
    assert ids_in(out / "frames.jsonl") == [[1]] * 12
    for name in formats:
        if name not in ("alphapose-cmu", "alphapose-open"):  # which hold no ids
            records = list(read_results(out / FORMATS[name].target))
            assert [record.people.ids.tolist() for record in records] == [[1]] * 12, name
    assert call(monkeypatch, *options, "-o", tmp_path / "untracked") == 0
    assert ids_in(tmp_path / "untracked" / "frames.jsonl") == [[None]] * 12


def test_a_resumed_run_gives_no_id_twice(tmp_path, monkeypatch, options):
    out = tmp_path / "out"
    assert call(monkeypatch, *options, "--track", "--end", "6", "-o", out) == 0
    assert progress(out).greatest == 1
    assert call(monkeypatch, *options, "--track", "--resume", "-o", out) == 0
    assert ids_in(out / "frames.jsonl") == [[1]] * 6 + [[2]] * 6
    assert progress(tmp_path).greatest == 0


def test_in_python(tmp_path, options):
    given = dict(zip(options[2:-1:2], options[3:-1:2], strict=True))
    names = {"det_size": (160, 160)} | {
        key.strip("-"): value for key, value in given.items() if key not in ("--det-size",)
    }
    frames = list(everybody.stream(options[1], track=True, **names))
    assert [frame.people.ids.tolist() for frame in frames] == [[1]] * 12
    frames = list(everybody.stream(options[1], track=everybody.Follow(keep=2), **names))
    assert [len(frame.people) for frame in frames] == [0] * 12


def test_the_embedding_network_is_named_and_another_one_does_not_go_on(
    tmp_path, monkeypatch, options
):
    network = nets.mean_colour(tmp_path / "looks.onnx")
    out = tmp_path / "out"
    assert call(monkeypatch, *options, "--appearance", network, "--end", 6, "-o", out) == 0
    models = json.loads((out / "run.json").read_text())["models"]
    assert [model["task"] for model in models] == ["detector", "pose", "turn", "embedding"]
    assert models[-1]["name"] == "looks"
    assert len(models[-1]["sha256"]) == 64
    assert call(monkeypatch, *options, "--resume", "-o", out) != 0  # these models are others


@pytest.mark.parametrize("smooth", [(), ("--smooth", "kalman")])
def test_a_full_disk_while_tracking_leaves_what_plays(
    tmp_path, monkeypatch, capsys, options, smooth
):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (160, 160, 3), np.uint8) for _ in range(100)]
    movies.encode(tmp_path / "film.mp4", pictures)
    out = tmp_path / "out"
    with disk(400_000):
        code = call(
            monkeypatch, *options, "--track", *smooth, "--save-video", "--trails", 1, "-o", out
        )
    assert code != 0
    assert "film.mp4: cannot be written" in capsys.readouterr().err
    shown = sum(
        1 for _ in everybody.read(str(out / "video" / "film.mp4"), problem=lambda error: None)
    )
    told = ids_in(out / "frames.jsonl")
    assert 10 < shown <= len(told) < 100
    assert told == [[1]] * len(told)
    assert call(monkeypatch, *options, "--track", *smooth, "--resume", "-o", out) == 0
    assert len(ids_in(out / "frames.jsonl")) == 100


def test_a_network_that_gives_no_embedding_is_told(tmp_path):
    path = nets.simcc_finder(tmp_path / "other.onnx", 17)
    assert isinstance(load_embedder(path), Embedder)
    wrong = nets.rtmdet_constant(tmp_path / "detector.onnx", np.zeros((1, 5)))
    with pytest.raises(ModelError, match="fixed size"):
        load_embedder(wrong)


def test_the_same_person_looks_alike(shared):
    path = shared / "weights" / "person-reid-0287.onnx"
    if not path.is_file():
        pytest.skip("needs person-reid-0287.onnx")
    assert load(path).outputs
    frames = everybody.read(
        str(shared / "data" / "video" / "taiji.mp4"), select=everybody.Selection(every=40)
    )
    embed = load_embedder(path)
    first, second = next(frames).image, next(frames).image
    height, width = first.shape[:2]
    boxes = np.array(
        [
            [0.3 * width, 0.1 * height, 0.7 * width, height],
            [0, 0, 0.2 * width, 0.5 * height],
            [-9, -9, -5, -5],
        ]
    )
    a, b = embed(first, boxes), embed(second, boxes)
    assert np.allclose(np.linalg.norm(a, axis=1), [1, 1, 0])
    assert a[0] @ b[0] > a[0] @ b[1]
