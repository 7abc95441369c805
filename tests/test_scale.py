"""Work for a cluster, without one: where videos are cut, what work is called, how results are
committed, how ids go on, what a join gives, and what is refused.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fsspec", reason="needs the extra scale")

from everybody import schedule
from everybody.errors import DataError, EverybodyError, InputError, OptionError, OutputError
from everybody.follow import Follow, linked, new_tracker
from everybody.media import trust, video
from everybody.media.demux import Key
from everybody.method import finding
from everybody.people import Frame, People
from everybody.results.journal import read_journal
from everybody.results.records import Record
from everybody.results.table import read_parquet
from everybody.run import Messages, Outputs, run
from everybody.scale import report, simulate, store
from everybody.scale.actors import EstimateChunks, Tries, tried
from everybody.scale.chunks import Part, groups, parts
from everybody.scale.cluster import Cluster, Room, connected
from everybody.scale.driver import claim, in_order
from everybody.scale.job import Job, Planned, chunk_id, digest, film_folder
from everybody.scale.join import join
from everybody.scale.keyframes import index
from everybody.scale.notes import Notes, check, evidence
from everybody.scale.plan import plan
from everybody.scale.remote import best_batch
from everybody.scale.run import Run
from everybody.scale.sources import Film, films
from everybody.scale.work import Done, Worker, chunk_path, table
from everybody.scale.worklist import Worklist
from everybody.skeletons import COCO17
from everybody.track.tracker import Evidence
from synthetic.walkers import Moment, Scenery, walkers
from tests import movies


class Finder:
    """Stands for an estimator: one person in each frame, whose place tells the picture's grey."""

    skeleton = COCO17
    workers = 1

    def __init__(self) -> None:
        self.method = SimpleNamespace(
            stages=finding(self._look, 1), poser=None, skeleton=COCO17, sessions={}
        )

    @staticmethod
    def _look(pictures: Any) -> list[People]:
        return [person(float(picture.mean())) for picture in pictures]

    def models(self) -> list[dict[str, str]]:
        return []

    def frames(self, frames: Any, *, live: bool = False) -> Any:
        return schedule.run(self.method.stages, frames, workers=1, live=live)


def person(x: float, y: float = 20.0, ids: list[int] | None = None) -> People:
    keypoints = np.full((1, 17, 3), 0.9, np.float32)
    keypoints[0, :, :2] = np.stack([x + np.arange(17), np.full(17, y)], 1)
    box = np.array([[x, y - 10, x + 17, y + 10]])
    return People(keypoints, box, np.array([0.9]), COCO17, None if ids is None else np.array(ids))


def job(tmp_path: Path, **more: Any) -> Job:
    return Job(dest=str(tmp_path / "dest"), seconds=0.3, overlap=0.2, **more)


def done(job: Job, film: Film) -> Planned:
    """The film planned, and all of its chunks done."""
    planned = plan(job, film)
    worker = Worker(job, Finder())  # type: ignore[arg-type]
    for part in planned.parts:
        worker(planned, part)
    return planned


def film_of(path: Path) -> Film:
    return Film(str(path), (str(path),))


def joined(job: Job, planned: Planned) -> list[Record]:
    join(job, planned, COCO17, {})
    return list(read_journal(Path(job.dest) / "films" / film_folder(planned.film)))


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    return movies.encode(tmp_path / "a.mp4", 40)


# Where videos are cut

KEYS = st.lists(st.integers(1, 50), max_size=30).map(
    lambda steps: [Key(n, n, n / 10) for n in np.cumsum([0, *steps]).tolist()]
)


@given(KEYS, st.integers(1, 80), st.floats(0.1, 9), st.floats(0, 3))
def test_parts_hold_every_frame_once(
    keys: list[Key], more: int, seconds: float, overlap: float
) -> None:
    frames = keys[-1].index + more
    cut = parts(keys, frames, seconds=seconds, overlap=overlap)
    held = [n for part in cut for n in range(part.first, part.last)]
    assert held == list(range(frames))
    assert all(part.seek in keys for part in cut)
    assert all(part.seek.time <= max(part.lead, keys[0].time) for part in cut)
    assert all(part.first / 10 - part.lead <= overlap + 1e-9 for part in cut)


def test_what_cannot_be_cut_is_one_part() -> None:
    assert parts([], 9, seconds=1, overlap=0) == [Part(0, 9, whole=True)]
    assert parts([Key(3, 3, 0.3)], 9, seconds=1, overlap=0) == [Part(0, 9, whole=True)]


@given(st.integers(0, 99), st.integers(1, 20))
def test_groups_hold_every_picture_once(count: int, size: int) -> None:
    assert [n for p in groups(count, size) for n in range(p.first, p.last)] == list(range(count))


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4")]
)
def test_decoding_from_a_key_frame_gives_the_same_frames(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    path = movies.encode(tmp_path / f"a.{suffix}", 40, codec=codec)

    def frames(begin: Key | None) -> dict[int, tuple[float, bytes]]:
        opened = video.open_video(trust.path(str(path)), str(path))
        read = video.frames(opened, str(path), _raise, begin=begin)
        return {frame.index: (frame.time, frame.image.tobytes()) for frame in read}

    with video.open_video(trust.path(str(path)), str(path)) as opened:
        found = index(opened, seconds=0.3, overlap=0.2)
    whole = frames(None)
    assert found.frames == len(whole) == 40
    assert len(found.keys) > 2
    for key in found.keys:
        assert frames(key) == {n: frame for n, frame in whole.items() if n >= key.index}


def _raise(error: EverybodyError) -> None:
    raise error


# What work is called


def test_a_changed_option_video_or_piece_is_other_work(tmp_path: Path) -> None:
    one, planned = job(tmp_path, identity="a"), Planned(Film("a.mp4", ("a.mp4",)), "1:2")
    part = Part(0, 9, Key(0, 0, 0.0))
    names = {
        chunk_id(one, planned, part),
        chunk_id(replace(one, identity="b"), planned, part),
        chunk_id(one, replace(planned, fingerprint="1:3"), part),
        chunk_id(one, replace(planned, film=Film("b.mp4", ("b.mp4",))), part),
        chunk_id(one, planned, replace(part, last=8)),
    }
    assert len(names) == 5
    assert chunk_id(replace(one, dest="elsewhere"), planned, part) in names


def test_folders_of_films_of_one_name_differ() -> None:
    assert film_folder(Film("a/x.mp4", ())) != film_folder(Film("b/x.mp4", ()))


def test_the_plan_as_an_array_and_back() -> None:
    plan = [
        Planned(Film("a", ("a",)), parts=(Part(0, 5, Key(0, 7, 0.5), 0.25), Part(5, 9))),
        Planned(Film("c", ("c",)), error="broken"),
        Planned(Film("b", ("b",)), parts=(Part(0, -1, whole=True),)),
    ]
    work = Worklist.of(iter(plan))
    assert list(work) == plan
    assert [(work.film(row), work.place(row)) for row in range(len(work))] == [
        (0, 0),
        (0, 1),
        (2, 0),
    ]
    assert [work.part(row) for row in range(len(work))] == [p for one in plan for p in one.parts]
    assert (len(Worklist.of([])), list(Worklist.of([]))) == (0, [])


def test_plans_that_come_in_any_order() -> None:
    plans = [Planned(Film(str(n), ())) for n in range(5)]
    assert list(in_order((n, plans[n]) for n in (3, 0, 1, 4, 2))) == plans


# Commit


def test_a_chunk_is_done_once(tmp_path: Path, movie: Path) -> None:
    one = job(tmp_path)
    planned = plan(one, film_of(movie))
    worker = Worker(one, Finder())  # type: ignore[arg-type]
    first = worker(planned, planned.parts[1])
    again = worker(planned, planned.parts[1])
    assert not first.again
    assert again == replace(first, again=True)


def test_what_fails_while_it_is_written_is_not_there(
    tmp_path: Path, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(tmp_path)
    planned = plan(one, film_of(movie))

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="free space"):
        Worker(one, Finder())(planned, planned.parts[0])  # type: ignore[arg-type]
    assert not [path for path in (tmp_path / "dest").rglob("*") if path.is_file()]


@pytest.mark.parametrize("suffix", ["parquet", "json", "npz"])
@pytest.mark.parametrize("left", [0, 10, -10])
def test_a_half_written_chunk_is_found_and_done_again(
    tmp_path: Path, movie: Path, left: int, suffix: str
) -> None:
    one = job(tmp_path, follow=Follow(detect_every=1))
    planned = done(one, film_of(movie))
    path = Path(f"{chunk_path(one.dest, one, planned, planned.parts[1])}.{suffix}")
    path.write_bytes(path.read_bytes()[:left])
    assert join(one, planned, COCO17, {}).broken == (1,)
    assert not path.exists()
    assert [record.index for record in joined(one, done(one, film_of(movie)))] == list(range(40))


def test_a_chunk_keeps_numbers_as_they_are(tmp_path: Path) -> None:
    """Rounded ones would change what smoothing takes for an outlier."""
    rng = np.random.default_rng(0)
    people = People(
        rng.random((2, 17, 3), np.float32),
        rng.random((2, 4), np.float32),
        rng.random(2, np.float32),
        COCO17,
    )
    record = Record("a.mp4", 3, 1 / 7, 90, 60, people)
    (tmp_path / "a").write_bytes(table([record], Finder()))  # type: ignore[arg-type]
    (back,) = read_parquet(tmp_path / "a", None, _fail)
    assert back.time == record.time
    for name in ("keypoints", "boxes", "scores"):
        assert np.array_equal(getattr(back.people, name), getattr(people, name))


@pytest.mark.parametrize("said", [b"", b'{"frames": 9, "peop', b"[]", b"{}"])
def test_a_chunk_whose_report_is_broken_is_done_again(
    tmp_path: Path, movie: Path, said: bytes
) -> None:
    one = job(tmp_path)
    planned = done(one, film_of(movie))
    path = Path(f"{chunk_path(one.dest, one, planned, planned.parts[1])}.json")
    whole = json.loads(path.read_bytes())
    path.write_bytes(said)
    assert not Worker(one, Finder())(planned, planned.parts[1]).again  # type: ignore[arg-type]
    assert json.loads(path.read_bytes())["frames"] == whole["frames"]


@pytest.mark.parametrize("said", [b"", b'{"settings": {"det'])
def test_records_of_a_run_that_are_broken_are_written_again(
    tmp_path: Path, movie: Path, said: bytes
) -> None:
    one = job(tmp_path, record={"settings": {"det_score": 0.3}, "models": []})
    planned = done(one, film_of(movie))
    records = [
        Path(one.dest) / "run.json",
        Path(one.dest) / "films" / film_folder(planned.film) / "run.json",
    ]
    claim(one)
    join(one, planned, COCO17, {})
    for path in records:
        path.write_bytes(said)
    claim(one)
    assert not join(one, planned, COCO17, {}).again
    assert all("settings" in json.loads(path.read_bytes()) for path in records)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_store_that_answers_500_and_stalls(
    tmp_path: Path, movie: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whatever a store does, what is joined is each frame once; the caller tries again."""
    pytest.importorskip("moto", reason="needs the extra dev")
    from synthetic import s3

    with s3.serving(seed) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        type(store.located("s3://results")[0]).clear_instance_cache()  # of another server
        fs, _ = store.located("s3://results")
        fs.mkdir(f"results{seed}")
        server.errors, server.stalls, server.stall = 0.3, 0.02, 3.0
        one = Job(dest=f"s3://results{seed}/out", seconds=0.3)
        planned, worker = plan(one, film_of(movie)), Worker(one, Finder())  # type: ignore[arg-type]
        tries = 0
        for part in planned.parts:
            while tries < 50:
                tries += 1
                try:
                    worker(planned, part)
                    break
                except (EverybodyError, OSError):
                    continue
        server.errors = server.stalls = 0.0
        assert server.refused > 0
        assert join(one, planned, COCO17, {}).frames == 40
        film = film_folder(planned.film)
        lines = fs.cat(f"results{seed}/out/films/{film}/frames.jsonl").splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(40))


def test_tries_are_counted_per_run(tmp_path: Path) -> None:
    planned, tries = Planned(Film("a.mp4", ("a.mp4",))), Tries(str(tmp_path), "one")
    asked = []

    def poisonous(planned: Planned, part: Part) -> Done:
        asked.append(part)
        raise InputError("a.mp4: broken")

    one = job(tmp_path)
    assert tried(poisonous, one, planned, Part(0, 1), tries).error == "a.mp4: broken"
    assert len(asked) == 3
    assert "worker ended" in tried(poisonous, one, planned, Part(0, 1), tries).error
    assert len(asked) == 3
    tried(poisonous, one, planned, Part(0, 1), replace(tries, token="two"))
    assert len(asked) == 6


def test_a_full_store_is_no_fault_of_the_chunk(tmp_path: Path) -> None:
    def full(planned: Planned, part: Part) -> Done:
        raise OutputError("full")

    with pytest.raises(OutputError):
        tried(full, job(tmp_path), Planned(Film("a", ())), Part(0, 1), Tries(str(tmp_path), "t"))


def test_a_full_store_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    """Told as a row, as Ray Data drops the cause of what is raised; the other chunks are left."""

    def full(planned: Planned, part: Part) -> Done:
        raise OutputError("the disk is full")

    work = Worklist.of([Planned(Film("a", ()), parts=(Part(0, 1), Part(1, 2)))])
    worker = EstimateChunks.__new__(EstimateChunks)
    worker._work, worker._job, worker._plan, worker._node = full, job(tmp_path), work, "node"
    worker._tries = Tries(str(tmp_path), "one")
    said = worker({"id": np.arange(2)})
    assert said["chunk"] == [0]
    room, told = Room(1, 1, 1, 0), Messages()
    driver = Run(job(tmp_path), COCO17, work, room, Cluster(), report.Report(), told)
    with pytest.raises(OutputError, match="the disk is full"):
        driver._take({name: column[0] for name, column in said.items()})


def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    answers = iter([OSError(5, "500"), TimeoutError("slow"), 7])

    def action() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert store.patiently(action) == 7


# Notes of trackers

SIZE = 6  # of looks


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=6))
def test_notes_hold_what_the_tracker_knew(
    tmp_path_factory: pytest.TempPathFactory, frames: list[tuple[int, bool, bool]]
) -> None:
    rng, notes, records, given = np.random.default_rng(0), Notes(), [], []
    for n, (count, detected, cut) in enumerate(frames):
        group = People.concatenate([person(9.0)] * count) if count else People.empty(COCO17)
        looks = (rng.random((count, SIZE)) * (rng.random((count, SIZE)) > 0.5)).astype(np.float32)
        given.append(Evidence(group, detected, looks, None if cut else rng.random((2, 3)), 90))
        records.append(Record("a.mp4", n, n / 10, 90, 60, group))
        notes.add(given[-1])
    path = tmp_path_factory.mktemp("notes") / "a.npz"
    path.write_bytes(notes.to_bytes())
    back = [known for _, known in evidence(path, records)]
    for ours, theirs in zip(back, given, strict=True):
        assert (ours.detected, ours.width) == (theirs.detected, theirs.width)
        assert (ours.moved is None) == (theirs.moved is None)
        assert theirs.moved is None or np.array_equal(ours.moved, theirs.moved)  # type: ignore[arg-type]
        assert np.array_equal(ours.looks, theirs.looks)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="notes of"):
        check(path, [*records, records[0] if records else Record("a", 0, 0.0, 9, 9, person(1.0))])
    path.write_bytes(notes.to_bytes()[:-30])
    with pytest.raises(DataError, match="broken notes"):
        check(path, records)


def walking(count: int) -> list[Moment]:
    return walkers(Scenery(people=5, stay=True, occlusion=1.0, seconds=count / 25, seed=3))


@pytest.mark.parametrize("flow", [False, True])
def test_ids_are_those_of_a_film_that_was_never_cut(flow: bool) -> None:
    """Any number of trackers took notes, one at a time: the film's tracker does not care."""
    film, follow = walking(400), Follow(flow=flow, camera=False)
    whole = list(_followed(follow, film, [range(400)]))
    cut = list(_followed(follow, film, [range(150), range(150, 170), range(170, 400)]))
    assert max(n for numbers in ids(whole) for n in numbers) > 4
    assert ids(cut) == ids(whole)


def _followed(follow: Follow, film: list[Moment], pieces: list[range]) -> list[Record]:
    """Notes of a tracker for each piece, 25 frames of lead before it, tracked again in a row."""
    last = new_tracker(follow, None)
    picture = np.zeros((72, 128, 3), np.uint8)

    def again() -> Any:
        for piece in pieces:
            tracker = new_tracker(follow, None)
            for n in range(max(0, piece.start - 25), piece.stop):
                moment = film[n]
                tracker.update(moment.found, moment.time, image=picture)
                if n in piece:
                    people = last.again(tracker.evidence, moment.time)  # type: ignore[arg-type]
                    yield Frame(picture, n, moment.time, "a.mp4", people)

    return [Record.of(frame) for frame in linked(follow, last, again())]


def ids(found: list[Record]) -> list[list[int]]:
    return [[] if r.people.ids is None else r.people.ids.tolist() for r in found]


# The join, and `run`


def test_without_ids_the_join_is_what_run_writes(tmp_path: Path, movie: Path) -> None:
    one = job(tmp_path, formats=("csv",))
    planned = done(one, film_of(movie))
    assert len(planned.parts) > 3
    join(one, planned, COCO17, {})
    run(str(movie), Finder(), Outputs(out=tmp_path / "run"))  # type: ignore[arg-type]
    folder = Path(one.dest) / "films" / film_folder(planned.film)
    ours, theirs = (p.joinpath("frames.jsonl").read_bytes() for p in (folder, tmp_path / "run"))
    assert ours == theirs
    assert (folder / "results.csv").exists()
    assert join(one, planned, COCO17, {}).again


@pytest.mark.parametrize("smooth", [None, "butterworth", "one-euro"])
def test_followed_and_smoothed_over_seams_as_run_does(
    tmp_path: Path, movie: Path, smooth: str | None
) -> None:
    follow = Follow(detect_every=1, smooth=smooth)
    one = job(tmp_path, follow=follow)
    planned = done(one, film_of(movie))
    join(one, planned, COCO17, {})
    run(str(movie), Finder(), Outputs(out=tmp_path / "run"), follow=follow)  # type: ignore[arg-type]
    ours = Path(one.dest) / "films" / film_folder(planned.film) / "frames.jsonl"
    assert len(planned.parts) > 3
    assert ours.read_bytes() == (tmp_path / "run" / "frames.jsonl").read_bytes()


def test_lost_chunks_are_told_and_the_others_joined(tmp_path: Path, movie: Path) -> None:
    one = job(tmp_path)
    planned = done(one, film_of(movie))
    part = planned.parts[1]
    join(one, planned, COCO17, {1: "it is poisonous"})
    results = read_journal(Path(one.dest) / "films" / film_folder(planned.film))
    left = [n for n in range(40) if not part.first <= n < part.last]
    assert [record.index for record in results] == left
    assert any("poisonous" in text for text in results.run["problems"])


def test_pictures_of_a_folder_are_one_film(tmp_path: Path) -> None:
    import cv2

    (tmp_path / "p").mkdir()
    for n in range(7):
        cv2.imwrite(str(tmp_path / "p" / f"{n}.png"), movies.grey(n))
    (found,) = films([str(tmp_path / "p")], _fail, _raise)
    one = job(tmp_path, pictures=3)
    planned = done(one, found)
    assert [(p.first, p.last) for p in planned.parts] == [(0, 3), (3, 6), (6, 7)]
    assert [Path(r.source).name for r in joined(one, planned)] == [f"{n}.png" for n in range(7)]


def _fail(text: str) -> None:
    raise AssertionError(text)


# Bad input


def test_no_sources() -> None:
    with pytest.raises(InputError, match="no sources"):
        films([], _fail, _raise)


@pytest.mark.parametrize("kind", ["txt", "csv", "parquet"])
def test_a_list_with_duplicates_and_dead_links(tmp_path: Path, movie: Path, kind: str) -> None:
    names = [str(movie), str(movie), str(tmp_path / "dead.mp4")]
    path = tmp_path / f"list.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pa.table({"path": names}), path)
    else:
        path.write_text("\n".join(["path"] * (kind == "csv") + names))
    said: list[str] = []
    found = films([str(path)], said.append, _raise)
    assert [film.name for film in found] == [names[0], names[2]]
    assert "more than once" in said[0]
    planned = [plan(job(tmp_path), film) for film in found]
    assert not planned[0].error
    assert "dead.mp4: is not there" in planned[1].error
    assert not planned[1].parts


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("l.csv", "a,b\n1,2\n", "one of them must be called"),
        ("l.parquet", "PAR", "not a Parquet table"),
        ("l.txt", "\n# nothing\n", "lists no sources"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, name: str, content: str, what: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=what):
        films([str(tmp_path / name)], _fail, _raise)


@pytest.mark.parametrize(
    ("name", "what"),
    [("", "holds no pictures or videos"), ("*.mp4", "no picture or video matches")],
)
def test_a_source_that_names_nothing(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        films([f"{tmp_path}/{name}"], _fail, _raise)


def test_several_sources_of_which_none_is_left(tmp_path: Path) -> None:
    problems: list[EverybodyError] = []
    with pytest.raises(InputError, match="no sources"):
        films([str(tmp_path), f"{tmp_path}/*.mp4"], _fail, problems.append)
    assert len(problems) == 2


def test_sources_and_their_tags_over_http(tmp_path: Path, movie: Path) -> None:
    """A file that is written again has another fingerprint, of whatever size it is."""
    import os
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    handler = partial(Silent, directory=str(movie.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        (film,) = films([f"{url}/"], _fail, _raise)
        first = plan(job(tmp_path), film)
        os.utime(movie, (1_000_000_000, 1_000_000_000))
        second = plan(job(tmp_path), film)
        missing = plan(job(tmp_path), Film(f"{url}/b.mp4", (f"{url}/b.mp4",)))
        server.shutdown()
        thread.join()
    assert len(first.parts) == len(plan(job(tmp_path), film_of(movie)).parts) > 3
    assert first.fingerprint != second.fingerprint
    assert "is not there" in missing.error


def test_a_store_that_nobody_knows() -> None:
    with pytest.raises(InputError, match="nowhere"):
        store.located("nowhere://bucket/a.mp4")


def test_a_video_that_changes_while_it_is_read(tmp_path: Path, movie: Path) -> None:
    one = job(tmp_path)
    planned = plan(one, film_of(movie))
    movies.encode(movie, 45)
    with pytest.raises(InputError, match="changed while it was read"):
        Worker(one, Finder())(planned, planned.parts[0])  # type: ignore[arg-type]
    assert not list((tmp_path / "dest").rglob("*.parquet"))


@pytest.mark.parametrize("clock", [0, 4_000_000_000])
def test_clocks_that_differ(tmp_path: Path, movie: Path, clock: int) -> None:
    """Stamps of 1970 or 2096 are stamps: they are compared with each other, never with a clock."""
    import os

    os.utime(movie, (clock, clock))
    one = job(tmp_path)
    planned = done(one, film_of(movie))
    for path in Path(one.dest).rglob("*"):
        os.utime(path, (clock, clock))
    worker = Worker(one, Finder())  # type: ignore[arg-type]
    assert all(worker(planned, part).again for part in planned.parts)
    assert len(joined(one, planned)) == 40


def test_results_of_another_run_are_refused(tmp_path: Path) -> None:
    one = job(tmp_path, record={"settings": {"det_score": 0.3}, "models": []})
    claim(one)
    claim(one)
    with pytest.raises(OptionError, match=r"det-score 0\.3, here 0\.5"):
        claim(replace(one, record={"settings": {"det_score": 0.5}, "models": []}))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_no_cluster_at_the_address(address: str) -> None:
    pytest.importorskip("ray", reason="needs the extra scale")
    with (
        pytest.raises(OptionError, match=f"no Ray cluster at {address}"),
        connected(Cluster(address=address)),
    ):
        pass


def test_rays_client_is_refused_with_what_to_do() -> None:
    with pytest.raises(OptionError, match="on a node of the cluster with --address auto"):
        Cluster(address="ray://127.0.0.1:10001")


@pytest.mark.parametrize(
    "more",
    [
        {"seconds": 0.0},
        {"overlap": 90.0, "follow": Follow()},
        {"every": 0},
        {"pictures": 0},
        {"follow": Follow(live=True)},
        {"follow": Follow(propagate=True)},
    ],
)
def test_chunks_that_make_no_sense(more: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Job(dest="x", **more)


# Counting


def test_the_best_batch_is_the_smallest_that_gains() -> None:
    now = [0.0]

    def work(size: int) -> None:
        now[0] += 1.0 + 0.1 * max(size - 8, 0) * 10  # free up to eight, dear after

    assert best_batch(work, clock=lambda: now[0]) == 8


def test_a_forecast_counts_what_the_plan_holds() -> None:
    plan = [
        Planned(Film("a", ("a",)), parts=(Part(0, 3000), Part(3000, 3600)), seconds=120, size=9)
    ]
    said = report.forecast(plan, rate=10, nodes=2, price=1.0)
    assert (said["chunks"], said["frames"], said["bytes"]) == (2, 3600, 9)
    assert said["seconds"] == 180.0
    assert said["cost"] == pytest.approx(0.1)


def test_a_simulation_without_faults_is_work_by_nodes() -> None:
    world = simulate.World(
        chunks=1000, work=10.0, spread=0.0, nodes=5, workers=2, mtbf=0.0, dispatch=0.0, start=0.0
    )
    assert simulate.simulated(world).seconds == pytest.approx(1000.0)


def test_what_fails_in_a_simulation_is_waste_and_all_is_done() -> None:
    calm = simulate.World(chunks=2000, work=10.0, nodes=5, workers=2, mtbf=0.0)
    rough = replace(calm, mtbf=500.0)
    before, after = simulate.simulated(calm), simulate.simulated(rough)
    assert before.lost == 0 < after.lost
    assert after.seconds > before.seconds
    assert simulate.simulated(rough) == after


def test_a_slow_driver_is_the_limit_of_a_simulation() -> None:
    world = simulate.World(chunks=1000, work=1.0, spread=0.0, nodes=100, workers=10, dispatch=0.1)
    assert simulate.simulated(replace(world, mtbf=0.0)).seconds >= 100.0


def test_digests_do_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}) == digest(json.loads('{"b": 2, "a": 1}'))


def test_a_frame_of_the_join_takes_no_memory() -> None:
    from everybody.scale.join import blank

    picture = blank(Record("a", 0, 0.0, 4000, 3000, People.empty(COCO17)))
    assert Frame(picture).size == (4000, 3000)
    assert picture.base is not None
    assert picture.strides[:2] == (0, 0)


@pytest.mark.parametrize("staged", [False, True])
def test_answers_of_a_bound_session_are_those_of_a_plain_one(tmp_path: Path, staged: bool) -> None:
    """The path of CUDA, in the memory that is here."""
    import onnxruntime

    from everybody.runtime import bound
    from synthetic import nets

    path = nets.heatmap_finder(tmp_path / "pose.onnx", 17)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    crops = np.random.default_rng(0).random((3, 3, 128, 96), np.float32)[:, :, ::-1]
    name = session.get_inputs()[0].name
    staging = onnxruntime.OrtValue.ortvalue_from_shape_and_type if staged else None
    answers = bound(session, name, crops, "cpu", staging)
    for ours, theirs in zip(answers, session.run(None, {name: crops}), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("provider", ["CPUExecutionProvider", "CUDAExecutionProvider"])
def test_memory_that_is_not_there_is_not_used(provider: str) -> None:
    import onnxruntime

    from everybody.runtime import pinned

    if provider not in onnxruntime.get_available_providers() or provider.startswith("CPU"):
        assert pinned(provider) is None
