"""The command: what it prints and writes, and how it says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from everybody.cli.eval import evaluate
from everybody.errors import DataError, EverybodyError, OptionError
from everybody.methods.orientation import ALONE
from everybody.people import People
from everybody.results.journal import Journal
from everybody.results.records import Record
from everybody.skeletons import COCO17, MPII16
from synthetic import nets

app = typer.Typer()
app.command()(evaluate)

TEN = ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]


def run(*arguments: object) -> Result:
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(outcome.exception, EverybodyError):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome


def pose(shift: float = 0.0, joints: int = 17) -> list[float]:
    return [value for k in range(joints) for value in (10.0 * k + shift, 100.0 + 5 * k, 2.0)]


def result(picture: int, shift: float = 0.0, score: float = 0.9) -> dict[str, Any]:
    return {"image_id": picture, "category_id": 1, "keypoints": pose(shift), "score": score}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Two pictures with a person each."""
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 320, "height": 240} for i in (3, 5)],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "iscrowd": 0,
                "area": 5000.0,
                "num_keypoints": 17,
                "bbox": [0, 100, 160, 80],
                "keypoints": pose(),
            }
            for i in (3, 5)
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}
        ],
    }
    return written(tmp_path / "truth.json", content)


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_json_has_the_ten_figures_as_the_field_writes_them(tmp_path: Path, truth: Path) -> None:
    values = json.loads(
        run(written(tmp_path / "found.json", [result(3)]), "--data", truth, "--json").stdout
    )
    assert list(values)[:10] == TEN
    # One of two people found: precision 1 at the 51 recalls 0, .01 … .50 of 101.
    assert values["AP"] == pytest.approx(51 / 101)
    assert values["AR"] == 0.5
    assert values["APL"] is None
    assert (values["data"], values["pictures"], values["people"]) == ("truth.json", 2, 2)


def test_the_table_names_data_boxes_and_what_is_divided_by(tmp_path: Path, truth: Path) -> None:
    found = written(tmp_path / "found.json", [result(3, score=2.0)])
    outcome = run(found, "--data", truth, "--metrics", "AP,PCK@0.2", "--bootstrap", 20)
    for said in ("AP75", "PCK@0.2", "boxes: not said", "left shoulder to right hip", "0.5050"):
        assert said in outcome.stdout
    assert "1 of 1 scores lie outside [0, 1]" in outcome.stderr


def test_nothing_found_and_nobody_to_find(tmp_path: Path, truth: Path) -> None:
    nothing = written(tmp_path / "found.json", [])
    assert json.loads(run(nothing, "--data", truth, "--json").stdout)["AP"] == 0
    nobody = written(tmp_path / "nobody.json", json.loads(truth.read_text()) | {"annotations": []})
    values = json.loads(
        run(written(tmp_path / "some.json", [result(3)]), "--data", nobody, "--json").stdout
    )
    assert values["AP"] is None
    assert "nobody to find" in values["notes"][0]


def test_comparison_tables_plots_and_report(tmp_path: Path, truth: Path) -> None:
    worse = written(tmp_path / "worse.json", [result(3, 9), result(5, 9)])
    better = written(tmp_path / "better.json", [result(3), result(5)])
    outputs = [
        "--csv",
        tmp_path / "t.csv",
        "--latex",
        tmp_path / "t.tex",
        "--save-plots",
        tmp_path / "plots",
    ]
    options = [
        "--data",
        truth,
        "--metrics",
        "AP,PCK@0.1",
        "--bootstrap",
        50,
        "--report",
        tmp_path / "r.html",
    ]
    values = json.loads(run(worse, better, *options, *outputs, "--json").stdout)
    assert [entry["name"] for entry in values["results"]] == ["worse.json", "better.json"]
    difference = values["results"][1]["differences"]["AP"]
    assert difference["value"] > 0
    assert difference["p"] < 0.05
    assert "differences" not in values["results"][0]
    assert (
        (tmp_path / "t.csv")
        .read_text()
        .startswith("results,boxes,measure,part,value,low,high\nworse.json,,AP,,")
    )
    assert r"\textbf{100.0}" in (tmp_path / "t.tex").read_text()
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"precision-recall.svg", "PCK@0.1.svg", "PCK@0.1-parts-better.svg"} <= names
    assert "worse.json" in (tmp_path / "r.html").read_text()


def test_the_short_way_of_ap_compares_as_the_long_one_does(tmp_path: Path, truth: Path) -> None:
    files = [
        written(tmp_path / name, [result(3, x), result(5, x)])
        for name, x in (("worse", 9), ("better", 0))
    ]
    short, long = (
        json.loads(
            run(*files, "--data", truth, "--metrics", names, "--bootstrap", 50, "--json").stdout
        )["results"]
        for names in ("AP", "AP,OKS")
    )
    for a, b in zip(short, long, strict=True):
        assert [a[name] for name in TEN] == [b[name] for name in TEN]
        assert [a["intervals"][name] for name in TEN] == [b["intervals"][name] for name in TEN]
    assert short[1]["differences"]["AP"] == long[1]["differences"]["AP"]


def test_skeletons_that_differ_are_refused_with_a_way_out(tmp_path: Path, truth: Path) -> None:
    content = json.loads(truth.read_text())
    content["categories"][0]["keypoints"] = list(MPII16.joints)
    for person in content["annotations"]:
        person["keypoints"] = pose(joints=16)
    other = written(tmp_path / "mpii.json", content)
    found = written(tmp_path / "found.json", [result(3)])
    with pytest.raises(
        DataError,
        match=r"--map to judge the 12 joints .*without pelvis, thorax, upper_neck, head_top",
    ):
        run(found, "--data", other, "--skeleton", "coco-17")
    values = json.loads(
        run(found, "--data", other, "--skeleton", "coco-17", "--map", "--json").stdout
    )
    assert "judged on the 12 joints" in values["notes"][0]


def test_a_model_is_judged_in_any_orientation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person upside down, all joints at one spot: only the turned crop tells the network where
    that is.
    """
    image = nets.blob(96, 128, 41.3, 77.7)
    image[..., 1:] = 0
    image[96:, :, 2] = 255
    Image.fromarray(image).save(tmp_path / "handstand.png")
    content = {
        "images": [{"id": 1, "file_name": "handstand.png", "width": 96, "height": 128}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "area": 6000.0,
                "num_keypoints": 17,
                "bbox": [0, 0, 96, 128],
                "keypoints": [41.8, 78.2, 2] * 17,
            }
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}
        ],
    }
    labels = written(tmp_path / "labels.json", content)
    nets.upright_finder(tmp_path / "upright.onnx", 17)
    (tmp_path / "manifest.toml").write_text(
        """[model.upright]
        task = "pose"
        file = "upright.onnx"
        licence = "Apache-2.0"
        skeleton = "coco-17"
        padding = 1.0
        codec = { type = "heatmap", alignment = "corner" }
        input = { size = [96, 128] }
        """
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    arguments = ("--data", labels, "--model", "upright", "--boxes", "gt", "--json")
    upright = json.loads(run(*arguments, "--orientation", "upright").stdout)
    assert upright["AP"] == 0
    assert upright["name"] == "upright + upright only"
    monkeypatch.setattr(
        "everybody.methods.orientation.GUIDED", ALONE
    )  # the bundled net has never seen such a body: ask in all turns
    found = json.loads(run(*arguments).stdout)
    assert found["AP"] == pytest.approx(1)
    assert found["name"] == "upright"


NAMES = "HOTA,MOTA,MOTP,IDF1,PoseTrackAP"


def test_tracks_are_judged_by_name_and_per_joint(tmp_path: Path, truth: Path) -> None:
    content = json.loads(truth.read_text())
    content["annotations"] = [
        one
        | {
            "id": 10 * one["id"] + who,
            "track_id": who,
            "keypoints": pose(),
            "bbox": [0, 100 + 300 * who, 160, 80],
        }
        for one in content["annotations"]
        for who in (0, 1)
    ]
    for one in content["annotations"]:
        one["keypoints"][1::3] = [y + 300 * one["track_id"] for y in one["keypoints"][1::3]]
    written(truth, content)

    def found(*ids: int) -> dict[str, Any]:
        people = [
            one | {"score": 0.9, "track_id": n}
            for one, n in zip(content["annotations"], ids, strict=True)
        ]
        path = written(tmp_path / "found.json", people)
        return json.loads(run(path, "--data", truth, "--metrics", NAMES, "--json").output)

    same, exchanged = found(7, 8, 7, 8), found(7, 8, 8, 7)
    assert [same[name] for name in NAMES.split(",")] == [1.0] * 5
    assert exchanged["MOTA"] == exchanged["IDF1"] == 0.5  # two of four are switches
    assert exchanged["PoseTrackAP"] == 1  # which does not ask who is who
    assert exchanged["parts"]["MOTA"]["nose"] == 0.5
    with pytest.raises(OptionError, match="--track"):
        run(written(tmp_path / "nobody.json", [result(3)]), "--data", truth, "--metrics", "HOTA")


def test_what_makes_no_sense_is_said(tmp_path: Path, truth: Path) -> None:
    found = written(tmp_path / "found.json", [result(3)])
    cases = {
        "nothing to judge": ["--data", truth],
        "are for --model": [found, "--data", truth, "--boxes", "gt"],
        "turned by 90, 180": [found, "--data", truth, "--model", "any", "--turn", "45"],
        "unknown matching 'age'": [found, "--data", truth, "--metrics", "PCK", "--match", "age"],
        "unknown measure": [found, "--data", truth, "--metrics", "mAP"],
        "unknown skeleton": [found, "--data", truth, "--skeleton", "stick"],
    }
    for only in (["--orientation", "upright"], ["--det-turns", "4"]):
        with pytest.raises(OptionError, match="are for --model"):
            run(found, "--data", truth, *only)
    for said, arguments in cases.items():
        with pytest.raises(OptionError, match=said):
            run(*arguments)
    with pytest.raises(EverybodyError, match="cannot be written"):
        run(found, "--data", truth, "--csv", tmp_path / "no" / "folder.csv")


def test_reading_the_command_line_stays_fast() -> None:
    heavy = ("hotcoco", "scipy", "cv2", "onnxruntime")
    code = (
        f"import everybody.cli.eval, sys; print([name for name in {heavy} if name in sys.modules])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "[]"


def test_switches_per_minute_by_the_times_of_the_results(tmp_path: Path) -> None:
    """Five frames of a second each; the id changes once: 12 a minute."""
    names = [f"film/{number}.jpg" for number in range(5)]
    images = [
        {"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names, 1)
    ]
    labels = {
        "images": images,
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "area": 900.0,
                "bbox": [0, 0, 60, 40],
                "track_id": 0,
                "keypoints": pose(),
            }
            for i in range(1, 6)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    points = np.array(pose()).reshape(1, 17, 3) * (1, 1, 0.5)
    with Journal(tmp_path / "found", COCO17) as journal:
        for number, name in enumerate(names):
            ids = np.array([7 if number < 3 else 8])
            people = People(points, np.array([[0, 0, 60, 40.0]]), np.ones(1), COCO17, ids)
            journal.write(Record(name, 0, float(number), 64, 48, people))
    truth = written(tmp_path / "labels.json", labels)
    arguments = ("--data", truth, "--metrics", "SwitchesPerMinute", "--json")
    figures = json.loads(run(tmp_path / "found", *arguments).stdout)
    assert figures["SwitchesPerMinute"] == pytest.approx(12)
    found = [
        result(i) | {"track_id": 7} for i in range(1, 6)
    ]  # a list of results does not say when
    figures = json.loads(run(written(tmp_path / "list.json", found), *arguments).stdout)
    assert figures["SwitchesPerMinute"] is None


def test_two_people_of_one_track_in_a_picture_are_an_error(tmp_path: Path, truth: Path) -> None:
    content = json.loads(truth.read_text())
    for one in content["annotations"]:
        one["track_id"] = 1
    written(truth, content)
    found = written(tmp_path / "found.json", [result(3) | {"track_id": 7}] * 2)
    with pytest.raises(DataError, match="two people of one track"):
        run(found, "--data", truth, "--metrics", "MOTA")


def test_poses_in_space_are_judged_in_millimetres(tmp_path: Path) -> None:
    """Joints of the found poses stand 30 mm off, but for the root; one true joint is not known; the
    joints of the files are in other orders.
    """
    random = np.random.default_rng(0)
    joints = np.array(["head", "pelvis", "left_knee", "right_knee"])
    true = random.normal(size=(6, 4, 3))
    found = true + 5  # where the whole pose stands does not count
    found[:, [0, 2, 3], 0] += 0.03
    true[0, 2] = np.nan
    np.savez(tmp_path / "truth.npz", positions_3d=true, joints=joints)
    order = [2, 1, 0]
    np.savez(tmp_path / "found.npz", positions_3d=found[:, order], joints=joints[order])
    arguments = (tmp_path / "found.npz", "--data", tmp_path / "truth.npz", "--json")
    figures = json.loads(run(*arguments, "--bootstrap", 20).stdout)
    assert figures["MPJPE"] == pytest.approx(30 * 11 / 17)  # 6 roots, 6 heads, 5 knees
    assert figures["parts"]["MPJPE"] == pytest.approx({"pelvis": 0, "head": 30, "left_knee": 30})
    assert figures["PCK3D"] == 1
    assert figures["AUC3D"] == pytest.approx((6 * 31 + 11 * 25) / (17 * 31), abs=0.03)
    assert figures["PA-MPJPE"] < figures["MPJPE"]
    assert figures["intervals"]["MPJPE"][0] <= figures["MPJPE"] <= figures["intervals"]["MPJPE"][1]
    with pytest.raises(OptionError, match="'AP' of poses in space"):
        run(*arguments, "--metrics", "AP")
    np.savez(tmp_path / "found.npz", positions_3d=found[:5], joints=joints)
    with pytest.raises(DataError, match=r"has 5 poses, truth\.npz 6"):
        run(*arguments)


def test_a_category_is_chosen_by_name(tmp_path: Path, truth: Path) -> None:
    content = json.loads(truth.read_text())
    person = content["categories"][0]
    content["categories"].append({**person, "id": 2, "name": "statue"})
    content["annotations"][1]["category_id"] = 2
    written(truth, content)
    found = written(tmp_path / "found.json", [result(3), result(5) | {"category_id": 2}])
    for category, people in ((None, 2), ("person", 1), ("2", 1), ("person,statue", 2)):
        more = () if category is None else ("--category", category)
        figures = json.loads(run(found, "--data", truth, "--json", *more).stdout)
        assert (figures["people"], figures["AP"]) == (people, pytest.approx(1))
    with pytest.raises(DataError, match="no category 'horse'; its categories: person, statue"):
        run(found, "--data", truth, "--category", "horse")
