"""Live sources, cameras and addresses alike: the newest frame or none, and a new connection when
one is lost.

A camera does not wait. While the networks are busy with one frame, a thread goes on reading; when
they ask for the next, they get the newest, and those between are dropped and counted. So what is
seen is never older than one frame's work. Frames keep the numbers they had at the source: dropped
ones are gaps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from ..errors import InputError
from ..people import Frame
from .sources import Report

# Seconds to wait for a source to let go; one that hangs longer is left to its daemon thread.
PATIENCE = 2.0
# Seconds before each further attempt to connect; then it is given up.
DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)


def newest(frames: Iterator[Frame], dropped: Callable[[int], None]) -> Generator[Frame, None, None]:
    """The newest frame each time one is asked for; `dropped` is called with how many were left out
    before it.
    """
    ready = threading.Condition()
    slot: list[Frame] = []
    state: dict[str, BaseException | bool] = {}
    missed = 0

    def produce() -> None:
        nonlocal missed
        try:
            for frame in frames:
                with ready:
                    if "stopped" in state:
                        return
                    missed += len(slot)
                    slot[:] = [frame]
                    ready.notify()
        except BaseException as error:  # whatever it is, it belongs to the consumer
            state["error"] = error
        finally:
            if isinstance(frames, Generator):
                frames.close()
            with ready:
                state["ended"] = True
                ready.notify()

    thread = threading.Thread(target=produce, name="everybody-live", daemon=True)
    thread.start()
    try:
        while True:
            with ready:
                ready.wait_for(lambda: slot or "ended" in state)
                if not slot:
                    break
                frame, count, missed = slot.pop(), missed, 0
            if count:
                dropped(count)
            yield frame
        if isinstance(error := state.get("error"), BaseException):
            raise error
    finally:
        with ready:
            state["stopped"] = True
        thread.join(PATIENCE)


def reconnected(
    connect: Callable[[], Iterator[Frame]],
    name: str,
    report: Report,
    *,
    delays: tuple[float, ...] | None = None,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Frame]:
    """The frames of one connection after the other, numbered on, their times those of the first
    connection's clock.

    When a connection ends it is told, and tried again after each of `delays` (`DELAYS`); one that
    gives a frame begins the delays anew. Ends, and says so, when none is left. A source that never
    gave a frame is not tried again.
    """
    delays = DELAYS if delays is None else delays
    index, last, begun, failures = 0, 0.0, None, 0
    while True:
        first, offset, base = True, 0.0, 0
        for frame in connect():
            if begun is None:
                begun = clock() - frame.time
            if first:
                offset = max(clock() - begun, last) - frame.time if index else 0.0
                base, first, failures = index - frame.index, False, 0
            index, last = base + frame.index + 1, frame.time + offset
            yield replace(frame, index=index - 1, time=last)
        if begun is None:
            return
        if failures == len(delays):
            report(
                InputError(
                    f"{name}: gave no picture in {len(delays)} attempts; "
                    f"given up after {index} frames"
                )
            )
            return
        report(
            InputError(
                f"{name}: no more pictures after {index} frames; "
                f"trying again in {delays[failures]:g} s"
            )
        )
        wait(delays[failures])
        failures += 1
