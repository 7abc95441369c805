"""Bodies with joints by name, as labelling tools export them, into a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..skeletons import COCO17, Skeleton
from ..skeletons.names import plain_names
from .dataset import MARGIN, Dataset, Picture, extents, image_folder
from .joints import recognise

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Body:
    """One body of a picture: x, y and COCO's flag of each joint, and its box if one is drawn."""

    picture: int
    where: str  # for errors
    category: str
    joints: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    box: Box | None = None

    def add(self, joint: str, x: float, y: float, flag: int) -> None:
        """Raises DataError for a joint that is there already."""
        (name,) = plain_names([joint])
        if name in self.joints:
            raise DataError(
                f"{self.where}: has the joint '{joint}' twice: draw a box around each body, or "
                "group the points of one"
            )
        self.joints[name] = x, y, flag


def assembled(
    path: Path,
    pictures: Sequence[Picture],
    bodies: Sequence[Body],
    skeleton: Skeleton | None,
    *,
    format: str,
    names: Sequence[str] = (),
    category: str | None = None,
    joints: bool = True,
) -> Dataset:
    """The bodies of the pictures as a data set. skeleton: whose joints; None: those that are
    labelled, in the order of `names`, or of their coming. category: only these, by name. joints:
    whether there must be any; else boxes alone will do.

    Raises DataError for a joint that the skeleton does not have, and where nothing is labelled.
    """
    bodies = _of_category(path, bodies, category)
    given = dict.fromkeys([*plain_names(names), *(name for one in bodies for name in one.joints)])
    bare = bool(bodies) and not joints and not any(body.joints for body in bodies)
    if not given and not bare:
        raise DataError(
            f"{path}: no body has a joint: label key points, not only boxes (boxes alone are for "
            "`everybody pack --pictures`)"
        )
    chosen = skeleton or (COCO17 if bare else recognise(tuple(given), len(given), path))
    place = {name: index for index, name in enumerate(chosen.joints)}

    keypoints = np.zeros((len(bodies), len(chosen), 3))
    for row, body in enumerate(bodies):
        for name, values in body.joints.items():
            if name not in place:
                raise DataError(
                    f"{body.where}: the joint '{name}' is not one of {chosen.name}: its joints are "
                    f"{', '.join(chosen.joints)}"
                )
            keypoints[row, place[name]] = values

    categories = {name: n for n, name in enumerate(dict.fromkeys(b.category for b in bodies), 1)}
    return Dataset(
        skeleton=chosen,
        pictures=tuple(pictures),
        picture=np.array([body.picture for body in bodies], np.int64),
        keypoints=keypoints,
        boxes=_boxes(bodies, keypoints),
        category=np.array([categories[body.category] for body in bodies], np.int64),
        categories={number: name for name, number in categories.items()},
        name=path.name,
        format=format,
        folder=image_folder(path, tuple(pictures)),
        ignored=np.zeros(len(bodies), bool) if bare else None,  # type: ignore[arg-type]
        notes=("no key points: boxes alone",) if bare else (),
    )


def _of_category(path: Path, bodies: Sequence[Body], wanted: str | None) -> Sequence[Body]:
    """Raises DataError for a category that is not there."""
    if not wanted:
        return bodies
    known = dict.fromkeys(body.category for body in bodies)
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in known:
            raise DataError(f"{path}: has no category '{name}'; its categories: {', '.join(known)}")
    return [body for body in bodies if body.category in names]


def _boxes(bodies: Sequence[Body], keypoints: np.ndarray) -> np.ndarray:
    """The drawn boxes [N, 4]; of bodies without one, around their joints with the usual margin."""
    around = extents(keypoints)
    grow = MARGIN * (around[:, 2:] - around[:, :2])
    around = around + np.concatenate([-grow, grow], 1)
    rows = [around[n] if one.box is None else one.box for n, one in enumerate(bodies)]
    return np.array(rows, np.float64).reshape(-1, 4)
