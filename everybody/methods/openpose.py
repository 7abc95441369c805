"""OpenPose: confidence maps and part affinity fields of a whole picture, grouped into people.

Cao et al., "Realtime multi-person 2D pose estimation using part affinity fields", CVPR 2017, and
"OpenPose", TPAMI 2019; the light network: Osokin 2018. The codec: `codecs/part_fields.py`.
"""

from __future__ import annotations

from ..codecs.grouping import BODY18, BODY25, Layout
from ..codecs.part_fields import PartFields
from ..errors import ModelError, unknown
from ..inputs import Input
from ..options import Options
from ..runtime import Session
from ..skeletons import OPENPOSE18, OPENPOSE25, Skeleton, skeleton
from .bottomup import BottomUp, bottom_up, codec_of, given_model, sized

# The layouts by the skeleton whose joints they have; the first that fits a file is taken.
LAYOUTS: dict[str, Layout] = {OPENPOSE18.name: BODY18, OPENPOSE25.name: BODY25}
# As published: 368 pixels high, blue first, x / 256 - 1/2.
GREY, RANGE = (128.0, 128.0, 128.0), (256.0, 256.0, 256.0)
INPUT = Input(size=(656, 368), channels="bgr", mean=GREY, std=RANGE, fill=128)


def _fitting(session: Session) -> Skeleton:
    """The skeleton of the first layout that a file's outputs fit."""
    for name, layout in LAYOUTS.items():
        try:
            PartFields(layout).check(session.outputs, layout.joints)
        except ModelError:
            continue
        return skeleton(name)
    raise ModelError(
        f"{session.path}: not an OpenPose model: it gives {', '.join(map(str, session.outputs))}; "
        f"known are the maps of {', '.join(LAYOUTS)}"
    )


def open_openpose(options: Options) -> BottomUp:
    """OpenPose by the options' pose model (a name, or an ONNX file). Raises ModelError,
    OptionError.
    """
    session, row = given_model(options, "openpose")
    asked = options.pose.skeleton
    name = asked if asked in LAYOUTS else row.skeleton_name if row else ""
    named = skeleton(name) if name else _fitting(session)
    if named.name not in LAYOUTS:
        raise unknown("skeleton of OpenPose's maps", named.name, LAYOUTS)
    spec = sized(row.input if row else INPUT, session, options)
    codec = codec_of(row, PartFields(LAYOUTS[named.name]))
    return bottom_up(session, codec, named, spec, options)
