"""DeepCut and DeeperCut: candidates of joints of all people, divided by one integer program.

Pishchulin et al., "DeepCut: joint subset partition and labeling for multi person pose estimation",
CVPR 2016; Insafutdinov et al., "DeeperCut: a deeper, stronger, and faster multi-person pose
estimation model", ECCV 2016. Candidates and their pairwise terms: `deepcut_pairs.py`; the program:
`partition_exact.py`. Large ones are solved incrementally: head and shoulders first, then arms, then
legs.

A model is an ONNX file that answers part scores [B, K, h, w], refinements [B, 2K, h, w] and
pairwise offsets [B, 2K(K-1), h, w], and beside it an .npz of the same name (`Terms.save`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..codecs.grid import check_ports
from ..codecs.peaks import Array, Places, check_cells, nearest
from ..geometry import box_around
from ..inputs import Input
from ..options import Options
from ..runtime import Port
from ..skeletons import COCO17, Skeleton
from .bottomup import BottomUp, bottom_up, given_model, sized
from .deepcut_pairs import (
    LOCATION,
    Candidates,
    Choice,
    Terms,
    compare,
    find_candidates,
    load_terms,
    pair_channel,
)
from .partition import Answer, Problem, greedy, of_probabilities
from .partition_exact import exact, incremental
from .told import joints_of

MEAN = (123.68, 116.779, 103.939)  # red, green, blue, as published
INPUT = Input(size=(640, 640), mean=MEAN)
ARMS, LEGS = ("elbow", "wrist"), ("hip", "knee", "ankle", "pelvis", "heel", "toe")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How people are made of candidates."""

    choice: Choice = field(default_factory=Choice)
    exact: int = 60  # up to so many candidates, one program of all; more go in stages
    seconds: float = 10.0  # for the partition of a picture
    greedy: bool = False  # the greedy partition alone
    least_parts: int = 3  # of a person


def stages(part: Places, skeleton: Skeleton) -> list[Places]:
    """Candidates by what is found first: head and shoulders, arms, legs as in DeeperCut."""
    limbs = [any(word in name for word in ARMS) for name in skeleton.joints]
    legs = [any(word in name for word in LEGS) for name in skeleton.joints]
    stage = np.array(limbs, np.intp) + 2 * np.array(legs, np.intp)
    groups = (np.flatnonzero(stage[part] == number) for number in range(3))
    return [group for group in groups if len(group)]


def divide(problem: Problem, part: Places, skeleton: Skeleton, options: Decoding) -> Answer:
    """The partition: greedy if so asked, exact where there are few candidates, else in stages."""
    if options.greedy:
        return greedy(problem)
    if len(part) <= options.exact:
        return exact(problem, seconds=options.seconds)
    return incremental(problem, stages(part, skeleton), seconds=options.seconds)


def people_of(
    some: Candidates, answer: Answer, joints: int, least_parts: int = 3
) -> tuple[Array, Array]:
    """-> keypoints [P,K,3] in pixels, scores [P]: a joint is the mean of its candidates, weighted
    by their scores, and as sure as the surest; a person's score is the mean of its joints'.
    """
    count = int(answer.people.max(initial=0))
    kept = np.flatnonzero(answer.people)
    spot = (answer.people[kept] - 1) * joints + some.part[kept]
    weight = np.bincount(spot, some.score[kept], count * joints)
    keypoints = np.zeros((count * joints, 3))
    for axis in (0, 1):
        total = np.bincount(spot, some.score[kept] * some.place[kept, axis], count * joints)
        np.divide(total, weight, out=keypoints[:, axis], where=weight > 0)
    np.maximum.at(keypoints[:, 2], spot, some.score[kept])

    people = keypoints.reshape(count, joints, 3)
    parts = (people[..., 2] > 0).sum(1)
    score = people[..., 2].sum(1) / np.maximum(parts, 1)
    whole = parts >= least_parts
    return people[whole].astype(np.float32), score[whole].astype(np.float32)


def decode(
    maps: tuple[Array, Array, Array],
    skeleton: Skeleton,
    terms: Terms,
    options: Decoding | None = None,
) -> tuple[Array, Array, Answer]:
    """Part scores, refinements, pairwise offsets -> keypoints [P,K,3] in pixels, scores [P], and
    the partition, which says its cost and how far from the optimum it can be.
    """
    options = options or Decoding()
    some = find_candidates(*maps, terms.statistics, options.choice)
    edges, likely = compare(some, terms.pairs)
    problem = of_probabilities(some.score, edges, likely)
    answer = divide(problem, some.part, skeleton, options)
    return *people_of(some, answer, len(skeleton), options.least_parts), answer


@dataclass(frozen=True, slots=True)
class DeepCutMaps:
    """The picture codec of such a model."""

    skeleton: Skeleton
    terms: Terms
    options: Decoding = field(default_factory=Decoding)

    def decode(
        self, outputs: Sequence[Array], size: tuple[int, int]
    ) -> list[tuple[Array, Array, Array]]:
        """[scores, refinements, offsets] -> per picture (keypoints, boxes, scores)."""
        check_cells(outputs[0], size, self.options.choice.stride)
        found = []
        for maps in zip(*outputs, strict=True):
            keypoints, scores, _ = decode(maps, self.skeleton, self.terms, self.options)
            found.append((keypoints, box_around(keypoints), scores))
        return found

    def encode(
        self, keypoints: Array, size: tuple[int, int], radius: float = 17.0
    ) -> tuple[Array, Array, Array]:
        """People [P,K,3] in input pixels, size (width, height) -> what a perfect network says: on
        the cells within `radius` pixels of a joint of score above 0, the nearest person's.
        """
        joints, stride = len(self.skeleton), self.options.choice.stride
        cells = size[0] // stride, size[1] // stride
        across = np.meshgrid(*(self.options.choice.first + stride * np.arange(n) for n in cells))
        gaps = keypoints[:, :, None, None, :2] - np.stack(across, -1)  # [P,K,h,w,2]
        seen = keypoints[..., 2] > 0
        who, near = nearest(gaps, seen, radius)

        mean, deviation = self.terms.statistics.mean, self.terms.statistics.deviation
        refinements = np.zeros((joints, 2, *near.shape[1:]), np.float32)
        pairwise = np.zeros((joints * (joints - 1), 2, *near.shape[1:]), np.float32)
        for a in range(joints) if len(keypoints) else ():
            own = np.take_along_axis(gaps, who[None, a, ..., None][:, None], 0)[0]  # [K,h,w,2]
            for b in range(joints):
                known = (near[a] & seen[who[a], b])[..., None]
                offset = np.where(known, own[b] - mean[a, b], 0) / deviation[a, b]
                if a == b:
                    refinements[a] = np.moveaxis(np.where(known, own[a], 0) / LOCATION, -1, 0)
                else:
                    pairwise[pair_channel(a, b, joints)] = np.moveaxis(offset, -1, 0)
        flat = (-1, *near.shape[1:])
        return near.astype(np.float32), refinements.reshape(flat), pairwise.reshape(flat)

    def check(self, ports: Sequence[Port], joints: int) -> None:
        channels = (joints, 2 * joints, 2 * joints * (joints - 1))
        meaning = "part scores [B, K, h, w], refinements [B, 2K, h, w], offsets [B, 2K(K-1), h, w]"
        check_ports(self, meaning, [(None, count, None, None) for count in channels], ports)


def open_deepcut(options: Options) -> BottomUp:
    """DeepCut by the options' pose model (a name, or an ONNX file with its .npz beside it). Raises
    ModelError, OptionError.
    """
    session, row = given_model(options, "deepcut")
    named = joints_of(options.pose, row, session.path, usual=COCO17.name)
    codec = DeepCutMaps(named, load_terms(session.path.with_suffix(".npz"), len(named)))
    spec = sized(row.input if row else INPUT, session, options)
    return bottom_up(session, codec, named, spec, options)
