"""How long it takes to group peaks into people, beside a plain Python version of the same rules.

    python benchmarks/grouping.py [--size 180 110] [--people 1 5 20 40]

People are drawn at random places; both versions read the same maps in the same run and must give
the same people. Grouping: pairs, line integrals, matching, assembling. Peaks: confidence maps ->
peaks. Then the worst cases: 500 peaks of one part, and 500 of every part.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from everybody.methods.grouping import BODY18, Bodies, Integral, assemble, find_limbs
from everybody.methods.peaks import Peaks, find_peaks
from everybody.skeletons import OPENPOSE18
from tests import planted


def milliseconds(function: Callable[[], Any], least: float = 1.0) -> float:
    """The fastest of many calls: what else runs on the machine only ever adds."""
    spent, times = 0.0, []
    while spent < least:
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
        spent += times[-1]
    return 1e3 * min(times)


def plain_peaks(maps: list[list[list[float]]], threshold: float, radius: float) -> list[Any]:
    """The peaks of every part as (x, y, score), by loops over cells."""
    parts = []
    for rows in maps:
        found = []
        for y, row in enumerate(rows):
            for x, value in enumerate(row):
                if value < threshold:
                    continue
                before = max(row[x - 1] if x else 0, rows[y - 1][x] if y else 0)
                right = row[x + 1] if x + 1 < len(row) else 0
                below = rows[y + 1][x] if y + 1 < len(rows) else 0
                if value > before and value >= max(right, below):
                    found.append((x, y, value))

        kept: list[tuple[int, int, float]] = []
        for x, y, value in sorted(found, key=lambda peak: -peak[2]):
            if all(hypot(x - u, y - v) >= radius for u, v, _ in kept):
                kept.append((x, y, value))
        parts.append(sorted(kept))
    return parts


def plain_limbs(parts: list[Any], fields: list[Any], integral: Integral) -> list[Any]:
    """Per limb, the matched pairs (place in a, place in b, score), by loops over pairs."""
    matched = []
    steps = [sample / (integral.samples - 1) for sample in range(integral.samples)]
    for (a, b), channel in zip(BODY18.limbs, BODY18.channels, strict=True):
        pairs = []
        for i, (ax, ay, _) in enumerate(parts[a]):
            for j, (bx, by, _) in enumerate(parts[b]):
                dx, dy = bx - ax, by - ay
                length = hypot(dx, dy) or 1e-9
                total, number = 0.0, 0
                for step in steps:
                    x, y = ax + round(dx * step), ay + round(dy * step)
                    value = fields[channel][y][x] * dx + fields[channel + 1][y][x] * dy
                    if value / length > integral.least:
                        total += value / length
                        number += 1
                if number > integral.share * integral.samples and total > 0:
                    pairs.append((i, j, total / number))

        pairs.sort(key=lambda pair: -pair[2])
        used_a: set[int] = set()
        used_b: set[int] = set()
        kept = []
        for i, j, score in pairs:
            if i not in used_a and j not in used_b:
                used_a.add(i)
                used_b.add(j)
                kept.append((i, j, score))
        matched.append(kept)
    return matched


def plain_people(parts: list[Any], matched: list[Any]) -> list[list[int]]:
    """People as rows of places among all peaks, -1 where there is none."""
    starts = [sum(map(len, parts[:part])) for part in range(len(parts))]
    people: list[dict[str, Any]] = []
    for place, ((a, b), pairs) in enumerate(zip(BODY18.limbs, matched, strict=True)):
        for i, j, score in pairs:
            if place >= BODY18.tree:
                for person in people:
                    if person["at"][a] == i and person["at"][b] < 0:
                        person["at"][b] = j
                    elif person["at"][b] == j and person["at"][a] < 0:
                        person["at"][a] = i
                continue
            for person in people:
                if person["at"][a] == i:
                    break
            else:
                person = {"at": [-1] * len(parts), "score": parts[a][i][2], "parts": 1}
                person["at"][a] = i
                people.append(person)
            person["at"][b] = j
            person["score"] += parts[b][j][2] + score
            person["parts"] += 1

    kept = [p for p in people if p["parts"] >= 3 and p["score"] >= 0.2 * p["parts"]]
    return [
        [start + at if at >= 0 else -1 for start, at in zip(starts, p["at"], strict=True)]
        for p in kept
    ]


def crowd(people: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Random people of 40 to 80 cells -> confidence maps and fields."""
    rng = np.random.default_rng(people)
    bodies = [
        planted.body(
            OPENPOSE18,
            tuple(rng.uniform((15, 30), (size[0] - 15, size[1] - 30))),
            rng.uniform(40, 80),
            turn=rng.uniform(-20, 20),
            spread=rng.uniform(0.7, 1.3),
        )
        for _ in range(people)
    ]
    points = np.array(bodies)
    return planted.heatmaps(points, size), planted.fields(points, BODY18, size)


def compare(people: int, size: tuple[int, int]) -> str:
    heatmaps, fields = crowd(people, size)
    peaks = find_peaks(heatmaps)

    def ours() -> Bodies:
        return assemble(peaks, find_limbs(peaks, fields, BODY18), BODY18)

    lists, field_lists = heatmaps.tolist(), fields.tolist()
    parts = plain_peaks(lists, 0.1, 6)

    def plain() -> list[list[int]]:
        return plain_people(parts, plain_limbs(parts, field_lists, Integral()))

    assert [(x, y) for part in parts for x, y, _ in part] == [*zip(peaks.x, peaks.y, strict=True)]
    assert ours().peaks.tolist() == plain()

    fast, slow = milliseconds(ours), milliseconds(plain)
    fast_peaks = milliseconds(lambda: find_peaks(heatmaps))
    slow_peaks = milliseconds(lambda: plain_peaks(lists, 0.1, 6))
    return (
        f"| {people} | {len(peaks.x)} | {fast:.3f} ms | {slow:.1f} ms | {slow / fast:.0f} | "
        f"{fast_peaks:.3f} ms | {slow_peaks:.1f} ms | {slow_peaks / fast_peaks:.0f} |"
    )


def worst(many: list[int]) -> float:
    """500 random peaks of those parts, 20 of the others, in random fields -> milliseconds."""
    rng = np.random.default_rng(0)
    part = np.concatenate([np.full(500 if k in many else 20, k) for k in range(18)])
    x, y = rng.integers(0, 180, len(part)), rng.integers(0, 110, len(part))
    peaks = Peaks(part, x, y, rng.uniform(0.1, 1, len(part)).astype(np.float32))
    fields = rng.uniform(-1, 1, (38, 110, 180)).astype(np.float32)
    fields[::2] += 0.5  # so that a share of the pairs passes

    def ours() -> Bodies:
        return assemble(peaks, find_limbs(peaks, fields, BODY18), BODY18)

    return milliseconds(ours)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=2, default=(180, 110), help="cells")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 5, 20, 40])
    given = parser.parse_args()

    print(
        "| people | peaks | grouping | plain Python | plain : ours | peaks | plain | plain : ours |"
    )
    print("| --- " * 8 + "|")
    for people in given.people:
        print(compare(people, tuple(given.size)), flush=True)

    print(f"\n500 peaks of the neck, 20 of the others: {worst([1]):.1f} ms")
    print(f"500 peaks of every part: {worst(list(range(18))):.0f} ms")


if __name__ == "__main__":
    main()
