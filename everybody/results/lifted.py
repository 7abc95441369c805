"""Results in pictures -> a journal of people in space, with or without a floor, in constant
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

from ..atomic import replacing
from ..errors import DataError
from ..lift.floor import Floor, FloorFinder, grounded
from ..lift.lifter import Lifting, flat
from ..media.clock import Films
from ..messages import Say
from .records import Results
from .spatial import FORMATS3D, Journal3D, Record3D, encode, read


def lifted_file(
    results: Results,
    folder: Path,
    lifting: Lifting,
    *,
    world: bool = False,
    formats: Sequence[str] = (),
    say: Say = lambda text: None,
) -> int:
    """Write FOLDER/frames3d.jsonl, and FOLDER/people3d.npz and so on; returns the number of frames.

    world: find the floor of each film, and put its people on it; a film where nobody stands stays
    in camera coordinates, which is said.
    """
    if left_out := flat(results.skeleton):
        say(left_out)
    finders: dict[str, FloorFinder] = {}
    films, count = Films(), 0
    with closing(Journal3D(folder)) as journal:
        for record, poses in lifting.poses(results):
            journal.write(Record3D.of(record, poses))
            if world:
                film = films(record.source, record.index)
                finders.setdefault(film, FloorFinder()).add(poses, record.time)
            count += 1
    if world:
        put_on_floors(journal.path, finders, say)
    for name in formats:
        FORMATS3D[name](partial(read, journal.path, say=say), folder / f"people3d.{name}")
    return count


def put_on_floors(path: Path, finders: dict[str, FloorFinder], say: Say) -> None:
    """Rewrite a journal in space in the world of its floors, by film."""
    floors: dict[str, Floor] = {}
    for film, finder in finders.items():
        try:
            floors[film] = finder.floor()
        except DataError as error:
            say(f"{film}: {error}")
    films = Films()
    with replacing(path) as part, part.open("wb") as file:
        keyed = ((films(record.source, record.index), record) for record in read(path))
        for film, group in groupby(keyed, key=lambda pair: pair[0]):
            records = (record for _, record in group)
            for record in _on_floor(records, floors.get(film)):
                file.write(encode(record))


def _on_floor(records: Iterator[Record3D], floor: Floor | None) -> Iterator[Record3D]:
    if floor is None:
        yield from records
        return
    for record in records:
        yield replace(record, poses=grounded(record.poses, floor))
