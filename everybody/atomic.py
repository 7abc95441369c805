"""Files that are either whole or not there: written under another name beside their place, then
renamed.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .errors import OutputError

_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "change its permissions"),
    errno.ENAMETOOLONG: "choose a shorter name",
}
_NAME = 50  # characters of a name that its temporary one keeps: systems allow 255 bytes


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
        raise OutputError(refusal(path, error)) from error


def refusal(path: Path | str, error: OSError) -> str:
    """What to say of a path that the system will not write to: why, and what to do."""
    advice = [_ADVICE[error.errno]] if error.errno in _ADVICE else []
    do = " or ".join([*advice, "choose another place"])
    return f"{path}: cannot be written ({error.strerror or error}); {do}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name that nobody has, beside `path`, to be written as a file or made as a folder; it
    becomes `path` when the block ends well and vanishes when it does not, so that what was at
    `path` before is lost only to its whole successor.

    A folder's predecessor is removed: the caller makes sure that nothing else lives in it. Raises
    OutputError.
    """
    part = path.with_name(f"{path.name[:_NAME]}.{uuid4().hex[:12]}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if path.is_dir() and part.is_dir():
                _remove(path)
            part.replace(path)
        except BaseException:
            _remove(part)
            raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
