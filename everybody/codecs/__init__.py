"""Keypoints ↔ what a network emits, under the coordinate law (integers are pixel centres; see
`people.py`).

A codec is the only place that knows what a network's numbers mean. `encode` is the only source of
training targets, `decode` reads the answers, and `check` compares an ONNX file's outputs with what
the codec means before the file runs. A codec carries the scale and offset of the weights it decodes
(`grid.py`) and does no input or output of its own.

There are two kinds. A `Codec` (`CODECS`) speaks of one person in one crop. A `PictureCodec` speaks
of all people of a whole picture: with their joints (`PEOPLE_CODECS`), or, of detectors, with none
(`PICTURE_CODECS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import OptionError, unknown
from ..typed import convert
from .anchors import AnchorPoints
from .boxes import PICTURE_CODECS, PicodetBoxes, RtmdetBoxes, YoloxBoxes, guess_layout
from .cell_poses import CellPoses
from .centre_maps import MoveNetMaps
from .grid import ALIGNMENTS, Alignment, Array
from .heatmap import REFINEMENTS, TARGETS, Heatmap
from .integral import Integral, soft_argmax
from .offsets import OffsetHeatmap
from .part_fields import PartFields
from .personlab import PersonLabMaps
from .points import Points
from .regression import UNITS, Regression
from .simcc import SimCC
from .whole_body import WholeBody

if TYPE_CHECKING:
    from ..runtime import Port

__all__ = [
    "ALIGNMENTS",
    "CODECS",
    "PEOPLE_CODECS",
    "PICTURE_CODECS",
    "REFINEMENTS",
    "TARGETS",
    "UNITS",
    "Alignment",
    "AnchorPoints",
    "Array",
    "CellPoses",
    "Codec",
    "Heatmap",
    "Integral",
    "MoveNetMaps",
    "OffsetHeatmap",
    "PartFields",
    "PersonLabMaps",
    "PicodetBoxes",
    "PictureCodec",
    "Points",
    "Regression",
    "RtmdetBoxes",
    "SimCC",
    "WholeBody",
    "YoloxBoxes",
    "guess_layout",
    "make_codec",
    "make_people_codec",
    "soft_argmax",
]


class Codec(Protocol):
    """What a network says about one person in a crop."""

    @property
    def size(self) -> tuple[int, int]:
        """The crop's (width, height) in pixels."""
        ...

    @property
    def axis(self) -> float:
        """The x (crop pixels) that a mirror of the output leaves in place."""
        ...

    def encode(self, keypoints: Array) -> tuple[tuple[Array, ...], Array]:
        """[N, K, 3] in crop pixels -> (what a perfect network says, weights [N, K]): a weight is
        the label's score, and 0 where the joint is unlabelled or where no output can say it.
        """
        ...

    def decode(self, outputs: Sequence[Array]) -> Array:
        """The network's outputs -> keypoints [N, K, 3] in crop pixels; scores in [0, 1]. Raises
        ModelError for outputs of another shape than the codec means.
        """
        ...

    def flip(self, outputs: Sequence[Array], mirror: Sequence[int]) -> list[Array]:
        """Outputs for a crop mirrored at `axis` -> outputs as for the crop itself."""
        ...

    def check(self, ports: Sequence[Port], joints: int) -> None:
        """Raises ModelError that says what this codec means and what a file's outputs are, where
        the two differ. The message does not name the file: the caller puts its path in front.
        """
        ...


class PictureCodec(Protocol):
    """What a network says about everybody in a whole picture.

    Codecs of maps have two more. `encode(keypoints [P, K, 3], size)` gives the maps of a perfect
    network [C, h, w] each. `targets`, of the same arguments, gives these maps, each with where it
    counts [C or 1, h, w]: the only source of training targets.
    """

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """The outputs for a batch of inputs of `size` (width, height) -> per picture keypoints
        [M, K, 3], boxes [M, 4] xyxy and scores [M], in input pixels under the coordinate law.
        """
        ...

    def check(self, ports: Sequence[Port], joints: int) -> None:
        """As `Codec.check`; a detector has 0 joints."""
        ...


CODECS: dict[
    str, type[Heatmap | SimCC | Regression | Integral | OffsetHeatmap | WholeBody | Points]
] = {
    "heatmap": Heatmap,
    "simcc": SimCC,
    "regression": Regression,
    "integral": Integral,
    "offset-heatmap": OffsetHeatmap,
    "whole-body": WholeBody,
    "points": Points,
}


PEOPLE_CODECS: dict[str, type[PartFields | PersonLabMaps | MoveNetMaps | CellPoses]] = {
    "part-fields": PartFields,
    "personlab": PersonLabMaps,
    "movenet": MoveNetMaps,
    "cell-poses": CellPoses,
}


def make_people_codec(row: Mapping[str, Any]) -> Any:
    """{type, …} -> the codec of whole pictures. Raises OptionError that names what is unknown."""
    options = dict(row)
    kind = _kind(options, PEOPLE_CODECS, "codec of whole pictures")
    return convert(options, PEOPLE_CODECS[kind], f"codec '{kind}'", OptionError)


def make_codec(row: Mapping[str, Any], size: tuple[int, int]) -> Codec:
    """{type, …} and the crop's size (width, height) -> the codec; a `size` of the row's own wins
    (that of an SSTN's region). Raises OptionError that names what is unknown or missing.
    """
    options: dict[str, Any] = {"size": size} | {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
    }
    kind = _kind(options, CODECS, "codec")
    try:
        made = CODECS[kind](**options)  # says best what is not known
        convert(options, CODECS[kind], f"codec '{kind}'", OptionError)  # and this what is no number
        return made
    except (TypeError, ValueError, ArithmeticError) as error:
        raise OptionError(f"codec '{kind}': {error}") from error


def _kind(options: dict[str, Any], table: Mapping[str, Any], what: str) -> str:
    """Takes the type out of a codec's options. Raises OptionError for one that the table does not
    have, and for options that it does not have.
    """
    kind = options.pop("type", None)
    if not isinstance(kind, str) or kind not in table:
        raise unknown(what, kind, table)
    known = [field.name for field in fields(table[kind])]
    if foreign := [key for key in options if key not in known]:
        raise unknown(f"option of codec '{kind}'", foreign[0], known)
    return kind
