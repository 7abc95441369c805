"""Whether a run may go on in the folder of an earlier one: the same models, the same settings, the
same sources, however their names are spelled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..media.names import Names, numbered
from ..media.parts import frames_in_parts
from ..people import Frame
from .lines import Progress

_NO_FILE = ("array", "bytes", "stdin", "stream", "")  # names of sources that are not files


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What two run.json say differently of models and settings, "" for nothing. What one of them
    does not tell (another version wrote it) is not compared.
    """
    theirs, ours = (
        [(model.get("name"), model.get("sha256")) for model in run.get("models", [])]
        for run in (old, new)
    )
    if [sha for _, sha in theirs] != [sha for _, sha in ours]:
        names = [", ".join(str(name) for name, _ in models) or "none" for models in (theirs, ours)]
        return f"models ({names[0]}; this run has {names[1]})"

    # As run.json holds them: tuples are lists there.
    before, now = (json.loads(json.dumps(run.get("settings") or {})) for run in (old, new))
    changed = [
        f"--{name.replace('_', '-')} {_shown(before[name])}, here {_shown(now[name])}"
        for name in before
        if name in now and before[name] != now[name]
    ]
    return f"options ({'; '.join(changed)})" if changed else ""


def _shown(value: Any) -> str:
    return {"None": "not given", "True": "yes", "False": "no"}.get(str(value), str(value))


class Known(Mapping[str, int]):
    """The last frame that is done of each source, by any spelling of its name.

    last: by the names in the journal, which were seen from `folder`. A folder that a link leads to
    is the same folder; a file that is a link is a source of its own.
    """

    def __init__(self, last: Mapping[str, int], folder: str | None) -> None:
        self._last = dict(last)
        self._then = folder or os.getcwd()
        self._names = {_place(name, self._then): name for name in reversed(self._last)}
        self._folders = {
            os.path.dirname(place): os.path.dirname(name)
            for place, name in self._names.items()
            if place != name or os.path.isabs(name)
        }

    def __getitem__(self, name: str) -> int:
        return self._last[self.called(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def called(self, name: str) -> str:
        """What the journal calls a source; a new one is called like others of its folder. Raises
        OptionError where the name stands for another file than it did in the journal.
        """
        here = os.getcwd()
        place = _place(name, here)
        if name in self._last:
            meant = _place(name, self._then)
            if meant != place and Path(meant).exists():
                raise OptionError(
                    f"{name}: was {meant} in the run that is resumed; go on from {self._then} or "
                    "choose another folder"
                )
            return name
        other = self._names.get(place) or self._new(name, place)
        if _place(other, here) != place:
            raise OptionError(
                f"{name}: is called {other} in the run that is resumed; go on from {self._then}"
            )
        return other

    def _new(self, name: str, place: str) -> str:
        """What to call a source that the journal does not know."""
        folder = self._folders.get(os.path.dirname(place))
        if place == name and not os.path.isabs(name):  # no file
            return name
        here = os.getcwd()
        like = name if folder is None else os.path.join(folder, os.path.basename(place))
        return like if self._then == here or os.path.isabs(like) else place

    def renamed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames; sources that the journal knows by another spelling are called as there."""
        for frame in frames:
            name = self.called(frame.source)
            yield frame if name == frame.source else replace(frame, source=name)


def gaps(folder: Path, held: Progress) -> Iterator[str]:
    """Of each video whose overlay in the folder holds fewer frames than were done: how many are
    missing.
    """
    names = Names()
    for source, last in held.last.items():
        done, path = held.counts[source], folder / f"{names(source)}.mp4"
        if not numbered(source, last):
            continue
        drawn = frames_in_parts(path)
        if drawn < done:
            yield (
                f"{path}: it and its parts hold {drawn} of the {done} frames that were done: the "
                "others were lost when the run was killed; --overwrite makes a whole one"
            )


def _place(name: str, folder: str) -> str:
    """Where the file is; names of other sources stay as they are."""
    if "://" in name or name.startswith("camera:") or name in _NO_FILE:
        return name
    parent, own = os.path.split(os.path.normpath(os.path.join(folder, name)))
    return os.path.join(os.path.realpath(parent), own)
