"""From a model's name to its file on disk: bundled, in a folder of EVERYBODY_WEIGHTS, in the cache,
or nowhere yet.

Nothing is downloaded behind the user's back: `resolve` only looks, `pull` fetches (pooch: checksum,
cache; resumed here). A file that is fetched proves by its checksum that it is the manifest's, and
is at most as large as the manifest says, or `LARGEST`.
"""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..atomic import beside, writing
from ..errors import ModelError, OutputError
from ..runtime import sha256
from .manifest import HERE, Row, folders, load

Progress = Callable[[int, int], None]  # bytes done, bytes in all (0 if unknown)

LARGEST = 2 << 30  # bytes of a file whose size the manifest does not know
PIECE = 1 << 18  # bytes
HINT = " (temporary, as the user's cache cannot be written: set EVERYBODY_CACHE to keep models)"
BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)  # what zipfile raises


def row(name: str) -> Row:
    """The manifest's row of that name. Raises ModelError that lists the known ones."""
    rows, _ = load()
    if name not in rows:
        raise ModelError(
            f"unknown model '{name}': known are {', '.join(sorted(rows))}; "
            f"or give the path of an ONNX file"
        )
    return rows[name]


# --- where models are


def cache() -> Path:
    """Where pulled models are kept: EVERYBODY_CACHE; else the user's cache folder; else, where that
    cannot be written, a folder of this user's in the temporary one (see `lasting`). Raises
    OutputError if there is none.
    """
    for place in _caches():
        if os.environ.get("EVERYBODY_CACHE") or _writable(place):
            return place
    raise OutputError(
        "no folder for models can be written: set EVERYBODY_CACHE to one that can, or bring models "
        "in a folder that EVERYBODY_WEIGHTS names"
    )


def lasting(place: Path) -> bool:
    """False for a cache in the system's temporary folder, which is emptied now and then."""
    return bool(os.environ.get("EVERYBODY_CACHE")) or place == _of_home()


def find(model: Row) -> Path | None:
    """Where the model's file is on this machine, or None."""
    return next((p / model.file for p in _places(model) if (p / model.file).is_file()), None)


def _places(model: Row) -> Iterator[Path]:
    """Folders that may hold the model's file; later ones are only asked for when needed."""
    if model.bundled:
        yield HERE
    yield from folders()
    yield from _caches()


def _caches() -> Iterator[Path]:
    """Folders that may hold pulled models, the preferred one first."""
    if chosen := os.environ.get("EVERYBODY_CACHE"):
        yield Path(chosen).absolute() / "weights"
        return

    own = _of_home()
    if own is not None:
        yield own
    if own is None or not _writable(own):
        other = _temporary()
        if other is not None:
            yield other


def _of_home() -> Path | None:
    """The cache in the user's home, or None for a user without one (as in containers)."""
    import pooch

    try:
        return Path(pooch.os_cache("everybody")).absolute() / "weights"
    except (RuntimeError, OSError, KeyError):  # the user id has no entry, HOME is not set
        return None


def _temporary() -> Path | None:
    """This user's folder in the temporary one; None if there is none, or somebody else could change
    what is in it.
    """
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:  # no temporary folder can be written
        return None

    user = os.getuid() if hasattr(os, "getuid") else None
    folder = folder / f"everybody-{user}"
    try:
        about = folder.lstat()
    except FileNotFoundError:
        return folder / "weights"
    mine = user is None or (about.st_uid == user and not about.st_mode & 0o022)
    return folder / "weights" if stat.S_ISDIR(about.st_mode) and mine else None


def _writable(folder: Path) -> bool:
    """Whether files can be made in the folder, or the folder itself."""
    there = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def resolve(model: Row) -> Path:
    """The model's file, its checksum proven. Raises ModelError that says how to get it."""
    path = find(model)
    if path is None:
        if model.url:
            advice = f"run `everybody models pull {model.name}`, or"
        else:  # made from a checkpoint that its publisher offers in another form
            source = model.origin or "elsewhere"
            advice = f"no address is known for this file (it comes from {source}):"
        raise ModelError(
            f"model '{model.name}' is not on this machine: {advice} put {model.file} into a folder "
            f"and set EVERYBODY_WEIGHTS to it, or choose another (`everybody models`)"
        )
    if model.sha256 and sha256(path) != model.sha256:
        raise ModelError(
            f"{path}: not the file that the manifest means by '{model.name}' (checksum differs): "
            f"remove it, or name it by its path and give its options"
        )
    return path


# --- fetching


def pull(model: Row, progress: Progress | None = None, *, unverified: bool = False) -> Path:
    """Fetch a model into the cache, going on where an earlier try broke off.

    The file appears under its name only when it is whole and its checksum right. unverified: also
    fetch a model whose checksum the manifest does not know, so that nothing proves what it is.
    Raises ModelError, OutputError.
    """
    import pooch
    import requests

    if not model.url:
        raise ModelError(
            f"model '{model.name}' has no address to fetch it from: get it from {model.origin}"
        )
    if not (model.sha256 or unverified):
        raise ModelError(
            f"model '{model.name}': the manifest knows no checksum of it, so nothing proves that "
            f"what comes is what its publisher made: --unverified takes it as it comes"
        )

    place = cache()
    target = place / model.file
    if target.is_file() and (not model.sha256 or sha256(target) == model.sha256):
        return target

    pooch.get_logger().setLevel("WARNING")
    with writing(place):
        _make(place)
    try:
        got = pooch.retrieve(
            model.url,
            known_hash=None if model.member else model.sha256 or None,
            fname=model.file + ".zip" if model.member else model.file,
            path=place,
            downloader=partial(  # type: ignore[arg-type]  # pooch types it as its processor
                _resume, part=place / f"{model.file}.part", model=model, progress=progress
            ),
        )
        if model.member:
            _extract(Path(got), model, target)
    except (OSError, ValueError, *BROKEN_ARCHIVE, requests.RequestException) as error:
        raise ModelError(
            f"model '{model.name}': could not be fetched from {model.url} ({error}); "
            f"run it again to go on"
        ) from error
    return target


def _make(place: Path) -> None:
    """The cache's folder; one that is new in the temporary folder belongs to this user alone."""
    if not lasting(place):
        place.parent.mkdir(mode=0o700, exist_ok=True)
    place.mkdir(parents=True, exist_ok=True)


def _resume(
    url: str, output: Any, _: object, *, part: Path, model: Row, progress: Progress | None
) -> None:
    """A downloader for pooch that keeps what has come in `part` and asks for the rest. Raises
    ValueError for an answer that is larger than it may be, or that is cut off.
    """
    import requests

    known = 0 if model.member else model.bytes
    most = known or LARGEST
    with _opened(part) as file:
        done = file.seek(0, os.SEEK_END)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as response:
            if response.status_code != 416:  # 416: the part is already the whole
                response.raise_for_status()
                done = done if response.status_code == 206 else 0
                file.truncate(file.seek(done))
                total = done + int(response.headers.get("Content-Length", 0))
                _check_size(total, most, part)
                for piece in response.iter_content(PIECE):
                    done += len(piece)
                    _check_size(done, most, part)
                    file.write(piece)
                    if progress:
                        progress(done, total)
                if done < max(total, known):
                    raise ValueError(f"cut off after {done} of {max(total, known)} bytes")
    part.replace(output)


def _check_size(count: int, most: int, part: Path) -> None:
    if count > most:
        part.unlink()  # going on would not help
        raise ValueError(f"{count} bytes or more come, {most} at most were expected")


def _opened(part: Path) -> IO[bytes]:
    """The part, to be read and written; a link or anything else in its place is removed first, so
    that no other file is written through it.
    """
    try:
        about = part.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
            part.unlink()
    except FileNotFoundError:
        pass
    only = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | only, 0o600), "r+b")


def _extract(archive: Path, model: Row, target: Path) -> None:
    """Write the row's member of a zip archive to the target, checked; the archive goes. Raises
    ValueError for a member that is not there, larger than it may be, or another file.
    """
    part = beside(target)
    try:
        with zipfile.ZipFile(archive) as file:
            known = {Path(name).name: name for name in reversed(file.namelist())}
            if model.member not in known:
                raise ValueError(f"{archive} holds no {model.member}, but {', '.join(known)}")
            with file.open(known[model.member]) as member, part.open("xb") as copy:
                _copy(member, copy, model.bytes or LARGEST)
        if model.sha256 and sha256(part) != model.sha256:
            raise ValueError(f"{model.member} has another checksum than the manifest says")
        part.replace(target)
    except (ValueError, *BROKEN_ARCHIVE):
        archive.unlink()
        raise
    finally:
        part.unlink(missing_ok=True)
    archive.unlink()


def _copy(member: IO[bytes], copy: IO[bytes], most: int) -> None:
    """Piece by piece, so that an archive that unpacks to more than it may be ends early."""
    done = 0
    while piece := member.read(PIECE):
        done += len(piece)
        if done > most:
            raise ValueError(f"unpacks to more than the {most} bytes that were expected")
        copy.write(piece)
