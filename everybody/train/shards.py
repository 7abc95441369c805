"""Packed pictures: encoded bytes and labels in a few files, decoded once into memory, all of one
size.

A shard is an .npz of at most `LIMIT` bytes: small enough to be carried to another machine one by
one. It holds squares (`squares.py`), crops around one person each or whole pictures: JPEG bytes,
and in columns the people on them, in the pixels of the packed picture. It says whose joints it
holds, and which categories.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from ..errors import DataError, OutputError
from ..people import Image
from ..skeleton_file import of_text, to_text
from ..skeletons import Skeleton
from .about import PEOPLE

LIMIT = 40_000_000
QUALITY = 92


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pack:
    """Pictures of one size in memory, and the people on them: person n is on `images[picture[n]]`.

    images [N, S, S, 3] uint8 RGB. keypoints [P, K, 3] in its pixels: x, y, and how much the label
    counts (0: not labelled). boxes [P, 4] xyxy. ignored [P]: neither to find nor false. names [N]:
    set/file. kinds [P]: places in `categories`. turns [P, 4]: how well a teacher finds the person
    in each quarter turn (np.rot90 of the picture), or nothing. hidden [P, K]: 1 for joints that
    people have labelled as hidden, 0 as visible, -1 where nobody has said; or nothing. others
    [P, K, 3]: the joints of the person of the same source picture whose box overlaps this one's
    most, weight 0 where there is none; or nothing.
    """

    images: NDArray[np.uint8]
    picture: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32]
    ignored: NDArray[np.bool_]
    names: tuple[str, ...]
    skeleton: Skeleton
    kinds: NDArray[np.int64] = None  # type: ignore[assignment]  # default: all of the first
    categories: tuple[str, ...] = PEOPLE
    turns: NDArray[np.float32] | None = None
    hidden: NDArray[np.int8] | None = None
    others: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.kinds is None:
            object.__setattr__(self, "kinds", np.zeros(len(self.picture), np.int64))

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, chosen: NDArray[np.bool_]) -> Pack:
        """The pictures where the mask [N] is true, with their people."""
        place = np.cumsum(chosen) - 1
        people = chosen[self.picture]
        return replace(
            self,
            images=self.images[chosen],
            picture=place[self.picture[people]],
            keypoints=self.keypoints[people],
            boxes=self.boxes[people],
            ignored=self.ignored[people],
            kinds=self.kinds[people],
            names=tuple(name for name, keep in zip(self.names, chosen, strict=True) if keep),
            turns=None if self.turns is None else self.turns[people],
            hidden=None if self.hidden is None else self.hidden[people],
            others=None if self.others is None else self.others[people],
        )

    def shrunk(self, factor: int) -> Pack:
        """The pictures `factor` times smaller: crops that are far smaller than they need no other
        smoothing.
        """
        size = self.images.shape[1] // factor
        images = np.stack(
            [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in self.images]
        )
        scale = self.images.shape[1] / size

        def smaller(points: Any) -> Any:
            places = (points[..., :2] + 0.5) / scale - 0.5
            return np.concatenate([places, points[..., 2:]], -1).astype(np.float32)

        boxes = ((self.boxes + 0.5) / scale - 0.5).astype(np.float32)
        others = None if self.others is None else smaller(self.others)
        joints = smaller(self.keypoints)
        return replace(self, images=images, boxes=boxes, keypoints=joints, others=others)


def held_back(names: Sequence[str], share: float = 0.05) -> NDArray[np.bool_]:
    """[N] names -> mask of those kept for choosing among checkpoints: by the name, so the same on
    every machine.
    """
    return np.array(
        [zlib.crc32(name.rsplit("#", 1)[0].encode()) % 10_000 < share * 10_000 for name in names],
        bool,
    )


class Writer:
    """Shards 000.npz, 001.npz, … in a folder; each is complete or not there."""

    def __init__(
        self,
        folder: Path,
        skeleton: Skeleton,
        categories: Sequence[str] = PEOPLE,
        limit: int = LIMIT,
    ) -> None:
        if any(folder.glob("*.npz")):
            raise OutputError(
                f"{folder}: holds shards already; remove them or choose another folder"
            )
        self.folder, self.skeleton, self.limit = folder, skeleton, limit
        self.categories = tuple(categories)
        self.count = self.pictures = 0
        self._clear()

    def _clear(self) -> None:
        self._bytes: list[bytes] = []
        self._names: list[str] = []
        self._people: list[dict[str, Any]] = []

    def add(self, image: Image, name: str, **people: Any) -> None:
        """One picture [S, S, 3] with the columns of its people, as `Pack` has them: the same for
        all pictures.
        """
        done, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise DataError(f"{name}: cannot be encoded")
        if (
            self._bytes and sum(map(len, self._bytes)) + len(encoded) > self.limit * 0.9
        ):  # the rest is labels
            self.flush()
        self._people.append(people | {"picture": np.full(len(people["boxes"]), len(self._bytes))})
        self._bytes.append(encoded.tobytes())
        self._names.append(name)
        self.pictures += 1

    def flush(self) -> None:
        if not self._bytes:
            return
        columns = {
            name: np.concatenate([people[name] for people in self._people])
            for name in self._people[0]
        }
        with replacing(self.folder / f"{self.count:03}.npz") as part, part.open("wb") as file:
            np.savez(
                file,
                bytes=np.frombuffer(b"".join(self._bytes), np.uint8),
                ends=np.cumsum([*map(len, self._bytes)]),
                names=np.array(self._names),
                skeleton=to_text(self.skeleton),
                categories=np.array(self.categories),
                **columns,  # type: ignore[arg-type]
            )
        self.count += 1
        self._clear()


def load(folders: Iterable[Path | str], *, threads: int = 0) -> Pack:
    """All shards of the folders (or single shard files), decoded, in the order of their names.

    Categories are those of all, told by their names; joints those of shards on which some are
    labelled. Raises DataError for a folder without shards, for shards of different sizes or
    skeletons, and for a broken one.
    """
    files: list[Path] = []
    for folder in map(Path, folders):
        found = [folder] if folder.is_file() else sorted(folder.rglob("*.npz"))
        if not found:
            raise DataError(
                f"{folder}: no shards (*.npz) here: make them of labelled pictures with "
                "`everybody pack` (docs/training.md)"
            )
        files += found
    parts: list[dict[str, Any]] = []
    images: list[NDArray[np.uint8]] = []
    categories: tuple[str, ...] = ()
    start = 0
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for file in files:
            part, decoded = _opened(file, pool)
            part.setdefault("kinds", np.zeros(len(part["picture"]), np.int64))
            if images and decoded.shape[1:] != images[0].shape[1:]:
                raise DataError(
                    f"{file}: its pictures are of {decoded.shape[2]}×{decoded.shape[1]}, those of "
                    f"{files[0]} of {images[0].shape[2]}×{images[0].shape[1]}: pack crops or "
                    "whole pictures, all of one --size"
                )
            categories = _together(categories, part, file)
            part["picture"] = part["picture"] + start
            start += len(decoded)
            images.append(decoded)
            parts.append(part)

    skeleton = _of_one_skeleton(parts, files)

    def column(name: str) -> Any:
        return np.concatenate([part[name] for part in parts])

    whole = np.empty((start, *images[0].shape[1:]), np.uint8)
    while images:  # one part after the other, so that no two copies of all are in memory
        last = images.pop()
        start -= len(last)
        whole[start : start + len(last)] = last
    return Pack(
        images=whole,
        names=tuple(column("names").tolist()),
        picture=column("picture"),
        keypoints=column("keypoints"),
        boxes=column("boxes"),
        ignored=column("ignored"),
        skeleton=skeleton,
        kinds=column("kinds"),
        categories=categories or PEOPLE,
        turns=column("turns") if all("turns" in part for part in parts) else None,
        hidden=column("hidden") if all("hidden" in part for part in parts) else None,
        others=column("others") if all("others" in part for part in parts) else None,
    )


def _of_one_skeleton(parts: Sequence[dict[str, Any]], files: Sequence[Path]) -> Skeleton:
    """Whose joints the shards hold. Shards on which no joint is labelled, as of boxes alone and of
    nobody, may say otherwise: from here on, they have the joints of the others. Raises DataError.
    """
    labelled = [number for number, part in enumerate(parts) if part["keypoints"][..., 2].any()]
    first = labelled[0] if labelled else 0
    skeleton = of_text(_said(parts[first], "skeleton")[0], str(files[first]))
    for number, part in enumerate(parts):
        said = _said(part, "skeleton")
        if said == _said(parts[first], "skeleton"):
            continue
        if number in labelled:
            name = of_text(said[0], str(files[number])).name
            raise DataError(
                f"{files[number]}: holds joints of {name}, {files[first]} those of "
                f"{skeleton.name}: pack both with the same --skeleton"
            )
        shape = len(part["picture"]), len(skeleton)
        nothing = {"keypoints": np.zeros((*shape, 3), np.float32)}
        nothing |= {"others": nothing["keypoints"], "hidden": np.full(shape, -1, np.int8)}
        part |= {name: values for name, values in nothing.items() if name in part}
    return skeleton


def _together(known: tuple[str, ...], part: dict[str, Any], file: Path) -> tuple[str, ...]:
    """The known categories and a shard's, whose people then have their places among all. Pictures
    of nobody are of no category. Raises DataError.
    """
    if not len(part["kinds"]):
        return known
    own = _said(part, "categories") or PEOPLE
    if not 0 <= part["kinds"].min() <= part["kinds"].max() < len(own):
        raise DataError(
            f"{file}: somebody is of category {part['kinds'].max()}, but it names {len(own)} "
            "(counted from 0): pack it anew"
        )
    all_ = tuple(dict.fromkeys([*known, *own]))
    part["kinds"] = np.array([all_.index(name) for name in own], np.int64)[part["kinds"]]
    return all_


def _opened(file: Path, pool: ThreadPoolExecutor) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """A shard's columns, and its pictures [N, S, S, 3]. Raises DataError for a broken one."""
    try:
        with np.load(file) as content:
            part = {name: content[name] for name in content.files}
        pieces = np.split(part.pop("bytes"), part.pop("ends")[:-1])
        return part, np.stack(list(pool.map(_decode, pieces)))
    except (OSError, ValueError, KeyError, cv2.error) as error:
        raise DataError(f"{file}: not a shard of packed pictures ({error})") from error


def _said(part: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """A text, or several, of a shard; () where it is of a version that did not say."""
    return tuple(np.atleast_1d(part.get(what, [])).tolist())


def _decode(encoded: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a picture cannot be decoded")
    return image[..., ::-1]  # type: ignore[return-value]
