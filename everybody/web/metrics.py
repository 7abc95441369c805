"""What /metrics tells Prometheus, in its text format."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


class Counts:
    """What has happened since the server started."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()  # by status
        self.seconds = 0.0  # of all requests together
        self.busy = 0  # requests now
        self.pictures = 0  # of POST /api/people
        self.live = 0  # connections now
        self.live_frames: Counter[str] = Counter()  # "answered" and "dropped"
        self.live_seconds = 0.0  # from the coming of a frame to its answer, of all answered

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        begun, status = time.monotonic(), 499  # nobody waited for the answer

        def counted(said: int) -> None:
            nonlocal status
            status = said

        self.busy += 1
        try:
            yield counted
        finally:
            self.busy -= 1
            self.requests[status] += 1
            self.seconds += time.monotonic() - begun


def text(counts: Counts, jobs: Mapping[str, int], frames: int, held: int) -> str:
    """jobs: how many by state; frames: of all jobs since the start; held: bytes of all jobs."""
    rows = [
        _family(
            "requests_total", "counter", {f'status="{k}"': v for k, v in counts.requests.items()}
        ),
        _family("request_seconds_total", "counter", {"": round(counts.seconds, 6)}),
        _family("requests_busy", "gauge", {"": counts.busy}),
        _family("jobs", "gauge", {f'state="{state}"': n for state, n in jobs.items()}),
        _family("job_frames_total", "counter", {"": frames}),
        _family("kept_bytes", "gauge", {"": held}),
        _family("pictures_total", "counter", {"": counts.pictures}),
        _family("live_connections", "gauge", {"": counts.live}),
        _family(
            "live_frames_total",
            "counter",
            {f'what="{what}"': n for what, n in counts.live_frames.items()},
        ),
        _family("live_latency_seconds_total", "counter", {"": round(counts.live_seconds, 6)}),
    ]
    return "".join(rows)


def _family(name: str, kind: str, values: Mapping[str, float]) -> str:
    lines = [f"# TYPE everybody_{name} {kind}"]
    for label, value in values.items():
        lines.append(f"everybody_{name}{'{' + label + '}' if label else ''} {value}")
    return "\n".join(lines) + "\n"
