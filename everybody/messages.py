"""What the user is told: how it is said, and text that is safe to print.

File names and the words of servers are written by others. An escape code in them would move the
cursor or recolour the terminal, and a line break would turn one message into two, so `clean` shows
such characters as the escapes that Python writes for them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

Say = Callable[[str], None]  # takes what the user should know and that stops nothing
warn: Say = logging.getLogger("everybody").warning

# Control characters (C0, delete, C1), line and paragraph separators, marks that reorder what is
# printed after them, and halves of surrogate pairs, which Python uses for bytes that are no UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """The text as one line that no terminal obeys; cleaning twice is cleaning once."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)
