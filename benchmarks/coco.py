"""Keypoint AP of public models on ../shared/data/coco_val, through the command line.

    python -m benchmarks.coco [--engines]

Prints one row per setting: where the boxes come from, the engine, AP.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from benchmarks.common import COCO_VAL, DETECTOR, POSE, parsed, parser

EVERYBODY = [sys.executable, "-m", "everybody"]
PUBLIC = ["--detector", DETECTOR, "--pose", POSE, "--orientation", "upright"]


def ap(*options: str) -> float:
    """Run over all pictures with these options and judge: AP."""
    with tempfile.TemporaryDirectory() as out:
        run = [*EVERYBODY, "run", str(COCO_VAL / "images"), "-o", out, "-f", "coco", "-q"]
        subprocess.run([*run, *PUBLIC, *options], check=True)
        truth = ["--data", str(COCO_VAL / "annotations.json"), "--json"]
        judge = [*EVERYBODY, "eval", f"{out}/results.json", *truth]
        return json.loads(subprocess.run(judge, check=True, capture_output=True).stdout)["AP"]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--engines", action="store_true", help="onnxruntime and OpenVINO")
    given = parsed(command)

    truth = json.loads((COCO_VAL / "annotations.json").read_text())
    people = [a for a in truth["annotations"] if a["num_keypoints"]]
    true = [{"image_id": a["image_id"], "bbox": a["bbox"], "score": 1.0} for a in people]
    print(f"{len(truth['images'])} pictures, {len(people)} people with keypoints; {POSE}")

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(true, file)
        file.flush()
        settings = {
            "true boxes": ["--boxes", file.name],
            "RTMDet-nano 416, score 0.05": ["--det-score", "0.05"],
            "RTMDet-nano 416, score 0.3": [],
            "PicoDet-S 320, score 0.05": [
                *("--detector", "picodet-s-pedestrian-320"),
                *("--det-score", "0.05"),
            ],
        }
        for boxes, options in settings.items():
            for engine in ("onnxruntime", "openvino") if given.engines else ("auto",):
                value = ap(*options, "--engine", engine)
                print(f"{boxes:32} {engine:12} AP {value:.4f}", flush=True)


if __name__ == "__main__":
    main()
