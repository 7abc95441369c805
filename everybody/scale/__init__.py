"""The same pipeline on a cluster: Ray Data reads, finds, poses, follows; each frame exactly once.

    everybody scale s3://bucket/videos -o s3://bucket/people       # the command
    everybody.scale.estimate(dataset)                              # pictures of your own Dataset

Needs the extra `scale`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster import Cluster
    from .dataset import estimate
    from .driver import scale
    from .job import Job

_PLACES = {"Cluster": "cluster", "Job": "job", "estimate": "dataset", "scale": "driver"}

__all__ = ["Cluster", "Job", "estimate", "scale"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
