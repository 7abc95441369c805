"""Which categories of a COCO file are judged or learned from: those of persons, or those asked for.

A file can hold several categories, and several sets of joints: players and referees, people and the
horses they ride, fifty kinds of animals. Categories with the same joints are one data set; of
several sets of joints that of people counts, and what is left out is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..errors import DataError
from ..typed import Id
from .joints import known_joints
from .records import identity

PERSONS = ("person", "people", "human", "pedestrian")


class Category(msgspec.Struct, gc=False):
    """A row of COCO's 'categories'."""

    id: Id
    name: str | None = None
    keypoints: list[str] | None = None
    skeleton: list[list[float]] | None = None

    @property
    def joints(self) -> tuple[str, ...]:
        return tuple(self.keypoints or ())

    @property
    def called(self) -> str:
        return self.name or str(self.id)

    @property
    def of_persons(self) -> bool:
        return self.called.strip().lower() in PERSONS


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen categories by id; their joint names and limbs (counted from 1); the others."""

    chosen: dict[int | str, Category]
    joints: tuple[str, ...]
    limbs: Sequence[Sequence[float]]
    left_out: dict[int | str, Category]

    def numbers(self) -> dict[int | str, int]:
        """The chosen categories -> their numbers, the same in labels and results: their ids, or
        their places from 1 if not all ids are whole numbers.
        """
        plain = all(isinstance(key, int) and key >= 0 for key in self.chosen)
        places = {key: place for place, key in enumerate(self.chosen, 1)}
        return {key: int(key) if plain else place for key, place in places.items()}


def choose(categories: Sequence[Category], wanted: str | None, path: Path) -> Choice:
    """The categories that `wanted` names (names or ids, with commas between), else those of people.

    Raises DataError for a name that is not there, and where several sets of joints are left.
    """
    table = {identity(category.id): category for category in categories}
    chosen = _named(table, wanted, path) if wanted else _persons(table)

    groups = {category.joints for category in chosen.values()}
    if len(groups) > 1:
        names = ", ".join(
            f"{category.called} ({len(category.joints)} joints)" for category in chosen.values()
        )
        raise DataError(
            f"{path}: has several skeletons: {names}; choose categories of one with --category NAME"
        )
    limbs = next((one.skeleton for one in chosen.values() if one.skeleton), [])
    left_out = {key: category for key, category in table.items() if key not in chosen}
    return Choice(chosen, next(iter(groups), ()), limbs, left_out)


def _named(table: dict[int | str, Category], wanted: str, path: Path) -> dict[int | str, Category]:
    chosen: dict[int | str, Category] = {}
    for text in (part.strip() for part in wanted.split(",")):
        found = {
            key: category
            for key, category in table.items()
            if category.called.lower() == text.lower() or str(key) == text
        }
        if not found:
            known = ", ".join(category.called for category in table.values()) or "none"
            raise DataError(f"{path}: has no category '{text}'; its categories: {known}")
        chosen |= found
    return chosen


def _persons(table: dict[int | str, Category]) -> dict[int | str, Category]:
    """Of the categories with joints (if no file names joints: of all) those of people's joints."""
    some = {key: category for key, category in table.items() if category.joints} or table
    groups = {category.joints for category in some.values()}
    persons = {category.joints for category in some.values() if category.of_persons}
    bodies = {joints for joints in groups if known_joints(joints)}
    for kind in (persons, bodies):
        if len(groups) > 1 and len(kind) == 1:
            some = {key: category for key, category in some.items() if category.joints in kind}
            break
    if not any(category.joints for category in some.values()):
        some = {key: one for key, one in some.items() if one.of_persons} or some
    return some
