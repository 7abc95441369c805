"""The field of view that a photo tells of itself: its focal length for 35 mm film, in EXIF."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import ExifTags, Image

FILM = 36.0  # millimetres: the longer side of a picture on film


def picture_fov(source: str, index: int) -> float | None:
    """Degrees across the longer side of a local picture file; None where it does not say, and for
    all other sources.
    """
    path = Path(source)
    if index or path.suffix.lower() not in (".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".png"):
        return None
    try:
        with Image.open(path) as picture:
            exif = picture.getexif().get_ifd(ExifTags.IFD.Exif)
        length = float(exif.get(ExifTags.Base.FocalLengthIn35mmFilm, 0))
    except (OSError, ValueError, TypeError, SyntaxError):  # EXIF in tatters tells nothing
        return None
    if not 5 <= length <= 2000:
        return None
    return 2 * math.degrees(math.atan(FILM / 2 / length))
