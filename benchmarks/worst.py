"""The worst answers on pictures that nothing was trained on, beside the truth, as skeletons without
the photos: one JPEG.

    python -m benchmarks.worst animals --out docs/images/animals-worst.jpg
    python -m benchmarks.worst feet --out docs/images/halpe-26-worst.jpg
    python -m benchmarks.worst feet --photos --out FILE    # over the photos: not for publication

animals: of the animals of ../shared/data/animals/val with at least ten labelled joints, on true
boxes, those whose OKS is lowest, two of each species; truth in white. feet: of the clicked feet of
`benchmarks.feet`, those farthest off, and of every fourth person of lspet/val, heads; a white line
leads from each joint that was found to where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.animals import on_true_boxes
from benchmarks.common import COCO_VAL, DATA, parsed, parser, picture
from benchmarks.feet import OURS, System, clicked, sport_people
from benchmarks.overlays import CELL, GREY, cell
from everybody.data.dataset import Dataset, with_margin
from everybody.data.read import read
from everybody.draw import DARK, draw
from everybody.metrics.oks import likeness
from everybody.people import Image, People
from everybody.skeletons import HALPE26, LSP14
from everybody.weights import manifest

COLUMNS, AROUND, WHITE = 5, 1.3, (255, 255, 255)
HEADS = {"head": "head_top", "neck": "neck"}  # in Halpe-26 and LSP
Array = np.ndarray


class Case(NamedTuple):
    """What was found about somebody [1, K, 3], and the true lines [L, 2, 2] beside it."""

    image: Image
    box: Array
    found: People
    lines: Array

    def drawn(self, *, photo: bool) -> Image:
        """The surroundings of the box, as large as a cell."""
        middle, half = (self.box[:2] + self.box[2:]) / 2, (self.box[2:] - self.box[:2]).max() / 2
        low, side = middle - AROUND * half, 2 * AROUND * half
        scale = CELL / side
        matrix = np.array([[scale, 0, -low[0] * scale], [0, scale, -low[1] * scale]])
        behind = cv2.warpAffine(self.image, matrix, (CELL, CELL)) if photo else None
        canvas = np.full((CELL, CELL, 3), GREY, np.uint8) if behind is None else behind
        keypoints = self.found.keypoints.copy()
        keypoints[..., :2] = (keypoints[..., :2] - low) * scale
        people = People.from_boxes(np.array([[0.0, 0, CELL, CELL]]))
        people = People(keypoints, people.boxes, people.scores, self.found.skeleton)
        shown = draw(canvas, people, thickness=5)  # type: ignore[arg-type]
        for ends in np.rint((self.lines - low) * scale * 16).astype(int).tolist():
            for width, colour in ((4, DARK), (2, WHITE)):
                cv2.line(shown, *ends, colour, width, cv2.LINE_AA, 4)  # type: ignore[call-overload]
        return shown


def found_of(data: Dataset, rows: Array) -> People:
    keypoints = data.keypoints[rows].astype(np.float32)
    return People(keypoints, data.boxes[rows], np.ones(len(rows)), data.skeleton)  # type: ignore[arg-type]


def worst_animals() -> list[Case]:
    """Two of each species."""
    truth = read(DATA / "animals/val")
    answer = on_true_boxes(truth, manifest.variant("animals").pose)
    cases = []
    for number in truth.categories:
        scored = []
        for row in np.flatnonzero((truth.category == number) & (truth.labelled.sum(1) >= 10)):
            same = np.flatnonzero(
                (answer.picture == truth.picture[row])
                & (np.abs(answer.boxes - truth.boxes[row]).max(1) < 1)
            )
            if len(same):
                between = answer.keypoints[same[:1], :, :2] - truth.keypoints[[row], :, :2]
                away = np.linalg.norm(between, axis=-1)
                each = likeness(away, truth.areas[[row]], truth.skeleton.sigmas)
                scored.append((float(each[0, truth.labelled[row]].mean()), int(row), int(same[0])))
        for _, row, same in sorted(scored)[:2]:
            known, points = truth.labelled[row], truth.keypoints[row, :, :2]
            limbs = [(a, b) for a, b in truth.skeleton.limbs if known[a] and known[b]]
            image = picture(truth, int(truth.picture[row]))
            lines = np.array([points[list(limb)] for limb in limbs]).reshape(-1, 2, 2)
            cases.append(Case(image, truth.boxes[row], found_of(answer, np.array([same])), lines))
    return cases


def worst_feet() -> list[Case]:
    """Six people by their feet, four by their heads."""
    system, feet, heads = System(OURS["accurate"]), [], []
    truth = read(COCO_VAL)
    for person, points in clicked(truth):
        known = {name: true for name, true in points.items() if np.isfinite(true).all()}
        feet.append(_looked_at(system, truth, person, truth.boxes[person], known))
    truth = sport_people("val")
    boxes = with_margin(truth.boxes, truth.keypoints)
    for person in range(0, len(boxes), 4):
        known = {
            ours: truth.keypoints[person, LSP14.joints.index(theirs), :2]
            for ours, theirs in HEADS.items()
            if truth.labelled[person, LSP14.joints.index(theirs)]
        }
        heads.append(_looked_at(system, truth, person, boxes[person], known))
    return [
        case
        for group, count in ((feet, 6), (heads, 4))
        for _, _, case in sorted(group, key=lambda one: one[:2], reverse=True)[:count]
    ]


def _looked_at(
    system: System, truth: Dataset, person: int, box: Array, known: dict[str, Array]
) -> tuple[float, int, Case]:
    """How far the worst joint is off, in longer sides of the box; the person; the case."""
    image = picture(truth, truth.picture[person])
    points = system.joints(image, box, 0, list(HALPE26.joints))
    lines = np.array([(points[HALPE26.joints.index(name)], at) for name, at in known.items()])
    lines = lines.reshape(-1, 2, 2)
    off = np.linalg.norm(lines[:, 0] - lines[:, 1], axis=1) / (box[2:] - box[:2]).max()
    keypoints = np.concatenate([points, np.ones((len(points), 1))], 1)[None]
    keypoints[:, [HALPE26.joints.index(f"{side}_small_toe") for side in ("left", "right")], 2] = 0
    people = People.from_boxes(box[None])
    found = People(keypoints.astype(np.float32), people.boxes, people.scores, HALPE26)
    return float(off.max(initial=0)), person, Case(image, box, found, lines)


SUBJECTS = {"animals": worst_animals, "feet": worst_feet}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("subject", choices=SUBJECTS)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--photos", action="store_true")
    given = parsed(command)
    cells = [cell(case.drawn(photo=given.photos)) for case in SUBJECTS[given.subject]()]
    rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    cv2.imwrite(str(given.out), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])


if __name__ == "__main__":
    main()
