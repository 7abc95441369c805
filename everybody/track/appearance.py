"""What people look like, as unit vectors: two views of one person are alike (re-identification,
Zheng et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import ModelError
from ..geometry import Array, clip
from ..inputs import Input
from ..options import Engine
from ..people import Image
from ..runtime import Session
from ..weights.locate import locate


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """Picture [H, W, 3] RGB and boxes [N, 4] -> unit vectors [N, D]; zeros for boxes outside the
    picture.

    session: a network of one input, [B, h, w, 3] or [B, 3, h, w], and one output [B, D]. Boxes are
    stretched to it.
    """

    session: Session
    input: Input

    def __post_init__(self) -> None:
        shape = self.session.input.shape
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise ModelError(
                f"{self.session.path}: an embedding network takes [B, h, w, 3] or [B, 3, h, w], "
                f"the file takes {self.session.input}"
            )

    def __call__(self, image: Image, boxes: Array) -> Array:
        size = self.session.outputs[0].shape[-1] or 1
        out = np.zeros((len(boxes), size))
        height, width = image.shape[:2]
        finite = np.logical_and.reduce(np.isfinite(boxes), axis=1)
        edges = np.rint(clip(np.where(finite[:, None], boxes, 0), width, height) + 0.5).astype(int)
        for row, (x0, y0, x1, y1) in enumerate(edges.tolist()):
            if finite[row] and x1 - x0 > 1 and y1 - y0 > 1:
                out[row] = self._embed(image[y0:y1, x0:x1])
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)

    def _embed(self, picture: Image) -> Array:
        crop = cv2.resize(picture, self.input.size, interpolation=cv2.INTER_LINEAR).astype(
            np.float32
        )
        crop = crop[..., ::-1] if self.input.channels == "bgr" else crop
        crop = (crop - np.array(self.input.mean, np.float32)) / np.array(self.input.std, np.float32)
        if self.session.input.shape[1] == 3:
            crop = crop.transpose(2, 0, 1)
        return self.session(np.ascontiguousarray(crop[None]))[0].reshape(-1)


def load_embedder(model: str | Path, engine: Engine | None = None) -> Embedder:
    """An embedding network by name or path, run by this engine (default: one thread). A file that
    no row of the manifest describes is fed raw BGR pictures of the size it takes. Raises
    ModelError, OptionError.
    """
    path, row = locate(model, "embedding")
    session = (engine or Engine(threads=1))(path)
    if row:
        return Embedder(session=session, input=row.input)

    shape = session.input.shape
    sizes = [side for side in shape[1:] if side != 3]
    if len(shape) != 4 or len(sizes) != 2 or None in sizes:
        raise ModelError(
            f"{path}: takes {session.input}, not pictures of a fixed size; "
            f"describe it in a manifest.toml"
        )
    size = (sizes[1] or 0, sizes[0] or 0)
    return Embedder(session=session, input=Input(size=size, channels="bgr"))
