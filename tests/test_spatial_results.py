"""The journal of people in space, its tables, and the commands that write and judge them."""

from __future__ import annotations

import io
import pickle
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image

import everybody
from everybody import run as job
from everybody.cli import app
from everybody.data.poses import holds_poses, read_poses
from everybody.errors import DataError, OptionError, OutputError
from everybody.metrics.spatial import judge_files
from everybody.people import Poses3D
from everybody.results.journal import read_journal, write_journal
from everybody.results.records import Results
from everybody.results.spatial import FORMATS3D, LINES3D, Journal3D, Record3D, read
from everybody.skeletons import COCO17, H36M17
from synthetic import nets
from tests import motion
from tests.test_lift import film, keypoints


def record(index: int = 0, people: int = 2, frame="camera") -> Record3D:
    random = np.random.default_rng(index)
    joints = random.normal(size=(people, 17, 4)).round(3)
    ids = np.arange(1, people + 1) if people else None
    return Record3D("a.mp4", index, index / 25, Poses3D(joints, H36M17, ids, frame))


def same(one: Record3D, two: Record3D) -> bool:
    ids = [None if r.poses.ids is None else r.poses.ids.tolist() for r in (one, two)]
    return (
        (one.source, one.index, one.time, one.poses.frame)
        == (two.source, two.index, two.time, two.poses.frame)
        and ids[0] == ids[1]
        and np.allclose(one.poses.joints, two.poses.joints, atol=1e-4)
    )


def test_what_is_written_is_read(tmp_path):
    records = [record(0), record(1, 0), record(2, frame="world")]
    with closing(Journal3D(tmp_path)) as journal:
        for one in records:
            journal.write(one)
    assert all(map(same, read(tmp_path), records))


def test_going_on_behind_kept_lines_cuts_the_rest(tmp_path):
    with closing(Journal3D(tmp_path)) as journal:
        for index in range(5):
            journal.write(record(index))
    with (tmp_path / LINES3D).open("ab") as file:
        file.write(b'{"source": "torn')
    with closing(Journal3D(tmp_path, kept=3)) as journal:
        journal.write(record(9))
    assert [one.index for one in read(tmp_path)] == [0, 1, 2, 9]
    with pytest.raises(OutputError, match="fewer frames"):
        Journal3D(tmp_path, kept=5)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "not JSON"),
        ('{"source": "a", "frame": 0, "time": 0, "people": [{"joints": [[1, 2, 3, 4]]}]}', "17"),
        ('{"source": "a", "frame": 0, "time": 0, "people": [], "skeleton": "bear"}', "bear"),
        ('{"source": "a", "frame": 0, "time": 0, "people": [], "space": "moon"}', "moon"),
    ],
)
def test_broken_lines_are_named(tmp_path, line, says):
    (tmp_path / LINES3D).write_text(line + "\n")
    with pytest.raises(DataError, match=f"line 1.*{says}"):
        list(read(tmp_path))


def test_numbers_that_are_none_are_not_written(tmp_path):
    bad = record()
    bad.poses.joints[0, 0, 0] = np.nan
    with (
        closing(Journal3D(tmp_path)) as journal,
        pytest.raises(DataError, match=r"frame 0 of 'a\.mp4'"),
    ):
        journal.write(bad)
    with pytest.raises(DataError, match="everybody lift"):
        list(read(tmp_path / "none"))


def test_tables_hold_every_joint_of_every_person(tmp_path):
    records = [record(0), record(1, 0), record(2, 1)]
    for name in ("npz", "csv", "parquet"):
        FORMATS3D[name](lambda: iter(records), tmp_path / f"people3d.{name}")
    arrays = np.load(tmp_path / "people3d.npz")
    assert arrays["positions_3d"].shape == (3, 17, 3)
    assert arrays["id"].tolist() == [1, 2, 1]
    assert arrays["frame"].tolist() == [0, 0, 2]
    tables = [
        pyarrow.parquet.read_table(tmp_path / "people3d.parquet"),
        pyarrow.csv.read_csv(tmp_path / "people3d.csv"),
    ]
    for table in tables:
        assert len(table) == 3 * 17
        x = np.array(table["x"]).reshape(3, 17)
        assert np.allclose(x, arrays["positions_3d"][..., 0], atol=1e-4)
    empty = tmp_path / "empty.npz"
    FORMATS3D["npz"](lambda: iter([record(0, 0)]), empty)
    assert read_poses(empty).positions.shape == (0, 17, 3)


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, Path]:
    """A journal of two people in two films, and a lifter."""
    records = film(keypoints(40), keypoints(40, seed=1, far=6.0))
    records += film(keypoints(10), source="b.mp4")
    write_journal(Results.of(records, COCO17), tmp_path / "out")
    return tmp_path / "out", nets.lifter(tmp_path / "lifter.onnx", motion.standing())


def test_results_are_lifted_by_the_command(results, capsys):
    out, model = results
    command = ["lift", str(out), "--lifter", str(model), "--format", "npz"]
    app(command, standalone_mode=False)
    records = list(read(out))
    assert [(one.source, one.index) for one in records] == [
        *(("a.mp4", index) for index in range(40)),
        *(("b.mp4", index) for index in range(10)),
    ]
    assert [len(one.poses) for one in records] == [2] * 40 + [1] * 10
    assert holds_poses(out / "people3d.npz")
    assert read_poses(out / "people3d.npz").follows is not None
    assert "50 frames" in capsys.readouterr().err
    with pytest.raises(OutputError, match="--overwrite"):
        app(command, standalone_mode=False)
    app([*command, "--overwrite", "--world", "--height", "1.6"], standalone_mode=False)
    frames = {(one.source, one.poses.frame) for one in read(out)}
    assert frames == {("a.mp4", "world"), ("b.mp4", "camera")}
    assert "b.mp4: no floor" in capsys.readouterr().err  # ten frames are too few
    with pytest.raises(OptionError, match="unknown format"):
        app(["lift", str(out), "-f", "bear"], standalone_mode=False)
    with pytest.raises(OptionError, match="fov 180"):
        app([*command, "--overwrite", "--fov", "180"], standalone_mode=False)


@pytest.fixture
def pipeline(tmp_path: Path) -> dict[str, Any]:
    """Keywords of an Estimator that finds one body where the picture is brightest."""
    box = np.array([[20, 20, 116, 148, 0.9]], np.float32)
    return {
        "detector": nets.rtmdet_constant(tmp_path / "detector.onnx", box),
        "det_size": (160, 160),
        "pose": nets.heatmap_finder(tmp_path / "pose.onnx", 17),
        "skeleton": "coco-17",
        "codec": "heatmap,alignment=corner",
        "normalise": "none",
    }


def blobs(folder: Path, count: int = 6) -> Path:
    """Pictures that are a film."""
    folder.mkdir()
    for number in range(count):
        image = Image.fromarray(nets.blob(160, 160, 60.0 + number, 70.0))
        image.save(folder / f"{number:012d}.png")
    return folder


def test_runs_lift_and_go_on_where_they_were_stopped(pipeline, tmp_path):
    estimator = everybody.Estimator(**pipeline)
    lift = everybody.Lift(model=nets.lifter(tmp_path / "lifter.onnx", motion.standing()))
    pictures, out = blobs(tmp_path / "pictures"), tmp_path / "out"
    first = job.run(
        [str(path) for path in sorted(pictures.iterdir())[:3]],
        estimator,
        job.Outputs(out=out),
        follow=everybody.Follow(),
        lift=lift,
    )
    assert first.files["jsonl3d"] == str(out / LINES3D)
    with (out / LINES3D).open("ab") as file:  # written before a kill, unlike its frame
        file.write((out / LINES3D).read_bytes().splitlines(keepends=True)[-1])
    again = job.Outputs(out=out, existing="resume")
    job.run(str(pictures), estimator, again, follow=everybody.Follow(), lift=lift)
    plain = [(record.source, record.index) for record in read_journal(out)]
    assert [(record.source, record.index) for record in read(out)] == plain
    assert len(plain) == 6
    with pytest.raises(OptionError, match="lifter"):
        job.run(str(pictures), estimator, again, follow=everybody.Follow())
    with pytest.raises(OptionError, match="need a folder"):
        job.run(str(pictures), estimator, job.Outputs(out=io.BytesIO()), lift=lift)


def test_streams_carry_people_in_space(pipeline, tmp_path):
    lift = everybody.Lift(model=nets.lifter(tmp_path / "lifter.onnx", motion.standing()))
    source = str(blobs(tmp_path / "pictures"))
    estimator = everybody.Estimator(lift=lift, **pipeline)
    frames = list(estimator.stream(source))
    assert len(frames) == 6
    for frame in frames:
        assert frame.poses3d is not None
        assert frame.poses3d.ids is not None
        assert frame.poses3d.ids.tolist() == frame.people.ids.tolist()
    assert all(frame.poses3d is None for frame in estimator.stream(source, lift=False))
    assert pickle.loads(pickle.dumps(estimator)).lift == lift


def test_the_lifter_runs_where_the_estimator_does(pipeline, tmp_path, monkeypatch):
    asked = []
    usual = job.Lifting

    def lifting(lift, engine=None):
        asked.append(engine)
        return usual(lift, engine)

    monkeypatch.setattr(job, "Lifting", lifting)
    estimator = everybody.Estimator(**pipeline, device="cpu", engine="onnxruntime", threads=1)
    lift = everybody.Lift(model=nets.lifter(tmp_path / "lifter.onnx", motion.standing()))
    pictures = str(blobs(tmp_path / "pictures", 1))
    outputs = job.Outputs(out=tmp_path / "out")
    job.run(pictures, estimator, outputs, follow=everybody.Follow(), lift=lift)
    assert asked == [estimator.options.engine]


# Judging


def poses_npz(path: Path, positions: np.ndarray, **more) -> Path:
    np.savez(path, positions_3d=positions, joints=np.array(H36M17.joints), **more)
    return path


def values(found: Path, truth: Path, *names: str) -> dict[str, float]:
    (judged,) = judge_files([found], truth, names)
    return {figure.name: figure.value for figure in judged.figures}


def test_known_errors_have_known_figures(tmp_path):
    _, poses = motion.filmed(motion.capture(20))
    poses = poses - poses[:, :1]
    truth = poses_npz(tmp_path / "t.npz", poses, length=np.array([12, 8]))
    found = poses_npz(tmp_path / "f.npz", 1.1 * poses)
    got = values(found, truth)
    assert got["N-MPJPE"] == pytest.approx(0, abs=1e-6)
    assert got["MPJPE"] == pytest.approx(100 * np.linalg.norm(poses, axis=2).mean(), rel=1e-6)
    motion_ = np.concatenate([np.diff(poses[:12], axis=0), np.diff(poses[12:], axis=0)])
    assert got["MPJVE"] == pytest.approx(100 * np.linalg.norm(motion_, axis=2).mean(), rel=1e-6)

    moved = poses.copy()
    moved[:, 5, 0] += 0.12
    found = poses_npz(tmp_path / "m.npz", moved)
    got = values(found, truth, "PCK3D@150", "PCK3D@100", "auc", "mpjve")
    assert got["PCK3D@150"] == 1
    assert got["PCK3D@100"] == pytest.approx(16 / 17)
    assert got["MPJVE"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(OptionError, match="known are MPJPE"):
        values(found, truth, "PCK3D@x")


def test_motion_is_not_judged_where_rows_are_not_said_to_follow(tmp_path):
    _, poses = motion.filmed(motion.capture(5))
    path = poses_npz(tmp_path / "t.npz", poses)
    assert "MPJVE" not in values(path, path)
    with pytest.raises(DataError, match="which poses"):
        values(path, path, "MPJVE")
    ids = {"id": np.array([1, 1, 1, 2, 2]), "frame": np.array([0, 1, 3, 0, 1])}
    assert read_poses(poses_npz(tmp_path / "i.npz", poses, **ids)).follows.tolist() == [
        False, True, False, False, True,
    ]  # fmt: skip


def test_layouts_of_cmu_and_human36m(tmp_path):
    captures = [motion.capture(12), motion.capture(8, subject=2)]
    np.savez(tmp_path / "cmu.npz", **motion.packed(captures))
    assert holds_poses(tmp_path / "cmu.npz")
    cmu = read_poses(tmp_path / "cmu.npz")
    assert np.allclose(cmu.positions[:12], captures[0].joints, atol=2e-3)
    assert np.flatnonzero(~cmu.follows).tolist() == [0, 12]

    clip = np.random.default_rng(0).normal(size=(6, 32, 3)).astype(np.float32)
    subjects = {"S9": {"Walking": clip, "Eating": clip[:4]}}
    np.savez(tmp_path / "h36m.npz", positions_3d=subjects)  # pickled, as VideoPose3D has it
    human = read_poses(tmp_path / "h36m.npz")
    assert human.joints == H36M17.joints
    assert human.positions.shape == (10, 17, 3)
    assert np.allclose(human.positions[4:, 4], clip[:, 6])
    assert np.flatnonzero(~human.follows).tolist() == [0, 4]


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_nothing_in_a_pickled_layout_is_run(tmp_path, capsys):
    array = np.empty((), object)
    array[()] = {"S1": {"x": Evil()}}
    np.savez(tmp_path / "evil.npz", positions_3d=array)
    with pytest.raises(DataError, match=r"builtins\.print"):
        read_poses(tmp_path / "evil.npz")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"positions_3d": np.zeros((4, 16, 3))}, r"expected \(N, K, 3\)"),
        ({"positions_3d": np.full((4, 17, 3), 1e9)}, "beyond"),
        ({"positions_3d": np.zeros((4, 17, 3)), "length": np.array([3])}, "sum up to 4"),
        ({"positions_3d": np.zeros((4, 17, 3)), "id": np.zeros(3), "frame": np.zeros(4)}, "'id'"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, says):
    np.savez(tmp_path / "x.npz", joints=np.array(H36M17.joints), **arrays)
    with pytest.raises(DataError, match=says):
        read_poses(tmp_path / "x.npz")


def test_a_broken_capture_is_named(tmp_path):
    arrays = motion.packed([motion.capture(12)])
    arrays["length"] = np.array([13])
    np.savez(tmp_path / "cmu.npz", **arrays)
    with pytest.raises(DataError, match="do not fit together"):
        read_poses(tmp_path / "cmu.npz")
