"""Pictures that move or have several pages: animated GIF, WebP, PNG and AVIF, TIFF.

They are read as a video is: frame after frame, each at its time. Pages of a TIFF have no times and
follow each other at `fps`; its thumbnails, masks and smaller copies are no frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from ..errors import InputError
from ..people import Frame
from . import images
from .clock import RATE
from .selection import Selection, Sieve
from .sources import Report

_SUBFILE_TYPE = 254  # of a TIFF page
_NO_PAGE = 1 | 4  # bits of it: a smaller copy, a mask


def frames(
    data: bytes,
    source: str,
    report: Report,
    *,
    name: str,
    select: Selection,
    after: int = -1,
    max_pixels: int = images.MAX_PIXELS,
) -> Iterator[Frame]:
    """The selected frames with index > `after`. name: what messages call the source."""
    sieve, index, time = Sieve(select), 0, 0.0
    still = 1 / (select.fps or RATE)
    try:
        with images.opened(data, name, max_pixels) as picture:
            # The picture of a PNG for programs that know no animations may be no part of it.
            first = 1 if picture.info.get("default_image") else 0
            for place in count(first):
                try:
                    with images.quiet():
                        picture.seek(place)
                except EOFError:
                    return
                images.fits(picture, f"{name}: frame {index}", max_pixels)
                if place and getattr(picture, "tag_v2", {}).get(_SUBFILE_TYPE, 0) & _NO_PAGE:
                    continue
                with images.quiet():
                    picture.load()
                if sieve.over(index, time):
                    return
                if sieve.keep(index, time) and index > after:
                    yield Frame(images.rgb(picture, name), index, time, source)
                index += 1
                time += (picture.info.get("duration") or 0) / 1000 or still
    except InputError as error:
        report(error)
