"""Ten thousand hours on a hundred nodes, simulated: time, waste, cost, by the length of a chunk.

    python -m benchmarks.scale_model [--rate 8] [--dispatch 0.01] [--price 0.5]

rate: frames per second of a worker of four cores; measure yours by `everybody run`. dispatch:
seconds of the driver for a chunk (`scale_dry`). A worker decodes half a group of pictures and
looks at `overlap` seconds before each chunk, and needs a second to open and commit one. A node
fails once in `--days` days, or is taken away, as spot machines are (the second table).
"""

from __future__ import annotations

from benchmarks.common import parsed, parser
from everybody.scale.simulate import World, simulated

HOURS, FRAMES = 10_000, 30  # of video, and per second
LENGTHS = (30, 60, 120, 300, 900, 3600)


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--rate", type=float, default=8.0)
    command.add_argument("--dispatch", type=float, default=0.01)
    command.add_argument("--price", type=float, default=0.5)
    command.add_argument("--overlap", type=float, default=4.0)
    command.add_argument("--nodes", type=int, default=100)
    command.add_argument("--workers", type=int, default=4)
    command.add_argument("--days", type=float, nargs="*", default=[30.0, 0.25])
    given = parsed(command)
    for days in given.days:
        print(f"a node fails every {days:g} days")
        for length in LENGTHS:
            work = (length + given.overlap) * FRAMES / given.rate + 1.0
            world = World(
                chunks=HOURS * 3600 // length,
                work=work,
                nodes=given.nodes,
                workers=given.workers,
                mtbf=days * 24 * 3600,
                dispatch=given.dispatch,
                price=given.price,
            )
            ideal = HOURS * 3600 * FRAMES / given.rate / (given.nodes * given.workers)
            out = simulated(world)
            print(
                f"  chunks of {length:4} s: {world.chunks:7} chunks, {out.seconds / 3600:6.2f} h "
                f"({out.seconds / ideal - 1:+6.1%} of ideal), lost {out.lost:5}, "
                f"idle at the end {out.idle:5.2%}, cost {out.cost:8.0f}, "
                f"driver busy {world.chunks * given.dispatch / out.seconds:6.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
