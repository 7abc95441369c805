"""JSON (and TOML) whose shape is declared once, as a type, and checked while it is decoded.

msgspec does both in one pass, as fast as a decoder that checks nothing, and knows the path of what
does not fit: `annotations.json: $.annotations[3].bbox[0]: expected a number, got text`. Declare the
fields that are read, as `msgspec.Struct`; a file may hold any others.

Numbers are declared as `float`, which takes whole ones too; `Id` is what files number things by.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .errors import DataError, EverybodyError

T = TypeVar("T")
Id = int | float | str

_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_WORDS = {
    "float": "a number", "int": "a whole number", "str": "text", "array": "a list",
    "object": "an object", "bool": "true or false",
}  # fmt: skip


def read_bytes(path: Path, error: type[EverybodyError] = DataError) -> bytes:
    """A file's text as UTF-8, without a byte order mark. Raises `error` if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})") from None
    return without_mark(data)


def without_mark(data: bytes) -> bytes:
    """Text of any Unicode encoding that its byte order mark names -> UTF-8 without the mark. What
    has no mark, or is not of that encoding, comes back as it is.
    """
    for mark, encoding in _BOMS.items():
        if not data.startswith(mark):
            continue
        data = data[len(mark) :]
        if encoding != "utf-8":
            data = data.decode(encoding, "replace").encode("utf-8")
        break
    return data


def decode(
    data: bytes, kind: type[T], where: Path | str, error: type[EverybodyError] = DataError
) -> T:
    """JSON -> a value of the type `kind`. `where` is how errors call the file (or its line).

    NaN and Infinity, which JSON does not have but Python writes, are read as such.

    Raises `error` that names the path of what does not fit, or the place where the JSON breaks.
    """
    data = without_mark(data)
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as problem:
        raise error(f"{where}: {_said(problem)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        raise error(f"{where}: is nested too deeply to be such a file") from None

    return convert(_lenient(data, where, error), kind, where, error)


def convert(
    value: Any, kind: type[T], where: Path | str, error: type[EverybodyError] = DataError
) -> T:
    """What another decoder made (dictionaries, lists, text, numbers) -> a value of the type `kind`.

    Raises `error` that names the path of what does not fit.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        raise error(f"{where}: {_said(problem)}") from None
    except RecursionError:
        raise error(f"{where}: is nested too deeply to be such a file") from None


def _lenient(data: bytes, where: Path | str, error: type[EverybodyError]) -> Any:
    """JSON with NaN and Infinity -> Python's values."""
    try:
        value = json.loads(data)
        json.dumps(value, ensure_ascii=False).encode()  # half a character ("\ud800") is no text
    except (ValueError, RecursionError) as problem:
        raise error(f"{where}: is not JSON ({problem}): is the file complete?") from None
    return value


def _said(problem: msgspec.ValidationError) -> str:
    """msgspec's message with the path in front and types in words."""
    said, _, path = str(problem).partition(" - at ")
    for parts in map(str, re.findall(r"`([^`]*)`", said)):
        words = [_WORDS.get(part, part) for part in parts.split(" | ")]
        if set(words) & set(_WORDS.values()):
            said = said.replace(f"`{parts}`", " or ".join(words))
    said = said[:1].lower() + said[1:]
    return f"{path.strip('`')}: {said}" if path else said
