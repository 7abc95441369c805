"""From what a user calls a model to its file, its session and the row that describes it."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError, OptionError
from ..options import Engine
from ..runtime import TFLITE, Session, sha256
from . import fetch, manifest
from .manifest import Row


def locate(model: str | Path, task: str) -> tuple[Path, Row | None]:
    """A manifest's name or a path -> the file, and the row that describes it.

    A path has a row where its checksum is in the manifest. Raises ModelError for a file that is
    not there, OptionError for a model of another task.
    """
    path = Path(model)
    if path.suffix in (".onnx", TFLITE) or path.is_file():
        if not path.is_file():
            raise ModelError(f"{path}: no such model file")
        checksum = sha256(path)
        rows, _ = manifest.load()
        known = (row for row in rows.values() if row.sha256 == checksum and row.task == task)
        return path, next(known, None)
    row = fetch.row(str(model))
    if row.task != task:
        raise OptionError(
            f"model '{model}' is a {row.task}, not a {task}: `everybody models` lists all"
        )
    return fetch.resolve(row), row


def described(
    model: str | Path | None, task: str, engine: Engine
) -> tuple[Path, Row | None, Session | None]:
    """A model by name or path (None: the manifest's default) -> its file, the row of the manifest
    or of its own metadata (None where nothing describes it), and its session where it had to be
    opened for that.
    """
    path, row = locate(model or manifest.load()[1][task], task)
    if row is not None:
        return path, row, None
    session = engine(path)
    return path, manifest.told(session.about, path), session


def opened(
    model: str | Path | None, task: str, engine: Engine, *, skeleton: str | None = None
) -> tuple[Session, Row | None]:
    """A model by name or path (None: the manifest's default) -> its session, and the row that
    describes it; None where nothing does. skeleton: what it is asked for; the row is of the answer
    from which that follows, where it has one.
    """
    path, row, session = described(model, task, engine)
    if row is not None:
        row = row.asked(skeleton)
    if row is not None and row.output:
        session = engine(path, (row.output,))
    return session or engine(path), row


def fixed_size(session: Session) -> tuple[int, int]:
    """(width, height) that a network of inputs [B, 3, H, W] takes. Raises OptionError if it takes
    any.
    """
    shape = session.input.shape
    if len(shape) != 4 or shape[2] is None or shape[3] is None:
        raise OptionError(
            f"{session.path}: takes {session.input}: give its --input-size (width×height)"
        )
    return shape[3], shape[2]
