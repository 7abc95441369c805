"""Frames per second of the whole pipeline against rtmlib: same files, same pictures, same detector
size, one run.

    pip install rtmlib --no-deps tqdm && python -m benchmarks.throughput [--engine onnxruntime]

Sources: the videos taiji.mp4 (one person) and class.mp4 (six), all of coco_val, its pictures of 1
and of 4 to 6 people, and mosaics of four of the latter (about 20). Both start from files (decode,
detect, pose, results as lists); models are loaded and warm. Everybody and rtmlib take turns,
`--repeats` times; the median ratio counts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import COCO_VAL, DATA, PUBLIC, VIDEO, WEIGHTS, parsed, parser
from everybody.estimator import Estimator
from everybody.media.read import Selection
from everybody.results.records import encode


def ours(source: object, engine: str) -> tuple[float, int, int]:
    estimator = Estimator(**PUBLIC, engine=engine, det_score=0.3)
    for _ in estimator.stream(VIDEO / "class.mp4", select=Selection(end=4)):
        pass
    begun, frames, people = time.perf_counter(), 0, 0
    for frame in estimator.stream(source):
        encode(frame)
        frames += 1
        people += len(frame.people)
    return frames / (time.perf_counter() - begun), frames, people


def theirs(source: Path) -> tuple[float, int, int]:
    from rtmlib import Custom

    body = Custom(
        det_class="RTMDet",
        det=str(WEIGHTS / f"{PUBLIC['detector']}.onnx"),
        det_input_size=(416, 416),
        pose_class="ViTPose",
        pose=str(WEIGHTS / f"{PUBLIC['pose']}.onnx"),
        pose_input_size=(192, 256),
        backend="onnxruntime",
        device="cpu",
    )

    def images() -> Iterator[object]:
        if source.is_dir():
            yield from (cv2.imread(str(path)) for path in sorted(source.iterdir()))
            return
        video = cv2.VideoCapture(str(source))
        while (answer := video.read())[0]:
            yield answer[1]

    body(next(images()))
    begun, frames, people = time.perf_counter(), 0, 0
    for image in images():
        keypoints, scores = body(image)
        frames += 1
        people += len(keypoints.tolist()) if len(scores) else 0
    return frames / (time.perf_counter() - begun), frames, people


def by_count(folder: Path) -> dict[str, Path]:
    """Folders of coco_val's pictures by how many people they show."""
    truth = json.loads((COCO_VAL / "annotations.json").read_text())
    counts = Counter(person["image_id"] for person in truth["annotations"])
    files = {image["id"]: COCO_VAL / "images" / image["file_name"] for image in truth["images"]}
    several = [files[number] for number, count in sorted(counts.items()) if 4 <= count <= 6]
    chosen = {
        "1 person": [files[number] for number, count in sorted(counts.items()) if count == 1],
        "4-6": several,
    }
    for name, paths in chosen.items():
        (folder / name).mkdir()
        for path in paths:
            shutil.copy(path, folder / name)
    (folder / "mosaics of 4 x 4-6").mkdir()
    for number in range(len(several)):
        parts = [
            cv2.resize(cv2.imread(str(several[(number + i) % len(several)])), (640, 480))
            for i in range(4)
        ]
        mosaic = np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])
        cv2.imwrite(str(folder / "mosaics of 4 x 4-6" / f"{number}.jpg"), mosaic)
    return {path.name: path for path in sorted(folder.iterdir())}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--engine", default="auto")
    command.add_argument("--repeats", type=int, default=3)
    given = parsed(command)
    names = ("video/taiji.mp4", "video/class.mp4", "coco_val/images")
    with tempfile.TemporaryDirectory() as folder:
        sources = {name: DATA / name for name in names} | by_count(Path(folder))
        for name, source in sources.items():
            runs = [(*ours(source, given.engine), *theirs(source)) for _ in range(given.repeats)]
            runs.sort(key=lambda run: run[0] / run[3])
            a, frames, people, b, _, other = runs[len(runs) // 2]
            ratios = ", ".join(f"{run[0] / run[3]:.2f}" for run in runs)
            told = f"everybody {a:6.2f}/s ({people / frames:.1f} people)  "
            told += f"rtmlib {b:6.2f}/s ({other / frames:.1f} people)  ratio {a / b:.2f} ({ratios})"
            print(f"{name:18} {frames:4} frames  {told}", flush=True)


if __name__ == "__main__":
    main()
