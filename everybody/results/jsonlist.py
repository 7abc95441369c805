"""A list in one JSON file, item by item: neither writing nor reading holds more than one picture's
items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from ..atomic import replacing
from ..errors import DataError

Item = dict[str, Any]
_CHUNK = 1 << 20  # characters
_GAP = re.compile(r"[\s,]*")


def write_list(path: Path, items: Iterable[Item]) -> None:
    """One item a line; whole or not there. Raises OutputError."""
    with replacing(path) as part, part.open("w", encoding="ascii") as file:
        file.write("[")
        for number, item in enumerate(items):
            file.write(",\n" if number else "\n")
            file.write(json.dumps(item, separators=(",", ":")))
        file.write("\n]\n")


def read_list(path: Path) -> Iterator[Item]:
    """The items of a list of objects. Raises DataError where it is something else, or broken."""
    decode = json.JSONDecoder().raw_decode
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        text, at, count = file.read(_CHUNK).lstrip(), 1, 0
        if not text.startswith("["):
            raise DataError(f"{path}: expected a JSON list of results")
        while True:
            gap = _GAP.match(text, at)
            at = gap.end() if gap else at
            if text[at : at + 1] == "]":
                return
            try:
                item, at = decode(text, at)
            except ValueError as error:
                more = file.read(
                    max(_CHUNK, len(text))
                )  # doubling, so that a huge item costs linear time
                if not more:
                    raise DataError(
                        f"{path}: item {count}: not JSON ({error}); cut off?"
                    ) from error
                text, at = text[at:] + more, 0
                continue
            if not isinstance(item, dict):
                raise DataError(f"{path}: item {count}: expected an object, got {item!r:.40}")
            yield item
            count += 1


def by_picture(
    path: Path, key: Callable[[Item], Hashable]
) -> tuple[Item | None, Callable[[], Iterator[list[Item]]]]:
    """The first item of a list and how to walk through the list picture by picture, in the order of
    their first items.

    Files keep a picture's people together, so that one picture at a time is held; a file that does
    not (sorted by score, say) is gathered in memory. To see which it is takes a pass, which also
    finds what is broken in advance.
    """
    first, last, seen, scattered = None, object(), set(), False
    for item in read_list(path):
        first = first or item
        try:
            place = key(item)
            hash(place)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path}: an item lacks {error}, it has {', '.join(item) or 'nothing'}"
            ) from error
        if place != last:
            scattered = scattered or place in seen
            seen.add(place)
            last = place

    def walk() -> Iterator[list[Item]]:
        if scattered:
            gathered: dict[Hashable, list[Item]] = {}
            for item in read_list(path):
                gathered.setdefault(key(item), []).append(item)
            yield from gathered.values()
        else:
            for _, items in groupby(read_list(path), key):
                yield list(items)

    return first, walk
