"""Views of people in space: what goes in is what is shown, whatever it is called."""

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from everybody.apps.view.page import content, page, write_page
from everybody.apps.view.pictures import of_films
from everybody.apps.view.show import load, of_motions, of_records, spatial_angles
from everybody.apps.view.turning import (
    Orbit,
    orbit,
    picture,
    strip,
    write_gif,
    write_strip,
    write_video,
)
from everybody.cli.view import view
from everybody.errors import DataError, OptionError, OutputError
from everybody.lift.motion import Motion
from everybody.media.read import read as read_media
from everybody.people import People, Poses3D
from everybody.results.formats import FORMATS
from everybody.results.motions import write as write_motions
from everybody.results.records import Record, Results
from everybody.results.spatial import Journal3D, Record3D, write_npz
from everybody.skeletons import COCO17, H36M17

NASTY = "</script><b>&.mp4"


def spatial(count=5, source="a.mp4", ids=(7, 9)):
    random = np.random.default_rng(0)
    out = []
    for n in range(count):
        joints = random.normal((0, 0, 4), 0.4, (len(ids), 17, 3))
        joints = np.concatenate([joints, np.ones((len(ids), 17, 1))], 2).astype(np.float32)
        poses = Poses3D(joints, H36M17, np.array(ids, np.int64))
        out.append(Record3D(source, n, n / 25, poses))
    return out


def flat(count=5, source="a.mp4", ids=(7, 9)):
    random = np.random.default_rng(1)
    out = []
    for n in range(count):
        keypoints = random.uniform(0, 60, (len(ids), 17, 3)).astype(np.float32)
        keypoints[..., 2] = 0.9
        boxes = np.tile([0, 0, 60, 60], (len(ids), 1))
        people = People(keypoints, boxes, np.ones(len(ids), np.float32), COCO17, np.array(ids))
        out.append(Record(source, n, n / 25, 80, 64, people))
    return out


def shown(**options):
    return of_records(spatial(**options), flat(**options), "a")


def data_of(text):
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert len(found) == 1
    return json.loads(found[0])


def test_a_page_holds_every_frame_once_and_in_order():
    data = data_of(page(shown(count=9)))
    assert [frame["frame"] for frame in data["frames"]] == list(range(9))
    assert [[one["id"] for one in frame["people"]] for frame in data["frames"]] == [[7, 9]] * 9
    assert [len(frame["flat"]) for frame in data["frames"]] == [2] * 9
    assert data["ids"] == [7, 9]


def test_the_page_shows_metres_upright():
    (record, *_), data = spatial(), data_of(page(shown()))
    x, y, z, _ = record.poses.joints[1, 3] * 1000
    assert np.abs(np.subtract(data["frames"][0]["people"][1]["joints"][3], (x, z, -y))).max() <= 0.5


def test_a_page_asks_for_nothing_outside_itself():
    text = page(shown())
    assert "//" not in re.sub(r"(?m)^\s*// .*$", "", text).replace("<!--", "")
    assert not re.search(r"\b(src|href)\s*=\s*[\"']", text)
    assert "default-src 'none'" in text
    assert "unsafe" not in text


def test_names_end_no_script():
    records = spatial(source=NASTY)
    text = page(of_records(records, (), NASTY))
    assert text.count("</script>") == page(shown()).count("</script>")
    assert "<b>" not in text
    assert {frame["source"] for frame in data_of(text)["frames"]} == {NASTY}


def test_joints_that_are_not_seen_are_null():
    records = spatial(count=1)
    records[0].poses.joints[0, H36M17.joints.index("left_knee"), 3] = 0
    data = content(of_records(records, (), "a"))
    one = data["frames"][0]["people"][0]
    assert one["joints"].count(None) == 1
    assert one["angles"][data["angles"].index("left_knee")] is None
    assert one["angles"][data["angles"].index("right_knee")] is not None


def test_empty_results_are_legal(tmp_path):
    assert data_of(page(of_records((), (), "a")))["frames"] == []
    nobody = data_of(page(shown(ids=())))
    assert len(nobody["frames"]) == 5
    assert nobody["ids"] == []
    with pytest.raises(DataError, match="no frames"):
        write_gif(of_records((), (), "a"), tmp_path / "a.gif")
    assert picture(shown(ids=()), shown(ids=()).moments[0], Orbit((0, 0, 0), 3)).any()


def test_an_angle_in_space_is_that_of_the_bones():
    places = np.zeros((17, 3))
    place = {joint: k for k, joint in enumerate(H36M17.joints)}
    places[place["left_hip"]], places[place["left_ankle"]] = (0, 0, 1), (0, 1, 0)
    places[place["right_hip"]], places[place["right_ankle"]] = (0, 0, 1), (0, 0, -2)
    found = spatial_angles(places, H36M17)
    assert found["left_knee"] == pytest.approx(90)
    assert found["right_knee"] == pytest.approx(180)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    poses = spatial()[0].poses.joints[..., :3].astype(float)
    there = spatial_angles(poses @ turn, H36M17)
    assert np.allclose(list(there.values()), list(spatial_angles(poses, H36M17).values()))


def test_the_orbit_keeps_its_middle_in_the_middle():
    places = np.array([(1.0, 2, 3), (1, 2, 3.5)])
    for turn in np.linspace(0, 6, 7):
        middle, above = Orbit((1, 2, 3), 4, turn, 0.3, (101, 81)).project(places)
        assert middle == pytest.approx((50, 40, 4))
        assert above[0] == pytest.approx(50)
        assert above[1] < 40


def test_circling_people_is_turning_them():
    random = np.random.default_rng(0)
    places, angle = random.normal(size=(20, 3)), 0.7
    cos, sin = np.cos(angle), np.sin(angle)
    turned = places @ np.array([(cos, -sin, 0), (sin, cos, 0), (0, 0, 1)]).T
    ours = Orbit((0, 0, 0), 9, 0.2 + angle).project(places)
    assert np.allclose(ours, Orbit((0, 0, 0), 9, 0.2).project(turned))
    assert np.allclose(ours, Orbit((0, 0, 0), 9, 0.2 + angle + 2 * np.pi).project(places))
    assert np.isnan(Orbit((0, 0, 0), 1, 0, 0).project(np.array([0.0, -2, 0]))).all()


def test_people_in_a_room_are_within_its_picture():
    show = shown()
    for turn in (0, 1, 2, 4):
        points = orbit(show, (100, 100), turn).project(show.moments[0].places)
        assert np.mean((points[..., :2] > 0) & (points[..., :2] < 99)) > 0.95


def test_gif_strip_and_video_decode(tmp_path):
    show = shown(count=4)
    write_gif(show, tmp_path / "a.gif", (64, 64))
    with Pillow.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size) == (4, (64, 64))  # type: ignore[attr-defined]
    write_video(show, tmp_path / "a.mp4", (64, 48))
    frames = list(read_media(tmp_path / "a.mp4"))
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 4
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12], abs=1e-3)
    write_strip(show, tmp_path / "a.png")
    read = cv2.imread(str(tmp_path / "a.png"))
    assert read is not None
    assert read.shape == (360, 800, 3)
    assert strip(of_records(spatial(), (), "a"), 3, 50).shape == (50, 150, 3)


def test_frames_of_the_film_are_in_the_page(tmp_path):
    film = tmp_path / "a.mp4"
    write_video(shown(), film, (64, 48))
    source = str(film)
    show = of_records(spatial(source=source), flat(source=source), "a")
    data = content(show, of_films())
    assert all(f["picture"].startswith("data:image/jpeg;base64,") for f in data["frames"])
    assert [f["picture"] for f in content(shown(), of_films())["frames"]] == [None] * 5


def test_what_is_written_is_shown(tmp_path):
    journal = Journal3D(tmp_path)
    for record in spatial():
        journal.write(record)
    journal.close()
    write_npz(spatial, tmp_path / "people3d.npz")
    lines, table = load(tmp_path), load(tmp_path / "people3d.npz")
    assert lines.ids == table.ids == [7, 9]
    for one, other in zip(lines.moments, table.moments, strict=True):
        assert np.allclose(one.places, other.places, atol=1e-4)


@pytest.mark.parametrize("ending", [".bvh", ".trc"])
def test_motion_files_are_shown(tmp_path, ending):
    places = np.random.default_rng(0).normal(0, 0.3, (17, 3)) + np.zeros((3, 1, 1))
    motion = Motion(H36M17, places, np.arange(3) / 30)
    (path, *_) = write_motions(tmp_path / f"a{ending}", [motion])
    show = load(path)
    assert len(show.moments) == 3
    assert show.skeleton.limbs
    assert len(data_of(page(show))["frames"]) == 3


def test_people_come_and_go():
    joints = np.zeros((2, 17, 3))
    one = Motion(H36M17, joints, np.array([0.0, 1]), id=1)
    other = Motion(H36M17, joints, np.array([1.0, 2]), id=2)
    assert [moment.ids for moment in of_motions([one, other], "a").moments] == [[1], [1, 2], [2]]


def test_bad_input_is_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "none")
    (tmp_path / "a.npz").write_bytes(b"PK\3\4broken")
    with pytest.raises(DataError, match=r"a\.npz"):
        load(tmp_path / "a.npz")
    with pytest.raises(OptionError, match="expected a name that ends in"):
        view(tmp_path, tmp_path / "a.jpg")
    with pytest.raises(OptionError, match="--frames"):
        view(tmp_path, tmp_path / "a.gif", frames=True)
    (tmp_path / "a.html").touch()
    with pytest.raises(OutputError, match="exists"):
        view(tmp_path, tmp_path / "a.html")


@pytest.mark.parametrize("name", FORMATS)
def test_people_in_pictures_alone_are_to_be_lifted_first(tmp_path, name):
    """In every format; nothing is written."""
    path, page = tmp_path / FORMATS[name].target, tmp_path / "v.html"
    FORMATS[name].write(Results.of(flat(), COCO17), path, lambda text: None)
    with pytest.raises(DataError, match=r"no people in space there: .*everybody lift"):
        view(path, out=page)
    assert not page.exists()


def test_rerun_without_the_extra_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    from everybody.apps.view.rerun_log import to_rerun

    with pytest.raises(OptionError, match=r"everybody\[view\]"):
        to_rerun(shown(), tmp_path / "a.rrd")


def test_rerun_writes_a_file(tmp_path):
    pytest.importorskip("rerun")
    from everybody.apps.view.rerun_log import to_rerun

    to_rerun(shown(), tmp_path / "a.rrd")
    assert (tmp_path / "a.rrd").read_bytes()[:3] == b"RRF"


def test_the_page_is_written_by_the_command(tmp_path, capsys):
    journal = Journal3D(tmp_path)
    for record in spatial():
        journal.write(record)
    journal.close()
    view(tmp_path, tmp_path / "a.html")
    assert capsys.readouterr().out == f"{tmp_path / 'a.html'}\n"
    write_page(load(tmp_path), tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_world_stays_as_it_is(tmp_path):
    records = [replace(r, poses=replace(r.poses, frame="world")) for r in spatial()]
    write_npz(lambda: records, tmp_path / "a.npz")
    shown = load(tmp_path / "a.npz").moments[2].places
    assert np.allclose(shown, records[2].poses.joints[..., :3], atol=1e-4)
