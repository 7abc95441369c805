"""People told in the skeleton that is asked for (`--skeleton`), of which the joints follow that a
file finds: joint by joint by name (`skeletons.mapping`).

    everybody-animals finds animal-20; asked for ap-10k-17, its people are told in that

Files find what they find; duplicates, scores and turns are decided by that, before it is told
otherwise. So asking changes the names of joints and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import OptionError
from ..method import Method, Poser, Remark, Remarking, Stage
from ..options import PoseOptions
from ..people import Frame
from ..runtime import Session
from ..skeleton_file import chosen, either
from ..skeletons import Skeleton, mapping
from ..weights.manifest import Row


@dataclass(frozen=True, slots=True)
class ToldPoser:
    """A poser whose people are told in another skeleton."""

    poser: Poser
    skeleton: Skeleton

    @property
    def sessions(self) -> Mapping[str, Session]:
        return self.poser.sessions

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        return told(self.poser(frames), self.skeleton)


@dataclass(frozen=True, slots=True)
class ToldMethod:
    """A method whose people are told in another skeleton."""

    method: Method
    skeleton: Skeleton

    @property
    def sessions(self) -> Mapping[str, Session]:
        return self.method.sessions

    @property
    def stages(self) -> tuple[Stage, ...]:
        *before, last = self.method.stages
        return (*before, last._replace(run=lambda frames: told(last.run(frames), self.skeleton)))

    @property
    def poser(self) -> Poser | None:
        return self.method.poser and ToldPoser(self.method.poser, self.skeleton)

    def remarks(self) -> list[Remark]:
        return self.method.remarks() if isinstance(self.method, Remarking) else []


def told(frames: list[Frame], skeleton: Skeleton) -> list[Frame]:
    """Frames whose people have joints -> the same in another skeleton."""
    return [replace(frame, people=frame.people.to(skeleton)) for frame in frames]


def as_asked(method: Method, skeleton: str | None) -> Method:
    """The method as it is, or told in the skeleton that is asked for. Raises OptionError where too
    many of its joints would be missing.
    """
    if skeleton is None or (wanted := chosen(skeleton)) == method.skeleton:
        return method
    demand_found(method.skeleton, wanted, "this method")
    return ToldMethod(method, wanted)


def joints_of(pose: PoseOptions, row: Row | None, where: Path, usual: str = "") -> Skeleton:
    """The joints that a file finds, from which those that are asked for follow.

    A given codec describes the file anew; as many joints of which it knows no name are new names
    for its own. usual: the skeleton of a file that nothing describes. Raises OptionError where too
    many of those asked for would be missing.
    """
    said = (row.skeleton if row else "") or usual
    if row is None or not row.skeleton or not pose.skeleton or pose.codec:
        return either(pose.skeleton, said, where)
    found = row.finds
    if pose.skeleton in row.also:
        return found
    wanted = chosen(pose.skeleton)
    named_anew = len(found) == len(wanted) == len(mapping(found, wanted).missing)
    if found.joints == wanted.joints or named_anew:
        return wanted
    demand_found(found, wanted, row.name, row.also)
    return found


def demand_found(
    found: Skeleton, wanted: Skeleton, who: str, also: Mapping[str, object] | None = None
) -> None:
    """Raises OptionError that names what is missing, if that is too much. also: the skeletons by
    which `who` finds more.
    """
    table = mapping(found, wanted)
    if table.nearly_whole:
        return
    more = "".join(f", with --skeleton {name} those too" for name in also or {})
    missing = ", ".join(table.missing[:5]) + ", …" * (len(table.missing) > 5)
    raise OptionError(
        f"--skeleton {wanted.name}: {who} finds the joints of {found.name}{more}; of those asked "
        f"for, {len(table.missing)} of {len(wanted)} are missing ({missing}): leave --skeleton "
        "out, or choose a model of these joints (`everybody models`)"
    )
