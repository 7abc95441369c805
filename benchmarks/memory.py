"""Memory of a long stream and time to the first result.

    python benchmarks/memory.py [FRAMES]

A generated video of 10,000 small frames through the whole pipeline, with networks of known answer
(`tests/nets.py`): resident memory at frame 500 and at the end, frames in and out. Then, in cold
processes, `import everybody` and the first result on examples/class.jpg with the public models.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def make_video(path: Path, frames: int) -> None:
    from tests import nets

    pictures = [nets.blob(320, 240, 40 + 30 * i, 100) for i in range(8)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=Fraction(30), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(frames):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(pictures[i // 10 % 8], format="rgb24"))
            )
        container.mux(stream.encode())


def long_stream(frames: int) -> None:
    from everybody import run as job
    from everybody.estimator import Estimator
    from tests import nets

    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        make_video(at / "v.mp4", frames)
        boxes = np.array([[10 + 20 * i, 10, 60 + 20 * i, 150, 0.9] for i in range(3)], np.float32)
        estimator = Estimator(
            detector=nets.rtmdet_constant(at / "d.onnx", boxes),
            pose=nets.heatmap_finder(at / "p.onnx", 17),
            skeleton="coco-17",
            codec="heatmap,alignment=corner",
            det_size=(160, 160),
            pose_nms="none",
        )
        process, memory, order = psutil.Process(), {}, []

        def progress(frame: job.Frame) -> None:
            order.append(frame.index)
            if len(order) in (500, frames):
                memory[len(order)] = process.memory_info().rss / 1e6

        summary = job.run(
            at / "v.mp4", estimator, job.Results(out=at / "o", formats=("coco",)), progress=progress
        )
        print(f"{frames} frames in, {summary.frames} out, in order: {order == list(range(frames))}")
        print(
            f"resident at 500: {memory[500]:.1f} MB, at {frames}: {memory[frames]:.1f} MB", end=""
        )
        print(
            f", growth {memory[frames] - memory[500]:+.1f} MB; {summary.frames / summary.seconds:.0f} frames/s"
        )


def cold() -> None:
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(ROOT.parent / "shared/weights"))
    first = (
        f"import everybody; assert len(everybody.estimate({str(ROOT / 'examples/class.jpg')!r}))"
    )
    for name, code in (
        ("import everybody", "import everybody"),
        ("first result, cold process", first),
    ):
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - begun)
        print(f"{name}: median of 5 {sorted(times)[2]:.2f} s (with Python's own start)")


if __name__ == "__main__":
    cold()
    long_stream(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
