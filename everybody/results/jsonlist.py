"""A list in one JSON file, item by item: neither writing nor reading holds more than one picture's
items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from ..atomic import replacing
from ..errors import DataError
from ..typed import convert

T = TypeVar("T")
_CHUNK = 1 << 20  # characters
_GAP = re.compile(r"[\s,]*")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # the byte order marks


def write_list(path: Path, items: Iterable[dict[str, Any]]) -> None:
    """One item a line; whole or not there. Raises OutputError."""
    with replacing(path) as part, part.open("w", encoding="ascii") as file:
        file.write("[")
        for number, item in enumerate(items):
            file.write(",\n" if number else "\n")
            file.write(json.dumps(item, separators=(",", ":")))
        file.write("\n]\n")


def encoding_of(path: Path) -> str:
    """The encoding that a text's byte order mark names; UTF-8 where there is none."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in _UTF16 else "utf-8-sig"


def read_list(path: Path, kind: type[T]) -> Iterator[T]:
    """The items of a list, each of the type `kind`. Raises DataError where it is something else, or
    broken.
    """
    decode = json.JSONDecoder().raw_decode
    with path.open(encoding=encoding_of(path), errors="replace") as file:
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
            except RecursionError:
                raise DataError(f"{path}: item {count}: is nested too deeply") from None
            except ValueError as error:
                # Doubled, so that a huge item costs linear time.
                more = file.read(max(_CHUNK, len(text)))
                if not more:
                    raise DataError(
                        f"{path}: item {count}: not JSON ({error}); cut off?"
                    ) from error
                text, at = text[at:] + more, 0
                continue
            yield convert(item, kind, f"{path}: item {count}")
            count += 1


def by_picture(
    path: Path, kind: type[T], key: Callable[[T], Hashable]
) -> tuple[T | None, Callable[[], Iterator[list[T]]]]:
    """The first item of a list and how to walk through the list picture by picture, in the order of
    their first items.

    Files keep a picture's people together, so that one picture at a time is held; a file that does
    not (sorted by score, say) is gathered in memory. To see which it is takes a pass, which also
    finds what is broken in advance.
    """
    first: T | None = None
    last, seen, scattered = object(), set(), False
    for item in read_list(path, kind):
        first = first or item
        place = key(item)
        if place != last:
            scattered = scattered or place in seen
            seen.add(place)
            last = place

    def walk() -> Iterator[list[T]]:
        if scattered:
            gathered: dict[Hashable, list[T]] = {}
            for item in read_list(path, kind):
                gathered.setdefault(key(item), []).append(item)
            yield from gathered.values()
        else:
            for _, items in groupby(read_list(path, kind), key):
                yield list(items)

    return first, walk
