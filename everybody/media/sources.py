"""What a source names: one argument of any kind -> `Item`s, in natural order, nothing decoded."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
from PIL import Image as Pillow

from ..errors import EverybodyError, InputError
from ..messages import Say, warn
from ..people import Frame
from . import folders
from .content import UTF16, head, sniff

LIST_BYTES = 64 * 2**20  # of a text file that lists paths
LIST_LINES = 1_000_000
LIST_PROBLEMS = 100  # lines that are told one by one; the others are counted
_LIVE = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp"}
_CAMERAS = 100  # OpenCV takes higher numbers for names of drivers

Report = Callable[[EverybodyError], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One input: `name` becomes Frame.source, `kind` says what `data` is and how it is read."""

    name: str
    kind: Literal["file", "stream", "bytes", "url", "live", "camera", "array", "frame", "iterable"]
    data: Any


@dataclass(frozen=True, slots=True)
class Asking:
    """Who is told what: problems go to `report`, what is left out to `say`. trusted: see
    `Selection`.
    """

    report: Report
    say: Say = warn
    trusted: bool | None = None


def items(source: Any, ask: Asking, *, flat: bool = False) -> Iterator[Item]:
    """What `source` names; what is missing is reported and left out. `flat` draws from iterables,
    lazily.
    """
    if isinstance(source, Item):
        if flat and source.kind == "iterable":
            for element in source.data:
                yield from items(element, ask, flat=True)
        else:
            yield source
    elif isinstance(source, (str, Path)):
        yield from _named(os.fspath(source), ask)
    elif isinstance(source, (list, tuple)):
        if not source:
            ask.report(
                InputError(
                    "the list of sources is empty: expected at least one picture, video or array"
                )
            )
        for element in source:
            yield from items(element, ask, flat=flat)
    else:
        yield from _object(source, ask, flat=flat)


def flows(source: Any) -> bool:
    """Whether a source does not wait until it is read, by its name: cameras, rtsp:// and its kind.
    (What http:// gives is known when it is opened.)
    """
    if isinstance(source, Item):
        return source.kind in ("camera", "live")
    if isinstance(source, (list, tuple)):
        return any(map(flows, source))
    if isinstance(source, (str, Path)):
        name = os.fspath(source)
        camera = name.isascii() and name.isdecimal() and not os.path.exists(name)
        return camera or ("://" in name and name.partition("://")[0].lower() in _LIVE)
    return isinstance(source, (int, np.integer)) and not isinstance(source, bool)


def _object(source: Any, ask: Asking, *, flat: bool) -> Iterator[Item]:
    """Sources that are neither names nor lists."""
    if isinstance(source, Frame):
        yield Item(source.source, "frame", source)
    elif isinstance(source, (int, np.integer)) and not isinstance(source, bool):
        yield from _camera(int(source), ask)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield Item("bytes", "bytes", bytes(source))
    elif isinstance(source, Pillow.Image):
        yield Item("array", "array", source)
    elif hasattr(source, "__array__"):
        yield from _array(source, ask)
    elif hasattr(source, "read"):
        yield Item(str(getattr(source, "name", "stream")), "stream", source)
    elif isinstance(source, Iterable):
        yield from items(Item("array", "iterable", source), ask, flat=flat)
    else:
        ask.report(
            InputError(
                f"a {type(source).__name__} is not a source: "
                "expected a path, URL, camera number or array"
            )
        )


def _array(source: Any, ask: Asking) -> Iterator[Item]:
    try:
        array = np.asarray(source)
    except Exception as error:  # whoever offers an array may fail in any way
        ask.report(InputError(f"array: a {type(source).__name__} gives no array ({error})"))
        return
    pictures = array.ndim == 2 or (array.ndim in (3, 4) and array.shape[-1] == 3)
    if not pictures or array.dtype != np.uint8 or array.size == 0:
        ask.report(
            InputError(
                "array: expected uint8 RGB [H, W, 3], grey [H, W] or a stack [N, H, W, 3], "
                f"got {array.dtype} {list(array.shape)}"
            )
        )
        return
    yield from (
        Item("array", "array", picture) for picture in (array if array.ndim == 4 else [array])
    )


def _camera(number: int, ask: Asking) -> Iterator[Item]:
    if 0 <= number < _CAMERAS:
        yield Item(f"camera:{number}", "camera", number)
    else:
        ask.report(InputError(f"camera:{number}: there is no such camera; the first one is 0"))


def _named(name: str, ask: Asking, *, listed: bool = False) -> Iterator[Item]:
    if name == "-":
        if sys.stdin is None:
            ask.report(InputError("stdin: is closed; expected a picture or a video"))
        else:
            yield Item("stdin", "stream", sys.stdin.buffer)
        return
    if "://" in name:
        yield from _address(name, ask, listed=listed)
        return
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            yield from _files(*folders.folder(name, ask.say), ask)
        elif not stat.S_ISREG(mode):  # a pipe: what is read to tell its kind cannot be read again
            yield Item(name, "stream", name)
        elif not listed and _is_list(name, ask):
            yield from lists(name, ask)
        else:
            yield Item(name, "file", name)
    except (FileNotFoundError, NotADirectoryError):
        if name.startswith("@") and not listed and ask.trusted is not False:
            yield from lists(name[1:], ask)
        elif name.isascii() and name.isdecimal():
            yield from _camera(int(name) if len(name) < 20 else 10**20, ask)
        elif glob.has_magic(name):
            yield from _files(*folders.matching(name, ask.say), ask)
        else:
            ask.report(InputError(f"{name}: no such file or folder (looked from {os.getcwd()})"))
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        ask.report(unreadable(name, error))


def _address(name: str, ask: Asking, *, listed: bool) -> Iterator[Item]:
    scheme = name.partition("://")[0].lower()
    if scheme == "file":
        yield from _named(url2pathname(urlsplit(name).path), ask, listed=listed)
    elif scheme in ("http", "https"):
        yield Item(name, "url", name)
    elif scheme in _LIVE:
        yield Item(name, "live", name)
    else:
        ask.report(
            InputError(
                f"{name}: cannot read {scheme}:// addresses; "
                "expected http(s)://, rtsp:// or a local path"
            )
        )


def _files(paths: list[str], wrong: list[InputError], ask: Asking) -> Iterator[Item]:
    for error in wrong:
        ask.report(error)
    yield from (Item(path, "file", path) for path in paths)


def _is_list(name: str, ask: Asking) -> bool:
    """A text is a list by its name: a stranger's picture.jpg that is text names no files to us."""
    text = name.lower().endswith(".txt") and sniff(head(name), name) == "text"
    return text and ask.trusted is not False


def lists(name: str, ask: Asking) -> Iterator[Item]:
    """What the lines of a text file name, seen from where it lies."""
    try:
        lines = _lines(name)
    except InputError as error:
        ask.report(error)
        return
    except (OSError, ValueError) as error:
        ask.report(unreadable(name, error))
        return
    found: list[Item] = []
    lost: list[EverybodyError] = []
    count = 0
    for number, line in lines:
        path = line if "://" in line or line == "-" else os.path.join(os.path.dirname(name), line)
        troubles: list[EverybodyError] = []
        found += _named(path, replace(ask, report=troubles.append), listed=True)
        count += len(troubles)
        if count <= LIST_PROBLEMS:
            lost += [InputError(f"{name}, line {number}: {trouble}") for trouble in troubles]
    if count > len(lost):
        lost.append(InputError(f"{name}: {count - len(lost)} more of its lines cannot be read"))
    if not found:  # more likely a text by mistake than a list of which each line is wrong
        first = lines[0][1] if len(lines[0][1]) <= 40 else lines[0][1][:39] + "…"
        lost = [
            InputError(
                f"{name}: is text, neither picture nor video, and none of its lines names a file "
                f"(first: '{first}')"
            )
        ]
    for error in lost:
        ask.report(error)
    yield from found


def _lines(name: str) -> list[tuple[int, str]]:
    """The numbers and words of a list's lines without blank ones and comments."""
    if os.stat(name).st_size > LIST_BYTES:
        raise InputError(f"{name}: is a list of more than {LIST_BYTES // 2**20} MB; split it")
    data = Path(name).read_bytes()
    encoding = "utf-16" if data.startswith(UTF16) else "utf-8-sig"
    text = data.decode(encoding, errors="replace" if encoding == "utf-16" else "surrogateescape")
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if not lines:
        raise InputError(
            f"{name}: is a text file that lists no paths; expected one picture or video per line"
        )
    if len(lines) > LIST_LINES:
        raise InputError(f"{name}: lists {len(lines)} sources, {LIST_LINES} at most; split it")
    return lines


def unreadable(name: str, error: Exception) -> InputError:
    """Why the system will not give a file or stream away, in a line."""
    if isinstance(error, PermissionError):
        return InputError(
            f"{name}: no permission to read it; change its permissions or run as its owner"
        )
    return InputError(f"{name}: cannot be opened ({getattr(error, 'strerror', None) or error})")
