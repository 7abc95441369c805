"""Where a video is cut: pure functions over its key frames.

      key      key        key   key       key
    ───┼────────┼──────────┼─────┼─────────┼───────▶ frames
       │ chunk 0           │ chunk 1       │ ...
                     seek ─┼┈┈lead┈│            decoded from `seek`, looked at from `lead`

A chunk's own frames are [first, last). Those between `lead` and `first` belong to the chunk before;
they let the tracker know the people, and tell which ids of both chunks are the same person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..media.demux import Key

BEGIN = Key(0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a video. lead: seconds from which its frames are looked at; whole: it is not cut,
    so it is read from its beginning, as everything is that has no usable stamps.
    """

    first: int
    last: int  # exclusive; -1: to the end
    seek: Key = BEGIN
    lead: float = 0.0
    whole: bool = False


def parts(keys: Sequence[Key], frames: int, *, seconds: float, overlap: float) -> list[Part]:
    """Key frames in order and the number of frames -> parts of about `seconds`, that begin at key
    frames, hold every frame once, and are preceded by a lead of `overlap` seconds.
    """
    cuts = cut_at(keys, seconds)
    if not cuts:
        return [Part(0, frames, whole=True)]
    found = []
    ends = [key.index for key in cuts[1:]] + [frames]
    for number, (cut, end) in enumerate(zip(cuts, ends, strict=True)):
        lead = max(cut.time - overlap, cuts[0].time) if number else cut.time
        seek = cut if lead >= cut.time else before(keys, lead)
        found.append(Part(cut.index, end, seek, lead))
    return found


def cut_at(keys: Sequence[Key], seconds: float) -> list[Key]:
    """The key frames at which chunks begin: the first, then each that is `seconds` after the last
    one. None where frame 0 is no key frame.
    """
    if not keys or keys[0].index != 0:
        return []
    cuts = [keys[0]]
    for key in keys:
        if key.time - cuts[-1].time >= seconds:
            cuts.append(key)
    return cuts


def before(keys: Sequence[Key], time: float) -> Key:
    """The last key frame that is not later than `time`; the first, if all are later."""
    return max((key for key in keys if key.time <= time), default=keys[0])


def groups(count: int, size: int) -> list[Part]:
    """So many pictures -> groups of at most `size`; first and last are places in the film."""
    return [Part(at, min(at + size, count)) for at in range(0, count, size)]
