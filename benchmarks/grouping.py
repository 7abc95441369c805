"""Grouping: milliseconds of OpenPose's beside plain Python, by the number of people; worst cases.

    python -m benchmarks.grouping [--size 180 110] [--people 1 5 20 40] [--repeats 20]

People are drawn at random places; both versions read the same maps in the same run and must give
the same people. Grouping: pairs, line integrals, matching, assembling. Peaks: confidence maps ->
peaks. A time is that of the fastest call: other load only ever adds. Then the worst cases, in time
of the processor: 500 peaks of one part, 500 of every part, and a one-stage network that is sure of
all its 8,400 cells, each a person of its own, through each pose NMS.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from math import hypot
from typing import Any

import numpy as np

from benchmarks.common import by_turns, head, parsed, parser, row
from everybody.codecs.cell_poses import CellPoses
from everybody.codecs.grouping import BODY18, Bodies, Integral, affordable, assemble, find_limbs
from everybody.codecs.part_fields import PartFields
from everybody.codecs.peaks import Peaks, find_peaks
from everybody.nms import pose_nms
from everybody.people import People
from everybody.skeletons import COCO17, OPENPOSE18
from synthetic import planted


def plain_peaks(maps: list[list[list[float]]], threshold: float, radius: float) -> list[Any]:
    """The peaks of every part as (x, y, score), by loops over cells."""
    parts = []
    for rows in maps:
        found = []
        for y, line in enumerate(rows):
            for x, value in enumerate(line):
                if value < threshold:
                    continue
                before = max(line[x - 1] if x else 0, rows[y - 1][x] if y else 0)
                right = line[x + 1] if x + 1 < len(line) else 0
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
    bodies = []
    for _ in range(people):
        x, y = rng.uniform((15, 30), (size[0] - 15, size[1] - 30))
        height, turn, spread = rng.uniform((40, -20, 0.7), (80, 20, 1.3))
        bodies.append(planted.body(OPENPOSE18, (x, y), height, turn=turn, spread=spread))
    codec = PartFields(stride=1, sigma=2.0, width=2.0)
    joints, fields = codec.encode(planted.seen(np.array(bodies)), size)
    return joints[:-1], fields


def compare(people: int, size: tuple[int, int], repeats: int) -> str:
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

    fast = {"grouping": ours, "peaks": lambda: find_peaks(heatmaps)}
    slow = {"grouping": plain, "peaks": lambda: plain_peaks(lists, 0.1, 6)}
    least = [
        {name: min(times) for name, times in by_turns(works, count).items()}
        for works, count in ((fast, 10 * repeats), (slow, repeats))
    ]
    cells: list[object] = [people, len(peaks.x)]
    for name in fast:
        one, other = least[0][name], least[1][name]
        cells += [f"{one:.2f}", f"{other:.1f}", f"{other / one:.1f}"]
    return row(*cells)


def worst(many: list[int], repeats: int) -> float:
    """500 random peaks of those parts, 20 of the others, in random fields -> milliseconds."""
    rng = np.random.default_rng(0)
    part = np.concatenate([np.full(500 if k in many else 20, k) for k in range(18)])
    x, y = rng.integers(0, 180, len(part)), rng.integers(0, 110, len(part))
    peaks = Peaks(part, x, y, rng.uniform(0.1, 1, len(part)).astype(np.float32))
    fields = rng.uniform(-1, 1, (38, 110, 180)).astype(np.float32)
    fields[::2] += 0.5  # so that a share of the pairs passes

    def ours() -> Bodies:
        some = affordable(peaks, BODY18)
        return assemble(some, find_limbs(some, fields, BODY18), BODY18)

    return of_cpu(ours, repeats)


def of_cpu(work: Callable[[], object], repeats: int) -> float:
    """The least milliseconds that this thread computes for it: other load hardly counts."""
    times = []
    for _ in range(repeats):
        begun = time.thread_time()
        work()
        times.append(time.thread_time() - begun)
    return 1000 * min(times)


def sure_cells(count: int, suppressors: list[str], repeats: int) -> dict[str, float]:
    """So many people of 5 pixels side by side, a cell each -> milliseconds until the pose NMS of
    that name has been through them.
    """
    rng, codec = np.random.default_rng(0), CellPoses()
    row, column = np.divmod(np.arange(count), 92)
    corner = 7.0 * np.stack([column, row], 1)
    joints = np.ones((1, count, len(COCO17), 3), np.float32)
    joints[0, ..., :2] = corner[:, None] + rng.uniform(0, 5, (count, len(COCO17), 2))
    boxes = np.concatenate([corner, corner + 5], 1)[None].astype(np.float32)
    said = [boxes, rng.uniform(0.5, 1, (1, count)).astype(np.float32), joints]

    def through(suppress: Callable[[People], People]) -> People:
        ((keypoints, boxes, scores),) = codec.decode(said, (644, 644))
        return suppress(People(keypoints, boxes, scores, COCO17))

    return {name: of_cpu(partial(through, pose_nms(name)), repeats) for name in suppressors}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--size", type=int, nargs=2, default=(180, 110), help="cells")
    command.add_argument("--people", type=int, nargs="+", default=[1, 5, 20, 40])
    command.add_argument("--repeats", type=int, default=20)
    given = parsed(command)

    print(
        head(
            "people", "peaks", "grouping, ms", "plain Python", "plain : ours",
            "finding peaks, ms", "plain Python", "plain : ours",
        )
    )  # fmt: skip
    width, height = given.size
    for people in given.people:
        print(compare(people, (width, height), given.repeats), flush=True)

    print(f"\n500 peaks of the neck, 20 of the others: {worst([1], given.repeats):.0f} ms of CPU")
    print(f"500 peaks of every part: {worst(list(range(18)), given.repeats):.0f} ms of CPU")
    for name, least in sure_cells(8400, ["parametric", "oks", "soft-oks"], 3).items():
        print(f"8,400 sure cells far apart, pose NMS {name}: {least:.0f} ms of CPU")


if __name__ == "__main__":
    main()
