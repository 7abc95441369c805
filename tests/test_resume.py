"""A run that goes on must be the same run: the same options, models and sources, however spelled;
and what was counted before a kill is counted again.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from everybody.results.lines import progress
from everybody.results.lock import Lock
from everybody.results.resume import Known, differences
from synthetic import nets

from . import movies
from .test_run import everybody_run, lines, models, pictures  # noqa: F401 (fixtures)


@pytest.fixture
def out(tmp_path: Path, monkeypatch, models, pictures) -> Path:  # noqa: F811
    """A run over five pictures, torn in the middle of a line as a kill leaves it."""
    folder = tmp_path / "out"
    assert everybody_run(monkeypatch, pictures, *models, "-o", folder) == 0
    journal = folder / "frames.jsonl"
    (tmp_path / "whole").write_bytes(journal.read_bytes())
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size // 2])
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "finished": None, "frames": 0}))
    return folder


def test_after_a_kill_run_json_counts_what_the_journal_holds(out, monkeypatch, models, pictures):  # noqa: F811
    assert everybody_run(monkeypatch, pictures, *models, "-o", out, "--resume") == 0
    run = json.loads((out / "run.json").read_text())
    assert run["frames"] == run["people"] == len(lines(out)) == 5
    assert run["finished"]


@pytest.mark.parametrize(
    "options",
    [
        ("--det-score", "0.5"),
        ("--flip-test",),
        ("--track",),
        ("--every", "2"),
        ("--start", "1"),
        ("--fps", "10"),
        ("--max-people", "1"),
        ("--pose-nms", "none"),
    ],
)
def test_other_options_are_refused_by_name(out, monkeypatch, capsys, models, pictures, options):  # noqa: F811
    before = (out / "frames.jsonl").read_bytes()
    call = (pictures, *models, "-o", out, "--resume", *options)
    assert everybody_run(monkeypatch, *call) == 1
    said = capsys.readouterr().err
    assert options[0] in said
    assert "--force" in said
    assert (out / "frames.jsonl").read_bytes() == before
    assert everybody_run(monkeypatch, *call, "--force") == 0
    noted = json.loads((out / "run.json").read_text())["problems"]
    assert any(options[0] in text for text in noted)


@pytest.mark.parametrize(
    "options", [("--batch", "3"), ("--threads", "1"), ("-f", "coco"), ("--end", "9"), ("--quiet",)]
)
def test_options_that_change_no_frame_may_differ(out, monkeypatch, models, pictures, options):  # noqa: F811
    call = (pictures, *models, "-o", out, "--resume", *options)
    assert everybody_run(monkeypatch, *call) == 0
    assert (out / "frames.jsonl").read_bytes() == (out.parent / "whole").read_bytes()


def test_boxes_of_other_content_are_other_boxes(tmp_path, monkeypatch, capsys, models, pictures):  # noqa: F811
    boxes, out = tmp_path / "boxes.json", tmp_path / "out"
    entries = [{"image_id": n, "bbox": [20, 20, 96, 128]} for n in range(5)]
    boxes.write_text(json.dumps(entries))
    call = (pictures, *models[4:], "--boxes", boxes, "-o", out)
    assert everybody_run(monkeypatch, *call) == 0
    boxes.write_text(json.dumps([*entries, {"image_id": 1, "bbox": [0, 0, 9, 9]}]))
    assert everybody_run(monkeypatch, *call, "--resume") == 1
    assert "--boxes boxes.json (sha256" in capsys.readouterr().err


def test_force_is_for_resuming(tmp_path, monkeypatch, capsys, models, pictures):  # noqa: F811
    assert everybody_run(monkeypatch, pictures, *models, "-o", tmp_path / "o", "--force") == 1
    assert "--resume" in capsys.readouterr().err


def test_a_source_spelled_otherwise_is_the_same_source(out, monkeypatch, models, pictures):  # noqa: F811
    monkeypatch.chdir(pictures.parent)
    torn = (out / "frames.jsonl").read_bytes()
    (pictures.parent / "link").symlink_to(pictures)
    for spelled in ("pictures", "./pictures/../pictures", "link"):
        (out / "frames.jsonl").write_bytes(torn)
        for _ in range(2):
            assert everybody_run(monkeypatch, spelled, *models, "-o", out, "--resume") == 0
            assert (out / "frames.jsonl").read_bytes() == (out.parent / "whole").read_bytes()


def test_another_file_of_the_same_name_is_refused(tmp_path, monkeypatch, capsys, models, pictures):  # noqa: F811
    out, other = tmp_path / "out", tmp_path / "other"
    monkeypatch.chdir(tmp_path)
    assert everybody_run(monkeypatch, "pictures", *models, "-o", out) == 0
    before = (out / "frames.jsonl").read_bytes()
    shutil.copytree(pictures, other / "pictures")
    monkeypatch.chdir(other)
    assert everybody_run(monkeypatch, "pictures", *models, "-o", out, "--resume") == 1
    assert str(tmp_path / "pictures") in capsys.readouterr().err
    assert everybody_run(monkeypatch, "../pictures", *models, "-o", out, "--resume") == 1
    assert f"go on from {tmp_path}" in capsys.readouterr().err
    assert (out / "frames.jsonl").read_bytes() == before


def test_known_sources_by_any_spelling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    known = Known({"a.mp4": 7, "camera:0": 3, "rtsp://host/x": 5, "array": 1}, str(tmp_path))
    assert known.get("./a.mp4") == known.get(str(tmp_path / "a.mp4")) == known["a.mp4"] == 7
    assert (known["camera:0"], known["rtsp://host/x"], known["array"]) == (3, 5, 1)
    assert known.get("b.mp4", -1) == -1  # a link is a source of its own
    assert known.called("other.mp4") == "other.mp4"
    assert list(known) == ["a.mp4", "camera:0", "rtsp://host/x", "array"]
    assert len(Known({}, None)) == 0


def test_a_project_that_was_moved_goes_on(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    assert Known({"a.mp4": 7}, str(tmp_path / "old"))["a.mp4"] == 7


def test_runs_of_older_versions_are_not_compared():
    old = {"models": [], "settings": None}
    assert differences(old, {"models": [], "settings": {"det_score": 0.3}}) == ""
    assert differences({}, {"settings": {"every": (1, 2)}}) == ""
    same = {"settings": {"tiles": [1, 1], "new": 3}}
    assert differences({"settings": {"tiles": [1, 1]}}, same) == ""
    assert "--tiles [1, 1], here [2, 2]" in differences(same, {"settings": {"tiles": (2, 2)}})


def test_a_run_without_settings_goes_on(out, monkeypatch, models, pictures):  # noqa: F811
    run = json.loads((out / "run.json").read_text())
    old = {key: value for key, value in run.items() if key not in ("settings", "folder")}
    (out / "run.json").write_text(json.dumps(old))
    assert everybody_run(monkeypatch, pictures, *models, "-o", out, "--resume") == 0
    assert (out / "frames.jsonl").read_bytes() == (out.parent / "whole").read_bytes()


def test_two_who_resume_do_not_mix(out, monkeypatch, capsys, models, pictures):  # noqa: F811
    with Lock(out):
        assert everybody_run(monkeypatch, pictures, *models, "-o", out, "--resume") == 1
    assert "another run writes here" in capsys.readouterr().err
    assert everybody_run(monkeypatch, pictures, *models, "-o", out, "--resume") == 0
    assert (out / "frames.jsonl").read_bytes() == (out.parent / "whole").read_bytes()


def test_what_a_resumed_run_cannot_have_is_said(tmp_path, monkeypatch, capsys, models):  # noqa: F811
    """Ids go on from the greatest, and frames whose overlay was lost are counted."""
    image = nets.blob(160, 160, 60.0, 70.0)
    movies.encode(tmp_path / "film.mp4", [image] * 8)
    out = tmp_path / "out"
    call = (tmp_path / "film.mp4", *models, "-o", out, "--track", "--save-video")
    assert everybody_run(monkeypatch, *call, "--end", "5") == 0
    assert everybody_run(monkeypatch, *call, "--end", "6", "--resume") == 0
    said = capsys.readouterr().err
    assert "people are followed anew from there: their ids begin at 2" in said
    assert "lost" not in said
    (out / "video/film.mp4").write_bytes(b"")  # killed before the first fragment
    assert everybody_run(monkeypatch, *call, "--resume") == 0
    assert "hold 1 of the 6 frames that were done" in capsys.readouterr().err


def test_progress_counts_lines_of_any_writer(out):
    held = progress(out, say=lambda text: None)
    assert (held.frames, held.people) == (2, 2)
    rewritten = [json.dumps(line, indent=None) for line in lines_of(out)]  # with spaces
    (out / "frames.jsonl").write_text("\n".join(rewritten) + "\n")
    assert progress(out) == held


def lines_of(out: Path) -> list[dict]:
    whole = (out / "frames.jsonl").read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]
