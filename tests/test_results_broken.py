"""Results that are broken in any way end in one DataError that names the file and the place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from everybody.errors import DataError, EverybodyError
from everybody.results.formats import FORMATS, convert, read_results
from everybody.results.journal import Journal
from everybody.results.records import Record, Results
from everybody.skeletons import COCO17
from synthetic.damage import damaged

from .test_journal import people

KINDS = {"csv": "text", "csv-eu": "text", "parquet": "binary"}


def quiet(text: str) -> None:
    pass


def written(folder: Path, name: str) -> tuple[Path, Path]:
    """Small results in a format: what is read, and the file of it that will be damaged."""
    some = [Record("a.mp4", n, n / 25, 640, 480, people(n % 3, seed=n)) for n in range(4)]
    target = folder / FORMATS[name].target if name != "jsonl" else folder
    FORMATS[name].write(Results.of(some, COCO17), target, quiet)
    if target.is_file():
        return target, target
    file = target / "frames.jsonl" if name == "jsonl" else sorted(target.iterdir())[2]
    return target, file


def complaint(results: Path, *, resume: bool = False) -> str:
    """What is said against these results, "" if they can be read (and resumed)."""
    try:
        for _ in read_results(results, say=quiet):
            pass
        if resume:
            with Journal(results, COCO17, existing="resume"):
                pass
    except EverybodyError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_results_are_read_or_refused(tmp_path, name):
    results, file = written(tmp_path / name, name)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    said = []
    for _ in range(60):
        file.write_bytes(damaged(whole, rng, KINDS.get(name, "json")))
        said.append(complaint(results))
    said = [text for text in said if text]
    assert len(said) > 10
    assert all(str(results) in text and "\n" not in text for text in said)


def test_a_damaged_run_json_is_read_or_refused(tmp_path):
    results, _ = written(tmp_path, "jsonl")
    file, rng = results / "run.json", np.random.default_rng(1)
    whole, said = file.read_bytes(), []
    for _ in range(60):
        file.write_bytes(damaged(whole, rng, "json"))
        said.append(complaint(results, resume=True))
    said = [text for text in said if text]
    assert len(said) > 10
    assert all(str(results) in text for text in said)


@pytest.mark.parametrize(
    ("case", "place"),
    [
        ("1_16_alphapose-results.json", "item 0: is nested too deeply"),
        ("1_35_alphapose-results.json", "item 2: $.keypoints[18]: expected a number"),
        ("1_1_000000000885_keypoints.json", "an id is too great"),
        ("1_22_run.json", "$.skeleton.joints[10]: expected text"),
        ("1_29_run.json", "$.skeleton.joints[6]: expected text"),
        ("1_25_results.parquet", "not a table of people"),
        ("1_40_results.parquet", "not a table of people"),
        ("1_46_results.parquet", "its metadata: is not JSON"),
        ("1_6_results.parquet", "not a table of people"),
    ],
)
def test_inputs_that_broke_readers(shared, tmp_path, case, place):
    name = case.split("_", 2)[2]
    shutil.copy(shared / "cases/broken" / case, tmp_path / name)
    folder = name == "run.json" or name.endswith("_keypoints.json")
    if name == "run.json":
        (tmp_path / "frames.jsonl").write_bytes(b"")
    with pytest.raises(DataError) as raised:
        list(read_results(tmp_path if folder else tmp_path / name, say=quiet))
    assert str(tmp_path / name) in str(raised.value)
    assert place in str(raised.value)


ROW = [float(n) for n in range(51)]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"keypoints": ROW[:-1]}, "50 numbers as keypoints, people of coco-17 have 51"),
        ({"keypoints": []}, "0 numbers as keypoints"),
        ({"keypoints": [1e300, *ROW[1:]]}, "beyond 1e+09"),
        ({"keypoints": [float("nan"), *ROW[1:]]}, "NaN"),
        ({"keypoints": ["1", *ROW[1:]]}, "item 1: $.keypoints[0]: expected a number, got text"),
        ({"bbox": [1, 2, 3]}, "a box is not 4 numbers"),
        ({"bbox": [-1e999, 0, 1e999, 0]}, "boxes hold NaN, infinity"),
        ({"score": None}, "item 1: $.score: expected a number"),
        ({"image_id": None}, "item 1: $.image_id"),
        ({"idx": "x"}, "the id 'x' is no whole number"),
        ({"id": 2**63}, "an id is too great"),
        ({"frame": -1}, "no picture has these"),
        ({"width": 10**12}, "no picture has these"),
        ({"time": 1e300}, "no picture has these"),
    ],
)
def test_each_field_of_a_list_is_checked(tmp_path, change, place):
    path = tmp_path / "r.json"
    good = {"image_id": 1, "category_id": 1, "keypoints": ROW, "score": 0.5}
    path.write_text(json.dumps([good, {**good, "image_id": 2, **change}]))
    with pytest.raises(DataError) as raised:
        list(read_results(path))
    assert str(raised.value).startswith(str(path))
    assert place in str(raised.value)


def test_ids_are_read_however_they_are_written(tmp_path):
    path = tmp_path / "r.json"
    items = [
        {"image_id": image, "category_id": category, "keypoints": ROW, "score": 1, "idx": number}
        for image, category, number in ((7, 1, 4), (7.0, "1", [[4.0], [4.0]]), ("7", 1.0, "4"))
    ]
    path.write_text(json.dumps(items))
    found = [r for r in read_results(path) if len(r.people)]
    assert {number for record in found for number in record.people.ids.tolist()} == {4}
    assert sum(len(record.people) for record in found) == 3


def test_other_categories_are_left_out_and_said(tmp_path):
    said, path = [], tmp_path / "r.json"
    good = {"image_id": 1, "keypoints": ROW, "score": 0.5}
    path.write_text(json.dumps([good, {**good, "category_id": 18}]))
    assert sum(len(record.people) for record in read_results(path, say=said.append)) == 1
    assert said == [f"{path}: 1 items of categories other than 1 (person) are left out"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", ["coco", "alphapose", "openpose", "csv", "csv-eu", "jsonl"])
def test_texts_with_a_byte_order_mark_are_read(tmp_path, name, encoding):
    if name == "jsonl" and encoding != "utf-8-sig":
        return  # which no program makes: its lines are bytes
    results, file = written(tmp_path / "whole", name)
    wanted = [record.people.keypoints.tolist() for record in read_results(results)]
    files = [file] if file == results or name == "jsonl" else list(results.iterdir())
    for one in files:
        text = one.read_bytes().decode("utf-8-sig")
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        one.write_bytes((mark + text).encode(encoding))
    assert [record.people.keypoints.tolist() for record in read_results(results)] == wanted


def test_an_error_of_what_is_read_is_not_blamed_on_what_is_written(tmp_path):
    source, _ = written(tmp_path, "parquet")
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 3] + b"\0" * 200 + whole[len(whole) // 3 + 200 :])
    with pytest.raises(DataError, match="parquet"):
        convert(source, tmp_path / "out.csv", say=quiet)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "jsonl"])
def test_names_with_colons_are_paths(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    results, _ = written(tmp_path, name)
    for strange in (Path("10:30.out"), Path("s3:x"), Path("file:") / "y:z"):
        strange.parent.mkdir(exist_ok=True)
        shutil.move(results, strange)
        assert len(list(read_results(strange, say=quiet))) >= 2
        convert(strange, Path(f"{strange} again"), name, say=quiet)
        assert Path(f"{strange} again").exists()
        results = strange


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a_keypoints.json").mkdir()
    with pytest.raises(DataError, match="a_keypoints"):
        list(read_results(tmp_path))
