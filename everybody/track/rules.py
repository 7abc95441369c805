"""All numbers of the tracker in one value: births, deaths, re-entry, and the weight of each kind of
evidence.

Times are in seconds, so that a rule means the same at any frame rate. Lengths are in body sizes
(the square root of the area of a person's box), so that it means the same near and far.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a person gets an id, keeps it and loses it."""

    # Birth. A person who scores `sure` gets an id at once; one who scores `high`, after `births`
    # frames in a row. People who score less never begin a track.
    sure: float = 0.5
    high: float = 0.25
    births: int = 3

    # The affinity of a track and a person is a mean of evidence in [0, 1], with these weights:
    pose: float = 2.0  # OKS of the predicted and the observed pose
    overlap: float = 0.5  # IoU of the predicted and the observed box
    motion: float = 0.5  # distance from the prediction, in its standard deviations
    appearance: float = 1.0  # cosine of colours and, if there is a network, of embeddings

    # Least affinity of people who score `high`, and of the others (Zhang et al. 2022, ByteTrack).
    match: float = 0.15
    second_match: float = 0.45
    patience: float = 0.7  # share of its affinity that a track loses when unseen for `memory`

    # Death. A track ends that was not seen for `memory` seconds and `memory_frames` frames.
    memory: float = 2.0
    memory_frames: int = 3

    # Re-entry. A person of known looks may come back `reentry` seconds later: anywhere, if there is
    # an embedding network and the cosine is `reentry_similarity`; else only away from the picture's
    # edges, if the cosine is `reentry_nearby`, and no farther from the place of loss than `reach`
    # body sizes, and as many again per second (a brisk walk).
    reentry: float = 30.0
    reentry_similarity: float = 0.6
    reentry_nearby: float = 0.5
    reach: float = 1.5
    gallery: int = 64  # most ended tracks that are remembered

    # With hindsight (`flow`).
    flow_window: float = 1.0  # seconds that a frame waits for what follows
    flow_gap: float = 6.0  # longest time out of sight
    flow_match: float = 0.3  # least affinity of the end of one track and the beginning of another

    # Motion: spectral density of the acceleration, body sizes² / s³.
    box_acceleration: float = 1.5
    joint_acceleration: float = 60.0
    settling: float = 0.15  # seconds in which an unseen joint takes on the body's velocity
    drag: float = 2.0  # seconds in which an unseen body comes to rest

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
