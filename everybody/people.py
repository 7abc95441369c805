"""The nouns of everything else: `People`, `Poses3D` and `Frame`; `Skeleton` has its own file.

The coordinate law: an integer coordinate is the centre of a pixel, so a picture of W × H pixels
spans [-0.5, W - 0.5] × [-0.5, H - 0.5]; boxes are x0, y0, x1, y1 in the same coordinates.

        -0.5   0.5   1.5   2.5
          |--0--|--1--|--2--|        three pixels; their centres are 0, 1 and 2
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .skeletons import BOX, Skeleton, mapping

if TYPE_CHECKING:
    import pandas

PERSON = "person"  # the category of those whom nothing says to be something else
Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
Index = int | slice | Sequence[int] | NDArray[Any]


def _array(value: ArrayLike, shape: tuple[int | None, ...], what: str) -> Floats:
    array = np.asarray(value, np.float32)
    if array.size == 0 and array.ndim != len(shape):
        array = array.reshape([0 if size is None else size for size in shape])
    if array.ndim != len(shape) or any(
        e is not None and e != s for e, s in zip(shape, array.shape, strict=True)
    ):
        wanted = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(f"{what} must have shape [{wanted}], got {list(array.shape)}")
    return array


def _ids(ids: NDArray[np.int64] | None, count: int) -> NDArray[np.int64] | None:
    if ids is None:
        return None
    ids = np.asarray(ids, np.int64)
    if ids.shape != (count,):
        raise ValueError(f"ids must have shape [{count}], got {list(ids.shape)}")
    return ids


def _rows(index: Index, count: int) -> slice | Sequence[int] | NDArray[Any]:
    """What an array is indexed with, so that one person is a group of one. Raises IndexError."""
    if not isinstance(index, (int, np.integer)):
        return index
    if not -count <= index < count:
        raise IndexError(f"person {index} of {count}")
    return [int(index)]


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The people of one picture, in its pixels (see the coordinate law above); indexes like an
    array.

    keypoints [N, K, 3]: x, y, score in [0, 1]; a joint of low score keeps its coordinates. boxes
    [N, 4]: x0, y0, x1, y1. scores [N] in [0, 1]. ids [N] int64, or None where nobody is tracked.
    turns [N, 4]: how likely each quarter turn (of np.rot90) brings them upright, a hint to who
    looks for joints; None: not known. categories [N] of text: what each is ("dog"); None: all are
    persons.
    """

    keypoints: Floats
    boxes: Floats
    scores: Floats
    skeleton: Skeleton
    ids: NDArray[np.int64] | None = None
    turns: Floats | None = None
    categories: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        keypoints = _array(
            self.keypoints, (None, len(self.skeleton), 3), f"keypoints of {self.skeleton.name}"
        )
        count = len(keypoints)
        object.__setattr__(self, "keypoints", keypoints)
        object.__setattr__(self, "boxes", _array(self.boxes, (count, 4), "boxes"))
        object.__setattr__(self, "scores", _array(self.scores, (count,), "scores"))
        object.__setattr__(self, "ids", _ids(self.ids, count))
        if self.turns is not None:
            object.__setattr__(self, "turns", _array(self.turns, (count, 4), "turns"))
        if self.categories is not None:
            categories = np.asarray(self.categories, np.str_).reshape(-1)
            if categories.shape != (count,):
                raise ValueError(f"categories must have shape [{count}], got {len(categories)}")
            object.__setattr__(self, "categories", categories)

    @classmethod
    def empty(cls, skeleton: Skeleton) -> People:
        zeros = partial(np.zeros, dtype=np.float32)
        return cls(zeros((0, len(skeleton), 3)), zeros((0, 4)), zeros(0), skeleton)

    @classmethod
    def from_boxes(cls, boxes: ArrayLike, scores: ArrayLike | None = None) -> People:
        """Boxes [N, 4] xyxy (and scores [N], else 1) -> people without joints, as detectors return
        them.
        """
        boxes = _array(boxes, (None, 4), "boxes")
        scores = np.ones(len(boxes)) if scores is None else scores
        return cls(
            np.zeros((len(boxes), 0, 3), np.float32),
            boxes,
            _array(scores, (len(boxes),), "scores"),
            BOX,
        )

    @classmethod
    def concatenate(cls, groups: Sequence[People]) -> People:
        """All people of several groups (at least one) of one skeleton, in order.

        Ids and turns survive where every group that holds somebody has them; people without a
        category are persons beside such that have one.
        """
        some = [group for group in groups if len(group)] or list(groups[:1])
        if len({group.skeleton for group in some}) > 1:
            names = ", ".join(sorted({group.skeleton.name for group in some}))
            raise ValueError(f"people of several skeletons cannot be one group: {names}")

        def column(name: str) -> Any:
            parts = [getattr(group, name) for group in some]
            return None if any(part is None for part in parts) else np.concatenate(parts)

        names = ("keypoints", "boxes", "scores")
        ids, turns = column("ids"), column("turns")
        keypoints, boxes, scores = map(column, names)
        categories = None
        if any(group.categories is not None for group in some):
            categories = np.concatenate([group.called for group in some])
        return cls(keypoints, boxes, scores, some[0].skeleton, ids, turns, categories)

    @property
    def called(self) -> NDArray[np.str_]:
        """The category of each [N], "person" where none is known."""
        return np.full(len(self), PERSON) if self.categories is None else self.categories

    def by_score(self) -> People:
        """The same people, most confident first; equals keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Index) -> People:
        """One person, a slice, a list of places or a mask; always People again."""
        index = _rows(index, len(self))
        ids = None if self.ids is None else self.ids[index]
        turns = None if self.turns is None else self.turns[index]
        categories = None if self.categories is None else self.categories[index]
        return replace(
            self,
            keypoints=self.keypoints[index],
            boxes=self.boxes[index],
            scores=self.scores[index],
            ids=ids,
            turns=turns,
            categories=categories,
        )

    def __iter__(self) -> Iterator[People]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"People({len(self)} × {self.skeleton.name})"

    def to_dicts(self, digits: int | None = None) -> list[dict[str, Any]]:
        """One dictionary per person, as in `frames.jsonl`: id, score, box [4], keypoints [K, 3],
        and the category where categories are known.
        """

        def plain(values: Floats) -> Any:
            return (
                values if digits is None else np.round(values.astype(np.float64), digits)
            ).tolist()

        ids = [None] * len(self) if self.ids is None else self.ids.tolist()
        columns = zip(
            ids, plain(self.scores), plain(self.boxes), plain(self.keypoints), strict=True
        )
        rows = [{"id": i, "score": s, "box": b, "keypoints": k} for i, s, b, k in columns]
        if self.categories is None:
            return rows
        return [row | {"category": c} for row, c in zip(rows, self.called.tolist(), strict=True)]

    @classmethod
    def from_dicts(cls, people: Sequence[dict[str, Any]], skeleton: Skeleton) -> People:
        """The inverse of `to_dicts`. Ids survive if every person has one."""
        if not people:
            return cls.empty(skeleton)
        ids = [person.get("id") for person in people]
        known = any(person.get("category") for person in people)
        return cls(
            np.array([person["keypoints"] for person in people], np.float32).reshape(
                len(people), -1, 3
            )
            if len(skeleton)
            else np.zeros((len(people), 0, 3), np.float32),
            np.array([person["box"] for person in people], np.float32),
            np.array([person["score"] for person in people], np.float32),
            skeleton,
            None if any(i is None for i in ids) else np.array(ids, np.int64),
            categories=np.array([p.get("category") or PERSON for p in people]) if known else None,
        )

    def to_records(self) -> list[dict[str, Any]]:
        """The tidy table: one flat row per person and joint (person, id, person_score, x0 … y1,
        joint, x, y, score).
        """
        return [
            {
                "person": n,
                "id": person["id"],
                "person_score": person["score"],
                **({"category": person["category"]} if "category" in person else {}),
                **dict(zip(("x0", "y0", "x1", "y1"), person["box"], strict=True)),
                "joint": joint,
                "x": x,
                "y": y,
                "score": score,
            }
            for n, person in enumerate(self.to_dicts())
            for joint, (x, y, score) in zip(self.skeleton.joints, person["keypoints"], strict=True)
        ]

    def to_dataframe(self) -> pandas.DataFrame:
        """`to_records` as a pandas DataFrame; needs pandas (extra `viz`)."""
        import pandas

        return pandas.DataFrame(self.to_records())

    def to(self, skeleton: Skeleton) -> People:
        """The same people in another keypoint format: joints copied or derived by name, missing
        ones all zeros.
        """
        return replace(
            self, keypoints=mapping(self.skeleton, skeleton)(self.keypoints), skeleton=skeleton
        )

    @property
    def core(self) -> People:
        """The same people with the joints that decide (`Skeleton.core`)."""
        if self.skeleton.core is self.skeleton:
            return self
        leading = self.keypoints[:, self.skeleton.leading]
        return replace(self, keypoints=leading, skeleton=self.skeleton.core)

    def draw(self, image: Image, **options: Any) -> Image:
        """A copy of the picture [H, W, 3] with the people on it; options as in
        `everybody.draw.draw`.
        """
        from .draw import draw

        return draw(image, self, **options)


@dataclass(frozen=True, slots=True, eq=False)
class Poses3D:
    """The same people in space, in metres; row n belongs to person n of the frame's `People`.

    joints [N, K, 4]: x, y, z, score in [0, 1]. Relative to a camera, x points right, y down and z
    away from it, as OpenCV has it; in a world whose floor is known, z points up and the floor is
    z = 0 (`frame` says which of the two). ids [N] int64, or None where nobody is tracked.
    """

    joints: Floats
    skeleton: Skeleton
    ids: NDArray[np.int64] | None = None
    frame: Literal["camera", "world"] = "camera"

    def __post_init__(self) -> None:
        joints = _array(
            self.joints, (None, len(self.skeleton), 4), f"joints of {self.skeleton.name}"
        )
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "ids", _ids(self.ids, len(joints)))

    @classmethod
    def empty(cls, skeleton: Skeleton) -> Poses3D:
        return cls(np.zeros((0, len(skeleton), 4), np.float32), skeleton)

    def __len__(self) -> int:
        return len(self.joints)

    def __getitem__(self, index: Index) -> Poses3D:
        """One person, a slice, a list of places or a mask; always Poses3D again."""
        index = _rows(index, len(self))
        ids = None if self.ids is None else self.ids[index]
        return replace(self, joints=self.joints[index], ids=ids)

    def to(self, skeleton: Skeleton) -> Poses3D:
        """The same people in another keypoint format: joints copied or derived by name, missing
        ones all zeros.
        """
        joints = mapping(self.skeleton, skeleton)(self.joints)
        return replace(self, joints=joints, skeleton=skeleton)

    def __repr__(self) -> str:
        return f"Poses3D({len(self)} × {self.skeleton.name}, {self.frame})"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source, and who is on it.

    image [H, W, 3] uint8 RGB; index counts the frames of its source from 0 (a picture is frame 0 of
    itself); time in seconds from the start of the source; source is a path, a URL or another name.
    poses3d: the same people in space, where they were lifted.
    """

    image: Image
    index: int = 0
    time: float = 0.0
    source: str = ""
    people: People = field(default_factory=lambda: People.empty(BOX))
    poses3d: Poses3D | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(
                f"a frame's image must be [H, W, 3] uint8 RGB, "
                f"got {list(self.image.shape)} {self.image.dtype}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def __repr__(self) -> str:
        width, height = self.size
        place = f"{self.source!r}, index={self.index}, time={self.time:.3f}"
        return f"Frame({place}, {width}×{height}, {self.people})"

    def draw(self, **options: Any) -> Image:
        """The picture with its people on it [H, W, 3]."""
        return self.people.draw(self.image, **options)

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay."""
        import cv2

        return cv2.imencode(".png", self.draw()[..., ::-1])[1].tobytes()
