"""Learning the parameters of the pose NMS: they maximise the AP of what is left of many candidates.

Fang et al. (RMPE, ICCV 2017, section 3.3) fix two of the four parameters and search the other two,
in turn. So does this, from coarse steps to fine ones. AP as a function of the parameters is a
staircase with noise on it, so a setting is judged by its own AP and those of its neighbours on the
grid: the middle of a plateau wins, not a lucky step. If nothing is better, parameters stay as they
were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from ..data.crowds import crowds, jittered
from ..data.dataset import Dataset
from ..data.frames import gathered
from ..errors import DataError
from ..nms import PoseNms, Suppress
from ..people import Frame, Image, People
from ..schedule import mapped
from .oks import figures
from .predict import decoded

if TYPE_CHECKING:
    from ..estimator import Estimator

PAIRS = (("lam", "eta"), ("sigma1", "sigma2"))
STEPS = (2.0, 1.5, 1.2)  # factors between the settings of a grid, coarse to fine
REACH = 2  # settings to either side


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The people on pictures, and poses that were estimated for them before any were removed."""

    truth: Dataset
    people: Sequence[People]  # of each picture

    def left(self, suppress: Suppress, name: str = "") -> Dataset:
        """What a way of removing duplicates leaves of them."""
        people = [suppress(some) for some in self.people]
        return gathered(people, self.truth.pictures, self.truth.skeleton, name=name)

    def precision(self, suppress: Suppress) -> float:
        """The keypoint AP of what is left."""
        return figures(self.truth, self.left(suppress))["AP"]

    def each(self, suppress: Suppress) -> float:
        """How many poses are left per person."""
        left = sum(len(suppress(some)) for some in self.people)
        return left / max(1, int((~self.truth.ignored).sum()))


Sets = dict[str, Candidates]


def candidates(truth: Dataset, estimator: Estimator, *, jitter: int = 8, seed: int = 0) -> Sets:
    """The pictures of a data set -> three sorts of candidates.

    dense: each true box, `jitter` times at random beside its place; crowds: the same where people
    have been pasted in front of others (`everybody.data.crowds`); detected: what the estimator's
    detector finds. The estimator must remove no poses. Raises DataError where pictures are missing
    or nobody is labelled.
    """
    if truth.ignored.all():
        raise DataError(
            f"{truth.name}: nobody is labelled with joints, so there is nothing to tune on"
        )
    random = np.random.default_rng(seed)
    images = [frame.image for frame in decoded(truth)]
    crowded, mixed = crowds(truth, images, random)
    found: Sets = {}
    for name, labelled, shown in (("dense", truth, images), ("crowds", crowded, mixed)):
        boxes = [labelled.boxes[rows[~labelled.ignored[rows]]] for rows in labelled.rows()]
        people = [
            People.from_boxes(jittered(some, jitter, random).reshape(-1, 4)) for some in boxes
        ]
        found[name] = Candidates(labelled, _posed(estimator.pose, shown, people, estimator.workers))
    nobody = [People.from_boxes(np.zeros((0, 4)))] * len(images)
    return {
        **found,
        "detected": Candidates(truth, _posed(estimator, images, nobody, estimator.workers)),
    }


def worth(sets: Sets, suppress: Suppress, price: float = 0.0) -> float:
    """AP, averaged over the sorts of candidates, less `price` for each pose per person beyond one,
    among the sorts whose candidates are all of labelled people. (AP hardly sees duplicates that
    score less than the pose they repeat, but people who look at the picture do.)
    """
    known = [some.each(suppress) for name, some in sets.items() if name != "detected"]
    precision = np.mean([some.precision(suppress) for some in sets.values()])
    return float(precision - price * (np.mean(known) - 1))


def _posed(
    pose: Callable[[Sequence[Frame]], list[Frame]],
    images: Sequence[Image],
    people: Sequence[People],
    workers: int,
) -> list[People]:
    shown = (Frame(image, people=some) for image, some in zip(images, people, strict=True))
    with ThreadPoolExecutor(workers) as pool:
        return [
            frame.people
            for frame in mapped(lambda frame: pose([frame])[0], shown, pool, workers + 1)
        ]


@dataclass(frozen=True, slots=True)
class Step:
    """One search of two parameters: their names, their values in turn, AP of each [A, B], and the
    best setting.
    """

    names: tuple[str, str]
    values: tuple[tuple[float, ...], tuple[float, ...]]
    scores: np.ndarray
    best: PoseNms


def search(
    score: Callable[[PoseNms], float], start: PoseNms, steps: Sequence[float] = STEPS
) -> Iterator[Step]:
    """Two parameters at a time around the best so far, in ever finer steps: each search as it is
    done.
    """
    best, known = start, {}

    def cached(setting: PoseNms) -> float:
        if setting not in known:
            known[setting] = score(setting)
        return known[setting]

    for step, names in product(steps, PAIRS):
        factors = step ** np.arange(-REACH, REACH + 1)
        values = tuple(tuple((getattr(best, name) * factors).tolist()) for name in names)
        grid = [[replace(best, **{names[0]: a, names[1]: b}) for b in values[1]] for a in values[0]]
        scores = np.array([[cached(setting) for setting in row] for row in grid])
        smooth = uniform_filter(scores, 3, mode="nearest")
        away = np.abs(np.indices(smooth.shape) - REACH).sum(0)
        a, b = divmod(int(np.lexsort((away.ravel(), -smooth.ravel().round(9)))[0]), len(grid[0]))
        best = grid[a][b]
        yield Step(names, values, scores, best)  # type: ignore[arg-type]
