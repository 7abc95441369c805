"""How well feet that stand stay in place, where it is known when they stand.

    python -m benchmarks.standing [--noise 1] [--every 3]

CMU's held-out subjects, at most ten seconds of every third sequence, each seen by one of the twelve
cameras of `benchmarks.coach` that stand still, are lifted with true 2D (--noise 0) and with the
errors of our 2D models. A foot truly stands while its ankle is slower than .15 m/s over a tenth of
a second and at most 8 cm above its lowest, for .2 s or longer. Of each such contact: the farthest
that the lifted ankle is from its mean place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.coach import VIEWS, coco, seen
from benchmarks.common import DATA, head, parsed, parser, row
from benchmarks.lifting import HELD_OUT
from everybody.data.cmu import read_captures
from everybody.lift.cameras import focal
from everybody.lift.floor import ANKLES
from everybody.lift.lifter import FOV, Lift, Lifting
from everybody.people import People
from everybody.results.records import Record
from everybody.skeletons import COCO17

SIZE = (1280, 720)
FRAMES = 300
SLOW, LOW, LEAST = 0.15, 0.08, 0.2  # metres a second, metres, seconds: a foot that truly stands
OF_COCO = [COCO17.joints.index(name) for name in ("left_ankle", "right_ankle")]

Contact = tuple[int, slice]  # left or right, frames


def contacts(joints: np.ndarray, fps: float) -> Iterator[Contact]:
    """Joints [T, 17, 3] in metres, y up -> when a foot stands."""
    span = max(round(0.1 * fps), 1)
    for foot, k in enumerate(OF_COCO):
        ankle = joints[:, k]
        speed = np.full(len(ankle), np.inf)
        moved = np.linalg.norm(ankle[span:] - ankle[:-span], axis=1) * fps / span
        speed[span // 2 : span // 2 + len(moved)] = moved
        stands = (speed < SLOW) & (ankle[:, 1] < np.percentile(ankle[:, 1], 5) + LOW)
        edges = np.flatnonzero(np.diff(np.pad(stands.astype(int), 1)))
        for start, end in edges.reshape(-1, 2):
            if end - start >= LEAST * fps:
                yield foot, slice(int(start), int(end))


def records(points: np.ndarray, fps: float) -> Iterator[Record]:
    """Joints [T, 17, 3] at a focal length of 1000 about the middle -> one person's film."""
    middle, scale = (np.array(SIZE) - 1) / 2, focal(SIZE, FOV) / 1000
    for index, pose in enumerate(points):
        joints = np.concatenate([pose[:, :2] * scale + middle, pose[:, 2:]], 1)[None]
        people = People(
            joints.astype(np.float32), np.zeros((1, 4), np.float32), np.ones(1, np.float32),
            COCO17, np.array([1]),
        )  # fmt: skip
        yield Record("a.mp4", index, index / fps, *SIZE, people)


def slides(places: NDArray[np.floating], stood: list[Contact]) -> list[float]:
    """Ankles [T, 2, 3] -> per contact, the farthest from its mean place, in centimetres."""
    runs = (places[part, foot] for foot, part in stood)
    return [100 * float(np.linalg.norm(run - run.mean(0), axis=1).max()) for run in runs]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--noise", type=float, default=1.0, help="share of views with errors")
    options.add_argument("--every", type=int, default=3, help="sequences")
    chosen = parsed(options)
    captures = read_captures(DATA / "motion3d/cmu/cmu24_30fps.npz")
    held = [one for one in captures if one.subject in HELD_OUT]
    rng = np.random.default_rng(0)
    ways = {
        "captured": None,
        "as the network says": Lift(steady=False),
        "held": Lift(),
        "held, live": Lift(ahead=0),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number, capture in enumerate(held[:: chosen.every]):
        joints = coco(capture, slice(0, FRAMES))
        stood = list(contacts(joints, capture.fps))
        film = list(records(seen(joints, number % VIEWS, chosen.noise, rng), capture.fps))
        for name, lift in ways.items():
            if lift is None:
                ankles = joints[:, OF_COCO]
            else:
                poses = [one.joints[0, ANKLES, :3] for _, one in Lifting(lift).poses(film)]
                ankles = np.stack(poses)
            found[name] += slides(ankles, stood)

    print(head("ankles", "median", "90 %", "within 1 cm", "contacts"))
    for name, far in found.items():
        figures = [f"{np.percentile(far, q):.1f} cm" for q in (50, 90)]
        print(row(name, *figures, f"{np.mean(np.array(far) <= 1):.0%}", len(far)))


if __name__ == "__main__":
    main()
