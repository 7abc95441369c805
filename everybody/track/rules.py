"""All numbers of the tracker in one value: births, deaths, re-entry, and how much each kind of
evidence counts.

Times are in seconds, so that a rule means the same at any frame rate; lengths are in body sizes,
the square root of the area of a person's box, so that it means the same near and far.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Who gets an id, who keeps it, and when it ends."""

    # Birth
    sure: float = 0.5  # a person nobody knows who scores this is known at once
    high: float = (
        0.25  # one who scores this, after `births` frames in a row; less never makes a track
    )
    births: int = 3

    # Whose: the affinity of a track and a person is a mean of evidence in [0, 1], with these
    # weights
    pose: float = 2.0  # OKS of the predicted and the observed pose
    overlap: float = 0.5  # IoU of the predicted and the observed box
    motion: float = 0.5  # where the box was expected, within the uncertainty of the expectation
    appearance: float = 1.0  # cosine of what people look like: their colours and, where there is a network, embeddings
    match: float = 0.15  # least affinity
    second_match: float = (
        0.45  # least affinity of people who score less than `high` (Zhang et al. 2022, ByteTrack)
    )
    patience: float = (
        0.7  # how much of its affinity a track loses that has not been seen for `memory`
    )

    # Death and re-entry
    memory: float = 2.0  # a track that is not seen for so long ends
    memory_frames: int = 3  # but not before so many frames, where frames are rare
    reentry: float = 30.0  # one whose looks are known may come back so much later
    reentry_similarity: float = (
        0.6  # anywhere, where there is an embedding network and the cosine is at least this
    )
    reentry_nearby: float = (
        0.5  # or without, where nobody can have gone out and nobody come in: away from the edges
    )
    reach: float = 1.5  # and not farther from where one was lost: body sizes, and as many again per second, a brisk walk
    gallery: int = 64  # how many of the ended are remembered

    # With hindsight (`flow`)
    flow_window: float = 1.0  # how long a frame waits for what follows
    flow_gap: float = 6.0  # how long somebody may be out of sight
    flow_match: float = 0.3  # least affinity of where a track ends and another begins

    # Motion: spectral density of the acceleration, body sizes² / s³
    box_acceleration: float = 1.5
    joint_acceleration: float = 60.0
    settling: float = (
        0.15  # a joint nobody sees takes on the velocity of the body within about so long
    )
    drag: float = 2.0  # and a body that nobody sees comes to rest within about so long

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise OptionError(f"rule '{field.name}' must be 0 or more, got {value}")
        for name in ("births", "memory_frames", "settling", "drag"):
            if not getattr(self, name) > 0:
                raise OptionError(f"rule '{name}' must be more than 0, got {getattr(self, name)}")
        if not self.pose + self.overlap + self.motion > 0:
            raise OptionError("one of the rules pose, overlap and motion must be more than 0")
