"""Tidy tables, CSV and Parquet: one row per person and joint, for pandas, R, DuckDB and
spreadsheets.

Columns: source, frame, time, width, height, person (its place in the frame), id, person_score, x0,
y0, x1, y1, joint, x, y, score, and category where species are told apart. A frame without
people has one row in which all from `person` on is empty, so that frames can be counted;
`dropna(subset="person")` leaves the people. Parquet also holds the skeleton, in its metadata under
"skeleton".

Paths are opened here, not by pyarrow, which takes what has a colon in it for an address.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
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
from ..errors import SAY_JOINTS_OF_RESULTS, DataError
from ..messages import Say
from ..people import People
from ..skeletons import BOX, Skeleton, of_joints
from ..typed import decode
from .dialect import Dialect
from .records import Record, Results, as_people, checked, persons, skeleton_of

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
CATEGORY = pa.field("category", pa.string())
_ROWS = 1 << 16  # of a row group, about

Block = NDArray[np.float64]


def write_csv(results: Results, path: Path, say: Say) -> None:
    schema = schema_of(results)
    with (
        replacing(path) as part,
        part.open("wb") as file,
        pyarrow.csv.CSVWriter(file, schema) as table,
    ):
        _write(results, schema, table.write_batch)


def schema_of(results: Results) -> pa.Schema:
    """The columns; with the category where the first people have one."""
    first = next((record.people for record in results if len(record.people)), None)
    named = first is not None and first.categories is not None
    return SCHEMA.append(CATEGORY) if named else SCHEMA


def write_csv_eu(results: Results, path: Path, say: Say) -> None:
    """As spreadsheets of half of Europe have it: semicolons, decimal commas, byte order mark."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file, delimiter=";", lineterminator="\n")
        schema = schema_of(results)
        table.writerow(schema.names)

        def write(batch: pa.RecordBatch) -> None:
            columns = [_with_commas(column) for column in batch.columns]
            table.writerows(zip(*columns, strict=True))

        _write(results, schema, write)


def _with_commas(column: pa.Array) -> list[Any]:
    """The values of a column, numbers with a fraction as text."""
    if not pa.types.is_floating(column.type):
        return column.to_pylist()
    texts = column.cast(pa.string()).to_pylist()
    return [text and text.replace(".", ",") for text in texts]


def write_parquet(results: Results, path: Path, say: Say, *, exact: bool = False) -> None:
    """exact: numbers are not rounded, so that what is read is what was written."""
    schema = schema_of(results).with_metadata({"skeleton": json.dumps(asdict(results.skeleton))})
    with (
        replacing(path) as part,
        part.open("wb") as file,
        pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as table,
    ):
        _write(results, schema, table.write_batch, exact)


def _write(
    results: Results,
    schema: pa.Schema,
    write: Callable[[pa.RecordBatch], None],
    exact: bool = False,
) -> None:
    records, blocks, rows = [], [], 0
    for record in results:
        records.append(record)
        blocks.append(_block(record, results.skeleton, exact))
        rows += len(blocks[-1])
        if rows >= _ROWS:
            write(_batch(records, blocks, results.skeleton, schema, exact))
            records, blocks, rows = [], [], 0
    if records:
        write(_batch(records, blocks, results.skeleton, schema, exact))


def _block(record: Record, skeleton: Skeleton, exact: bool) -> Block:
    """One frame -> its rows [R, 11], without source ... height; NaN where empty, the joint by its
    number.
    """
    people = persons(record, exact=exact)
    joints = max(len(skeleton), 1)  # a person without joints has a row too
    block = np.full((max(len(people) * joints, 1), len(_PERSON) + len(_JOINT)), np.nan)
    if people:
        head = [
            [place, np.nan if p["id"] is None else p["id"], p["score"], *p["box"]]
            for place, p in enumerate(people)
        ]
        block[:, : len(_PERSON)] = np.repeat(np.array(head), joints, axis=0)
        if len(skeleton):
            keypoints = np.concatenate([person["keypoints"] for person in people])
            block[:, len(_PERSON)] = np.tile(np.arange(joints), len(people))
            block[:, len(_PERSON) + 1 :] = keypoints
    return block


def _batch(
    records: list[Record],
    blocks: list[Block],
    skeleton: Skeleton,
    schema: pa.Schema,
    exact: bool,
) -> pa.RecordBatch:
    block = np.concatenate(blocks)
    frame = np.repeat(np.arange(len(records)), [len(rows) for rows in blocks])
    # Tables are UTF-8 throughout, which file names need not be.
    sources = pa.array(
        [record.source.encode(errors="backslashreplace").decode() for record in records]
    )
    columns = {
        "source": sources.take(pa.array(frame)),
        "frame": np.array([record.index for record in records])[frame],
        "time": np.array([r.time if exact else round(r.time, 6) for r in records])[frame],
        "width": np.array([record.width for record in records])[frame],
        "height": np.array([record.height for record in records])[frame],
        **dict(zip([*_PERSON, *_JOINT], block.T, strict=True)),
    }
    places = pa.array(columns["joint"], pa.int32(), from_pandas=True)
    columns["joint"] = pa.array(skeleton.joints, pa.string()).take(places)
    columns["category"] = _categories(records, columns["person"], frame)
    # from_pandas: NaN becomes null.
    arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _categories(
    records: list[Record], person: NDArray[np.float64], frame: NDArray[np.intp]
) -> list[str | None]:
    """The category of each row, by its person and its frame [R]; None where nobody is."""
    named = [record.people.called.tolist() for record in records]
    rows = zip(frame.tolist(), person.tolist(), strict=True)
    return [None if np.isnan(place) else named[at][int(place)] for at, place in rows]


def read_csv(path: Path, skeleton: Skeleton | None, say: Say, fps: float | None = None) -> Results:
    """Any dialect (`dialect.Dialect`). The skeleton is the known one that has the joints' names."""
    dialect = Dialect.of(path)
    # pandas writes whole numbers among which there are gaps with a point.
    types = {field.name: field.type for field in SCHEMA} | {
        "person": pa.float64(),
        "id": pa.float64(),
    }
    with path.open(encoding=dialect.encoding, errors="replace") as file:
        header = [name.strip('"') for name in file.readline().strip().split(dialect.delimiter)]
    convert = pyarrow.csv.ConvertOptions(
        column_types=types | {CATEGORY.name: CATEGORY.type},
        include_columns=_readable(header),
        decimal_point=dialect.decimal,
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True, delimiter=dialect.delimiter)
    read = pyarrow.csv.ReadOptions(encoding=dialect.encoding)

    def batches() -> Iterator[pa.RecordBatch]:
        with (
            path.open("rb") as file,
            pyarrow.csv.open_csv(file, read, parse, convert) as reader,
        ):
            yield from reader

    chosen = _skeleton(path, batches()) if skeleton is None else skeleton
    return Results(chosen, lambda: _records(path, batches(), chosen))


def _readable(header: Sequence[str]) -> list[str]:
    """The columns to read of those in a file."""
    return [*SCHEMA.names, *[CATEGORY.name] * (CATEGORY.name in header)]


def read_parquet(
    path: Path, skeleton: Skeleton | None, say: Say, fps: float | None = None
) -> Results:
    """The skeleton is the one in the metadata, else the known one that has the joints' names."""

    def batches() -> Iterator[pa.RecordBatch]:
        with path.open("rb") as file, pyarrow.parquet.ParquetFile(file) as table:
            yield from table.iter_batches(columns=_readable(table.schema_arrow.names))

    if skeleton is None:
        with _telling(path), path.open("rb") as file, pyarrow.parquet.ParquetFile(file) as table:
            told = (table.schema_arrow.metadata or {}).get(b"skeleton")
        if told:
            said = decode(told, dict[str, Any], f"{path}: its metadata")
            skeleton = skeleton_of(said, path)
        else:
            skeleton = _skeleton(path, batches())
    chosen = skeleton
    return Results(chosen, lambda: _records(path, batches(), chosen))


def _skeleton(path: Path, batches: Iterator[pa.RecordBatch]) -> Skeleton:
    """The skeleton with exactly the joints of the first people (`of_joints`); `BOX` if there are
    none.
    """
    with _telling(path):
        for batch in batches:
            joints = [joint for joint in batch["joint"].unique().to_pylist() if joint]
            if not joints:
                continue
            if skeleton := of_joints(joints):
                return skeleton
            raise DataError(
                f"{path}: its {len(joints)} joints are of no known skeleton: "
                f"{SAY_JOINTS_OF_RESULTS}"
            )
    return BOX


def _records(path: Path, batches: Iterator[pa.RecordBatch], skeleton: Skeleton) -> Iterator[Record]:
    last = ("", -1)
    for source, rows in _frames(path, batches, skeleton):
        record = _record(source, rows, skeleton, path)
        if record.source == last[0] and record.index <= last[1]:
            raise DataError(
                f"{path}: frame {record.index} of '{record.source}' is out of order; sort the rows"
            )
        last = (record.source, record.index)
        yield record


def _frames(
    path: Path, batches: Iterator[pa.RecordBatch], skeleton: Skeleton
) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """The source and the rows, by column, of each frame."""
    place = {joint: k for k, joint in enumerate(skeleton.joints)} | {"": -1, None: -1}
    names = [name for name in SCHEMA.names if name not in ("source", "joint")]
    whole = SCHEMA.append(CATEGORY)
    rest = whole.empty_table()
    with _telling(path):
        for batch in chain(batches, [None]):
            if batch is not None:
                more = pa.Table.from_batches([batch])
                if CATEGORY.name not in more.column_names:
                    more = more.append_column(CATEGORY, pa.nulls(len(more), CATEGORY.type))
                rest = pa.concat_tables([rest, more.cast(whole)])
            if not len(rest):
                continue
            source = np.array(rest["source"].to_pylist(), object)
            columns = {name: rest[name].to_numpy() for name in names}
            columns["category"] = np.array(rest["category"].to_pylist(), object)
            columns["joint"] = np.array([place[joint] for joint in rest["joint"].to_pylist()])
            changes = (source[1:] != source[:-1]) | (columns["frame"][1:] != columns["frame"][:-1])
            edges = [0, *(np.flatnonzero(changes) + 1).tolist()]
            if batch is None:  # otherwise the last frame may go on in the next batch, and waits
                edges.append(len(rest))
            for start, end in pairwise(edges):
                yield source[start], {name: rows[start:end] for name, rows in columns.items()}
            rest = rest.slice(edges[-1])


def _record(
    source: str | None, rows: dict[str, NDArray[Any]], skeleton: Skeleton, path: Path
) -> Record:
    """The rows of one frame, by column -> its record. Raises DataError."""
    numbers = [float(rows[name][0]) for name in ("frame", "time", "width", "height")]
    if source is None or not np.isfinite(numbers).all():
        raise DataError(f"{path}: a row lacks its source, frame, time, width or height")
    index, time, width, height = (
        rows[name][0].item() for name in ("frame", "time", "width", "height")
    )
    where = f"{path}: frame {index} of '{source}'"
    people = People.empty(skeleton)
    if np.isfinite(rows["person"]).all():
        people = _people(rows, skeleton, where)
    return checked(Record(source, int(index), time, int(width), int(height), people), path)


def _people(rows: dict[str, NDArray[Any]], skeleton: Skeleton, where: str) -> People:
    _, first, person = np.unique(rows["person"], return_index=True, return_inverse=True)
    keypoints = np.zeros((len(first), len(skeleton), 3))
    known = rows["joint"] >= 0
    keypoints[person[known], rows["joint"][known]] = np.stack(
        [rows[name][known] for name in ("x", "y", "score")], 1
    )
    boxes = np.stack([rows[name][first] for name in ("x0", "y0", "x1", "y1")], 1)
    ids = rows["id"][first].astype(np.float64)
    return as_people(
        keypoints,
        boxes,
        rows["person_score"][first],
        None if np.isnan(ids).any() else rows["id"][first].astype(np.int64).tolist(),
        skeleton,
        where,
        rows["category"][first].tolist(),
    )


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """What pyarrow says of a broken table becomes a DataError that names it. pyarrow raises OSError
    for data that is broken, too.
    """
    try:
        yield
    except KeyError as error:
        raise DataError(
            f"{path}: the joint {error} is not one of the skeleton: {SAY_JOINTS_OF_RESULTS}"
        ) from error
    except (pa.ArrowException, ValueError, OSError, TypeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: not a table of people ({reason}); expected {', '.join(SCHEMA.names)}"
        ) from error
