"""Arrays out of a .npz file. numpy takes the sizes in it at their word; here they are compared with
what is there, so that a damaged file costs no memory.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import DataError

LARGEST = 1 << 30  # bytes of one array
# What zipfile and numpy raise for files that are not what they seem.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    OSError,
    EOFError,
    OverflowError,
    NotImplementedError,  # another compression
    RuntimeError,  # encrypted
    SyntaxError,
    TypeError,
    KeyError,
)


def read_npz(path: Path, data: bytes, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """The arrays of these names. Raises DataError where one is missing or the file is broken."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if not set(wanted) <= set(names):
                held = ", ".join(names)[:200] or "nothing"
                expected = " and ".join(f"'{name}'" for name in wanted)
                raise DataError(f"{path}: holds {held}; expected {expected}")
            return {name: _array(archive, name) for name in wanted}
    except _BROKEN as error:
        raise DataError(f"{path}: is a broken .npz ({error}): is the file complete?") from None


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > LARGEST:
        raise ValueError(f"'{name}' has {info.file_size} bytes, more than {LARGEST}")
    file = BytesIO(archive.read(info))
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    left = len(file.getbuffer()) - file.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != left:
        raise ValueError(f"'{name}' has {left} bytes for {shape} items of {dtype}")
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)
