"""Several categories, several skeletons, ids and names written in other ways: each person counts
once, in the right category, and what is left out is said.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from everybody.data.read import read, read_results
from everybody.errors import DataError
from everybody.metrics import oks
from everybody.metrics.bootstrap import draws, sample
from everybody.metrics.direct import direct
from everybody.metrics.judge import average_precision, judge
from everybody.skeletons import COCO17
from synthetic import files

HORSE = {"id": 9, "name": "horse", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}


def document(folder: Path, *categories: tuple[int, str]) -> dict[str, Any]:
    """Coco's labels, annotations of the given categories (id, name) in turn."""
    content = json.loads(files.coco(folder).read_text())
    person = content["categories"][0]
    content["categories"] = [{**person, "id": i, "name": name} for i, name in categories]
    for place, annotation in enumerate(content["annotations"]):
        annotation["category_id"] = categories[place % len(categories)][0]
    return content


def write(folder: Path, content: Any, name: str = "annotations.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def results(content: dict[str, Any], shift: Sequence[float], **more: Any) -> list[dict[str, Any]]:
    """Every annotation found, each moved by so many pixels."""
    out = []
    for place, annotation in enumerate(content["annotations"]):
        keypoints = np.array(annotation["keypoints"]) + shift[place % len(shift)]
        found = {key: annotation[key] for key in ("image_id", "category_id")}
        score = 0.9 - 0.1 * place
        out.append({**found, "keypoints": keypoints.tolist(), "score": score, **more})
    return out


def pycocotools(truth: Path, found: Path) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluator = COCOeval(coco, coco.loadRes(str(found)), "keypoints")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float("nan") if value == -1 else float(value) for value in evaluator.stats]


@pytest.mark.parametrize("names", [("player", "referee"), ("dog", "person"), ("person",)])
def test_each_category_is_judged_as_pycocotools_does(tmp_path: Path, names: list[str]) -> None:
    """Ids 3, 4 …: neither the first nor 1."""
    content = document(tmp_path, *((3 + i, name) for i, name in enumerate(names)))
    truth_file = write(tmp_path, content)
    found_file = write(tmp_path, results(content, [0.3, 3.0, 1.0]), "results.json")
    truth = read(truth_file)
    found = read_results(found_file, truth)
    figures = average_precision(truth, found)
    expected = pycocotools(truth_file, found_file)
    assert [figure.value for figure in figures] == pytest.approx(expected, nan_ok=True)
    ready = direct(truth, found_file)
    assert ready is not None
    short = oks.summary(oks.evaluated(*ready, COCO17.sigmas).eval or {})
    assert list(short.values()) == pytest.approx(expected, nan_ok=True)
    # Drawn with every picture once, the figures are the same.
    once = sample(figures, np.ones((1, len(truth))))
    assert once[:, 0] == pytest.approx(expected, nan_ok=True)
    assert draws(len(truth), 3, np.random.default_rng(0)).shape == (3, 2)


def test_handed_case_of_two_categories(shared: Path) -> None:
    case = shared / "cases" / "eval-two-categories"
    truth = read(case / "gt.json")
    found = read_results(case / "res.json", truth)
    figures = {figure.name: figure.value for figure in average_precision(truth, found)}
    expected = pycocotools(case / "gt.json", case / "res.json")
    assert list(figures.values()) == pytest.approx(expected, nan_ok=True)
    assert figures["AP"] == pytest.approx(0.875, abs=0.001)


@pytest.mark.parametrize("first", [True, False])
def test_an_animal_does_not_hide_people_wherever_it_stands(tmp_path: Path, first: bool) -> None:
    content = document(tmp_path, (1, "person"))
    animal = {"id": 77, "image_id": 1, "category_id": 9, "keypoints": [5, 5, 2, 9, 9, 2]}
    content["annotations"].append(animal)
    content["categories"].insert(0 if first else 1, HORSE)
    data = read(write(tmp_path, content))
    assert data.skeleton is COCO17
    assert len(data.picture) == 4
    assert data.notes == ("left out: 1 of horse; --category NAME chooses",)
    horse = read(tmp_path / "annotations.json", category="horse")
    assert (horse.skeleton.joints, horse.ids.tolist()) == (("nose", "tail"), [77])
    assert read(tmp_path / "annotations.json", category="9").ids.tolist() == [77]


def test_known_joints_of_people_count_where_no_category_is_called_person(tmp_path: Path) -> None:
    content = document(tmp_path, (1, "player"), (2, "referee"))
    content["categories"].insert(0, HORSE)
    data = read(write(tmp_path, content))
    assert data.categories == {1: "player", 2: "referee"}
    assert data.category.tolist() == [1, 2, 1, 2]


def test_skeletons_among_which_nothing_chooses_are_refused_and_named(tmp_path: Path) -> None:
    content = document(tmp_path, (1, "person"))
    content["categories"] = [HORSE, {**HORSE, "id": 1, "name": "fish", "keypoints": ["eye"]}]
    content["annotations"][0] |= {"category_id": 1, "keypoints": [1, 2, 2]}
    path = write(tmp_path, {**content, "annotations": content["annotations"][:1]})
    with pytest.raises(DataError, match=r"horse \(2 joints\), fish \(1 joints\).*--category"):
        read(path)
    assert read(path, category="fish").skeleton.joints == ("eye",)
    with pytest.raises(DataError, match="no category 'bird'; its categories: horse, fish"):
        read(path, category="bird")
    with pytest.raises(DataError, match="has no categories, and --category person"):
        read(files.mpii(tmp_path), category="person")


def test_results_of_other_categories_are_taken_left_out_or_refused_with_a_word(
    tmp_path: Path,
) -> None:
    content = document(tmp_path, (3, "person"))
    truth = read(write(tmp_path, content))
    other = write(tmp_path, results(content, [0.0], category_id=0), "results.json")
    found = read_results(other, truth)
    assert "category 0 is taken for 3 (person)" in found.notes[-1]
    assert judge(truth, found, ["AP"])[0].value == pytest.approx(1)

    mixed = results(content, [0.0])
    mixed[0]["category_id"] = 8
    found = read_results(write(tmp_path, mixed, "results.json"), truth)
    assert "1 people of categories 8 are left out" in found.notes[-1]
    assert len(found.picture) == 3

    for place, result in enumerate(mixed):
        result["category_id"] = 7 + place % 2
    with pytest.raises(DataError, match=r"of categories 7, 8, .* has 3 \(person\)"):
        read_results(write(tmp_path, mixed, "results.json"), truth)


def test_categories_that_the_truth_lacks_are_told_by_name(tmp_path: Path) -> None:
    content = document(tmp_path, (1, "person"), (3, "referee"))
    truth = read(write(tmp_path, content), category="person")
    found = results(content, [0.0])
    for one in found:
        one["category"] = "person" if one["category_id"] == 1 else "referee"
    joined = read_results(write(tmp_path, found, "results.json"), truth)
    assert "(referee) are left out" in joined.notes[-1]


def test_results_that_do_not_say_their_category_are_judged_over_all(tmp_path: Path) -> None:
    content = document(tmp_path, (1, "player"), (2, "referee"))
    truth = read(write(tmp_path, content))
    plain = results(content, [0.0])
    for result in plain:
        del result["category_id"]
    found = read_results(write(tmp_path, plain, "results.json"), truth)
    assert judge(truth, found, ["AP"])[0].value == pytest.approx(1)


@pytest.mark.parametrize("kind", [float, str, lambda number: f"{number}.0"])
def test_ids_count_however_they_are_written(tmp_path: Path, kind: Any) -> None:
    """As whole numbers, as 7.0, as "7"; any other text is a name of its own."""
    content = document(tmp_path, (1, "person"))
    plain = read(write(tmp_path, content))
    for image in content["images"]:
        image["id"] = kind(image["id"])
    for annotation in content["annotations"]:
        annotation |= {key: kind(annotation[key]) for key in ("id", "image_id")}
    found = results(content, [0.0])
    truth = read(write(tmp_path, content))
    assert truth.picture.tolist() == plain.picture.tolist()
    assert len(set(truth.ids.tolist())) == len(truth.ids)
    judged = read_results(write(tmp_path, found, "results.json"), truth)
    assert judged.picture.tolist() == truth.picture.tolist()
    assert judge(truth, judged, ["AP"])[0].value == pytest.approx(1)
    content["annotations"][1]["id"] = content["annotations"][0]["id"]
    with pytest.raises(DataError, match=r"annotations\[1\].* repeats id"):
        read(write(tmp_path, content))


def test_people_without_keypoints_are_neither_to_find_nor_false(tmp_path: Path) -> None:
    content = document(tmp_path, (1, "person"))
    for annotation, empty in zip(content["annotations"], ([], None), strict=False):
        annotation["keypoints"] = empty
    data = read(write(tmp_path, content))
    assert data.ignored.tolist() == [True, True, False, True]
    assert data.notes == ("2 people have no keypoints: they are neither to find nor false",)
    found = results({"annotations": content["annotations"][2:]}, [0.0])
    found[0]["keypoints"] = []
    truth = data
    with pytest.raises(DataError, match=r"results\[0\] has no keypoints, expected 51 numbers"):
        read_results(write(tmp_path, found, "results.json"), truth)


def test_backslashes_in_names_are_folders(tmp_path: Path) -> None:
    content = document(tmp_path, (1, "person"))
    for image in content["images"]:
        image["file_name"] = f"sub\\{image['id']}.png"
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for number in (1, 2):
        files.picture(tmp_path / "images" / "sub", "PNG", f"{number}.png")
    truth = read(write(tmp_path, content))
    assert truth.folder == tmp_path / "images"
    assert truth.path(0).is_file()
    found = results(content, [0.0])
    for result in found:
        result["image_id"] = f"C:\\data\\sub\\{result['image_id']}.png"
    judged = read_results(write(tmp_path, found, "results.json"), truth)
    assert judged.picture.tolist() == truth.picture.tolist()


MAKERS = {
    "coco": files.coco,
    "posetrack": files.posetrack,
    "mpii": files.mpii,
    "mpii-csv": files.mpii_csv,
    "yolo": files.yolo,
}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_byte_order_mark_changes_no_reader(tmp_path: Path, make: Any, encoding: str) -> None:
    path = make(tmp_path)
    place = tmp_path if make is files.yolo else path
    plain = read(place)
    space = "" if make in (files.mpii_csv, files.yolo) else " \r\n\t"
    path.write_bytes((space + path.read_text()).encode(encoding))
    marked = read(place)
    assert (marked.format, marked.skeleton) == (plain.format, plain.skeleton)
    np.testing.assert_array_equal(marked.keypoints, plain.keypoints)


def test_handed_case_with_a_byte_order_mark(shared: Path) -> None:
    case = shared / "cases" / "eval-bom"
    truth = read(case / "gt.json")
    found = read_results(case / "res.json", truth)
    assert truth.format == "COCO annotations"
    assert judge(truth, found, ["AP"])[0].value > 0
