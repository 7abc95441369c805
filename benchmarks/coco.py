"""Keypoint AP of public models on ../shared/data/coco_val, through the command line.

    python benchmarks/coco.py            # needs EVERYBODY_WEIGHTS (or ../shared/weights) and ../shared/data

Prints one row per setting: box source, options, number of pictures, AP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = SHARED / "data/coco_val"
PUBLIC = (
    "--detector",
    "rtmdet-nano-person",
    "--pose",
    "tinypose-256x192",
    "--orientation",
    "upright",
)
EVERYBODY = [sys.executable, "-c", "from everybody.cli import main; main()"]


def ap(*options: str) -> float:
    """Run over all pictures with these options and judge: AP."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [
                *EVERYBODY,
                "run",
                str(DATA / "images"),
                "-o",
                out,
                "-f",
                "coco",
                "-q",
                *PUBLIC,
                *options,
            ],
            check=True,
        )
        judge = [
            *EVERYBODY,
            "eval",
            f"{out}/results.json",
            "--data",
            str(DATA / "annotations.json"),
            "--json",
        ]
        return json.loads(subprocess.run(judge, check=True, capture_output=True).stdout)["AP"]


def main() -> None:
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    truth = json.loads((DATA / "annotations.json").read_text())
    people = [a for a in truth["annotations"] if a["num_keypoints"]]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(
            [{"image_id": a["image_id"], "bbox": a["bbox"], "score": 1.0} for a in people], file
        )
        file.flush()
        print(
            f"{len(truth['images'])} pictures, {len(people)} people with keypoints; TinyPose-256x192"
        )
        for boxes, options in (
            ("true boxes", ("--boxes", file.name)),
            ("RTMDet-nano 416, score 0.05", ("--det-score", "0.05")),
            ("RTMDet-nano 416, score 0.3", ()),
            (
                "PicoDet-S 320, score 0.05",
                ("--detector", "picodet-s-pedestrian-320", "--det-score", "0.05"),
            ),
        ):
            for engine in ("onnxruntime", "openvino") if "--engines" in sys.argv else ("auto",):
                print(
                    f"{boxes:32} {engine:12} AP {ap(*options, '--engine', engine):.4f}", flush=True
                )


if __name__ == "__main__":
    main()
