"""How well the lifter does: on CMU's held-out subjects by action and by camera height, on HumanEva;
how steady it is, and how fast.

    python -m benchmarks.lifting cmu [--model FILE]
    python -m benchmarks.lifting humaneva [--model FILE] [--ahead 0]
    python -m benchmarks.lifting trial [--blazepose FILE]
    python -m benchmarks.lifting steady RESULTS
    python -m benchmarks.lifting speed
    python -m benchmarks.lifting stream live|files [--frames 1000000]
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.common import DATA, parsed, parser
from benchmarks.views import MARKERS, TRIAL, trial_truth
from everybody.data.cmu import Capture, read_captures
from everybody.estimator import Estimator
from everybody.lift.anatomy import HEIGHT, stature
from everybody.lift.floor import FloorFinder, grounded, skating, slides, stretching
from everybody.lift.knees import as_in_gait
from everybody.lift.lifter import AHEAD, Lift, Lifting, Network
from everybody.lift.track import RATE, sampled
from everybody.metrics.mpjpe import mpjpe, pa_mpjpe, pck3d, rescaled
from everybody.options import Engine
from everybody.people import People, Poses3D
from everybody.results.formats import read_results
from everybody.results.lifted import lifted_file
from everybody.results.records import Record, Results
from everybody.skeletons import COCO17, H36M17
from everybody.train.sequences import AS_CAPTURED, mirrored_pose
from everybody.train.virtual_cameras import Bodies, Shots, clips
from everybody.weights.locate import opened

Array = NDArray[Any]
MOTION = DATA / "motion3d"
HELD_OUT = (9, 12, 14)  # CMU's subjects that the recipe `lifter` does not learn from
HEIGHTS = (0.3, 1.0, 1.7, 3.0, 6.0)  # of the camera above the floor, in metres
LIMBS = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
OF_H36M = [H36M17.joints.index(name) for name in LIMBS]
FPS = 60.0  # of HumanEva's motion
# Pixels of COCO's joints of somebody who stands.
STANDING = np.array(
    [(320, 100), (325, 95), (315, 95), (332, 98), (308, 98), (350, 140), (290, 140), (360, 190),
     (280, 190), (365, 235), (275, 235), (338, 240), (302, 240), (338, 320), (302, 320), (338, 395),
     (302, 395)], float,
)  # fmt: skip
EACH = 1500  # clips, at most, of each row of the table of CMU


def measured(found: Array, truth: Array) -> dict[str, float]:
    """Poses [N, K, 3] in millimetres about the same root -> figures."""
    return {
        "MPJPE": mpjpe(found, truth, root=None).over_all,
        "N-MPJPE": mpjpe(rescaled(found, truth), truth, root=None).over_all,
        "PA-MPJPE": pa_mpjpe(found, truth).over_all,
        "PCK3D@150": pck3d(found, truth, root=None).over_all,
        "N-PCK3D@150": pck3d(rescaled(found, truth), truth, root=None).over_all,
    }


def shown(name: str, figures: dict[str, float]) -> None:
    cells = "  ".join(
        f"{key} {value:.3f}" if "PCK" in key else f"{key} {value:5.1f}"
        for key, value in figures.items()
    )
    print(f"{name:28} {cells}", flush=True)


def lifted(net: Network, points: Array) -> Array:
    """[N, F, 17, 3] -> [N, 17, 3] in heights, a few at a time."""
    parts = np.array_split(points, len(points) // 256 + 1)
    return as_in_gait(np.concatenate([net(part.astype(np.float32)) for part in parts]))


# CMU


def cmu(net: Network) -> None:
    """Held-out subjects: 2D seen perfectly, and with the errors of our 2D models."""
    captures = read_captures(MOTION / "cmu" / "cmu24_30fps.npz")
    index = json.loads((MOTION / "cmu" / "index.json").read_text())
    actions = {one["id"]: one["description"] for one in index}
    held = [one for one in captures if one.subject in HELD_OUT]
    learnt = [one for one in captures if one.subject not in HELD_OUT]
    plain = Shots(reach=(net.reach, net.reach), **AS_CAPTURED)
    _, poses = clips(Bodies.of(learnt), _rows(learnt), plain, np.random.default_rng(0))
    mean = np.mean([poses, mirrored_pose(poses)], axis=0).mean(0)
    for noise, name in ((0.0, "true 2D"), (1.0, "noisy 2D")):
        shots = replace(plain, noise=noise)
        print(f"{name}:")
        shown("all", _judged(net, held, shots))
        shown("the mean pose", _judged(net, held, shots, pose=mean))
        for action, group in _by_action(held, actions):
            shown(f"  {action}", _judged(net, group, shots))
        for height in HEIGHTS:
            shown(f"  camera at {height} m", _judged(net, held, replace(shots, height=height)))


def _rows(captures: list[Capture]) -> Array:
    total = sum(len(one.joints) for one in captures)
    return np.linspace(0, total - 1, min(EACH, total)).astype(int)


def _judged(
    net: Network, captures: list[Capture], shots: Shots, pose: Array | None = None
) -> dict[str, float]:
    """pose: what is answered in the network's place."""
    rows, rng = _rows(captures), np.random.default_rng(1)
    points, truth = clips(Bodies.of(captures), rows, shots, rng)
    truth = as_in_gait(truth)
    found = lifted(net, points) if pose is None else np.repeat(pose[None], len(rows), 0)
    scale = stature(truth) / stature(found)  # the height is known, as by --height
    return measured(found * scale[:, None, None] * 1000, truth * 1000)


def _by_action(
    captures: list[Capture], actions: dict[str, str]
) -> Iterator[tuple[str, list[Capture]]]:
    """Sequences by the first words of their descriptions."""
    named = sorted((_action(actions[one.name]), n) for n, one in enumerate(captures))
    for action, group in itertools.groupby(named, key=lambda pair: pair[0]):
        yield action, [captures[n] for _, n in group]


def _action(description: str) -> str:
    words = {
        "run": "run",
        "walk": "walk",
        "box": "boxing",
        "jack": "exercises",
        "drink": "drink, eat",
        "sit": "sit, stand up",
        "chair": "sit, stand up",
        "mop": "housework",
        "wash": "housework",
        "jump": "jump",
        "tai chi": "tai chi",
    }
    return next((name for word, name in words.items() if word in description.lower()), "other")


# HumanEva


def humaneva(net: Network, ahead: int) -> None:
    """True 2D of the 12 joints of limbs, by camera, subject and action."""
    path = MOTION / "humaneva" / "humaneva15.npz"
    data = np.load(path)
    cameras = json.loads(path.with_name("cameras_fitted.json").read_text())
    names = tuple(str(name) for name in data["joints"])
    limbs = [names.index(name) for name in LIMBS]
    groups: dict[str, list[tuple[Array, Array]]] = {}
    ends = np.cumsum(data["length"])
    for name, start, end in zip(data["sequences"], ends - data["length"], ends, strict=True):
        part = slice(int(start), int(end))
        subject, action = str(name).split("/")[1].split("|")
        for number, camera in enumerate(cameras[subject]):
            points = seen_by(camera, data["positions_2d"][part, number], names, net.reach, ahead)
            truth = data["positions_3d"][part][:, limbs] @ np.array(camera["R"]).T
            pair = (lifted(net, points)[:, OF_H36M] * HEIGHT, truth)
            for key in ("all", f"camera {number + 1}", subject, action.split()[0]):
                groups.setdefault(key, []).append(pair)
    for key, group in groups.items():
        found, truth = (np.concatenate(parts) * 1000 for parts in zip(*group, strict=True))
        shown(key, measured(about_hips(found), about_hips(truth)))


def trial(blazepose: str | None) -> None:
    """Pose2Sim's balancing trial: each of its four videos, found and lifted alone, against the
    markers of the same frame, the 12 joints of limbs.
    """
    truth = trial_truth()[:, [list(MARKERS).index(name) for name in LIMBS]]
    methods: dict[str, Estimator] = {"one camera, lifted": Estimator(threads=1, workers=1)}
    if blazepose:
        methods["BlazePose's own metres"] = Estimator(
            method="blazepose", pose=blazepose, threads=1, workers=1
        )
    for name, estimator in methods.items():
        found, there = [], []
        for camera in ("cam01", "cam02", "cam03", "cam04"):
            video = MOTION / f"pose2sim/S00_P00_SingleParticipant/{TRIAL}/videos/{camera}.mp4"
            ours = name.startswith("one")
            frames = estimator.stream(str(video), track=ours)
            for frame in Lifting(Lift())(frames) if ours else frames:
                poses = frame.poses3d
                if poses is None or not len(poses) or frame.index >= len(truth):
                    continue
                size = (frame.people.boxes[:, 2:] - frame.people.boxes[:, :2]).prod(1)
                joints = [poses.skeleton.joints.index(limb) for limb in LIMBS]
                found.append(poses.joints[int(size.argmax()), joints, :3])
                there.append(truth[frame.index])
        pair = 1000 * np.array(found, np.float64), 1000 * np.array(there)
        # The markers stand in the laboratory, poses before the camera: only the shape compares.
        figures = measured(*map(about_hips, pair))
        shown(f"{name}, {len(found)} poses", {"PA-MPJPE": figures["PA-MPJPE"]})


def about_hips(poses: Array) -> Array:
    """Limbs [N, 12, 3] about the middle of the hips."""
    hips = [LIMBS.index("left_hip"), LIMBS.index("right_hip")]
    return poses - poses[:, hips].mean(1, keepdims=True)


def seen_by(
    camera: dict[str, Any], pixels: Array, names: tuple[str, ...], reach: int, ahead: int
) -> Array:
    """Pixels [T, K, 2] of a camera with a distorting lens -> clips [T, F, 17, 3]."""
    flat = cv2.undistortPoints(
        pixels.reshape(-1, 1, 2).astype(np.float64), np.array(camera["K"]), np.array(camera["dist"])
    ).reshape(pixels.shape)
    points = np.zeros((len(pixels), len(COCO17), 3), np.float32)
    for name in LIMBS:
        k = COCO17.joints.index(name)
        points[:, k, :2], points[:, k, 2] = flat[:, names.index(name)], 1
    times = np.arange(len(points)) / FPS
    out = np.zeros((len(points), 2 * reach + 1, len(COCO17), 3), np.float32)
    for clip, at in zip(out, times, strict=True):
        wanted = at + np.arange(-reach, min(reach, ahead) + 1) / RATE
        clip[: len(wanted)] = sampled(times, points, wanted)
    return out


# Steadiness and speed


def steady(results: Path) -> None:
    """Of each person of a film: bones, feet that stand, and jitter, with and without steadying."""
    records = list(read_results(results))
    for name, lift in (("as lifted", Lift(steady=False)), ("steady bones", Lift())):
        lifted_ = list(Lifting(lift).poses(records))
        told(name, [(record.time, poses) for record, poses in lifted_])
    finder = FloorFinder()
    for record, poses in lifted_:
        finder.add(poses, record.time)
    floor = finder.floor()
    print(f"floor: the camera is {floor.height:.2f} m above it")
    frames = [(record.time, poses) for record, poses in lifted_]
    told("on the floor", [(at, grounded(poses, floor)) for at, poses in frames])


def told(name: str, frames: list[tuple[float, Poses3D]]) -> None:
    people: dict[int, list[tuple[float, Array]]] = {}
    for at, poses in frames:
        for number, joints in zip(
            [] if poses.ids is None else poses.ids, poses.joints, strict=False
        ):
            people.setdefault(int(number), []).append((at, joints))
    world = frames[0][1].frame == "world"
    up = np.array([0.0, 0.0, 1.0]) if world else np.array([0.0, -1.0, 0.0])
    for number, seen in people.items():
        times, joints = np.array([at for at, _ in seen]), np.stack([one for _, one in seen])
        if len(times) < 30:
            continue
        speed, share = skating(joints, times, up)
        slid = 100 * slides(joints, times, up)
        slid = slid if len(slid) else np.full(1, np.nan)
        jerk = np.linalg.norm(np.diff(joints[:, :, :3], n=2, axis=0), axis=2).mean()
        print(
            f"{name:14} id {number}: bones vary {100 * stretching(joints).mean():.1f} %, standing "
            f"feet move {100 * speed:.1f} cm/s ({share:.0%} of the frames), from where they stand "
            f"{np.median(slid):.1f} cm (median of {len(slid)}), 90 %: "
            f"{np.percentile(slid, 90):.1f}, jitter "
            f"{1000 * jerk:.1f} mm a frame²"
        )


def speed() -> None:
    """Milliseconds of one core a frame of one person."""
    for name, lift in (("13 frames ahead", Lift()), ("live", Lift(ahead=0))):
        lifting, begun = Lifting(lift), time.process_time()
        for _ in lifting.poses(walker(3000)):
            pass
        spent = time.process_time() - begun
        print(f"{name}: {1000 * spent / 3000:.2f} ms of one core a frame of one person")


def stream(frames: int, how: str) -> None:
    """Memory over a long film: lifted live, or into files on a floor, as `everybody lift` does."""
    memory = Memory(frames)
    if how == "live":
        for _ in Lifting(Lift(ahead=0)).poses(memory.watched(walker(frames), "live")):
            pass
        memory.say(f"live, all {frames} lifted")
        return
    with tempfile.TemporaryDirectory() as folder:
        film = Results(COCO17, lambda: memory.watched(walker(frames), "lift --world"))
        count = lifted_file(film, Path(folder), Lifting(Lift()), world=True, say=print)
        memory.say(f"lift --world, all {count} written")


@dataclass(frozen=True)
class Memory:
    """Says ten times in so many frames how much memory the process holds."""

    frames: int

    def say(self, what: str) -> None:
        held = psutil.Process().memory_info().rss / 2**20
        print(f"{what}: {held:.1f} MB", flush=True)

    def watched(self, records: Iterable[Record], name: str) -> Iterator[Record]:
        for record in records:
            if record.index % max(self.frames // 10, 1) == 0:
                self.say(f"{name}, frame {record.index}")
            yield record


def walker(frames: int) -> Iterator[Record]:
    """One person in each frame, somebody else every 500: a figure on the spot, seen from ahead."""
    random = np.random.default_rng(0)
    points = np.concatenate([STANDING, np.ones((len(COCO17), 1))], 1)
    for index in range(frames):
        sway = np.array([np.sin(index / 9), np.cos(index / 7), 0])
        shake = np.concatenate([random.normal(0, 0.5, STANDING.shape), np.zeros((17, 1))], 1)
        row = (points + sway + shake)[None].astype(np.float32)
        boxes, ids = np.zeros((1, 4), np.float32), np.array([index // 500])
        people = People(row, boxes, np.ones(1, np.float32), COCO17, ids)
        yield Record("a.mp4", index, index / 30, 640, 480, people)


def _network(given: Any) -> Network:
    return Network(opened(given.model, "lift", Engine(threads=1))[0])


PARTS: dict[str, Callable[[Any], None]] = {
    "cmu": lambda given: cmu(_network(given)),
    "humaneva": lambda given: humaneva(_network(given), given.ahead),
    "trial": lambda given: trial(given.blazepose),
    "steady": lambda given: steady(given.results),
    "speed": lambda given: speed(),
    "stream": lambda given: stream(given.frames, str(given.results)),
}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("what", choices=PARTS)
    command.add_argument("results", type=Path, nargs="?")
    command.add_argument("--model")
    command.add_argument("--blazepose", help="pose_landmark_full.tflite, to compare with")
    command.add_argument("--ahead", type=int, default=AHEAD)
    command.add_argument("--frames", type=int, default=1_000_000, help="of the stream")
    given = parsed(command)
    PARTS[given.what](given)


if __name__ == "__main__":
    main()
