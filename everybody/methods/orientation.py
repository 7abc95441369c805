"""People who lie, hang, dive or do handstands: which quarter turn of a crop shows a person as the
network knows people.

A single-person estimator is sure of what it was trained on, and that is upright. So the turn in
which its joints score best is the person's own, whatever the estimator. A small network looks at
each person first (RotNet, Gidaris et al. 2018; RMPE's SSTN answers the same need by a learnt affine
map, Fang et al. 2017) and leaves few turns to be tried, most often one; without it, whoever is not
found well upright is tried in all. People of one picture are mostly turned alike, so each is also
judged by the others. Who leans between two turns is looked at once more, straightened by the trunk
that was found first, as cascades look again where the last one pointed (DeepPose, Toshev & Szegedy
2014). Turns count as np.rot90 does, quarters against the clock.

The numbers were chosen on coco_train and its turned copies (everybody-accurate and -fast;
`benchmarks/turn.py`), never on coco_val.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from ..inputs import Input, normalise, square
from ..people import Image, People
from ..runtime import Session

Orientation = Literal["upright", "any"]
ORIENTATIONS: tuple[Orientation, ...] = get_args(Orientation)

UNKNOWN = 0.25  # how likely each turn is, of whom nobody has looked at

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
SEEN = 0.2  # score that each of these needs, for a pose to tell how its trunk lies
LONG = 0.15  # of the longer side of the box, and how long the trunk must be: one seen from above points nowhere

LEANING = 1 / 3  # of a quarter turn: who leans more is between two turns
WELL = 0.7  # who leans and scores less is looked at once more, straightened

UPRIGHT_BONUS = 0.05  # upright people are many and faint ones look alike every way: another turn must win by this much


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """In which order turns are tried, and when to stop.

    Upright is held to be e^prior times as likely as any other turn, since most people are. How the
    others of a picture are turned counts, too, beside so many people of the world at large
    (`world`). The likeliest turn is tried first; who scores less than `sure` in it is tried in
    those whose logarithm lies at most `worth` below.
    """

    prior: float = 0.6
    world: float = 2.0
    worth: float = 0.7
    sure: float = 0.5

    def expected(self, likely: Array, scores: Array, pictures: NDArray[np.intp]) -> Array:
        """How likely each turn is by the looks of each person alone [N, 4], how surely that is
        somebody [N], in which picture [N] (0, 1, …) -> [N, 4]: the probability of each turn.
        """
        world = np.exp(self.prior * (np.arange(4) == 0))
        world /= world.sum()
        votes = scores[:, None] * _normal(likely * world)
        everybody = np.zeros((pictures.max(initial=-1) + 1, 4))
        np.add.at(everybody, pictures, votes)
        others = self.world * world + everybody[pictures] - votes
        return _normal(np.maximum(likely, 1e-6) * _normal(others))

    def first(self, expected: Array) -> NDArray[np.bool_]:
        """[N, 4] -> [N, 4]: the turn to try first."""
        return np.arange(4) == expected.argmax(1)[:, None]

    def others(self, expected: Array, scores: Array) -> NDArray[np.bool_]:
        """[N, 4], how well each scored in the first turn [N] -> [N, 4]: the turns to try then."""
        near = expected >= expected.max(1, keepdims=True) * math.exp(-self.worth)
        return near & ~self.first(expected) & (scores < self.sure)[:, None]


def _normal(values: Array) -> Array:
    """[N, 4] -> [N, 4], of sum 1."""
    return values / values.sum(1, keepdims=True)


GUIDED = Search()
ALONE = Search(
    worth=math.inf, sure=0.7
)  # where no net has looked: trying even the surer ones moved AP by .01 at most


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnNet:
    """Pictures [H, W, 3] RGB and a box [N, 4] in each -> [N, 4]: how likely each quarter turn
    brings the person upright.

    padding grows the square around the box.
    """

    session: Session
    input: Input
    padding: float = 1.2

    def __call__(self, pictures: Sequence[Image], boxes: Array) -> Array:
        if not len(boxes):
            return np.zeros((0, 4), np.float32)
        size = self.input.size[0]
        pairs = zip(pictures, boxes, strict=True)
        crops = [square(image, box, size, self.padding, self.input.fill) for image, box in pairs]
        return self.session(normalise(crops, self.input))[0]


def turns_of(people: People) -> Array:
    """Poses -> [N, 4]: 1 for the quarter turn that brings each trunk upright, or `UNKNOWN` where it
    does not say: joints that are not seen, a short trunk, or one that leans from one turn to the
    next.
    """
    turn = trunks(people)
    quarter = np.nan_to_num(turn).round()
    return np.where(
        np.abs(turn - quarter)[:, None] < LEANING, np.eye(4)[quarter.astype(np.intp) % 4], UNKNOWN
    )


def leaning(people: People) -> Array:
    """Poses -> [N]: the quarter turns, and parts of one, that bring who leans upright; NaN for
    those who do not, or are found well as they are.
    """
    turn = trunks(people)
    again = (np.abs(turn - turn.round()) > LEANING) & (confidence(people.keypoints[..., 2]) < WELL)
    return np.where(again, turn, np.nan)


def trunks(people: People) -> Array:
    """Poses -> [N]: how many quarter turns bring each trunk upright, or NaN where it does not say."""
    joints = people.skeleton.joints
    if not set(TRUNK) <= set(joints):
        return np.full(len(people), np.nan)
    trunk = people.keypoints[:, [joints.index(name) for name in TRUNK]]
    x, y = (trunk[:, :2, :2].mean(1) - trunk[:, 2:, :2].mean(1)).T
    side = (people.boxes[:, 2:] - people.boxes[:, :2]).max(1, initial=0.0)
    clear = (trunk[..., 2] > SEEN).all(1) & (np.hypot(x, y) > LONG * side)
    return np.where(clear, np.arctan2(x, -y) / (np.pi / 2), np.nan)


def hints(people: People) -> Array:
    """Their `turns` [N, 4], `UNKNOWN` where nobody has looked."""
    return np.full((len(people), 4), UNKNOWN) if people.turns is None else people.turns


def confidence(scores: Array) -> Array:
    """Joint scores [..., K] -> [...]: how sure the network is of the person, the mean."""
    return scores.mean(-1)


def best_turn(keypoints: Array, tried: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Keypoints [N, 4, K, 3] found in each turn, and which of them were tried [N, 4] -> [N]: the
    turn that scores best; upright if no other wins clearly.
    """
    scores = np.where(tried, confidence(keypoints[..., 2]), -np.inf)
    scores[:, 0] += UPRIGHT_BONUS
    return scores.argmax(1)
