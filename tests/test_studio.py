"""The studio's server: what it does with jobs, pictures and cameras."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from everybody import Estimator
from everybody.errors import ModelError
from everybody.people import People
from everybody.results.formats import FORMATS, read_results
from everybody.results.journal import read_journal, write_journal
from everybody.results.records import Record, Results
from everybody.skeletons import SKELETONS
from everybody.web.compare import compare
from everybody.web.edits import EDIT, check_ids, edited
from everybody.web.guard import HEADERS
from everybody.web.pictures import Models
from everybody.web.settings import Studio
from everybody.web.store import Job, Store

from .studio import CLASS, clip, ended, running

COCO = SKELETONS["coco-17"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    clip(folder / "clip.mp4", 6)
    clip(folder / "old.avi", 4, codec="mpeg4")
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with running(Studio(folder=folder, model="fast")) as client:
        yield client


@pytest.fixture(scope="module")
def job(client: httpx.Client) -> dict[str, Any]:
    """A job of a video and an upload that is none, with ids."""
    made = client.post(
        "/api/jobs",
        data={"options": json.dumps({"track": True})},
        files=[
            ("files", ("films/clip.mp4", clip_bytes(client), "video/mp4")),
            ("files", ("notes.txt", b"no picture", "text/plain")),
        ],
    )
    assert made.status_code == 201, made.text
    return ended(client, made.json()["id"])


def clip_bytes(client: httpx.Client) -> bytes:
    made = client.post("/api/jobs", json={"paths": ["clip.mp4"]}).json()
    got = client.get(f"/api/jobs/{made['id']}/sources/0").content
    client.delete(f"/api/jobs/{made['id']}")
    return got


# ---- jobs


def test_a_job_is_a_run_whose_progress_and_end_are_told(client, job, folder):
    assert job["state"] == "done"
    assert (job["done"], job["total"]) == (6, 6)
    assert job["people"] > 6
    assert "notes.txt" in job["error"]
    run = folder / "everybody-studio/jobs" / job["id"] / "out"
    assert len(list(read_journal(run))) == 6
    assert json.loads((run / "run.json").read_text())["options"] == {
        "model": "fast",
        "track": True,
    }
    assert [one["id"] for one in client.get("/api/jobs").json()].count(job["id"]) == 1


def test_frames_are_the_journal_and_name_the_sources_of_the_job(client, job):
    lines = client.get(f"/api/jobs/{job['id']}/frames").text.splitlines()
    assert {json.loads(line)["source"] for line in lines} == {"films/clip.mp4"}
    assert [source["name"] for source in job["sources"]] == ["films/clip.mp4"]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_given_and_can_be_read_back(client, job, tmp_path, format):
    got = client.get(f"/api/jobs/{job['id']}/results/{format}")
    assert got.status_code == 200, got.text
    name = got.headers["content-disposition"].partition('filename="')[2].rstrip('"')
    path = tmp_path / name
    path.write_bytes(got.content)
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(got.content)) as packed:
            packed.extractall(tmp_path / "out")
        path = tmp_path / "out" / format
    assert sum(1 for _ in read_results(path, fps=25)) == 6


def test_an_overlay_is_a_video_that_can_be_sought(client, job):
    whole = client.get(f"/api/jobs/{job['id']}/overlays/0")
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.content.index(b"moov") < whole.content.index(b"mdat")
    part = client.get(f"/api/jobs/{job['id']}/overlays/0", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == whole.content[10:20]
    assert client.get(f"/api/jobs/{job['id']}/overlay").content.startswith(b"\xff\xd8")


@pytest.mark.slow
def test_a_video_that_no_browser_plays_is_converted(client):
    made = client.post("/api/jobs", json={"paths": ["old.avi"]}).json()
    got = client.get(f"/api/jobs/{made['id']}/sources/0")
    assert got.headers["content-type"] == "video/mp4"
    assert got.content[4:8] == b"ftyp"
    client.delete(f"/api/jobs/{made['id']}")


def test_a_deleted_job_leaves_nothing(client, folder):
    made = client.post("/api/jobs", files={"files": ("a.jpg", CLASS.read_bytes())}).json()
    client.post(f"/api/jobs/{made['id']}/cancel")
    assert client.delete(f"/api/jobs/{made['id']}").status_code == 204
    assert client.get(f"/api/jobs/{made['id']}").status_code == 404
    assert not (folder / "everybody-studio/jobs" / made["id"]).exists()
    assert (folder / "clip.mp4").exists()


def test_a_cancelled_job_is_resumed_to_the_same_end(client):
    made = client.post("/api/jobs", json={"paths": ["clip.mp4"]}).json()
    cancelled = client.post(f"/api/jobs/{made['id']}/cancel")
    assert cancelled.status_code == 200
    assert ended(client, made["id"])["state"] == "cancelled"
    assert client.post(f"/api/jobs/{made['id']}/resume").json()["state"] == "waiting"
    job = ended(client, made["id"])
    assert (job["state"], job["done"]) == ("done", 6)
    assert client.post(f"/api/jobs/{made['id']}/cancel").status_code == 409


def test_a_job_that_lifts_has_people_in_space(client, job):
    assert job["lifted"] is None
    options = {"lift": True, "fov": 55, "height": 1.8}
    made = client.post("/api/jobs", json={"paths": ["clip.mp4"], "options": options}).json()
    lifted = ended(client, made["id"])
    assert (lifted["state"], lifted["done"]) == ("done", 6)
    assert lifted["options"] == {"model": "fast", **options}
    lines = [json.loads(line) for line in client.get(f"/{lifted['lifted']}").text.splitlines()]
    found = client.get(f"/api/jobs/{made['id']}/frames").text.splitlines()
    flat = [json.loads(line) for line in found]
    assert [line["frame"] for line in lines] == list(range(6))
    for space, picture in zip(lines, flat, strict=True):
        ids = [one["id"] for one in picture["people"]]
        assert ids  # lifting follows people
        assert [one["id"] for one in space["people"]] == ids
    client.delete(f"/api/jobs/{made['id']}")


def test_options_that_make_no_sense_are_one_sentence(client):
    for options, words in (
        ({"model": "faster"}, "fast"),
        ({"pose": "/etc/passwd"}, "unknown model"),
        ({"sources": []}, "sources"),
        ({"smooth": "sandpaper"}, "sandpaper"),
        ({"start": "soon"}, "soon"),
        ({"fov": 400}, "fov 400"),
        ({"height": 18}, "height 18"),
        ({"lifter": "/etc/passwd"}, "unknown model"),
    ):
        answer = client.post("/api/jobs", json={"paths": ["clip.mp4"], "options": options})
        assert answer.status_code == 422, options
        assert words in answer.json()["detail"]


def test_jobs_survive_in_the_store(tmp_path):
    store = Store(tmp_path / "jobs.sqlite")
    job = Job(id="a", name="x", created=1, options={"track": True}, sources=[], root="folder")
    store.add(job)
    store.change("a", state="running", done=3)
    store.close()
    again = Store(tmp_path / "jobs.sqlite")
    found = again.get("a")
    assert found is not None
    assert (found.state, found.done, found.options) == ("running", 3, {"track": True})
    assert again.counts() == {"running": 1}
    again.close()


# ---- corrections


def results(*frames: list[int]) -> Results:
    """Frames with people of these ids, at different places."""
    records = []
    for index, ids in enumerate(frames):
        count = len(ids)
        keypoints = np.ones((count, 17, 3), np.float32) * np.arange(1, count + 1)[:, None, None]
        keypoints[..., 2] = 0.5
        boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (count, 1))
        people = People(keypoints, boxes, np.ones(count), COCO, np.array(ids))
        records.append(Record("a.mp4", index, index / 25, 64, 48, people))
    return Results.of(records, COCO)


def test_corrections_are_exported_in_every_format_and_undone(client, job, tmp_path):
    move = {"op": "move", "source": "films/clip.mp4", "frame": 2, "person": 0, "joint": 5}
    assert client.post(f"/api/jobs/{job['id']}/edits", json={**move, "x": 3, "y": 4}).is_success
    for format in ("csv", "coco", "parquet", "jsonl"):
        path = tmp_path / f"got{Path(FORMATS[format].target).suffix}"
        path.write_bytes(client.get(f"/api/jobs/{job['id']}/results/{format}").content)
        record = next(one for one in read_results(path) if one.index == 2)
        assert [3, 4, 1] in record.people.keypoints[:, 5].tolist(), format
    kept = client.get(f"/api/jobs/{job['id']}").json()["edits"]
    assert client.get(f"/api/jobs/{job['id']}/results/edits").json() == kept
    assert client.delete(f"/api/jobs/{job['id']}/edits/last").json() == []
    text = client.get(f"/api/jobs/{job['id']}/results/jsonl").text
    assert "[3.0,4.0,1.0]" not in text


def test_ids_are_renamed_merged_and_split():
    def ids(*edits: dict[str, Any]) -> list[list[int]]:
        said = [EDIT.validate_python({"op": "rename", "source": "a.mp4", **one}) for one in edits]
        return [one.people.ids.tolist() for one in edited(results([1, 2], [3, 2], [1]), said)]

    assert ids({"id": 1, "to": 7}) == [[7, 2], [3, 2], [7]]
    assert ids({"id": 3, "to": 1}) == [[1, 2], [1, 2], [1]]
    assert ids({"id": 1, "to": 9, "from": 1}) == [[1, 2], [3, 2], [9]]
    assert ids({"id": 1, "to": 9, "from": 1}, {"id": 9, "to": 1}) == ids()
    assert ids({"id": 1, "to": 9, "source": "b.mp4"}) == ids()


def test_two_people_of_a_frame_cannot_become_one(client, job):
    found = client.get(f"/api/jobs/{job['id']}/frames").text.splitlines()
    a, b = (person["id"] for person in json.loads(found[-1])["people"][:2])
    merge = {"op": "rename", "source": None, "id": a, "to": b}
    answer = client.post(f"/api/jobs/{job['id']}/edits", json=merge)
    assert answer.status_code == 409
    assert "cannot be one person" in answer.json()["detail"]
    assert client.get(f"/api/jobs/{job['id']}").json()["edits"] == []
    check_ids(results([1, 2]))


def test_two_results_are_compared_by_nearest_people():
    a, b = results([1, 2], [1]), results([2, 1], [1, 2])
    assert compare(a, a)["mean_distance"] == 0
    said = compare(a, b)
    assert (said["frames"], said["only_a"], said["only_b"]) == (2, 0, 0)
    assert said["people"] == {"a": 3, "b": 4, "matched": 3}
    moved = edited(
        a,
        [
            EDIT.validate_python(
                {
                    "op": "move",
                    "source": "a.mp4",
                    "frame": 1,
                    "person": 0,
                    "joint": 0,
                    "x": 1,
                    "y": 4,
                }
            )
        ],
    )
    said = compare(a, moved)
    assert said["per_joint"]["nose"] == pytest.approx(3 / 3)
    assert said["worst"][0]["frame"] == 1
    assert said["mean_distance"] == pytest.approx(3 / 51)


def test_a_journal_with_corrections_is_a_journal(tmp_path):
    write_journal(results([1], [1]), tmp_path / "run")
    said = EDIT.validate_python({"op": "rename", "id": 1, "to": 5})
    write_journal(edited(read_journal(tmp_path / "run"), [said]), tmp_path / "new.jsonl")
    assert [one.people.ids.tolist() for one in read_journal(tmp_path / "new.jsonl")] == [[5], [5]]


# ---- pictures and cameras


def test_one_picture_is_answered_as_the_library_does(client):
    said = client.post("/api/people", content=CLASS.read_bytes()).json()
    found = Estimator(model="fast").estimate(CLASS)
    assert (said["width"], said["height"]) == (960, 540)
    got = np.array([one["keypoints"] for one in said["people"]])
    np.testing.assert_allclose(got, found.keypoints, atol=1e-3)


def test_a_camera_is_answered_with_people_and_their_latency(client):
    picture = CLASS.read_bytes()
    address = str(client.base_url).replace("http", "ws")
    with connect(f"{address}/api/live?model=fast") as socket:
        for number in range(2):
            socket.send(picture)
            said = json.loads(socket.recv())
            assert said["frame"] == number
            assert (len(said["people"]) > 0, said["dropped"]) == (True, 0)
            assert said["latency"] > 0
        assert all(one["id"] for one in said["people"])
        socket.send(json.dumps({"track": False, "smooth": False}))
        socket.send(picture)
        assert [one["id"] for one in json.loads(socket.recv())["people"]] == [None] * 5
        socket.send(b"junk")
        assert "not a picture" in json.loads(socket.recv())["error"]
        socket.send(json.dumps({"model": "huge"}))
        assert "huge" in json.loads(socket.recv())["error"]


def test_a_camera_without_its_models_is_told_and_closed(client, monkeypatch):
    def missing(self: Models, name: str) -> Any:
        raise ModelError(f"{name}: is not here")

    monkeypatch.setattr(Models, "__call__", missing)
    address = str(client.base_url).replace("http", "ws")
    with connect(f"{address}/api/live") as socket:
        assert "is not here" in json.loads(socket.recv())["error"]
        with pytest.raises(ConnectionClosed):
            socket.recv()


def test_of_pictures_that_pile_up_the_newest_is_answered(client):
    address = str(client.base_url).replace("http", "ws")
    with connect(f"{address}/api/live?model=fast&track=false&smooth=false") as socket:
        for _ in range(30):
            socket.send(CLASS.read_bytes())
        answers = [json.loads(socket.recv())]
        while answers[-1]["frame"] < 29:
            answers.append(json.loads(socket.recv()))
    numbers = [said["frame"] for said in answers]
    assert numbers == sorted(numbers)
    assert len(numbers) + answers[-1]["dropped"] == 30
    assert answers[-1]["dropped"] > 0


# ---- the page, and what watches


def test_the_page_is_isolated_and_all_of_it_is_ours(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name, value in HEADERS.items():
        assert page.headers[name] == value
    assert "access-control-allow-origin" not in page.headers
    assert client.get("/app.js").headers["content-type"].startswith("text/javascript")
    docs = client.get("/api/docs").text
    assert "POST /api/people" in docs
    assert "http://" not in docs
    assert "/api/jobs/{id}/edits" in client.get("/api/openapi.json").json()["paths"]


def test_prometheus_can_read_the_metrics(client, job):
    assert client.get("/healthz").json() == {"ok": True}
    lines = client.get("/metrics").text.splitlines()
    values = [line for line in lines if not line.startswith("#")]
    assert all(float(line.rpartition(" ")[2]) >= 0 for line in values)
    assert any(line.startswith('everybody_jobs{state="done"}') for line in values)
    assert len({line.partition(" ")[0] for line in values}) == len(values)
