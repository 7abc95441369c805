"""How the command line writes sizes, tiles and formats."""

from __future__ import annotations

import re
import sys
from contextlib import suppress

import typer

from ..errors import EverybodyError, OptionError
from ..messages import clean

FPS = "Frames per second of what has no times, as pictures and results of OpenPose; 25."


def pair(text: str | None, option: str, *, single: bool = True) -> tuple[int, int] | None:
    """'416x320' or, where one number is enough, '416' -> (416, 320) or (416, 416). Raises
    OptionError.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:[x×](\d+))?", text.strip().lower())
    if not match or (not single and not match[2]) or "0" in (match[1], match[2]):
        wanted = "a number or two as in 640x480" if single else "two numbers as in 192x256"
        raise OptionError(f"{option} '{text}': expected {wanted}")
    return int(match[1]), int(match[2] or match[1])


def looks(text: str) -> int:
    """'auto' -> 0, or every how many frames the detector looks, '10' -> 10. Raises OptionError."""
    if text == "auto" or (text.isdecimal() and int(text) > 0):
        return 0 if text == "auto" else int(text)
    raise OptionError(f"--detect-every '{text}': expected auto or a number from 1 up")


def listed(values: list[str]) -> list[str]:
    """['coco,csv', 'parquet'] -> ['coco', 'csv', 'parquet'], each once."""
    return list(
        dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip())
    )


def frames_per_second(fps: float | None) -> float | None:
    """The number, if it is one of frames per second. Raises OptionError."""
    from ..media.selection import Selection

    return Selection(fps=fps).fps


class Complaints:
    """Says each problem at once, and remembers that there were any."""

    def __init__(self) -> None:
        self.any = False

    def __call__(self, problem: EverybodyError) -> None:
        complain(str(problem))
        self.any = True

    def conclude(self) -> None:
        """Raises typer.Exit with 1 if there were any: not all was done."""
        if self.any:
            raise typer.Exit(1)


def complain(text: str, *, prefix: str = "everybody: ") -> None:
    """A line on stderr, safe to print; lost where stderr is closed or full."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"{prefix}{clean(text)}", file=sys.stderr, flush=True)
