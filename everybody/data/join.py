"""Results brought together with the truth: same pictures, same joints, same categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SAY_JOINTS_OF_DATA, DataError
from ..skeletons import mapping
from .dataset import UNKNOWN, Dataset, Picture, slashes


def joined(results: Dataset, truth: Dataset) -> Dataset:
    """Results told by the pictures of the truth: `picture` then counts `truth.pictures`.

    Pictures are matched by number where results have no names, else by file name, with or without
    folders. Raises DataError that names the first picture which the truth does not have. People of
    categories that the truth does not have are left out, and that is said.
    """
    by_number = not any(picture.name for picture in results.pictures)
    known = _places_by_number(truth) if by_number else _places_by_name(truth)
    places = np.array(
        [
            _place(known, _keys(picture, by_number), results, truth, picture)
            for picture in results.pictures
        ],
        np.int64,
    )
    if len(np.unique(places)) < len(places):
        twice = results.pictures[int(np.flatnonzero(np.bincount(places)[places] > 1)[1])]
        raise DataError(
            f"{results.name}: picture '{twice.name or twice.id}' appears twice: "
            "keep one result each"
        )
    pictures = list(truth.pictures)
    for place, picture in zip(places, results.pictures, strict=True):
        if not isnan(picture.time):  # labels of films mostly do not say when
            pictures[place] = replace(pictures[place], time=picture.time)
    moved = replace(results, pictures=tuple(pictures), picture=places[results.picture])
    return in_categories(moved, truth)


def _place(
    known: dict[Any, int], keys: Sequence[Any], results: Dataset, truth: Dataset, picture: Picture
) -> int:
    found = next((known[key] for key in keys if key in known), None)
    said = f"'{picture.name}'" if picture.name else f"picture {picture.id}"
    if found is None:
        raise DataError(
            f"{results.name}: {said} is not in {truth.name} ({len(truth)} pictures): "
            "are these the right data?"
        )
    if found < 0:
        raise DataError(
            f"{results.name}: {said} fits several pictures of {truth.name}: give names with folders"
        )
    return found


def in_categories(results: Dataset, truth: Dataset) -> Dataset:
    """Results of the categories that the truth has. What has one category is not left out for
    calling it otherwise.
    """
    called = dict(results.categories)
    if results.categories and set(results.categories.values()) & set(truth.categories.values()):
        results, called = _renumbered(results, truth)
    given, known = np.unique(results.category), list(truth.categories)
    foreign = ~np.isin(results.category, [*known, UNKNOWN])
    if not known or not foreign.any():
        return results
    names = ", ".join(f"{key} ({name})" for key, name in truth.categories.items())
    strange = np.unique(results.category[foreign]).tolist()
    numbers = ", ".join(f"{key} ({called[key]})" if key in called else str(key) for key in strange)
    if len(given) == 1 and len(known) == 1:
        note = f"{results.name}: category {numbers} is taken for {names} of {truth.name}"
        category = np.full_like(results.category, known[0])
        return replace(results, category=category, notes=(*results.notes, note))
    if foreign.all():
        raise DataError(
            f"{results.name}: all people are of categories {numbers}, {truth.name} has {names}: "
            "give them the category_id of the data"
        )
    note = f"{results.name}: {foreign.sum()} people of categories {numbers} are left out"
    return replace(results.select(~foreign), notes=(*results.notes, note))


def _renumbered(results: Dataset, truth: Dataset) -> tuple[Dataset, dict[int, str]]:
    """Results whose categories have names, with the truth's numbers for them; others get numbers
    that the truth does not have. And the names by their numbers now.
    """
    number = {name: key for key, name in truth.categories.items()}
    new = max(number.values(), default=0) + 1
    table = {key: number.get(name, new + key) for key, name in results.categories.items()}
    category = [table.get(key, key) for key in results.category.tolist()]
    names = {table[key]: name for key, name in results.categories.items()}
    return replace(results, category=np.array(category, np.int64)), names


def common(results: Dataset, truth: Dataset, *, mapped: bool = False) -> tuple[Dataset, Dataset]:
    """Results and truth in the same joints.

    Raises DataError where they differ, unless they shall be `mapped`: then the joints stay that the
    results have themselves, nothing derived; what the truth puts elsewhere is moved there
    (`skeletons.PLACED`).
    """
    if results.skeleton.joints == truth.skeleton.joints:
        return results, truth
    if not len(results.skeleton):
        if len(results.picture):
            raise DataError(
                f"{results.name}: boxes alone, without joints: judge them by --metrics BoxAP"
            )
        nobody = np.zeros((0, len(truth.skeleton), 3))
        return replace(results, skeleton=truth.skeleton, keypoints=nobody), truth
    table = mapping(results.skeleton, truth.skeleton)
    shared = [truth.skeleton.joints.index(name) for name in table.copied]
    names = f"{results.name} has {results.skeleton.name}, {truth.name} has {truth.skeleton.name}"
    if not shared:
        raise DataError(
            f"{names}: they share no joint: if a file of other joints was read as such, "
            f"{SAY_JOINTS_OF_DATA}"
        )
    left_out = ", ".join(name for name in truth.skeleton.joints if name not in table.copied)
    joints = f"the {len(shared)} joints that both have"
    joints += f" (without {left_out})" if left_out else ""
    if not mapped:
        raise DataError(f"{names}: say --map to judge {joints}")
    note = f"{names}: judged on {joints}"
    results = replace(results, notes=(*results.notes, note)).to(truth.skeleton)
    return replace(results.only(shared), ignored=results.ignored), truth.only(shared)


def _places_by_number(data: Dataset) -> dict[Any, int]:
    """Number of each picture -> its place."""
    return {picture.id: place for place, picture in enumerate(data.pictures)}


def _places_by_name(data: Dataset) -> dict[Any, int]:
    """What a picture may go by -> its place, -1 where several go by it: its file name, with or
    without folders and ending; and its id as text, marked as such.
    """
    known: dict[Any, int] = {}
    for place, picture in enumerate(data.pictures):
        path = Path(slashes(picture.name))
        for key in {picture.name, path.as_posix(), path.name, path.stem} - {"", "."}:
            known[key] = -1 if key in known else place
    known |= {picture.name: place for place, picture in enumerate(data.pictures) if picture.name}
    return known | {
        ("id", picture.key or str(picture.id)): place for place, picture in enumerate(data.pictures)
    }


def _keys(picture: Picture, by_number: bool) -> list[Any]:
    """What a picture of results is looked up by. 'a/b/c.jpg': itself, 'b/c.jpg', 'c.jpg', 'c', so
    that absolute paths match relative names; and as an id.
    """
    if by_number:
        return [picture.id]
    path = Path(slashes(picture.name))
    parts = ["/".join(path.parts[i:]) for i in range(len(path.parts))]
    return [picture.name, *parts, path.stem, ("id", picture.name)]
