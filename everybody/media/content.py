"""What a file is, by its first bytes."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from . import images

HEAD = 4096  # bytes that tell what a file is
SUFFIXES = {
    *images.SUFFIXES,
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".ts", ".mts",
    ".m2ts", ".wmv", ".asf", ".flv", ".3gp", ".3g2", ".ogv", ".mxf", ".vob", ".mjpeg", ".mjpg",
    ".y4m", ".h264", ".264", ".h265", ".265", ".hevc", ".av1", ".ivf",
}  # fmt: skip
_SOUNDS = {".m4a", ".m4b", ".mka", ".weba", ".wma"}  # begin as videos do
_VIDEOS = (
    b"\x1aE\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"YUV4MPEG2 ",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x06\x0e\x2b\x34", b"DKIF", b"\x00\x00\x00\x01g",
    # Pictures that FFmpeg reads and Pillow does not: DPX, OpenEXR, Photoshop, QOI, JPEG XL.
    b"SDPX", b"XPDS", b"v/1\x01", b"8BPS", b"qoif", b"\xff\x0a", b"\0\0\0\x0cJXL ",
)  # fmt: skip
_PLAYLISTS = (b"#EXTM3U", b"ffconcat version", b"v=0\r", b"v=0\n")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f")) + b"\x7f"
UTF16 = (b"\xff\xfe", b"\xfe\xff")

Kind = Literal["empty", "picture", "text", "playlist", "video"]


def head(path: str) -> bytes:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(HEAD)


def sniff(head: bytes, name: str) -> Kind:
    """What a file is, from its first bytes. What is none of the others may be a video: FFmpeg will
    tell. Playlists name other files: HLS, lists of FFmpeg, SDP.
    """
    if not head:
        return "empty"
    if images.picture_format(head):
        # Motion JPEG is pictures end to end: there, only the name tells.
        return "video" if name.lower().endswith((".mjpeg", ".mjpg")) else "picture"
    if head.startswith(_PLAYLISTS):
        return "playlist"
    if head.startswith(b"YUV4MPEG2 "):
        return "video"
    if head.startswith(UTF16):
        return "text"
    if head.translate(None, _CONTROL) != head:
        return "video"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.start > len(head) - 4 and len(head) >= HEAD  # a letter cut in two is no fault
        return "text" if cut else "video"
    return "text"


def looked_at(path: str) -> bool:
    """Whether a file of a folder is a picture or a video: by its suffix, else by its content."""
    suffix = PurePath(path).suffix.lower()
    if suffix in SUFFIXES:
        return True
    if suffix in _SOUNDS:
        return False
    try:
        start = head(path)
    except OSError:
        return False
    stream = len(start) > 376 and start[0] == start[188] == start[376] == 0x47
    film = start[4:8] == b"ftyp" or (start[:4] == b"RIFF" and start[8:12] == b"AVI ")
    return bool(images.picture_format(start)) or stream or film or start.startswith(_VIDEOS)
