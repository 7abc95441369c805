"""The command: what it prints, and that its figures are those of the functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from everybody.cli.eval import evaluate
from everybody.skeletons import COCO17

app = typer.Typer()
app.command()(evaluate)
runner = CliRunner()


def pose(shift: float = 0.0) -> list[float]:
    return [value for k in range(17) for value in (10.0 * k + shift, 100.0 + 5 * k, 2.0)]


def files(folder: Path, results: Any, **changes: Any) -> tuple[str, str]:
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 320, "height": 240} for i in (3, 5)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "area": 5000.0, "num_keypoints": 17,
             "bbox": [0, 100, 160, 80], "keypoints": pose()} for i in (3, 5)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}],
    } | changes  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder / "results.json"), str(folder / "truth.json")


def test_json_has_the_ten_figures_as_the_field_writes_them(tmp_path: Path) -> None:
    found = [{"image_id": 3, "category_id": 1, "keypoints": pose(), "score": 0.9}]
    results, truth = files(tmp_path, found)
    outcome = runner.invoke(app, [results, "--data", truth, "--json"])
    assert outcome.exit_code == 0, outcome.output
    values = json.loads(outcome.stdout)
    assert list(values) == ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]
    # One of two people found: precision 1 at the 51 recalls 0, .01 … .50 of 101.
    assert abs(values["AP"] - 51 / 101) < 1e-12
    assert values["AR"] == 0.5
    assert values["APL"] is None
