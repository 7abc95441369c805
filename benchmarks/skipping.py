"""Frames per second on video where the detector looks at each n-th frame only, against rtmlib's PoseTracker.

    pip install rtmlib --no-deps tqdm && python benchmarks/skipping.py [--frames 120] [--repeats 1]

The same two networks, the same detector size, the same frequency of detection; both track, both start from files with
their models loaded and warm, and take turns. Ours decodes, detects and estimates at the same time, as users run it.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"


def ours(source: Path, every: int, frames: int) -> tuple[float, float]:
    from everybody.follow import Follow
    from everybody.media.read import Selection
    from everybody.pipeline import Estimator

    estimator = Estimator(det_score=0.3)
    for _ in estimator.stream(source, select=Selection(end=4)):
        pass
    begun, people = time.perf_counter(), 0
    for frame in estimator.stream(source, select=Selection(end=frames), track=Follow(detect_every=every)):
        people += len(frame.people)
    return frames / (time.perf_counter() - begun), people / frames


def theirs(source: Path, every: int, frames: int) -> tuple[float, float]:
    from functools import partial

    import cv2
    from rtmlib import Custom, PoseTracker

    weights = SHARED / "weights"
    solution = partial(
        Custom,
        det_class="RTMDet", det=str(weights / "rtmdet-nano-person.onnx"), det_input_size=(416, 416),
        pose_class="ViTPose", pose=str(weights / "tinypose-256x192.onnx"), pose_input_size=(192, 256),
    )  # fmt: skip
    body = PoseTracker(solution, det_frequency=every, tracking=True, backend="onnxruntime", device="cpu")
    video = cv2.VideoCapture(str(source))
    body(video.read()[1])
    body.reset()
    video = cv2.VideoCapture(str(source))
    begun, people = time.perf_counter(), 0
    for _ in range(frames):
        keypoints, _ = body(video.read()[1])
        people += len(keypoints)
    return frames / (time.perf_counter() - begun), people / frames


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    for name in ("class.mp4", "taiji.mp4"):
        source = SHARED / "data/video" / name
        for every in (1, 10):
            runs = [
                (*ours(source, every, given.frames), *theirs(source, every, given.frames)) for _ in range(given.repeats)
            ]
            runs.sort(key=lambda run: run[0] / run[2])
            a, people, b, their_people = runs[len(runs) // 2]
            print(
                f"{name:10} every {every:2}  everybody {a:6.2f}/s ({people:.1f} people)  rtmlib {b:6.2f}/s "
                f"({their_people:.1f} people)  ratio {a / b:.2f} ({', '.join(f'{r[0] / r[2]:.2f}' for r in runs)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
