"""The coach of the studio: over the results of a job, and for a camera."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from everybody.apps.exercise import usual_exercises
from everybody.errors import DataError, OptionError
from everybody.people import People
from everybody.results.journal import write_journal
from everybody.results.records import Record, Results
from everybody.skeletons import BOX, COCO17, SKELETONS
from everybody.web.lessons import coached
from everybody.web.settings import Studio

from .studio import CLASS, clip, ended, running
from .test_coach import squatting


def squats(count: int, *, source: str = "clip.mp4", id: int | None = 1) -> Results:
    """A person of that id who squats so often, 25 frames a second, 2 seconds each."""
    records = []
    for index in range(50 * count + 1):
        points = squatting((1 - math.cos(2 * math.pi * index / 50)) / 2)[None].astype(np.float32)
        ids = None if id is None else np.array([id])
        box = np.array([[-30, -180, 30, 0]], np.float32)
        people = People(points, box, np.ones(1, np.float32), COCO17, ids)
        records.append(Record(source, index, index / 25, 64, 48, people))
    return Results.of(records, COCO17)


def test_repetitions_of_a_person_are_counted_with_their_turns():
    for name in ("squat", "auto"):
        said = coached(squats(3), "clip.mp4", name, 1)
        assert (said["exercise"], said["count"]) == ("squat", 3)
        turns = [one["turn"] for one in said["repetitions"]]
        np.testing.assert_allclose(turns, [1, 3, 5], atol=0.1)
    assert coached(squats(3, id=None), "clip.mp4", "squat", None)["count"] == 3
    assert coached(squats(0), "clip.mp4", "auto", None)["exercise"] is None


def test_each_source_and_each_person_is_coached_alone():
    both = Results.of([*squats(2), *squats(3, source="b.mp4", id=7)], COCO17)
    assert coached(both, "b.mp4", "squat", None)["count"] == 3
    assert coached(both, "clip.mp4", "squat", 1)["count"] == 2
    with pytest.raises(OptionError, match="has the id 7"):
        coached(both, "clip.mp4", "squat", 7)
    with pytest.raises(OptionError, match="nobody"):
        coached(squats(1, id=None), "clip.mp4", "squat", 1)


@pytest.mark.parametrize("skeleton", [BOX, SKELETONS["hand-21"]])
def test_people_without_the_joints_of_an_exercise_are_said(skeleton):
    people = People.empty(skeleton)
    results = Results.of([Record("a.mp4", 0, 0.0, 64, 48, people)], skeleton)
    for name in ("squat", "auto"):
        with pytest.raises(DataError, match="lack the joints"):
            coached(results, "a.mp4", name, None)
    assert all(one.signal.within(COCO17.joints) for one in usual_exercises().values())


# ---- over HTTP


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    folder = clip(tmp_path_factory.mktemp("served") / "clip.mp4", 2).parent
    with running(Studio(folder=folder, model="fast")) as client:
        yield client, folder


@pytest.fixture
def client(served: tuple[httpx.Client, Path]) -> httpx.Client:
    return served[0]


@pytest.fixture(scope="module")
def coach(served: tuple[httpx.Client, Path]) -> str:
    """The route of a job that has found somebody who squats three times."""
    client, folder = served
    made = client.post("/api/jobs", json={"paths": ["clip.mp4"], "options": {"track": True}})
    job: dict[str, Any] = ended(client, made.json()["id"])
    out = folder / "everybody-studio/jobs" / job["id"] / "out"
    write_journal(squats(3), out)
    return f"/api/jobs/{job['id']}/coach"


def test_a_job_is_coached_with_its_corrections(client, coach):
    known = {one["name"]: one for one in client.get("/api/exercises").json()}
    assert (known["squat"]["hold"], known["plank"]["hold"]) == (False, True)
    assert (known["squat"]["unit"], known["push_up"]["unit"]) == ("leg", "degrees")
    said = client.get(coach, params={"exercise": "squat"}).json()
    assert said["count"] == len(said["repetitions"]) == 3
    edits = coach.replace("/coach", "/edits")
    client.post(edits, json={"op": "rename", "source": None, "id": 1, "to": 9})
    assert client.get(coach, params={"person": 9}).json()["count"] == 3
    assert client.get(coach, params={"person": 1}).status_code == 422


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"exercise": "squats"}, 422, "did you mean squat"),
        ({"person": 99}, 422, "99"),
        ({"source": 1}, 404, "1 source"),
    ],
)
def test_what_cannot_be_coached_is_one_sentence(client, coach, asked, status, words):
    answer = client.get(coach, params=asked)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_a_camera_is_coached_by_the_exercise_that_it_asks_for(client):
    address = str(client.base_url).replace("http", "ws")
    with connect(f"{address}/api/live?model=fast&coach=squat") as socket:
        socket.send(CLASS.read_bytes())
        said = json.loads(socket.recv())["coach"]
        assert (said["exercise"], said["count"]) == ("squat", 0)
        socket.send(json.dumps({"coach": ""}))
        socket.send(CLASS.read_bytes())
        assert "coach" not in json.loads(socket.recv())
        for wrong in ("squats", 3):
            socket.send(json.dumps({"coach": wrong}))
            assert str(wrong) in json.loads(socket.recv())["error"]
