"""Which of the people stay in the frames: those of some ids, or the foremost."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

import numpy as np

from ..errors import OptionError
from ..geometry import area, whole
from ..people import Frame, People


def parse_keep(text: str | int | tuple[int, ...] | None) -> str | tuple[int, ...] | None:
    """'largest', 'centre', 3, '3' or '3,5' -> the word, or ids. Raises OptionError."""
    if text is None or text in ("largest", "centre"):
        return text  # type: ignore[return-value]
    if isinstance(text, int):
        return (text,)
    try:
        return text if isinstance(text, tuple) else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise OptionError(
            f"select '{text}': expected an id as 3, several as 3,5, or largest or centre"
        ) from None


def kept(
    frames: Iterable[Frame], who: str | int | tuple[int, ...] | None
) -> Generator[Frame, None, None]:
    """The same frames with some of their people: those of these ids, or the one who is largest or
    nearest the centre when first seen, as long as the frame shows that person, then the next.
    """
    who = parse_keep(who)
    chosen = 0
    for frame in frames:
        people = frame.people
        if who is None or not len(people):
            yield frame
            continue
        ids = np.zeros(len(people), np.int64) if people.ids is None else people.ids
        if isinstance(who, tuple):
            keep = np.isin(ids, who)
        else:
            known = chosen and chosen in ids
            keep = ids == chosen if known else np.arange(len(people)) == _foremost(frame, who)
            chosen = int(ids[keep][0])
        yield replace(frame, people=people[keep])


def _foremost(frame: Frame, who: str) -> int:
    people: People = frame.people
    if who == "largest":
        return int(np.argmax(area(people.boxes)))
    middle = whole(*frame.size).reshape(2, 2).mean(0)
    centres = people.boxes.reshape(-1, 2, 2).mean(1)
    return int(np.argmin(np.square(centres - middle).sum(1)))
