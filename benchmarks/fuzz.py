"""What damaged files do to the readers: every input must end in a result or in one of our errors.

    python -m benchmarks.fuzz [--count 1000] [--seed 0] [--formats coco mpii-mat] [--keep FOLDER]

Small valid files of every format (`synthetic/formats.py`; small real ones of ../shared where it is
there) are damaged at random, but seeded (`synthetic/damage.py`), and read in another process. An
input fails by a traceback (any exception but ours), by a crash of the process, by taking more than
30 s, or more than `--memory` MB beyond what the process had. An error of ours is unclear if it does
not name the input, or is longer than a line. The exit code is 1 if anything fails or is unclear.

`--keep` stores what fails; `--case FORMAT:NUMBER` reads one input again and shows its traceback.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.common import DATA, parsed, parser
from everybody.errors import EverybodyError
from synthetic.damage import damaged
from synthetic.formats import FORMATS, Format

PATIENCE = 30.0  # seconds for one input
START = 120.0  # seconds for a process to import what it needs
LARGEST = 200_000  # bytes of a real file that is damaged
ALLOWED = 4 << 30  # bytes of address space beyond what a process has: the machine's protection


# --- one input


class Seed(NamedTuple):
    """Files by their places in a folder, and the one that is damaged."""

    content: dict[str, bytes]
    target: str


def seeds(format: Format) -> list[Seed]:
    """What is damaged: the generated files, and small real ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = format.make(folder).relative_to(folder)
        content = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    out = [Seed(content, str(target))]
    for path in _real(format.real):
        if path.stat().st_size <= LARGEST:
            out.append(Seed({path.name: path.read_bytes()}, path.name))
    return out


def _real(glob: str) -> list[Path]:
    if not glob:
        return []
    before, _, rest = glob.partition("{")
    choices, _, after = rest.partition("}")
    globs = [before + choice + after for choice in choices.split(",")] if rest else [glob]
    return sorted(path for one in globs for path in DATA.glob(one))


def input_of(name: str, case: int, seed: int, originals: list[Seed]) -> Seed:
    """The damaged files of a case: the same for the same format, number and seed."""
    random = np.random.default_rng([seed, *name.encode(), case])
    original = originals[case % len(originals)]
    data = damaged(original.content[original.target], random, FORMATS[name].damage)
    return Seed({**original.content, original.target: data}, original.target)


def write(case: Seed, folder: Path) -> Path:
    for place, data in case.content.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / case.target


def outcome(read: Callable[[Path], object], path: Path) -> tuple[str, str]:
    """read, refused, unclear, memory or traceback; and what there is to say."""
    try:
        read(path)
    except EverybodyError as error:
        said = str(error)
        named = path.name in said or path.parent.name in said or path.parents[1].name in said
        return ("refused" if named and "\n" not in said.strip() else "unclear"), said[:200]
    except MemoryError:
        return "memory", "MemoryError"
    except BaseException as error:  # what a fuzzer looks for
        place = traceback.extract_tb(error.__traceback__)[-1]
        own = [f for f in traceback.extract_tb(error.__traceback__) if "everybody" in f.filename]
        where = own[-1] if own else place
        return "traceback", f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
    return "read", ""


# --- processes


def work(name: str, seed: int, first: int, count: int, memory: int, answers: Connection) -> None:
    """Reads inputs from `first` on and says of each when it begins and how it ends."""
    warnings.simplefilter("ignore")
    for stream in (1, 2):  # what libraries print about broken files
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    format, originals = FORMATS[name], seeds(FORMATS[name])
    with tempfile.TemporaryDirectory() as folder:
        for place, original in enumerate(originals):  # imports what it needs, and warms up
            kind, said = outcome(format.read, write(original, Path(folder) / f"whole{place}"))
            if kind != "read":
                answers.send(("whole", f"0\tthe undamaged {original.target}: {kind}, {said}"))
        baseline = _peak()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ALLOWED, used + ALLOWED))
        answers.send(("ready", ""))
        for case in range(first, count):
            place = Path(folder) / f"case{case}"
            path = write(input_of(name, case, seed, originals), place)
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
            answers.send(("begins", str(case)))
            kind, said = outcome(format.read, path)
            peak = _peak() - baseline
            if peak > memory:
                kind, said = "memory", f"{peak} MB"
            answers.send((kind, f"{peak}\t{said}"))
            for file in place.rglob("*"):
                if file.is_file():
                    file.unlink()


def _peak() -> int:
    """The most memory of this process since it was last asked to forget, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@dataclass
class Tally:
    """What became of the inputs of a format."""

    ends: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[int]] = field(default_factory=dict)  # what was said -> cases
    peak: int = 0
    seconds: float = 0.0

    def count(self, case: int, kind: str, said: str = "") -> None:
        self.ends[kind] += 1
        if kind not in ("read", "refused"):
            self.failures.setdefault(f"{kind}: {said}", []).append(case)


def fuzz(name: str, count: int, seed: int, memory: int) -> Tally:
    """`count` damaged inputs of a format, in as many processes as it takes."""
    tally, first, begun = Tally(), 0, time.perf_counter()
    while first < count:
        first = _round(name, count, seed, memory, first, tally)
    tally.seconds = time.perf_counter() - begun
    return tally


def _round(name: str, count: int, seed: int, memory: int, first: int, tally: Tally) -> int:
    """Inputs from `first` on, until the process has done all, or has to be ended. Returns the next
    input.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, seed, first, count, memory, theirs))
    process.start()
    theirs.close()
    case, ready, patience = first, False, START
    try:
        while case < count:
            if not ours.poll(patience):
                tally.count(case, "hang", f"more than {patience:g} s")
                return case + 1
            kind, said = ours.recv()
            ready, patience = True, PATIENCE
            if kind in ("ready", "begins"):
                continue
            if kind == "whole":
                raise SystemExit(f"{name}: {said}")
            peak, _, said = said.partition("\t")
            tally.peak = max(tally.peak, int(peak))
            tally.count(case, kind, said)
            case += 1
            if kind == "memory":
                return case
    except EOFError:
        process.join()
        if not ready:
            raise SystemExit(f"{name}: cannot be made or read undamaged") from None
        tally.count(case, "crash", f"exit code {process.exitcode}")
        return case + 1
    finally:
        process.kill()
        process.join()
        ours.close()
    return case


# --- what is printed

COLUMNS = ("read", "refused", "unclear", "traceback", "crash", "hang", "memory")


def table(tallies: dict[str, Tally]) -> Iterator[str]:
    yield "| format | inputs | " + " | ".join(COLUMNS) + " | peak MB | seconds |"
    yield "| --- |" + " ---: |" * (len(COLUMNS) + 3)
    for name, tally in tallies.items():
        cells = " | ".join(str(tally.ends[kind]) for kind in COLUMNS)
        total = sum(tally.ends.values())
        yield f"| {name} | {total} | {cells} | {tally.peak} | {tally.seconds:.0f} |"


def show(name: str, tally: Tally) -> None:
    for said, cases in sorted(tally.failures.items(), key=lambda item: -len(item[1])):
        some = ", ".join(str(case) for case in cases[:4])
        print(f"  {name}: {len(cases)} × {said}  (cases {some})", file=sys.stderr, flush=True)


def keep(folder: Path, name: str, tally: Tally, seed: int) -> None:
    originals = seeds(FORMATS[name])
    for said, cases in tally.failures.items():
        if not said.startswith("unclear"):
            write(input_of(name, cases[0], seed, originals), folder / f"{name}-{cases[0]}")


def again(case: str, seed: int) -> None:
    """One input once more, in this process."""
    name, _, number = case.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        path = write(input_of(name, int(number), seed, seeds(FORMATS[name])), Path(folder) / "case")
        FORMATS[name].read(path)
    print("read")


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--count", type=int, default=1000)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--formats", nargs="*", default=list(FORMATS))
    command.add_argument("--memory", type=int, default=1024, help="MB that an input may take")
    command.add_argument("--workers", type=int, default=1, help="formats at the same time")
    command.add_argument("--keep", type=Path)
    command.add_argument("--case")
    given = parsed(command)
    if given.case:
        again(given.case, given.seed)
        return
    names = [name for name in given.formats if not _lacking(FORMATS[name])]
    tallies: dict[str, Tally] = {}
    with ThreadPoolExecutor(given.workers) as pool:
        done = pool.map(lambda name: fuzz(name, given.count, given.seed, given.memory), names)
        for name, tally in zip(names, done, strict=True):
            tallies[name] = tally
            show(name, tally)
            if given.keep:
                keep(given.keep, name, tally, given.seed)
    print(f"{given.count} inputs a format, seed {given.seed}")
    print("\n".join(table(tallies)))
    failed = any(tally.ends[kind] for tally in tallies.values() for kind in COLUMNS[2:])
    sys.exit(int(failed))


def _lacking(format: Format) -> bool:
    return bool(format.needs) and find_spec(format.needs) is None


if __name__ == "__main__":
    main()
