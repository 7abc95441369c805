"""Frames per second of the whole pipeline against rtmlib: same files, same pictures, same detector size, one run.

    pip install rtmlib --no-deps tqdm && python benchmarks/throughput.py [--engine onnxruntime]

Sources: every 4th frame of ../shared/data/video/class.mp4 (five people), taiji.mp4 (one), and coco_val (many).
Both start from files (decode, detect, pose, results as lists); models are loaded and warm.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"


def ours(source: object, engine: str) -> tuple[float, int, int]:
    from everybody.media.read import Selection
    from everybody.media.records import encode
    from everybody.pipeline import Estimator

    estimator = Estimator(engine=engine, det_score=0.3)
    for _ in estimator.stream(SHARED / "data/video/class.mp4", select=Selection(end=4)):
        pass
    begun, frames, people = time.perf_counter(), 0, 0
    for frame in estimator.stream(source):
        encode(frame)
        frames += 1
        people += len(frame.people)
    return frames / (time.perf_counter() - begun), frames, people


def theirs(source: Path) -> tuple[float, int, int]:
    import cv2
    from rtmlib import Custom

    weights = SHARED / "weights"
    body = Custom(
        det_class="RTMDet", det=str(weights / "rtmdet-nano-person.onnx"), det_input_size=(416, 416),
        pose_class="ViTPose", pose=str(weights / "tinypose-256x192.onnx"), pose_input_size=(192, 256),
        backend="onnxruntime", device="cpu",
    )  # fmt: skip

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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", default="auto")
    engine = parser.parse_args().engine
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    for name in ("video/taiji.mp4", "video/class.mp4", "coco_val/images"):
        source = SHARED / "data" / name
        a, frames, people = ours(source, engine)
        b, _, their_people = theirs(source)
        print(
            f"{name:18} {frames:4} frames  everybody {a:6.2f}/s ({people / frames:.1f} people)  "
            f"rtmlib {b:6.2f}/s ({their_people / frames:.1f} people)  ratio {a / b:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
