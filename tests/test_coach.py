"""The coach: what counts as a repetition, from where it is seen, and exercises as data."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.apps.coach import Coach, coach_clip, recognise
from everybody.apps.exercise import Exercise, Measure, Rule, read_exercises, usual_exercises
from everybody.apps.lesson import Lesson, rows, write_rows
from everybody.cli import main
from everybody.errors import DataError, OptionError
from everybody.estimator import Estimator
from everybody.people import Frame, People
from everybody.skeletons import COCO17

NAMES = COCO17.joints
FPS = 30
KNOWN = usual_exercises()
IMAGE = np.zeros((8, 8, 3), np.uint8)


def standing(width: float = 40.0) -> dict[str, tuple[float, float]]:
    """A person of 180 units, seen from the front (or the side, if narrow); y down."""
    half = width / 2
    places = {"nose": (0, -165)}
    for side, way in (("left", 1), ("right", -1)):
        places |= {
            f"{side}_eye": (way * 4, -168), f"{side}_ear": (way * 8, -166),
            f"{side}_shoulder": (way * half, -145), f"{side}_elbow": (way * half, -115),
            f"{side}_wrist": (way * half, -90), f"{side}_hip": (way * half * 0.7, -92),
            f"{side}_knee": (way * half * 0.7, -48), f"{side}_ankle": (way * half * 0.7, -5),
        }  # fmt: skip
    return places


def pose(places: dict[str, tuple[float, float]]) -> np.ndarray:
    points = np.zeros((17, 3))
    for name, place in places.items():
        points[NAMES.index(name)] = (*place, 0.9)
    return points


def squatting(depth: float) -> np.ndarray:
    """0: standing, 1: hips as high as the knees; the knees go sideways."""
    places = standing()
    for side, way in (("left", 1), ("right", -1)):
        angle = math.acos(1 - depth)
        x, y = places[f"{side}_knee"]
        places[f"{side}_hip"] = (x - way * 44 * math.sin(angle) * 0.2, y - 44 * (1 - depth))
    drop = 44 * depth
    for name, (x, y) in places.items():
        if not name.endswith(("knee", "ankle", "hip")):
            places[name] = (x, y + drop)
    return pose(places)


def wave(count: int, seconds: float = 2.0, rest: float = 1.0) -> np.ndarray:
    """Depths of so many repetitions, with rests before and after."""
    each = (1 - np.cos(np.linspace(0, 2 * np.pi, int(seconds * FPS)))) / 2
    still = np.zeros(int(rest * FPS))
    return np.concatenate([still, *[each] * count, still])


def clip(depths: np.ndarray, make=squatting) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(depths)) / FPS, np.stack([make(depth) for depth in depths])


SQUATS = clip(wave(4))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_repetition_counts_once(count):
    found = coach_clip(KNOWN["squat"], *clip(wave(count)), NAMES)
    assert len(found) == count
    for number, one in enumerate(found):
        assert one.start < one.turn < one.end
        assert one.turn == pytest.approx(2 + 2 * number, abs=0.15)
        assert one.asymmetry == pytest.approx(0, abs=1e-6)


@given(
    scale=st.floats(0.2, 20), x=st.floats(-1e3, 1e3), y=st.floats(-1e3, 1e3), mirror=st.booleans()
)
def test_size_place_and_mirroring_change_nothing(scale, x, y, mirror):
    times, points = SQUATS
    moved = points[:, list(COCO17.mirror)] if mirror else points.copy()
    moved = moved * ((-scale if mirror else scale), scale, 1) + (x, y, 0)
    found = coach_clip(KNOWN["squat"], times, moved, NAMES)
    usual = coach_clip(KNOWN["squat"], times, points, NAMES)
    assert [(one.start, one.turn, one.end) for one in found] == [
        (one.start, one.turn, one.end) for one in usual
    ]
    assert [one.value for one in found] == pytest.approx([one.value for one in usual])


@given(seed=st.integers(0, 50))
def test_noise_counts_nothing(seed):
    times, points = SQUATS
    rng = np.random.default_rng(seed)
    noisy = points.copy()
    noisy[..., :2] += rng.normal(0, 2.5, noisy[..., :2].shape)
    noisy[rng.random(noisy.shape[:2]) < 0.05, 2] = 0
    assert len(coach_clip(KNOWN["squat"], times, noisy, NAMES)) == 4


@given(at=st.integers(1, 290), frames=st.integers(1, 6))
def test_head_and_feet_that_change_places_for_a_fifth_of_a_second_count_nothing(at, frames):
    times, points = SQUATS
    flipped = points.copy()
    part = flipped[at : at + frames, :, 1]
    part[:] = part.min(1, keepdims=True) + part.max(1, keepdims=True) - part
    assert len(coach_clip(KNOWN["squat"], times, flipped, NAMES)) == 4


def test_a_body_that_is_elsewhere_is_believed_after_half_a_second():
    """Two others stand in for the person, one after the other, where no body gets that fast."""
    times, points = SQUATS
    points = points.copy()
    points[100:160, :, 0] += 2000
    points[160:, :, 0] -= 3000
    assert len(coach_clip(KNOWN["squat"], times, points, NAMES)) == 4


def test_it_answers_at_each_frame_what_it_knows_then():
    """No frame ahead is needed: a clip cut anywhere is the beginning of the whole."""
    times, points = SQUATS
    coach, said = Coach(KNOWN["squat"], NAMES), []
    for time, points_now in zip(times, points, strict=True):
        said.append(coach.see(time, points_now))
    ends = [feedback.time for feedback in said if feedback.ended]
    assert len(ends) == said[-1].count == 4
    for number, end in enumerate(ends):
        standing_up = 1 + 2 * (number + 1)
        assert 0 <= standing_up - end < 0.6, "said as soon as the person is nearly up"
    assert [feedback.count for feedback in said] == sorted(feedback.count for feedback in said)


def test_a_film_that_ends_after_the_turn_counts_it_and_before_does_not():
    depths = wave(1, rest=0.5)
    for share, expected in ((0.45, 0), (0.8, 1)):
        times, points = clip(depths[: int(0.5 * FPS + share * 2 * FPS)])
        coach = Coach(KNOWN["squat"], NAMES)
        for time, points_now in zip(times, points, strict=True):
            coach.see(time, points_now)
        assert len(coach.finish()) == expected
        assert len(coach.finish()) == expected, "asking again changes nothing"


def test_shallow_repetitions_are_told_to_go_lower_and_twitches_do_not_count():
    deep, shallow, twitch = (
        coach_clip(KNOWN["squat"], *clip(depth * wave(1)), NAMES) for depth in (1.0, 0.85, 0.4)
    )
    assert len(deep) == len(shallow) == 1
    assert not any("lower" in text for text in deep[0].say)
    assert any("lower" in text for text in shallow[0].say)
    assert twitch == []


def test_a_wrong_view_is_said_after_a_while():
    coach = Coach(KNOWN["squat"], NAMES)
    said = [coach.see(t, p) for t, p in zip(*SQUATS, strict=True)]
    assert said[0].say == ()
    assert said[int(1.2 * FPS)].say == ("Turn sideways to the camera.",)
    sideways = Coach(KNOWN["squat"], NAMES)
    narrow = pose(standing(width=8))
    assert all(not sideways.see(n / FPS, narrow).say for n in range(60))


def test_what_is_held_counts_in_seconds():
    lying = pose({name: (-y, -x - 40) for name, (x, y) in standing(8).items()})
    lying[[NAMES.index(f"{side}_wrist") for side in ("left", "right")], 1] += 30
    up = pose(standing(8))
    frames = [up] * FPS + [lying] * (5 * FPS) + [up] * FPS
    coach = Coach(KNOWN["plank"], NAMES)
    for number, points in enumerate(frames):
        coach.see(number / FPS, points)
    coach.finish()
    assert coach.count == pytest.approx(5, abs=0.2)


def test_nobody_seen_leaves_everything_as_it_is():
    coach = Coach(KNOWN["squat"], NAMES)
    feedback = coach.see(0.0, np.zeros((17, 3)))
    assert feedback.count == 0
    assert math.isnan(feedback.value)
    assert coach.finish() == []


def test_in_space_it_is_the_same_exercise():
    times, points = SQUATS
    space = np.zeros((*points.shape[:2], 4))
    space[..., 1], space[..., 2] = points[..., 0] / 100, -points[..., 1] / 100
    space[..., 3] = points[..., 2]
    found = coach_clip(KNOWN["squat"], times, space, NAMES, up=(0, 0, 1))
    flat = coach_clip(KNOWN["squat"], times, points, NAMES)
    assert [one.turn for one in found] == [one.turn for one in flat]


def test_the_exercise_is_recognised_and_standing_is_none():
    for depths, expected in ((wave(3), "squat"), (wave(0, rest=3), None)):
        coaches = {name: Coach(each, NAMES) for name, each in KNOWN.items()}
        for time, points in zip(*clip(depths), strict=True):
            for coach in coaches.values():
                coach.see(time, points)
        assert recognise(coaches) == expected


# --- measures


def test_measures_of_a_known_pose():
    from everybody.apps.exercise import Body

    lengths = {"trunk": 50.0, "leg": 100.0, "arm": 1.0, "shank": 1.0}
    body = Body.of(NAMES, pose(standing()), (0, -1), lengths)
    assert Measure(above=("hip", "ankle"), unit="leg")(body) == pytest.approx(0.87)
    assert Measure(angle=("hip", "knee", "ankle"))(body) == pytest.approx(180)
    assert Measure(lean=("shoulder", "hip"), of="left")(body) == pytest.approx(
        math.degrees(math.atan2(6, 53))
    )
    assert Measure(apart=("left_shoulder", "right_shoulder"))(body) == pytest.approx(0.8)
    turned = Measure(above=("left_wrist", "right_wrist"))(body)
    assert turned == pytest.approx(0)


def test_the_knee_is_ahead_on_the_side_to_which_the_person_looks():
    from everybody.apps.exercise import Body

    lengths = {"shank": 43.0}
    places = standing(8) | {"nose": (20, -165)}
    places["left_knee"] = (30, -48)
    measure = Measure(ahead=("knee", "ankle"), unit="shank", of="left")
    ahead = measure(Body.of(NAMES, pose(places), (0, -1), lengths))
    assert ahead == pytest.approx((30 - 2.8) / 43)
    mirrored = {name: (-x, y) for name, (x, y) in places.items()}
    assert measure(Body.of(NAMES, pose(mirrored), (0, -1), lengths)) == pytest.approx(ahead)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("squat = [", r"own\.toml: not a TOML file"),
        ("", "holds no exercise"),
        ("[a]\nrest = 1\nwork = 2", r"\[a\]: 'signal' is missing"),
        (
            '[a]\nsignal = { angle = ["hip", "knee", "ankle"] }\nrest = 170\nwork = 400',
            r"\[a\].*work = 400: an angle is 0 to 180 degrees",
        ),
        (
            '[a]\nsignal = { angle = ["hip", "knee", "ankle"] }\nrest = 90\nwork = 90',
            "rest and work are both 90",
        ),
        (
            '[a]\nsignal = { angle = ["hip", "nee", "ankle"] }\nrest = 9\nwork = 90',
            "unknown joint 'nee'.*did you mean knee",
        ),
        ('[a]\nsignal = { unit = "leg" }\nrest = 9\nwork = 90', "a measure is one of angle"),
        ('[a]\nsignal = { above = ["hip", "knee"] }\nrest = 0\nwork = 1\nview = "top"', "'top'"),
        ('[a]\nsignal = { above = ["hip", "knee"] }\nrest = 0\nwork = 1\nfull = 0.5', "full = 0.5"),
        ('[a]\nsignal = { above = ["hip", "knee"] }\nrest = 0\nwork = 1\nrepeat = 2', "'repeat'"),
        (
            '[a]\nsignal = { above = ["hip", "knee"] }\nrest = 0\nwork = 1\n'
            'rules = [{ measure = { lean = ["shoulder", "hip"] }, at_most = 200, say = "x" }]',
            r"at_most = 200: an angle",
        ),
    ],
)
def test_what_is_no_exercise_is_refused_by_file_exercise_and_key(tmp_path, text, message):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_exercises(path)


def test_a_rule_that_cannot_be_judged_is_not_broken():
    rule = Rule(measure=Measure(lean=("shoulder", "hip")), at_most=10)
    assert rule.kept(math.nan)
    assert not rule.kept(11)


# --- lessons


def people(*poses: np.ndarray, ids: list[int] | None = None) -> People:
    points = np.stack(poses)
    low, high = points[..., :2].min(1), points[..., :2].max(1)
    return People(points, np.concatenate([low, high], 1), np.ones(len(points)), COCO17, ids)


def test_everyone_is_coached_alone_or_whoever_is_largest():
    times, points = SQUATS
    small = pose(standing()) * (0.3, 0.3, 1)
    squat: dict[str, Exercise] = {"squat": KNOWN["squat"]}
    both, largest = Lesson(squat, everyone=True), Lesson(squat)
    for time, points_now in zip(times, points, strict=True):
        for lesson in (both, largest):
            frame = Frame(IMAGE, time=time, people=people(small, points_now, ids=[3, 8]))
            list(lesson.see(frame))
    done = both.finish()
    assert {person: len(found) for person, (_, found) in done.items()} == {3: 0, 8: 4}
    assert [len(found) for _, found in largest.finish().values()] == [4]
    with pytest.raises(DataError, match="--track"):
        list(both.see(Frame(IMAGE, people=people(small))))


def test_files_hold_every_repetition(tmp_path):
    lesson = Lesson({"squat": KNOWN["squat"]})
    for time, points_now in zip(*SQUATS, strict=True):
        list(lesson.see(Frame(IMAGE, time=time, people=people(points_now))))
    found = rows(lesson.finish())
    write_rows(tmp_path / "reps.json", found)
    write_rows(tmp_path / "reps.csv", found)
    assert json.loads((tmp_path / "reps.json").read_text()) == found
    assert len(found) == 4
    assert len((tmp_path / "reps.csv").read_text().splitlines()) == 5


def test_the_command_coaches_results(tmp_path, monkeypatch, capsys):
    from everybody.results.journal import Journal

    with Journal(tmp_path / "run", COCO17) as journal:
        for number, (time, points_now) in enumerate(zip(*SQUATS, strict=True)):
            journal.write(
                Frame(IMAGE, index=number, time=time, source="a.mp4", people=people(points_now))
            )
    call(monkeypatch, "coach", "squat", tmp_path / "run", "-o", tmp_path / "reps.json")
    out = capsys.readouterr().out
    assert "Squat: 4 repetitions" in out
    assert len(json.loads((tmp_path / "reps.json").read_text())) == 4
    call(monkeypatch, "coach", "auto", tmp_path / "run", "-q")
    assert "Squat: 4 repetitions" in capsys.readouterr().out
    call(monkeypatch, "coach", "sqat", tmp_path / "run", code=1)
    assert "did you mean squat" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["coach", "squat"], ["ar", "--wear", "hat", "-o", "o.mp4"]])
def test_a_film_that_cannot_be_read_is_one_sentence_and_a_failure(
    tmp_path, monkeypatch, capsys, arguments
):
    monkeypatch.chdir(tmp_path)
    notes = tmp_path / "notes.mp4"
    notes.write_text("this is no film\n")
    for source in (notes, tmp_path / "missing.mp4"):
        call(monkeypatch, *arguments, source, code=1)
        out, err = capsys.readouterr()
        assert not out
        assert source.name in err
        assert err.count("\n") == 1
        assert not (tmp_path / "o.mp4").exists()


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object | Path, code: int = 0) -> None:
    monkeypatch.setattr("sys.argv", ["everybody", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert int(stopped.value.code or 0) == code


def test_an_unknown_exercise_lists_the_known():
    from everybody.apps.exercise import exercise

    with pytest.raises(OptionError, match=r"unknown exercise 'dance'.*squat"):
        exercise("dance", KNOWN)


@pytest.mark.parametrize(("frames", "count"), [(3, 0), (12, 1)])
def test_what_is_there_and_back_sooner_than_a_body_can_is_no_repetition(frames, count):
    """A leg that jumps for a tenth of a second, and one that is raised for four tenths."""
    depths = np.zeros(2 * FPS)
    depths[FPS : FPS + frames] = 1
    assert len(coach_clip(KNOWN["squat"], *clip(depths), NAMES)) == count


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fast", "accurate"])
def test_leg_raises_in_dim_light_are_counted_within_one(shared, model):
    """A small film of a man who lies: head and feet of what is found change places at times."""
    lesson = Lesson({"leg_raise": KNOWN["leg_raise"]})
    film = shared / "data/motion3d/exercise/leg_raises_6.mp4"
    for frame in Estimator(model=model).stream(film):
        list(lesson.see(frame))
    ((_, repetitions),) = lesson.finish().values()
    assert abs(len(repetitions) - 6) <= 1
