"""What can go wrong, in words a user can act on.

Every message is one line that names the input, says what was expected and what to do. The command
line prints the line alone (`--debug` adds the traceback) and exits with 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from .messages import clean

T = TypeVar("T")

# What to do about joints that a file does not tell, or that are not those expected.
SAY_JOINTS = "say whose joints they are with --skeleton NAME or --skeleton FILE.toml"
SAY_JOINTS_OF_RESULTS = f"{SAY_JOINTS} (a command that has none: `everybody convert` them first)"
SAY_JOINTS_OF_DATA = f"{SAY_JOINTS} (of the data of `everybody eval`: --data-skeleton)"


class EverybodyError(Exception):
    """Base of all errors that everybody raises on purpose.

    Its text is one line without escape codes, whatever names are in it (`messages.clean`).
    """

    def __str__(self) -> str:
        return clean(super().__str__())


class InputError(EverybodyError):
    """A picture, video or stream that cannot be read."""


class ModelError(EverybodyError):
    """A model that is missing, broken or not what its manifest row says."""


class DataError(EverybodyError):
    """Annotations or results that do not have the expected form."""


class OptionError(EverybodyError):
    """An option, or a combination of options, that makes no sense."""


class OutputError(EverybodyError):
    """A result that cannot be written."""


class Unbroken(Generic[T]):
    """The items before an error, which `end` raises: for who holds items back, and must hand them
    on before it.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items, self._error = items, None

    def __iter__(self) -> Iterator[T]:
        try:
            yield from self._items
        except Exception as error:  # whatever it is, it belongs to the consumer
            self._error = error

    def end(self) -> None:
        """After what was held back: raises the error, if there was one."""
        if self._error is not None:
            raise self._error


def unknown(what: str, name: object, known: Iterable[str]) -> OptionError:
    """The error for a name that is none of the known ones: it lists them, the nearest first."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, 3, 0.5)
    hint = f": did you mean {' or '.join(near)}? Known are " if near else ": known are "
    return OptionError(f"unknown {what} '{name}'{hint}{', '.join(names)}")
