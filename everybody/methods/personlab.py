"""PersonLab: heatmaps, short offsets and mid-range displacements of a whole picture (Papandreou et
al. 2018). The codec: `codecs/personlab.py`.
"""

from __future__ import annotations

from ..codecs.personlab import PersonLabMaps
from ..inputs import Input
from ..options import Options
from ..skeletons import COCO17
from .bottomup import BottomUp, bottom_up, codec_of, given_model, sized

GREY = (127.5, 127.5, 127.5)
INPUT = Input(size=(513, 513), mean=GREY, std=GREY, fill=128)  # from -1 to 1, as published


def open_personlab(options: Options) -> BottomUp:
    """PoseNet by the options' pose model (a name, or an ONNX file). Raises ModelError,
    OptionError.
    """
    session, row = given_model(options, "personlab")
    spec = sized(row.input if row else INPUT, session, options)
    return bottom_up(session, codec_of(row, PersonLabMaps()), COCO17, spec, options)
