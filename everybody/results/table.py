"""Tidy tables, CSV and Parquet: one row per person and joint, for pandas, R, DuckDB and
spreadsheets.

Columns: source, frame, time, width, height, person (its place in the frame), id, person_score, x0,
y0, x1, y1, joint, x, y, score. A frame without people has one row in which all from `person` on is
empty, so that frames can be counted; `dropna(subset="person")` leaves the people. Parquet also
holds the skeleton, in its metadata under "skeleton".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from ..atomic import replacing
from ..errors import DataError
from ..people import People
from ..skeletons import BOX, SKELETONS, Skeleton
from .records import Record, Results, Say, plain, skeleton_of

_FRAME = {
    "source": pa.string(),
    "frame": pa.int64(),
    "time": pa.float64(),
    "width": pa.int32(),
    "height": pa.int32(),
}
_PERSON = {"person": pa.int32(), "id": pa.int64(), "person_score": pa.float32()}
_PERSON |= dict.fromkeys(("x0", "y0", "x1", "y1"), pa.float32())
_JOINT = {"joint": pa.string(), "x": pa.float32(), "y": pa.float32(), "score": pa.float32()}
SCHEMA = pa.schema({**_FRAME, **_PERSON, **_JOINT})
_ROWS = 1 << 16  # of a row group, about


def write_csv(results: Results, path: Path, say: Say) -> None:
    with replacing(path) as part, pyarrow.csv.CSVWriter(part, SCHEMA) as file:
        _write(results, file)


def write_parquet(results: Results, path: Path, say: Say) -> None:
    schema = SCHEMA.with_metadata({"skeleton": json.dumps(asdict(results.skeleton))})
    with (
        replacing(path) as part,
        pyarrow.parquet.ParquetWriter(part, schema, compression="zstd") as file,
    ):
        _write(results, file)


def _write(results: Results, file: Any) -> None:
    records, blocks, rows = [], [], 0
    for record in results:
        records.append(record)
        blocks.append(_block(record, results.skeleton))
        rows += len(blocks[-1])
        if rows >= _ROWS:
            file.write_batch(_batch(records, blocks, results.skeleton))
            records, blocks, rows = [], [], 0
    if records:
        file.write_batch(_batch(records, blocks, results.skeleton))


def _block(record: Record, skeleton: Skeleton) -> NDArray[np.float64]:
    """One frame -> its rows [R, 11], without source ... height; NaN where empty, the joint by its
    number.
    """
    people, joints = plain(record), max(len(skeleton), 1)  # a person without joints has a row too
    block = np.full((max(len(people) * joints, 1), len(_PERSON) + len(_JOINT)), np.nan)
    if people:
        head = [
            [place, np.nan if p["id"] is None else p["id"], p["score"], *p["box"]]
            for place, p in enumerate(people)
        ]
        block[:, : len(_PERSON)] = np.repeat(np.array(head), joints, axis=0)
        if len(skeleton):
            block[:, len(_PERSON)] = np.tile(np.arange(joints), len(people))
            block[:, len(_PERSON) + 1 :] = np.concatenate(
                [person["keypoints"] for person in people]
            )
    return block


def _batch(
    records: list[Record], blocks: list[NDArray[np.float64]], skeleton: Skeleton
) -> pa.RecordBatch:
    block = np.concatenate(blocks)
    frame = np.repeat(np.arange(len(records)), [len(rows) for rows in blocks])
    # tables are UTF-8 throughout, which file names need not be
    sources = pa.array(
        [record.source.encode(errors="backslashreplace").decode() for record in records]
    )
    columns = {
        "source": sources.take(pa.array(frame)),
        "frame": np.array([record.index for record in records])[frame],
        "time": np.array([round(record.time, 6) for record in records])[frame],
        "width": np.array([record.width for record in records])[frame],
        "height": np.array([record.height for record in records])[frame],
        **dict(zip([*_PERSON, *_JOINT], block.T, strict=True)),
    }
    places = pa.array(columns["joint"], pa.int32(), from_pandas=True)
    columns["joint"] = pa.array(skeleton.joints, pa.string()).take(places)
    arrays = [
        pa.array(columns[field.name], field.type, from_pandas=True) for field in SCHEMA
    ]  # NaN becomes null
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def read_csv(path: Path, skeleton: Skeleton | None, say: Say) -> Results:
    """The skeleton is the known one that has the joints' names."""
    # pandas writes whole numbers among which there are gaps with a point
    types = {field.name: field.type for field in SCHEMA} | {
        "person": pa.float64(),
        "id": pa.float64(),
    }
    convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=SCHEMA.names)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)

    def batches() -> Iterator[pa.RecordBatch]:
        with pyarrow.csv.open_csv(path, convert_options=convert, parse_options=parse) as reader:
            yield from reader

    chosen = _skeleton(path, batches()) if skeleton is None else skeleton
    return Results(chosen, lambda: _records(path, batches(), chosen))


def read_parquet(path: Path, skeleton: Skeleton | None, say: Say) -> Results:
    """The skeleton is the one in the metadata, else the known one that has the joints' names."""

    def batches() -> Iterator[pa.RecordBatch]:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(columns=SCHEMA.names)

    if skeleton is None:
        with _telling(path), pyarrow.parquet.ParquetFile(path) as file:
            told = (file.schema_arrow.metadata or {}).get(b"skeleton")
        skeleton = skeleton_of(json.loads(told), path) if told else _skeleton(path, batches())
    chosen = skeleton
    return Results(chosen, lambda: _records(path, batches(), chosen))


def _skeleton(path: Path, batches: Iterator[pa.RecordBatch]) -> Skeleton:
    """The known skeleton with exactly the joints of the first people; `BOX` where there are none."""
    with _telling(path):
        for batch in batches:
            joints = {joint for joint in batch["joint"].unique().to_pylist() if joint}
            for skeleton in SKELETONS.values():
                if joints == set(skeleton.joints):
                    return skeleton
            if joints:
                raise DataError(
                    f"{path}: its {len(joints)} joints are of no known skeleton; say which with --skeleton"
                )
    return BOX


def _records(path: Path, batches: Iterator[pa.RecordBatch], skeleton: Skeleton) -> Iterator[Record]:
    place = {joint: k for k, joint in enumerate(skeleton.joints)} | {"": -1, None: -1}
    last, rest = ("", -1), SCHEMA.empty_table()
    with _telling(path):
        for batch in chain(batches, [None]):
            if batch is not None:
                rest = pa.concat_tables([rest, pa.Table.from_batches([batch]).cast(SCHEMA)])
            if not len(rest):
                continue
            source = np.array(rest["source"].to_pylist(), object)
            columns = {
                name: rest[name].to_numpy()
                for name in SCHEMA.names
                if name not in ("source", "joint")
            }
            columns["joint"] = np.array([place[joint] for joint in rest["joint"].to_pylist()])
            changes = (source[1:] != source[:-1]) | (columns["frame"][1:] != columns["frame"][:-1])
            edges = [0, *(np.flatnonzero(changes) + 1).tolist()]
            if batch is None:
                edges.append(
                    len(rest)
                )  # otherwise the last frame may go on in the next batch, and waits
            for start, end in pairwise(edges):
                record = _record(
                    source[start],
                    {name: rows[start:end] for name, rows in columns.items()},
                    skeleton,
                )
                if record.source == last[0] and record.index <= last[1]:
                    raise DataError(
                        f"{path}: frame {record.index} of '{record.source}' is out of order; sort the rows"
                    )
                last = (record.source, record.index)
                yield record
            rest = rest.slice(edges[-1])


def _record(source: str, rows: dict[str, NDArray[Any]], skeleton: Skeleton) -> Record:
    """The rows of one frame, by column -> its record."""
    index, time, width, height = (
        rows[name][0].item() for name in ("frame", "time", "width", "height")
    )
    if np.isnan(rows["person"][0]):
        return Record(source, index, time, width, height, People.empty(skeleton))
    _, first, person = np.unique(rows["person"], return_index=True, return_inverse=True)
    keypoints = np.zeros((len(first), len(skeleton), 3), np.float32)
    known = rows["joint"] >= 0
    keypoints[person[known], rows["joint"][known]] = np.stack(
        [rows[name][known] for name in ("x", "y", "score")], 1
    )
    boxes = np.stack([rows[name][first] for name in ("x0", "y0", "x1", "y1")], 1)
    ids = (
        None
        if np.isnan(rows["id"][first].astype(float)).any()
        else rows["id"][first].astype(np.int64)
    )
    people = People(keypoints, boxes, rows["person_score"][first], skeleton, ids)
    return Record(source, index, time, width, height, people)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """What pyarrow says of a broken table becomes a DataError that names it."""
    try:
        yield
    except (pa.ArrowException, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: not a table of people ({reason}); expected {', '.join(SCHEMA.names)}"
        ) from error
