"""How well the lifter does: on CMU's held-out subjects by action and camera height, and on HumanEva.

    benchmarks/lifting.py cmu --data ../shared/data/motion3d/cmu/cmu24_30fps.npz
    benchmarks/lifting.py humaneva --data ../shared/data/motion3d/humaneva/humaneva15.npz
    benchmarks/lifting.py speed
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everybody.data.cmu import Capture, read_captures
from everybody.lift import window
from everybody.lift.anatomy import HEIGHT, PROPORTIONS, stature
from everybody.lift.lifter import Network
from everybody.lift.track import RATE, sampled
from everybody.metrics.mpjpe import aligned, mpjpe, pa_mpjpe, pck3d
from everybody.options import Engine
from everybody.skeletons import COCO17, H36M17
from everybody.weights.locate import opened

Array = NDArray[Any]
HELD_OUT = (9, 12, 14, 17)  # CMU's subjects that the recipe `lifter` does not learn from
LIMBS = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
OF_H36M = [H36M17.joints.index(name) for name in LIMBS]
FPS = 60.0  # of HumanEva's motion


def measured(found: Array, truth: Array) -> dict[str, float]:
    """Poses [N, K, 3] in millimetres, relative to a root that is the same in both."""
    scale = (found * truth).sum((1, 2)) / np.maximum((found * found).sum((1, 2)), 1e-9)
    apart = aligned(found, truth)
    return {
        "MPJPE": mpjpe(found, truth, root=None).over_all,
        "N-MPJPE": mpjpe(found * scale[:, None, None], truth, root=None).over_all,
        "PA-MPJPE": pa_mpjpe(found, truth).over_all,
        "PCK3D@150": pck3d(found, truth, root=None).over_all,
        "PA-PCK3D@150": pck3d(apart, truth, root=None).over_all,
    }


def centred(poses: Array, names: tuple[str, ...]) -> Array:
    """[N, K, 3] relative to the middle of the hips."""
    hips = [names.index("left_hip"), names.index("right_hip")]
    return poses - poses[:, hips].mean(1, keepdims=True)


def in_batches(net: Network, points: Array) -> Array:
    return np.concatenate([net(part) for part in np.array_split(points, len(points) // 512 + 1)])


def humaneva(net: Network, path: Path, ahead: int) -> dict[str, dict[str, float]]:
    """By camera, and all: true 2D of the 12 limb joints."""
    data = np.load(path)
    cameras = json.loads(path.with_name("cameras_fitted.json").read_text())
    names = tuple(str(name) for name in data["joints"])
    limbs = [names.index(name) for name in LIMBS]
    pairs: dict[str, list[tuple[Array, Array]]] = {}
    start = 0
    for name, length in zip(data["sequences"], data["length"], strict=True):
        part = slice(start, start + int(length))
        start = part.stop
        subject = "S1" if "S1" in str(name) else "S2"
        for number, camera in enumerate(cameras[subject]):
            pixels = data["positions_2d"][part, number]
            clips = seen_by(camera, pixels, names, net.reach, ahead)
            world = data["positions_3d"][part][:, limbs]
            truth = world @ np.array(camera["R"]).T
            found = in_batches(net, clips)[:, OF_H36M] * HEIGHT
            pairs.setdefault(f"camera {number + 1}", []).append((found, truth))
            pairs.setdefault(subject, []).append((found, truth))
            pairs.setdefault(f"{str(name).split('|')[1].split()[0]}", []).append((found, truth))
    shown = {}
    both = [pair for key, group in pairs.items() if key.startswith("camera") for pair in group]
    for key, group in {"all": both, **pairs}.items():
        found, truth = (np.concatenate(parts) * 1000 for parts in zip(*group, strict=True))
        shown[key] = measured(centred(found, LIMBS), centred(truth, LIMBS))
    return shown


def seen_by(camera: dict[str, Any], pixels: Array, names: tuple[str, ...], reach: int, ahead: int) -> Array:
    """Pixels [T, K, 2] of a distorted camera -> clips [T, F, 17, 3] of rays and scores."""
    import cv2

    matrix, bent = np.array(camera["K"]), np.array(camera["dist"])
    flat = cv2.undistortPoints(pixels.reshape(-1, 1, 2).astype(np.float64), matrix, bent)
    rays = flat.reshape(*pixels.shape)
    points = np.zeros((len(pixels), len(COCO17), 3), np.float32)
    for k, name in enumerate(COCO17.joints):
        if name in LIMBS:
            points[:, k, :2], points[:, k, 2] = rays[:, names.index(name)], 1
    times = np.arange(len(points)) / FPS
    clips = np.zeros((len(points), 2 * reach + 1, len(COCO17), 3), np.float32)
    for t in range(len(points)):
        wanted = times[t] + np.arange(-reach, min(reach, ahead) + 1) / RATE
        clips[t, : len(wanted)] = sampled(times, points, wanted)
    return clips
