"""Does a head on the pose network's features know better than joint scores how right a pose is?

    python -m benchmarks.score_head --cache OUT                    # cross-validated on coco_train
    python -m benchmarks.score_head --cache OUT --turns 0,90 --judge ../shared/data/coco_val

The network stays as it is. What its coarsest, middle and finest features are on average over the
crop (of the coarsest also the highest values), along their 64 principal directions, the 17 scores,
and what is known of the box and its neighbours go into one hidden layer, which learns the OKS of
the pose to the nearest labelled person (as "On the Calibration of Human Pose Estimation", Gu et al.
2023, does with the features of larger networks). A person's score becomes the geometric mean of
that and of the present score (detector × mean of the visible joints). --without features, or
context, leaves one part out.

Candidates are what `everybody eval` judges: boxes that score .05 or more, each pose in its best
turn, the `MOST` surest of a picture. The head learns from all; AP is of those that pose NMS leaves,
which runs before the new scores. Cross-validated: five parts, by picture, each scored by a head
that learnt from the other four. --judge: a head that learnt from all of --data scores other data.
Intervals are 95 %, by a bootstrap over pictures, paired. "exact order" scores by the true OKS. The
rule "× side / 64 pixels, at most 1" is what most of the gain turned out to be: small people are
seldom labelled, and their poses are less right.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import (
    COCO_TRAIN,
    counted,
    gap,
    head,
    parsed,
    parser,
    picture,
    rotated,
    row,
)
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.data.rotate import turned
from everybody.geometry import iou
from everybody.methods.detector import open_detector
from everybody.methods.orientation import AnyTurn, LookAgain, open_turn_net
from everybody.methods.sppe import Sppe, person_scores
from everybody.methods.topdown import open_sppe
from everybody.metrics import diagnose, judge
from everybody.metrics.matching import similarities
from everybody.nms import PoseNms
from everybody.options import Engine, FindOptions, PoseOptions
from everybody.people import Frame, People
from everybody.skeletons import COCO17

MODEL, DET_SCORE, MOST = "everybody-accurate", 0.05, 24
# Weights of the head's first step, its second (which sees a sum of two parts) and its last one.
BELOW = ("net.head.steps.0.0.weight", "net.head.steps.1.0.weight", "net.head.heatmaps.weight")
PARTS, HEADS = 5, 3  # of the cross-validation; networks that are averaged
SMALL = 64.0  # pixels of the longer side of a box: people below it score less by the rule
KEPT = 64  # directions of the crop's features in which they vary most
HIDDEN, ROUNDS, BATCH, RATE, DECAY, DROP = 24, 16, 128, 2e-3, 0.3, 0.3

Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]  # features, context [N, …] -> OKS [N]


class Candidates(NamedTuple):
    """Everybody that was found in a data set, turned by so many quarters."""

    people: list[People]  # of each picture, as the poser gives them
    features: list[np.ndarray]  # [N, F] of their crops
    context: list[np.ndarray]  # [N, C]: see `around`
    oks: list[np.ndarray]  # [N] to the nearest labelled person, 0 if there is none


@dataclass(frozen=True, kw_only=True)
class Watched(Sppe):
    """An SPPE that keeps what the network's parts say, by the pose that came of it."""

    raw: list[list[np.ndarray]] = field(default_factory=list)
    seen: dict[bytes, np.ndarray] = field(default_factory=dict)

    @property
    def _answer(self) -> Any:
        return self.session.outputs[-1:]

    def _decode(self, outputs: list[Any]) -> Any:
        self.raw.append(outputs)
        return self._decoded(outputs[-1:])

    def posed(self, pictures: Sequence[Any], boxes: Any, turns: Any) -> Any:
        self.raw.clear()
        found = super().posed(pictures, boxes, turns).astype(np.float32)
        if len(found):
            coarse, middle, fine, _ = (np.concatenate(part) for part in zip(*self.raw, strict=True))
            parts = [part.mean((2, 3)) for part in (coarse, middle, fine)]
            features = np.concatenate([*parts, coarse.max((2, 3))], 1)
            for pose, line in zip(found, features, strict=True):
                self.seen[pose.tobytes()] = line
        return found


def watched(folder: Path) -> Watched:
    """The bundled SPPE with what its head builds on as further outputs, the heatmaps last."""
    import onnx

    plain = open_sppe(PoseOptions(model=MODEL), Engine(threads=1))
    model = onnx.load(plain.session.path)
    below = {node.input[1]: node.input[0] for node in model.graph.node if node.op_type == "Conv"}
    sums = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Add"}
    parts = [below[name] for name in BELOW]
    wanted = [*(sums.get(name, name) for name in parts), model.graph.output[0].name]
    del model.graph.output[:]
    for name in wanted:
        kind = onnx.TensorProto.FLOAT
        shape = ["B", 17, 64, 48] if name == wanted[-1] else None
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    path = folder / "features.onnx"
    onnx.save(model, path)
    session = Engine(threads=1)(path)
    own = {"skeleton": plain.skeleton, "codec": plain.codec, "input": plain.input}
    return Watched(session=session, look=plain.look, batch=4, **own)


def candidates(shown: Dataset, truth: Dataset, quarters: int) -> Candidates:
    """Of the pictures of `truth`, turned; `shown` are its labels, turned."""
    engine = Engine(threads=1)
    net = open_turn_net(engine=engine)
    finder = LookAgain(detector=open_detector(FindOptions(score=DET_SCORE), engine), net=net)
    out = Candidates([], [], [], [])
    with TemporaryDirectory() as folder:
        poser = watched(Path(folder))
        posing = AnyTurn(poser=poser, net=net)
        for index in range(len(shown)):
            image = rotated(picture(truth, index), quarters)
            boxes = finder([image])[0][:MOST]
            poser.seen.clear()
            people = posing([Frame(image, people=boxes)])[0].people
            lines = [poser.seen[pose.tobytes()] for pose in people.keypoints.astype(np.float32)]
            out.people.append(people)
            out.context.append(around(people, boxes.scores, image.shape[1::-1]))
            out.features.append(np.array(lines, np.float32).reshape(len(lines), -1))
            out.oks.append(np.zeros(len(people)))
    found = gathered(out.people, shown.pictures, COCO17, name="found")
    for place, (true, rows) in enumerate(zip(shown.rows(), found.rows(), strict=True)):
        true = true[~shown.ignored[true]]
        if len(true) and len(rows):
            out.oks[place][:] = similarities(shown, found, true, rows).max(0)
    return out


def around(people: People, detected: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """People of a picture of `size` (width, height), scores of their boxes [N] -> [N, 50]: joint
    scores, place and size of the box, neighbours.
    """
    if not len(people):
        return np.zeros((0, 50))
    scores, boxes = people.keypoints[..., 2], people.boxes.astype(float)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    places = people.keypoints[..., :2]
    fit = np.diagonal(iou(np.concatenate([places.min(1), places.max(1)], 1), boxes))
    margins = np.concatenate([boxes[:, :2] / sides, (np.array(size) - boxes[:, 2:]) / sides], 1)
    overlap = iou(boxes, boxes)
    np.fill_diagonal(overlap, 0)
    surer = overlap * (detected[None] > detected[:, None])
    sure, seen = detected.clip(1e-3, 0.999), person_scores(np.ones(len(people)), scores)
    width, height = sides.T
    columns = [np.log(sure / (1 - sure)), np.log(sure), np.log(seen + 0.02), seen]
    columns += [scores.mean(1), (scores > 0.2).mean(1), (scores > 0.5).mean(1)]
    columns += [np.log(sides.max(1)), np.log(width * height), np.log(height / width)]
    columns += [np.log(width * height / np.prod(size)), fit, margins.min(1).clip(max=0.2)]
    columns += [surer.max(1), overlap.max(1), np.full(len(people), detected.sum())]
    return np.concatenate([scores, np.log(scores + 0.02), np.stack(columns, 1)], 1)


def evened(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """[N, F] -> what brings others to the mean 0 and the deviation 1 of these."""
    middle, scale = values.mean(0), values.std(0) + 1e-3
    return lambda others: (others - middle) / scale


def learnt(features: np.ndarray, context: np.ndarray, target: np.ndarray) -> Answer:
    """Features [N, F], context [N, C], OKS [N] -> what gives others their OKS."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    even = evened(features)
    known = even(features)
    directions = np.linalg.eigh(known.T @ known)[1][:, -KEPT:]
    whole = evened(np.concatenate([known @ directions, context], 1))

    def shaped(features: np.ndarray, context: np.ndarray) -> torch.Tensor:
        lines = np.concatenate([even(features) @ directions, context], 1)
        return torch.tensor(whole(lines).clip(-5, 5), dtype=torch.float32)

    inputs, wanted = shaped(features, context), torch.tensor(target, dtype=torch.float32)
    nets = []
    for seed in range(HEADS):
        rng = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        first, last = nn.Linear(inputs.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
        with torch.no_grad():
            first.weight.mul_(0.3)
        net = nn.Sequential(nn.Dropout(DROP), first, nn.GELU(), nn.Dropout(DROP / 2), last)
        optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
        steps = ROUNDS * -(-len(inputs) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(ROUNDS):
            for rows in torch.randperm(len(inputs), generator=rng).split(BATCH):
                said = net(inputs[rows])[:, 0]
                loss = nn.functional.binary_cross_entropy_with_logits(said, wanted[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        nets.append(net.eval())

    @torch.no_grad()
    def answer(features: np.ndarray, context: np.ndarray) -> np.ndarray:
        said = [net(shaped(features, context))[:, 0].sigmoid().numpy() for net in nets]
        return np.mean(said, axis=0)

    return answer


def pooled(some: Sequence[Candidates], pictures: np.ndarray) -> list[np.ndarray]:
    """Features, context and OKS of everybody in some pictures, of all turns."""
    rows = [(turn, place) for turn in some for place in pictures if len(turn.people[place])]
    columns = [(turn.features[i], turn.context[i], turn.oks[i]) for turn, i in rows]
    return [np.concatenate(column) for column in zip(*columns, strict=True)]


def cross_validated(some: Sequence[Candidates]) -> list[list[np.ndarray]]:
    """The OKS that a head which has not seen the picture gives everybody, by turn and picture."""
    count = len(some[0].people)
    part = np.random.default_rng(0).permutation(count) % PARTS
    answers = [learnt(*pooled(some, np.flatnonzero(part != number))) for number in range(PARTS)]
    return [guessed(turn, [answers[number] for number in part]) for turn in some]


def guessed(some: Candidates, answers: Sequence[Answer]) -> list[np.ndarray]:
    """What each picture's answer says of its people."""
    rows = zip(answers, some.features, some.context, strict=True)
    return [answer(*lines) if len(lines[0]) else np.zeros(0) for answer, *lines in rows]


def report(shown: Dataset, some: Candidates, oks: Sequence[np.ndarray], name: str) -> None:
    """AP with the present scores, the head's, and the true OKS, after the same pose NMS."""
    suppress, kept, likeness = PoseNms(), [], []
    for people, values in zip(some.people, oks, strict=True):
        left = suppress(replace(people, ids=np.arange(len(people))))
        rows = np.zeros(0, int) if left.ids is None else left.ids
        kept.append(replace(left, ids=None))
        likeness.append(values[rows])
    now = gathered(kept, shown.pictures, COCO17, name="now")
    pairing = diagnose.pair(shown, now, most=MOST)
    exact = np.zeros(len(now.picture))
    exact[pairing.found[pairing.found >= 0]] = pairing.likeness[pairing.found >= 0]
    side = (now.boxes[:, 2:] - now.boxes[:, :2]).max(1)
    columns = {
        "present score": now.scores,
        f"× side / {SMALL:g} pixels, at most 1": now.scores * np.minimum(1, side / SMALL),
        "with the head": np.sqrt(now.scores * np.concatenate(likeness)),
        "exact order": exact,
    }
    figures = {
        label: judge.judge(shown, replace(now, scores=scores.astype(np.float32)), ["AP"])[0]
        for label, scores in columns.items()
    }
    first = figures["present score"]
    for label, figure in figures.items():
        said = "–" if figure is first else gap(first, figure, len(shown), 300)
        print(row(name, label, f"{figure.value:.3f}", said), flush=True)


def main() -> None:
    command = parser(__doc__)
    add = command.add_argument
    add("--data", type=Path, default=COCO_TRAIN)
    add("--judge", type=Path)
    add("--turns", default="0,90")
    add("--without", choices=["features", "context"])
    add("--cache", type=Path, required=True, help="a folder for what was found: it takes minutes")
    given = parsed(command)
    quarters = [int(turn) // 90 for turn in given.turns.split(",")]

    def found(path: Path) -> tuple[list[Dataset], list[Candidates]]:
        truth = read(path)
        print(f"{path.name}: {counted(truth)}", flush=True)
        labels, turns = [turned(truth, turn) for turn in quarters], []
        for turn, shown in zip(quarters, labels, strict=True):
            file = given.cache / f"{path.name}-{turn}.pickle"
            if not file.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(pickle.dumps(candidates(shown, truth, turn)))
            some: Candidates = pickle.loads(file.read_bytes())
            if given.without:
                nothing = [np.zeros((len(people), 1)) for people in some.people]
                some = some._replace(**{given.without: nothing})
            turns.append(some)
        return labels, turns

    labels, turns = found(given.data)
    oks = cross_validated(turns)
    if given.judge:
        answer = learnt(*pooled(turns, np.arange(len(labels[0]))))
        labels, turns = found(given.judge)
        oks = [guessed(turn, [answer] * len(turn.features)) for turn in turns]
    print(head("turned", "scores", "AP", "difference"))
    for quarter, shown, some, guess in zip(quarters, labels, turns, oks, strict=True):
        report(shown, some, guess, f"{90 * quarter}°")


if __name__ == "__main__":
    main()
