"""People in space on disk: `frames3d.jsonl`, a line per frame beside `frames.jsonl`, and tables.

    {"source": "a.mp4", "frame": 12, "time": 0.48, "space": "camera",
     "people": [{"id": 7, "joints": [[x, y, z, score], ...]}]}

Metres to a tenth of a millimetre, joints of H36M17 (or as "skeleton" says). "camera": x right,
y down, z away from the camera; "world": z up, the floor is z = 0. Line n is of the same frame as
line n of `frames.jsonl`, so a run that goes on cuts off what has no frame there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from ..atomic import replacing, writing
from ..errors import DataError, OutputError, unknown
from ..messages import Say, warn
from ..people import Frame, Poses3D
from ..skeletons import H36M17, SKELETONS
from ..typed import convert, without_mark
from .lines import lines
from .motions import ENDINGS, write_people
from .records import FARTHEST, Record

LINES3D = "frames3d.jsonl"
HEAD = 1 << 16  # bytes that tell what a file holds


@dataclass(frozen=True, slots=True, eq=False)
class Record3D:
    """A frame without its picture: its people in space."""

    source: str
    index: int
    time: float  # seconds
    poses: Poses3D

    @classmethod
    def of(cls, frame: Frame | Record, poses: Poses3D) -> Record3D:
        return cls(frame.source, frame.index, frame.time, poses)


class _Person(msgspec.Struct):
    joints: list[tuple[float, float, float, float]]
    id: int | None = None


class _Line(msgspec.Struct):
    source: str
    frame: int
    time: float
    people: list[_Person]
    space: Literal["camera", "world"] = "camera"
    skeleton: str = H36M17.name


def encode(record: Record3D) -> bytes:
    """One line, newline included. Raises DataError where a number is not finite."""
    poses = record.poses
    if not (np.isfinite(poses.joints).all() and np.isfinite(record.time)):
        raise DataError(f"frame {record.index} of '{record.source}': a joint in space is no number")
    joints = (np.rint(poses.joints.astype(np.float64) * 10_000) / 10_000 + 0.0).tolist()
    ids = [None] * len(poses) if poses.ids is None else poses.ids.tolist()
    line = {
        "source": record.source,
        "frame": record.index,
        "time": round(record.time, 6),
        "space": poses.frame,
        **({} if poses.skeleton is H36M17 else {"skeleton": poses.skeleton.name}),
        "people": [{"id": i, "joints": j} for i, j in zip(ids, joints, strict=True)],
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def read(path: Path | str, *, say: Say = warn) -> Iterator[Record3D]:
    """The records of a folder or its frames3d.jsonl, in constant memory. Raises DataError that
    names the line.
    """
    file = spatial_file(path)
    if not file.is_file() or not _spatial(file):
        raise DataError(f"{file}: no people in space there: make them with `everybody lift`")
    for at, line in lines(file, say):
        yield _parsed(line, at)


def spatial_file(path: Path | str) -> Path:
    """A folder of results or its frames3d.jsonl -> the latter."""
    path = Path(path)
    return path / LINES3D if path.is_dir() else path


def _spatial(file: Path) -> bool:
    """Whether a file may hold people in space; else it is one of people in pictures, or no JSON."""
    with file.open("rb") as opened:
        head = without_mark(opened.read(HEAD)).lstrip()
    flat = b'"keypoints"' in head.partition(b"\n")[0]
    return not flat and (file.name == LINES3D or head[:1] in (b"", b"{"))


def _parsed(line: bytes, at: str) -> Record3D:
    try:
        said = convert(json.loads(line), _Line, at)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{at}: not JSON ({error})") from None
    if said.skeleton not in SKELETONS:
        raise DataError(f"{at}: {unknown('skeleton', said.skeleton, SKELETONS)}")
    skeleton = SKELETONS[said.skeleton]
    for person in said.people:
        if len(person.joints) != len(skeleton):
            raise DataError(
                f"{at}: a person of {len(person.joints)} joints, {skeleton.name} has "
                f"{len(skeleton)}: make the file again with `everybody lift` or `triangulate`"
            )
    joints = np.array([person.joints for person in said.people], np.float64)
    if not (np.abs(joints) <= FARTHEST).all():
        raise DataError(f"{at}: a joint is NaN, infinite or beyond {FARTHEST:g} metres")
    ids = [person.id for person in said.people]
    numbers = None if None in ids or not ids else np.array(ids, np.int64)
    joints = joints.reshape(len(ids), len(skeleton), 4).astype(np.float32)
    return Record3D(
        said.source, said.frame, said.time, Poses3D(joints, skeleton, numbers, said.space)
    )


class Journal3D:
    """Writes `frames3d.jsonl`, until it is closed. kept: whole lines of an older file to go on
    behind, 0 for a new one.
    """

    def __init__(self, directory: Path | str, *, kept: int = 0) -> None:
        self.path = Path(directory) / LINES3D
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if kept and self.path.exists():
                _cut(self.path, kept)
            self._file = self.path.open("ab" if kept else "wb", buffering=0)

    def write(self, record: Record3D) -> None:
        line = memoryview(encode(record))
        with writing(self.path):
            while line:
                line = line[self._file.write(line) :]

    def write_frame(self, frame: Frame) -> None:
        """A frame that has been lifted."""
        if frame.poses3d is None:
            raise ValueError(f"frame {frame.index} of '{frame.source}' has not been lifted")
        self.write(Record3D.of(frame, frame.poses3d))

    def close(self) -> None:
        self._file.close()


def _cut(path: Path, kept: int) -> None:
    """Leave the first whole lines of a file."""
    with path.open("r+b") as file:
        for _ in range(kept):
            if not file.readline().endswith(b"\n"):
                raise OutputError(
                    f"{path}: holds fewer frames than frames.jsonl beside it: say --overwrite, or "
                    "lift the whole of it with `everybody lift`"
                )
        file.truncate()


Records3D = Callable[[], Iterable[Record3D]]


def write_npz(records: Records3D, path: Path) -> None:
    """Arrays, one pose a row: positions_3d [N, K, 3] in metres, scores [N, K], joints [K], source,
    frame, time, id [N] (-1: not tracked), space [N]. `everybody eval` reads it.
    """
    rows = [(record, n) for record in records() for n in range(len(record.poses))]
    skeleton = rows[0][0].poses.skeleton if rows else H36M17
    joints = np.array([record.poses.joints[n] for record, n in rows], np.float32)
    joints = joints.reshape(len(rows), len(skeleton), 4)
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            positions_3d=joints[..., :3],
            scores=joints[..., 3],
            joints=np.array(skeleton.joints),
            source=np.array([record.source for record, _ in rows], str),
            frame=np.array([record.index for record, _ in rows], np.int64),
            time=np.array([record.time for record, _ in rows], np.float64),
            id=np.array([_id(record.poses, n) for record, n in rows], np.int64),
            space=np.array([record.poses.frame for record, _ in rows], str),
        )


def _id(poses: Poses3D, person: int) -> int:
    return -1 if poses.ids is None else int(poses.ids[person])


def _batches(records: Records3D) -> Iterator[Any]:
    """Tidy rows, one per person and joint, as tables of pyarrow."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for record in records():
        rows += _rows(record)
        if len(rows) >= 1 << 16:
            yield pa.Table.from_pylist(rows, schema=_schema())
            rows = []
    yield pa.Table.from_pylist(rows, schema=_schema())


def _rows(record: Record3D) -> Iterator[dict[str, Any]]:
    poses = record.poses
    for n, person in enumerate(poses.joints.astype(np.float64).round(4).tolist()):
        number = None if poses.ids is None else int(poses.ids[n])
        frame = {"source": record.source, "frame": record.index, "time": round(record.time, 6)}
        frame |= {"space": poses.frame, "person": n, "id": number}
        for joint, (x, y, z, score) in zip(poses.skeleton.joints, person, strict=True):
            yield frame | {"joint": joint, "x": x, "y": y, "z": z, "score": score}


def _schema() -> Any:
    import pyarrow as pa

    number, text = pa.float32(), pa.string()
    columns = {"source": text, "frame": pa.int64(), "time": pa.float64(), "space": text}
    columns |= {"person": pa.int32(), "id": pa.int64(), "joint": text}
    return pa.schema(columns | dict.fromkeys(("x", "y", "z", "score"), number))


def write_csv(records: Records3D, path: Path) -> None:
    """A row per person and joint; metres."""
    import pyarrow.csv

    with (
        replacing(path) as part,
        part.open("wb") as file,
        pyarrow.csv.CSVWriter(file, _schema()) as table,
    ):
        for batch in _batches(records):
            table.write_table(batch)


def write_parquet(records: Records3D, path: Path) -> None:
    """As `write_csv`."""
    import pyarrow.parquet

    with (
        replacing(path) as part,
        part.open("wb") as file,
        pyarrow.parquet.ParquetWriter(file, _schema(), compression="zstd") as table,
    ):
        for batch in _batches(records):
            table.write_table(batch)


FORMATS3D: dict[str, Callable[[Records3D, Path], None]] = {
    "npz": write_npz,
    "csv": write_csv,
    "parquet": write_parquet,
    **{ending.removeprefix("."): write_people for ending in ENDINGS},
}
