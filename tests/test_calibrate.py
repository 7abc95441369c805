"""Calibration by boards: known cameras come back; films that tell nothing are refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from everybody.cli import app
from everybody.errors import DataError, EverybodyError, OptionError, OutputError
from everybody.lift.boards import Board, Sighting, sightings
from everybody.lift.calibrate import calibrate, calibrate_lens
from everybody.lift.calibration_files import read_calibration
from everybody.lift.cameras import Camera
from everybody.media.read import Selection
from synthetic.studio import boards, picture, ring, seen

CHESS = Board(columns=7, rows=6, square=0.06)
CHARUCO = Board(columns=6, rows=5, square=0.08, marker=0.06)
LARGE = Board(columns=6, rows=5, square=0.14, marker=0.105)


def studio(count: int = 3) -> list[Camera]:
    return ring(count, arc=2.0, away=2.2, focal=800)


def films(
    cameras: list[Camera], board: Board = CHESS, moments: int = 24, noise: float = 0.0
) -> dict[str, dict[int, Sighting]]:
    """What each camera sees of the board at each moment."""
    random = np.random.default_rng(0)
    poses = boards(random, moments)
    out: dict[str, dict[int, Sighting]] = {}
    for camera in cameras:
        found = {moment: seen(camera, board, pose) for moment, pose in enumerate(poses)}
        out[camera.name] = {
            moment: Sighting(s.ids, s.pixels + noise * random.normal(size=s.pixels.shape))
            for moment, s in found.items()
            if s is not None
        }
    return out


def sizes(cameras: list[Camera]) -> dict[str, tuple[int, int]]:
    return {camera.name: camera.size or (0, 0) for camera in cameras}


def test_cameras_come_back_from_what_they_see() -> None:
    cameras = studio()
    found = calibrate(CHESS, films(cameras), sizes(cameras), floor=0)
    for one, other in zip(found.cameras, cameras, strict=True):
        np.testing.assert_allclose(one.matrix, other.matrix, atol=0.1)
        np.testing.assert_allclose(one.rotation, other.rotation, atol=1e-4)
        np.testing.assert_allclose(one.translation, other.translation, atol=1e-3)
    assert max(found.together.values()) < 0.01
    assert max(found.lens.values()) < 0.01


def test_noise_is_averaged_and_reported() -> None:
    cameras = studio(2)
    found = calibrate(CHESS, films(cameras, noise=0.3), sizes(cameras), floor=0)
    for one, other in zip(found.cameras, cameras, strict=True):
        assert np.linalg.norm(one.centre - other.centre) < 0.05
    assert all(0.2 < error < 0.6 for error in (*found.lens.values(), *found.together.values()))


def test_without_a_floor_the_world_is_the_first_cameras_held_level() -> None:
    cameras = studio(2)
    found = calibrate(CHESS, films(cameras), sizes(cameras)).cameras
    np.testing.assert_allclose(found[0].centre, 0, atol=1e-9)
    np.testing.assert_allclose(found[0].rotation[2], (0, 1, 0), atol=1e-9)  # looks along y
    apart = np.linalg.norm(cameras[0].centre - cameras[1].centre)
    np.testing.assert_allclose(np.linalg.norm(found[1].centre), apart, atol=1e-3)


def test_known_lenses_stay_as_they_are() -> None:
    cameras = studio(2)
    known = {camera.name: camera for camera in cameras}
    found = calibrate(CHESS, films(cameras, moments=6), sizes(cameras), floor=0, known=known)
    for one, other in zip(found.cameras, cameras, strict=True):
        np.testing.assert_array_equal(one.matrix, other.matrix)
        np.testing.assert_allclose(one.translation, other.translation, atol=1e-5)


@pytest.mark.parametrize("board", [CHESS, CHARUCO], ids=["chessboard", "charuco"])
def test_corners_are_found_where_they_are_drawn(board: Board) -> None:
    (camera,) = ring(1, away=2.0, focal=800, bend=())
    found = 0
    for pose in boards(np.random.default_rng(3), 8, tilt=25):
        truth = seen(camera, board, pose)
        if truth is None:
            continue
        sighting = board.find(picture(camera, board, pose))
        if sighting is not None:
            found += 1
            away = np.abs(sighting.pixels - truth.pixels[sighting.ids])
            assert np.median(away) < 0.5
            assert away.max() < 2
    assert found >= 3
    assert board.find(np.full((48, 64, 3), 127, np.uint8)) is None


def test_a_board_that_tells_nothing() -> None:
    for wrong in (
        {"columns": 9, "rows": 1},
        {"square": 0.0},
        {"marker": 0.07},
        {"dictionary": "9X9"},
    ):
        with pytest.raises(OptionError):
            Board(**{"columns": 7, "rows": 6, "square": 0.06, **wrong})
    line = Sighting(np.arange(6), np.stack([10.0 * np.arange(6), np.zeros(6)], 1))
    assert not CHESS.flat(line)  # the first row of corners


def test_films_that_tell_no_lens() -> None:
    (camera,) = ring(1, away=2.2, focal=800)
    size = camera.size or (0, 0)
    whole = list(films([camera])["cam1"].values())
    with pytest.raises(DataError, match=r"cam1.*found in 3 pictures, expected 4"):
        calibrate_lens(CHESS, "cam1", whole[:3], size)
    rows = [Sighting(s.ids[:7], s.pixels[:7]) for s in whole]
    with pytest.raises(DataError, match=r"cam1.*found in 0 pictures"):
        calibrate_lens(CHESS, "cam1", rows, size)
    again = np.random.default_rng(0).normal(0, 0.2, (6, *whole[0].pixels.shape))
    alike = [Sighting(whole[0].ids, whole[0].pixels + noise) for noise in again]
    with pytest.raises(DataError, match=r"cam1.*poses too much alike"):
        calibrate_lens(CHESS, "cam1", alike, size)


@pytest.mark.parametrize(("nearer", "noise"), [(0.0, 0.0), (0.0, 0.05), (0.1, 0.05)])
def test_boards_that_face_the_camera_tell_no_lens(nearer: float, noise: float) -> None:
    """One picture several times, and a board that only comes nearer."""
    grid, random = CHESS.points[:, :2] / CHESS.square * 30, np.random.default_rng(0)
    seen = [
        Sighting(
            np.arange(len(grid)),
            200 + (grid - 100) * (1 + nearer * n) + random.normal(0, noise, grid.shape),
        )
        for n in range(6)
    ]
    with pytest.raises(DataError, match=r"cam1: .* poses too much alike"):
        calibrate_lens(CHESS, "cam1", seen, (640, 480))


def test_cameras_that_never_see_the_board_together() -> None:
    cameras = studio(2)
    shown = films(cameras)
    shown["cam2"] = {1000 + moment: s for moment, s in shown["cam2"].items()}
    with pytest.raises(DataError, match="cam2 never see the board at the same moment"):
        calibrate(CHESS, shown, sizes(cameras))
    with pytest.raises(DataError, match="at frame 77 no camera sees the board"):
        calibrate(CHESS, films(cameras), sizes(cameras), floor=77)


def test_a_chessboard_that_can_be_turned_joins_no_cameras() -> None:
    cameras, board = studio(2), Board(columns=7, rows=5, square=0.06)
    assert board.turnable
    assert not CHESS.turnable
    assert not CHARUCO.turnable
    with pytest.raises(DataError, match="looks the same when turned"):
        calibrate(board, films(cameras, board), sizes(cameras))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Folders cam1 and cam2 of pictures of a board that moves."""
    cameras = ring(2, arc=1.6, away=2.0, focal=500, bend=(), size=(640, 400))
    for moment, pose in enumerate(boards(np.random.default_rng(5), 24)):
        for camera in cameras:
            folder = tmp_path / camera.name
            folder.mkdir(exist_ok=True)
            image = picture(camera, LARGE, pose, 24)
            cv2.imwrite(str(folder / f"{moment:02d}.png"), image)
    return tmp_path


def command(*words: object) -> str:
    result = CliRunner().invoke(app, ["calibrate", *map(str, words)])
    if isinstance(result.exception, EverybodyError):
        raise result.exception
    assert result.exit_code == 0
    return result.stderr


def test_the_command_calibrates_folders_of_pictures(pictures: Path) -> None:
    board = ["--board", "6x5", "--square", "0.14", "--marker", "0.105"]
    out = pictures / "Calib.toml"
    given = [pictures / "cam1", pictures / "cam2", *board, "-o", out, "--floor", 0]
    said = command(*given)
    assert "cam1: the board is seen in" in said
    assert "pixels off" in said
    cameras = ring(2, arc=1.6, away=2.0, focal=500, bend=(), size=(640, 400))
    for one, other in zip(read_calibration(out), cameras, strict=True):
        assert np.linalg.norm(one.centre - other.centre) < 0.1
        assert abs(one.focal / other.focal - 1) < 0.05
    with pytest.raises(OutputError, match="--overwrite"):
        command(*given)
    with pytest.raises(OptionError, match="called alike"):
        command(pictures / "cam1", pictures / "cam1", *board, "-o", pictures / "other.toml")


def test_pictures_of_several_sizes_are_no_film(tmp_path: Path) -> None:
    for number, height in enumerate((40, 48)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((height, 64, 3), np.uint8))
    with pytest.raises(DataError, match="pictures of one size, got 64 × 40, 64 × 48"):
        sightings(CHESS, tmp_path, Selection())
