"""A set of pictures and the people on them, labelled or found: one value for training and judging.

People lie in columns over the whole set, not in objects per picture: a hundred thousand pictures
stay a few arrays. Coordinates obey the coordinate law of `people.py` and are float64, because
metrics are compared to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..people import People
from ..skeletons import Skeleton, mapping

MARGIN = 0.15  # of the joints' extent, to each side: the median of coco_train's boxes
Array = NDArray[np.float64]
UNKNOWN = -1  # category or track, where the file does not say

# What `Dataset` holds one of per person.
COLUMNS = (
    "picture",
    "keypoints",
    "boxes",
    "areas",
    "scores",
    "ids",
    "tracks",
    "category",
    "heads",
    "crowd",
    "ignored",
)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as its annotations name it; width and height are 0 where they do not say."""

    name: str  # as written: mostly a file name; "" in results that know pictures by number only
    id: int
    width: int = 0
    height: int = 0
    ignore: tuple[Array, ...] = ()  # polygons [P, 2] in which nobody is labelled
    crowding: float = float("nan")  # CrowdPose's crowd index
    key: str = ""  # its id in the file, where that is no whole number
    time: float = float("nan")  # in seconds, of a frame of a video


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dataset:
    """Pictures, and in columns their people: person n is on `pictures[picture[n]]`.

    keypoints [N, K, 3]: x, y and, in truth, COCO's flag (0 not labelled, 1 occluded, 2 visible); in
    results, the score. boxes [N, 4] xyxy. areas [N] is what OKS divides by. scores [N]: 1 in truth.
    ids [N]: of annotations or people. tracks [N]: who is who across pictures, UNKNOWN if not said.
    category [N]: number of the category, UNKNOWN if not said; `categories` names them. heads [N]:
    PCKh's length, 0.6 × the diagonal of the head box in pixels, NaN where no head box is labelled.
    crowd [N]: a region of many. ignored [N]: neither to find nor false.
    """

    skeleton: Skeleton
    pictures: tuple[Picture, ...]
    picture: NDArray[np.int64]
    keypoints: Array
    boxes: Array = None  # type: ignore[assignment]  # default: the extent of the labelled joints
    areas: Array = None  # type: ignore[assignment]  # default: of the box
    scores: Array = None  # type: ignore[assignment]
    ids: NDArray[np.int64] = None  # type: ignore[assignment]  # default: 1, 2, 3, ...
    tracks: NDArray[np.int64] = None  # type: ignore[assignment]
    category: NDArray[np.int64] = None  # type: ignore[assignment]
    heads: Array = None  # type: ignore[assignment]
    crowd: NDArray[np.bool_] = None  # type: ignore[assignment]
    # default: crowds, and people without labelled joints
    ignored: NDArray[np.bool_] = None  # type: ignore[assignment]
    categories: Mapping[int, str] = field(default_factory=dict)
    name: str = ""
    format: str = ""
    folder: Path | None = None  # where the pictures lie, if known
    boxes_from: str = ""  # of results, as far as known: "gt", "detected" or a file of boxes
    notes: tuple[str, ...] = ()  # what was odd but accepted

    def __post_init__(self) -> None:
        count, joints = len(self.picture), len(self.skeleton)
        rows = -1 if joints else count  # of boxes alone, without joints
        keypoints = np.asarray(self.keypoints, np.float64).reshape(rows, joints, 3)
        seen = keypoints[..., 2] > 0
        boxes = extents(keypoints, seen) if self.boxes is None else self.boxes
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        crowd = np.zeros(count, bool) if self.crowd is None else self.crowd

        defaults: dict[str, ArrayLike] = {
            "areas": np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1),
            "scores": np.ones(count),
            "ids": np.arange(1, count + 1),
            "tracks": np.full(count, UNKNOWN),
            "category": np.full(count, UNKNOWN),
            "heads": np.full(count, np.nan),
            "crowd": crowd,
            "ignored": crowd | ~seen.any(1),
        }
        whole, flags = {"picture", "ids", "tracks", "category"}, {"crowd", "ignored"}
        columns: dict[str, Any] = {"keypoints": keypoints, "boxes": boxes}
        for what in COLUMNS:
            if what not in columns:
                given = getattr(self, what)
                kind = np.int64 if what in whole else np.bool_ if what in flags else np.float64
                columns[what] = np.asarray(defaults[what] if given is None else given, kind)
            if len(columns[what]) != count:
                raise ValueError(
                    f"{what} must have {count} rows, as 'picture' has, got {len(columns[what])}"
                )
        for what, values in columns.items():
            object.__setattr__(self, what, values)
        object.__setattr__(self, "pictures", tuple(self.pictures))

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.pictures)

    def __repr__(self) -> str:
        people = f"{len(self.picture)} people × {self.skeleton.name}"
        return f"Dataset({self.name}: {len(self)} pictures, {people})"

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """[N, K]: which joints are labelled."""
        return self.keypoints[..., 2] > 0

    def kinds(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The names of the categories, and everybody's place among them [N]; of data that say
        none, all are persons.
        """
        if not self.categories:
            return ("person",), np.zeros(len(self.picture), np.int64)
        place = {number: at for at, number in enumerate(self.categories)}
        found = [place.get(number, 0) for number in self.category.tolist()]
        return tuple(self.categories.values()), np.array(found, np.int64)

    def where(self, picture: int) -> NDArray[np.int64]:
        """The rows of the people of one picture. For many pictures, `rows` is faster."""
        return np.flatnonzero(self.picture == picture)

    def rows(self) -> list[NDArray[np.int64]]:
        """The rows of the people, one array per picture, in their order."""
        if not len(self):
            return []
        order = np.argsort(self.picture, kind="stable")
        return np.split(order, np.searchsorted(self.picture[order], np.arange(1, len(self))))

    def people(self, picture: int) -> People:
        """The people of one picture; joints that are not labelled score 0."""
        return self.of(self.where(picture))

    def of(self, some: NDArray[np.int64]) -> People:
        """The people of these rows."""
        keypoints = self.keypoints[some].astype(np.float32)
        keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
        boxes, scores, ids = self.boxes[some], self.scores[some], self.ids[some]
        return People(keypoints, boxes, scores, self.skeleton, ids)  # type: ignore[arg-type]

    def path(self, picture: int) -> Path:
        """Where the file of a picture is."""
        return place_of(self.pictures[picture].name, self.folder or Path())

    def select(self, rows: NDArray[Any]) -> Dataset:
        """The same pictures with some of the people: a mask [N] or rows."""
        return replace(self, **{what: getattr(self, what)[rows] for what in COLUMNS})

    def subset(self, pictures: Iterable[int]) -> Dataset:
        """Some of the pictures, with their people."""
        chosen = np.asarray(list(pictures), np.int64)
        place = np.full(len(self) + 1, -1)
        place[chosen] = np.arange(len(chosen))
        part = self.select(place[self.picture] >= 0)
        return replace(
            part, pictures=tuple(self.pictures[i] for i in chosen), picture=place[part.picture]
        )

    def only(self, joints: Sequence[int]) -> Dataset:
        """With some of the joints; people who have none of them labelled are ignored."""
        whole, place = self.skeleton, {joint: i for i, joint in enumerate(joints)}
        part = Skeleton(
            name=f"{whole.name}/{len(joints)}",
            joints=tuple(whole.joints[joint] for joint in joints),
            limbs=tuple((place[a], place[b]) for a, b in whole.limbs if a in place and b in place),
            mirror=tuple(place.get(whole.mirror[joint], place[joint]) for joint in joints),
            sigmas=tuple(whole.sigmas[joint] for joint in joints),
        )
        keypoints = self.keypoints[:, list(joints)]
        return replace(
            self,
            skeleton=part,
            keypoints=keypoints,
            ignored=self.ignored | ~(keypoints[..., 2] > 0).any(1),
        )

    def to(self, skeleton: Skeleton) -> Dataset:
        """In another keypoint format, joint by joint by name (`skeletons.mapping`); missing joints
        are not labelled.

        What is copied, derived and missing is said in `notes`. Raises DataError where nothing is
        shared.
        """
        if skeleton == self.skeleton:
            return self
        table = mapping(self.skeleton, skeleton)
        if len(table.missing) == len(skeleton):
            raise DataError(f"{self.name}: {self.skeleton.name} and {skeleton.name} share no joint")
        note = f"{self.skeleton.name} → {skeleton.name}: {len(table.copied)} joints copied"
        note += f", derived {', '.join(table.derived)}" if table.derived else ""
        note += f", missing {', '.join(table.missing)}" if table.missing else ""
        moved = [skeleton.joints[joint] for joint, _, _ in table.placed]
        note += f", {' and '.join(moved)} moved to where {skeleton.name} has them" if moved else ""
        keypoints = table(self.keypoints)
        blank = self.ignored | ~(keypoints[..., 2] > 0).any(1)
        return replace(
            self, skeleton=skeleton, keypoints=keypoints, ignored=blank, notes=(*self.notes, note)
        )


def extents(keypoints: Array, seen: NDArray[np.bool_] | None = None) -> Array:
    """[N, K, 3], [N, K] -> boxes [N, 4] around the joints that are seen, all zeros where none are.
    By default those are seen whose third value is above 0.
    """
    seen = keypoints[..., 2] > 0 if seen is None else seen
    points = [keypoints[..., axis] for axis in (0, 1)]
    low = [np.where(seen, values, np.inf).min(1, initial=np.inf) for values in points]
    high = [np.where(seen, values, -np.inf).max(1, initial=-np.inf) for values in points]
    return np.where(seen.any(1, keepdims=True), np.stack([*low, *high], 1), 0.0)


def with_margin(boxes: NDArray[Any], keypoints: NDArray[Any]) -> Array:
    """[N, 4], [N, K, 3] -> boxes [N, 4]: those that end at the joints (data without boxes, as LSP)
    grown to where detectors, and other data, draw them; two conventions would teach and judge two
    sizes.
    """
    joints = extents(keypoints)
    extent = joints[:, 2:] - joints[:, :2]
    tight = (np.abs(joints - boxes) < 0.01 * extent.max(1, initial=0)[:, None]).sum(1) >= 3
    grown = joints + MARGIN * np.concatenate([-extent, extent], 1)
    return np.where(tight[:, None], grown, boxes)


def image_folder(path: Path, pictures: tuple[Picture, ...]) -> Path | None:
    """Where the pictures of an annotation file lie: in 'images' beside it, beside it, or the same
    one level up; where the first is that is there, of a few.
    """
    beside, above = path.parent, path.parent.parent
    places = (beside / "images", beside, above / "images", above)
    names = [one.name for one in pictures[:20] if one.name]
    there = (at for name in names for at in places if _is_file(place_of(name, at)))
    return next(there, None)


def place_of(name: str, folder: Path) -> Path:
    """Where the picture of that name is. In names from Windows, \\ stands between folders."""
    path = folder / name
    return folder / slashes(name) if "\\" in name and not _is_file(path) else path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, or a NUL in it
        return False


def slashes(name: str) -> str:
    """A picture's name with / between folders, however it is written."""
    return name.replace("\\", "/")
