"""How a CSV is written: spreadsheets of half of Europe put semicolons between values and commas
into numbers, and Excel saves text as UTF-16 with tabs.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_HEAD = 1 << 16  # bytes
_COMMA = re.compile(r"(?:^|[;\t])\"?-?\d+,\d+\"?(?=$|[;\t])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """delimiter: between values. decimal: what stands before the fraction of a number."""

    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    encoding: Literal["utf8", "utf-16"] = "utf8"

    @classmethod
    def of(cls, path: Path) -> Dialect:
        """As the first lines tell."""
        with path.open("rb") as file:
            return cls.told(file.read(_HEAD))

    @classmethod
    def told(cls, start: bytes) -> Dialect:
        """The first bytes of a table, of which the first line names the columns."""
        text = as_text(start)
        wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        header = text.partition("\n")[0]
        delimiter = max(",;\t", key=header.count)
        commas = delimiter != "," and bool(_COMMA.search(text))
        return cls(delimiter, "," if commas else ".", "utf-16" if wide else "utf8")


def as_text(start: bytes) -> str:
    """The first bytes of a text of any Unicode encoding, without its byte order mark."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return start[: len(start) // 2 * 2].decode("utf-16", "replace")
    return start.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
