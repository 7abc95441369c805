"""The rigid body: how much truer it makes noisy joints, what sensors on bones add, and how fast
inverse kinematics is.

    python -m benchmarks.body noise      # joints in space with noise, before and after
    python -m benchmarks.body sensors    # a picture, or drifting joints, with and without IMUs
    python -m benchmarks.body speed      # frames per second, against scipy frame by frame

All on ../shared/data/motion3d/cmu: every `--every`th sequence, its first `--frames` frames at 30
frames per second. Errors are mean distances of joints in millimetres; "about the root" after both
pelves are moved together. Sensors have a random north, lie on their bones anyhow, and err by 3
degrees. Speed is processor time on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import least_squares

from benchmarks.common import DATA, parsed, parser
from everybody.data.cmu import read_captures
from everybody.lift.body import Animation
from everybody.lift.cameras import Camera
from everybody.lift.inverse import posture, solve, solve_picture, terms_of
from everybody.lift.measure import fit_body
from everybody.lift.motion import Motion
from everybody.lift.rules import RULES, Rules
from everybody.lift.sensors import Imus, imu_term, synthetic_imus
from everybody.lift.terms import Places, State
from everybody.skeletons import CMU24, H36M17

CMU = DATA / "motion3d" / "cmu" / "cmu24_30fps.npz"
UP = [2, 0, 1]  # of axes whose y points up, those whose z does
RATE = 30.0
H36M_OF_CMU = {"thorax": "neck", "upper_neck": "head"}
_LIMBS = ("upper_arm", "forearm", "thigh", "shank")
SENSORS = ("pelvis", "trunk", "head", *(f"{s}_{b}" for s in ("left", "right") for b in _LIMBS))
MATRIX = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])


def sequences(every: int, frames: int) -> Iterator[tuple[str, Motion]]:
    """Names and motions of CMU's joints, z up."""
    for capture in read_captures(CMU)[::every]:
        joints = capture.joints[:frames, :, UP]
        yield capture.name, Motion(CMU24, joints, np.arange(len(joints)) / RATE)


def of_h36m(motion: Motion) -> Motion:
    """The same person in the joints of Human3.6M."""
    places = [CMU24.joints.index(H36M_OF_CMU.get(name, name)) for name in H36M17.joints]
    return Motion(H36M17, motion.joints[:, places], motion.times)


def distance(found: Motion, truth: Motion, *, rooted: bool = False) -> float:
    a, b = found.places, truth.places
    if rooted:
        a, b = a - a[:, :1], b - b[:, :1]
    return 1000 * float(np.linalg.norm(a - b, axis=2).mean())


def shaking(motion: Motion) -> float:
    """Mean acceleration of the joints in m/s²."""
    return float(np.linalg.norm(np.diff(motion.places, 2, axis=0), axis=2).mean()) * RATE**2


def spread(motion: Motion) -> float:
    """How much the lengths of limbs vary over the clip: the largest standard deviation by mean."""
    skeleton = motion.skeleton
    lengths = []
    for k, parent in enumerate(skeleton.parents):
        if skeleton.joints[k].rpartition("_")[2] in ("knee", "ankle", "elbow", "wrist"):
            lengths.append(np.linalg.norm(motion.places[:, k] - motion.places[:, parent], axis=1))
    return float(max(length.std() / length.mean() for length in lengths))


def noise(every: int, frames: int) -> None:
    print("| joints | noise | error | after | shaking | after | truth | lengths vary | after |")
    print("| --- |" + " ---: |" * 8)
    for skeleton, change in ((CMU24, lambda motion: motion), (H36M17, of_h36m)):
        for sigma in (0.0, 0.01, 0.02, 0.04):
            rows = [_noise(change(m), sigma) for _, m in sequences(every, frames)]
            means = np.mean(rows, axis=0)
            cells = [f"{value:.1f}" for value in means[:5]] + [f"{v:.2%}" for v in means[5:]]
            print(f"| {skeleton.name} | {1000 * sigma:.0f} mm | " + " | ".join(cells) + " |")


def _noise(truth: Motion, sigma: float) -> list[float]:
    random = np.random.default_rng(0)
    seen = Motion(
        truth.skeleton, truth.places + sigma * random.normal(size=truth.places.shape), truth.times
    )
    rules = Rules(joint=max(sigma, RULES.joint))
    found = solve(fit_body(seen), seen, rules=rules).motion(truth.skeleton)
    return [
        distance(seen, truth), distance(found, truth), shaking(seen), shaking(found),
        shaking(truth), spread(seen), spread(found),
    ]  # fmt: skip


def view(truth: Animation, random: np.random.Generator) -> Camera:
    """A camera five metres away at about the height of the pelvis, from anywhere."""
    middle = truth.root.mean(0)
    yaw = random.uniform(0, 2 * np.pi)
    place = middle + np.array([5 * np.cos(yaw), 5 * np.sin(yaw), 0.4])
    ahead = (middle - place) / np.linalg.norm(middle - place)
    right = np.cross(ahead, [0, 0, 1])
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    return Camera("camera", MATRIX, rotation, -rotation @ place)


def sensors(every: int, frames: int) -> None:
    """By sequence: the picture alone and with sensors; joints with drifting errors, the same."""
    print("| sequence | picture | with IMUs | drifting joints | with IMUs |")
    print("| --- | ---: | ---: | ---: | ---: |")
    rows = []
    for name, motion in sequences(every, frames):
        random = np.random.default_rng(len(rows))
        body = fit_body(motion)
        truth = solve(body, motion)
        imus = synthetic_imus(truth, SENSORS, random)
        row = [*_picture(truth, imus, random), *_drifting(truth, imus, random)]
        rows.append(row)
        print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in row) + " |", flush=True)
    print("| mean | " + " | ".join(f"{value:.0f}" for value in np.mean(rows, axis=0)) + " |")


def _picture(truth: Animation, imus: Imus, random: np.random.Generator) -> tuple[float, float]:
    """Joints seen by one camera with an error of 4 pixels."""
    camera = view(truth, random)
    points = np.full((len(truth), len(truth.body), 3), np.nan)
    seen = [truth.body.joints.index(name) for name in CMU24.joints]
    pixels = camera.onto(truth.places[:, seen])
    points[:, seen, :2] = pixels + 4 * random.normal(size=pixels.shape)
    points[:, seen, 2] = 1
    video = solve_picture(truth.body, points, truth.times, camera)
    both = video
    for _ in range(3):
        term = imu_term(imus, both)
        both = solve_picture(truth.body, points, truth.times, camera, start=both, terms=[term])
    return _rooted(video, truth), _rooted(both, truth)


def _drifting(truth: Animation, imus: Imus, random: np.random.Generator) -> tuple[float, float]:
    """Joints in space that err as a lifter's do: for a second or so in one direction, by 50 mm."""
    places = truth.motion(CMU24).places
    knots = np.arange(0, len(truth) + 30, 20)
    errors = 0.05 * random.normal(size=(len(knots), *places.shape[1:])) / np.sqrt(3) * 1.4
    drift = np.stack([np.interp(np.arange(len(truth)), knots, column)
                      for column in errors.reshape(len(knots), -1).T], 1)  # fmt: skip
    seen = Motion(CMU24, places + drift.reshape(places.shape), truth.times)
    rules = Rules(joint=0.05)
    video = solve(truth.body, seen, rules=rules)
    both = video
    for _ in range(3):
        both = solve(truth.body, seen, rules=rules, terms=[imu_term(imus, both)])
    return _rooted(video, truth), _rooted(both, truth)


def _rooted(found: Animation, truth: Animation) -> float:
    return distance(found.motion(CMU24), truth.motion(CMU24), rooted=True)


def speed(every: int, frames: int) -> None:
    motions = [motion for _, motion in sequences(every, frames)]
    print("| joints | ours | scipy, our slopes | scipy, differences | times as fast |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for skeleton, change in ((CMU24, lambda motion: motion), (H36M17, of_h36m)):
        clips = [change(motion) for motion in motions]
        ours = _rate(clips, lambda motion: solve(fit_body(motion), motion))
        few = [Motion(skeleton, m.joints[:4], m.times[:4]) for m in clips[:4]]
        analytic = _rate(few, lambda motion: _frame_by_frame(motion, analytic=True))
        numeric = _rate(few, lambda motion: _frame_by_frame(motion, analytic=False))
        cells = [f"{value:.1f}" for value in (ours, analytic, numeric)]
        print(f"| {skeleton.name} | " + " | ".join(cells) + f" | {ours / numeric:.0f} |")


def _rate(motions: list[Motion], run: Callable[[Motion], object]) -> float:
    """Frames per second of processor time."""
    begun = time.process_time()
    for motion in motions:
        run(motion)
    return sum(map(len, motions)) / (time.process_time() - begun)


def _frame_by_frame(motion: Motion, *, analytic: bool) -> None:
    """scipy's least squares from the same start to the same minimum, without smoothness."""
    body = fit_body(motion)
    sites = np.array([body.joints.index(name) for name in motion.skeleton.joints])
    for t in range(len(motion)):
        goals = Places(sites, motion.places[t : t + 1], np.full((1, len(sites)), 1 / RULES.joint))
        every = terms_of(body, [goals], RULES)
        places = np.full((1, len(body), 3), np.nan)
        places[:, sites] = motion.places[t : t + 1]
        start = posture(body, places)

        def residuals(moves: np.ndarray, start: State = start, every: list = every) -> np.ndarray:
            return np.concatenate([term(start.moved(moves[None]))[0][0] for term in every])

        def slopes(moves: np.ndarray, start: State = start, every: list = every) -> np.ndarray:
            state = start.moved(moves[None])
            return np.concatenate([term(state)[1]()[0] for term in every])

        size = 3 + 3 * len(body.turning)
        least_squares(residuals, np.zeros(size), jac=slopes if analytic else "2-point", ftol=1e-3)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("what", choices=("noise", "sensors", "speed"))
    command.add_argument("--every", type=int, default=20)
    command.add_argument("--frames", type=int, default=240)
    given = parsed(command)
    {"noise": noise, "sensors": sensors, "speed": speed}[given.what](given.every, given.frames)


if __name__ == "__main__":
    main()
