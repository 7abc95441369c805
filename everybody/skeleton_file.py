"""A keypoint format of your own, as a file: JSON or TOML.

    name = "chair-4"
    joints = ["left_front_foot", "right_front_foot", "left_back_foot", "right_back_foot"]
    limbs = [["left_front_foot", "right_front_foot"], ["left_back_foot", "right_back_foot"]]
    mirror = [["left_front_foot", "right_front_foot"]]      # left out: by left_ and right_
    sigmas = { left_front_foot = 0.1 }                       # left out: .079, or the joint's own

Joints are called by their names; Left Ear and ear_left are left_ear, as in data. A list `mirror`
of pairs, or one number per joint; `sigmas` a table, or one number per joint. What the library
writes itself, into shards and models, is read as well: limbs and mirror by the places of the
joints.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from .errors import EverybodyError, OptionError
from .skeletons import SIGMAS, SKELETONS, Skeleton, skeleton
from .skeletons.names import plain_names
from .typed import convert, decode, read_bytes

DEFAULT_SIGMA = 0.079  # of a joint that nobody has published one for
SUFFIXES = (".json", ".toml")
SIDES = {"left_": "right_", "right_": "left_"}


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """What a file holds. Joints are names, or places from 0."""

    name: str
    joints: list[str]
    limbs: list[tuple[str | int, str | int]] = []
    mirror: list[int | tuple[str, str]] | None = None
    sigmas: list[float] | dict[str, float] | None = None
    parents: list[int] = []
    deciding: int = 0


def chosen(name: str) -> Skeleton:
    """A known skeleton by its name, or the one in a file (.json, .toml). Raises OptionError."""
    path = Path(name)
    if path.suffix.lower() in SUFFIXES:
        return read(path)
    if path.is_file():
        raise OptionError(f"{name}: a skeleton is read from JSON or TOML: call it .json or .toml")
    try:
        return skeleton(name)
    except OptionError as error:
        raise OptionError(f"{error}; or a file of your own: skeleton.toml") from None


def read(path: Path) -> Skeleton:
    """The skeleton in a file. Raises OptionError that names what is wrong in it."""
    data = read_bytes(path, OptionError)
    if not data.strip():
        raise OptionError(f"{path}: is empty; expected at least name = ... and joints = [...]")
    if path.suffix.lower() == ".json":
        shape = decode(data, Shape, path, OptionError)
    else:
        try:
            table = tomllib.loads(data.decode())
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise OptionError(f"{path}: not a readable TOML file ({error})") from error
        shape = convert(table, Shape, path, OptionError)

    shape = _plain(shape)
    known = SKELETONS.get(shape.name)
    if known and known.joints != tuple(shape.joints):
        raise OptionError(f"{path}: '{shape.name}' is the name of another skeleton: choose another")
    found = made(shape, path)
    if shape.mirror is None and (alone := without_partner(found)):
        raise OptionError(
            f"{path}: {alone[0]} has no partner on the other side: correct the name, or say with "
            "mirror which joints exchange places (mirror = []: none)"
        )
    return found


def _plain(shape: Shape) -> Shape:
    """The same with all names as data have them (`plain_names`): so joints are found in data, and
    left and right are known.
    """

    def plain(joint: str | int) -> Any:
        return plain_names([joint])[0] if isinstance(joint, str) else joint

    mirror, sigmas = shape.mirror, shape.sigmas
    return msgspec.structs.replace(
        shape,
        joints=list(plain_names(shape.joints)),
        limbs=[(plain(a), plain(b)) for a, b in shape.limbs],
        mirror=mirror
        and [one if isinstance(one, int) else (plain(one[0]), plain(one[1])) for one in mirror],
        sigmas={plain(joint): sigma for joint, sigma in sigmas.items()}
        if isinstance(sigmas, dict)
        else sigmas,
    )


def without_partner(skeleton: Skeleton) -> list[str]:
    """Joints of one side that are their own mirror image, though their name says otherwise: in a
    mirrored picture they are the other side's.
    """
    return [
        joint
        for place, joint in enumerate(skeleton.joints)
        if joint.startswith(tuple(SIDES)) and skeleton.mirror[place] == place
    ]


def to_text(skeleton: Skeleton) -> str:
    """What a file says of its joints: the name of a known skeleton, or the whole as JSON."""
    data = told(skeleton)
    return data if isinstance(data, str) else json.dumps(data)


def told(skeleton: Skeleton) -> str | dict[str, Any]:
    """The same as plain data, for a file that holds other things, too; `of_data` is its inverse."""
    if skeleton == SKELETONS.get(skeleton.name):
        return skeleton.name
    data = asdict(skeleton)
    if not skeleton.deciding:  # earlier versions do not know it
        del data["deciding"]
    return data


def of_text(text: str, where: Path | str) -> Skeleton:
    """The inverse of `to_text`. Raises OptionError."""
    if text.startswith("{"):
        return made(decode(text.encode(), Shape, where, OptionError), where)
    return skeleton(text)


def either(name: str | None, data: Any, where: Path | str) -> Skeleton:
    """The skeleton that a user names (`chosen`), or else the one that a model's row tells."""
    return chosen(name) if name else of_data(data, where)


def of_data(data: Any, where: Path | str, error: type[EverybodyError] = OptionError) -> Skeleton:
    """What `told` says, as a file of another kind holds it. Raises `error`."""
    if isinstance(data, str):
        return skeleton(data)
    try:
        return made(convert(data, Shape, where, OptionError), where)
    except OptionError as problem:
        raise error(str(problem)) from None


def made(shape: Shape, where: Path | str) -> Skeleton:
    """The skeleton that a file describes; the known one of that name, if it is the same. Raises
    OptionError that begins with `where`.
    """
    joints = tuple(shape.joints)
    place = {joint: index for index, joint in enumerate(joints)}
    if not joints or len(place) < len(joints):
        twice = sorted({joint for joint in joints if joints.count(joint) > 1})
        raise OptionError(
            f"{where}: joints {', '.join(twice)} are there twice: each needs a name of its own"
            if twice
            else f"{where}: a skeleton needs at least one joint"
        )
    if not all(joints):
        raise OptionError(f"{where}: joint {joints.index('') + 1} has no name")

    if not shape.name:
        raise OptionError(f"{where}: a skeleton needs a name")

    def at(joint: str | int, what: str) -> int:
        index = place.get(joint, -1) if isinstance(joint, str) else joint
        if not 0 <= index < len(joints):
            raise OptionError(
                f"{where}: {what} names the joint '{joint}', which it does not have: "
                f"its joints are {', '.join(joints)}"
            )
        return index

    if not 0 <= shape.deciding <= len(joints):
        raise OptionError(
            f"{where}: deciding is a number of its {len(joints)} joints, not {shape.deciding}"
        )
    if shape.parents and len(shape.parents) != len(joints):
        raise OptionError(f"{where}: {len(shape.parents)} parents for {len(joints)} joints")
    _check_tree(shape.parents, joints, where)
    limbs = tuple((at(a, "limbs"), at(b, "limbs")) for a, b in shape.limbs)
    if alone := [joints[a] for a, b in limbs if a == b]:
        raise OptionError(f"{where}: limbs join {alone[0]} to itself")
    return Skeleton(
        name=shape.name,
        joints=joints,
        limbs=limbs,
        mirror=_mirror(shape.mirror, joints, at, where),
        sigmas=_sigmas(shape.sigmas, joints, at, where),
        parents=tuple(shape.parents),
        deciding=shape.deciding,
    )


def _mirror(
    given: Sequence[int | tuple[str, str]] | None, joints: Sequence[str], at: Any, where: Path | str
) -> tuple[int, ...]:
    """Which joint each is in a mirrored picture [K]."""
    if given is None:
        return mirrored(joints)
    if all(isinstance(entry, int) for entry in given) and given:
        if len(given) != len(joints):
            raise OptionError(f"{where}: mirror has {len(given)} numbers for {len(joints)} joints")
        found = [at(entry, "mirror") for entry in given]
    else:
        found = list(range(len(joints)))
        for pair in given:
            if isinstance(pair, int):
                raise OptionError(
                    f"{where}: mirror is of pairs of names, or of one number per joint"
                )
            a, b = (at(name, "mirror") for name in pair)
            found[a], found[b] = b, a
    for joint, partner in enumerate(found):
        if found[partner] != joint:
            raise OptionError(
                f"{where}: mirror: {joints[joint]} becomes {joints[partner]}, but "
                f"{joints[partner]} becomes {joints[found[partner]]}: a mirror must undo itself"
            )
    _check_sides(found, joints, where)
    return tuple(found)


def _check_tree(parents: Sequence[int], joints: Sequence[str], where: Path | str) -> None:
    """Raises OptionError for a parent that is no joint, and for joints that hang on themselves."""
    for joint, parent in enumerate(parents):
        if not -1 <= parent < len(joints):
            raise OptionError(
                f"{where}: parents: {joints[joint]} hangs on joint {parent}, expected -1 to "
                f"{len(joints) - 1}"
            )
    for joint in range(len(parents)):
        above = joint
        for _ in parents:
            above = parents[above] if above >= 0 else -1
        if above >= 0:
            raise OptionError(f"{where}: parents: {joints[joint]} hangs on itself")


def _check_sides(mirror: Sequence[int], joints: Sequence[str], where: Path | str) -> None:
    """Left and right exchange places. Raises OptionError for names that say otherwise."""
    for joint, partner in zip(joints, mirror, strict=True):
        side = next((side for side in SIDES if joint.startswith(side)), None)
        other = SIDES[side] + joint.removeprefix(side) if side else None
        if other in joints and joints[partner] != other:
            raise OptionError(
                f"{where}: mirror: {joint} becomes {joints[partner]}, expected {other}: list every "
                "pair, or leave mirror out where left_ and right_ tell it"
            )


def mirrored(joints: Sequence[str]) -> tuple[int, ...]:
    """The permutation that exchanges left_ and right_; joints without a partner stay."""
    place = {joint: index for index, joint in enumerate(joints)}
    found = []
    for joint in joints:
        side = next((side for side in SIDES if joint.startswith(side)), "")
        partner = SIDES.get(side, "") + joint.removeprefix(side)
        found.append(place.get(partner, place[joint]))
    return tuple(found)


def usual_sigmas(joints: Sequence[str]) -> tuple[float, ...]:
    """The sigma that joints of these names, without their side, have elsewhere; .079 for others."""
    parts = [joint.removeprefix("left_").removeprefix("right_") for joint in joints]
    return tuple(SIGMAS.get(part, DEFAULT_SIGMA) for part in parts)


def _sigmas(
    given: Sequence[float] | dict[str, float] | None, joints: Sequence[str], at: Any, where: Any
) -> tuple[float, ...]:
    found = list(usual_sigmas(joints))
    if isinstance(given, dict):
        for joint, sigma in given.items():
            found[at(joint, "sigmas")] = sigma
    elif given is not None:
        found = list(given)
    if len(found) != len(joints) or not all(0 < sigma < 10 for sigma in found):
        raise OptionError(
            f"{where}: sigmas: expected a number above 0 for each of the {len(joints)} joints"
        )
    return tuple(found)
