"""Memory of a long stream and time to the first result.

    python -m benchmarks.memory [--frames 10000]

A generated video of small frames through the whole pipeline, with networks of known answer
(`synthetic/nets.py`): resident memory at frame 500 and at the end, frames in and out. Then, in cold
processes, `import everybody` and the first result on examples/class.jpg with the bundled models.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

from benchmarks.common import ROOT, by_turns, medians, parsed, parser
from everybody import run as job
from everybody.estimator import Estimator
from synthetic import nets

EARLY = 500  # frames after which memory should not grow


def make_video(path: Path, frames: int) -> None:
    """A spot that jumps to and fro."""
    pictures = [nets.blob(320, 240, 40 + 30 * i, 100) for i in range(8)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=Fraction(30), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(pictures[i // 10 % 8], format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def estimator(folder: Path) -> Estimator:
    """Three boxes in every picture, joints at the bright spot."""
    boxes = np.array([[10 + 20 * i, 10, 60 + 20 * i, 150, 0.9] for i in range(3)], np.float32)
    return Estimator(
        detector=nets.rtmdet_constant(folder / "d.onnx", boxes),
        pose=nets.heatmap_finder(folder / "p.onnx", 17),
        skeleton="coco-17",
        codec="heatmap,alignment=corner",
        det_size=(160, 160),
        pose_nms="none",
    )


def long_stream(frames: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_video(folder / "v.mp4", frames)
        process, memory, order = psutil.Process(), {}, []

        def progress(frame: job.Frame) -> None:
            order.append(frame.index)
            if len(order) in (EARLY, frames):
                memory[len(order)] = process.memory_info().rss / 1e6

        outputs = job.Outputs(out=folder / "o", formats=("coco",))
        messages = job.Messages(progress=progress)
        done = job.run(folder / "v.mp4", estimator(folder), outputs, messages=messages)

    in_order = order == list(range(frames))
    print(f"{frames} frames in, {done.frames} out, in order: {in_order}")
    early, late = memory[EARLY], memory[frames]
    print(f"resident at {EARLY}: {early:.1f} MB, at {frames}: {late:.1f} MB, ", end="")
    print(f"growth {late - early:+.1f} MB; {done.frames / done.seconds:.0f} frames/s")


def cold() -> None:
    picture = str(ROOT / "examples/class.jpg")
    codes = {
        "import everybody": "import everybody",
        "first result, cold process": (
            f"import everybody; assert len(everybody.estimate({picture!r}))"
        ),
    }
    ways = {
        name: lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)
        for name, code in codes.items()
    }
    for name, spent in medians(by_turns(ways, 5)).items():
        print(f"{name}: median of 5 {spent / 1e3:.2f} s (with Python's own start)")


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--frames", type=int, default=10_000)
    given = parsed(command)
    cold()
    long_stream(given.frames)


if __name__ == "__main__":
    main()
