"""What goes to other programs: OpenSim reads it, lengths are metres, Y counts from the right
height, and frames without stamps are a film.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from everybody.errors import DataError
from everybody.kinematics import metres_per_pixel, paths
from everybody.people import Frame, People
from everybody.results.bvh import bvh
from everybody.results.formats import FORMATS, convert, read_results
from everybody.results.journal import write_journal
from everybody.results.records import Record, Results
from everybody.results.trc import trc, write_trc
from everybody.skeletons import COCO17
from everybody.smooth import NAMES, Smooth
from everybody.track import Rules, Tracker
from everybody.track.flow import Stitch, tracking
from synthetic import nets

from .test_motion import animated, call
from .test_run import everybody_run
from .test_track import standing

PICTURES = [f"frames/f_{n:03}.jpg" for n in range(6)]


def someone(x: float = 100.0, number: int = 1) -> People:
    return replace(standing((x, 200)), ids=np.array([number]))


def film(source: str, height: int = 480, number: int = 1, count: int = 6) -> list[Record]:
    return [Record(source, n, n / 25, 640, height, someone(100 + n, number)) for n in range(count)]


def pictures(time: float = 0.0) -> list[Record]:
    return [
        Record(name, 0, n * time, 640, 480, someone(100 + n)) for n, name in enumerate(PICTURES)
    ]


def written(folder: Path, some: list[Record]) -> Path:
    write_journal(Results.of(some, COCO17), folder)
    return folder


def upright(height: float) -> People:
    """Somebody of that height in pixels with the proportions of Drillis and Contini."""
    keypoints = np.zeros((1, 17, 3))
    keypoints[..., 2] = 0.9
    for joint, share in (("shoulder", 0.818), ("hip", 0.53), ("knee", 0.285), ("ankle", 0.039)):
        for side, x in (("left", 310), ("right", 290)):
            place = COCO17.joints.index(f"{side}_{joint}")
            keypoints[0, place, :2] = x, 470 - share * height
    return People(keypoints, np.array([[250, 0, 350, 470]]), np.ones(1), COCO17, np.array([1]))


# --- metres


@pytest.mark.parametrize("height", [100, 250, 400])
def test_the_height_of_a_person_tells_the_scale(height):
    some = [Record("a.mp4", n, n / 25, 640, 480, upright(height)) for n in range(3)]
    (path,) = paths(some, COCO17)
    assert metres_per_pixel(path, 1.78) == pytest.approx(1.78 / height, rel=1e-4)

    # A bent knee, a turned picture and one side out of sight change nothing.
    ankle, knee = (COCO17.joints.index(f"left_{name}") for name in ("ankle", "knee"))
    shank = path.keypoints[:, ankle, 1] - path.keypoints[:, knee, 1]
    path.keypoints[:, ankle, :2] = path.keypoints[:, knee, :2]
    path.keypoints[:, ankle, 0] += shank
    path.keypoints[..., :2] = path.keypoints[..., 1::-1]
    for joint in ("shoulder", "hip", "knee", "ankle"):
        path.keypoints[1, COCO17.joints.index(f"right_{joint}"), 2] = 0
    assert metres_per_pixel(path, 1.78) == pytest.approx(1.78 / height, rel=1e-4)


def test_a_person_without_legs_tells_no_scale():
    (path,) = paths(film("a.mp4"), COCO17)
    path.keypoints[:, [COCO17.joints.index(f"{s}_knee") for s in ("left", "right")], 2] = 0
    with pytest.raises(DataError, match="--metres-per-pixel"):
        metres_per_pixel(path, 1.78)


def test_units_are_metres_or_millimetres_and_said(tmp_path, monkeypatch, capsys):
    journal = written(tmp_path / "run", film("a.mp4"))
    monkeypatch.chdir(tmp_path)
    for name, options in (
        ("mm.trc", ()),
        ("m.trc", ("--metres-per-pixel", 0.01)),
        ("h.trc", ("--height", 1.78)),
        ("p.bvh", ()),
        ("m.bvh", ("--metres-per-pixel", 0.01)),
    ):
        assert call(monkeypatch, journal, "-o", name, *options) == 0
        assert ("--height" in capsys.readouterr().err) == (not options)
    units = [
        (tmp_path / name).read_text().splitlines()[2].split("\t")[4]
        for name in ("mm.trc", "m.trc", "h.trc")
    ]
    assert units == ["mm", "m", "m"]
    pixels, metres = (
        float((tmp_path / name).read_text().splitlines()[6].split("\t")[2])
        for name in ("mm.trc", "m.trc")
    )
    assert metres == pytest.approx(pixels / 100, abs=1e-4)
    roots = [animated((tmp_path / n).read_text())[1][0]["hips"] for n in ("p.bvh", "m.bvh")]
    assert roots[1] == pytest.approx(roots[0] / 100, abs=1e-4)
    for options, told in (
        (("--height", 0), "--height 0"),
        (("--height", 1.7, "--metres-per-pixel", 1), "exclude each other"),
    ):
        assert call(monkeypatch, journal, "-o", "x.trc", *options) == 1
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("scale", [0.0, 0.004])
@pytest.mark.parametrize("unseen", ["nose", "left_hip", "right_ankle"])
def test_opensim_reads_our_trc(tmp_path, monkeypatch, scale, unseen):
    monkeypatch.chdir(tmp_path)  # it writes a log where it is imported
    opensim = pytest.importorskip("opensim", reason="needs OpenSim: pip install opensim")
    (path,) = paths(film("a.mp4"), COCO17)
    place = COCO17.joints.index(unseen)
    path.keypoints[2, place, 2] = 0
    write_trc(path, tmp_path / "a.trc", metres_per_pixel=scale)

    table = opensim.TimeSeriesTableVec3(str(tmp_path / "a.trc"))
    assert (table.getNumRows(), table.getNumColumns()) == (6, 17)
    assert list(table.getIndependentColumn()) == pytest.approx([n / 25 for n in range(6)])
    found = np.array(
        [[[row[k][axis] for axis in range(3)] for k in range(17)]
         for row in (table.getRowAtIndex(n) for n in range(6))]
    )  # fmt: skip
    wanted = path.upward() * (scale or 1.0)
    assert np.isnan(found[2, place]).all()
    found[2, place, :2] = wanted[2, place]
    assert np.allclose(found[..., :2], wanted, atol=1e-4)

    markers = opensim.MarkerData(str(tmp_path / "a.trc"))
    markers.convertToUnits(opensim.Units("m"))
    metres = markers.getFrame(0).getMarker(5)
    assert metres[0] == pytest.approx(wanted[0, 5, 0] * (1 if scale else 1e-3), abs=1e-6)


# --- several films


def test_y_counts_from_the_height_of_its_own_film(tmp_path, monkeypatch, capsys):
    some = [*film("a.mp4", 480), *film("dir/b.mp4", 1080, number=2)]
    first, second = paths(some, COCO17)
    for path, height in ((first, 480), (second, 1080)):
        row = trc(path).splitlines()[6].split("\t")
        assert float(row[3]) == pytest.approx(height - 1 - path.keypoints[0, 0, 1], abs=1e-4)
        root = animated(bvh(path))[1][0]["hips"]
        hips = path.keypoints[0, 11:13, 1].mean()
        assert root[1] == pytest.approx(height - 1 - hips, abs=1e-4)

    journal = written(tmp_path / "run", some)
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, journal, "-o", "all.trc") == 1
    assert "1 of a.mp4, 2 of dir/b.mp4" in capsys.readouterr().err
    for source in ("b.mp4", "b", "dir/b.mp4"):
        assert call(monkeypatch, journal, "-o", "b.trc", "--source", source, "--overwrite") == 0
        body = (tmp_path / "b.trc").read_text().splitlines()[2:]
        assert body == trc(second).splitlines()[2:]
    assert call(monkeypatch, journal, "-o", "c.trc", "--source", "c.mp4") == 1
    assert "nobody in c.mp4; there are 1, 2 of a.mp4, dir/b.mp4" in capsys.readouterr().err


def test_pictures_of_several_sizes_have_several_heights():
    some = [replace(record, height=400 + 10 * n) for n, record in enumerate(pictures(0.1))]
    (path,) = paths(some, COCO17)
    wanted = path.heights[:, None] - 1 - path.keypoints[..., 1]
    assert path.heights.tolist() == [400, 410, 420, 430, 440, 450]
    assert np.allclose(path.upward()[..., 1], wanted)


def test_a_height_that_is_not_known_is_said(tmp_path, monkeypatch, capsys):
    journal = written(tmp_path / "run", [replace(r, height=0) for r in film("a.mp4")])
    assert call(monkeypatch, journal, "-o", tmp_path / "a.trc") == 0
    assert "Y is 0 at its upper edge" in capsys.readouterr().err


# --- one clock


def test_a_folders_pictures_are_a_film(tmp_path):
    other = [replace(r, source=f"other/{r.source}") for r in film("x.jpg", number=2, count=1)]
    first, second = paths([*pictures(0.04), *other], COCO17)
    assert (first.source, second.source) == ("frames", "other")
    assert first.times == pytest.approx([n / 25 for n in range(6)])
    assert first.frames.tolist() == list(range(6))
    assert second.frames.tolist() == [0]


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet", "coco"])
@pytest.mark.parametrize(("fps", "step"), [(None, 0.04), (50.0, 0.02), (10.0, 0.1)])
def test_pictures_without_times_follow_each_other(tmp_path, name, fps, step):
    """As results of older versions, in which each picture is at 0 s."""
    FORMATS[name].write(Results.of(pictures(), COCO17), tmp_path / "r", lambda text: None)
    (path,) = paths(read_results(tmp_path / "r", fps=fps, say=lambda text: None), COCO17)
    assert path.times == pytest.approx([n * step for n in range(6)])


def test_stamps_stay_whatever_the_rate(tmp_path):
    journal = written(tmp_path / "run", film("a.mp4"))
    times = [record.time for record in read_results(journal, fps=7.0)]
    assert times == pytest.approx([n / 25 for n in range(6)])
    kept = [record.time for record in read_results(written(tmp_path / "p", pictures(0.5)))]
    assert kept == pytest.approx([n * 0.5 for n in range(6)])


def test_alphapose_names_tell_the_time_where_frames_are_missing(tmp_path):
    row = np.arange(51).tolist()
    items = [
        {"image_id": f"{n}.jpg", "category_id": 1, "keypoints": row, "score": 2.1, "idx": 1}
        for n in (0, 1, 4, 12)
    ]
    (tmp_path / "r.json").write_text(json.dumps(items))
    for fps, step in ((None, 0.04), (10.0, 0.1)):
        (path,) = paths(read_results(tmp_path / "r.json", fps=fps), COCO17)
        assert path.times == pytest.approx([n * step for n in (0, 1, 4, 12)])


def test_openpose_results_have_times(tmp_path, shared, monkeypatch):
    folder = tmp_path / "openpose"
    shutil.copytree(shared / "cases/plot-from-openpose/openpose", folder)
    monkeypatch.chdir(tmp_path)
    for fps, step in ((None, 0.04), (50, 0.02)):
        options = () if fps is None else ("--fps", fps)
        assert call(monkeypatch, folder, "--id", 1, "--angle", "left_knee", "-o", "a.csv",
                    "--overwrite", *options) == 0  # fmt: skip
        rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
        assert [float(row["time"]) for row in rows] == pytest.approx([n * step for n in range(12)])
        for name in ("a.trc", "a.bvh"):
            assert call(monkeypatch, folder, "--id", 1, "-o", name, "--overwrite", *options) == 0
        assert (tmp_path / "a.trc").read_text().splitlines()[2].split("\t")[2] == "12"
        assert animated((tmp_path / "a.bvh").read_text())[0] == pytest.approx(step)
    convert(folder, tmp_path / "r.csv", fps=50, say=lambda text: None)
    assert [r.time for r in read_results(tmp_path / "r.csv")] == pytest.approx(
        [n / 50 for n in range(12)]
    )


def test_smoothing_acts_on_a_folder_of_frames(tmp_path, shared, monkeypatch):
    frames = shared / "cases/folder-of-frames/frames"
    seen = {}
    for name in ("none", "one-euro", "butterworth", "savitzky-golay", "kalman"):
        smooth = () if name == "none" else ("--smooth", name)
        out = tmp_path / name
        assert (
            everybody_run(monkeypatch, frames, "--whole", "--track", "-q", "-o", out, *smooth) == 0
        )
        records = list(read_results(out))
        assert [r.time for r in records] == pytest.approx([n / 25 for n in range(6)])
        seen[name] = np.concatenate([r.people.keypoints[..., :2] for r in records])
    for name, keypoints in seen.items():
        moved = np.abs(np.diff(keypoints, n=2, axis=0)).mean()
        assert (moved < np.abs(np.diff(seen["none"], n=2, axis=0)).mean()) == (name != "none")


def test_the_rate_of_a_run_times_its_pictures(tmp_path, monkeypatch):
    for n in range(3):
        Image.fromarray(nets.blob(64, 64, 30.0, 30.0)).save(tmp_path / f"{n}.png")
    out = tmp_path / "out"
    options = ("--whole", "--model", "fast", "--fps", "10", "-q", "-o", out)
    assert everybody_run(monkeypatch, tmp_path / "*.png", *options) == 0
    assert [record.time for record in read_results(out)] == pytest.approx([0, 0.1, 0.2])


@pytest.mark.parametrize("name", NAMES)
def test_smoothing_a_folder_is_smoothing_a_film(name):
    rng = np.random.default_rng(0)
    image = np.zeros((8, 8, 3), np.uint8)
    shaken = [someone(100 + rng.normal(0, 3)) for _ in range(12)]

    def smoothed(names: list[str], indices: list[int]) -> np.ndarray:
        frames = [
            Frame(image, index, n / 25, source, people)
            for n, (source, index, people) in enumerate(zip(names, indices, shaken, strict=True))
        ]
        return np.array([frame.people.keypoints for frame in Smooth(name=name)(frames)])

    video = smoothed(["a.mp4"] * 12, list(range(12)))
    folder = smoothed([f"a/{n}.jpg" for n in range(12)], [0] * 12)
    assert np.array_equal(video, folder)
    assert not np.array_equal(video, np.array([people.keypoints for people in shaken]))
    split = smoothed([f"{'ab'[n > 5]}/{n}.jpg" for n in range(12)], [0] * 12)
    assert not np.array_equal(split[6:], video[6:])


@pytest.mark.parametrize("way", ["tracker", "flow"])
def test_another_folder_is_another_film_to_trackers(way):
    frames = [
        Frame(np.zeros((480, 640, 3), np.uint8), 0, (n % 5) / 25, f"{'ab'[n > 4]}/{n}.jpg", p)
        for n, p in enumerate([replace(someone(100), ids=None)] * 10)
    ]
    tracker = Tracker(tracking(Rules()) if way == "flow" else Rules())
    found = tracker(frames)
    if way == "flow":
        found = Stitch(tracker, Rules())(found)
    ids = [frame.people.ids.tolist() for frame in found]
    assert ids == [[1]] * 5 + [[2]] * 5


# --- tables of half of Europe


def test_plots_numbers_go_to_spreadsheets_of_half_of_europe(tmp_path, monkeypatch):
    journal = written(tmp_path / "run", film("a.mp4"))
    out = tmp_path / "a.csv"
    assert call(monkeypatch, journal, "--angle", "left_wrist.x", "-o", out, "--csv-eu") == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbfsource;id;frame;time;")
    rows = list(csv.DictReader(out.read_text("utf-8-sig").splitlines(), delimiter=";"))
    assert rows[1]["time"] == "0,040000"
    assert "," in rows[1]["value"]


def test_csv_of_half_of_europe_is_written_and_read(tmp_path):
    source = written(tmp_path / "run", film('a;b "c".mp4'))
    convert(source, tmp_path / "eu.csv", "csv-eu", say=lambda text: None)
    assert (tmp_path / "eu.csv").read_bytes().startswith(b"\xef\xbb\xbfsource;frame;time;")
    convert(tmp_path / "eu.csv", tmp_path / "back.csv", say=lambda text: None)
    convert(source, tmp_path / "direct.csv", say=lambda text: None)
    assert (tmp_path / "back.csv").read_bytes() == (tmp_path / "direct.csv").read_bytes()
    text = (tmp_path / "eu.csv").read_text("utf-8-sig").replace(";", "\t")
    (tmp_path / "excel.csv").write_text(text, "utf-16")
    convert(tmp_path / "excel.csv", tmp_path / "back.csv", overwrite=True, say=lambda text: None)
    assert (tmp_path / "back.csv").read_text().count("\n") == 1 + 6 * 17
