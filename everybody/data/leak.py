"""Near-duplicates among pictures, by difference hash: none may be both trained and judged on.

dHash (Krawetz 2013) shrinks a picture to 9 × 8 grey pixels and compares each with its right
neighbour: 64 bits that survive scaling, compression and small changes of colour. Two pictures
count as the same if at most 5 bits differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..media.images import decode
from ..people import Image

NEAR = 5  # bits
Hashes = NDArray[np.bool_]


def dhash(image: Image) -> NDArray[np.bool_]:
    """[H, W, 3] -> [64] bits."""
    small = cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA
    )
    return (small[:, 1:] > small[:, :-1]).ravel()


def hashes(pictures: Iterable[Path]) -> tuple[Hashes, NDArray[np.bool_]]:
    """N files -> hashes [N, 64], and whether each file could be read [N]."""
    found, readable = [], []
    for path in pictures:
        try:
            found.append(dhash(decode(path.read_bytes(), str(path))))
            readable.append(True)
        except (InputError, OSError):
            found.append(np.zeros(64, bool))
            readable.append(False)
    return np.array(found, bool).reshape(-1, 64), np.array(readable, bool)


def near(these: Hashes, those: Hashes, distance: int = NEAR) -> NDArray[np.bool_]:
    """[N, 64], [M, 64] -> [N]: whether one of the M hashes is within `distance` bits of each."""
    if len(those) == 0:
        return np.zeros(len(these), bool)
    a, b = these.astype(np.float32), those.astype(np.float32)
    apart = a.sum(1)[:, None] + b.sum(1)[None] - 2 * a @ b.T
    return (apart <= distance).any(1)
