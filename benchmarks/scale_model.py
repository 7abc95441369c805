"""Ten thousand hours on a hundred nodes, simulated: time, waste and cost, by the length of a chunk
and by how often nodes fail.

    python -m benchmarks.scale_model [--dispatch 0.00005] [--price 0.5] [--model fast]

What a worker needs is measured first, in CPU seconds of one core, so that other load matters
little: chunks of two lengths of class.mp4 are done, and a line through them tells the seconds of a
frame and those of a chunk (opening, committing). A worker of `--cores` cores is taken to do so many
times as much. dispatch: CPU seconds of the driver for a chunk (`scale_dry`).
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace

from benchmarks.common import VIDEO, parsed, parser
from everybody.estimator import Estimator
from everybody.follow import Follow
from everybody.media.demux import Key
from everybody.options import Options
from everybody.scale.chunks import Part
from everybody.scale.job import Job, Planned
from everybody.scale.join import join
from everybody.scale.simulate import World, simulated
from everybody.scale.sources import Film
from everybody.scale.store import fingerprint, located
from everybody.scale.work import Worker

HOURS, FRAMES = 10_000, 30  # of video, and per second
LENGTHS = (30, 60, 120, 300, 900, 3600)
DAYS = (30.0, 1.0, 0.25, 1 / 24)  # between failures of a node
SHORT, LONG = 10, 60  # frames of the chunks that are measured


def measured(model: str) -> tuple[float, float, float]:
    """CPU seconds of one core for a frame, for a chunk beside its frames, and to join a frame."""
    estimator = Estimator(Options.of(model=model, threads=1, workers=1))
    name = str(VIDEO / "class.mp4")
    film = Film(name, (name,))
    with tempfile.TemporaryDirectory() as dest:
        job = Job(dest=dest, follow=Follow(detect_every=1, smooth="butterworth"))
        worker = Worker(job, estimator)
        tag = fingerprint(*located(name))

        def seconds(frames: int) -> tuple[float, float]:
            part = Part(0, frames, Key(0, 0, 0.0))
            planned = Planned(film, tag, (part,))
            begun = time.process_time()
            worker(planned, part)
            done = time.process_time()
            join(job, planned, estimator.skeleton, {})
            return done - begun, time.process_time() - done

        seconds(2)  # the first calls are slow
        (short, short_join), (long, long_join) = seconds(SHORT), seconds(LONG)
    frame, joined = (long - short) / (LONG - SHORT), (long_join - short_join) / (LONG - SHORT)
    return frame, max(0.0, short - SHORT * frame), joined


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--model", default="fast")
    command.add_argument("--cores", type=int, default=4)
    command.add_argument("--dispatch", type=float, default=0.00005)
    command.add_argument("--price", type=float, default=0.5)
    command.add_argument("--overlap", type=float, default=1.0)
    command.add_argument("--nodes", type=int, default=100)
    command.add_argument("--workers", type=int, default=4)
    given = parsed(command)
    frame, chunk, joined = measured(given.model)
    print(
        f"measured: {frame * 1000:.1f} ms a frame, {chunk * 1000:.0f} ms a chunk, "
        f"{joined * 1000:.1f} ms a frame to join ({joined / frame:.1%} on top, not in the table)"
    )
    frame, chunk = frame / given.cores, chunk / given.cores
    ideal = HOURS * 3600 * FRAMES * frame / (given.nodes * given.workers)
    print(f"ideal: {ideal / 3600:.2f} h, cost {given.price * given.nodes * ideal / 3600:.0f}")
    print("| chunks of | a node fails every | hours | above ideal | lost | idle at the end |")
    for length in LENGTHS:
        calm = World(
            chunks=HOURS * 3600 // length,
            work=(length + given.overlap) * FRAMES * frame + chunk,
            nodes=given.nodes,
            workers=given.workers,
            dispatch=given.dispatch,
            price=given.price,
        )
        for days in DAYS:
            out = simulated(replace(calm, mtbf=days * 24 * 3600))
            busy = calm.chunks * given.dispatch / out.seconds
            print(
                f"| {length} s | {days * 24:g} h | {out.seconds / 3600:.2f} | "
                f"{out.seconds / ideal - 1:+.1%} | {out.lost} | {out.idle:.2%} | "
                f"cost {out.cost:.0f}, driver busy {busy:.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
