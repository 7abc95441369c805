"""Lines of text out of a file."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..typed import read_bytes


def lines_of(path: Path) -> list[str]:
    """Raises DataError where it cannot be read, or is no text."""
    try:
        return read_bytes(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8 ({error})") from None


def is_number(word: str) -> bool:
    """Whether a word is a number, as Python writes them."""
    try:
        float(word)
    except ValueError:
        return False
    return True
