"""BVH: a tree of joints and their turns frame by frame (Biovision's format, as Meredith and Maddock
2001 describe it).

A BVH has no unit: its body says it. As tall as a person in metres, centimetres, millimetres, inches
or CMU's unit (inches by 0.45), in this order, it is taken to be in that unit. Channels of places
say where a joint is, not how far from its OFFSET; those of joints that move in their sockets, as
some exporters write them, count by their mean, since our bodies are rigid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..lift.body import Animation, Body
from ..lift.motion import AXES
from ..lift.rotations import about
from .joint_names import names_in_tree
from .text import is_number, lines_of

Array = NDArray[np.float64]

UNITS = (1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45)  # metres
SMALLEST, TALLEST = 0.9, 2.4  # metres, of a person
JOINTS, FRAMES = 2000, 10_000_000  # more than anybody has
_AXES = "XYZ"


@dataclass
class _Node:
    """A joint as it is read: its channels, as Xposition."""

    name: str
    parent: int
    offset: tuple[float, ...] = ()
    channels: list[str] = field(default_factory=list)


class _Words:
    """The words of a file, each with its line, for errors that name it."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path, self.number = path, 0
        self._words = self._every(lines)

    def _every(self, lines: list[str]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            self.number = number
            yield from line.split()

    def next(self, expected: str) -> str:
        word = next(self._words, None)
        if word is None:
            raise self.error(expected, "the end of the file")
        return word

    def numbers(self, count: int) -> tuple[float, ...]:
        return tuple(self.number_of(self.next("a number")) for _ in range(count))

    def number_of(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            raise self.error("a number", word) from None
        if not np.isfinite(value) or abs(value) > 1e9:
            raise self.error("a number", word)
        return value

    def error(self, expected: str, got: str) -> DataError:
        return DataError(f"{self.path}: line {self.number}: expected {expected}, got '{got[:40]}'")


def read_bvh(path: Path, *, unit: float | None = None, own_names: bool = False) -> Animation:
    """A file -> the body and its motion, in metres, z up. unit: metres of the file's unit, by
    default told by the body. own_names: joints keep the file's names. Raises DataError that names
    the line.
    """
    lines = lines_of(path)
    words = _Words(path, lines)
    if words.next("HIERARCHY").upper() != "HIERARCHY":
        raise DataError(f"{path}: line {words.number}: expected HIERARCHY: is it a BVH?")
    nodes = _tree(words)
    values, step = _values(path, lines, words.number, sum(len(node.channels) for node in nodes))
    names = [node.name for node in nodes]
    if not own_names:
        names = names_in_tree(names, [node.parent for node in nodes])
    return _animation(path, nodes, tuple(names), values, step, unit)


def _tree(words: _Words) -> list[_Node]:
    """The joints, each after its parent; ends called after their parents."""
    nodes: list[_Node] = []
    open_: list[int] = []
    pending: _Node | None = None
    while True:
        word = words.next("JOINT, End Site, } or MOTION").upper()
        if word in ("ROOT", "JOINT", "END"):
            if (word == "ROOT") != (not nodes) or pending or (nodes and not open_):
                raise words.error("{ or }", word)
            name = words.next("a name")
            parent = open_[-1] if open_ else -1
            name = f"{nodes[parent].name}_end" if word == "END" else name
            pending = _Node(name, parent)
        elif word == "{" and pending:
            nodes.append(pending)
            open_.append(len(nodes) - 1)
            pending = None
        elif word == "}" and open_ and not pending:
            open_.pop()
        elif word == "OFFSET" and open_ and not pending:
            nodes[open_[-1]].offset = words.numbers(3)
        elif word == "CHANNELS" and open_ and not pending:
            nodes[open_[-1]].channels = _channels(words)
        elif word == "MOTION" and nodes and not open_ and not pending:
            return nodes
        else:
            raise words.error("JOINT, End Site, OFFSET, CHANNELS, } or MOTION", word)
        if len(nodes) > JOINTS:
            raise words.error(f"at most {JOINTS} joints", word)


def _channels(words: _Words) -> list[str]:
    (count,) = words.numbers(1)
    if count not in range(10):
        raise words.error("a number of channels up to 9", f"{count:g}")
    out = []
    for _ in range(int(count)):
        word = words.next("a channel")
        if word[:1].upper() not in _AXES or word[1:].lower() not in ("position", "rotation"):
            raise words.error("a channel, as Xposition or Zrotation", word)
        out.append(word[0].upper() + word[1:].lower())
    return out


def _values(path: Path, lines: list[str], start: int, count: int) -> tuple[Array, float]:
    """Numbers [T, C] of the frames after the line MOTION, and seconds per frame."""
    head = {"frames:": 0.0, "frame time:": 0.0}
    at = start
    for name in head:
        while at < len(lines) and not lines[at].strip():
            at += 1
        line = lines[at].strip() if at < len(lines) else "the end of the file"
        at += 1
        words = line.lower().replace("\t", " ").split()
        try:
            if " ".join(words[:-1]) != name:
                raise ValueError
            head[name] = float(words[-1])
        except (ValueError, IndexError):
            raise DataError(
                f"{path}: line {at}: expected '{name.capitalize()}' and a number, got '{line[:40]}'"
            ) from None
    frames, step = head.values()
    if not (0 <= frames <= FRAMES and frames == int(frames)) or not 1e-5 <= step <= 1e4:
        raise DataError(f"{path}: line {at}: {frames:g} frames of {step:g} s cannot be")
    rows = [(n, line) for n, line in enumerate(lines[at:], at + 1) if line.strip()]
    if len(rows) != frames:
        raise DataError(
            f"{path}: line {rows[-1][0] if rows else at}: has {len(rows)} frames, and Frames: says "
            f"{frames:g}: is the file complete?"
        )
    out = np.empty((len(rows), count))
    for n, (number, line) in enumerate(rows):
        cells = line.split()
        try:
            out[n] = [float(cell) for cell in cells]
        except ValueError:
            bad = next((cell for cell in cells if not is_number(cell)), f"{len(cells)} of them")
            raise DataError(
                f"{path}: line {number}: expected {count} numbers, got '{bad[:40]}'"
            ) from None
    if not (np.abs(out) < 1e9).all():
        bad = int(np.flatnonzero(~(np.abs(out) < 1e9).all(1))[0])
        raise DataError(f"{path}: line {rows[bad][0]}: expected numbers, got nan or more than 1e9")
    return out, step


def _animation(
    path: Path,
    nodes: list[_Node],
    names: tuple[str, ...],
    values: Array,
    step: float,
    unit: float | None,
) -> Animation:
    for node in nodes:
        if not node.offset:
            raise DataError(f"{path}: '{node.name}' has no OFFSET")
    offsets = np.array([node.offset for node in nodes])
    turns = np.eye(3)[None, None].repeat(len(values), 0).repeat(len(nodes), 1)
    root = np.repeat(offsets[:1], len(values), 0)
    column = 0
    for j, node in enumerate(nodes):
        for channel in node.channels:
            own, axis = values[:, column], channel[0]
            column += 1
            if channel.endswith("rotation"):
                turns[:, j] = turns[:, j] @ about(axis, own)
            elif j == 0:
                root[:, _AXES.index(axis)] = own
            elif len(own):
                offsets[j, _AXES.index(axis)] = own.mean()

    offsets[0] = 0
    parents = tuple(node.parent for node in nodes)
    body = Body(path.stem, names, parents, offsets @ AXES["world"])
    scale = unit_of(body) if unit is None else unit
    return Animation(
        replace(body, offsets=body.offsets * scale),
        root @ AXES["world"] * scale,
        AXES["world"].T @ turns @ AXES["world"],
        np.arange(len(values)) * step,
    )


def unit_of(body: Body) -> float:
    """Metres of the unit that a body's offsets are in: the first of `UNITS` that makes it as tall
    as a person; else that which brings it nearest to 1.7 m.

    A person is about 1.4 times as tall as the way from the pelvis along the bones to the farthest
    end, however the body lies at rest.
    """
    ways = np.zeros(len(body))
    for j, parent in enumerate(body.parents):
        if parent >= 0:
            ways[j] = ways[parent] + np.linalg.norm(body.offsets[j])
    height = 1.4 * ways.max()
    if not height > 0:
        return 1.0
    for unit in UNITS:
        if SMALLEST <= height * unit <= TALLEST:
            return unit
    return min(UNITS, key=lambda unit: abs(np.log(height * unit / 1.7)))
