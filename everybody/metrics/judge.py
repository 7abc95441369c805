"""All measures by name: from truth and results to figures that know their parts and can be drawn
again (bootstrap).

Names are written as the field writes them: AP, OKS, PCKh@0.5, PCK@0.2, PCKb@0.2 (box), PDJ@0.2,
PCP@0.5 (strict), PCPl@0.5 (loose), AUC@0.5, NME; BoxAP. What is after the @ can be any number. Of
tracked people: HOTA, DetA, AssA, MOTA, MOTP, IDF1, SwitchesPerMinute and PoseTrackAP.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import OptionError
from ..geometry import Array
from . import boxes, oks, tracks
from .figure import Figure
from .matching import By
from .single import DEFAULT_ALPHA, Pairs, single

if TYPE_CHECKING:
    import hotcoco


def defaults(truth: Dataset) -> list[str]:
    """What the field reports on such data."""
    if truth.format == "LSP":
        return ["PCK@0.2", "PCP@0.5"]
    if np.isfinite(truth.heads).any() and truth.format.startswith("MPII"):
        return ["PCKh@0.5", "AUC@0.5"]
    if truth.format == "MPII":
        return ["PCKh@0.5", "PCK@0.2"]
    return ["AP", "PCKb@0.2", "BoxAP"] if len(oks.present(truth)) > 1 else ["AP"]


def parse(names: Sequence[str]) -> list[tuple[str, float]]:
    """['pckh@0.5', 'AP'] -> [('PCKh', 0.5), ('AP', 0)], upper and lower case alike. Raises
    OptionError.
    """
    known = {
        name.lower(): name for name in ("AP", "BoxAP", "OKS", "NME", *DEFAULT_ALPHA, *tracks.NAMES)
    }
    out = []
    for text in names:
        kind, _, number = text.strip().partition("@")
        name = known.get(kind.lower())
        try:
            alpha = float(number) if number else DEFAULT_ALPHA.get(name or "", 0.0)
        except ValueError:
            alpha = -1.0
        if name is None or alpha < 0 or (number and name not in DEFAULT_ALPHA):
            raise OptionError(
                f"unknown measure '{text}': known are {', '.join(known.values())}; "
                f"{', '.join(DEFAULT_ALPHA)} also with @ and a number"
            )
        out.append((name, alpha))
    return out


def of_boxes_alone(names: Sequence[str]) -> bool:
    """Whether these measures look at boxes only, so that joints need not be labelled or alike."""
    return {name for name, _ in parse(names)} == {"BoxAP"}


def judge(
    truth: Dataset, results: Dataset, names: Sequence[str] = (), *, by: By = "oks"
) -> list[Figure]:
    """The figures of these names, by default those that the field reports on such data.

    `results` are joined to the pictures of `truth` and have its skeleton. Raises OptionError for
    measures that these data do not allow, and says which they lack.
    """
    wanted = parse(names or defaults(truth))
    figures: list[Figure] = []
    pairs, films = None, None
    for name, alpha in wanted:
        if name in tracks.NAMES:
            films = films or tracks.tracked(truth, results)
            figures.append(_tracking(name, films[name]))
            continue
        if name in _PRECISION:
            figures += _PRECISION[name](truth, results)
            continue
        pairs = pairs or Pairs.of(truth, results, by)
        figures += single(name, alpha, pairs)
    return figures


def _tracking(name: str, values: dict[str, float]) -> Figure:
    """Frames of a film cannot be drawn one by one: no intervals."""
    says = {
        "PoseTrackAP": "mean of the APs of joints (PoseTrack)",
        "SwitchesPerMinute": "how often the id of a person changes, by the times of the results",
    }.get(name, "similarity is OKS, a match .5")
    parts = {joint: value for joint, value in values.items() if joint != "all"}
    return Figure(name, values["all"], lambda weights: float("nan"), parts, says)


def average_precision(truth: Dataset, results: Dataset) -> list[Figure]:
    """The ten COCO figures; where pictures have crowd indices, AP by crowding; of whole bodies, AP
    by part.
    """
    figures = precision_figures(oks.evaluation(truth, results), truth)
    for label, pictures, joints in oks.divisions(truth):
        part = [data.only(joints).subset(pictures) for data in (truth, results)]
        first = precision_figures(oks.evaluation(part[0], part[1]), truth, pictures)[0]
        figures.append(replace(first, name=f"AP {label}", says=""))
    return figures


def box_precision(truth: Dataset, results: Dataset) -> list[Figure]:
    """AP of boxes, and at an intersection over union of .50; undefined where they were given."""
    names = {"BoxAP": "AP", "BoxAP50": "AP50"}
    if results.boxes_from == "gt":
        says = "the boxes were given: there is nothing to judge"
        return [Figure("BoxAP", math.nan, lambda weights: math.nan, says=says)]
    matched, every = boxes.matches(truth, results), np.ones(len(truth))
    says = "area under precision-recall of the boxes, mean of IoU .50, .55 … .95"
    return [
        Figure(
            name,
            matched(every)[short],
            lambda weights, short=short: matched(weights)[short],
            says=says if name == "BoxAP" else "",
        )
        for name, short in names.items()
    ]


def precision_figures(
    evaluator: hotcoco.COCOeval, truth: Dataset, pictures: NDArray[np.int64] | None = None
) -> list[Figure]:
    """The ten figures of what was evaluated: `truth`, or only these of its pictures."""
    matches: list[oks.Matches] = []  # made when somebody asks for draws

    def again(name: str) -> Callable[[Array], float]:
        def figure(weights: Array) -> float:
            if not matches:
                matches.append(oks.Matches(evaluator, truth, pictures))
            return matches[0](weights)[name]

        return figure

    says = {
        "AP": "area under precision-recall, mean of OKS .50, .55 … .95",
        "AR": "highest recall, mean of the same",
    }
    values = oks.summary(evaluator.eval or {})
    return [
        Figure(name, value, again(name), {}, says.get(name, "")) for name, value in values.items()
    ]


_PRECISION = {"AP": average_precision, "BoxAP": box_precision}
