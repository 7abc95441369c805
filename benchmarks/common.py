"""What the benchmarks share: where the data are, which machine this is, clocks, pictures, turns.

A benchmark is a module with a `main()`: `python -m benchmarks.NAME`. It builds its command line by
`parser(__doc__)` and reads it by `parsed(...)`, which also lets the package find the public models
of ../shared and says on stderr which machine, packages and commit the figures are of.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from everybody.data.dataset import Dataset
from everybody.data.rotate import turned
from everybody.media.images import decode
from everybody.metrics import bootstrap
from everybody.metrics.figure import Figure
from everybody.people import Frame, Image, People

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DATA = SHARED / "data"
WEIGHTS = SHARED / "weights"
COCO_VAL, COCO_TRAIN = DATA / "coco_val", DATA / "coco_train"
VIDEO = DATA / "video"

DETECTOR, POSE = "rtmdet-nano-person", "tinypose-256x192"
# The public models as their publishers use them: what ours are compared with.
PUBLIC: dict[str, Any] = {"detector": DETECTOR, "pose": POSE, "orientation": "upright"}

TURNS = (0, 90, 180, 270)  # degrees, counter-clockwise
BLANK = np.zeros((8, 8, 3), np.uint8)  # a picture for what looks at people only


def parser(about: str | None) -> argparse.ArgumentParser:
    """A command line whose help is the module's docstring as it stands."""
    return argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def parsed(command: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line; from here on the models of ../shared have names."""
    given = command.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(WEIGHTS))
    print(environment(), file=sys.stderr, flush=True)
    return given


def environment() -> str:
    """One line: processor, cores, system, Python, the packages that do the work, commit, load."""
    packages = [f"{name} {_version(name)}" for name in ("onnxruntime", "numpy", "torch")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    parts = [
        f"{_processor()}, {cores} cores",
        platform.platform(),
        f"Python {sys.version.split()[0]}",
    ]
    return "; ".join([*parts, *packages, f"commit {_commit()}", load])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    described = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(described, capture_output=True, text=True).stdout.strip() or "unknown"
    except OSError:
        return "unknown"


# --- clocks


def milliseconds(
    work: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """What one call takes; by `time.process_time`, of all cores together."""
    begun = clock()
    work()
    return 1e3 * (clock() - begun)


def by_turns(
    works: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Milliseconds of each call; all take turns, so that other load slows all of them alike."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            spent[name].append(milliseconds(work, clock))
    return spent


def medians(spent: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: float(np.median(times)) for name, times in spent.items()}


# --- pictures


def picture(truth: Dataset, index: int) -> Image:
    """A picture of a data set, as RGB."""
    path = truth.path(index)
    return decode(path.read_bytes(), str(path))


def pictures(truth: Dataset) -> Iterator[tuple[Image, np.ndarray]]:
    """Each picture, and the rows of its people who are not to be ignored."""
    for index, rows in enumerate(truth.rows()):
        yield picture(truth, index), rows[~truth.ignored[rows]]


def rotated(image: Image, quarters: int) -> Image:
    """The picture turned counter-clockwise by so many quarters."""
    return np.ascontiguousarray(np.rot90(image, quarters))


def turned_frames(truth: Dataset, quarters: int) -> tuple[Dataset, list[Frame]]:
    """The data turned by so many quarters, and its pictures as frames with the true boxes."""
    shown = turned(truth, quarters)
    frames = []
    for index, (image, rows) in enumerate(pictures(truth)):
        people = People.from_boxes(shown.boxes[rows])
        source = str(truth.path(index))
        frames.append(Frame(rotated(image, quarters), source=source, people=people))
    return shown, frames


def counted(truth: Dataset) -> str:
    """'171 pictures, 562 people'."""
    return f"{len(truth)} pictures, {int((~truth.ignored).sum())} people"


# --- figures


def gap(first: Figure, second: Figure, count: int, draws: int) -> str:
    """By how much the second is better, with its paired 95 % bootstrap interval over pictures."""
    weights = bootstrap.draws(count, draws, np.random.default_rng(0))
    samples = bootstrap.sample([first, second], weights)
    return interval(bootstrap.difference(samples[0], samples[1], second.value - first.value))


def with_interval(figure: Figure, count: int, draws: int) -> list[float]:
    """Its value, and its 95 % bootstrap interval over so many pictures."""
    weights = bootstrap.draws(count, draws, np.random.default_rng(0))
    low, high = bootstrap.interval(bootstrap.sample([figure], weights)[0])
    return [round(value, 3) for value in (figure.value, low, high)]


def interval(known: bootstrap.Difference) -> str:
    """A difference and its interval: '+0.012 [-0.003, +0.027]'."""
    return f"{known.value:+.3f} [{known.low:+.3f}, {known.high:+.3f}]"


def row(*cells: object) -> str:
    """A row of a markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*cells: object) -> str:
    """The head of a markdown table, and the line under it."""
    return f"{row(*cells)}\n{row(*['---'] * len(cells))}"


def filled(text: str, parts: Mapping[str, str]) -> str:
    """A page with each table between its marks, `<!-- NAME -->` and `<!-- end -->`."""
    for name, part in parts.items():
        before, found, after = text.partition(f"<!-- {name} -->\n")
        if not found:
            raise SystemExit(f"the page has no place <!-- {name} -->")
        _, end, rest = after.partition("<!-- end -->")
        text = f"{before}{found}\n{part}\n\n{end}{rest}"
    return text
