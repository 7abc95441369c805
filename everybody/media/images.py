"""One picture: its bytes -> [H, W, 3] uint8 RGB.

Decoded with Pillow, because OpenCV fills the rest of a truncated JPEG with grey and says nothing.
The plug-in of the format that the first bytes name is called directly rather than through
`PIL.Image.open`, whose limit on pixels is a global of the process: a 108-megapixel photo trips it,
and it is not ours to move.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TgaImagePlugin import TgaImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ..errors import InputError
from ..people import Image

MAX_PIXELS = 200_000_000
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif",
    ".tiff", ".gif", ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf",
    ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga",
)  # fmt: skip
FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, HEIC, JPEG 2000, PPM or TGA"

_OPENERS: dict[str, Callable[[BytesIO], Pillow.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "AVIF": AvifImageFile,
    "JPEG 2000": Jpeg2KImageFile,
    "PPM": PpmImageFile,
    "TGA": TgaImageFile,
}
_STARTS = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF",
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000",
}  # fmt: skip
_PPM = re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*[0-9]+\s")  # "P1" alone also starts texts
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # "BM" alone also starts texts
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_AVIF_BRANDS = {b"avif", b"avis"}
_ORIENTATION = 0x0112
MOVING = ("PNG", "WebP", "GIF", "TIFF", "AVIF")  # formats that may hold several frames
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
    if _PPM.match(head):
        return "PPM"
    return "TGA" if _is_tga(head) else None


def _is_tga(head: bytes) -> bool:
    """Whether this is the header of a true-colour or grey TGA, which has no mark of its own: no
    palette, a kind, a size and a depth that go together.
    """
    if len(head) < 18 or head[1] or any(head[3:8]) or not any(head[12:14]) or not any(head[14:16]):
        return False
    depths = {2: (16, 24, 32), 10: (16, 24, 32), 3: (8, 16), 11: (8, 16)}.get(head[2], ())
    return head[16] in depths and head[17] & 0xC0 == 0


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """The bytes of one picture -> [H, W, 3] uint8 RGB, upright (EXIF), writable; ICC profiles are
    ignored.

    Raises InputError when it is no picture, is cut short or has more than `max_pixels` (told from
    its header).
    """
    with opened(data, name, max_pixels) as picture:
        return rgb(picture, name)


@contextmanager
def opened(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[Any]:
    """The bytes of a picture as a Pillow image of its format, its first frame loaded.

    Raises InputError when it is no picture or has more than `max_pixels`; what Pillow raises of
    broken bytes while it is in use becomes one, too.
    """
    kind = picture_format(data[:512])
    if kind is None:
        raise InputError(f"{name}: is not a picture; expected {FORMATS}")
    opener = _OPENERS.get(kind) or _heif_opener(name)
    try:
        with quiet():
            picture = opener(BytesIO(data))
            fits(picture, name, max_pixels)
            if kind == "TIFF":  # warns while loading, too
                picture.load()
        with picture:
            picture.load()
            yield picture
    except InputError:
        raise
    except Pillow.DecompressionBombError as error:
        # WebP and TIFF ask Pillow's own limit, about 179 megapixels.
        raise InputError(
            f"{name}: has more pixels than Pillow reads of a {kind}; make it smaller"
        ) from error
    except Exception as error:
        # Broken bytes make Pillow raise nearly anything, SyntaxError and struct.error included.
        raise InputError(_broken(name, f"{kind} picture", error)) from error


def fits(picture: Pillow.Image, name: str, max_pixels: int) -> None:
    """Raises InputError where a picture has more than `max_pixels`, or none."""
    width, height = picture.size
    if width * height > max_pixels:
        raise InputError(_too_large(name, width, height, max_pixels))
    if not width or not height:
        raise InputError(f"{name}: is {width} × {height}, which shows nothing")


def moving(file: Any, head: bytes) -> int:
    """How many frames a picture file has; 2 where there are more than one and the rest is broken, 1
    where all is, as `opened` will say.
    """
    kind = picture_format(head) or ""
    still = kind == "WebP" and not (head[12:16] == b"VP8X" and head[20:21] and head[20] & 2)
    still |= kind == "AVIF" and b"avis" not in head[8:64]
    still |= kind == "PNG" and b"IDAT" in head and b"acTL" not in head  # which comes before it
    if still or kind not in MOVING:
        return 1
    frames = 1
    try:
        with quiet(), closing(_OPENERS[kind](file)) as picture:
            frames = 2
            return getattr(picture, "n_frames", 1)
    except Exception:  # see `opened`
        return frames


def rgb(picture: Pillow.Image, name: str) -> Image:
    """A Pillow image -> [H, W, 3] uint8 RGB, upright, writable.

    16 bits are divided by 257, so white stays white. Alpha is laid over white, where a cut-out
    figure was drawn to be seen; what lies hidden under full transparency is arbitrary and must not
    reach a detector.
    """
    try:
        picture.load()
    except Exception as error:  # see `opened`
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
    if not image.size:
        raise InputError(f"{name}: is {picture.width} × {picture.height}, which shows nothing")
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
    with quiet():
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
        f"{name}: {width} × {height} is {width * height / 1e6:.0f} megapixels, "
        f"more than the limit of {max_pixels / 1e6:g}; make it smaller or raise --max-pixels"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings about odd metadata. The filter belongs to the process, hence the lock and the
    short stay.
    """
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
