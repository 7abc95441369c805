"""The main job through the command line, end to end, on pictures and videos made here and networks
of known answer.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import everybody
from everybody import run as job
from everybody.cli import main
from everybody.errors import DataError, OptionError, OutputError
from everybody.methods.boxes import GivenBoxes
from everybody.methods.orientation import ALONE
from everybody.results.formats import read_results
from everybody.results.journal import read_journal
from everybody.skeletons import SKELETONS
from synthetic import nets

BOX = np.array([[20, 20, 116, 148, 0.9]], np.float32)
SPOT = (60.0, 70.0)


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    detector = nets.rtmdet_constant(tmp_path / "detector.onnx", BOX)
    pose = nets.heatmap_finder(tmp_path / "pose.onnx", 17)
    return [
        *(
            "--detector",
            str(detector),
            "--det-size",
            "160",
            "--pose",
            str(pose),
            "--skeleton",
            "coco-17",
        ),
        *("--codec", "heatmap,alignment=corner", "--normalise", "none", "--padding", "1.25"),
    ]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        Image.fromarray(nets.blob(160, 160, *SPOT)).save(folder / f"{number:012d}.png")
    return folder


def everybody_run(monkeypatch, *arguments: object, command: str = "run") -> int:
    monkeypatch.setattr(sys, "argv", ["everybody", command, *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "frames.jsonl").read_text().splitlines()]


def test_who_does_a_handstand_is_found_in_any_orientation(tmp_path, monkeypatch, models):
    """The sky is below, and the detector says the same box of every turn of the picture."""
    image = nets.blob(160, 160, *SPOT)
    image[..., 1:] = 0
    image[100:, :, 2] = 255
    Image.fromarray(image).save(tmp_path / "handstand.png")
    nets.upright_finder(tmp_path / "pose.onnx", 17)
    models[models.index("1.25")] = "1.0"
    monkeypatch.setattr(
        "everybody.methods.orientation.GUIDED", ALONE
    )  # the bundled net has never seen such a body
    for options, people, sure in (
        (("--orientation", "upright"), 1, False),
        (("--orientation", "any"), 1, True),
        (
            ("--orientation", "any", "--det-turns", "4", "--det-nms", "0.99", "--pose-nms", "none"),
            4,
            True,
        ),
    ):
        out = tmp_path / f"out{people}{sure}"
        assert (
            everybody_run(monkeypatch, tmp_path / "handstand.png", *models, "-o", out, *options)
            == 0
        )
        (line,) = lines(out)
        assert len(line["people"]) == people
        best = np.array(line["people"][0]["keypoints"])
        assert (best[:, 2].min() > 0.6) == sure
        assert (np.abs(best[:, :2] - SPOT).max() < 0.6) == sure


def test_pictures_in_every_body_out_in_every_format(tmp_path, monkeypatch, models, pictures):
    out = tmp_path / "out"
    formats = "coco,alphapose,alphapose-cmu,alphapose-open,openpose,openpose-18,csv,parquet"
    assert (
        everybody_run(
            monkeypatch, pictures, *models, "-o", out, "-f", formats, "--save-images", "--crops"
        )
        == 0
    )
    found = lines(out)
    assert [Path(line["source"]).name for line in found] == [f"{n:012d}.png" for n in range(5)]
    for line in found:
        (person,) = line["people"]
        assert np.abs(np.array(person["keypoints"])[:, :2] - SPOT).max() < 0.6
        assert person["box"] == [19.5, 19.5, 115.5, 147.5]
    run = json.loads((out / "run.json").read_text())
    assert run["frames"] == run["people"] == 5
    assert {model["task"] for model in run["models"]} == {"detector", "pose", "turn"}
    assert len(list((out / "images").iterdir())) == len(list((out / "crops").iterdir())) == 5
    assert [entry["image_id"] for entry in json.loads((out / "results.json").read_text())] == list(
        range(5)
    )
    for name in (
        "results.json",
        "alphapose-results.json",
        "results.csv",
        "results.parquet",
        "openpose",
    ):
        assert sum(len(record.people) for record in read_results(out / name)) == 5


@pytest.mark.parametrize(("skeleton", "joints"), [("halpe-26", 26), ("halpe-136", 136)])
def test_simcc_and_other_joint_counts_get_into_every_format(
    tmp_path, monkeypatch, pictures, skeleton, joints
):
    pose = nets.simcc_finder(tmp_path / "pose.onnx", joints)
    options = [
        "--whole",
        "--pose",
        pose,
        "--skeleton",
        skeleton,
        "--codec",
        "simcc,split=2",
        "--normalise",
        "none",
    ]
    formats = [
        "coco",
        "alphapose",
        "alphapose-cmu",
        "alphapose-open",
        "openpose",
        "openpose-18",
        "csv",
        "parquet",
    ]
    assert (
        everybody_run(
            monkeypatch, pictures, *options, "-o", tmp_path / "o", "-f", ",".join(formats)
        )
        == 0
    )
    for name in ("results.json", "results.csv", "results.parquet"):
        for record in read_results(tmp_path / "o" / name, SKELETONS[skeleton]):
            assert record.people.keypoints.shape == (1, joints, 3)
            assert np.abs(record.people.keypoints[..., :2] - SPOT).max() < 1.2


def test_own_boxes_by_file_name_number_and_frame(tmp_path, monkeypatch, models, pictures):
    boxes = [
        {"image_id": 1, "category_id": 1, "bbox": [20, 20, 96, 128], "score": 0.5},
        {"image_id": 9, "file_name": "000000000002.png", "bbox": [20, 20, 96, 128]},
        {"image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10], "score": 0.5},
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    options = [*models[4:], "--boxes", tmp_path / "boxes.json", "-o", tmp_path / "o"]
    assert everybody_run(monkeypatch, pictures, *options) == 0
    assert [len(line["people"]) for line in lines(tmp_path / "o")] == [0, 1, 1, 0, 0]
    (tmp_path / "boxes.json").write_text('[{"image_id": 1, "bbox": [1, 2, 3]}]')
    assert everybody_run(monkeypatch, pictures, *options, "--overwrite") == 1


def test_a_bad_input_is_one_line_the_others_go_on_and_the_code_is_one(
    tmp_path, monkeypatch, capsys, models, pictures
):
    (pictures / "000000000002.png").write_bytes((pictures / "000000000002.png").read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("hello")
    sources = [tmp_path / "missing.jpg", tmp_path / "text.jpg", pictures]
    assert everybody_run(monkeypatch, *sources, *models, "-o", tmp_path / "o", "--quiet") == 1
    complaints = capsys.readouterr().err.strip().splitlines()
    assert len(complaints) == 3
    assert all(line.startswith("everybody: ") for line in complaints)
    for line, name in zip(complaints, ("missing.jpg", "text.jpg", "000000000002.png"), strict=True):
        assert name in line
    assert len(lines(tmp_path / "o")) == 4
    assert len(json.loads((tmp_path / "o" / "run.json").read_text())["problems"]) == 3
    assert (
        everybody_run(monkeypatch, *sources, *models, "-o", tmp_path / "s", "--strict", "--quiet")
        == 1
    )
    assert lines(tmp_path / "s") == []


def test_resume_goes_on_where_a_kill_tore_the_journal(tmp_path, monkeypatch, models, pictures):
    out = tmp_path / "out"
    assert everybody_run(monkeypatch, pictures, *models, "-o", out) == 0
    whole = (out / "frames.jsonl").read_bytes()
    (out / "frames.jsonl").write_bytes(whole[: len(whole) * 5 // 10])
    assert everybody_run(monkeypatch, pictures, *models, "-o", out) == 1, (
        "an existing journal is not destroyed"
    )
    assert everybody_run(monkeypatch, pictures, *models, "-o", out, "--resume") == 0
    assert (out / "frames.jsonl").read_bytes() == whole


def test_the_journal_on_stdout_is_alone_there(tmp_path, models, pictures):
    command = [
        sys.executable,
        "-c",
        "from everybody.cli import main; main()",
        "run",
        str(pictures),
        *models,
        "-o",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == [0] * 5
    assert b"5 frames, 5 people" in done.stderr


def test_a_stdout_that_is_full_or_gone_is_no_traceback(tmp_path, models, pictures):
    command = [
        sys.executable,
        "-c",
        "from everybody.cli import main; main()",
        "run",
        str(pictures),
        "-o",
        "-",
        *models,
    ]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    reason = "stdout: cannot be written (No space left on device)"
    assert done.stderr == f"everybody: {reason}; free space or choose another place\n"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_sigterm_keeps_what_was_done_and_derives_the_formats(tmp_path, models):
    """An endless stream of pictures on a list: killed after some, the journal and results.json hold
    the same frames.
    """
    Image.fromarray(nets.blob(160, 160, *SPOT)).save(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png\n" * 20_000)
    command = [
        sys.executable,
        "-c",
        "from everybody.cli import main; main()",
        "run",
        str(tmp_path / "list.txt"),
        *models,
    ]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "o"), "-f", "coco"], stderr=subprocess.PIPE
    )
    journal = tmp_path / "o" / "frames.jsonl"
    waiting = threading.Event()
    for _ in range(600):
        if journal.exists() and journal.stat().st_size > 20_000:
            break
        waiting.wait(0.05)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    written = len(lines(tmp_path / "o"))
    assert 0 < written < 20_000
    assert len(json.loads((tmp_path / "o" / "results.json").read_text())) == written


def test_wrong_options_say_what_would_be_right(tmp_path, monkeypatch, capsys, models, pictures):
    for options, message in (
        (["-f", "excel"], "unknown format 'excel': known are"),
        (["--det-size", "big"], "--det-size 'big': expected a number or two"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--start", "soon"], "soon"),
        (["-o", "-", "-f", "coco"], "give a folder"),
        (["--pose-nms", "magic"], "unknown pose NMS 'magic'"),
    ):
        out = [] if "-o" in options else ["-o", tmp_path / "o"]
        assert everybody_run(monkeypatch, pictures, *models, *out, *options) == 1
        assert message in capsys.readouterr().err
    assert everybody_run(monkeypatch, pictures, "--pose", "rtmpose-s", "-o", tmp_path / "o") == 1
    assert "EVERYBODY_WEIGHTS" in capsys.readouterr().err


def test_python_finds_the_same(tmp_path, models, pictures):
    options = {
        "detector": models[1],
        "det_size": (160, 160),
        "pose": models[5],
        "skeleton": "coco-17",
    }
    options |= {"codec": "heatmap,alignment=corner", "normalise": "none", "padding": 1.25}
    image = nets.blob(160, 160, *SPOT)
    people = everybody.estimate(image, **options)
    assert np.abs(people.keypoints[0, :, :2] - SPOT).max() < 0.6
    frames = list(everybody.stream([image, np.zeros((8, 9, 3), np.uint8), image], **options))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert np.allclose(frames[2].people.keypoints, people.keypoints, atol=0.01)
    with pytest.raises(OptionError, match="several frames"):
        everybody.estimate([image, image], **options)


def test_every_frame_of_a_video_comes_out_once_and_in_order(shared, tmp_path, monkeypatch, models):
    video = shared / "data/video/jump.mp4"
    assert everybody_run(monkeypatch, video, *models, "-o", tmp_path / "o", "--every", "3") == 0
    _, records = None, list(read_journal(tmp_path / "o"))
    assert [record.index for record in records] == list(range(0, 230, 3))
    assert all(a.time < b.time for a, b in itertools.pairwise(records))


def test_convert_models_and_doctor(tmp_path, monkeypatch, capsys, models, pictures):
    assert everybody_run(monkeypatch, pictures, *models, "-o", tmp_path / "o") == 0
    assert everybody_run(monkeypatch, tmp_path / "o", tmp_path / "r.csv", command="convert") == 0
    assert sum(len(record.people) for record in read_results(tmp_path / "r.csv")) == 5
    capsys.readouterr()
    assert everybody_run(monkeypatch, "--json", command="models") == 0
    assert {"rtmdet-nano-person", "tinypose-256x192"} <= {
        row["name"] for row in json.loads(capsys.readouterr().out)
    }
    assert everybody_run(monkeypatch, command="doctor") == 0
    assert "EVERYBODY_WEIGHTS" in capsys.readouterr().out


def _started(arguments: list[str], *, preload: str = "") -> subprocess.Popen[str]:
    """The command in a process of its own, with some Python run before it."""
    code = f"import sys\n{preload}\nsys.argv = {['everybody', *arguments]!r}\n"
    code += "from everybody.__main__ import main\nmain()"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("where", ["numpy", "typer", "onnxruntime"])
def test_ctrl_c_while_libraries_are_loaded_is_one_line(tmp_path, where):
    """The signal comes exactly when that library is being imported."""
    preload = (
        "import importlib.abc, os, signal\n"
        "class Interrupting(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {where!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())"
    )
    arguments = ["run", str(tmp_path), "-o", str(tmp_path / "out")]
    _, told = (process := _started(arguments, preload=preload)).communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "everybody: interrupted"
    assert "Traceback" not in told


def test_a_run_that_ends_early_is_not_finished(tmp_path, monkeypatch, models, pictures):
    """By --strict, or because what the caller gave raises; what was done stays, and can go on."""
    broken, out = pictures / "000000000003.png", tmp_path / "out"
    broken.write_bytes(broken.read_bytes()[:200])
    assert everybody_run(monkeypatch, pictures, *models, "-o", out, "--strict", "-q") == 1
    assert json.loads((out / "run.json").read_text())["finished"] is None
    assert len(lines(out)) <= 3

    class Stop(Exception):
        pass

    def progress(frame: everybody.Frame) -> None:
        if frame.source.endswith("2.png"):
            raise Stop

    whole = everybody.Estimator(whole=True, model="fast")
    outputs = job.Outputs(out=tmp_path / "raised")
    with pytest.raises(Stop):
        job.run(str(pictures), whole, outputs, messages=job.Messages(progress=progress))
    run = json.loads((tmp_path / "raised/run.json").read_text())
    assert (run["finished"], run["frames"]) == (None, 3)
    assert len(lines(tmp_path / "raised")) == 3
    assert not (tmp_path / "raised/run.lock").exists()
    outputs = job.Outputs(out=tmp_path / "raised", existing="resume")
    summary = job.run(str(pictures), whole, outputs)
    assert (summary.frames, len(summary.problems)) == (1, 1)
    run = json.loads((tmp_path / "raised/run.json").read_text())
    assert run["finished"]
    assert run["frames"] == len(lines(tmp_path / "raised")) == 4


def test_a_stream_that_is_closed_or_full_ends_a_run_in_one_line(tmp_path, models, pictures):
    command = [sys.executable, "-m", "everybody", "run", str(pictures), *models]
    for shell, code, said in (
        ("--json >/dev/full", 1, "everybody: stdout: cannot be written (No space left on device)"),
        ("-o - >&-", 1, "everybody: --out -: stdout is closed; give a folder"),
        ("--json >&-", 0, ""),
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("missing.jpg 2>/dev/full", 1, ""),
    ):
        out = [] if "-o" in shell else ["-o", str(tmp_path / "out"), "--overwrite", "-q"]
        line = f'"$@" {shell}'
        done = subprocess.run(
            ["bash", "-c", line, "bash", *command, *out],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == code, (shell, done.stderr)
        assert done.stderr.count("\n") == bool(said), done.stderr
        assert done.stderr.startswith(said)


def test_a_library_stream_that_is_closed_is_an_error_of_ours(tmp_path, pictures):
    with (tmp_path / "out").open("wb") as stream:
        pass
    whole = everybody.Estimator(whole=True, model="fast")
    with pytest.raises(OutputError, match="closed"):
        job.run(str(pictures), whole, job.Outputs(out=stream))


def test_boxes_are_of_people_however_category_and_name_are_written(
    tmp_path, shared, monkeypatch, capsys, models
):
    cases = shared / "cases/boxes-category-0"
    frame = everybody.Frame(np.zeros((640, 960, 3), np.uint8), source="train/139.jpg")
    wanted = GivenBoxes(cases / "ok.json").find([frame])[0].people
    assert len(wanted) > 1
    for name in ("cat0.json", "win.json"):
        finder = GivenBoxes(cases / name)
        assert np.array_equal(finder.find([frame])[0].people.boxes, wanted.boxes)

    Image.fromarray(frame.image).save(tmp_path / "139.jpg")
    Image.fromarray(frame.image).save(tmp_path / "140.jpg")
    for case, source, people, code in (
        ("ok", "139.jpg", True, 0),
        ("cat0", "139.jpg", True, 0),
        ("win", "139.jpg", True, 0),
        ("cat0", "140.jpg", False, 1),
        ("win", "140.jpg", False, 1),
    ):
        entries = [e for e in json.loads((cases / f"{case}.json").read_text())
                   if e["image_id"] == 139]  # fmt: skip
        (tmp_path / "boxes.json").write_text(json.dumps(entries))
        options = (*models[4:], "--boxes", tmp_path / "boxes.json", "--pose-nms", "none")
        out = tmp_path / f"{case}-{source}"
        assert everybody_run(monkeypatch, tmp_path / source, *options, "-o", out) == code
        assert bool(lines(out)[0]["people"]) == people
        assert ("belong to none of the frames" in capsys.readouterr().err) == (code == 1)


def test_boxes_of_no_person_category_say_which_they_are_of(tmp_path):
    boxes = [{"image_id": 1, "category_id": c, "bbox": [0, 0, 9, 9]} for c in (2, 18)]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    with pytest.raises(DataError, match="categories 2, 18, none of category 1"):
        GivenBoxes(tmp_path / "boxes.json")
