"""The journal: valid after any kill, resumed without loss, refused where it would mix runs."""

from __future__ import annotations

import io
import json
import resource
from contextlib import contextmanager

import numpy as np
import pytest

from everybody.errors import DataError, OptionError, OutputError
from everybody.people import Frame, People
from everybody.results.journal import Journal, read_journal
from everybody.results.lines import progress
from everybody.results.records import Record, encode
from everybody.skeletons import BOX, COCO17, H36M17, HALPE26, Skeleton


def people(count, skeleton=COCO17, seed=0, tracked=True):
    rng = np.random.default_rng(seed)
    keypoints = np.concatenate(
        [rng.uniform(-50, 2000, (count, len(skeleton), 2)), rng.random((count, len(skeleton), 1))],
        2,
    )
    boxes = np.sort(rng.uniform(0, 2000, (count, 2, 2)), axis=1).reshape(count, 4)
    return People(
        keypoints, boxes, rng.random(count), skeleton, np.arange(count) + 7 if tracked else None
    )


def records(count=5, skeleton=COCO17, source="a.mp4", start=0):
    return [
        Record(source, i, i / 30, 640, 480, people(i % 3, skeleton, i))
        for i in range(start, start + count)
    ]


def write(folder, some, skeleton=COCO17, **options):
    with Journal(folder, skeleton, **options) as journal:
        for record in some:
            journal.write(record)


def same(one, two):
    assert (one.source, one.index, one.width, one.height) == (
        two.source,
        two.index,
        two.width,
        two.height,
    )
    assert one.time == pytest.approx(two.time, abs=1e-6)
    np.testing.assert_allclose(one.people.keypoints, two.people.keypoints, atol=0.0051)
    np.testing.assert_allclose(
        one.people.keypoints[..., 2], two.people.keypoints[..., 2], atol=6e-5
    )
    np.testing.assert_allclose(one.people.boxes, two.people.boxes, atol=0.0051)
    np.testing.assert_allclose(one.people.scores, two.people.scores, atol=6e-5)
    if len(one.people):
        assert (one.people.ids is None) == (two.people.ids is None)
        assert one.people.ids is None or (one.people.ids == two.people.ids).all()


@contextmanager
def disk(size):
    """As if the disk had room for files of `size` bytes only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


CUSTOM = Skeleton(
    name="mine", joints=("left_x", "right_x"), limbs=((0, 1),), mirror=(1, 0), sigmas=(0.1, 0.1)
)


@pytest.mark.parametrize("skeleton", [COCO17, HALPE26, H36M17, BOX, CUSTOM], ids=lambda s: s.name)
def test_what_is_written_is_read(tmp_path, skeleton):
    some = records(5, skeleton)
    write(
        tmp_path,
        some,
        skeleton,
        run={"models": [{"name": "m", "sha256": "0"}], "options": {"path": tmp_path}},
    )
    results = read_journal(tmp_path)
    assert results.skeleton == skeleton
    assert results.run["finished"]
    assert (results.run["frames"], results.run["people"]) == (5, 4)
    for _ in range(2):
        for one, two in zip(some, results, strict=True):
            same(one, two)


def test_reading_and_writing_again_changes_nothing(tmp_path):
    write(tmp_path / "a", records())
    write(tmp_path / "b", read_journal(tmp_path / "a"))
    assert (tmp_path / "a/frames.jsonl").read_bytes() == (tmp_path / "b/frames.jsonl").read_bytes()


def test_a_line_is_on_disk_before_the_next_frame(tmp_path):
    journal = Journal(tmp_path, COCO17)
    for count, record in enumerate(records(), 1):
        journal.write(record)
        assert len(list(read_journal(tmp_path))) == count
    assert read_journal(tmp_path).run["finished"] is None
    journal.close()
    journal.close()
    assert read_journal(tmp_path).run["finished"]


def test_frames_are_taken_as_they_are(tmp_path):
    frame = Frame(
        np.zeros((4, 6, 3), np.uint8), 3, 0.1, "x.png"
    )  # nobody, and so no skeleton to speak of
    write(tmp_path, [frame])
    (record,) = read_journal(tmp_path)
    assert (record.source, record.index, record.width, record.height, len(record.people)) == (
        "x.png",
        3,
        6,
        4,
        0,
    )


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_dropped_and_resumed_over(tmp_path, cut):
    write(tmp_path, records(6))
    path = tmp_path / "frames.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])  # 1 takes the newline alone
    said = []
    left = list(read_journal(tmp_path, say=said.append))
    assert len(left) == (6 if cut == 1 else 5)
    assert len(said) == (cut > 1)
    last = progress(tmp_path, say=said.append).last
    assert last == {"a.mp4": left[-1].index}
    write(tmp_path, records(6)[last["a.mp4"] + 1 :], existing="resume")
    assert path.read_bytes() == whole


def test_a_first_line_that_is_torn_leaves_an_empty_journal(tmp_path):
    write(tmp_path, [])
    (tmp_path / "frames.jsonl").write_bytes(b'{"source":"a')
    assert progress(tmp_path, say=[].append).last == {}
    write(tmp_path, records(2), existing="resume")
    assert len(list(read_journal(tmp_path))) == 2


def test_any_other_broken_line_is_an_error_with_its_number(tmp_path):
    write(tmp_path, records(4))
    path = tmp_path / "frames.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for broken in (b'{"source": \n', b"[1, 2]\n", b"\n", lines[2].replace(b'"box"', b'"bix"')):
        path.write_bytes(b"".join([*lines[:2], broken, lines[3]]))
        with pytest.raises(DataError, match="line 3"):
            list(read_journal(tmp_path))
    path.write_bytes(lines[0] + b'{"source": \n')  # last, but whole: nobody was killed here
    with pytest.raises(DataError, match="line 2"):
        list(read_journal(tmp_path))


def test_last_frames_of_each_source(tmp_path):
    odd = 'q"\\\u00e9\udcff, "frame": 99.mp4'
    write(tmp_path, [*records(3), *records(2, source=odd, start=4)])
    assert progress(tmp_path).last == {"a.mp4": 2, odd: 5}
    assert progress(tmp_path / "nowhere").last == {}
    assert [record.source for record in read_journal(tmp_path)][-1] == odd


def test_an_existing_journal_is_refused_resumed_or_overwritten(tmp_path):
    write(tmp_path, records(2))
    with pytest.raises(OutputError, match=r"--resume.*--overwrite"):
        Journal(tmp_path, COCO17)
    with Journal(tmp_path, COCO17, existing="resume") as journal:
        journal.problem("one")
    with Journal(tmp_path, COCO17, existing="resume") as journal:
        journal.problem("two")
    results = read_journal(tmp_path)
    assert (len(list(results)), results.run["frames"], results.run["problems"]) == (
        2,
        2,
        ["one", "two"],
    )
    write(tmp_path, records(1), existing="overwrite")
    assert len(list(read_journal(tmp_path))) == 1
    write(tmp_path / "new", records(1), existing="resume")
    assert len(list(read_journal(tmp_path / "new"))) == 1


def test_resuming_needs_the_same_skeleton_and_models(tmp_path):
    run = {"models": [{"name": "m", "sha256": "0"}]}
    write(tmp_path, records(1), run=run)
    write(tmp_path, [], run=run, existing="resume")
    with pytest.raises(OptionError, match=r"coco-17.*halpe-26"):
        Journal(tmp_path, HALPE26, run, existing="resume")
    with pytest.raises(OptionError, match="other models"):
        Journal(tmp_path, COCO17, {"models": [{"name": "m", "sha256": "1"}]}, existing="resume")
    (tmp_path / "run.json").unlink()
    with pytest.raises(OptionError, match=r"run\.json"):
        Journal(tmp_path, COCO17, run, existing="resume")
    assert len(list(read_journal(tmp_path))) == 1


def test_an_error_leaves_a_run_that_is_not_finished(tmp_path):
    def interrupted():
        with Journal(tmp_path, COCO17) as journal:
            journal.write(records(1)[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_journal(tmp_path).run["finished"] is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["keypoints", "boxes", "scores"])
def test_numbers_that_are_none_are_refused(tmp_path, field, value):
    arrays = {name: getattr(people(2), name).copy() for name in ("keypoints", "boxes", "scores")}
    arrays[field].flat[1] = value
    bad = Record("a.mp4", 1, 0.0, 9, 9, People(**arrays, skeleton=COCO17))
    with (
        Journal(tmp_path, COCO17) as journal,
        pytest.raises(DataError, match=r"frame 1 of 'a\.mp4'"),
    ):
        journal.write(bad)
    assert list(read_journal(tmp_path)) == []


def test_people_of_another_skeleton_are_refused(tmp_path):
    with Journal(tmp_path, COCO17) as journal, pytest.raises(ValueError, match="h36m-17"):
        journal.write(Record("a", 0, 0.0, 9, 9, people(1, H36M17)))


def test_lines_that_travel_alone_name_their_skeleton(tmp_path):
    stream = io.BytesIO()
    for record in [Record("a", 0, 0.0, 9, 9, People.empty(BOX)), *records(3, H36M17)]:
        stream.write(encode(record, named=True))
    path = tmp_path / "lone.jsonl"
    path.write_bytes(stream.getvalue())
    results = read_journal(path)
    assert results.skeleton is H36M17
    assert len(list(results)) == 4
    path.write_bytes(b"".join(encode(record) for record in records(3, HALPE26)))
    assert read_journal(path).skeleton is HALPE26
    path.write_bytes(b"".join(encode(record) for record in records(3, CUSTOM)))
    with pytest.raises(DataError, match="--skeleton"):
        read_journal(path)
    assert len(list(read_journal(path, CUSTOM))) == 3


def test_a_full_disk_keeps_what_is_written(tmp_path):
    size = len(b"".join(encode(record) for record in records(3)))
    with disk(size + 20000), pytest.raises(OutputError, match=r"frames\.jsonl"):
        write(tmp_path, records(1000))
    kept = list(read_journal(tmp_path, say=[].append))
    assert len(kept) >= 3
    for one, two in zip(records(len(kept)), kept, strict=True):
        same(one, two)


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        Journal(tmp_path / "file" / "out", COCO17)


def test_what_is_no_journal_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no journal"):
        read_journal(tmp_path)
    write(tmp_path, [])
    (tmp_path / "run.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(DataError, match="schema 99"):
        read_journal(tmp_path)
