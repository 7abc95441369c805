"""Charts as SVG text: small, sharp at any size, no dependency; they open in browsers, and from
disk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

COLOURS = ("#2a6fb0", "#e07b39", "#3c9a6b", "#a05195", "#8a8d93", "#c9a227", "#d1495b", "#4fb3bf")
GOOD_TO_BAD = tuple(COLOURS[i] for i in (2, 0, 1, 3, 6))
FONT = "font-family='system-ui, -apple-system, Segoe UI, Roboto, sans-serif'"
ROW = 24  # pixels of height of a bar and the gap below it


def _svg(width: float, height: float, body: list[str], title: str) -> str:
    size = f"viewBox='0 0 {width:g} {height:g}' width='{width:g}'"
    label = f"role='img' aria-label='{escape(title, quote=True)}'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' {size} {label} "
        f"{FONT} font-size='12' fill='#39424e'>"
        f"<rect width='100%' height='100%' fill='#fff'/>{''.join(body)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {more}>{escape(text)}</text>"


def _rect(x: float, y: float, width: float, height: float, colour: str, title: str = "") -> str:
    hint = f"<title>{escape(title)}</title>" if title else ""
    place = f"x='{x:.2f}' y='{y:.2f}' width='{max(width, 0):.2f}' height='{height:g}'"
    return f"<rect {place} rx='2' fill='{colour}'>{hint}</rect>"


def _line(x0: float, y0: float, x1: float, y1: float, colour: str = "#d5dae0") -> str:
    return f"<line x1='{x0:.1f}' y1='{y0:.1f}' x2='{x1:.1f}' y2='{y1:.1f}' stroke='{colour}'/>"


def needed(labels: Sequence[str]) -> float:
    """Pixels that the longest of some labels needs."""
    return 20 + 6.6 * max(map(len, labels), default=0)


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    notes: Sequence[str] = (),
    top: float = 1.0,
    width: float = 560,
    colour: str = COLOURS[0],
    digits: int = 3,
    room: float = 0,
) -> str:
    """One bar per label from left to right, from 0 to `top`, its number at its end and a note in
    grey at the right.

    room: pixels for the labels, for charts that stand below each other; by default what they need.
    """
    left = room or needed(labels)
    span = width - left - 58 - (needed(notes) if notes else 0)
    body = [_line(left, 4, left, ROW * len(labels) + 4, "#9aa3ad")]
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = i * ROW + 8
        length = 0 if math.isnan(value) else span * min(max(value, 0) / top, 1)
        said = "–" if math.isnan(value) else f"{value:.{digits}f}"
        body += [
            _text(left - 10, y + 12, label, "end"),
            _rect(left, y, length, ROW - 8, colour, f"{label}: {said}"),
        ]
        body.append(_text(left + length + 6, y + 12, said, more="font-weight='600'"))
        if notes:
            body.append(_text(width - 4, y + 12, notes[i], "end", "fill='#7b8490'"))
    return _svg(width, ROW * len(labels) + 10, body, title)


def stacked(
    labels: Sequence[str],
    shares: Sequence[Sequence[float]],
    kinds: Sequence[str],
    *,
    title: str,
    width: float = 620,
) -> str:
    """One bar of full length per label, cut by the shares of its kinds, with a legend on top."""
    left = needed(labels)
    span = width - left - 20
    body, x = [], left
    for kind, colour in zip(kinds, GOOD_TO_BAD, strict=False):
        body += [_rect(x, 4, 12, 12, colour), _text(x + 17, 14, kind)]
        x += 34 + 7 * len(kind)
    for i, (label, row) in enumerate(zip(labels, shares, strict=True)):
        y, x = i * ROW + 28, left
        body.append(_text(left - 10, y + 12, label, "end"))
        for kind, share, colour in zip(kinds, row, GOOD_TO_BAD, strict=False):
            body.append(_rect(x, y, span * share, ROW - 8, colour, f"{label}: {kind} {share:.1%}"))
            if share > 0.08:
                body.append(
                    _text(
                        x + span * share / 2,
                        y + 12,
                        f"{share:.0%}",
                        "middle",
                        "fill='#fff' font-size='11'",
                    )
                )
            x += span * share
    return _svg(width, ROW * len(labels) + 32, body, title)


def lines(
    series: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    title: str,
    x: str,
    y: str,
    limits: tuple[float, float] = (0.0, 1.0),
    width: float = 560,
    height: float = 340,
    diagonal: bool = False,
) -> str:
    """Curves (name, xs, ys) over x in `limits` and y in 0 … 1, with grid, axes and a legend."""
    left, bottom, top, low, high = 48.0, height - 42, 34.0 if len(series) > 1 else 10.0, *limits
    span, rise = width - left - 14, bottom - top

    def place(a: float, b: float) -> tuple[float, float]:
        return left + span * (a - low) / (high - low), bottom - rise * min(max(b, 0), 1)

    body, start = [], left
    for step in range(6):
        share = step / 5
        across, down = place(low + share * (high - low), share)
        body += [_line(left, down, left + span, down), _line(across, top, across, bottom)]
        body.append(_text(left - 7, down + 4, f"{share:.1f}", "end"))
        body.append(_text(across, bottom + 16, f"{low + share * (high - low):.2g}", "middle"))
    body.append(_text(left + span / 2, height - 6, x, "middle"))
    body.append(
        _text(0, 0, y, "middle", f"transform='translate(12 {top + rise / 2:g}) rotate(-90)'")
    )
    if diagonal:
        line = f"M{left:g} {bottom:g} L{left + span:g} {top:g}"
        body.append(f"<path d='{line}' stroke='#9aa3ad' stroke-dasharray='4 4' fill='none'/>")
    for i, (name, xs, ys) in enumerate(series):
        points = [place(a, b) for a, b in zip(xs, ys, strict=True) if not math.isnan(b)]
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{'L' if n else 'M'}{a:.1f} {b:.1f}" for n, (a, b) in enumerate(points))
        style = f"fill='none' stroke='{colour}' stroke-width='2.2' stroke-linejoin='round'"
        body.append(f"<path d='{path}' {style}/>")
        if len(series) > 1:
            body += [_rect(start, 12, 14, 4, colour), _text(start + 20, 18, name)]
            start += 40 + 7 * len(name)
    return _svg(width, height, body, title)
