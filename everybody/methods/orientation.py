"""People who lie, hang, dive or do handstands, for any detector and any SPPE.

A single-person estimator is sure of what it was trained on, and that is upright people. So the turn
in which a person's joints score best is that person's own turn, whatever the estimator. A small
network looks at each person first (RotNet, Gidaris et al. 2018; RMPE's SSTN answers the same need
by a learnt affine map, Fang et al. 2017) and leaves few turns to be tried, most often one. Without
it, everybody who is not found well upright is tried in all turns. People of one picture are mostly
turned alike, so each is also judged by the others. A person who leans between two turns is
estimated once more, straightened by the trunk that was found first, as cascades look again where
the last one pointed (DeepPose, Toshev & Szegedy 2014). Turns count as np.rot90 does: quarters
against the clock.

    `AnyTurn`     a poser around a poser: tries the likely turns of each person
    `LookAgain`   a finder around a detector: looks again at the picture turned, where somebody
                  seems to lie. Detectors see people who lie faintly; in the picture turned so that
                  they stand, well. All four turns take four times as long and find false people.

The numbers were chosen on coco_train and its turned copies, `LookAgain`'s also on people of
lspet/train who do not stand (everybody-accurate and -fast; `benchmarks/turn.py`), never on
coco_val.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..codecs.boxes import Found
from ..geometry import Array
from ..inputs import IMAGENET, Input, normalise, square
from ..method import BoxFinder, Stage, finding
from ..options import Engine
from ..people import Frame, Image, People
from ..runtime import Session
from ..skeletons import Skeleton
from ..weights.locate import fixed_size, opened
from .detector import TURNS, Detector
from .sppe import Crowd, with_keypoints

UNKNOWN = 0.25  # probability of each turn of a person who was not looked at

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
SEEN = 0.2  # minimum score of each trunk joint for the trunk's direction to count
LONG = (
    0.15  # minimum length of a trunk, of the box's longer side: seen from above it points nowhere
)

LEANING = 1 / 3  # of a quarter turn: a trunk that leans by more is between two turns
WELL = 0.7  # people who lean and score less are estimated once more, straightened

UPRIGHT_BONUS = 0.05  # upright people are many, and faint ones look alike in every turn: another
# turn must win by this much

FAINT = 0.15  # minimum score of a box that the turn net is asked about
MOST = 12  # boxes of a picture that it is asked about, the surest first
TURNED = 0.65  # minimum probability of a turn in which the detector looks again


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """In which order turns are tried, and when to stop.

    Upright counts as e^prior times as likely as any other turn, because most people are upright.
    The turns of the other people in the picture count too, beside those of `world` average people.
    The likeliest turn is tried first. If the person scores less than `sure` in it, the turns whose
    log-probability lies at most `worth` below are tried, too.
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


class Turnable(Protocol):
    """A poser that can be told how people are turned: `Sppe`."""

    @property
    def skeleton(self) -> Skeleton: ...

    @property
    def sessions(self) -> Mapping[str, Session]: ...

    def posed(self, pictures: Sequence[Image], boxes: Array, turns: ArrayLike) -> Array: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyTurn:
    """A poser that tries the likely turns of each person and keeps the best.

    If people's `turns` are known, the likeliest turn is tried first, and the search stops if it
    scores at least `Search.sure`. net: what tells the turns of the others; without it, all turns
    are tried where upright is not sure. straighten: estimate people who lean once more.
    """

    poser: Turnable
    net: TurnNet | None = None
    straighten: bool = True

    @property
    def skeleton(self) -> Skeleton:
        return self.poser.skeleton

    @property
    def sessions(self) -> Mapping[str, Session]:
        turn = {"turn": self.net.session} if self.net else {}
        return {**self.poser.sessions, **turn}

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        return with_keypoints(frames, self.skeleton, self._estimate)

    def _estimate(self, pictures: list[Image], crowd: Crowd) -> Array:
        """Keypoints [N, K, 3] of N people, each in the turn that suits best."""
        likely = np.concatenate([hints(group) for group in crowd.groups])
        search = GUIDED if self.net else ALONE
        tries = Tries(self.poser, crowd)

        known = (likely != UNKNOWN).any(1)
        first = search.first(search.expected(likely, crowd.scores, crowd.frame))
        tries.look(first & known[:, None])
        unsure = tries.confidence() < search.sure
        if self.net:
            rows = np.flatnonzero(unsure)
            likely[rows] = self.net(crowd.pictures(rows), crowd.boxes[rows])

        expected = search.expected(likely, crowd.scores, crowd.frame)
        tries.look(search.first(expected) & unsure[:, None])
        tries.look(search.others(expected, tries.confidence()) & unsure[:, None])
        best = tries.best()
        return self._straightened(best, crowd) if self.straighten else best

    def _straightened(self, keypoints: Array, crowd: Crowd) -> Array:
        """The same poses [N, K, 3], those of people who lean estimated once more where that is
        surer.
        """
        turns = leaning(People(keypoints, crowd.boxes, crowd.scores, self.skeleton))
        rows = np.flatnonzero(~np.isnan(turns))
        again = self.poser.posed(crowd.pictures(rows), crowd.boxes[rows], turns[rows])
        leading = self.skeleton.leading
        surer = confidence(again[:, leading, 2]) > confidence(keypoints[rows][:, leading, 2])
        keypoints[rows[surer]] = again[surer]
        return keypoints


class Tries:
    """What a poser has found of N people in each of the four turns, as far as they were tried."""

    def __init__(self, poser: Turnable, crowd: Crowd) -> None:
        self._poser, self._crowd = poser, crowd
        self._found = np.zeros((len(crowd), 4, len(poser.skeleton), 3), np.float32)
        self._tried = np.zeros((len(crowd), 4), bool)

    def look(self, at: NDArray[np.bool_]) -> None:
        """Try the turns `at` [N, 4] that were not tried yet."""
        rows, turns = np.nonzero(at & ~self._tried)
        crowd = self._crowd
        self._found[rows, turns] = self._poser.posed(crowd.pictures(rows), crowd.boxes[rows], turns)
        np.logical_or(self._tried, at, out=self._tried)

    @property
    def _leading(self) -> Array:
        """The joints that decide."""
        return self._found[:, :, self._poser.skeleton.leading]

    def confidence(self) -> Array:
        """[N]: of each person in the best turn tried, 0 where none was."""
        return confidence(self._leading[..., 2]).max(1)

    def best(self) -> Array:
        """Keypoints [N, K, 3] of each person in the turn that suits best."""
        chosen = best_turn(self._leading, self._tried)
        return self._found[np.arange(len(chosen)), chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain(BoxFinder):
    """A finder: pictures -> the people in each as boxes, most confident first, with their `turns`
    as far as the net was asked.
    """

    detector: Detector
    net: TurnNet

    @property
    def sessions(self) -> Mapping[str, Session]:
        return {**self.detector.sessions, "turn": self.net.session}

    @property
    def stages(self) -> tuple[Stage, ...]:
        return finding(self, self.detector.batch)

    def __call__(self, images: Sequence[Image]) -> list[People]:
        if not images:
            return []
        score = min(self.detector.score, FAINT)
        faint = replace(self.detector, score=score, max_people=None)
        found = faint(images)
        crowd = Crowd([Frame(image, people=p) for image, p in zip(images, found, strict=True)])

        place = np.concatenate([np.arange(len(people)) for people in found])  # the surest first
        asked = np.flatnonzero((crowd.scores >= FAINT) & (place < MOST))
        likely = np.full((len(crowd), 4), UNKNOWN, np.float32)
        likely[asked] = self.net(crowd.pictures(asked), crowd.boxes[asked])
        expected = GUIDED.expected(likely[asked], crowd.scores[asked], crowd.frame[asked])
        turned = expected >= TURNED

        found = [replace(p, turns=likely[crowd.frame == n]) for n, p in enumerate(found)]
        more: list[list[Found]] = [[] for _ in images]
        for turn in TURNS[1:]:
            wanted = np.unique(crowd.frame[asked][turned[:, turn]]).tolist()
            seen = faint.look([images[n] for n in wanted], turn)
            for n, looked in zip(wanted, seen, strict=True):
                more[n].append(looked)
        return [self._joined(*parts) for parts in zip(images, found, more, strict=True)]

    def _joined(self, image: Image, people: People, more: list[Found]) -> People:
        """What was found in a picture, and in its turned copies."""
        if not more:
            sure = people[people.scores >= self.detector.score]
            return sure[: self.detector.max_people]
        others = self.detector.named(more)
        others = replace(others, turns=np.full((len(others), 4), UNKNOWN, np.float32))
        return self.detector.chosen(People.concatenate([people, others]), image)


def open_turn_net(model: str | Path | None = None, engine: Engine | None = None) -> TurnNet:
    """The net that tells how people are turned, by name or path (None: the manifest's default).
    Raises ModelError, OptionError.
    """
    session, row = opened(model, "turn", engine or Engine())
    if row:
        return TurnNet(session=session, input=row.input, padding=row.padding)
    return TurnNet(session=session, input=Input(size=fixed_size(session), fill=114, **IMAGENET))


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
    """Poses -> [N]: the quarter turns, and parts of one, that bring people who lean upright; NaN
    for people who do not lean, or score well as they are.
    """
    turn = trunks(people)
    sure = confidence(people.keypoints[:, people.skeleton.leading, 2])
    again = (np.abs(turn - turn.round()) > LEANING) & (sure < WELL)
    return np.where(again, turn, np.nan)


def trunks(people: People) -> Array:
    """Poses -> [N]: the quarter turns that bring each trunk upright; NaN where it does not say."""
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
