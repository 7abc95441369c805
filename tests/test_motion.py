"""Laws of motion: right angles are right, uneven times do no harm, and what goes out comes back."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from everybody.cli import main
from everybody.errors import DataError, OptionError
from everybody.kinematics import angle_names, angles, paths, series, velocities
from everybody.people import People
from everybody.results.bvh import BONES, bvh
from everybody.results.journal import write_journal
from everybody.results.records import Record, Results
from everybody.results.trc import trc
from everybody.skeletons import BOX, COCO17, HALPE26, SKELETONS

from .test_track import standing


def records(count: int = 20) -> list[Record]:
    people = [
        replace(standing((100 + 3 * n, 200), (400, 200)), ids=np.array([4, 9]))
        for n in range(count)
    ]
    return [Record("a.mp4", n, n / 25, 640, 480, people[n]) for n in range(count)]


def test_angles_are_those_of_geometry_and_do_not_turn_with_the_picture():
    points = np.zeros((17, 3))
    points[:, 2] = 1
    hip, knee, ankle = (COCO17.joints.index(f"left_{name}") for name in ("hip", "knee", "ankle"))
    for degrees in (10, 90, 135, 180):
        turn = np.radians(degrees)
        points[hip, :2], points[ankle, :2] = (5, 0), (3 * np.cos(turn), 3 * np.sin(turn))
        assert angles(points, COCO17)["left_knee"] == pytest.approx(degrees)
        for rotation in np.radians([30, 200]):
            matrix = np.array(
                [[np.cos(rotation), -np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]]
            )
            turned = np.concatenate([7 + 2 * points[:, :2] @ matrix.T, points[:, 2:]], axis=1)
            assert angles(turned, COCO17)["left_knee"] == pytest.approx(degrees)
    points[knee, 2] = 0.1
    assert np.isnan(angles(points, COCO17)["left_knee"])


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
def test_a_mirrored_person_has_the_angles_of_the_other_side(skeleton):
    keypoints = np.random.default_rng(0).uniform(1, 100, (5, len(skeleton), 3))
    mirrored = keypoints[:, list(skeleton.mirror)] * (-1, 1, 1)
    here, there = angles(keypoints, skeleton), angles(mirrored, skeleton)
    other = {"left": "right", "right": "left"}
    for name, values in here.items():
        side, _, joint = name.partition("_")
        assert np.allclose(values, there[f"{other[side]}_{joint}"])
    assert ("left_ankle" in angle_names(skeleton)) == ("left_big_toe" in skeleton.joints)


def test_velocities_of_a_parabola_at_uneven_times_are_exact():
    times = np.array([0.0, 0.1, 0.3, 0.35, 0.6])
    points = np.stack([3 * times**2, 2 - times], 1)[:, None]
    assert np.allclose(velocities(points, times)[:, 0], np.stack([6 * times, np.full(5, -1)], 1))
    assert np.allclose(velocities(points[:1], times[:1]), 0)


def test_paths_are_told_apart_by_source_and_id():
    both = records() + [replace(record, source="b.mp4") for record in records(3)]
    found = paths(both, COCO17)
    assert [(path.source, path.id, len(path.times)) for path in found] == [
        ("a.mp4", 4, 20),
        ("a.mp4", 9, 20),
        ("b.mp4", 4, 3),
        ("b.mp4", 9, 3),
    ]
    (one,) = paths(records(), COCO17, id=4)
    speed, unit = series(one, "left_wrist.speed")
    assert np.allclose(speed, 75, atol=0.01)
    assert unit == "pixels/s"
    with pytest.raises(DataError, match="there are 4, 9"):
        paths(records(), COCO17, id=5)
    with pytest.raises(DataError, match="--track"):
        paths([Record("a", 0, 0.0, 9, 9, People.empty(BOX))], COCO17)
    with pytest.raises(OptionError, match="left_knee"):
        series(one, "left_tail")


def animated(text: str) -> tuple[float, list[dict[str, np.ndarray]]]:
    """A reader of BVH: seconds per frame, and where each joint (and the end of each chain, as
    NAME.end) is in each.
    """
    tokens = iter(text.split())
    joints: list[tuple[str, int, np.ndarray, list[str]]] = []
    open_, place = [], -1
    for token in tokens:
        if token in ("ROOT", "JOINT"):
            joints.append((next(tokens), open_[-1] if open_ else -1, np.zeros(3), []))
            place = len(joints) - 1
        elif token == "End":
            assert next(tokens) == "Site"
            joints.append((joints[open_[-1]][0] + ".end", open_[-1], np.zeros(3), []))
            place = len(joints) - 1
        elif token == "{":
            open_.append(place)
        elif token == "}":
            open_.pop()
        elif token == "OFFSET":
            joints[place][2][:] = [float(next(tokens)) for _ in range(3)]
        elif token == "CHANNELS":
            joints[place][3].extend(next(tokens) for _ in range(int(next(tokens))))
        elif token == "MOTION":
            break
        else:
            assert token == "HIERARCHY"
    assert not open_
    assert next(tokens) == "Frames:"
    count = int(next(tokens))
    assert (next(tokens), next(tokens)) == ("Frame", "Time:")
    step = float(next(tokens))
    values = np.array(list(tokens), float).reshape(count, sum(len(joint[3]) for joint in joints))
    out = []
    for row in values:
        numbers, matrices, places = iter(row), [], []
        for _, parent, offset, channels in joints:
            matrix, where = (
                (matrices[parent], places[parent]) if parent >= 0 else (np.eye(3), np.zeros(3))
            )
            where = where + matrix @ offset
            for channel in channels:
                value = next(numbers)
                if channel.endswith("position"):
                    where = where + np.eye(3)["XYZ".index(channel[0])] * value
                else:
                    a, b = [k for k in range(3) if "XYZ"[k] != channel[0]]
                    turn, angle = np.eye(3), np.radians(value) * (-1 if channel[0] == "Y" else 1)
                    turn[[a, b], [a, b]] = np.cos(angle)
                    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
                    matrix = matrix @ turn
            matrices.append(matrix)
            places.append(where)
        out.append({joint[0]: where for joint, where in zip(joints, places, strict=True)})
    return step, out


def test_bvh_comes_back_where_limbs_keep_their_lengths():
    rng = np.random.default_rng(0)
    found, path = [], paths(records(30), COCO17, id=4)[0]
    for n in range(30):  # a puppet whose limbs turn, each at its own pace
        points = {"hips": np.array([200.0 + 3 * n, 250.0])}
        for name, _, start, end, rest in BONES[:14]:
            if end.endswith("big_toe"):
                continue
            length = 20 + 5 * (len(name) % 4)
            turn = np.radians(6 * n * ((hash_of(name) % 5) - 2)) + np.arctan2(rest[1], rest[0])
            points[end] = points[start] + length * np.array([np.cos(turn), -np.sin(turn)])
        # hips and shoulders lie on both sides of their middles
        for middle, joint in (("hips", "hip"), ("neck", "shoulder")):
            points[f"right_{joint}"] = 2 * points[middle] - points[f"left_{joint}"]
        found.append(points)
    for n, points in enumerate(found):
        for joint in COCO17.joints:
            path.keypoints[n, COCO17.joints.index(joint)] = [
                *points.get(joint, rng.uniform(0, 9, 2)),
                0.9,
            ]
    step, frames = animated(bvh(path))
    assert step == pytest.approx(1 / 25)
    assert len(frames) == 30
    for frame, points in zip(frames, found, strict=True):
        for name, point in (
            ("hips", "hips"),
            ("left_collar", "neck"),
            ("head.end", "nose"),
            ("left_upper_arm", "left_shoulder"),
            ("left_forearm", "left_elbow"),
            ("left_forearm.end", "left_wrist"),
            ("left_shin", "left_knee"),
            ("left_shin.end", "left_ankle"),
            ("right_thigh", "right_hip"),
        ):
            assert np.allclose(frame[name][:2], points[point] * (1, -1) + (0, 479), atol=0.01), name
            assert frame[name][2] == 0


def hash_of(name: str) -> int:
    return sum(map(ord, name))


def test_bvh_has_even_times_and_no_gaps_and_needs_a_trunk():
    path = paths(records(20), COCO17, id=4)[0]
    keep = np.delete(np.arange(20), [5, 6, 7, 12])
    gaps = replace(
        path,
        frames=path.frames[keep],
        times=path.times[keep],
        keypoints=path.keypoints[keep].copy(),
        heights=path.heights[keep],
    )
    gaps.keypoints[3, :, 2] = 0
    _, frames = animated(bvh(gaps))
    assert len(frames) == 20
    whole = animated(bvh(path))[1]
    for one, other in zip(frames, whole, strict=True):
        assert all(np.allclose(one[name], other[name], atol=1.5) for name in other)
    gaps.keypoints[:, COCO17.joints.index("left_hip"), 2] = 0
    with pytest.raises(DataError, match="hips"):
        bvh(gaps)
    assert (
        len(
            animated(
                bvh(
                    replace(
                        path,
                        frames=path.frames[:1],
                        times=path.times[:1],
                        keypoints=path.keypoints[:1],
                        heights=path.heights[:1],
                    )
                )
            )[1]
        )
        == 1
    )


def test_trc_comes_back():
    (path,) = paths(records(), COCO17, id=4)
    path.keypoints[3, 2, 2] = 0
    lines = trc(path, name="a.trc").splitlines()
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    assert (int(head["NumFrames"]), int(head["NumMarkers"]), float(head["DataRate"])) == (
        20,
        17,
        pytest.approx(25),
    )
    assert [name for name in lines[3].split("\t")[2:] if name] == list(COCO17.joints)
    assert lines[5] == ""
    rows = [line.split("\t") for line in lines[6:]]
    assert {len(row) for row in rows} == {2 + 3 * 17}
    assert rows[3][2 + 3 * 2 : 5 + 3 * 2] == ["", "", ""]
    assert float(rows[7][2 + 3 * 9]) == pytest.approx(path.keypoints[7, 9, 0], abs=1e-4)
    assert float(rows[7][3 + 3 * 9]) == pytest.approx(479 - path.keypoints[7, 9, 1], abs=1e-4)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    write_journal(Results.of(records(), COCO17), tmp_path / "run")
    return tmp_path / "run"


def call(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["everybody", "plot", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_plot_writes_pictures_numbers_and_markers(tmp_path, monkeypatch, journal):
    monkeypatch.chdir(tmp_path)
    assert (
        call(
            monkeypatch, journal, "--id", 4, "--angle", "left_knee,left_wrist.speed", "-o", "a.csv"
        )
        == 0
    )
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert len(rows) == 40
    assert {row["id"] for row in rows} == {"4"}
    assert call(monkeypatch, journal, "--id", 4, "-o", "a.trc") == 0
    assert (tmp_path / "a.trc").read_text().startswith("PathFileType")
    assert call(monkeypatch, journal, "--id", 4, "-o", "a.bvh") == 0
    assert len(animated((tmp_path / "a.bvh").read_text())[1]) == 20
    pytest.importorskip("matplotlib")
    assert call(monkeypatch, journal, "--angle", "left_knee", "-o", "a.png") == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--id", 4], "left_knee"),
        (["--id", 7, "--angle", "left_knee"], "nobody has id 7"),
        (["-o", "a.trc"], "--id"),
        (["-o", "a.bvh"], "--id"),
        (["--angle", "tail"], "unknown quantity"),
        (["--angle", "left_knee", "-o", "a.xyz"], "choose .png"),
    ],
)
def test_plot_says_what_is_wrong(tmp_path, monkeypatch, capsys, journal, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, journal, *arguments) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line


def test_the_skeleton_with_feet_has_ankles():
    assert "left_ankle" in angle_names(HALPE26)
