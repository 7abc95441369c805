"""From a model's name to its file on disk: bundled, in a folder of EVERYBODY_WEIGHTS, in the cache,
or nowhere yet.

Nothing is downloaded behind the user's back: `resolve` only looks, `pull` fetches (pooch: checksum,
cache, resume).
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..runtime import sha256
from .manifest import HERE, Row, folders, load

Progress = Callable[[int, int], None]  # bytes done, bytes in all (0 if unknown)


def cache() -> Path:
    """Where pulled models are kept: EVERYBODY_CACHE, or the user's cache folder."""
    import pooch

    return Path(os.environ.get("EVERYBODY_CACHE") or pooch.os_cache("everybody")) / "weights"


def row(name: str) -> Row:
    """The manifest's row of that name. Raises ModelError that lists the known ones."""
    rows, _ = load()
    if name not in rows:
        raise ModelError(
            f"unknown model '{name}': known are {', '.join(sorted(rows))}; or give the path of an ONNX file"
        )
    return rows[name]


def find(model: Row) -> Path | None:
    """Where the model's file is on this machine, or None."""
    places = [*folders(), cache()]
    if model.bundled:
        places.insert(0, HERE)
    return next((place / model.file for place in places if (place / model.file).is_file()), None)


def resolve(model: Row) -> Path:
    """The model's file, its checksum proven. Raises ModelError that says how to get it."""
    path = find(model)
    if path is None:
        if model.url:
            advice = f"run `everybody models pull {model.name}`, or"
        else:  # made from a checkpoint that its publisher offers in another form
            advice = (
                f"no address is known for this file (it comes from {model.origin or 'elsewhere'}):"
            )
        raise ModelError(
            f"model '{model.name}' is not on this machine: {advice} put {model.file} into a folder and set "
            f"EVERYBODY_WEIGHTS to it, or choose another (`everybody models`)"
        )
    if model.sha256 and sha256(path) != model.sha256:
        raise ModelError(
            f"{path}: not the file that the manifest means by '{model.name}' (checksum differs): "
            f"remove it, or name it by its path and give its options"
        )
    return path


def pull(model: Row, progress: Progress | None = None) -> Path:
    """Fetch a model into the cache, going on where an earlier try broke off.

    The file appears under its name only when it is whole and its checksum right. Raises ModelError.
    """
    import pooch
    import requests

    if not model.url:
        raise ModelError(
            f"model '{model.name}' has no address to fetch it from: get it from {model.origin}"
        )
    pooch.get_logger().setLevel("WARNING")
    target = cache() / model.file
    if target.is_file() and (not model.sha256 or sha256(target) == model.sha256):
        return target
    try:
        got = pooch.retrieve(
            model.url,
            known_hash=None if model.member else model.sha256 or None,
            fname=model.name + ".zip" if model.member else model.file,
            path=cache(),
            downloader=partial(_resume, progress=progress),  # type: ignore[arg-type]  # pooch types it as its processor
        )
        if model.member:
            _extract(Path(got), model, target)
    except (OSError, ValueError, zipfile.BadZipFile, requests.RequestException) as error:
        raise ModelError(
            f"model '{model.name}': could not be fetched from {model.url} ({error}); run it again to go on"
        ) from error
    return target


def _resume(url: str, output: Any, _: object, *, progress: Progress | None = None) -> None:
    """A downloader for pooch that keeps what it has in a `.part` beside the cache's files and asks
    for the rest.
    """
    import requests

    part = cache() / (Path(url).name + ".part")
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as response:
        if response.status_code != 416:  # 416: the part is already the whole
            response.raise_for_status()
            done = done if response.status_code == 206 else 0
            total = done + int(response.headers.get("Content-Length", 0))
            with part.open("ab" if done else "wb") as file:
                for chunk in response.iter_content(1 << 18):
                    file.write(chunk)
                    done += len(chunk)
                    if progress:
                        progress(done, total)
    part.replace(output)


def _extract(archive: Path, model: Row, target: Path) -> None:
    """Write the row's member of a zip archive to the target, at once and checked; the archive goes."""
    with zipfile.ZipFile(archive) as file:
        name = next((n for n in file.namelist() if Path(n).name == model.member), None)
        if name is None:
            raise ValueError(f"{archive} holds no {model.member}, but {', '.join(file.namelist())}")
        data = file.read(name)
    if model.sha256 and hashlib.sha256(data).hexdigest() != model.sha256:
        archive.unlink()
        raise ValueError(f"{model.member} has another checksum than the manifest says")
    partial_file = target.with_suffix(".unpacked")
    partial_file.write_bytes(data)
    partial_file.replace(target)
    archive.unlink()
