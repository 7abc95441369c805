"""Lifting: the laws of windows, roots, tracks and streams, with a network made here."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from everybody.errors import ModelError, OptionError
from everybody.lift import root, window
from everybody.lift.anatomy import HEIGHT, PROPORTIONS, STATURE, bones, stature
from everybody.lift.exif import picture_fov
from everybody.lift.knees import SHORTER
from everybody.lift.lifter import Lift, Lifting, Network, Reel, flat
from everybody.lift.track import Track, rebuilt, sampled
from everybody.people import Frame, People
from everybody.results.records import Record
from everybody.runtime import load
from everybody.skeletons import COCO17, H36M17, HALPE26, WHOLEBODY133
from synthetic import nets
from tests import motion

SIZE = (640, 480)
FOV = math.degrees(2 * math.atan(SIZE[0] / 2 / 600.0))  # of motion.filmed


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lifter of random numbers: laws must hold for any."""
    return nets.lifter(tmp_path_factory.mktemp("lifter") / "lifter.onnx", motion.standing())


def film(*people: np.ndarray, fps: float = 30.0, source: str = "a.mp4") -> list[Record]:
    """Keypoints [T, 17, 3] of each person -> records in which person n has id n + 1."""
    keypoints = np.stack(people, 1)
    count = len(people)
    return [
        Record(
            source,
            index,
            index / fps,
            *SIZE,
            People(one, np.zeros((count, 4)), np.ones(count), COCO17, np.arange(1, count + 1)),
        )
        for index, one in enumerate(keypoints)
    ]


def lifted(records, model: Path, **options) -> list[np.ndarray]:
    """The joints [N, 17, 4] of each frame."""
    lifting = Lifting(Lift(model=model, fov=FOV, **options))
    return [poses.joints for _, poses in lifting.poses(records)]


def keypoints(frames: int = 40, seed: int = 0, **how) -> np.ndarray:
    return motion.filmed(motion.capture(frames, seed=seed), **how)[0]


def test_every_frame_comes_out_once_in_order_with_its_people(model):
    records = film(keypoints(50), keypoints(50, seed=1, far=6.0))
    lifting = Lifting(Lift(model=model))
    out = list(lifting.poses(records))
    assert [one.index for one, _ in out] == list(range(50))
    assert all(poses.ids.tolist() == [1, 2] and poses.frame == "camera" for _, poses in out)
    assert all(poses.skeleton is H36M17 for _, poses in out)


def test_an_error_of_the_source_comes_after_the_frames_before_it(model):
    def source():
        yield from film(keypoints(5))
        raise OSError("unplugged")

    poses = Lifting(Lift(model=model)).poses(source())
    assert [next(poses)[0].index for _ in range(5)] == list(range(5))
    with pytest.raises(OSError, match="unplugged"):
        next(poses)


def test_a_mirrored_film_gives_mirrored_poses(model):
    straight = keypoints(30)
    other = straight[:, list(COCO17.mirror)].copy()
    other[..., 0] = SIZE[0] - 1 - other[..., 0]
    one, two = (np.stack(lifted(film(points), model)) for points in (straight, other))
    back = one[:, :, list(H36M17.mirror)] * np.array([-1, 1, 1, 1])
    assert np.allclose(two, back, atol=2e-4)


def test_live_frame_by_frame_equals_the_clip_and_knows_no_future(model):
    points = keypoints(40)
    whole = np.stack(lifted(film(points), model, ahead=0))
    reel = Reel(Lift(model=model, fov=FOV, ahead=0), Lifting(Lift(model=model))._net)
    live = [pair for record in film(points) for pair in reel.add(record)]
    assert len(live) == 40  # each frame is answered before the next one comes
    assert np.array_equal(whole, np.stack([poses.joints for _, poses in live]))
    cut = np.stack(lifted(film(points[:20]), model, ahead=0))
    assert np.array_equal(whole[:20], cut)


def test_waiting_for_others_changes_the_answer_by_what_they_show(model):
    points = keypoints(60)
    with_future = np.stack(lifted(film(points), model, steady=False))
    without = np.stack(lifted(film(points), model, steady=False, ahead=0))
    assert not np.allclose(with_future[:40], without[:40], atol=1e-3)
    assert np.allclose(with_future[-1], without[-1], atol=1e-5)  # it has no future


def test_people_are_lifted_together_as_alone(model):
    first, second = keypoints(35), keypoints(35, seed=3, far=7.0)
    both = np.stack(lifted(film(first, second), model))
    for n, alone in enumerate((first, second)):
        assert np.allclose(both[:, n], np.stack(lifted(film(alone), model))[:, 0], atol=1e-5)


def test_nobody_one_frame_and_people_without_ids(model):
    nobody = replace(film(keypoints(1))[0], people=People.empty(COCO17))
    assert lifted([nobody], model)[0].shape == (0, 17, 4)
    assert lifted([], model) == []
    (one,) = lifted(film(keypoints(1)), model)
    assert np.isfinite(one).all()
    unnamed = film(keypoints(3))
    unnamed = [replace(r, people=replace(r.people, ids=None)) for r in unnamed]
    found = list(Lifting(Lift(model=model, fov=FOV, steady=False)).poses(unnamed))
    assert found[0][1].ids is None
    alone = [lifted([r], model, steady=False)[0] for r in film(keypoints(3))]
    assert np.allclose([poses.joints for _, poses in found], alone, atol=1e-5)


def test_gaps_and_people_half_outside_all_the_time(model):
    points = keypoints(60)
    records = film(points)
    for record in records[20:35]:
        object.__setattr__(record, "people", record.people[[]])
    out = lifted(records, model)
    assert [len(joints) for joints in out] == [1] * 20 + [0] * 15 + [1] * 25
    low = [COCO17.joints.index(f"{s}_{j}") for s in ("left", "right") for j in ("knee", "ankle")]
    points[:, low, 2] = 0
    points[:, low, :2] = 1e5  # wherever a joint of score 0 lies
    assert all(np.isfinite(joints).all() for joints in lifted(film(points), model))
    far = np.array([np.abs(joints[..., :3]).max() for joints in lifted(film(points), model)])
    assert far.max() < 20  # and does not move the person
    points[..., 2] = 0  # no joint is known at all
    assert all(np.isfinite(joints).all() for joints in lifted(film(points), model))


def test_films_of_other_rates_are_seen_alike(model):
    """Every second frame of a film at 60 frames a second is the film at 30."""
    one = motion.capture(60)
    doubled = np.repeat(motion.filmed(one)[0], 2, 0)
    doubled[1:-1:2] = (doubled[0:-2:2] + doubled[2::2]) / 2
    slow = np.stack(lifted(film(doubled[::2]), model, steady=False))
    fast = np.stack(lifted(film(doubled, fps=60.0), model, steady=False))
    assert np.allclose(fast[::2], slow, atol=1e-3)


def test_memory_does_not_grow_with_frames_or_people(model):
    reel = Reel(Lift(model=model), Lifting(Lift(model=model))._net)
    points = keypoints(1)[0]
    most = 0
    for index in range(900):
        ids = [index // 30]  # another person every second
        people = People(points[None], np.zeros((1, 4)), np.ones(1), COCO17, np.array(ids))
        list(reel.add(Record("a.mp4", index, index / 30, *SIZE, people)))
        held = sum(len(track.times) for track in reel.tracks.values())
        most = max(most, held + len(reel.waiting), len(reel.tracks))
    assert most < 130


@pytest.mark.parametrize("fov", [0, 180, -5, math.nan, math.inf, 0.5])
def test_fields_of_view_that_no_camera_has_are_refused(fov):
    with pytest.raises(OptionError, match=r"fov .* expected the angle"):
        Lift(fov=fov)


def test_other_wrong_options_are_refused(model):
    with pytest.raises(OptionError, match="height 178"):
        Lift(height=178)
    with pytest.raises(OptionError, match="ahead 14"):
        Lift(ahead=14)
    record = film(keypoints(1))[0]
    with pytest.raises(OptionError, match="without joints"):
        lifted([replace(record, people=People.from_boxes([[0, 0, 9, 9]]))], model)
    with pytest.raises(OptionError, match="size is not known"):
        lifted([replace(record, width=0, height=0)], model)


def test_a_file_that_is_no_lifter_is_refused(tmp_path):
    with pytest.raises(ModelError, match="expected a lifter"):
        Network(load(nets.heatmap_finder(tmp_path / "pose.onnx", 17)))


def tall(joints: np.ndarray) -> np.ndarray:
    """[..., 17, 3] -> [...]: the stature, with legs as long as before they were made shorter to
    bend less: what a body spans, and so how tall it stands, is by CMU's bones (`lift.knees`).
    """
    legs = [f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle")]
    longer = bones(joints)[..., [H36M17.joints.index(leg) for leg in legs]].sum(-1) / 2
    return stature(joints) + STATURE * longer * (1 / SHORTER - 1)


def test_what_stays_in_the_plane_of_the_picture_is_said():
    assert flat(COCO17) == flat(H36M17) == flat(HALPE26) == ""
    assert flat(WHOLEBODY133).startswith("110 joints are not put into space")
    assert flat(WHOLEBODY133).endswith(": face_0, face_1, face_2, face_3, face_4, face_5, ...")


def test_height_scales_the_body_and_its_distance(model):
    points = film(keypoints(20))
    one, two = (np.stack(lifted(points, model, height=h)) for h in (1.2, 1.8))
    assert np.allclose(two[..., :3], 1.5 * one[..., :3], rtol=1e-3, atol=1e-3)
    for height, joints in ((1.2, one), (1.8, two)):
        assert tall(joints[..., :3]) == pytest.approx(height, rel=1e-4)
    assert tall(np.stack(lifted(points, model))[..., :3]) == pytest.approx(HEIGHT, rel=1e-4)


def test_steady_bones_keep_their_lengths(model):
    joints = np.stack(lifted(film(keypoints(90)), model))[:, 0, :, :3]
    loose = np.stack(lifted(film(keypoints(90)), model, steady=False))[:, 0, :, :3]
    change = [bones(x[45:])[:, 1:].std(0).mean() for x in (joints, loose)]
    assert change[0] < 0.3 * change[1]


# Parts


def test_the_root_is_where_the_pose_is_seen():
    truth = motion.filmed(motion.capture(20))
    points, poses = truth
    rays = window.rays(points[..., :2], SIZE, 600.0)
    seen = np.concatenate([rays, points[..., 2:]], -1)
    roots = root.place(poses - poses[:, :1], seen)
    assert np.allclose(roots, poses[:, 0], atol=0.01)
    assert root.place(poses[:1] - poses[:1, :1], np.zeros((1, 17, 3)))[0, 2] > 0  # nothing is seen


def test_a_camera_is_turned_to_the_person_and_mirrors_commute():
    points, _ = motion.filmed(motion.capture(27))
    seen = np.concatenate([window.rays(points[..., :2], SIZE, 600.0), points[..., 2:]], -1).astype(
        np.float32
    )[None]
    plain = window.seen(seen, middle=13)
    assert np.allclose(plain.turns @ plain.turns.mT, np.eye(3), atol=1e-6)
    towards = np.concatenate([plain.centres, [[1.0]]], 1)[0]
    assert np.allclose(plain.turns[0] @ towards / np.linalg.norm(towards), [0, 0, 1], atol=1e-6)
    other = seen[:, :, list(COCO17.mirror)] * np.array([-1, 1, 1], np.float32)
    assert np.allclose(window.seen(other, middle=13).clips, window.mirrored(plain.clips), atol=1e-5)


def test_size_and_place_in_the_picture_do_not_matter_but_for_the_last_point():
    points, _ = motion.filmed(motion.capture(27))
    rays = window.rays(points[..., :2], SIZE, 60_000.0)  # so far that perspective is none
    seen = np.concatenate([rays, points[..., 2:]], -1).astype(np.float32)[None]
    moved = seen.copy()
    moved[..., :2] = 3 * moved[..., :2]
    one, two = (window.seen(x, middle=13).clips for x in (seen, moved))
    assert np.allclose(one[:, :, :17], two[:, :, :17], atol=2e-3)
    assert np.allclose(two[:, :, 17, 2] - one[:, :, 17, 2], math.log(3), atol=1e-3)


def test_smoothing_leaves_lines_and_ends_and_takes_noise():
    line = np.ones((1, 15, 17, 3), np.float32)
    line[..., 0] = np.arange(15)[:, None] / 10
    assert np.allclose(window.smoothed(line), line, atol=1e-6)
    noisy = line.copy()
    noisy[..., 1] += np.random.default_rng(0).normal(0, 0.1, (1, 15, 17)).astype(np.float32)
    out = window.smoothed(noisy)
    assert np.array_equal(out[:, [0, -1]], noisy[:, [0, -1]])  # the newest frame does not lag
    assert out[:, 2:-2, :, 1].std() < 0.65 * noisy[:, 2:-2, :, 1].std()
    noisy[:, 8:] = 0  # the future is not known
    out = window.smoothed(noisy)
    assert np.array_equal(out[:, 7:], noisy[:, 7:])
    noisy[:, :8, 3, 2] = 0  # nor is a joint
    assert np.isfinite(window.smoothed(noisy)).all()


def test_clips_between_frames_and_over_gaps():
    times = np.array([0.0, 0.1, 0.2, 0.9])
    points = np.arange(4.0)[:, None, None] * np.ones((1, 17, 3))
    found = sampled(times, points, np.array([-0.05, 0.0, 0.05, 0.2, 0.5, 0.9, 1.0]))[:, 0, 0]
    assert found.tolist() == pytest.approx([0, 0, 0.5, 2, 0, 3, 0])


def test_bones_are_rebuilt_along_the_pose():
    _, poses = motion.filmed(motion.capture(3))
    pose = (poses - poses[:, :1])[0]
    again = rebuilt(pose, bones(pose))
    assert np.allclose(again * stature(pose), pose, atol=1e-6)
    mean = rebuilt(pose, PROPORTIONS)
    assert bones(mean)[1:] / PROPORTIONS[1:] == pytest.approx(
        np.full(16, bones(mean)[1] / PROPORTIONS[1])
    )


def test_a_track_reads_the_second_before():
    track = Track()
    for index in range(100):
        track.add(index / 30, np.full((17, 3), float(index)))
        track.forget(index / 30 - 1)
    assert len(track.times) <= 32
    clip = track.clip(99 / 30, 13, 0)
    assert clip[:, 0, 0].tolist() == pytest.approx(list(range(86, 100)), abs=1e-3)


@pytest.mark.parametrize(("length", "fov"), [(24, 73.74), (50, 39.6), (0, None)])
def test_photos_tell_their_field_of_view(tmp_path, length, fov):
    exif = Image.Exif()
    if length:
        exif.get_ifd(0x8769)[0xA405] = length
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    told = picture_fov(str(tmp_path / "a.jpg"), 0)
    assert told == (fov if fov is None else pytest.approx(fov, abs=0.01))
    assert picture_fov(str(tmp_path / "none.jpg"), 0) is None
    assert picture_fov("film.mp4", 0) is None


def test_frames_keep_their_picture(model):
    record = film(keypoints(1))[0]
    frame = Frame(np.zeros((480, 640, 3), np.uint8), people=record.people, source="a.mp4")
    (out,) = Lift(model=model, fov=FOV)([frame])
    assert out.image is frame.image
    assert out.poses3d is not None
    assert out.poses3d.ids.tolist() == [1]
