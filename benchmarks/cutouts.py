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
from scipy.optimize import linear_sum_assignment

from benchmarks.common import DATA, parsed, parser
from everybody.draw import draw
from everybody.estimator import Estimator
from everybody.geometry import area, oks
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
LEAST = 0.25  # visible share of a person's pixels, below which the person is not judged
SAME = 0.5  # OKS from which a found person is a true one
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


Scaled = tuple[np.ndarray, np.ndarray, np.ndarray]  # a cut-out as large as its walker, and feet


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture of a moment; its true people, with the joints and boxes of the cut-outs in their
    places (joints that cannot be seen score 0); the visible share of each one's pixels [N].
    """

    image: Image
    true: People
    seen: np.ndarray


def pictures(
    film: list[Moment], people: list[Cutout], size: tuple[int, int] = (1280, 720)
) -> Iterator[Image]:
    """The pictures of `shots`."""
    return (shot.image for shot in shots(film, people, size))


def shots(
    film: list[Moment], people: list[Cutout], size: tuple[int, int] = (1280, 720)
) -> Iterator[Shot]:
    """Each moment in a textured place, brighter on the right, with all true people, the farther
    behind the nearer. People beyond the list look like those at its beginning.
    """
    width, height = size
    coarse = (
        np.random.default_rng(1)
        .integers(60, 190, (height // 6, width // 6, 1), np.uint8)
        .repeat(3, axis=2)
    )
    world = cv2.resize(coarse, (width + 320, height + 180), interpolation=cv2.INTER_CUBIC)
    light = np.linspace(DARK, BRIGHT, width)
    scaled: dict[int, Scaled] = {}
    for moment in film:
        x, y = np.rint(np.array([160, 90]) - moment.camera).clip((0, 0), (320, 180)).astype(int)
        picture = world[y : y + height, x : x + width].copy()
        yield _populated(picture, moment.true, people, scaled, light)


def _populated(
    picture: Image,
    true: People,
    people: list[Cutout],
    scaled: dict[int, Scaled],
    light: np.ndarray,
) -> Shot:
    """The picture with people pasted in the places of true walkers. `scaled` keeps the cut-outs of
    walkers for the next picture.
    """
    assert true.ids is not None
    nearness = np.argsort(np.argsort(true.keypoints[:, [15, 16], 1].max(1))) + 1
    keypoints, boxes = np.array(true.keypoints), np.array(true.boxes)
    whole = np.ones(len(true))  # pixels of each person, hidden ones too
    nearest = np.zeros(picture.shape[:2], int)  # nearness of the person at each pixel; 0: nobody
    for row in np.argsort(nearness):
        person, points = int(true.ids[row]), true.keypoints[row]
        cut = people[(person - 1) % len(people)]
        if person not in scaled:
            scaled[person] = _scaled(cut, (points[15, 1] - points[0, 1]) / TALL)
        image, share, feet = scaled[person]
        corner = np.rint(_ground(points) - feet).astype(int)
        _paste(picture, image, share, corner, light)

        there, part = _window(corner, share, picture)
        solid = share[..., 0] > 0.5
        nearest[there][solid[part]] = nearness[row]
        whole[row] = solid.sum()
        keypoints[row, :, :2] = joints_of(cut, points)
        boxes[row] = *corner, *(corner + share.shape[1::-1] - 1)

    keypoints[..., 2] = _in_sight(keypoints, nearness, nearest)
    seen = np.bincount(nearest.ravel(), minlength=len(true) + 1)[nearness] / whole
    return Shot(picture, replace(true, keypoints=keypoints, boxes=boxes), seen)


def _in_sight(keypoints: np.ndarray, nearness: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Joints [N, K, 3], how near each person is [N], how near the person at each pixel is -> [N, K]
    bool: inside the picture, and nobody nearer is there.
    """
    height, width = nearest.shape
    x, y = np.rint(keypoints[..., :2]).astype(int).transpose(2, 0, 1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    there = nearest[y.clip(0, height - 1), x.clip(0, width - 1)]
    return inside & (there <= nearness[:, None])


def joints_of(cut: Cutout, points: np.ndarray) -> np.ndarray:
    """The joints [17, 2] of a cut-out that is pasted in the place of a walker [17, 3]."""
    factor = (points[15, 1] - points[0, 1]) / TALL / cut.tall
    return (cut.joints[:, :2] - cut.feet) * factor + _ground(points)


def judged(shot: Shot, found: People) -> tuple[People, People]:
    """True and found people to compare. True people who are almost hidden are left out, and so is
    a found person at the place of one: such people count neither as missed nor as false.
    """
    true, sigmas = shot.true, shot.true.skeleton.sigmas
    alike = oks(true.keypoints, found.keypoints, area(true.boxes), sigmas)
    rows, columns = linear_sum_assignment(np.where(alike >= SAME, alike, 0), maximize=True)
    hidden = shot.seen < LEAST
    beside = columns[hidden[rows] & (alike[rows, columns] >= SAME)]
    return true[~hidden], found[~np.isin(np.arange(len(found)), beside)]


def _ground(points: np.ndarray) -> np.ndarray:
    """Where a walker of these joints [17, 3] stands (x, y)."""
    tall = (points[15, 1] - points[0, 1]) / TALL
    return np.array([points[[5, 6, 11, 12], 0].mean(), points[15, 1] - STANDING[15, 1] * tall])


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


def _scaled(cut: Cutout, tall: float) -> Scaled:
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
    there, part = _window(corner, share, picture)
    behind, alpha = picture[there], share[part]
    lit = (image[part] * light[there[1], None]).clip(0, 255)
    picture[there] = (behind * (1 - alpha) + lit * alpha).astype(np.uint8)


def _window(
    corner: np.ndarray, thing: np.ndarray, picture: np.ndarray
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a thing [h, w, …] with this corner (x, y) shows in a picture, and which part of it."""
    (x, y), (h, w), (height, width) = corner.tolist(), thing.shape[:2], picture.shape[:2]
    x0, x1 = (min(max(edge, 0), width) for edge in (x, x + w))
    y0, y1 = (min(max(edge, 0), height) for edge in (y, y + h))
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))


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
    seen = [
        cv2.resize(draw(shot.image, judged(shot, shot.true[:0])[0]), None, fx=0.5, fy=0.5)
        for shot in list(shots(film, cast))[::30]
    ]
    strip = np.concatenate([np.concatenate(seen[i : i + 2], axis=1) for i in range(0, 6, 2)])
    cv2.imwrite(str(given.out), strip[..., ::-1])


if __name__ == "__main__":
    main()
