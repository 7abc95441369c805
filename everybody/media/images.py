"""One picture: its bytes -> [H, W, 3] uint8 RGB.

Decoded with Pillow, because OpenCV fills the rest of a truncated JPEG with grey and says nothing.
The plug-in of the format that the first bytes name is called directly rather than through
`PIL.Image.open`, whose limit on pixels is a global of the process: a 108-megapixel photo trips it,
and it is not ours to move.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image as Pillow
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ..errors import InputError
from ..people import Image

MAX_PIXELS = 200_000_000
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
    ".avif", ".heic", ".heif", ".hif",
)  # fmt: skip
FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or HEIC"

_OPENERS: dict[str, Callable[[BytesIO], Pillow.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "AVIF": AvifImageFile,
}
_STARTS = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF",
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
}  # fmt: skip
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # "BM" alone also starts texts
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_AVIF_BRANDS = {b"avif", b"avis"}
_ORIENTATION = 0x0112
_quiet_lock = threading.Lock()


def picture_format(head: bytes) -> str | None:
    """The picture format that the first bytes of a file (32 or more) name, or None."""
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":  # AVIF, HEIC and MP4 are one family: the brands tell them apart
        size = int.from_bytes(head[:4], "big")
        brands = {head[8:12]} | {head[i : i + 4] for i in range(16, min(size, len(head)), 4)}
        if head[8:12] in _HEIF_BRANDS | _AVIF_BRANDS | {b"mif1", b"msf1"}:
            return "AVIF" if brands & _AVIF_BRANDS else "HEIC"
    return None


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """The bytes of one picture -> [H, W, 3] uint8 RGB, upright (EXIF), writable; ICC profiles are
    ignored.

    Raises InputError when it is no picture, is cut short or has more than `max_pixels` (told from
    its header).
    """
    kind = picture_format(data[:64])
    if kind is None:
        raise InputError(f"{name}: is not a picture; expected {FORMATS}")
    opener = _OPENERS.get(kind) or _heif_opener(name)
    try:
        with _quiet():
            picture = opener(BytesIO(data))
            if picture.width * picture.height > max_pixels:
                raise InputError(_too_large(name, picture.width, picture.height, max_pixels))
            if kind == "TIFF":  # warns while loading, too
                picture.load()
        with picture:
            picture.load()
            return rgb(picture, name)
    except InputError:
        raise
    except (
        Pillow.DecompressionBombError
    ) as error:  # WebP and TIFF ask Pillow's own limit, about 179 megapixels
        raise InputError(
            f"{name}: has more pixels than Pillow reads of a {kind}; make it smaller"
        ) from error
    except Exception as error:  # broken bytes make Pillow raise nearly anything, SyntaxError and struct.error included
        raise InputError(_broken(name, f"{kind} picture", error)) from error


def rgb(picture: Pillow.Image, name: str) -> Image:
    """A Pillow image -> [H, W, 3] uint8 RGB, upright, writable.

    16 bits are divided by 257, so white stays white. Alpha is laid over white, where a cut-out
    figure was drawn to be seen; what lies hidden under full transparency is arbitrary and must not
    reach a detector.
    """
    try:
        picture.load()
    except Exception as error:  # see `decode`
        raise InputError(_broken(name, "picture", error)) from error
    if picture.mode.startswith("I;16"):
        grey = ((np.asarray(picture).astype(np.uint32) + 128) // 257).astype(np.uint8)
        image = np.repeat(grey[..., None], 3, axis=2)
    elif picture.mode in ("I", "F"):
        raise InputError(
            f"{name}: has 32-bit pixels, whose white is not defined; save it with 8 or 16 bits"
        )
    elif picture.has_transparency_data:
        cutout = picture.convert("RGBA")
        white = Pillow.new("RGBA", cutout.size, "white")
        image = np.array(Pillow.alpha_composite(white, cutout).convert("RGB"))
    else:
        image = np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return upright(image, _orientation(picture))


def upright(image: Image, orientation: int) -> Image:
    """[H, W, 3] as stored -> as meant to be seen, contiguous; orientation 1 to 8 as in EXIF (others
    count as 1).
    """
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def _orientation(picture: Pillow.Image) -> int:
    with _quiet():
        try:
            return int(picture.getexif().get(_ORIENTATION, 1))
        except Exception:  # EXIF in tatters spoils no pixel: the picture is shown as it is stored
            return 1


def _heif_opener(name: str) -> Callable[[BytesIO], Pillow.Image]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise InputError(
            f"{name}: is a HEIC picture; to read those: pip install 'everybody[heif]'"
        ) from None
    return HeifImageFile


def _broken(name: str, what: str, error: Exception) -> str:
    said = (
        " ".join(str(error).split()) or type(error).__name__
    )  # libheif's words come in several lines
    return f"{name}: is a broken or truncated {what} ({said}); save or download it again"


def _too_large(name: str, width: int, height: int, max_pixels: int) -> str:
    return (
        f"{name}: {width} × {height} is {width * height / 1e6:.0f} megapixels, more than the limit of "
        f"{max_pixels / 1e6:g}; make it smaller or raise --max-pixels"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings about odd metadata. The filter belongs to the process, hence the lock and the
    short stay.
    """
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
