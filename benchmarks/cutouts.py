"""Films of real people for trackers: cut out of photos, they walk as `synthetic/walkers.py` says,
in changing light.

Nothing of the photos is kept: people are found by the usual models, cut out (GrabCut, Rother et al.
2004, begun from box and pose) and pasted, the farther first, whenever a benchmark runs.

    python -m benchmarks.cutouts film.png     # six frames to look at
    python -m benchmarks.cutouts crowd.png --crowd 20
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import DATA, parsed, parser
from everybody.draw import draw
from everybody.estimator import Estimator
from everybody.media.read import read
from everybody.people import Image, People
from synthetic.walkers import STANDING, Moment, Scenery, walkers

PHOTOS = DATA / "photos/ccp_street_fashion"
TALL = STANDING[15, 1] - STANDING[0, 1]  # nose to ankles, of somebody one high
# Lines that lie inside a person: where GrabCut begins.
INSIDE = (
    (5, 6), (5, 11), (6, 12), (11, 12), (5, 12), (6, 11),
    (11, 13), (13, 15), (12, 14), (14, 16), (0, 5),
)  # fmt: skip
DARK, BRIGHT = 0.55, 1.3  # light at the left and the right edge of the picture


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """image [h, w, 3]; the person's share of each pixel [h, w] in [0, 1]; the place of the feet
    (x, y); how many pixels high a walker of height 1 is here; the joints [17, 3] as they were found
    in the photo, at its full size.
    """

    image: Image
    share: np.ndarray
    feet: tuple[float, float]
    tall: float
    joints: np.ndarray


def cut_outs(folder: Path, count: int) -> list[Cutout]:
    """The first `count` people who stand alone and whole in the photos of a folder."""
    out = []
    for frame in Estimator(det_score=0.5).frames(read(str(folder))):
        cut = _cut(frame.image, frame.people) if len(frame.people) else None
        if cut is not None:
            out.append(cut)
            if len(out) == count:
                return out
    raise SystemExit(
        f"{folder}: {len(out)} people stand alone and whole in its photos, {count} are needed"
    )


def _cut(image: Image, people: People) -> Cutout | None:
    """The largest person, or None where a joint is not seen or the person is bent or too small."""
    person = people[[int(np.argmax(np.prod(people.boxes[:, 2:] - people.boxes[:, :2], axis=1)))]]
    points, scores = person.keypoints[0, :, :2], person.keypoints[0, :, 2]
    tall = (points[[15, 16], 1].mean() - points[0, 1]) / TALL
    low = np.abs(points[[11, 12], 1].mean() - points[[5, 6], 1].mean()) < 0.2 * tall
    if scores[[0, 5, 6, 11, 12, 13, 14, 15, 16]].min() < 0.4 or tall < 0.6 * image.shape[0] or low:
        return None
    mask = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    x0, y0, x1, y1 = np.rint(person.boxes[0] + np.array([-4, -4, 4, 4])).clip(0, 1e4).astype(int)
    mask[y0:y1, x0:x1] = cv2.GC_PR_FGD
    thick = max(2, round(0.04 * tall))
    for a, b in INSIDE:
        ends = (tuple(np.rint(points[k]).astype(int).tolist()) for k in (a, b))
        cv2.line(mask, *ends, int(cv2.GC_FGD), thick)
    cv2.grabCut(image, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    share = cv2.GaussianBlur(
        np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32), (0, 0), 0.8
    )
    feet = (
        float(points[[5, 6, 11, 12], 0].mean()),
        float(points[[15, 16], 1].mean() - STANDING[15, 1] * tall),
    )
    return Cutout(image, share, feet, float(tall), person.keypoints[0])


def pictures(
    film: list[Moment], people: list[Cutout], size: tuple[int, int] = (1280, 720)
) -> Iterator[Image]:
    """A picture of each moment: a textured place, brighter on the right, and all true people, the
    farther behind the nearer. People beyond the list look like those at its beginning.
    """
    width, height = size
    coarse = (
        np.random.default_rng(1)
        .integers(60, 190, (height // 6, width // 6, 1), np.uint8)
        .repeat(3, axis=2)
    )
    world = cv2.resize(coarse, (width + 320, height + 180), interpolation=cv2.INTER_CUBIC)
    light = np.linspace(DARK, BRIGHT, width)
    scaled: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for moment in film:
        x, y = np.rint(np.array([160, 90]) - moment.camera).clip((0, 0), (320, 180)).astype(int)
        picture = world[y : y + height, x : x + width].copy()
        assert moment.true.ids is not None
        lowest = moment.true.keypoints[:, [15, 16], 1].max(1)
        for row in np.argsort(lowest):
            person, points = int(moment.true.ids[row]), moment.true.keypoints[row]
            if person not in scaled:
                tall = (points[15, 1] - points[0, 1]) / TALL
                scaled[person] = _scaled(people[(person - 1) % len(people)], tall)
            image, share, feet = scaled[person]
            middle = _ground(points)
            _paste(picture, image, share, np.rint(middle - feet).astype(int), light)
        yield picture


def _ground(points: np.ndarray) -> np.ndarray:
    """Where a walker of these joints [17, 3] stands (x, y)."""
    tall = (points[15, 1] - points[0, 1]) / TALL
    return np.array([points[[5, 6, 11, 12], 0].mean(), points[15, 1] - STANDING[15, 1] * tall])


def shown(moment: Moment, people: list[Cutout]) -> People:
    """The true people of a moment with the joints of those who are pasted in their place."""
    true = moment.true
    assert true.ids is not None
    keypoints = np.array(true.keypoints)
    for row, person in enumerate(true.ids):
        cut, points = people[(int(person) - 1) % len(people)], true.keypoints[row]
        factor = (points[15, 1] - points[0, 1]) / TALL / cut.tall
        keypoints[row, :, :2] = (cut.joints[:, :2] - cut.feet) * factor + _ground(points)
        keypoints[row, :, 2] = 1
    return replace(true, keypoints=keypoints)


def crowd(
    people: list[Cutout], count: int, size: tuple[int, int] = (1280, 720), rows: int = 4
) -> Image:
    """So many people side by side in rows, all equally high whatever the count, in no order."""
    width, height = size
    columns, high = -(-40 // rows), height / rows
    random = np.random.default_rng(0)
    picture = np.full((height, width, 3), 128, np.uint8)
    light = np.ones(width)
    for number, spot in enumerate(random.permutation(rows * columns)[:count]):
        row, column = divmod(int(spot), columns)
        image, share, feet = _scaled(people[number % len(people)], 0.9 * high)
        stand = np.array([(column + 0.5) * width / columns, (row + 0.98) * high])
        _paste(picture, image, share, np.rint(stand - feet).astype(int), light)
    return picture


def _scaled(cut: Cutout, tall: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    factor = tall / cut.tall
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image, share = (
        cv2.resize(part, None, fx=factor, fy=factor, interpolation=way)
        for part in (cut.image, cut.share)
    )
    columns, rows = np.flatnonzero(share.max(0) > 0.01), np.flatnonzero(share.max(1) > 0.01)
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    feet = np.array(cut.feet) * factor - (columns[0], rows[0])
    return image[window].astype(np.float32), share[window][..., None], feet


def _paste(
    picture: Image, image: np.ndarray, share: np.ndarray, corner: np.ndarray, light: np.ndarray
) -> None:
    (x, y), (h, w) = corner.tolist(), image.shape[:2]
    x0, y0, x1, y1 = (
        max(x, 0),
        max(y, 0),
        min(x + w, picture.shape[1]),
        min(y + h, picture.shape[0]),
    )
    if x0 >= x1 or y0 >= y1:
        return
    part = slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
    behind, alpha = picture[y0:y1, x0:x1], share[part]
    lit = (image[part] * light[x0:x1, None]).clip(0, 255)
    picture[y0:y1, x0:x1] = (behind * (1 - alpha) + lit * alpha).astype(np.uint8)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("out", type=Path)
    command.add_argument("--people", type=Path, default=PHOTOS)
    command.add_argument("--crowd", type=int, default=0, help="one picture of so many people")
    given = parsed(command)
    if given.crowd:
        cv2.imwrite(str(given.out), crowd(cut_outs(given.people, 12), given.crowd)[..., ::-1])
        return
    film, cast = walkers(Scenery(people=8, seconds=6, stay=True)), cut_outs(given.people, 8)
    whole = list(zip(film, pictures(film, cast), strict=True))
    seen = [
        cv2.resize(draw(image, shown(moment, cast)), None, fx=0.5, fy=0.5)
        for moment, image in whole[::30]
    ]
    strip = np.concatenate([np.concatenate(seen[i : i + 2], axis=1) for i in range(0, 6, 2)])
    cv2.imwrite(str(given.out), strip[..., ::-1])


if __name__ == "__main__":
    main()
