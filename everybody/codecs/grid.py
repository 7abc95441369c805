"""Cells and pixels: how the cells of a coarser grid lie in a crop, and what a file's outputs must
be.

Cell c of a grid of w cells over a crop of W pixels lies at crop pixel c · scale + offset. The
literature has four alignments:

    centre  scale W / w,              offset (scale - 1) / 2   the middle of what a cell covers
    corner  scale W / w,              offset 0                 Simple Baselines, HRNet, RTMPose
    udp     scale (W - 1) / (w - 1),  offset 0                 from first to last pixel (UDP)
    edge    scale W / w,              offset scale / 2         counted from the crop's edge (CPN)

UDP is Huang et al. 2020; CPN, Chen et al. 2018.

An output that is mirrored for a flip test is symmetric about the middle of its *cells*, not of the
crop. A codec's `axis` says where that lies: a crop mirrored there needs no shift afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

if TYPE_CHECKING:
    from ..runtime import Port

Array = NDArray[np.floating]
Shape = tuple[int | None, ...]
Alignment = Literal["centre", "corner", "udp", "edge"]
ALIGNMENTS: dict[
    str, Callable[[int, int], tuple[float, float]]
] = {  # pixels, cells -> (scale, offset)
    "centre": lambda pixels, cells: (pixels / cells, (pixels / cells - 1) / 2),
    "corner": lambda pixels, cells: (pixels / cells, 0.0),
    "udp": lambda pixels, cells: ((pixels - 1) / max(cells - 1, 1), 0.0),
    "edge": lambda pixels, cells: (pixels / cells, pixels / cells / 2),
}


def labels(scores: Array, inside: Any) -> Array:
    """Scores of labels [N, K], whether the output can say them [N, K] bool -> weights [N, K]."""
    return np.where(inside & (scores > 0), scores, 0).astype(np.float32)


def check_ports(
    codec: object, meaning: str, wanted: Sequence[Shape], ports: Sequence[Port]
) -> None:
    """Raises ModelError where a file's outputs have not the wanted shapes; None fits any size."""
    if not _fit([port.shape for port in ports], wanted):
        given = ", ".join(map(str, ports)) or "nothing"
        raise ModelError(
            f"{type(codec).__name__} means {meaning}, the file gives {given}: "
            "give its skeleton and codec"
        )


def check_answer(
    codec: object, meaning: str, wanted: Sequence[Shape], outputs: Sequence[Array]
) -> None:
    """`check_ports` of an answer: files of dynamic size show their shapes only there."""
    if not _fit([output.shape for output in outputs], wanted):
        given = ", ".join(str(list(output.shape)) for output in outputs) or "nothing"
        raise ModelError(
            f"{type(codec).__name__} means {meaning}, the network answers {given}: "
            "give its codec and input size"
        )


def _fit(found: Sequence[Shape], wanted: Sequence[Shape]) -> bool:
    return len(found) == len(wanted) and all(
        len(shape) == len(sizes)
        and all(a is None or b is None or a == b for a, b in zip(shape, sizes, strict=True))
        for shape, sizes in zip(found, wanted, strict=True)
    )
