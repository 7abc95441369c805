"""What the apps make of a job's results: a character that moves as a person did, and films in which
people wear things or something lies on a target. Corrections are applied to all of it.

Files that a user gives for it, a character or a picture, are kept in FOLDER/own under a name of
ours. Each function below runs in a worker's process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..apps.animate import Animate, Played, animated, person_of, write_played
from ..apps.ar import Scene, augmented, showable
from ..apps.characters import TABLES
from ..apps.rig import read_rig, stick_rig
from ..apps.target import Target
from ..apps.worn import THINGS, thing
from ..atomic import replacing
from ..errors import InputError, OptionError, unknown
from ..lift.body import own_skeleton
from ..lift.lifter import Lift, Lifting
from ..lift.motion import Motion, motions
from ..media.read import one, read
from ..media.sources import Item
from ..people import Frame
from ..results.journal import read_journal
from ..results.records import Record, Results
from ..results.spatial import read as read_spatial
from .derived import edits_of, lifted, made
from .edits import edited
from .films import found, write_film
from .options import JobOptions

CHARACTERS, PICTURES = (".glb", ".vrm", ".bvh"), (".png", ".jpg", ".jpeg", ".webp")
File = Annotated[str, Field(pattern=r"^[0-9a-f]{16}\.[a-z]{3,4}$", description="from POST …/own")]


class Animating(BaseModel):
    """person: an id; None: whoever is there longest. character: a file of one's own, or whose names
    the bones of the stick figure have.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal["glb", "bvh", "json"] = "glb"
    person: int | None = None
    character: Literal["vrm", "mixamo", "cmu", "biovision"] | File = "vrm"


class Augmenting(BaseModel):
    """wear: things with commas between them. target and show: pictures of one's own, of something
    flat in the film and of what lies on it; width: of the target, in metres; fov: in degrees.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    wear: Annotated[str, Field(max_length=100)] = ""
    target: File | None = None
    show: File | None = None
    width: float = Field(default=0.21, gt=0, le=100)
    fov: float = Field(default=60.0, gt=1, lt=179)

    @property
    def things(self) -> list[str]:
        return [name for name in self.wear.split(",") if name]

    def check(self) -> Augmenting:
        """Itself, if it makes sense. Raises OptionError."""
        for name in self.things:
            if name not in THINGS:
                raise unknown("thing to wear", name, THINGS)
        if (self.target is None) != (self.show is None):
            raise OptionError("a target and what it shows go together: give pictures of both")
        if not self.things and self.target is None:
            raise OptionError(f"nothing to draw: choose of {', '.join(THINGS)}, or give a target")
        return self


def own_name(name: str, data: bytes) -> str:
    """What a user calls a file -> its name here: the same for the same bytes. Raises InputError."""
    suffix = Path(name).suffix.lower()
    if suffix not in (*CHARACTERS, *PICTURES):
        kinds = f"{', '.join(CHARACTERS)} for characters, {', '.join(PICTURES)} for pictures"
        raise InputError(f"'{name[:200]}': expected a file of the kinds {kinds}")
    return f"{hashlib.sha256(data).hexdigest()[:16]}{suffix}"


def own(folder: Path, name: str, kinds: tuple[str, ...]) -> Path:
    """The path of such a file. Raises OptionError where it is not there, or of another kind."""
    path = folder / "own" / name
    if path.suffix not in kinds or not path.is_file():
        raise OptionError(f"file {name}: is not here as {' or '.join(kinds)}; send it first")
    return path


def animation_target(folder: Path, number: int, asked: Animating) -> Path:
    """Where the animation is, or is to be."""
    return made(folder) / f"animation-{number}-{_key(asked)}.{asked.format}"


def augmented_target(folder: Path, number: int, kind: str, asked: Augmenting) -> Path:
    """The same of a film with things in it."""
    suffix = ".jpg" if kind == "picture" else ".mp4"
    return made(folder) / f"augmented-{number}-{_key(asked)}{suffix}"


def _key(asked: BaseModel) -> str:
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:16]


# ---- in a worker's process


def animate(order: dict[str, Any]) -> None:
    """One person of one source on a character: a file of motion, or what the page shows of it."""
    asked, folder = Animating(**order["asked"]), Path(order["folder"])
    if asked.character in TABLES:
        rig = stick_rig(asked.character)
    else:
        rig = read_rig(own(folder, asked.character, CHARACTERS))
    records = list(_records(folder, order["source"]))
    motion = _motion(folder, order, records, asked.person)
    played = animated(motion, rig, Animate())
    target = Path(order["target"])
    if asked.format == "json":
        with replacing(target) as part:
            part.write_text(json.dumps(shown(played, records)), encoding="utf-8")
    else:
        write_played(target, played)


def _motion(
    folder: Path, order: dict[str, Any], records: list[Record], person: int | None
) -> Motion:
    """A person in space: as the job lifted everybody, or lifted now where it did not, or where a
    correction changes what is seen.
    """
    lift = JobOptions(**order["options"]).in_space()
    spatial = [] if lift is None or edits_of(folder) else read_spatial(lifted(folder))
    rows = [(line.time, line.poses) for line in spatial if line.source == order["source"]]
    if not rows:
        lifting = Lifting(lift or Lift()).poses(records)
        rows = [(record.time, poses) for record, poses in lifting]
    return person_of(motions(rows), person, order["source"])


def shown(played: Played, records: list[Record]) -> dict[str, Any]:
    """A character's bones at each frame of a film in which it moves, for the page's view in space:
    {"skeleton", "frames": [{"source", "frame", "time", "space", "people"}], "slid", "standing"}.
    """
    animation = played.animation
    skeleton = own_skeleton(animation.body)
    times, places = animation.times, np.round(animation.places, 3)
    half = 0.5 / animation.motion().rate
    frames = []
    for record in records:
        near = int(np.abs(times - record.time).argmin())
        moving = abs(times[near] - record.time) <= half + 1e-6
        bones = np.concatenate([places[near], np.ones((len(skeleton), 1))], 1).tolist()
        people = [{"id": animation.id, "joints": bones}] if moving else []
        line = {"source": record.source, "frame": record.index, "time": record.time}
        frames.append({**line, "space": "world", "people": people})
    return {
        "skeleton": {"name": skeleton.name, "joints": skeleton.joints, "limbs": skeleton.limbs},
        "frames": frames,
        "person": animation.id,
        "slid": played.slid,
        "standing": played.standing,
    }


def augment(order: dict[str, Any], told: Any) -> None:
    """One source with things in it."""
    asked, folder = Augmenting(**order["asked"]), Path(order["folder"])
    scene = Scene(things=[thing(name) for name in asked.things], fov=asked.fov)
    if asked.target and asked.show:
        picture = one(str(own(folder, asked.target, PICTURES)), select=_selection({})).image
        scene.target = Target.flat(picture, asked.width, "the target")
        scene.show = showable(own(folder, asked.show, PICTURES), 0.0)
    frames = _peopled(folder, order)
    drawn = (
        Frame(picture, number, time, order["source"])
        for number, (time, picture) in enumerate(augmented(scene, frames))
    )
    write_film(drawn, Path(order["target"]), order["source"], told)


def _peopled(folder: Path, order: dict[str, Any]) -> Iterator[Frame]:
    """The frames of a source, with the people of the journal, in space where they were lifted."""
    name = order["source"]
    item = Item(name, "file", name)
    frames = read(item, select=_selection(order["options"]))
    spatial = read_spatial(lifted(folder)) if lifted(folder).is_file() else ()
    depths = {line.index: line.poses for line in spatial if line.source == name}
    for frame, record in found(frames, _records(folder, name)):
        yield replace(frame, people=record.people, poses3d=depths.get(frame.index))


def _records(folder: Path, source: str) -> Iterator[Record]:
    results: Results = edited(read_journal(folder / "out"), edits_of(folder))
    return (record for record in results if record.source == source)


def _selection(options: dict[str, Any]) -> Any:
    return JobOptions(**options).selection()
