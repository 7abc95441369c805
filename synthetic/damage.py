"""Damage to files, seeded: what bad disks, cut transfers, other programs or malice make of them.

Text is damaged where its format has joints: values of JSON are replaced by others of any type,
words of tables and TOML by others that do not fit. All files are damaged byte by byte as well.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np

Random = np.random.Generator

DEPTH = 5000  # of lists within lists
VALUES: tuple[Any, ...] = (
    None, True, False, "", "x", "7", "nan", "\0", "\u20ac" * 40, 0, -1, 1, 3.5, 1e300, -1e300,
    2**31, 2**63, -(2**63) - 1, 10**100, float("nan"), float("inf"), [], {}, [[]], [None], ["x"],
    {"a": 1}, [1e300] * 4, [{}] * 3, "deep",
)  # fmt: skip
WORDS = (
    b"", b"nan", b"inf", b"-1", b"1e999", b"99999999999999999999999", b"0x10", b"1,5", b'"', b"'",
    b"\0", b"[", b"]", b"{", b"\xff\xfe", b"true", b"=", b"\n", b"x" * 5000,
)  # fmt: skip
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000)


def damaged(data: bytes, random: Random, kind: str) -> bytes:
    """A damaged copy. kind: "json" (one document, or one a line), "text" or "binary"."""
    way = random.random()
    if kind == "json" and way < 0.7:
        return _values(data, random)
    if kind == "text" and way < 0.5:
        return _words(data, random)
    if kind != "binary" and way > 0.97:
        return _encoded(data, random)
    return _bytes(data, random)


def _values(data: bytes, random: Random) -> bytes:
    """One to three values of JSON replaced, removed, doubled or renamed."""
    lines = [data] if data.lstrip()[:1] == b"[" or data.count(b"\n") < 2 else data.splitlines()
    try:
        documents = [json.loads(line) for line in lines]
    except ValueError:
        documents = [json.loads(data)]
    for _ in range(random.integers(1, 4)):
        at = int(random.integers(len(documents)))
        places = list(_places(documents[at]))
        if not places or random.random() < 0.03:
            documents[at] = _any(random)
            continue
        holder, key = places[int(random.integers(len(places)))]
        _change(holder, key, random)
    text = b"\n".join(json.dumps(document).encode() for document in documents)
    return text.replace(b'"deep"', b"[" * DEPTH + b"]" * DEPTH, 1)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (list or dictionary, key) in a document; lists of many numbers by some of them."""
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for key in range(0, len(value), 1 + len(value) // 10):
            yield value, key
            yield from _places(value[key])


def _change(holder: Any, key: Any, random: Random) -> None:
    way = random.random()
    if way < 0.15:
        del holder[key]
    elif way < 0.25 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif way < 0.3 and isinstance(holder, dict):
        holder[str(_any(random))[:20]] = holder.pop(key)
    elif way < 0.4:
        holder[key] = str(holder[key]) if random.random() < 0.5 else [holder[key]]
    elif way < 0.6 and isinstance(holder[key], int | float | str):
        alike = str if isinstance(holder[key], str) else (int, float)
        same = [value for value in VALUES if isinstance(value, alike)]
        holder[key] = same[int(random.integers(len(same)))]
    else:
        holder[key] = _any(random)


def _any(random: Random) -> Any:
    return deepcopy(VALUES[int(random.integers(len(VALUES)))])


def _words(data: bytes, random: Random) -> bytes:
    """One to three words of a table or of TOML replaced."""
    for _ in range(random.integers(1, 4)):
        words = list(re.finditer(rb"[\w.+-]+", data))
        if not words:
            break
        word = words[int(random.integers(len(words)))]
        new = WORDS[int(random.integers(len(WORDS)))]
        data = data[: word.start()] + new + data[word.end() :]
    return data


def _encoded(data: bytes, random: Random) -> bytes:
    """Another encoding, with its byte order mark, or with that of a third."""
    text = data.decode("utf-8", "replace")
    marks = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"", b" \n\t")
    encoding = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")[int(random.integers(4))]
    return marks[int(random.integers(len(marks)))] + text.encode(encoding, "replace")


def _bytes(data: bytes, random: Random) -> bytes:
    """Bits flipped, numbers overwritten, pieces cut out, doubled, moved, or the end cut off."""
    out = bytearray(data)
    for _ in range(int(2 ** random.uniform(0, 4))):
        if not out:
            break
        place, way = int(random.integers(len(out))), int(random.integers(7))
        length = int(2 ** random.uniform(0, 8))
        if way == 0:
            out[place] ^= 1 << int(random.integers(8))
        elif way == 1:
            out[place] = int(random.integers(256))
        elif way == 2:
            number = NUMBERS[int(random.integers(len(NUMBERS)))]
            order = "little" if random.random() < 0.5 else "big"
            out[place : place + 4] = number.to_bytes(4, order)  # type: ignore[arg-type]
        elif way == 3:
            del out[place : place + length]
        elif way == 4:
            out[place:place] = out[place : place + length]
        elif way == 5:
            out[place:place] = random.bytes(length)
        elif random.random() < 0.2:
            del out[place:]
    return bytes(out)
