"""The pictures that people were found in, for those who ask for moments in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import InputError
from ...media.read import read
from ...people import Frame, Image
from .show import Moment


def of_films() -> Callable[[Moment], Image | None]:
    """A function from a moment to its picture, None where the file is not at hand. Each film is
    decoded once: moments of one film must come in order. Addresses and cameras are not asked.
    """
    films: dict[str, Iterator[Frame]] = {}

    def picture(moment: Moment) -> Image | None:
        source = moment.source
        if not Path(source).is_file():
            return None
        film = films.setdefault(source, read(source))
        try:
            found = next((frame for frame in film if frame.index >= moment.index), None)
        except InputError:  # it breaks off: the people go on without it
            return None
        return found.image if found is not None and found.index == moment.index else None

    return picture
