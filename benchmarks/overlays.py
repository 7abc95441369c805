"""The bundled models on twenty pictures that nothing was trained on, as skeletons without the
photos: one JPEG.

    python benchmarks/overlays.py --out docs/images/twenty.jpg
    python benchmarks/overlays.py --photos --out /tmp/twenty.jpg      # over the photos: not for publication

Drawn by chance from ../shared/data: coco_val, lspet/val, and photo sets that no shipped weights
have seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from everybody import Estimator
from everybody.draw import draw
from everybody.media.images import decode
from everybody.people import Frame

DATA = Path(__file__).resolve().parents[2] / "shared/data"
FROM = {"coco_val/images": 8, "lspet/val": 8, "photos/fencing": 2, "photos/flickr8k_200px": 2}
CELL, COLUMNS, GREY = 300, 5, 40


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", action="store_true")
    parser.add_argument("--model", default="accurate")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng, estimator, cells = np.random.default_rng(given.seed), Estimator(model=given.model), []
    for folder, count in FROM.items():
        paths = sorted(path for path in (DATA / folder).iterdir() if path.suffix != ".json")
        for path in rng.choice(np.array(paths), count, replace=False):
            image = decode(path.read_bytes(), str(path))
            (frame,) = estimator([Frame(image)])
            shown = draw(image if given.photos else np.full_like(image, GREY), frame.people)
            factor = CELL / max(shown.shape[:2])
            shown = cv2.resize(shown, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            cell = np.full((CELL + 4, CELL + 4, 3), 255, np.uint8)
            cell[: shown.shape[0], : shown.shape[1]] = shown
            cells.append(cell)
    rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    cv2.imwrite(str(given.out), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])


if __name__ == "__main__":
    main()
