"""What a run on a cluster has done, and will cost: counted from what workers say."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from .job import Planned

SHOWN = 20  # failures that are told one by one


@dataclass(slots=True)
class Report:
    """films, chunks: of the plan. seconds: since the work began. price: of a node for an hour, in
    any currency. again: chunks that an earlier run had done.
    """

    films: int = 0
    chunks: int = 0
    price: float = 0.0
    done: int = 0
    again: int = 0
    joined: int = 0
    frames: int = 0
    people: int = 0
    video: float = 0.0  # seconds of the films that are joined
    seconds: float = 0.0
    start: float = 0.0  # seconds that the cluster and the models took
    interrupted: bool = False
    failures: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    work: defaultdict[str, list[float]] = field(
        default_factory=lambda: defaultdict(lambda: [0.0, 0.0])
    )  # frames and seconds of each node

    def add(self, node: str, frames: int, people: int, seconds: float, again: bool) -> None:
        """One more chunk."""
        self.done += 1
        self.again += again
        self.frames += frames
        self.people += people
        if not again:
            self.work[node][0] += frames
            self.work[node][1] += seconds

    @property
    def cost(self) -> float:
        """Of the nodes so far."""
        return self.price * max(1, len(self.work)) * self.seconds / 3600

    def to_dict(self) -> dict[str, Any]:
        hours = self.video / 3600
        rate = self.frames / self.seconds if self.seconds and not self.again else None
        return {
            "films": self.films,
            "chunks": self.chunks,
            "done": self.done,
            "done_before": self.again,
            "joined": self.joined,
            "frames": self.frames,
            "people": self.people,
            "hours": round(hours, 4),
            "seconds": round(self.seconds, 3),
            "start_seconds": round(self.start, 3),
            "frames_per_second": rate and round(rate, 2),
            "frames_per_second_by_node": {
                node: round(frames / self.seconds, 2) if self.seconds else None
                for node, (frames, _) in self.work.items()
            },
            "cost": round(self.cost, 4),
            "cost_per_hour_of_video": round(self.cost / hours, 4) if hours else None,
            "interrupted": self.interrupted,
            "failures": self.failures,
            "problems": self.problems,
        }

    def line(self) -> str:
        """While it runs."""
        rate = self.frames / self.seconds if self.seconds else 0.0
        lost = f", {len(self.failures)} failed" if self.failures else ""
        return (
            f"{self.done} of {self.chunks} chunks, {self.joined} of {self.films} films, "
            f"{self.frames} frames, {self.people} people, {rate:.1f} frames/s on "
            f"{max(1, len(self.work))} nodes{lost}"
        )


def forecast(
    plan: list[Planned], *, rate: float, nodes: int, price: float, frames_per_second: float = 25.0
) -> dict[str, Any]:
    """What a plan will take at `rate` frames per second of a node. Frames that are not known
    beforehand are counted from the length of the video.
    """
    frames = sum(
        p.parts[-1].last if p.parts and p.parts[-1].last > 0 else p.seconds * frames_per_second
        for p in plan
    )
    seconds = frames / (rate * nodes) if rate else None
    hours = sum(p.seconds for p in plan) / 3600
    cost = None if seconds is None else price * nodes * seconds / 3600
    return {
        "films": len(plan),
        "chunks": sum(len(p.parts) for p in plan),
        "bytes": sum(p.size for p in plan),
        "frames": round(frames),
        "hours": round(hours, 4),
        "nodes": nodes,
        "seconds": seconds and round(seconds, 1),
        "cost": cost and round(cost, 4),
        "cost_per_hour_of_video": round(cost / hours, 4) if cost and hours else None,
        "unreadable": {p.film.name: p.error for p in plan if p.error},
    }
