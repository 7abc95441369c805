"""Mask R-CNN with keypoints as a method (He et al. 2017, "Mask R-CNN", ICCV).

The network finds boxes, removes duplicates among them, and answers with a map per joint over each
box. How the maps are read: `rcnn_decode`. The network itself: `models.keypoint_rcnn`.

A model is an ONNX file that answers the number of the picture [N], boxes [N, 4] that count from the
picture's corner, scores [N], classes [N] and logits of joints [N, K, h, w].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..codecs.grid import check_answer, check_ports
from ..errors import DataError, ModelError
from ..geometry import Array
from ..inputs import IMAGENET, Input
from ..options import Options
from ..runtime import Port
from .bottomup import BottomUp, open_file
from .rcnn_decode import keypoints_from_heatmaps

PERSON = 1  # the class; 0 is the background
MOST = 1 << 12  # pictures of a batch
FAR = 2  # sides of the input; a box's maps are enlarged to its size, which takes time
CENTRE = -0.5  # from counting at the picture's corner to the coordinate law
# As published: the network sees zeros around the normalised picture, which are the mean colour.
INPUT = Input(size=(1344, 800), fill=116, **IMAGENET)
MEANING = "picture [N], boxes [N, 4], scores [N], classes [N] and logits [N, K, h, w]"


@dataclass(frozen=True, slots=True)
class RegionMaps:
    """The picture codec of Keypoint R-CNN. A joint's score is the share of its map's softmax near
    the peak.
    """

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """A network's outputs -> per picture (keypoints, boxes, scores) in input pixels. Pictures
        without anybody after the last person's are not in the list, but the first always is.
        """
        check_answer(self, MEANING, _shapes(None), outputs)
        check_answer(self, MEANING, _shapes(None, len(outputs[0])), outputs)
        picture, boxes, scores, classes, logits = outputs
        if not (np.isfinite(scores).all() and ((picture >= 0) & (picture < MOST)).all()):
            raise ModelError(
                f"scores or numbers of pictures are NaN, infinite, negative or {MOST} and more: "
                "broken weights?"
            )
        if (np.abs(boxes) > FAR * max(size)).any():
            raise ModelError(f"boxes far outside the input of {size[0]} x {size[1]} pixels")
        try:
            read = keypoints_from_heatmaps(logits, boxes, offset=CENTRE)
        except DataError as error:
            raise ModelError(str(error)) from error

        keypoints, boxes = read[..., [0, 1, 3]], boxes + CENTRE
        found = []
        for place in range(int(picture.max(initial=0)) + 1):
            own = (picture == place) & (classes == PERSON)
            found.append((keypoints[own], boxes[own], scores[own]))
        return found

    def check(self, ports: Sequence[Port], joints: int) -> None:
        check_ports(self, MEANING, _shapes(joints), ports)


def _shapes(joints: int | None, count: int | None = None) -> list[tuple[int | None, ...]]:
    return [(count,), (count, 4), (count,), (count,), (count, joints, None, None)]


def open_keypoint_rcnn(options: Options) -> BottomUp:
    """Keypoint R-CNN by the options' pose model (a name, or an ONNX file). Raises ModelError,
    OptionError.
    """
    return open_file(options, "keypoint_rcnn", RegionMaps(), INPUT)
