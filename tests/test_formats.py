"""From any format to any other, what both can hold stays the same; what is broken or in the way is
said.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everybody.errors import DataError, OptionError, OutputError
from everybody.media.names import Names, numbered
from everybody.people import People
from everybody.results.formats import FORMATS, convert, read_results, tell, write_all
from everybody.results.journal import Journal, read_journal
from everybody.results.records import Record, Results
from everybody.skeletons import (
    BOX,
    COCO17,
    H36M17,
    HALPE26,
    HALPE136,
    OPENPOSE18,
    OPENPOSE25,
    mapping,
)

from .test_journal import CUSTOM, disk, people, same

FAITHFUL = ("jsonl", "parquet", "csv", "csv-eu")  # hold everything
ALSO = {"openpose-18": "openpose", "csv-eu": "csv"}  # formats that are told as another
LISTS = ("coco", "alphapose")  # no frames without people
FOLDERS = {
    "openpose": OPENPOSE25,
    "openpose-18": OPENPOSE18,
    "alphapose-cmu": OPENPOSE18,
    "alphapose-open": OPENPOSE18,
}


def quiet(text):
    pass


@st.composite
def journals(draw):
    skeleton = draw(st.sampled_from([COCO17, HALPE26, HALPE136, BOX, H36M17]))
    sources = draw(
        st.lists(
            st.sampled_from(["a.mp4", "b/x.jpg", "c/x.jpg", 'd "é,\n.png', "000042.jpg"]),
            unique=True,
        )
    )
    tracked = draw(st.booleans())
    records = []
    for source in sources:
        frames = (
            sorted(draw(st.sets(st.integers(0, 2000), max_size=4))) if source == "a.mp4" else [0]
        )
        for index in frames:
            found = people(draw(st.integers(0, 3)), skeleton, draw(st.integers(0, 99)), tracked)
            records.append(Record(source, index, index / 29.97, 1920, 1080, found))
    return Results.of(records, skeleton)


@settings(max_examples=25, deadline=None)
@given(journals(), st.permutations(FAITHFUL), st.booleans())
def test_faithful_formats_keep_everything(journal, path, as_file):
    """Through three formats in whatever order."""
    with TemporaryDirectory() as folder:
        place, results = Path(folder), journal
        for name in path:
            target = place / ("lone.jsonl" if name == "jsonl" and as_file else f"{name}.out")
            FORMATS[name].write(results, target, quiet)
            results = FORMATS[name].read(target, None, quiet)
        if any(
            len(record.people) for record in journal
        ):  # without people there is no joint to tell the skeleton from
            assert results.skeleton == journal.skeleton
            for one, two in zip(journal, results, strict=True):
                same(one, two)
        else:
            assert [r.source for r in results] == [r.source for r in journal]


@settings(max_examples=25, deadline=None)
@given(journals(), st.permutations(LISTS))
def test_lists_keep_the_people(journal, path):
    with TemporaryDirectory() as folder:
        results = journal
        for name in path:
            FORMATS[name].write(results, Path(folder) / name, quiet)
            results = FORMATS[name].read(Path(folder) / name, None, quiet)
        wanted = [record for record in journal if len(record.people)]
        for one, two in zip(wanted, results, strict=True):
            same(replace(two, people=one.people), two)


def test_coco_keeps_all_but_empty_frames(tmp_path):
    some = [Record("a.mp4", i, i / 30, 640, 480, people(i % 3, H36M17, i)) for i in range(6)]
    FORMATS["coco"].write(Results.of(some, H36M17), tmp_path / "r.json", quiet)
    results = read_results(tmp_path / "r.json")
    assert results.skeleton is H36M17  # as many joints as COCO, and still told apart
    for one, two in zip((r for r in some if len(r.people)), results, strict=True):
        same(one, two)


@settings(max_examples=15, deadline=None)
@given(journals(), st.sampled_from(sorted(FOLDERS)))
def test_folders_keep_the_joints_they_know(journal, name):
    if journal.skeleton is BOX:
        return
    with TemporaryDirectory() as folder:
        target = Path(folder) / name
        FORMATS[name].write(journal, target, quiet)
        results = FORMATS[name].read(target, None, quiet)
        known = mapping(journal.skeleton, FOLDERS[name])
        places = [FOLDERS[name].joints.index(joint) for joint in known.copied + known.derived]
        back = mapping(results.skeleton, FOLDERS[name])
        wanted = sorted((Names().frame(r.source, r.index), len(r.people)) for r in journal)
        assert len(list(results)) == len(wanted)
        if len({r.source for r in journal}) == 1:  # then names tell the order
            for one, two in zip(journal, results, strict=True):
                assert (one.index, len(one.people)) == (two.index, len(two.people))
                np.testing.assert_allclose(
                    known(one.people.keypoints)[:, places],
                    back(two.people.keypoints)[:, places],
                    atol=0.0101,
                )


def test_face_and_hands_go_through_openpose(tmp_path):
    record = Record("x.jpg", 0, 0.0, 640, 480, people(2, HALPE136))
    convert_from = Results.of([record], HALPE136)
    FORMATS["openpose"].write(convert_from, tmp_path / "openpose", quiet)
    results = read_results(tmp_path / "openpose")
    assert results.skeleton is HALPE136
    (back,) = results
    both = [k for k, joint in enumerate(HALPE136.joints) if joint != "head"]
    np.testing.assert_allclose(
        back.people.keypoints[:, both], record.people.keypoints[:, both], atol=0.0051
    )
    assert (back.people.ids == record.people.ids).all()
    person = json.loads((tmp_path / "openpose/x_keypoints.json").read_text())["people"][0]
    assert len(person["pose_keypoints_2d"]) == 75
    assert len(person["face_keypoints_2d"]) == 210
    assert len(person["hand_left_keypoints_2d"]) == len(person["hand_right_keypoints_2d"]) == 63


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    with Journal(folder, COCO17) as journal:
        for i in range(5):
            journal.write(Record("clip.mp4", i, i / 25, 640, 480, people(i % 3, COCO17, i)))
    return folder


def test_all_formats_of_a_run(run):
    said = []
    files = write_all(run, FORMATS, say=said.append)
    assert set(files) == set(FORMATS)
    assert all(path.exists() for path in files.values())
    assert len(said) == 1
    assert "image_id" in said[0]
    assert not list(run.glob("*.part"))
    for name, path in files.items():
        assert tell(run if name == "jsonl" else path) == ALSO.get(name, name)
    again = {path: path.read_bytes() for path in files.values() if path.is_file()}
    write_all(run, FORMATS, say=quiet)
    assert all(path.read_bytes() == before for path, before in again.items())
    names = sorted(file.name for file in (run / "openpose").iterdir())
    assert names == [f"clip_{i:012d}_keypoints.json" for i in range(5)]


def test_what_each_format_looks_like(run):
    write_all(run, ["coco", "alphapose", "alphapose-cmu", "alphapose-open", "openpose"], say=quiet)
    person = next(record for record in read_journal(run) if len(record.people)).people[0]
    x0, y0, x1, y1 = person.boxes[0].tolist()
    coco = json.loads((run / "results.json").read_text())[0]
    assert (coco["image_id"], coco["category_id"], coco["frame"], coco["file_name"]) == (
        1,
        1,
        1,
        "clip.mp4",
    )
    assert coco["bbox"] == pytest.approx([x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0], abs=0.01)
    assert coco["keypoints"] == pytest.approx(person.keypoints.ravel().tolist(), abs=0.001)
    alphapose = json.loads((run / "alphapose-results.json").read_text())[0]
    assert set(alphapose) == {"image_id", "category_id", "keypoints", "score", "box", "idx"}
    assert (alphapose["image_id"], alphapose["idx"]) == ("1.jpg", 7)
    for folder, people_key, joints_key in (
        ("alphapose-cmu", "bodies", "joints"),
        ("alphapose-open", "people", "pose_keypoints_2d"),
    ):
        document = json.loads((run / folder / "clip_000000000001.json").read_text())
        assert document["version"] == 0.1
        assert len(document[people_key][0][joints_key]) == 54
    document = json.loads((run / "openpose/clip_000000000001_keypoints.json").read_text())
    assert (document["version"], document["people"][0]["person_id"]) == (1.3, [7])
    neck = document["people"][0]["pose_keypoints_2d"][3:5]
    assert neck == pytest.approx(person.keypoints[0, 5:7, :2].mean(0).tolist(), abs=0.001)


@pytest.mark.parametrize(
    ("sources", "ids"),
    [
        (["000000000872.jpg", "a/7.png"], [872, 7]),
        (["COCO_val2014_000000000042.jpg"], [42]),
        (["1.jpg", "b/1.jpg"], [0, 1]),
        (["1.jpg", "x.jpg"], [0, 1]),
    ],
)
def test_image_ids(tmp_path, sources, ids):
    said = []
    results = Results.of([Record(source, 0, 0.0, 9, 9, people(1)) for source in sources], COCO17)
    FORMATS["coco"].write(results, tmp_path / "r.json", said.append)
    assert [item["image_id"] for item in json.loads((tmp_path / "r.json").read_text())] == ids
    assert ("file name" in said[0]) == (ids[0] > 1)


def test_results_of_others(tmp_path):
    """Mixed up, without what only ours have, and with other categories."""
    row = [*range(1, 52)]
    items = [
        {"image_id": 9, "category_id": 1, "keypoints": row, "score": 0.5},
        {"image_id": 8, "category_id": 1, "keypoints": row, "score": 0.9},
        {"image_id": 9, "category_id": 3, "keypoints": row, "score": 0.4},
        {"image_id": 9, "category_id": 1, "keypoints": row, "score": 0.3},
    ]
    path = tmp_path / "r.json"
    path.write_text(json.dumps(items))
    results = list(read_results(path))
    assert [(PurePath(r.source).stem, len(r.people)) for r in results] == [
        ("000000000009", 2),
        ("000000000008", 1),
    ]
    assert results[0].people.boxes[0].tolist() == [1, 2, 49, 50]
    path.write_text(
        json.dumps([{"image_id": "0.jpg", "keypoints": row, "score": 2.5, "idx": [[4.0], [4.0]]}])
    )
    (result,) = read_results(path)
    assert (result.people.ids, result.people.scores) == ([4], [2.5])


def test_rows_survive_pandas(tmp_path, run):
    pandas = pytest.importorskip("pandas")
    write_all(run, ["csv"], say=quiet)
    frame = pandas.read_csv(run / "results.csv")
    assert frame.frame.nunique() == 5
    assert len(frame.dropna(subset="person")) == 17 * sum(
        len(record.people) for record in read_journal(run)
    )
    frame.to_csv(tmp_path / "again.csv", index=False)
    for one, two in zip(read_journal(run), read_results(tmp_path / "again.csv"), strict=True):
        same(one, two)
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "mixed.csv", index=False)
    with pytest.raises(DataError, match="sort"):
        list(read_results(tmp_path / "mixed.csv"))


def test_tables_of_any_length(tmp_path, monkeypatch):
    """Frames that go over the edges of row groups, and many of them."""
    monkeypatch.setattr("everybody.results.formats.table._ROWS", 40)
    some = [Record("a.mp4", i, i / 30, 640, 480, people(3, COCO17, i)) for i in range(20)]
    FORMATS["parquet"].write(Results.of(some, COCO17), tmp_path / "r.parquet", quiet)
    assert pyarrow.parquet.ParquetFile(tmp_path / "r.parquet").num_row_groups == 20
    for one, two in zip(some, read_results(tmp_path / "r.parquet"), strict=True):
        same(one, two)


def test_a_skeleton_of_ones_own(tmp_path):
    results = Results.of([Record("a.jpg", 0, 0.0, 9, 9, people(1, CUSTOM))], CUSTOM)
    for name in ("jsonl", "parquet"):
        FORMATS[name].write(results, tmp_path / name, quiet)
        assert FORMATS[name].read(tmp_path / name, None, quiet).skeleton == CUSTOM
    for name in ("csv", "csv-eu", "coco", "alphapose"):
        FORMATS[name].write(results, tmp_path / name, quiet)
        with pytest.raises(DataError, match=r"--skeleton NAME or --skeleton FILE\.toml"):
            FORMATS[name].read(tmp_path / name, None, quiet)
        with pytest.raises(DataError, match=r"--skeleton NAME or --skeleton FILE\.toml"):
            list(FORMATS[name].read(tmp_path / name, COCO17, quiet))
        (record,) = FORMATS[name].read(tmp_path / name, CUSTOM, quiet)
        np.testing.assert_allclose(
            record.people.keypoints, next(iter(results)).people.keypoints, atol=0.0051
        )


def test_convert_tells_formats(tmp_path, run):
    for target in (
        "a.csv",
        "b.parquet",
        "c.json",
        "alphapose.json",
        "d.jsonl",
        "openpose",
        "folder",
    ):
        assert convert(run, tmp_path / target, say=quiet) == 5
    kinds = [
        tell(tmp_path / t)
        for t in ("a.csv", "b.parquet", "c.json", "alphapose.json", "d.jsonl", "folder")
    ]
    assert kinds == ["csv", "parquet", "coco", "alphapose", "jsonl", "jsonl"]
    for source in ("a.csv", "b.parquet", "d.jsonl", "folder"):
        convert(tmp_path / source, tmp_path / "again.csv", overwrite=True, say=quiet)
        assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    convert(run, tmp_path / "e.bin", "parquet", say=quiet)
    assert tell(tmp_path / "e.bin") == "parquet"


def test_what_is_in_the_way_is_not_lost(tmp_path, run):
    mine = tmp_path / "mine.json"
    mine.write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        convert(run, mine)
    with pytest.raises(OutputError, match="--overwrite"):
        convert(run, run, "jsonl", overwrite=True)
    (tmp_path / "openpose").mkdir()
    (tmp_path / "openpose/thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="something else"):
        convert(run, tmp_path / "openpose", overwrite=True)
    with pytest.raises(OptionError, match="known are"):
        convert(run, tmp_path / "x", "coconut")
    assert (mine.read_text(), (tmp_path / "openpose/thesis.txt").read_text()) == (
        "precious",
        "precious",
    )


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "jsonl"])
def test_a_full_disk_loses_nothing(tmp_path, name):
    one = Results.of([Record("a.mp4", 0, 0.0, 9, 9, people(1))], COCO17)
    many = Results.of(
        [Record("a.mp4", i, i / 9, 9, 9, people(40, seed=i)) for i in range(20)], COCO17
    )
    target = tmp_path / name
    FORMATS[name].write(one, target, quiet)
    before = len(list(FORMATS[name].read(target, None, quiet)))
    with disk(5000), pytest.raises(OutputError, match=name):
        FORMATS[name].write(many, target, quiet)
    assert len(list(FORMATS[name].read(target, None, quiet))) == before
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        FORMATS[name].write(one, tmp_path / "file" / "x", quiet)


@pytest.mark.parametrize("name", FORMATS)
def test_no_frames_at_all(tmp_path, name):
    FORMATS[name].write(Results.of([], COCO17), tmp_path / name, quiet)
    assert list(FORMATS[name].read(tmp_path / name, None, quiet)) == []


@pytest.mark.parametrize("video", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_where_nobody_was_found_every_format_is_told_read_and_converted(tmp_path, name, video):
    """Frames without people stay, but in lists of people, which have no place for them."""
    places = [("a.mp4", n) for n in range(3)] if video else [("a.jpg", 0), ("b.jpg", 0)]
    frames = [Record(s, n, n / 25, 640, 480, People.empty(COCO17)) for s, n in places]
    source = tmp_path / name
    FORMATS[name].write(Results.of(frames, COCO17), source, quiet)
    assert tell(source) == ({"alphapose": "coco"} | ALSO).get(name, name)

    results = read_results(source, say=quiet)
    assert results.skeleton == ({**FOLDERS, "openpose-18": OPENPOSE25}).get(name, results.skeleton)
    wanted = [] if name in LISTS else [(PurePath(s).stem, n, 0) for s, n in places]
    for to in FORMATS:
        target = tmp_path / f"to-{to}"
        assert convert(source, target, to, say=quiet) == len(wanted)
        if not wanted and to in FOLDERS:
            with pytest.raises(DataError, match="an empty folder holds no results: name the"):
                read_results(target)
            continue
        back = [(PurePath(r.source).stem, r.index, len(r.people)) for r in read_results(target)]
        assert back == ([] if to in LISTS else wanted)


def test_people_of_a_later_frame_tell_a_folder_whose_first_frames_have_none(tmp_path):
    some = [Record("a.mp4", n, n / 25, 9, 9, people(n)) for n in range(2)]
    for name in FOLDERS:
        FORMATS[name].write(Results.of(some, COCO17), tmp_path / name, quiet)
        results = read_results(tmp_path / name)
        assert results.skeleton == FOLDERS[name]
        assert [len(record.people) for record in results] == [0, 1]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.json").write_text('{"people": ["Anna"]}')
    with pytest.raises(DataError, match="not results in a known format"):
        tell(tmp_path / "other")


@pytest.mark.parametrize("name", FORMATS)
def test_numbers_that_are_none_are_refused(tmp_path, name):
    found = people(1)
    found.keypoints[0, 3, 1] = np.nan
    with pytest.raises(DataError, match="NaN"):
        FORMATS[name].write(
            Results.of([Record("a.jpg", 0, 0.0, 9, 9, found)], COCO17), tmp_path / "out", quiet
        )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "[1, 2]"),
        ("a.json", '[{"image_id": 1'),
        ("a.json", '[{"id": 1}]'),
        ("a.json", "{}"),
        ("a.json", ""),
        ("a.json", '[{"image_id": 1, "keypoints": [1, 2, 3, 4], "score": 1}]'),
        ("a.json", '{"images": []}'),
        ("a.json", '[{"image_id": 1, "keypoints": [' + "1," * 50 + '"x"], "score": 1}]'),
        ("a.csv", "frame,joint\n1,nose\n"),
        ("a.csv", "x,y\n1,2\n"),
        ("a.parquet", "PAR1 and no more"),
        ("o/a_keypoints.json", "{}"),
        ("o/a_keypoints.json", '{"people": [{"pose_keypoints_2d": [1, 2]}]}'),
        ("o/x", ""),
    ],
)
def test_what_is_broken_is_said_with_its_path(tmp_path, name, content):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    path = file.parent if "/" in name else file
    with pytest.raises(DataError, match=str(path)):
        list(read_results(path))
    with pytest.raises(DataError, match="nowhere"):
        read_results(tmp_path / "nowhere")


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=300)
    )
)
def test_names_are_different_and_fit_file_systems(sources):
    names = Names()
    given_names = [names(source) for source in dict.fromkeys(sources)]
    assert len({name.casefold() for name in given_names}) == len(given_names)
    assert all(name and "/" not in name and len(name.encode()) <= 210 for name in given_names)
    again = Names()
    assert [again(source) for source in dict.fromkeys(sources)] == given_names


def test_names_of_known_kinds():
    names = Names()
    assert [names.frame(s, 0) for s in ("a/x.jpg", "b/x.jpg", "b/x.png")] == ["x", "b_x", "x.2"]
    assert names.frame("clip.mp4", 12) == "clip_000000000012"
    assert names("rtsp://user:secret@host/live?key=1") == "live"
    assert names("rtsp://user:secret@host") == "host"
    assert [numbered(s, 0) for s in ("a.MP4", "camera:0", "rtsp://host/x", "a.jpg", "a")] == [
        True
    ] * 3 + [False] * 2
    assert numbered("a.jpg", 1)


def test_nothing_but_people_is_made_of_nobody(tmp_path):
    empty = Results.of([Record("a.jpg", 0, 0.0, 9, 9, People.empty(COCO17))], COCO17)
    for name in ("openpose", *FAITHFUL):
        FORMATS[name].write(empty, tmp_path / name, quiet)
        (record,) = FORMATS[name].read(tmp_path / name, None, quiet)
        assert len(record.people) == 0
