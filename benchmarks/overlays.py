"""The bundled models on twenty pictures that nothing was trained on, as skeletons without the
photos: one JPEG.

    python -m benchmarks.overlays --out docs/images/twenty.jpg
    python -m benchmarks.overlays --photos --out FILE    # over the photos: not for publication

Drawn by chance from ../shared/data: coco_val, lspet/val, and photo sets that no shipped weights
have seen.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import DATA, parsed, parser
from everybody import Estimator
from everybody.draw import draw
from everybody.media.images import decode
from everybody.people import Frame, Image

FROM = {"coco_val/images": 8, "lspet/val": 8, "photos/fencing": 2, "photos/flickr8k_200px": 2}
CELL, COLUMNS, GREY = 300, 5, 40


def cell(image: Image) -> Image:
    """The picture shrunk into a white square."""
    factor = CELL / max(image.shape[:2])
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    square = np.full((CELL + 4, CELL + 4, 3), 255, np.uint8)
    square[: small.shape[0], : small.shape[1]] = small
    return square


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--photos", action="store_true")
    command.add_argument("--model", default="accurate")
    command.add_argument("--seed", type=int, default=1)
    given = parsed(command)

    rng, estimator, cells = np.random.default_rng(given.seed), Estimator(model=given.model), []
    for folder, count in FROM.items():
        paths = sorted(path for path in (DATA / folder).iterdir() if path.suffix != ".json")
        for path in rng.choice(np.array(paths), count, replace=False):
            image = decode(path.read_bytes(), str(path))
            (frame,) = estimator([Frame(image)])
            behind = image if given.photos else np.full_like(image, GREY)
            cells.append(cell(draw(behind, frame.people)))

    rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    cv2.imwrite(str(given.out), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])


if __name__ == "__main__":
    main()
