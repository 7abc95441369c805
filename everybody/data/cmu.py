"""CMU's motion capture (mocap.cs.cmu.edu), packed as whole millimetres from frame to frame,
relative to the pelvis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..skeletons import CMU24
from ..typed import read_bytes
from .npz import read_npz

Array = NDArray[np.floating[Any]]

STEPS = ("names", "root", "rel_mm_step", "head_forward_step", "start", "length", "subject", "id")
FARTHEST = 1e4  # metres


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """A sequence of one person: joints [T, 24, 3] of CMU24 in metres, y up; where the head looks
    [T, 3], unit vectors.
    """

    name: str
    subject: int
    joints: Array
    forward: Array
    fps: float = 30.0


def read_captures(path: Path) -> list[Capture]:
    """The sequences of a packed file. Raises DataError where it is broken or holds other joints."""
    content = read_npz(path, read_bytes(path), STEPS)
    names = tuple(str(name) for name in content["names"])
    if names != CMU24.joints:
        raise DataError(f"{path}: holds joints {', '.join(names)[:120]}; expected those of cmu-24")
    frames, root = content["rel_mm_step"].shape[-1], content["root"]
    starts, lengths = content["start"].astype(int), content["length"].astype(int)
    fits = (
        content["rel_mm_step"].shape == (3 * len(CMU24), frames)
        and content["head_forward_step"].shape == (3, frames)
        and root.shape == (frames, 3)
        and len(starts) == len(lengths) == len(content["subject"]) == len(content["id"])
        and (starts >= 0).all()
        and (lengths > 0).all()
        and (starts + lengths <= frames).all()
    )
    if not fits:
        raise DataError(f"{path}: its arrays do not fit together: is the file complete?")
    if not (np.abs(root) <= FARTHEST).all():
        raise DataError(f"{path}: 'root' has NaN or a number beyond ±{FARTHEST:g} metres")
    return list(_unpacked(content, starts, lengths))


def _unpacked(content: dict[str, Any], starts: Any, lengths: Any) -> Iterator[Capture]:
    step = content["rel_mm_step"].T.reshape(-1, len(CMU24), 3)
    turn, root = content["head_forward_step"].T, content["root"]
    each = zip(content["id"], content["subject"], starts, lengths, strict=True)
    for name, subject, start, length in each:
        part = slice(start, start + length)
        joints = np.cumsum(step[part], axis=0, dtype=np.int32) / 1000
        forward = np.cumsum(turn[part], axis=0, dtype=np.int32) / 1000
        yield Capture(
            str(name),
            int(subject),
            (root[part][:, None] + joints).astype(np.float32),
            forward.astype(np.float32),
        )
