"""Figures by category: each is that of its category alone, their mean is COCO's, all as one asks
for no category; and what the command tells of them.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from everybody.cli import app
from everybody.data.dataset import UNKNOWN, Dataset, Picture
from everybody.data.frames import gathered
from everybody.data.join import in_categories
from everybody.errors import OptionError
from everybody.geometry import xywh
from everybody.metrics import tables
from everybody.metrics.categories import MEAN, ONE, as_one, figures_of_categories, people_of
from everybody.metrics.compare import judge_all
from everybody.metrics.judge import defaults, judge
from everybody.metrics.predict import predict
from everybody.metrics.single import Pairs
from everybody.people import People
from everybody.skeletons import ANIMAL20

NAMES = {3: "dog", 5: "cow", 9: "horse"}  # nobody labels a horse
MEASURES = ["AP", "PCKb@0.2", "BoxAP", "OKS", "NME"]


def world(seed: int = 0, pictures: int = 8) -> tuple[Dataset, Dataset]:
    """Dogs and cows, and what is found: near the true ones, some missed, one in eight of the other
    kind.
    """
    random = np.random.default_rng(seed)
    count, joints = 5 * pictures, len(ANIMAL20)
    points = random.uniform(0, 60, (count, joints, 2)) + random.uniform(0, 400, (count, 1, 2))
    flags = np.where(random.random((count, joints)) < 0.9, 2.0, 0.0)
    truth = Dataset(
        skeleton=ANIMAL20,
        pictures=tuple(Picture(f"{i}.jpg", i + 1, 500, 500) for i in range(pictures)),
        picture=random.integers(0, pictures, count),
        keypoints=np.concatenate([points, flags[..., None]], 2),
        category=random.choice([3, 5], count),
        categories=NAMES,
        name="truth",
    )
    rows = np.flatnonzero(random.random(count) < 0.8)
    noise = random.normal(0, 4, (len(rows), joints, 2))
    kind = np.where(random.random(len(rows)) < 1 / 8, 8 - truth.category[rows], 0)
    results = Dataset(
        skeleton=ANIMAL20,
        pictures=truth.pictures,
        picture=truth.picture[rows],
        keypoints=np.concatenate([points[rows] + noise, np.ones((len(rows), joints, 1))], 2),
        scores=random.permutation(len(rows)) / len(rows),
        category=np.where(kind, kind, truth.category[rows]),
        categories=NAMES,
        ignored=np.zeros(len(rows), bool),
        name="found",
    )
    return truth, results


def of(data: Dataset, number: int) -> Dataset:
    """Those of one category, as data that have no other."""
    some = data.select(data.category == number)
    return replace(some, categories={number: NAMES[number]})


def told(truth: Dataset, results: Dataset, measure: str) -> dict[str, Any]:
    return {one.category: one for one in figures_of_categories(truth, results, [measure])}


@pytest.mark.parametrize("measure", ["AP", "BoxAP"])
def test_precision_of_a_category_is_that_of_its_own_people(measure: str) -> None:
    truth, results = world()
    figures = told(truth, results, measure)
    assert list(figures) == ["dog", "cow", MEAN, ONE]
    for number, name in ((3, "dog"), (5, "cow")):
        alone = judge(of(truth, number), of(results, number), [measure])[0].value
        assert 0 < alone < 1
        assert figures[name].value == pytest.approx(alone, abs=1e-12)
    assert figures[MEAN].value == pytest.approx(judge(truth, results, [measure])[0].value)
    pooled = judge(as_one(truth), as_one(results), [measure])[0].value
    assert figures[ONE].value == pytest.approx(pooled)
    assert pooled > figures[MEAN].value  # nobody is false for being of the other kind


@pytest.mark.parametrize("measure", ["PCKb@0.2", "OKS"])
def test_joints_of_the_categories_add_up_to_those_of_all(measure: str) -> None:
    truth, results = world(1)
    figures = told(truth, results, measure)
    counted = Pairs.of(truth, results, "oks").counted.sum(1)
    weights = [int(counted[truth.category == number].sum()) for number in (3, 5)]
    values = [figures[name].value for name in ("dog", "cow")]
    assert values[0] != values[1]
    whole = judge(truth, results, [measure])[0].value
    assert np.average(values, weights=weights) == pytest.approx(whole)
    assert figures[ONE].value == pytest.approx(whole)
    assert figures[MEAN].value == pytest.approx(np.mean(values))


@pytest.mark.parametrize("measure", MEASURES)
def test_a_picture_drawn_twice_counts_twice(measure: str) -> None:
    truth, results = world(2)
    half = told(truth.subset(range(4)), results.subset(range(4)), measure)
    for name, figure in told(truth, results, measure).items():
        assert figure(np.ones(8)) == pytest.approx(figure.value)
        drawn = figure(np.where(np.arange(8) < 4, 2.0, 0.0))
        assert drawn == pytest.approx(half[name].value, abs=1e-9)


def test_boxes_by_category_equal_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    truth, results = world(3)

    def rows(data: Dataset) -> list[dict[str, Any]]:
        columns = zip(data.picture, data.category, xywh(data.boxes), data.areas, strict=True)
        return [
            {
                "id": i,
                "image_id": int(picture) + 1,
                "category_id": int(category),
                "bbox": box.tolist(),
                "area": area,
                "iscrowd": 0,
            }
            for i, (picture, category, box, area) in enumerate(columns, 1)
        ]

    scores = results.scores.tolist()
    found = [row | {"score": score} for row, score in zip(rows(results), scores, strict=True)]
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco.COCO()
        known.dataset = {
            "images": [{"id": i + 1} for i in range(len(truth))],
            "annotations": rows(truth),
            "categories": [{"id": number} for number in NAMES],
        }
        known.createIndex()
        judge_ = COCOeval(known, known.loadRes(found), "bbox")
        judge_.evaluate()
        judge_.accumulate()
        judge_.summarize()
    assert told(truth, results, "BoxAP")[MEAN].value == pytest.approx(judge_.stats[0], abs=1e-9)
    each = judge_.eval["precision"][:, :, :2, 0, -1].mean((0, 1))
    figures = told(truth, results, "BoxAP")
    assert [figures[name].value for name in ("dog", "cow")] == pytest.approx(each, abs=1e-9)


def test_data_of_one_category_are_judged_as_before() -> None:
    truth, results = of(world()[0], 3), of(world()[1], 3)
    assert defaults(truth) == ["AP"]
    assert people_of(truth) == {}
    assert figures_of_categories(truth, results, MEASURES) == []
    (judged,) = judge_all([results], truth, ["AP"])
    assert "categories" not in tables.to_json(tables.verdicts([(judged.about, judged.figures)]))


def test_a_category_whose_length_is_not_labelled_is_undefined() -> None:
    """Cows without a box: the joints of dogs alone are counted."""
    truth, results = world()
    boxes = np.where((truth.category == 5)[:, None], 0.0, truth.boxes)
    figures = told(replace(truth, boxes=boxes), results, "PCKb@0.2")
    assert math.isnan(figures["cow"].value)
    assert figures[MEAN].value == figures["dog"].value == pytest.approx(figures[ONE].value)


def test_results_that_do_not_say_their_category_are_judged_as_one() -> None:
    truth, results = world()
    plain = replace(results, category=np.full(len(results.picture), UNKNOWN), categories={})
    assert list(told(truth, plain, "AP")) == [ONE]
    assert list(told(truth, plain, "PCKb@0.2")) == ["dog", "cow", MEAN, ONE]
    (judged,) = judge_all([plain], truth, ["AP"])
    assert "found does not say categories: AP is that of all as one" in judged.about.notes


def test_given_boxes_are_not_judged() -> None:
    truth, results = world()
    given = replace(results, boxes_from="gt")
    (figure,) = judge(truth, given, ["BoxAP"])
    assert math.isnan(figure.value)
    assert "given" in figure.says
    assert told(truth, given, "BoxAP") == {}


# --- models


def animals(folder: Path) -> Dataset:
    """Two pictures of noise, a dog on one, a cow on the other."""
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(random.integers(0, 255, (96, 128, 3), np.uint8)).save(folder / name)
    points = np.tile(np.linspace(20, 70, 20)[:, None], (2, 1, 2))
    return Dataset(
        skeleton=ANIMAL20,
        pictures=tuple(Picture(name, i, 128, 96) for i, name in enumerate(("a.png", "b.png"), 1)),
        picture=np.array([0, 1]),
        keypoints=np.concatenate([points, np.full((2, 20, 1), 2.0)], 2),
        boxes=np.array([[10.0, 10, 90, 80]] * 2),
        category=np.array([7, 3]),
        categories={3: "cow", 7: "dog"},
        folder=folder,
        name="labels",
    )


def test_a_variant_is_judged_by_its_name_on_boxes_of_known_species(tmp_path: Path) -> None:
    truth = animals(tmp_path)
    found = predict(truth, pose="animals", boxes="gt", workers=1, threads=1)
    assert found.skeleton == ANIMAL20
    assert found.category.tolist() == [7, 3]
    assert found.name == "animals"
    with pytest.raises(OptionError, match=r"labelled boxes are for one model.* accurate,animals"):
        predict(truth, pose="accurate,animals", boxes="gt")
    with pytest.raises(OptionError, match="unknown variant 'squid'"):
        predict(truth, pose="animals,squid")


# --- the command


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Labels of a dog and a cow, and a journal-like list in which both are found exactly."""
    truth = animals(tmp_path)
    people = [
        {
            "id": i + 1,
            "image_id": i + 1,
            "category_id": int(truth.category[i]),
            "bbox": xywh(truth.boxes)[i].tolist(),
            "area": 900.0,
            "keypoints": truth.keypoints[i].reshape(-1).tolist(),
        }
        for i in range(2)
    ]
    categories = [
        {"id": number, "name": name, "keypoints": list(ANIMAL20.joints)}
        for number, name in truth.categories.items()
    ]
    images = [
        {"id": i, "file_name": name, "width": 128, "height": 96}
        for i, name in enumerate(("a.png", "b.png"), 1)
    ]
    labels, found = tmp_path / "labels.json", tmp_path / "found.json"
    labels.write_text(
        json.dumps({"images": images, "annotations": people, "categories": categories})
    )
    found.write_text(json.dumps([one | {"score": 0.9} for one in people[:1]]))
    return labels, found


def run(*arguments: object) -> str:
    outcome = CliRunner().invoke(app, ["eval", *(str(argument) for argument in arguments)])
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_one_call_tells_all_measures_of_each_category(files: tuple[Path, Path]) -> None:
    """The dog is found, the cow is not."""
    labels, found = files
    said = json.loads(run(found, "--data", labels, "--bootstrap", 20, "--json"))
    rows = said["categories"]
    assert list(rows) == ["cow", "dog", MEAN, ONE]
    names = ("people", "AP", "PCKb@0.2", "BoxAP")
    assert [rows["dog"][name] for name in names] == pytest.approx([1, 1, 1, 1])
    assert [rows["cow"][name] for name in names] == [1, 0, 0, 0]
    assert rows[MEAN]["AP"] == said["AP"] == pytest.approx(0.5)
    assert rows[ONE]["AP"] == pytest.approx(51 / 101)
    assert rows["dog"]["intervals"]["AP"] == pytest.approx([1, 1])
    assert not [name for name in said if name.endswith(("dog", "cow"))]


def test_tables_files_and_report_tell_the_categories(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    labels, found = files
    outputs = {name: tmp_path / f"out.{name}" for name in ("csv", "latex", "report")}
    flags = [part for name, path in outputs.items() for part in (f"--{name}", path)]
    measures = ("--metrics", "AP,BoxAP")
    said = run(found, "--data", labels, *flags, *measures, "--bootstrap", 20)
    (row,) = [line for line in said.splitlines() if line.startswith("dog")]
    assert row.split()[:4] == ["dog", "1", "1.000", "1.000–1.000"]
    assert max(map(len, said.splitlines())) <= 80
    lines = csv.DictReader(io.StringIO(outputs["csv"].read_text()))
    values = {(line["measure"], line["part"]): line["value"] for line in lines}
    assert [float(values["BoxAP", name]) for name in ("dog", "cow")] == pytest.approx([1, 0])
    assert r"dog & 1 & 100.0 & 100.0 \\" in outputs["latex"].read_text()
    page = outputs["report"].read_text()
    assert "By category" in page
    assert "<td>mean of categories</td>" in page


def test_species_of_two_results_are_compared(files: tuple[Path, Path], tmp_path: Path) -> None:
    labels, found = files
    both = json.loads(labels.read_text())["annotations"]
    better = tmp_path / "better.json"
    better.write_text(json.dumps([one | {"score": 0.9} for one in both]))
    said = json.loads(run(found, better, "--data", labels, "--bootstrap", 20, "--json"))
    cow = said["results"][1]["categories"]["cow"]
    assert cow["differences"]["AP"]["value"] == pytest.approx(1)


def test_a_detector_of_species_is_judged_by_the_truths_numbers() -> None:
    """Results number their species by name; the truth has numbers of its own."""
    truth = world()[0]
    kinds = np.array([NAMES[number] for number in truth.category.tolist()])
    people = [replace(truth.of(rows), categories=kinds[rows]) for rows in truth.rows()]
    found = gathered(people, truth.pictures, ANIMAL20, name="found")
    assert found.categories != truth.categories
    again = in_categories(found, truth)
    assert told(truth, again, "AP")["dog"].value == told(truth, again, "AP")["cow"].value == 1
    assert len(People.concatenate(people)) == len(again.picture)


def test_boxes_are_judged_where_nobody_has_labelled_joints(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    """BoxAP alone asks for no joints: of the labels none, of the results any."""
    labels, found = files
    asked = ("--metrics", "BoxAP", "--json")
    whole = json.loads(run(found, "--data", labels, *asked))
    content = json.loads(labels.read_text())
    for one in content["annotations"]:
        del one["keypoints"]
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(content))
    said = json.loads(run(found, "--data", bare, *asked, "--skeleton", "animal-20"))
    assert said["categories"]["dog"]["BoxAP"] == pytest.approx(1)
    assert said["categories"] == whole["categories"]
