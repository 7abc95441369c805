"""What a source names: one argument of any kind -> `Item`s, in natural order, nothing decoded."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
from PIL import Image as Pillow

from ..errors import EverybodyError, InputError
from ..people import Frame
from . import images

HEAD = 4096  # bytes that tell what a file is
_SUFFIXES = {
    *images.SUFFIXES,
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".m2v",
    ".ts",
    ".mts",
    ".m2ts",
    ".wmv",
    ".asf",
    ".flv",
    ".3gp",
    ".3g2",
    ".ogv",
    ".mxf",
    ".vob",
    ".mjpeg",
    ".mjpg",
    ".y4m",
    ".h264",
    ".264",
    ".h265",
    ".265",
    ".hevc",
    ".av1",
    ".ivf",
}
_LIVE = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp"}
_TEXT_VIDEOS = (b"#EXTM3U", b"ffconcat version", b"v=0\r", b"v=0\n", b"YUV4MPEG2 ")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f")) + b"\x7f"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

Report = Callable[[EverybodyError], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One input: `name` becomes Frame.source, `kind` says what `data` is and how it is read."""

    name: str
    kind: Literal["file", "stream", "bytes", "url", "live", "camera", "array", "frame", "iterable"]
    data: Any


def sniff(head: bytes, name: str) -> Literal["empty", "picture", "text", "video"]:
    """What a file is, from its first bytes. What is neither picture nor text may be a video: FFmpeg
    will tell.
    """
    if not head:
        return "empty"
    if images.picture_format(
        head
    ):  # Motion JPEG is pictures end to end: there, only the name tells
        return "video" if name.lower().endswith((".mjpeg", ".mjpg")) else "picture"
    if head.startswith(_TEXT_VIDEOS):
        return "video"
    if head.startswith(_UTF16):
        return "text"
    if head.translate(None, _CONTROL) != head:
        return "video"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return (
            "text" if error.start > len(head) - 4 and len(head) >= HEAD else "video"
        )  # a letter cut in two is no fault
    return "text"


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts img2 before img10."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), part) if i % 2 else (0, 0, part) for i, part in enumerate(parts)]


def items(source: Any, report: Report, *, flat: bool = False) -> Iterator[Item]:
    """What `source` names; what is missing goes to `report` and is left out. `flat` draws from
    iterables, lazily.
    """
    if isinstance(source, Item) and not (flat and source.kind == "iterable"):
        yield source
    elif isinstance(source, Item):
        for element in source.data:
            yield from items(element, report, flat=True)
    elif isinstance(source, (str, Path)):
        yield from _named(os.fspath(source), report)
    elif isinstance(source, (list, tuple)):
        if not source:
            report(
                InputError(
                    "the list of sources is empty: expected at least one picture, video or array"
                )
            )
        for element in source:
            yield from items(element, report, flat=flat)
    elif isinstance(source, Frame):
        yield Item(source.source, "frame", source)
    elif isinstance(source, (int, np.integer)) and not isinstance(source, bool):
        yield Item(f"camera:{source}", "camera", int(source))
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield Item("bytes", "bytes", bytes(source))
    elif isinstance(source, Pillow.Image):
        yield Item("array", "array", source)
    elif hasattr(source, "__array__"):
        yield from _array(np.asarray(source), report)
    elif hasattr(source, "read"):
        yield Item(str(getattr(source, "name", "stream")), "stream", source)
    elif isinstance(source, Iterable):
        yield from items(Item("array", "iterable", source), report, flat=flat)
    else:
        report(
            InputError(
                f"a {type(source).__name__} is not a source: expected a path, URL, camera number or array"
            )
        )


def _array(array: np.ndarray, report: Report) -> Iterator[Item]:
    shape = list(array.shape)
    pictures = array.ndim == 2 or (array.ndim in (3, 4) and array.shape[-1] == 3)
    if not pictures or array.dtype != np.uint8 or array.size == 0:
        report(
            InputError(
                f"array: expected uint8 RGB [H, W, 3], grey [H, W] or a stack [N, H, W, 3], got {array.dtype} {shape}"
            )
        )
        return
    yield from (
        Item("array", "array", picture) for picture in (array if array.ndim == 4 else [array])
    )


def _named(name: str, report: Report, *, listed: bool = False) -> Iterator[Item]:
    if name == "-":
        yield Item("stdin", "stream", sys.stdin.buffer)
        return
    if "://" in name:
        scheme = name.partition("://")[0].lower()
        if scheme == "file":
            yield from _named(url2pathname(urlsplit(name).path), report, listed=listed)
        elif scheme in ("http", "https"):
            yield Item(name, "url", name)
        elif scheme in _LIVE:
            yield Item(name, "live", name)
        else:
            report(
                InputError(
                    f"{name}: cannot read {scheme}:// addresses; expected http(s)://, rtsp:// or a local path"
                )
            )
        return
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            yield from _folder(name, report)
        elif not stat.S_ISREG(mode):  # a pipe: what is read to tell its kind cannot be read again
            yield Item(name, "stream", name)
        elif not listed and sniff(head(name), name) == "text":
            yield from _list(name, report)
        else:
            yield Item(name, "file", name)
    except (FileNotFoundError, NotADirectoryError):
        if name.isascii() and name.isdecimal():
            yield Item(f"camera:{int(name)}", "camera", int(name))
        elif glob.has_magic(name):
            yield from _glob(name, report)
        else:
            report(InputError(f"{name}: no such file or folder (looked from {os.getcwd()})"))
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        report(unreadable(name, error))


def head(path: str) -> bytes:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(HEAD)


def unreadable(name: str, error: Exception) -> InputError:
    """Why the system will not give a file or stream away, in a line."""
    if isinstance(error, PermissionError):
        return InputError(
            f"{name}: no permission to read it; change its permissions or run as its owner"
        )
    return InputError(f"{name}: cannot be opened ({getattr(error, 'strerror', None) or error})")


def _known(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if Path(path).suffix.lower() in _SUFFIXES]


def _folder(folder: str, report: Report) -> Iterator[Item]:
    # Names with a leading dot are hidden; macOS leaves a "._photo.jpg" that is no photo next to
    # each one.
    files = [
        entry.path
        for entry in os.scandir(folder)
        if entry.is_file() and not entry.name.startswith(".")
    ]
    found = sorted(_known(files), key=natural)
    if not found:
        report(
            InputError(
                f"{folder}: the folder holds no pictures or videos ({len(files)} other files); subfolders need /**"
            )
        )
    yield from (Item(path, "file", path) for path in found)


def _glob(pattern: str, report: Report) -> Iterator[Item]:
    files = sorted(filter(os.path.isfile, glob.glob(pattern, recursive=True)), key=natural)
    if not files:
        report(
            InputError(
                f"{pattern}: no file matches (looked from {os.getcwd()}); quote the pattern if the shell changes it"
            )
        )
    yield from (Item(path, "file", path) for path in _known(files) or files)


def _list(name: str, report: Report) -> Iterator[Item]:
    data = Path(name).read_bytes()
    text = data.decode(
        "utf-16" if data.startswith(_UTF16) else "utf-8-sig", errors="surrogateescape"
    )
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if not lines:
        report(
            InputError(
                f"{name}: is a text file that lists no paths; expected one picture or video per line"
            )
        )
        return
    found: list[Item] = []
    lost: list[EverybodyError] = []
    for number, line in lines:
        path = line if "://" in line or line == "-" else os.path.join(os.path.dirname(name), line)
        troubles: list[EverybodyError] = []
        found += _named(path, troubles.append, listed=True)
        lost += [InputError(f"{name}, line {number}: {trouble}") for trouble in troubles]
    if not found:  # more likely a text by mistake than a list of which each line is wrong
        first = lines[0][1] if len(lines[0][1]) <= 40 else lines[0][1][:39] + "…"
        lost = [
            InputError(
                f"{name}: is text, neither picture nor video, and none of its lines names a file (first: '{first}')"
            )
        ]
    for error in lost:
        report(error)
    yield from found
