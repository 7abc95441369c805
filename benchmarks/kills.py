"""Runs that are killed at any moment and resumed: nothing lost, nothing twice.

    python -m benchmarks.kills [--kills 10] [--seed 1] [--frames 120]

`everybody run class.mp4` gets SIGKILL at a random moment, is resumed, and is compared with a run
that was not killed: frames of the journal that are lost or twice, frames that differ, totals of
run.json, frames of the overlay that can be played (a resumed run says how many are not). Every
second run is tracked: its frames must be there once and in order. Exits with 1 if anything is lost
from the journal, torn or twice.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from benchmarks.common import ROOT, VIDEO, environment, head, parsed, parser, row


def command(out: Path, frames: int, *more: str) -> list[str]:
    """The run that is killed."""
    return [
        sys.executable, "-m", "everybody", "run", str(VIDEO / "class.mp4"), "--model", "fast",
        "--end", str(frames), "--save-video", "-o", str(out), "--quiet", *more,
    ]  # fmt: skip


def lines(out: Path) -> list[dict]:
    """The journal's frames; a torn last line raises."""
    path = out / "frames.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def whole_lines(out: Path) -> int:
    """Lines that a killed run has finished."""
    path = out / "frames.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def drawn(out: Path) -> int:
    """Frames in all files of the overlay that can be played."""
    total = 0
    for path in sorted((out / "video").glob("*.mp4")):
        with av.open(str(path)) as container:
            total += sum(1 for _ in container.decode(video=0))
    return total


def killed(out: Path, frames: int, after: float, *more: str) -> int:
    """A run that is killed so many seconds after its first frame -> the lines that it leaves."""
    process = subprocess.Popen(command(out, frames, *more), cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not whole_lines(out) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return whole_lines(out)


def resumed(out: Path, frames: int, *more: str) -> int:
    """Goes on with a run -> its exit code; a run that was finished before the kill has 0 frames."""
    return subprocess.run(
        command(out, frames, "--resume", *more), cwd=ROOT, stderr=subprocess.DEVNULL, check=False
    ).returncode


def main() -> int:
    command_line = parser(__doc__)
    command_line.add_argument("--kills", type=int, default=10)
    command_line.add_argument("--seed", type=int, default=1)
    command_line.add_argument("--frames", type=int, default=120)
    given = parsed(command_line)
    random = np.random.default_rng(given.seed)
    print(environment())
    print(f"class.mp4, {given.frames} frames, {given.kills} kills, seed {given.seed}")
    print(head("run", "frames when killed", "after resume", "lost or twice", "differ", "totals",
               "frames drawn", "exit"))  # fmt: skip
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        subprocess.run(command(whole, given.frames), cwd=ROOT, check=True)
        truth = lines(whole)
        for number in range(given.kills):
            tracked = ["--track"] if number % 2 else []
            out = Path(folder) / str(number)
            before = killed(out, given.frames, random.uniform(0.05, 5), *tracked)
            code = resumed(out, given.frames, *tracked)
            found = lines(out)
            indices = [line["frame"] for line in found]
            wrong = sorted(indices) != list(range(given.frames)) or indices != sorted(indices)
            differ = sum(a != b for a, b in zip(found, truth, strict=False)) if not tracked else 0
            run = json.loads((out / "run.json").read_text())
            people = sum(len(line["people"]) for line in found)
            right = (run["frames"], run["people"]) == (len(found), people) and run["finished"]
            failed |= wrong or bool(differ) or not right or code != 0
            print(row("tracked" if tracked else "plain", before, len(found), "yes" if wrong else 0,
                      differ if not tracked else "–", "right" if right else "WRONG",
                      drawn(out), code), flush=True)  # fmt: skip
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
