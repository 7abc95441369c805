"""Files that are either whole or not there: written under another name beside their place, then
renamed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


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
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another place"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """`path.part`, to be written as a file or made as a folder; it becomes `path` when the block
    ends well and vanishes when it does not, so that what was at `path` before is lost only to its
    whole successor.

    A folder's predecessor is removed: the caller makes sure that nothing else lives in it. Raises
    OutputError.
    """
    part = path.with_name(path.name + ".part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
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
