"""Curves and bars of judged results as SVG files, for papers and pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..data.dataset import Dataset
from . import charts, oks
from .tables import Verdict


def save_plots(
    folder: Path, found: Sequence[Verdict], pairs: Sequence[tuple[Dataset, Dataset]]
) -> list[Path]:
    """Writes precision-recall.svg where AP was asked for, a curve and bars per joint for each other
    measure.

    pairs: results and truth of each verdict.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, str] = {}
    names = [figure.name for figure in found[0].overall]
    many = len(found) > 1
    if "AP" in names:
        series = []
        for verdict, (results, truth) in zip(found, pairs, strict=True):
            matches = oks.Matches(oks.evaluation(truth, results), truth)
            for threshold in (0, 5) if many else (0, 5, 8, 9):
                recall, precision, _ = matches.curve(threshold)
                label = f"{verdict.about.results}, " * many + f"OKS {oks.THRESHOLDS[threshold]:.2f}"
                series.append((label, recall.tolist(), precision.tolist()))
        pages["precision-recall"] = charts.lines(
            series, title="precision and recall", x="recall", y="precision"
        )
    for name in names:
        same = [
            next(figure for figure in verdict.figures if figure.name == name) for verdict in found
        ]
        series = [
            (verdict.about.results, figure.curve[0].tolist(), figure.curve[1].tolist())
            for verdict, figure in zip(found, same, strict=True)
            if figure.curve is not None
        ]
        if series:
            limits = 0.0, float(series[0][1][-1])
            pages[name] = charts.lines(
                series, title=name, x="threshold", y="share of joints", limits=limits
            )
        for verdict, figure in zip(found, same, strict=True):
            if figure.parts:
                labels = [part.replace("_", " ") for part in figure.parts]
                page = f"{name} parts" + f" {Path(verdict.about.results).stem}" * many
                pages[page] = charts.bars(labels, list(figure.parts.values()), title=name)
    paths = [folder / f"{name.replace(' ', '-')}.svg" for name in pages]
    for path, page in zip(paths, pages.values(), strict=True):
        path.write_text(page, encoding="utf-8")
    return paths
