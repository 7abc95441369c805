"""Several cameras: triangulation against known truth and against what others have found.

    python -m benchmarks.views [golden humaneva speed crowd trial] [--views FOLDER] [--threads 1]

golden: Pose2Sim's own 2D against its raw 3D: the share of points that are the DLT of some cameras.
humaneva: three views of HumanEva (their 2D is a projection) against its 3D. speed: processor
seconds for 100,000 joints of 4 views, exact, and noisy with a tenth of all views wrong. crowd:
people that two to five cameras see, their order and misses at random: how many are put together
right. trial: Pose2Sim's four videos, our 2D, triangulated, against its raw 3D of the same number,
and against the raw 3D of the frame that shows the same moment: by how many frames its 2D, of which
its 3D is made, is apart from the videos is found in 2D alone; --views: where our 2D is kept.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import DATA, parsed, parser
from everybody.estimator import Estimator
from everybody.lift.associate import Rays, grouped
from everybody.lift.calibration_files import read_calibration
from everybody.lift.cameras import Camera
from everybody.lift.refine import Smoothness
from everybody.lift.triangulate import dlt, triangulate
from everybody.lift.views import Rules, View, triangulate_views
from everybody.options import Engine, Options
from everybody.results.formats import read_results
from everybody.run import Outputs, run
from synthetic.studio import ring, walkers

MOTION = DATA / "motion3d"
TRIAL = "S00_P00_T01_BalancingTrial"
FPS = 60.0  # of its videos
SIDES = ("hip", "knee", "ankle", "big_toe", "small_toe", "heel")
# The TRC's markers by our names, and as joints of BODY_25B.
MARKERS = {
    **{f"right_{part}": k for part, k in zip(SIDES, (12, 14, 16, 22, 23, 24), strict=True)},
    **{f"left_{part}": k for part, k in zip(SIDES, (11, 13, 15, 19, 20, 21), strict=True)},
    "neck": 17, "head": 18, "nose": 0, "right_shoulder": 6, "right_elbow": 8, "right_wrist": 10,
    "left_shoulder": 5, "left_elbow": 7, "left_wrist": 9,
}  # fmt: skip


def trial_truth() -> np.ndarray:
    """[100, 21, 3] metres, z up."""
    folder = MOTION / "pose2sim/S00_P00_SingleParticipant" / TRIAL / "pose-3d"
    path = folder / f"{TRIAL}_0-100.trc"
    return np.loadtxt(path, skiprows=5, usecols=range(2, 65)).reshape(-1, 21, 3)[..., [2, 0, 1]]


def trial_cameras() -> list[Camera]:
    return read_calibration(MOTION / "pose2sim/S00_Calibration/Calib_qualisys.toml")


def golden(given: Any) -> None:
    cameras, truth = trial_cameras(), trial_truth()
    with np.load(MOTION / f"pose2sim/{TRIAL}.npz") as file:
        seen = np.nan_to_num(file["pose_associated"][:, :, 0][:, :, list(MARKERS.values())])
    projections = np.stack([camera.matrix @ camera.pose for camera in cameras])
    nearest = np.full(truth.shape[:2], np.inf)
    for count in (2, 3, 4):
        for some in map(list, combinations(range(4), count)):
            flat = seen[some].astype(np.float64).reshape(count, -1, 3)
            points = dlt(projections[some], flat[..., :2], flat[..., 2]).reshape(truth.shape)
            nearest = np.fmin(nearest, np.linalg.norm(points - truth, axis=-1))
    print(
        f"golden: median {1e3 * np.median(nearest):.4f} mm, "
        f"{100 * (nearest < 5e-4).mean():.2f} % within .5 mm (goals: 0, 99 %)"
    )


def humaneva(given: Any) -> None:
    fitted = json.loads((MOTION / "humaneva/cameras_fitted.json").read_text())
    with np.load(MOTION / "humaneva/humaneva15.npz") as file:
        names, ends = file["sequences"], np.cumsum(file["length"])
        places, pixels = file["positions_3d"], file["positions_2d"]
    away = []
    for name, first, last in zip(names, [0, *ends], ends, strict=False):
        rows = fitted[str(name).partition("|")[0][-2:]]
        cameras = [
            Camera(str(n), *(np.array(row[key]) for key in ("K", "R", "t", "dist")))  # type: ignore[arg-type]
            for n, row in enumerate(rows)
        ]
        found = triangulate(cameras, np.moveaxis(pixels[first:last], 1, 0))
        away.append(np.linalg.norm(found.points - places[first:last], axis=-1).ravel())
    every = 1e3 * np.concatenate(away)
    print(
        f"humaneva: median {np.median(every):.4f} mm, 99 % within {np.percentile(every, 99):.2f} "
        f"mm, of {len(every)} joints (goal: .01)"
    )


def speed(given: Any) -> None:
    random, cameras = np.random.default_rng(0), ring(4)
    places = random.normal(0, 0.5, (100_000, 3))
    exact = np.stack([camera.project(places) for camera in cameras])
    noisy = exact + random.normal(0, 2, exact.shape)
    wrong = random.random(exact.shape[:2]) < 0.1
    noisy[wrong] += random.normal(0, 200, (int(wrong.sum()), 2))
    for name, pixels in (("exact", exact), ("noisy, a tenth wrong", noisy)):
        spent = []
        for _ in range(5):
            begun = time.process_time()
            triangulate(cameras, pixels)
            spent.append(time.process_time() - begun)
        away = 1e3 * np.linalg.norm(triangulate(cameras, pixels).points - places, axis=1)
        print(
            f"speed, {name}: {np.median(spent):.2f} s (least {min(spent):.2f}), median "
            f"{np.nanmedian(away):.4f} mm, {100 * np.isnan(away).mean():.2f} % not told (goal: 1 s)"
        )


def crowd(given: Any) -> None:
    for count in (2, 3, 4, 5):
        random, right, total = np.random.default_rng(count), 0, 0
        cameras = ring(count, arc=3.0 if count == 2 else 2 * np.pi)
        for _ in range(50):
            bodies = walkers(random, people=4, frames=1)[:, 0]
            shown = [random.permutation(4)[random.random(4) > 0.15] for _ in cameras]
            views = []
            for camera, some in zip(cameras, shown, strict=True):
                pixels = camera.project(bodies[some])
                directions = camera.directions(pixels + random.normal(0, 4, pixels.shape))
                views.append(Rays(camera.centre, directions, np.ones(directions.shape[:2])))
            found = {
                frozenset((v, int(shown[v][n])) for v, n in group.items())
                for group in grouped(views)
            }
            for person in range(4):
                own = frozenset((v, person) for v, some in enumerate(shown) if person in some)
                total += bool(own)
                right += own in found
        print(f"crowd, {count} cameras: {100 * right / total:.1f} % of {total} people right")


def trial(given: Any) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(given.views or temporary)
        views = [
            _trial_view(name, kept, given.threads) for name in ("cam01", "cam02", "cam03", "cam04")
        ]
    apart = frames_apart(views)
    truth, cameras = trial_truth(), trial_cameras()
    for late, acceleration in ((0.0, 0.0), (0.0, 10.0), (0.15, 10.0)):
        rules = Rules(smoothness=Smoothness(acceleration=acceleration), synchronise=late)
        scene = triangulate_views(cameras, views, rules)
        motion = max(scene.motions, key=lambda m: float(np.isfinite(m.places).sum()))
        joints = motion.skeleton.joints
        shared = [name for name in joints if name in MARKERS]
        ours = motion.places[:, [joints.index(name) for name in shared]]
        theirs = truth[:, [list(MARKERS).index(name) for name in shared]]
        frames = np.round(motion.times * FPS).astype(int)
        print(
            f"trial, synchronise {late:g}, acceleration {acceleration:g}: {len(scene.people)} "
            f"people; pixels off {_numbers(scene.errors()['cameras'])}; clocks "
            f"{_numbers(dict(zip('1234', scene.late, strict=True)), 3)}"
        )
        for name, shift in (("of the same number", 0), ("of the same moment", apart)):
            inside = (frames + shift >= 0) & (frames + shift < len(truth))
            away = 1e3 * np.linalg.norm(ours[inside] - theirs[frames[inside] + shift], axis=-1)
            rest = away[:, ["hip" not in name for name in shared]]
            print(
                f"  truth {name} ({shift:+d}): median {np.nanmedian(away):.1f} mm, 90 % "
                f"{np.nanpercentile(away, 90):.0f}, without hips {np.nanmedian(rest):.1f} "
                "(goal: 40)"
            )


def frames_apart(views: list[View]) -> int:
    """How many frames later Pose2Sim's 2D shows what a video shows, by 2D alone: where both are
    nearest, of all cameras together. That joints lie elsewhere in another format does not count:
    of each joint, the median distance is taken off first.
    """
    shifts = range(-6, 7)
    with np.load(MOTION / f"pose2sim/{TRIAL}.npz") as file:
        theirs = file["pose_associated"][:, :, 0].astype(np.float64)
    rows = []
    for camera, view in enumerate(views):
        shared = [name for name in view.skeleton.joints if name in MARKERS]
        ours = np.array([_largest(people) for people in view.people])
        ours = ours[:, [view.skeleton.joints.index(name) for name in shared], :2]
        other = theirs[camera][:, [MARKERS[name] for name in shared]]
        other = np.where(other[..., 2:] > 0.2, other[..., :2], np.nan)
        rows.append([_distance(ours, other, shift) for shift in shifts])
        least = shifts[int(np.argmin(rows[-1]))]
        print(f"trial, 2D of {view.name}: nearest to theirs {least:+d} frames ({min(rows[-1]):.1f} "
              f"pixels; of the same number {rows[-1][shifts.index(0)]:.1f})")  # fmt: skip
    apart = shifts[int(np.argmin(np.sum(rows, axis=0)))]
    print(f"trial, 2D of all cameras: nearest {apart:+d} frames")
    return apart


def _largest(people: np.ndarray) -> np.ndarray:
    """Of [N, K, 3], the one whose joints spread most."""
    if not len(people):
        return np.full(people.shape[1:], np.nan)
    return people[int(np.ptp(people[..., 1], axis=1).argmax())]


def _distance(ours: np.ndarray, theirs: np.ndarray, shift: int) -> float:
    """Pixels [T, K, 2] apart, theirs that many frames later; both without each joint's median."""
    frames = np.arange(len(ours))
    frames = frames[(frames + shift >= 0) & (frames + shift < len(theirs))]
    away = ours[frames] - theirs[frames + shift]
    away = away[:, np.isfinite(away).any((0, 2))]
    return float(np.nanmedian(np.linalg.norm(away - np.nanmedian(away, axis=0), axis=-1)))


def _trial_view(name: str, folder: Path, threads: int) -> View:
    place = folder / name
    if not place.exists():
        video = MOTION / "pose2sim/S00_P00_SingleParticipant" / TRIAL / f"videos/{name}.mp4"
        run([str(video)], Estimator(Options(engine=Engine(threads=threads))), Outputs(out=place))
    results = read_results(place)
    return View.of(name, results, results.skeleton)


def _numbers(row: dict[str, float], digits: int = 1) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in row.values())


PARTS: dict[str, Callable[[Any], None]] = {
    "golden": golden, "humaneva": humaneva, "speed": speed, "crowd": crowd, "trial": trial,
}  # fmt: skip


def main() -> None:
    command = parser(__doc__)
    command.add_argument("parts", nargs="*", default=list(PARTS))
    command.add_argument("--views", type=Path, help="a folder that keeps the trial's 2D")
    command.add_argument("--threads", type=int, default=1)
    given = parsed(command)
    for part in given.parts or PARTS:
        PARTS[part](given)


if __name__ == "__main__":
    main()
