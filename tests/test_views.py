"""Several cameras: who is who across views, clocks, sizes, lengths; and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from everybody.cli import app
from everybody.errors import DataError, EverybodyError, OptionError, OutputError
from everybody.lift.associate import Rays, grouped, passing
from everybody.lift.calibration_files import write_calibration
from everybody.lift.cameras import Camera, moved
from everybody.lift.refine import Smoothness
from everybody.lift.synchronise import shifts
from everybody.lift.views import Rules, Scene, View, triangulate_views
from everybody.metrics.spatial import read_poses
from everybody.people import Frame, People
from everybody.results.journal import Journal
from everybody.results.scene import write_scene
from everybody.results.spatial import read as read_spatial
from everybody.skeletons import COCO17, HALPE26
from synthetic.studio import ring, view, walkers

RAW = Rules(smoothness=Smoothness(acceleration=0))


def rays(camera: Camera, bodies: np.ndarray) -> Rays:
    """One moment [P, K, 3]."""
    directions = camera.directions(camera.project(bodies))
    return Rays(camera.centre, directions, np.ones(directions.shape[:2]))


def away(scene: Scene, bodies: np.ndarray) -> float:
    """The greatest distance in metres of people [P, T, K, 3] from those found, in any order."""
    assert len(scene.people) == len(bodies)
    found = np.stack([motion.places for motion in scene.motions])
    table = np.abs(found[:, None] - bodies[None]).max((2, 3, 4))
    assert sorted(table.argmin(1)) == list(range(len(bodies)))
    return float(table.min(1).max())


def test_one_person_comes_back_exactly() -> None:
    bodies = walkers(np.random.default_rng(0))
    cameras = ring(4)
    scene = triangulate_views(cameras, [view(c, bodies) for c in cameras], RAW)
    assert away(scene, bodies) < 1e-6
    assert scene.motions[0].frame == "world"
    assert scene.motions[0].skeleton is COCO17
    assert (scene.motions[0].joints[..., 3] == 1).all()
    assert max(scene.errors()["joints"].values()) < 1e-6


def test_people_exchanged_between_views_are_put_right() -> None:
    random = np.random.default_rng(1)
    bodies = walkers(random, people=3)
    cameras = ring(4)
    orders = [[random.permutation(3).tolist() for _ in range(60)] for _ in cameras]
    views = [view(c, bodies, order=o) for c, o in zip(cameras, orders, strict=True)]
    assert away(triangulate_views(cameras, views, RAW), bodies) < 1e-6


def test_the_order_of_views_changes_nothing_and_worlds_turn() -> None:
    bodies = walkers(np.random.default_rng(2), people=2, frames=20)
    cameras = ring(3)
    views = [view(c, bodies) for c in cameras]
    scene = triangulate_views(cameras, views)
    turn = Rotation.from_rotvec([0.2, -0.5, 2.0]).as_matrix()
    for order, world in (([2, 0, 1], np.eye(3)), ([0, 1, 2], turn)):
        other = triangulate_views(moved(cameras, world), [views[n] for n in order])
        assert len(other.people) == 2
        for one, two in zip(scene.motions, other.motions, strict=True):
            np.testing.assert_allclose(two.places, one.places @ world.T, atol=1e-6)


def test_who_is_seen_by_one_camera_only_is_nobody() -> None:
    bodies = walkers(np.random.default_rng(3), people=2)
    cameras = ring(3)
    views = [view(c, bodies[: 2 if n == 1 else 1]) for n, c in enumerate(cameras)]
    assert away(triangulate_views(cameras, views, RAW), bodies[:1]) < 1e-6


def test_one_picture_of_each_camera_is_enough() -> None:
    bodies = walkers(np.random.default_rng(4), people=2, frames=1)
    cameras = ring(3)
    assert away(triangulate_views(cameras, [view(c, bodies) for c in cameras]), bodies) < 1e-6


def test_cameras_that_look_the_same_way_are_an_error() -> None:
    cameras = ring(2, arc=0.01)
    bodies = walkers(np.random.default_rng(5), people=1, frames=12)
    with pytest.raises(DataError, match=r"cam1, cam2 see people from the same side: .* degrees"):
        triangulate_views(cameras, [view(c, bodies) for c in cameras])


def test_views_that_tell_nothing_are_named() -> None:
    cameras = ring(4)
    bodies = walkers(np.random.default_rng(6), people=1, frames=12)
    views = [view(c, bodies) for c in cameras]
    nobody = replace(views[0], people=[row[:0] for row in views[0].people])
    wrong = replace(views[1], people=[row * (0.5, 0.5, 1) for row in views[1].people])
    said: list[str] = []
    scene = triangulate_views(cameras, [nobody, wrong, *views[2:]], RAW, say=said.append)
    assert away(scene, bodies) < 1e-6
    assert [line.split(":")[0] for line in said] == ["cam1", "cam2"]
    assert "nobody is seen" in said[0]
    assert "nothing of it agrees" in said[1]

    said.clear()
    assert not triangulate_views(cameras[1:3], [wrong, views[2]], RAW, say=said.append).people
    assert "nobody is placed" in said[-1]


def test_a_view_that_loses_somebody_for_a_while_does_no_harm() -> None:
    bodies = walkers(np.random.default_rng(4), people=2)
    cameras = ring(3)
    orders = [[[0, 1] if t // 7 % 3 != c else [1] for t in range(60)] for c in range(3)]
    views = [view(c, bodies, order=o) for c, o in zip(cameras, orders, strict=True)]
    assert away(triangulate_views(cameras, views, RAW), bodies) < 1e-6


def test_gaps_of_all_views_are_bridged_but_not_believed() -> None:
    bodies = walkers(np.random.default_rng(5))
    cameras = ring(3)
    order = [[] if 20 <= t < 26 else [0] for t in range(60)]
    scene = triangulate_views(cameras, [view(c, bodies, order=order) for c in cameras])
    (motion,) = scene.motions
    assert len(motion) == 60
    assert np.abs(motion.places - bodies[0]).max() < 0.1
    assert (motion.joints[20:26, :, 3] < 0.02).all()
    assert (motion.joints[:20, :, 3] == 1).all()


def test_nobody_anywhere() -> None:
    cameras = ring(2, arc=3.0)
    bodies = walkers(np.random.default_rng(0))[:0]
    scene = triangulate_views(cameras, [view(c, bodies) for c in cameras])
    assert scene.people == []
    assert scene.errors() == {"cameras": {}, "joints": {}}


def test_groups_are_people_whatever_the_views_show() -> None:
    bodies = walkers(np.random.default_rng(6), people=3)[:, 0]
    cameras = ring(4)
    shown = [[0, 1, 2], [2, 0], [1], []]
    views = [rays(c, bodies[some]) for c, some in zip(cameras, shown, strict=True)]
    groups = grouped(views)
    whole = {frozenset((v, shown[v][n]) for v, n in group.items()) for group in groups}
    assert whole == {
        frozenset({(0, 0), (1, 0)}),
        frozenset({(0, 1), (2, 1)}),
        frozenset({(0, 2), (1, 2)}),
    }
    assert grouped([]) == []
    assert passing(views[0], views[3]).shape == (3, 0)


# --- clocks, lengths, sizes


def test_clocks_are_found_by_motion() -> None:
    random = np.random.default_rng(7)
    cameras, late = ring(4), np.array([0, 3, -2, 0])
    bodies = walkers(random, frames=60)
    films = [
        [rays(c, bodies[:, min(max(t - by, 0), 59)]) for t in range(60)]
        for c, by in zip(cameras, late, strict=True)
    ]
    found, pairs = shifts(films, 5)
    np.testing.assert_allclose(found, late, atol=0.15)
    assert len(pairs) >= 3


def test_films_that_start_at_other_times_are_put_together() -> None:
    bodies = walkers(np.random.default_rng(8), frames=150)
    cameras = ring(3)
    views = [
        View(v.name, v.skeleton, np.arange(100) / 30, v.people[first : first + 100], v.size)
        for v, first in zip([view(c, bodies) for c in cameras], (10, 16, 10), strict=True)
    ]
    said: list[str] = []
    scene = triangulate_views(cameras, views, replace(RAW, synchronise=0.3), say=said.append)
    np.testing.assert_allclose(scene.late, [0, -0.2, 0], atol=0.01)
    assert any("clocks by motion: cam1 +0.000 s, cam2 -0.200 s" in text for text in said)
    (motion,) = scene.motions
    first = round(motion.times[0] * 30) + 10
    assert np.abs(motion.places - bodies[0, first : first + len(motion)]).max() < 0.01


def test_films_in_which_nothing_is_shared_have_no_clock() -> None:
    cameras = ring(2, arc=3.0)
    bodies = walkers(np.random.default_rng(9))
    views = [view(cameras[0], bodies), view(cameras[1], bodies[:0])]
    with pytest.raises(DataError, match="cannot be synchronised by motion"):
        triangulate_views(cameras, views, replace(RAW, synchronise=0.5))


def test_films_of_other_lengths_and_rates() -> None:
    bodies = walkers(np.random.default_rng(10))
    cameras = ring(3)
    views = [view(c, bodies) for c in cameras]
    short = View("cam2", COCO17, views[1].times[:40], views[1].people[:40], views[1].size)
    slow = View("cam3", COCO17, views[2].times[::2], views[2].people[::2], views[2].size)
    said: list[str] = []
    scene = triangulate_views(cameras, [views[0], short, slow], RAW, say=said.append)
    assert any("differ in length: cam1 1.97 s, cam2 1.30 s" in text for text in said)
    places = scene.motions[0].places[:59:2]
    assert np.abs(places - bodies[0, :59:2]).max() < 1e-6


def test_pictures_of_other_sizes_than_calibrated() -> None:
    bodies = walkers(np.random.default_rng(11))
    cameras = ring(3)
    views = [view(c, bodies) for c in cameras]
    half = [np.concatenate([(p[..., :2] + 0.5) / 2 - 0.5, p[..., 2:]], -1) for p in views[0].people]
    smaller = View("cam1", COCO17, views[0].times, half, (640, 360))
    cut = replace(views[1], size=(1272, 720))
    said: list[str] = []
    scene = triangulate_views(cameras, [smaller, cut, views[2]], RAW, say=said.append)
    assert away(scene, bodies) < 1e-6
    assert said[0].startswith("cam1: pictures are 640 × 360, calibrated were 1280 × 720")
    assert "cam2: pictures are 1272 × 720" in said[1]
    assert "cut at the right" in said[1]
    with pytest.raises(DataError, match=r"cam2: pictures are 720 × 1280.*turned or cut"):
        triangulate_views(cameras, [views[0], replace(views[1], size=(720, 1280)), views[2]])


def test_views_belong_to_cameras_by_name() -> None:
    bodies = walkers(np.random.default_rng(12))
    cameras = [replace(c, name=f"cam_0{n}") for n, c in enumerate(ring(4), 1)]
    views = [replace(view(c, bodies), name=f"trial7_cam{n}_hd") for n, c in enumerate(cameras, 1)]
    said: list[str] = []
    scene = triangulate_views(cameras, [views[3], views[0], views[2]], RAW, say=said.append)
    assert away(scene, bodies) < 1e-6
    assert said == ["no view of cam_02: goes without"]

    other = [replace(v, name=name) for v, name in zip(views, "abcd", strict=True)]
    assert away(triangulate_views(cameras, other, RAW, say=said.append), bodies) < 1e-6
    assert "taken in order: a is cam_01, b is cam_02" in said[-1]


def test_views_and_cameras_that_do_not_belong_together() -> None:
    bodies = walkers(np.random.default_rng(13))
    cameras = ring(3)
    views = [view(c, bodies) for c in cameras]
    with pytest.raises(DataError, match=r"kitchen: no camera .* known are cam1, cam2, cam3"):
        triangulate_views(cameras, [*views[:2], replace(views[2], name="kitchen")])
    with pytest.raises(DataError, match=r"cam3: no camera .* known are cam1, cam2"):
        triangulate_views(cameras[:2], views)
    with pytest.raises(DataError, match="takes two or more"):
        triangulate_views(cameras, views[:1])
    halpe = View("cam2", HALPE26, views[1].times, [np.zeros((0, 26, 3))] * 60, views[1].size)
    with pytest.raises(DataError, match="views of several skeletons"):
        triangulate_views(cameras, [views[0], halpe, views[2]])
    with pytest.raises(DataError, match="rising time"):
        View("cam1", COCO17, np.array([0.0, 0.0]), [np.zeros((0, 17, 3))] * 2)
    with pytest.raises(OptionError):
        Rules(lost=-1)


# --- on disk


@pytest.fixture
def studio(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A folder of a calibration and each camera's results, and its people."""
    bodies = walkers(np.random.default_rng(14), people=2, frames=12)
    cameras = ring(3, size=(64, 36), focal=50)
    write_calibration(cameras, tmp_path / "Calib.toml")
    blank = np.zeros((36, 64, 3), np.uint8)
    for camera in cameras:
        with Journal(tmp_path / camera.name, COCO17) as journal:
            for t, keypoints in enumerate(view(camera, bodies).people):
                people = People.from_dicts(_dicts(keypoints), COCO17)
                journal.write(Frame(blank, t, t / 30, f"{camera.name}.mp4", people))
    return tmp_path, bodies


def _dicts(keypoints: np.ndarray) -> list[dict[str, object]]:
    return [{"score": 1.0, "box": [0, 0, 1, 1], "keypoints": k.tolist()} for k in keypoints]


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["triangulate", *map(str, words)])
    if isinstance(result.exception, EverybodyError):
        raise result.exception
    return result.exit_code, result.stderr


def test_the_command_writes_people_that_eval_reads(studio: tuple[Path, np.ndarray]) -> None:
    folder, bodies = studio
    views = [folder / f"cam{n}" for n in (1, 2, 3)]
    given = [*views, "-c", folder / "Calib.toml", "-o", folder / "out", "-f", "trc,c3d"]
    code, said = command(*given)
    assert code == 0
    assert "2 people" in said
    assert "cam1" in said

    poses = read_poses(folder / "out/people3d.npz")
    assert poses.joints == COCO17.joints
    assert poses.positions.shape == (24, 17, 3)
    # Journals hold hundredths of a pixel of a picture of 64 × 36.
    truth = min(np.abs(poses.positions[:12] - body).max() for body in bodies)
    assert truth < 0.02
    told = json.loads((folder / "out/views.json").read_text())
    assert told["people"] == 2
    assert set(told["pixels off by camera"]) == {"cam1", "cam2", "cam3"}
    names = {path.name for path in (folder / "out").iterdir()}
    moments = list(read_spatial(folder / "out"))
    assert [record.index for record in moments] == list(range(12))
    assert all(record.poses.frame == "world" for record in moments)
    with np.load(folder / "out/people3d.npz") as file:
        first = file["positions_3d"][file["ids"] == 1]
    assert np.allclose([r.poses.joints[0, :, :3] for r in moments], first, atol=1e-4)
    assert {"people3d-1.trc", "people3d-2.trc", "people3d.c3d", "cameras.toml"} <= names
    with pytest.raises(OutputError, match="--overwrite"):
        command(*given)
    assert command(*given, "--overwrite")[0] == 0


def test_what_the_command_refuses(studio: tuple[Path, np.ndarray]) -> None:
    folder, _ = studio
    calibration = ["-c", folder / "Calib.toml", "-o", folder / "out"]
    with pytest.raises(OptionError, match="takes two cameras"):
        command(folder / "cam1", *calibration)
    with pytest.raises(OptionError, match="format of motion"):
        command(folder / "cam1", folder / "cam2", *calibration, "-f", "fbx")
    (folder / "Calib.toml").write_text("[cam1]\nmatrix = 3")
    with pytest.raises(DataError, match=r"Calib\.toml"):
        command(folder / "cam1", folder / "cam2", *calibration)


def test_nobody_is_written_too(tmp_path: Path) -> None:
    cameras = ring(2, arc=3.0)
    scene = triangulate_views(
        cameras, [view(c, walkers(np.random.default_rng(0))[:0]) for c in cameras]
    )
    write_scene(scene, tmp_path)
    with np.load(tmp_path / "people3d.npz") as file:
        assert file["positions_3d"].shape == (0, 0, 3)
    assert all(len(record.poses) == 0 for record in read_spatial(tmp_path))
    with pytest.raises(OutputError, match="nobody is seen"):
        write_scene(scene, tmp_path, ["trc"])
