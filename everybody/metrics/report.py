"""The diagnosis as one HTML file that opens from disk: no scripts, no network, pictures inside."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from ..data.dataset import Dataset
from ..errors import InputError
from ..people import Image, People
from . import charts, oks
from .diagnose import KINDS, Diagnosis, diagnose
from .figure import Figure
from .tables import Verdict

SURE = 0.3  # people and joints of this score and more are drawn
LONGEST = 720  # pixels of the longer side of a picture in the report
SAYS = {
    "jitter": "joints near their place",
    "inversion": "left and right of a person confused",
    "swap": "joints on another person",
    "miss": "joints elsewhere",
    "scores": "worse poses ranked above better ones",
    "duplicates": "people found twice",
    "background": "people where nobody is labelled",
    "overlooked": "people not found",
}


def write_report(
    path: Path,
    truth: Dataset,
    results: Dataset,
    *,
    worst: int = 12,
    conditions: Sequence[str] = (),
    verdict: Verdict | None = None,
) -> Diagnosis:
    """Diagnose and write a page. conditions: how the results came about, as far as known. verdict:
    of the same results; where it has figures by category, the page shows them. Returns the
    diagnosis.
    """
    found = diagnose(truth, results)
    page = _page(truth, results, found, worst, conditions, _categories(verdict))
    path.write_text(page, encoding="utf-8")
    return found


def _page(
    truth: Dataset,
    results: Dataset,
    found: Diagnosis,
    worst: int,
    conditions: Sequence[str],
    categories: str,
) -> str:
    style = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(results.name)}: diagnosis</title><style>{style}</style></head><body><main>
{_head(truth, results, found, conditions)}
<div class="grid">
{categories}
{_charts(truth, results, found)}
{_wide(truth, results, found, worst)}
</div></main></body></html>
"""


def _head(truth: Dataset, results: Dataset, found: Diagnosis, conditions: Sequence[str]) -> str:
    """What was judged, and the figures."""
    cards = "".join(
        f"<div class='card{' first' * (name == 'AP')}'>"
        f"<b>{_number(value)}</b><span>{name}</span></div>"
        for name, value in found.figures.items()
    )
    people = int((~truth.ignored).sum())
    sure = int((results.scores >= SURE).sum())
    said = "".join(f"; {escape(condition)}" for condition in conditions)
    return f"""<h1>{escape(results.name)}</h1>
<p>judged on {escape(truth.name)}: {len(truth)} pictures, {people} people of
{escape(truth.skeleton.name)} to find, {len(results.picture)} found, {sure} of score {SURE} and
more{said}</p>
<div class="cards">{cards}</div>"""


def _charts(truth: Dataset, results: Dataset, found: Diagnosis) -> str:
    sections = (
        (
            "What costs AP",
            "What AP gains if this one kind of mistake is taken away and all others stay.",
            _gains(found),
        ),
        (
            "From here to the top",
            "AP as the mistakes are taken away one after the other. What is left below 1 are "
            "joints that count as good.",
            _stairs(found),
        ),
        (
            "Joints",
            "Labelled joints of people who were found: good within OKS .85, jitter within .5, "
            "inverted with the other side, swapped with another person, or missed.",
            _joints(truth, found),
        ),
        (
            "Precision and recall",
            "Of the people found above a score, how many are right; of the people there are, how "
            "many are found. By the OKS that counts as right.",
            _curves(truth, results),
        ),
        (
            "What makes it hard",
            "Recall, averaged over OKS .50 … .95, of people by sort; the number of people at the "
            "right.",
            _slices(found),
        ),
        (
            "Scores",
            "Whether a score says how good a pose is: the mean OKS of the people found, by score. "
            "On the dashed line it would be the OKS itself. AP only needs the curve to rise.",
            _scores(results, found),
        ),
    )
    return "\n".join(_section(*section) for section in sections)


def _wide(truth: Dataset, results: Dataset, found: Diagnosis, worst: int) -> str:
    says = f"Labels on the left, results on the right (joints and people of score {SURE} and more)."
    pictures = _pictures(truth, results, found, worst)
    notes = "".join(f"<li>{escape(note)}</li>" for note in (*truth.notes, *results.notes))
    return "\n".join(
        (
            _section("Worst pictures", says, pictures, wide=True),
            _section("How this was made", "", _how(notes), wide=True),
        )
    )


def _section(title: str, says: str, body: str, *, wide: bool = False) -> str:
    text = f"<p>{escape(says)}</p>" if says else ""
    return f"<section{' class=wide' if wide else ''}><h2>{escape(title)}</h2>{text}{body}</section>"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _categories(verdict: Verdict | None) -> str:
    """The section of figures by category, "" where there is one category only."""
    if verdict is None or not verdict.about.categories:
        return ""
    measures = verdict.measures_by_category
    lines = [["", "to find", *measures]]
    for name, row in verdict.by_category.items():
        cells = [_with_interval(verdict, row.get(measure)) for measure in measures]
        lines.append([name, str(verdict.about.categories.get(name, "")), *cells])
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
    )
    return _section("By category", "", f"<table>{rows}</table>", wide=True)


def _with_interval(verdict: Verdict, figure: Figure | None) -> str:
    if figure is None:
        return "–"
    low, high = verdict.intervals.get(figure.name, (math.nan, math.nan))
    ends = "" if math.isnan(low) else f" [{_number(low)}, {_number(high)}]"
    return _number(figure.value) + ends


def _gains(found: Diagnosis) -> str:
    order = sorted(found.gains, key=lambda name: -np.nan_to_num(found.gains[name]))
    values = [found.gains[name] for name in order]
    top = max(0.05, *values) if values else 1
    return charts.bars(
        order,
        values,
        title="gains",
        top=top,
        colour=charts.COLOURS[1],
        notes=[SAYS[name] for name in order],
    )


def _stairs(found: Diagnosis) -> str:
    labels = [name if i == 0 else f"without {name}" for i, (name, _) in enumerate(found.stairs)]
    return charts.bars(labels, [value for _, value in found.stairs], title="AP without mistakes")


def _joints(truth: Dataset, found: Diagnosis) -> str:
    some = found.kinds.sum(1) > 0
    names = [
        name.replace("_", " ")
        for name, kept in zip(truth.skeleton.joints, some, strict=True)
        if kept
    ]
    kinds = np.concatenate([found.kinds.sum(0, keepdims=True), found.kinds[some]])
    if len(kinds) > 40:  # faces and hands would be a page of their own
        kinds, names = kinds[:1], []
    shares = kinds / np.maximum(kinds.sum(1, keepdims=True), 1)
    return charts.stacked(
        ["all joints", *names], shares.tolist(), KINDS, title="kinds of mistakes by joint"
    )


def _curves(truth: Dataset, results: Dataset) -> str:
    matches = oks.Matches(oks.evaluation(truth, results), truth)
    series = []
    for threshold in (0, 5, 8, 9):
        recall, precision, _ = matches.curve(threshold)
        step = max(1, len(recall) // 400)
        series.append(
            (
                f"OKS {oks.THRESHOLDS[threshold]:.2f}",
                recall[::step].tolist(),
                precision[::step].tolist(),
            )
        )
    return charts.lines(series, title="precision and recall", x="recall", y="precision")


def _slices(found: Diagnosis) -> str:
    room = charts.needed([row.label for rows in found.slices.values() for row in rows])
    return "".join(
        f"<h3>{escape(name)}</h3>"
        + charts.bars(
            [row.label for row in rows],
            [row.recall for row in rows],
            title=name,
            colour=charts.COLOURS[2],
            notes=[f"{row.people} people" for row in rows],
            room=room,
        )
        for name, rows in found.slices.items()
    )


def _scores(results: Dataset, found: Diagnosis) -> str:
    counted = ~found.pairing.excused
    likeness = np.where(found.pairing.paired, found.pairing.best, 0)[counted]
    place = np.clip((results.scores[counted] * 10).astype(int), 0, 9)
    people = np.bincount(place, minlength=10)[:10]
    mean = np.bincount(place, likeness, 10)[:10] / np.where(people > 0, people, np.nan)
    middle = np.linspace(0.05, 0.95, 10)
    curve = charts.lines(
        [("", middle.tolist(), mean.tolist())],
        title="OKS by score",
        x="score",
        y="mean OKS",
        diagonal=True,
    )
    labels = [f"score {low:.1f} – {low + 0.1:.1f}" for low in np.linspace(0, 0.9, 10)]
    shares = people / max(people.sum(), 1)
    notes = [str(count) for count in people]
    return (
        curve
        + "<h3>people found, by score</h3>"
        + charts.bars(
            labels,
            shares.tolist(),
            title="people by score",
            top=max(shares.max(), 1e-9),
            notes=notes,
            colour=charts.COLOURS[4],
        )
    )


def _pictures(truth: Dataset, results: Dataset, found: Diagnosis, worst: int) -> str:
    figures = []
    for picture in np.argsort(-found.loss, kind="stable")[:worst].tolist():
        image = _load(truth.path(picture)) if found.loss[picture] > 0 else None
        if image is None:
            continue
        mine, rows = results.where(picture), truth.where(picture)
        sides = {
            "labels": truth.people(picture),
            "results": results.select(mine[results.scores[mine] >= SURE]).people(picture),
        }
        pair = "".join(
            f"<img alt='{name}' src='{_drawn(image, people)}'>" for name, people in sides.items()
        )
        rows = rows[~truth.ignored[rows]]
        overlooked = int((found.pairing.found[rows] < 0).sum())
        name = escape(truth.pictures[picture].name)
        caption = f"{name} · {len(rows)} labelled, {overlooked} overlooked"
        caption += f", mean OKS {found.pairing.likeness[rows].mean():.2f}" if len(rows) else ""
        figures.append(
            f"<figure><div class='pair'>{pair}</div><figcaption>{caption}</figcaption></figure>"
        )
    if not figures:
        return "<p>No mistakes, or the pictures were not found beside the annotations.</p>"
    return f"<div class='pictures'>{''.join(figures)}</div>"


def _load(path: Path) -> Image | None:
    from ..media.images import decode

    try:
        return decode(path.read_bytes(), str(path))
    except (OSError, InputError):
        return None


def _drawn(image: Image, people: People) -> str:
    """A picture with people on it, made small, as a data: address."""
    import cv2

    height, width = image.shape[:2]
    drawn = people.draw(image, ids=False)
    scale = min(1.0, LONGEST / max(height, width))
    if scale < 1:
        drawn = cv2.resize(
            drawn,
            (max(1, round(width * scale)), max(1, round(height * scale))),
            interpolation=cv2.INTER_AREA,
        )
    data = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _how(notes: str) -> str:
    return f"""<p>Figures by hotcoco, equal to pycocotools. Kinds of mistakes after Ronchi &amp;
Perona, ICCV 2017: a found person, best score first, stands for the free labelled person of the
highest OKS, at least .1. A joint is good where its own similarity is .85 or more, jitter from .5;
otherwise an inversion if it is near the other side's joint of the same person, a swap if near this
or the other side's joint of another person, else a miss. Found people without a label count as
false, as everywhere in COCO.</p><ul>{notes}</ul>"""
