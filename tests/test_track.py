"""Laws of the tracker, on skeletons whose every step is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everybody.errors import OptionError
from everybody.metrics.tracking import clear, hota, scene
from everybody.people import Frame, People
from everybody.skeletons import BOX, COCO17
from everybody.track import Rules, Tracker
from everybody.track.affinity import with_appearance
from everybody.track.camera_motion import IDENTITY, Camera
from everybody.track.colours import colours
from everybody.track.motion import Motion
from synthetic.walkers import STANDING, Scenery, walkers


def standing(*feet: tuple[float, float], tall: float = 200.0, score: float = 0.8) -> People:
    points = STANDING * tall + np.array(feet, float).reshape(-1, 1, 2)
    boxes = np.concatenate([points.min(1) - 5, points.max(1) + 5], 1)
    keypoints = np.concatenate([points, np.full((*points.shape[:2], 1), 0.9)], 2)
    return People(keypoints, boxes, np.full(len(points), score), COCO17)


def ids(people: People) -> list[int]:
    assert people.ids is not None
    return people.ids.tolist()


def noise(seed: int, size: tuple[int, int] = (360, 640)) -> np.ndarray:
    import cv2

    coarse = np.random.default_rng(seed).integers(0, 255, (size[0] // 8, size[1] // 8, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def test_who_stands_still_keeps_the_id_for_ever():
    tracker, rng = Tracker(), np.random.default_rng(0)
    people = standing((200, 400), (400, 400))
    for frame in range(3000):
        shaken = replace(
            people, keypoints=people.keypoints + rng.normal(0, [2, 2, 0], people.keypoints.shape)
        )
        assert ids(tracker.update(shaken, frame / 25)) == [1, 2]


def test_the_order_of_people_in_a_frame_changes_nothing():
    film, rng = walkers(Scenery(seconds=6, stay=True, false=1)), np.random.default_rng(1)
    one, other = Tracker(), Tracker()
    for moment in film:
        order = rng.permutation(len(moment.found))
        a, b = one.update(moment.found, moment.time), other.update(moment.found[order], moment.time)
        assert dict(zip(ids(a), a.boxes.tolist(), strict=True)) == dict(
            zip(ids(b), b.boxes.tolist(), strict=True)
        )


def test_frame_by_frame_equals_the_whole_film_and_two_trackers_do_not_meet():
    film = walkers(Scenery(seconds=4))
    picture = np.zeros((8, 8, 3), np.uint8)
    frames = [Frame(picture, n, m.time, "a.mp4", m.found) for n, m in enumerate(film)]
    whole = [ids(frame.people) for frame in Tracker()(iter(frames))]
    one, other = Tracker(), Tracker()
    for frame, expected in zip(frames, whole, strict=True):
        assert ids(one.track(frame).people) == expected
        assert ids(other.track(frame).people) == expected


def test_ids_start_at_one_and_are_never_given_twice():
    tracker, given = Tracker(Rules(memory=0.1)), []
    for frame in range(60):
        people = standing((200, 400)) if frame % 20 < 10 else People.empty(COCO17)
        given += ids(tracker.update(people, frame / 25))
    assert sorted(set(given)) == [1, 2, 3]
    assert given == sorted(given)
    assert ids(Tracker(first=7).update(standing((9, 9)), 0.0)) == [7]


def test_known_people_come_in_the_given_order_and_everybody_has_one_id():
    for moment in walkers(Scenery(seconds=3, false=3)):
        tracked = Tracker().update(moment.found, moment.time)
        assert len(set(ids(tracked))) == len(tracked)
        places = [moment.found.boxes.tolist().index(box) for box in tracked.boxes.tolist()]
        assert places == sorted(places)


def test_an_occlusion_of_half_a_second_at_a_crossing_is_survived():
    hidden = range(40, 55)  # of 30 frames per second
    tracker = Tracker()
    for frame in range(90):
        near, far = (100 + 6 * frame, 400), (100 + 6 * (95 - frame), 380)
        people = standing(near) if frame in hidden else standing(near, far)
        tracked = tracker.update(people, frame / 30)
        assert ids(tracked)[0] == 1
        assert frame in hidden or ids(tracked) == [1, 2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_walkers_who_meet_come_and_go_keep_their_ids(seed):
    film, tracker = walkers(Scenery(seed=seed)), Tracker()
    scenes = [scene(m.true, tracker.update(m.found, m.time)) for m in film]
    assert hota(scenes)["HOTA"] >= 0.9
    assert clear(scenes)["switches"] <= 2


def test_low_scores_go_on_with_a_track_but_begin_none():
    tracker = Tracker()
    for frame in range(10):
        score = 0.8 if frame < 5 else 0.1
        assert ids(tracker.update(standing((200, 400), score=score), frame / 25)) == [1]
    tracker = Tracker()
    for frame in range(10):
        assert ids(tracker.update(standing((200, 400), score=0.1), frame / 25)) == []


def test_who_is_not_sure_is_known_after_some_frames():
    tracker = Tracker(Rules(births=3))
    known = [ids(tracker.update(standing((200, 400), score=0.4), frame / 25)) for frame in range(5)]
    assert known == [[], [], [1], [1], [1]]


def test_a_cut_ends_the_tracks_and_a_pan_or_a_flash_does_not():
    one, other = noise(0), noise(1) // 3
    flash = np.clip(one.astype(int) * 1.3 + 60, 0, 255).astype(np.uint8)
    tracker, people = Tracker(), standing((200, 300))
    pictures = [one, one, flash, one, np.roll(one, 12, 1), other, other]
    assert [
        ids(tracker.update(people, n / 25, image=image)) for n, image in enumerate(pictures)
    ] == [[1]] * 5 + [[2]] * 2


def test_the_camera_s_motion_is_found_to_half_a_pixel():
    camera, picture = Camera(), noise(3, (720, 1280))
    nobody = np.zeros((0, 4))
    assert np.array_equal(camera(picture, nobody), IDENTITY)
    assert np.array_equal(camera(picture, nobody), IDENTITY)
    matrix = camera(np.roll(picture, (7, -11), (0, 1)), nobody)
    corners = np.array([[100.0, 100.0], [1100.0, 600.0]])
    assert np.abs(corners @ matrix[:, :2].T + matrix[:, 2] - corners - (-11, 7)).max() < 0.5


def test_a_jump_of_the_camera_is_no_jump_of_the_people():
    picture, tracker = noise(4, (720, 1280)), Tracker()
    tracker.update(standing((300, 500), (360, 500)), 0.0, image=picture)
    moved = np.roll(picture, 60, axis=1)
    people = standing((360, 500), (420, 500))  # the first now stands where the second stood
    assert ids(tracker.update(people, 0.04, image=moved)) == [1, 2]


@pytest.mark.parametrize(
    "times",
    [[0, 0, 0, 0, 0, 0], [0, 0.04, 0.08, 5.0, 5.04, 5.08], [9, 9.04, 0.0, 0.04, 0.08, 0.12]],
)
def test_times_that_stand_still_or_jump_back_end_nothing(times):
    tracker = Tracker(Rules(memory=10))
    assert [ids(tracker.update(standing((200, 400)), time)) for time in times] == [[1]] * 6


def test_frames_of_another_size_and_two_hundred_false_boxes_leave_old_tracks_or_new_ones():
    tracker, rng = Tracker(), np.random.default_rng(5)
    person = standing((200, 300))
    for frame in range(5):
        tracker.update(person, frame / 25, image=noise(0))
    false = standing(*rng.uniform(0, 2000, (200, 2)), tall=40, score=0.2)
    crowd = People(
        *(
            np.concatenate([getattr(p, n) for p in (person, false)])
            for n in ("keypoints", "boxes", "scores")
        ),
        COCO17,
    )
    assert ids(tracker.update(crowd, 0.2, image=noise(0))) == [1]
    assert ids(tracker.update(person, 0.24, image=noise(0, (200, 300)))) == [2]


def test_two_people_exactly_on_each_other_have_two_ids():
    tracker = Tracker()
    for frame in range(10):
        tracked = tracker.update(standing((200, 400), (200, 400)), frame / 25)
        assert len(set(ids(tracked))) == len(tracked) >= 1
    apart = [
        ids(tracker.update(standing((200 + 4 * n, 400), (200 - 4 * n, 400)), (10 + n) / 25))
        for n in range(10)
    ]
    assert all(len(set(two)) == len(two) for two in apart)
    assert len(apart[-1]) == 2


def test_broken_numbers_and_people_without_joints():
    tracker = Tracker()
    people = standing((200, 400), (500, 400))
    broken = people.keypoints.copy()
    broken[0, 3] = np.nan
    boxes = people.boxes.copy()
    boxes[1] = np.inf
    for frame in range(4):
        assert ids(tracker.update(replace(people, keypoints=broken, boxes=boxes), frame / 25)) == [
            1
        ]
    tracker = Tracker()
    for frame in range(4):
        assert ids(
            tracker.update(People.from_boxes([[10, 10, 50, 90], [100, 10, 150, 90]]), frame / 25)
        ) == [1, 2]
    assert ids(tracker.update(People.empty(BOX), 1.0)) == []
    assert ids(tracker.update(standing((200, 400)), 1.04)) == [3]


def test_another_video_has_other_people_but_pictures_are_a_film():
    picture = np.zeros((8, 8, 3), np.uint8)

    def given(*where: tuple[str, int]) -> list[list[int]]:
        frames = [
            Frame(picture, index, index / 25, source, standing((200, 400)))
            for source, index in where
        ]
        return [ids(frame.people) for frame in Tracker()(frames)]

    assert given(("a.mp4", 0), ("a.mp4", 1), ("b.mp4", 0), ("b.mp4", 1)) == [[1], [1], [2], [2]]
    assert given(("a.png", 0), ("b.png", 0), ("c.png", 0)) == [[1], [1], [1]]


def test_who_comes_back_is_recognised_by_appearance():
    looks = np.eye(2)

    def embed(image, boxes):
        return looks[(boxes[:, 3] > 450).astype(int)]  # how tall

    def follow(tracker: Tracker) -> list[list[int]]:
        out = []
        for frame in range(120):
            people = (
                standing((200 + 600 * (frame > 60), 400))
                if not 20 < frame < 100
                else People.empty(COCO17)
            )
            out.append(ids(tracker.update(people, frame / 25, image=np.zeros((8, 8, 3), np.uint8))))
        return out

    assert follow(Tracker(embed=embed))[-1] == [1]
    assert follow(Tracker())[-1] == [2]


def painted(people: People, colour: tuple[int, int, int], scene: int = 0) -> np.ndarray:
    """A picture of people in clothes of one colour."""
    picture = noise(scene, (480, 960)) // 8 * 2 + 90
    for x0, y0, x1, y1 in people.boxes.astype(int).tolist():
        picture[max(y0, 0) : y1, max(x0, 0) : x1] = colour
    return picture


RED, BLUE = (200, 40, 40), (40, 40, 200)


@pytest.mark.parametrize(
    ("back", "colour", "scene", "old"),
    [
        ((430, 400), RED, 0, True),
        ((430, 400), BLUE, 0, False),  # somebody else
        ((930, 400), RED, 0, False),  # too far to have come
        ((430, 400), RED, 1, False),  # there was a cut
    ],
    ids=["same", "other clothes", "far", "cut"],
)
def test_who_was_hidden_away_from_the_edges_gets_the_old_id(back, colour, scene, old):
    tracker, nobody = Tracker(), standing()
    for frame in range(150):
        people = standing((400, 400)) if frame < 25 else standing(back) if frame >= 125 else nobody
        picture = painted(people, RED, 0) if frame < 125 else painted(people, colour, scene)
        if scene and frame >= 125:
            picture = 255 - picture
        tracked = tracker.update(people, frame / 25, image=picture)
    assert ids(tracked) == [1 if old else 2]


def test_who_goes_out_at_the_edge_and_who_comes_in_there_are_two():
    tracker = Tracker()
    for frame in range(200):
        x = 200 - 8 * frame if frame < 50 else 400
        people = standing((x, 400)) if frame < 30 or frame >= 125 else standing()
        tracked = tracker.update(people, frame / 25, image=painted(people, RED))
    assert ids(tracked) == [2]


def test_colours_are_unit_vectors_that_know_clothes_apart_and_nobody_by_what_is_in_front():
    people = standing((200, 400), (600, 400), (2000, 400))
    picture = painted(people[[0]], RED)
    picture[:, 500:] = painted(people[[1]], BLUE)[:, 500:]
    looks = colours(picture, people)
    assert np.allclose(np.linalg.norm(looks, axis=1), [1, 1, 0])  # the third is outside
    assert looks[0] @ looks[1] < 0.1
    assert np.allclose(colours(picture, people[[1, 0]]), looks[[1, 0]])
    assert colours(picture, standing()).shape == (0, looks.shape[1])
    front = standing((205, 430), tall=260)
    both = People(
        *(
            np.concatenate([getattr(p, n) for p in (people[[0]], front)])
            for n in ("keypoints", "boxes", "scores")
        ),
        COCO17,
    )
    assert not colours(picture, both)[0].any()


def test_the_expected_boxes_move_on_with_the_people():
    tracker = Tracker()
    for frame in range(20):
        tracker.update(standing((200 + 5 * frame, 400)), frame / 25)
    expected = tracker.expected(20 / 25)
    assert ids(expected) == [1]
    assert np.abs(expected.boxes - standing((300, 400)).boxes).max() < 3
    assert ids(tracker.expected(0.0)) == [1]  # a time in the past is now


def test_without_a_detector_boxes_follow_the_poses():
    tracker = Tracker()
    for frame in range(40):
        people = standing((200 + 4 * frame, 400), (700, 400))
        detected = frame % 10 == 0
        if not detected:
            expected = tracker.expected(frame / 25)
            people = replace(people, boxes=expected.boxes, scores=expected.scores * 0.9)
        tracked = tracker.update(people, frame / 25, detected=detected)
        assert ids(tracked) == [1, 2]
        assert not tracker.missed
        assert np.abs(tracked.boxes - standing((200 + 4 * frame, 400), (700, 400)).boxes).max() < 12
    tracker.update(standing((360, 400)), 41 / 25, detected=False)
    assert tracker.missed


def test_a_filter_believes_what_it_is_told_for_sure_and_nothing_unseen():
    motion = Motion.starting(np.full((1, 4, 2), 10.0), np.ones((1, 4)))
    seen = motion.corrected(np.full((1, 4, 2), 20.0), np.array([[0.0, 1.0, np.inf, 1e-9]]))
    assert np.allclose(seen.position[0, :, 0], [20, 15, 10, 20])
    assert (seen.covariance[0] <= motion.covariance[0]).all()


@pytest.mark.parametrize("wrong", [{"memory": -1.0}, {"births": 0}, {"match": float("nan")}])
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Rules(**wrong)


def test_looks_alone_make_nobody_the_same():
    """In the same clothes elsewhere is another person; who is not where expected is not known again
    by looks here.
    """
    looks = np.eye(3)[[0, 1]]
    places = np.array([[0.9, 0.0, 0.3], [0.0, 0.01, 0.3]])
    both = with_appearance(places, looks, np.eye(3)[[0, 1, 1]], Rules())
    assert (both[places <= 0.01] == 0).all()
    assert both[0, 0] > 0.9
    assert both[1, 2] > places[1, 2] > both[0, 2] > 0
    assert np.array_equal(
        with_appearance(places, 0 * looks, np.eye(3), Rules())[places > 0.1], places[places > 0.1]
    )
