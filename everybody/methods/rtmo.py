"""RTMO as a method: one network answers with people (Lu et al. 2024, "RTMO: towards
high-performance one-stage real-time multi-person pose estimation", CVPR).

The network itself: `models.rtmo`; its codec: `codecs/cell_poses.py`.
"""

from __future__ import annotations

from ..codecs.cell_poses import CellPoses
from ..inputs import Input
from ..options import Options
from .bottomup import BottomUp, open_file

# As published: blue first, 0 to 255, grey around the picture.
INPUT = Input(size=(640, 640), channels="bgr", fill=114)


def open_rtmo(options: Options) -> BottomUp:
    """RTMO by the options' pose model (a name, or an ONNX file). Raises ModelError, OptionError."""
    return open_file(options, "rtmo", CellPoses(), INPUT)
