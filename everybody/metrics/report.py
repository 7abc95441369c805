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

LONGEST = 560  # pixels of the longer side of a picture in the report
SAYS = {
    "jitter": "joints near their place", "inversion": "left and right of a person confused",
    "swap": "joints on another person", "miss": "joints elsewhere", "scores": "worse poses ranked above better ones",
    "duplicates": "people found twice", "background": "people where nobody is labelled", "overlooked": "people not found",
}  # fmt: skip
STYLE = """
:root { color-scheme: light; } * { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: #1d252d; font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 24px 64px; } h1 { font-size: 28px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0 0 6px; } p { margin: 0 0 12px; color: #56606b; max-width: 76ch; } a { color: #2a6fb0; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 24px; }
.card { background: #fff; border-radius: 10px; padding: 12px 18px; min-width: 96px; box-shadow: 0 1px 3px #0001; }
.card b { display: block; font-size: 24px; line-height: 1.2; } .card span { color: #6b7580; font-size: 13px; }
.card.first { background: #2a6fb0; } .card.first * { color: #fff; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(540px, 1fr)); gap: 18px; }
section { background: #fff; border-radius: 12px; padding: 20px 22px; box-shadow: 0 1px 3px #0001; min-width: 0; }
section.wide { grid-column: 1 / -1; } svg { max-width: 100%; height: auto; display: block; }
h3 { font-size: 14px; margin: 16px 0 2px; color: #39424e; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(540px, 1fr)); gap: 18px; }
figure { margin: 0; } .pair { display: flex; gap: 4px; background: #10151a; border-radius: 8px; overflow: hidden; }
.pair img { width: calc(50% - 2px); height: 300px; object-fit: contain; display: block; }
figcaption { font-size: 13px; color: #56606b; padding: 6px 2px; } ul { color: #56606b; padding-left: 20px; }
@media (max-width: 640px) { .grid, .pictures { grid-template-columns: 1fr; } .pair img { height: 200px; } }
"""


def write_report(
    path: Path, truth: Dataset, results: Dataset, *, worst: int = 12, conditions: Sequence[str] = ()
) -> Diagnosis:
    """Diagnose and write. conditions: how the results came about, as far as known. Returns the diagnosis."""
    found = diagnose(truth, results)
    path.write_text(_page(truth, results, found, worst, conditions), encoding="utf-8")
    return found


def _page(truth: Dataset, results: Dataset, found: Diagnosis, worst: int, conditions: Sequence[str]) -> str:
    names = (*found.figures,)
    cards = "".join(
        f"<div class='card{' first' if name == 'AP' else ''}'><b>{_number(found.figures[name])}</b><span>{name}</span></div>"
        for name in names
    )
    people = int((~truth.ignored).sum())
    said = [*conditions, *truth.notes, *results.notes]
    notes = "".join(f"<li>{escape(note)}</li>" for note in said)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(results.name)}: diagnosis</title><style>{STYLE}</style></head><body><main>
<h1>{escape(results.name)}</h1>
<p>judged on {escape(truth.name)}: {len(truth)} pictures, {people} people of {truth.skeleton.name} to find,
{len(results.picture)} found</p>
<div class="cards">{cards}</div>
<div class="grid">
{
        _section(
            "What costs AP",
            "What AP gains if this one kind of mistake is taken away and all others stay.",
            _gains(found),
        )
    }
{
        _section(
            "From here to the top",
            "AP as the mistakes are taken away one after the other. What is left below 1 are "
            "joints that count as good.",
            _stairs(found),
        )
    }
{
        _section(
            "Joints",
            "Labelled joints of people who were found: good within OKS .85, jitter within .5, inverted with the "
            "other side, swapped with another person, or missed.",
            _joints(truth, found),
        )
    }
{
        _section(
            "Precision and recall",
            "Of the people found above a score, how many are right; of the people there are, how "
            "many are found. By the OKS that counts as right.",
            _curves(truth, results),
        )
    }
{
        _section(
            "What makes it hard",
            "Recall, averaged over OKS .50 … .95, of people by sort; the number of people at the right.",
            _slices(found),
        )
    }
{
        _section(
            "Scores",
            "Whether a score says how good a pose is: the mean OKS of the people found, by score. On the dashed "
            "line it would be the OKS itself. AP only needs the curve to rise.",
            _scores(results, found),
        )
    }
{
        _section(
            "Worst pictures",
            "Labels on the left, results on the right (joints and people of score .3 and more).",
            _pictures(truth, results, found, worst),
            wide=True,
        )
    }
{_section("How this was made", "", _how(notes), wide=True)}
</div></main></body></html>
"""


def _section(title: str, says: str, body: str, *, wide: bool = False) -> str:
    text = f"<p>{escape(says)}</p>" if says else ""
    return f"<section{' class=wide' if wide else ''}><h2>{escape(title)}</h2>{text}{body}</section>"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _gains(found: Diagnosis) -> str:
    order = sorted(found.gains, key=lambda name: -np.nan_to_num(found.gains[name]))
    values = [found.gains[name] for name in order]
    top = max(0.05, *values) if values else 1
    return charts.bars(
        [SAYS[name] for name in order], values, title="gains", top=top, colour=charts.COLOURS[1], notes=order
    )


def _stairs(found: Diagnosis) -> str:
    labels = [name if i == 0 else f"without {name}" for i, (name, _) in enumerate(found.stairs)]
    return charts.bars(labels, [value for _, value in found.stairs], title="AP without mistakes")


def _joints(truth: Dataset, found: Diagnosis) -> str:
    some = found.kinds.sum(1) > 0
    names = [name.replace("_", " ") for name, kept in zip(truth.skeleton.joints, some, strict=True) if kept]
    kinds = np.concatenate([found.kinds.sum(0, keepdims=True), found.kinds[some]])
    if len(kinds) > 40:  # faces and hands would be a page of their own
        kinds, names = kinds[:1], []
    shares = kinds / np.maximum(kinds.sum(1, keepdims=True), 1)
    return charts.stacked(["all joints", *names], shares.tolist(), KINDS, title="kinds of mistakes by joint")


def _curves(truth: Dataset, results: Dataset) -> str:
    matches = oks.Matches(oks.evaluation(truth, results), truth)
    series = []
    for threshold in (0, 5, 8, 9):
        recall, precision, _ = matches.curve(threshold)
        step = max(1, len(recall) // 400)
        series.append((f"OKS {oks.THRESHOLDS[threshold]:.2f}", recall[::step].tolist(), precision[::step].tolist()))
    return charts.lines(series, title="precision and recall", x="recall", y="precision")


def _slices(found: Diagnosis) -> str:
    return "".join(
        f"<h3>{escape(name)}</h3>"
        + charts.bars(
            [row.label for row in rows], [row.recall for row in rows], title=name, colour=charts.COLOURS[2],
            notes=[f"{row.people} people" for row in rows],
        )
        for name, rows in found.slices.items()
    )  # fmt: skip


def _scores(results: Dataset, found: Diagnosis) -> str:
    counted = ~found.pairing.excused
    likeness = np.where(found.pairing.paired, found.pairing.best, 0)[counted]
    place = np.clip((results.scores[counted] * 10).astype(int), 0, 9)
    people = np.bincount(place, minlength=10)[:10]
    mean = np.bincount(place, likeness, 10)[:10] / np.where(people > 0, people, np.nan)
    middle = np.linspace(0.05, 0.95, 10)
    curve = charts.lines(
        [("", middle.tolist(), mean.tolist())], title="OKS by score", x="score", y="mean OKS", diagonal=True
    )
    labels = [f"score {low:.1f} – {low + 0.1:.1f}" for low in np.linspace(0, 0.9, 10)]
    shares = people / max(people.sum(), 1)
    notes = [str(count) for count in people]
    return curve + "<h3>people found, by score</h3>" + charts.bars(
        labels, shares.tolist(), title="people by score", top=max(shares.max(), 1e-9), notes=notes, colour=charts.COLOURS[4]
    )  # fmt: skip


def _pictures(truth: Dataset, results: Dataset, found: Diagnosis, worst: int) -> str:
    figures = []
    for picture in np.argsort(-found.loss, kind="stable")[:worst]:
        if found.loss[picture] <= 0:
            break
        image = _load(truth.path(int(picture)))
        if image is None:
            return (
                "<p>The pictures of these data were not found beside the annotations.</p>"
                if not figures
                else "".join(figures)
            )
        mine = results.where(picture)
        sides = (truth.people(int(picture)), results.select(mine[results.scores[mine] >= 0.3]).people(int(picture)))
        pair = "".join(
            f"<img alt='{alt}' src='{_drawn(image, people)}'>"
            for alt, people in zip(("labels", "results"), sides, strict=True)
        )
        rows = truth.where(picture)
        rows = rows[~truth.ignored[rows]]
        missed = int((found.pairing.found[rows] < 0).sum())
        likeness = found.pairing.likeness[rows]
        caption = f"{escape(truth.pictures[picture].name)} · {len(rows)} people, {missed} overlooked, mean OKS {likeness.mean() if len(rows) else 0:.2f}"
        figures.append(f"<figure><div class='pair'>{pair}</div><figcaption>{caption}</figcaption></figure>")
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
    drawn = people.draw(image)
    scale = min(1.0, LONGEST / max(height, width))
    if scale < 1:
        drawn = cv2.resize(
            drawn, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
        )
    data = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _how(notes: str) -> str:
    return f"""<p>Figures by hotcoco, equal to pycocotools. Kinds of mistakes after Ronchi &amp; Perona, ICCV 2017: a found
person, best score first, stands for the free labelled person of the highest OKS, at least .1. A joint is good where its
own similarity is .85 or more, jitter from .5; otherwise an inversion if it is near the other side's joint of the same
person, a swap if near this or the other side's joint of somebody else, else a miss. People whom nobody has labelled count
as false, as everywhere in COCO.</p><ul>{notes}</ul>"""
