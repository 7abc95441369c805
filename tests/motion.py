"""Motion made here, for tests of lifting: a body of CMU24 that moves all its joints a little."""

from __future__ import annotations

import numpy as np

from everybody.data.cmu import STEPS, Capture
from everybody.lift.anatomy import coco_of_cmu, h36m_of_cmu, head_axes, stature
from everybody.skeletons import CMU24

# Metres from the floor below the pelvis: x to the left, y up, z forward.
REST = np.array(
    [
        (0, 0.95, 0), (0.09, 0.9, 0), (0.1, 0.5, 0.02), (0.1, 0.08, 0), (0.1, 0.03, 0.1),
        (0.1, 0.02, 0.16), (-0.09, 0.9, 0), (-0.1, 0.5, 0.02), (-0.1, 0.08, 0), (-0.1, 0.03, 0.1),
        (-0.1, 0.02, 0.16), (0, 1.07, 0), (0, 1.18, 0), (0, 1.3, 0), (0, 1.49, 0.03),
        (0, 1.59, 0.03), (0.18, 1.3, 0), (0.22, 1.02, 0), (0.24, 0.8, 0.1), (0.24, 0.7, 0.12),
        (-0.18, 1.3, 0), (-0.22, 1.02, 0), (-0.24, 0.8, 0.1), (-0.24, 0.7, 0.12),
    ]
)  # fmt: skip


def capture(frames: int = 60, subject: int = 1, seed: int = 0, *, moving: float = 0.05) -> Capture:
    """A body that sways, and walks forward at a metre a second."""
    random = np.random.default_rng(seed)
    phase, rate = random.uniform(0, 6, (24, 3)), random.uniform(2, 6, (24, 3))
    time = np.arange(frames)[:, None, None] / 30
    joints = REST + moving * np.sin(phase + rate * time)
    joints[..., 2] += np.arange(frames)[:, None] / 30
    forward = np.tile([0.0, 0.0, 1.0], (frames, 1))
    return Capture(
        f"{subject:02}_01", subject, joints.astype(np.float32), forward.astype(np.float32)
    )


def packed(captures: list[Capture]) -> dict[str, np.ndarray]:
    """As `read_captures` reads them: the arrays of the file."""
    steps, turns, roots = [], [], []
    for one in captures:
        relative = np.rint((one.joints - one.joints[:, :1]) * 1000).astype(np.int16)
        forward = np.rint(one.forward * 1000).astype(np.int16)
        steps.append(np.diff(relative.reshape(len(relative), -1), axis=0, prepend=0))
        turns.append(np.diff(forward, axis=0, prepend=0))
        roots.append(one.joints[:, 0])
    lengths = np.array([len(one.joints) for one in captures])
    arrays = {
        "names": np.array(CMU24.joints),
        "root": np.concatenate(roots),
        "rel_mm_step": np.concatenate(steps).T.astype(np.int16),
        "head_forward_step": np.concatenate(turns).T.astype(np.int16),
        "start": np.cumsum(lengths) - lengths,
        "length": lengths,
        "subject": np.array([one.subject for one in captures]),
        "id": np.array([one.name for one in captures]),
    }
    assert set(arrays) == set(STEPS)
    return arrays


def filmed(
    one: Capture, *, size: tuple[int, int] = (640, 480), length: float = 600.0, far: float = 4.0
) -> tuple[np.ndarray, np.ndarray]:
    """What a camera straight ahead of the body's start sees -> keypoints [T, 17, 3] of COCO in
    pixels, and the poses [T, 17, 3] of H36M17 in its coordinates, in metres.
    """
    both = np.concatenate([one.joints, head_axes(one.joints, one.forward)], 1)
    turn = np.diag([1.0, -1.0, -1.0])  # it looks at the body's face
    shift = np.array([0, 0.9, far])
    points = coco_of_cmu() @ both @ turn + shift
    poses = h36m_of_cmu() @ one.joints @ turn + shift
    pixels = length * points[..., :2] / points[..., 2:] + (np.array(size) - 1) / 2
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1), poses


def standing() -> np.ndarray:
    """`REST` as [17, 3] of H36M17 before the camera of `filmed`, in heights of the body."""
    pose = h36m_of_cmu() @ REST @ np.diag([1.0, -1.0, -1.0])
    return (pose - pose[:1]) / stature(pose)
