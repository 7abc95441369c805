"""Runs two checkouts on the same inputs and compares their journals and their speed.

    scripts/same OLD NEW                            # the pictures and the video of ../shared
    scripts/same OLD NEW clip.mp4 holiday/*.jpg     # your own
    scripts/same OLD NEW --pictures 8 --frames 40 --no-speed

Four cases: the pictures, some of the pictures turned by 90, 180 and 270 degrees, the video, and the
video with `--track`. Each is run by both checkouts' command line, by turns (A B A B), in processes
of their own. The results are the same if the journals hold the same frames, people and ids in the
same order, and every joint and box is within .01 pixel. The speed is the same if the sum of the
fastest runs of NEW takes at most 3 % longer than that of OLD. Exit code 1 if either is not so.

The checkouts run with the Python that runs this script, so their dependencies are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import cv2

ROOT = Path(__file__).resolve().parents[1]
MEDIA = {".mp4", ".mov", ".mkv", ".avi", ".webm"}

PIXELS = 0.01 + 1e-6  # the journal is rounded to hundredths, so .01 is its least step
SCORE = 0.001 + 1e-6
SLOWER = 1.03

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
TURNED = 12  # pictures


class Case(NamedTuple):
    """One command line: what is run by both checkouts."""

    name: str
    sources: list[str]
    options: list[str]


class Seconds(NamedTuple):
    """What one run took: on the wall's clock, and of all processors together."""

    wall: float
    cpu: float


def cases(
    sources: list[Path], folder: Path, pictures: int | None, frames: int | None
) -> Iterator[Case]:
    """The cases that the sources allow; turned pictures are made in the folder."""
    stills = [path for path in sources if path.suffix.lower() not in MEDIA][:pictures]
    films = [str(path) for path in sources if path.suffix.lower() in MEDIA]

    if stills:
        yield Case("pictures", [str(path) for path in stills], [])
        yield Case("turned", list(turned(stills[:TURNED], folder)), [])

    if films:
        end = ["--end", str(frames)] if frames else []
        yield Case("video", films, end)
        yield Case("tracked", films, [*end, "--track"])


def turned(pictures: list[Path], folder: Path) -> Iterator[str]:
    """Paths of losslessly turned copies of the pictures."""
    for path in pictures:
        image = cv2.imread(str(path))
        if image is None:
            sys.exit(f"same: {path} cannot be read as a picture")

        for degrees, code in TURNS.items():
            copy = folder / f"{path.stem}-{degrees}.png"
            cv2.imwrite(str(copy), cv2.rotate(image, code))
            yield str(copy)


def shared() -> list[Path]:
    """The pictures and the video of ../shared, beside the checkout or anywhere above it."""
    for parent in ROOT.parents:
        data = parent / "shared/data"
        if data.is_dir():
            pictures = sorted((data / "coco_val/images").iterdir())
            return [*pictures, data / "video/class.mp4"]
    sys.exit("same: there is no ../shared here; give pictures or a video")


def environment(checkout: Path) -> dict[str, str]:
    """The environment in which the checkout's own package is imported."""
    inherited = {name: value for name, value in os.environ.items() if name != "EVERYBODY_WEIGHTS"}
    return {**inherited, "PYTHONPATH": str(checkout)}


def check(checkout: Path) -> None:
    """Ends the script unless Python imports the package from the checkout."""
    where = "import everybody; print(everybody.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=checkout,
        env=environment(checkout),
        capture_output=True,
        text=True,
    )
    if found.stdout.strip() != str(checkout / "everybody/__init__.py"):
        sys.exit(f"same: {checkout} is not a checkout of everybody: {found.stdout}{found.stderr}")


def run(checkout: Path, case: Case, out: Path) -> Seconds:
    """Runs the case into the folder. Ends the script if the command fails."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "everybody", "run", *case.sources, *case.options]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*command, "--out", str(out), "--quiet"],
        cwd=checkout,
        env=environment(checkout),
        stderr=subprocess.PIPE,
        text=True,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"same: {checkout} failed on {case.name}:\n{done.stderr}")
    return Seconds(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def journal(out: Path) -> list[dict[str, Any]]:
    """The lines of a run's journal."""
    with (out / "frames.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def differences(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each frame in which the journals differ."""
    for number, (first, second) in enumerate(zip_longest(old, new), 1):
        if first is None or second is None:
            yield f"line {number}: only one journal has it ({len(old)} and {len(new)} lines)"
            return

        place = f"{first['source']} [{first['frame']}]"
        if problem := difference(first, second):
            yield f"{place}: {problem}"


def difference(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """What two lines of a journal differ in, or None."""
    for name in ("source", "frame", "width", "height"):
        if old[name] != new[name]:
            return f"{name} {old[name]} became {new[name]}"

    if len(old["people"]) != len(new["people"]):
        return f"{len(old['people'])} people became {len(new['people'])}"

    ids = [[person.get("id") for person in line["people"]] for line in (old, new)]
    if ids[0] != ids[1]:
        return f"ids {ids[0]} became {ids[1]}"

    for number, (one, other) in enumerate(zip(old["people"], new["people"], strict=True)):
        moved = distance(one, other)
        if moved.pixels > PIXELS or moved.score > SCORE:
            return f"person {number} moved by {moved.pixels:.2f} pixels, {moved.score:.4f} in score"
    return None


class Moved(NamedTuple):
    """The greatest distance between two people: of coordinates, and of scores."""

    pixels: float
    score: float


def distance(one: dict[str, Any], other: dict[str, Any]) -> Moved:
    """Infinite if one has joints or coordinates that the other has not."""
    joints = list(zip_longest(one["keypoints"], other["keypoints"], fillvalue=[float("inf")] * 3))
    places = [(a[axis], b[axis]) for a, b in joints for axis in (0, 1)]
    places += zip_longest(one["box"], other["box"], fillvalue=float("inf"))
    scores = [(a[2], b[2]) for a, b in joints] + [(one["score"], other["score"])]
    return Moved(*(max(gap(a, b) for a, b in pairs) for pairs in (places, scores)))


def gap(one: float | None, other: float | None) -> float:
    """Between two numbers of a journal, where unknown ones are null."""
    if one is None or other is None:
        return 0.0 if one is other else float("inf")
    return abs(one - other)


def race(old: Path, new: Path, case: Case, folder: Path, rounds: int) -> tuple[Seconds, Seconds]:
    """Runs the case by turns, into `old` and `new` of the folder -> the least times of each."""
    times: dict[str, list[Seconds]] = {"old": [], "new": []}
    for _ in range(rounds):
        for name, checkout in (("old", old), ("new", new)):
            times[name].append(run(checkout, case, folder / name))

    least = [Seconds(*map(min, zip(*took, strict=True))) for took in times.values()]
    return least[0], least[1]


def report(case: Case, folder: Path) -> bool:
    """Prints how the journals of a case compare -> whether they are the same."""
    old, new = (journal(folder / name) for name in ("old", "new"))
    found = list(differences(old, new))
    people = sum(len(line["people"]) for line in old)
    print(f"{case.name}: {len(old)} frames, {people} people, {len(found)} frames differ")
    for line in found[:10]:
        print(f"    {line}")
    return not found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="a checkout")
    parser.add_argument("new", type=Path, help="another")
    parser.add_argument("sources", type=Path, nargs="*", help="pictures and videos")
    parser.add_argument("--pictures", type=int, help="so many pictures at most")
    parser.add_argument("--frames", type=int, help="so many frames of a video at most")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each checkout (2)")
    parser.add_argument("--no-speed", action="store_true", help="one round; compare results only")
    parser.add_argument("--keep", type=Path, help="keep the journals in this folder")
    options = parser.parse_args()

    old, new = options.old.resolve(), options.new.resolve()
    check(old)
    check(new)

    sources = [path.resolve() for path in options.sources] or shared()
    with tempfile.TemporaryDirectory(prefix="same-") as temporary:
        folder = options.keep or Path(temporary)
        return same(old, new, sources, folder.resolve(), options)


def same(
    old: Path, new: Path, sources: list[Path], folder: Path, options: argparse.Namespace
) -> int:
    """Runs and reports all cases -> the exit code."""
    rounds = 1 if options.no_speed else options.rounds
    before, after = Seconds(0, 0), Seconds(0, 0)
    equal = True
    (folder / "sources").mkdir(parents=True, exist_ok=True)

    for case in cases(sources, folder / "sources", options.pictures, options.frames):
        first, second = race(old, new, case, folder / case.name, rounds)
        equal &= report(case, folder / case.name)
        speed(case.name, first, second)
        before = Seconds(before.wall + first.wall, before.cpu + first.cpu)
        after = Seconds(after.wall + second.wall, after.cpu + second.cpu)

    ratio = speed("all", before, after)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = "; other work runs here: times are not to be trusted" if load > 1.5 * cores else ""
    print(f"load of the machine: {load:.1f} on {cores} cores{busy}")

    slower = ratio > SLOWER and not options.no_speed
    print(f"results {'the same' if equal else 'DIFFER'}" + ("; NEW IS SLOWER" if slower else ""))
    return int(slower or not equal)


def speed(name: str, old: Seconds, new: Seconds) -> float:
    """Prints the times of a case -> new time divided by old, on the wall's clock."""
    ratio = new.wall / old.wall
    print(
        f"    {name}: {old.wall:.2f} s -> {new.wall:.2f} s, {ratio:.3f} times"
        f" (processor {old.cpu:.2f} s -> {new.cpu:.2f} s, {new.cpu / old.cpu:.3f} times)",
        flush=True,
    )
    return ratio


if __name__ == "__main__":
    sys.exit(main())
