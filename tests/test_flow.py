"""Laws of tracking with hindsight."""

from __future__ import annotations

import numpy as np
import pytest

from everybody.errors import OptionError
from everybody.follow import Follow
from everybody.metrics.tracking import figures
from everybody.people import Frame, People
from everybody.track import Rules, Tracker
from everybody.track.flow import Stitch, tracking
from synthetic.walkers import Scenery, walkers

from .test_track import standing

PICTURE = np.zeros((720, 1280, 3), np.uint8)
RULES = Rules(appearance=0)


def stitched(people: list[People], rate: float = 25.0, rules: Rules = RULES) -> list[Frame]:
    tracker = Tracker(tracking(rules))
    frames = [Frame(PICTURE, n, n / rate, "a.mp4", some) for n, some in enumerate(people)]
    out = list(Stitch(tracker, rules)(tracker(frames)))
    assert [frame.index for frame in out] == list(range(len(people)))
    return out


def ids(frames: list[Frame]) -> list[list[int]]:
    return [sorted(frame.people.ids.tolist()) for frame in frames]


@pytest.mark.parametrize("hidden", [5, 25, 60])
def test_who_walks_on_out_of_sight_is_the_same(hidden):
    film = [
        standing() if 30 <= n < 30 + hidden else standing((200 + 3 * n, 600)) for n in range(150)
    ]
    assert ids(stitched(film)) == [[] if 30 <= n < 30 + hidden else [1] for n in range(150)]


def test_who_turns_up_elsewhere_or_after_too_long_is_somebody_else():
    away = [
        standing((300, 600)) if n < 30 else standing((1000, 600)) if n > 40 else standing()
        for n in range(80)
    ]
    assert ids(stitched(away))[-1] == [2]
    late = [standing() if 30 <= n < 80 else standing((300, 600)) for n in range(100)]
    assert ids(stitched(late, rules=Rules(appearance=0, flow_gap=1.0)))[-1] == [2]


def test_two_who_are_hidden_together_go_on_as_their_ways_tell():
    def people(n: int) -> People:
        there = standing((300 + 5 * n, 600), (900 - 5 * n, 610))
        return there[:0] if 45 <= n < 75 else there

    out = stitched([people(n) for n in range(120)])
    right = {frame.people.ids[frame.people.boxes[:, 0].argmax()] for frame in out[:40]}
    left = {frame.people.ids[frame.people.boxes[:, 0].argmin()] for frame in out[-40:]}
    assert right == left
    assert len(right) == 1


def test_hindsight_changes_no_pose_and_beats_the_online_tracker_at_long_occlusions():
    ways: dict[str, list[float]] = {"flow": [], "online": []}
    for seed in (100, 101):
        film = walkers(Scenery(people=12, occlusion=1.0, seconds=12, seed=seed))
        tracker = Tracker(RULES)
        online = [tracker.update(m.found, m.time) for m in film]
        flow = [frame.people for frame in stitched([m.found for m in film], rate=30.0)]
        for name, found in (("online", online), ("flow", flow)):
            ways[name].append(
                figures((m.true, p) for m, p in zip(film, found, strict=True))["switches"]
            )
        for moment, people in zip(film, flow, strict=True):
            assert len(set(people.ids.tolist())) == len(people)
            given = {box.tobytes() for box in moment.found.boxes}
            assert all(box.tobytes() in given for box in people.boxes)
    assert sum(ways["flow"]) < sum(ways["online"])


def test_another_video_is_another_film_and_nothing_gives_nothing():
    tracker = Tracker(tracking(RULES))
    people = standing((400, 600))
    frames = [
        Frame(PICTURE, n, n / 25, name, people) for name in ("a.mp4", "b.mp4") for n in range(10)
    ]
    assert ids(list(Stitch(tracker, RULES)(tracker(frames)))) == [[1]] * 10 + [[2]] * 10
    assert list(Stitch(tracker, RULES)(iter([]))) == []


def test_hindsight_and_live_exclude_each_other():
    with pytest.raises(OptionError, match="live"):
        Follow(flow=True, live=True)
