"""Files that are either whole or not there: written under another name beside their place, then
renamed. And the words for what the system refuses.
"""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError

# What to do where the system refuses to write, by the reason that it gives.
ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free space or choose another place"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM), "choose a place where you may write, or change its permissions"
    ),
    errno.EROFS: "this file system can only be read: choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EFBIG: "the file system or a limit (ulimit -f) takes no larger file",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "close files, or raise the limit (ulimit -n)"),
    errno.EIO: "the disk may be failing: choose another place",
}


def refused(path: Path | str, error: Exception) -> OutputError:
    """The error for a path that the system does not let us write: the reason, and what to do.
    Takes what has an `errno` and a `strerror`: OSError, and FFmpeg's errors.
    """
    advice = ADVICE.get(getattr(error, "errno", None) or 0, "choose another place")
    reason = getattr(error, "strerror", None) or error
    return OutputError(f"{path}: cannot be written ({reason}); {advice}")


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """What the system refuses in the block becomes an OutputError that names the path. A broken
    pipe passes: it means that the reader of a stream (`| head`) has had enough, which is no error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` that nobody else uses, to be written as a file or made as a folder. It
    becomes `path` when the block ends well and vanishes when it does not, so that what was there
    before is lost only to its whole successor.

    A folder's predecessor is removed: the caller makes sure that nothing else lives in it. Raises
    OutputError.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = beside(path)
        try:
            yield part
            if path.is_dir() and part.is_dir():
                _remove(path)
            part.replace(path)
        except BaseException:
            _remove(part)
            raise


def beside(path: Path) -> Path:
    """A new hidden name in the same folder: no file of the user or of another run has it."""
    return path.with_name(f".{path.stem[:40]}-{secrets.token_hex(6)}.part")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
