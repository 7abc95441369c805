"""Results are judged in whatever format they are; where only one is taken, the error says how to
make it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from everybody.cli import app
from everybody.data.dataset import Dataset, Picture
from everybody.data.read import read, read_results
from everybody.errors import DataError
from everybody.methods.boxes import GivenBoxes
from everybody.people import People
from everybody.results.formats import FORMATS
from everybody.results.records import Record, Results
from everybody.skeletons import COCO17


def quiet(text: str) -> None:
    pass


def planted(count: int, seed: int) -> People:
    random = np.random.default_rng(seed)
    points = random.uniform(5, 90, (count, 17, 3)).round(2).astype(np.float32)
    points[..., 2] = 0.9
    low, high = points[..., :2].min(1), points[..., :2].max(1)
    scores = (0.5 + random.permutation(count) / 10).round(2).astype(np.float32)
    return People(points, np.concatenate([low, high], 1), scores, COCO17)


def written(folder: Path, name: str, records: list[Record]) -> Path:
    """Where these results are, in a format."""
    format = FORMATS[name]
    target = folder if name == "jsonl" else folder / format.target
    format.write(Results.of(records, COCO17), target, quiet)
    return target


def of(records: list[Record], names: list[str]) -> Dataset:
    """The people of some records as labels of these pictures."""
    people = [record.people for record in records]
    return Dataset(
        skeleton=COCO17,
        pictures=tuple(Picture(name, i, 100, 100) for i, name in enumerate(names)),
        picture=np.repeat(np.arange(len(people)), [len(some) for some in people]),
        keypoints=np.concatenate([some.keypoints for some in people], dtype=np.float64),
        name="labels",
    )


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_run_writes_is_judged_as_it_is(name: str, tmp_path: Path) -> None:
    records = [Record(f"in/{n}.jpg", 0, 0.0, 100, 100, planted(n, n)) for n in range(4)]
    truth = of(records, [f"{n}.jpg" for n in range(4)])
    found = read_results(written(tmp_path / "out", name, records), truth)
    joints = [found.skeleton.joints.index(joint) for joint in COCO17.joints]
    assert np.bincount(found.picture, minlength=4).tolist() == [0, 1, 2, 3]
    for n in range(4):  # the formats put people into orders of their own
        given = records[n].people.keypoints
        again = found.keypoints[found.where(n)][:, joints]
        gap = np.abs(given[:, None, :, :2] - again[None, ..., :2]).max((2, 3))
        assert (gap.min(1, initial=np.inf) < 0.02).all()


@pytest.mark.parametrize("name", ["csv", "csv-eu", "parquet"])
def test_frames_of_a_film_are_told_apart(name: str, tmp_path: Path) -> None:
    records = [Record("film.mp4", n, n / 25, 100, 100, planted(2, n)) for n in (0, 3)]
    truth = of(records, ["film.mp4#0", "film.mp4#3"])
    found = read_results(written(tmp_path / "out", name, records), truth)
    assert found.picture.tolist() == [0, 0, 1, 1]
    assert read(written(tmp_path / "again", name, records)).pictures[1].name == "film.mp4#3"


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("coco", "alphapose")])
def test_boxes_of_another_format_are_refused_with_the_command_that_helps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the error says to run makes a file that is taken."""
    monkeypatch.chdir(tmp_path)
    records = [Record("in/7.jpg", 0, 0.0, 100, 100, planted(2, 0))]
    path = written(Path("out"), name, records)
    with pytest.raises(DataError, match=r"everybody convert .* makes a list") as said:
        GivenBoxes(path)
    command = re.search(r"`everybody (convert .*?)`", str(said.value))
    assert command
    outcome = CliRunner().invoke(app, shlex.split(command[1]))
    assert outcome.exit_code == 0, outcome.output
    assert GivenBoxes("boxes.json").stages


def test_what_is_not_there_is_said_for_results_and_for_labels(tmp_path: Path) -> None:
    labels = of([Record("a.jpg", 0, 0.0, 9, 9, planted(1, 0))], ["a.jpg"])
    with pytest.raises(DataError, match="name what `everybody run` wrote"):
        read_results(tmp_path / "none", labels)
    with pytest.raises(DataError, match="give the labels of a data set"):
        read(tmp_path / "none")
