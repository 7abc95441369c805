"""What the studio makes of a job: animations, and films in which people wear things."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from everybody.apps.stick import stick
from everybody.data.bvh import read_bvh
from everybody.media.read import read
from everybody.people import People
from everybody.results.journal import write_journal
from everybody.results.records import Record, Results
from everybody.skeletons import COCO17
from everybody.web.derived import keep_edits
from everybody.web.edits import Rename
from everybody.web.settings import Studio
from everybody.web.uses import Animating, Augmenting, animate, augment

from .studio import clip, ended, running
from .test_coach import squatting

FRAMES = 12
SIZE = (320, 180)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job, as if it had found person 4 squatting in a film."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "inputs").mkdir()
    clip(folder / "inputs/clip.mp4", FRAMES)
    write_journal(squatter(), folder / "out")
    return folder


def squatter() -> Results:
    """Somebody who stands in the film's middle and squats."""
    records = []
    for index in range(FRAMES):
        points = squatting(index / FRAMES)[None].astype(np.float32)
        points[..., :2] = points[..., :2] * 0.8 + (160, 170)
        box = np.array([[120, 20, 200, 178]], np.float32)
        people = People(points, box, np.ones(1, np.float32), COCO17, np.array([4]))
        records.append(Record("clip.mp4", index, index / 25, *SIZE, people))
    return Results.of(records, COCO17)


def order(job: Path, target: Path, asked: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """As the server writes it, in the folder that a worker works in."""
    monkeypatch.chdir(job / "inputs")
    said = {"folder": str(job), "source": "clip.mp4", "target": str(target), "options": {}}
    return said | {"asked": asked.model_dump()}


def test_a_person_moves_the_stick_figure(job, tmp_path, monkeypatch):
    """The same motion as .bvh with each table's names, and as what the page shows."""
    animate(order(job, tmp_path / "a.json", Animating(format="json"), monkeypatch))
    said = json.loads((tmp_path / "a.json").read_text())
    assert said["person"] == 4
    assert [line["frame"] for line in said["frames"]] == list(range(FRAMES))
    assert all(len(line["people"]) == 1 for line in said["frames"])
    hips = np.array([line["people"][0]["joints"][0] for line in said["frames"]])
    assert hips[0, 2] > hips[-1, 2] + 0.05  # metres: it goes down

    animate(
        order(job, tmp_path / "a.bvh", Animating(format="bvh", character="mixamo"), monkeypatch)
    )
    body = read_bvh(tmp_path / "a.bvh", own_names=True).body
    assert body.joints[0] == "Hips"
    assert "LeftUpLeg" in body.joints


def test_a_character_of_ones_own_moves_with_its_own_bones(job, tmp_path, monkeypatch):
    (job / "own").mkdir(exist_ok=True)
    (job / "own/0123456789abcdef.glb").write_bytes(stick(1.2, "cmu"))
    asked = Animating(person=4, character="0123456789abcdef.glb")
    animate(order(job, tmp_path / "a.glb", asked, monkeypatch))
    data = (tmp_path / "a.glb").read_bytes()
    document = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    assert {"root", "lfemur"} <= {node.get("name") for node in document["nodes"]}
    assert document["animations"][0]["name"] == "motion"


def test_corrections_are_in_what_is_made(job, tmp_path, monkeypatch):
    keep_edits(job, [Rename(op="rename", source="clip.mp4", id=4, to=9)])
    try:
        animate(order(job, tmp_path / "a.json", Animating(format="json", person=9), monkeypatch))
        assert json.loads((tmp_path / "a.json").read_text())["person"] == 9
        with pytest.raises(Exception, match="no person 4; there are 9"):
            animate(order(job, tmp_path / "b.bvh", Animating(format="bvh", person=4), monkeypatch))
    finally:
        (job / "edits.json").unlink()


def test_a_hat_lies_on_the_head_and_nowhere_else(job, tmp_path, monkeypatch):
    plain = [frame.image.astype(int) for frame in read(str(job / "inputs/clip.mp4"))]
    told: list[int] = []
    augment(order(job, tmp_path / "a.mp4", Augmenting(wear="hat"), monkeypatch), told.append)
    worn = [frame.image.astype(int) for frame in read(str(tmp_path / "a.mp4"))]
    assert len(worn) == FRAMES
    people = [record.people.keypoints[0] for record in squatter()]
    for before, after, points in zip(plain, worn, people, strict=True):
        changed = np.argwhere(np.abs(after - before).max(2) > 60)
        ears = points[[3, 4], :2].mean(0)
        assert len(changed) > 20
        away = np.linalg.norm(changed[:, ::-1] - ears, axis=1)
        assert away.max() < 60


def test_a_picture_lies_on_a_target(job, tmp_path, monkeypatch):
    """The film shows a poster; the red picture covers it."""
    folder = tmp_path / "other"
    (folder / "inputs").mkdir(parents=True)
    (folder / "own").mkdir()
    rng = np.random.default_rng(0)
    poster = cv2.resize(rng.integers(0, 255, (40, 60, 3), np.uint8), (300, 200))
    scene = np.full((360, 640, 3), 128, np.uint8)
    scene[80:280, 170:470] = poster
    cv2.imwrite(str(folder / "inputs/clip.mp4.png"), scene)
    cv2.imwrite(str(folder / "own/aaaaaaaaaaaaaaaa.png"), poster)
    red = np.zeros((20, 30, 3), np.uint8)
    red[..., 2] = 255
    cv2.imwrite(str(folder / "own/bbbbbbbbbbbbbbbb.png"), red)
    nobody = Record("clip.mp4.png", 0, 0.0, 640, 360, People.empty(COCO17))
    write_journal(Results.of([nobody], COCO17), folder / "out")
    asked = Augmenting(target="aaaaaaaaaaaaaaaa.png", show="bbbbbbbbbbbbbbbb.png")
    said = order(folder, tmp_path / "a.jpg", asked, monkeypatch) | {"source": "clip.mp4.png"}
    augment(said, lambda done: None)
    (frame,) = read(str(tmp_path / "a.jpg"))
    assert np.abs(frame.image[90:270, 180:460].reshape(-1, 3).mean(0) - (255, 0, 0)).max() < 8
    assert np.abs(frame.image[:70].astype(int) - 128).max() < 12


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "nothing to draw"),
        ({"wear": "hat,crown"}, "unknown thing to wear 'crown'"),
        ({"target": "aaaaaaaaaaaaaaaa.png"}, "go together"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, words):
    with pytest.raises(Exception, match=words):
        Augmenting(**asked).check()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    """A server with a job of four frames, and the job's id."""
    folder = tmp_path_factory.mktemp("served")
    clip(folder / "clip.mp4", 4)
    with running(Studio(folder=folder, model="fast")) as client:
        said = {"paths": ["clip.mp4"], "options": {"track": True}}
        job = ended(client, client.post("/api/jobs", json=said).json()["id"])
        assert job["state"] == "done", job
        kept = folder / "everybody-studio/jobs" / job["id"]
        clip(folder / "clip.mp4", FRAMES)
        write_journal(squatter(), kept / "out")
        yield client, f"/api/jobs/{job['id']}"


def test_the_server_makes_both(served):
    client, job = served
    known = client.get("/api/uses").json()
    assert "hat" in known["things"]
    assert known["characters"] == ["mixamo", "vrm", "cmu", "biovision"]
    film = client.get(f"{job}/augmented/0?wear=hat,sword", headers={"Range": "bytes=0-99"})
    assert (film.status_code, film.headers["content-type"]) == (206, "video/mp4")
    shown = client.get(f"{job}/animations/0?format=json&person=4")
    assert shown.status_code == 200, shown.text
    assert len(shown.json()["frames"]) == FRAMES
    again = client.get(f"{job}/animations/0?format=bvh&character=cmu")
    assert b"ROOT root" in again.content
    assert 'filename="clip-moves.bvh"' in again.headers["content-disposition"]


def test_a_character_is_sent_and_used(served):
    client, job = served
    kept = client.post(f"{job}/own?name=hero.GLB", content=stick(1.5, "mixamo"))
    assert kept.status_code == 201
    name = kept.json()["file"]
    made = client.get(f"{job}/animations/0?character={name}")
    assert (made.status_code, made.content[:4]) == (200, b"glTF")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("animations/0?person=77", 422, "has no person 77; there are 4"),
        ("animations/9", 404, "1 sources"),
        ("animations/0?character=../../etc/passwd", 422, ""),
        ("animations/0?character=0123456789abcdef.glb", 422, "send it first"),
        ("animations/0?format=exe", 422, ""),
        ("augmented/0", 422, "nothing to draw"),
        ("augmented/0?wear=crown.toml", 422, "unknown thing"),
        ("augmented/0?wear=hat&target=aaaaaaaaaaaaaaaa.png", 422, "go together"),
        ("augmented/0?wear=hat&colour=red", 422, ""),
    ],
)
def test_what_is_wrong_is_said(served, path, status, words):
    client, job = served
    answer = client.get(f"{job}/{path}")
    assert answer.status_code == status, answer.text
    assert words in str(answer.json()["detail"])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("hero.fbx", b"x", "expected a file of the kinds .glb"),
        ("../../hero.toml", b"x", "expected a file of the kinds"),
        ("hero.glb", b"", "empty"),
    ],
)
def test_files_of_other_kinds_are_refused(served, name, data, words):
    client, job = served
    answer = client.post(f"{job}/own", params={"name": name}, content=data)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_broken_character_and_a_poor_target_are_errors_with_reasons(served):
    client, job = served
    name = client.post(f"{job}/own?name=hero.glb", content=b"no glTF at all").json()["file"]
    answer = client.get(f"{job}/animations/0?character={name}")
    assert (answer.status_code, "no binary glTF" in answer.text) == (422, True)
    grey = cv2.imencode(".png", np.full((90, 90, 3), 90, np.uint8))[1].tobytes()
    flat = client.post(f"{job}/own?name=grey.png", content=grey).json()["file"]
    answer = client.get(f"{job}/augmented/0?target={flat}&show={flat}")
    assert (answer.status_code, "a good target is sharp" in answer.text) == (422, True)
