"""Files wherever they are: a local path, or any address that fsspec knows (s3, gs, az, http, ...).

Credentials and endpoints are the file system's own business: the environment and configuration
files of its package. What a store refuses becomes one line that names the address.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec import AbstractFileSystem

from ..atomic import refused, replacing, writing
from ..errors import EverybodyError, InputError
from ..media.network import shown

T = TypeVar("T")

# Stores in which an object that is put appears whole or not at all.
_WHOLE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory"}
_PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "http": "aiohttp"}
_TRIES, _WAIT = 4, 0.25  # seconds before the second try; each further one waits twice as long
# What stores call a tag of an object's content or, failing that, when it was written.
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "Digest")
_TAGS += ("mtime", "LastModified", "last_modified", "Last-Modified")
_FINAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


def located(name: str) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, and what it calls the path. Raises InputError."""
    with telling(name):
        return fsspec.core.url_to_fs(name)


def is_local(fs: AbstractFileSystem) -> bool:
    return "file" in _protocols(fs)


def address(fs: AbstractFileSystem, path: str) -> str:
    """The inverse of `located`; local paths stay paths."""
    return path if is_local(fs) else fs.unstrip_protocol(path)


@contextmanager
def telling(name: str, kind: type[EverybodyError] = InputError) -> Iterator[None]:
    """What a store refuses becomes an error that names the address and says what to do."""
    try:
        yield
    except EverybodyError:
        raise
    except ImportError as error:
        scheme = name.partition("://")[0]
        package = _PACKAGES.get(scheme, f"the fsspec package of {scheme}://")
        raise kind(f"{shown(name)}: needs {package} ({error}); pip install it") from error
    except Exception as error:  # stores raise classes of their own, which have no common base
        raise kind(f"{shown(name)}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "is not there (no such file, folder or bucket); check the address"
    if "Credential" in kind or "Profile" in kind or "Token" in kind:
        return f"no credentials ({error}); log in, or set the variables of the store's own tools"
    if isinstance(error, PermissionError):
        return "access is refused; check the credentials and what they may do"
    if isinstance(error, ValueError) and "Protocol" in str(error):
        return f"no file system of that name ({error})"
    return f"cannot be reached ({kind}: {error})"


def patiently(action: Callable[[], T]) -> T:
    """The action's value; what may pass (500s, time-outs, lost connections) is tried again."""
    for left in reversed(range(_TRIES)):
        try:
            return action()
        except (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError):
            raise
        except OSError as error:  # time-outs and lost connections are OSErrors, too
            if not left or error.errno in _FINAL:
                raise
            time.sleep(_WAIT * 2 ** (_TRIES - 1 - left))
    raise AssertionError("the last try returns or raises")


def put(fs: AbstractFileSystem, path: str, data: bytes) -> None:
    """An object that is whole or not there, also after a crash. Raises OutputError."""
    if is_local(fs):
        with replacing(Path(path)) as part, part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return

    def send() -> None:
        if _protocols(fs) & _WHOLE:
            fs.pipe_file(path, data)
            return
        fs.pipe_file(f"{path}.part", data)
        fs.mv(f"{path}.part", path)

    try:
        with writing(address(fs, path)):
            patiently(send)
    except EverybodyError:
        raise
    except Exception as error:  # as in `telling`
        raise refused(address(fs, path), OSError(_reason(error))) from error


def get(fs: AbstractFileSystem, path: str) -> bytes | None:
    """The object's bytes; None where there is none."""
    try:
        return bytes_of(fs, path)
    except FileNotFoundError:
        return None


def bytes_of(fs: AbstractFileSystem, path: str) -> bytes:
    """The object's bytes. Raises FileNotFoundError, and what the store raises."""
    data = patiently(lambda: fs.cat_file(path))
    assert isinstance(data, bytes)
    return data


def told(fs: AbstractFileSystem, path: str) -> dict[str, Any]:
    """What a JSON file says; empty where there is none, or it is broken, as after a power cut."""
    try:
        said = json.loads(get(fs, path) or b"")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def exists(fs: AbstractFileSystem, path: str) -> bool:
    fs.invalidate_cache()
    return patiently(lambda: fs.exists(path))


def fingerprint(fs: AbstractFileSystem, path: str) -> str:
    """What tells one content of a file from another without reading it: its size, and the store's
    tag of it or when it was written. Never compared with a clock.
    """
    fs.invalidate_cache()
    info = patiently(lambda: fs.info(path))
    tag = next((info[tag] for tag in _TAGS if info.get(tag)), "")
    return f"{info.get('size')}:{tag}"


def opened(fs: AbstractFileSystem, path: str) -> Any:
    """What FFmpeg reads from: a local path, or a binary file that seeks."""
    return f"file:{path}" if is_local(fs) else fs.open(path, "rb")


def _protocols(fs: AbstractFileSystem) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
