"""`everybody scale` against `everybody run` on the same films: seconds, CPU seconds, and equality.

    python -m benchmarks.scale [--films 20] [--times 8] [--chunk 60] [--nodes 2] [--track]

Films are class.mp4, taiji.mp4 and jump.mp4 in turn, each joined to itself `--times` times without
being encoded anew. nodes: processes that stand for nodes, one core each; `run` gets as many
threads. CPU seconds are those of the whole tree of processes, sampled; they say more than seconds
where others use the machine. What Ray takes to start is told apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import av
import psutil

from benchmarks.common import VIDEO, parsed, parser
from everybody.scale.cluster import keep_private

CLIPS = ("class.mp4", "taiji.mp4", "jump.mp4")


def repeated(clip: Path, path: Path, times: int) -> None:
    """The packets of a clip, several times."""
    with av.open(str(path), "w") as output:
        stream, shift = None, 0
        for _ in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or output.add_stream_from_template(video)
                end = 0
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    output.mux(packet)
                shift += end


class Meter:
    """Counts the CPU seconds of this process's descendants while it is entered."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Meter:
        self._begun = time.perf_counter()
        self._before = self._look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._begun
        self.cpu = sum(self._look().values()) - sum(self._before.values())

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> dict[int, float]:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                times = child.cpu_times()
                self._seen[child.pid] = times.user + times.system
        return dict(self._seen)


def lines(folder: Path) -> dict[str, list[str]]:
    """The journals' lines by source."""
    found: dict[str, list[str]] = {}
    for path in folder.rglob("frames.jsonl"):
        for line in path.read_text().splitlines():
            found.setdefault(json.loads(line)["source"], []).append(line)
    return found


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--films", type=int, default=20)
    command.add_argument("--times", type=int, default=8)
    command.add_argument("--chunk", type=float, default=60.0)
    command.add_argument("--nodes", type=int, default=2)
    command.add_argument("--track", action="store_true")
    given = parsed(command)
    more = ["--detect-every", "1", "--smooth", "butterworth"] if given.track else []
    keep_private()
    with tempfile.TemporaryDirectory() as folder:
        films = Path(folder) / "films"
        films.mkdir()
        for n in range(given.films):
            repeated(VIDEO / CLIPS[n % len(CLIPS)], films / f"{n}.mp4", given.times)
        base = [sys.executable, "-m", "everybody"]
        with Meter() as plain:
            out = ["-o", f"{folder}/run", "-q", "--threads", str(given.nodes)]
            subprocess.run([*base, "run", str(films), *out, *more], check=True)
        print(f"run:   {plain.seconds:.0f} s, {plain.cpu:.0f} CPU s", flush=True)

        from ray.cluster_utils import Cluster

        with Meter() as start:
            store = 150 * 2**20
            head = {"num_cpus": 1, "object_store_memory": store}
            cluster = Cluster(initialize_head=True, head_node_args=head)
            for _ in range(given.nodes - 1):
                cluster.add_node(num_cpus=1, object_store_memory=store)
        print(f"start: {start.seconds:.0f} s, {start.cpu:.0f} CPU s", flush=True)
        with Meter() as spread:
            out = ["-o", f"{folder}/scale", "--json", "-q", "--cpus", "1"]
            out += ["--chunk", str(given.chunk), "--address", cluster.address]
            done = subprocess.run(
                [*base, "scale", str(films), *out, *more], check=True, capture_output=True
            )
        cluster.shutdown()
        report = json.loads(done.stdout.splitlines()[-1])
        whole, cut = lines(Path(folder) / "run"), lines(Path(folder) / "scale" / "films")
    print(
        f"scale: {spread.seconds:.0f} s ({report['start_seconds']:.0f} s until work began), "
        f"{spread.cpu:.0f} CPU s, {report['chunks']} chunks; "
        f"overhead {spread.cpu / plain.cpu - 1:+.1%} CPU, "
        f"{report['seconds'] / plain.seconds - 1:+.1%} of `run`'s seconds once begun"
    )
    same = Counter(a == b for name in whole for a, b in zip(whole[name], cut[name], strict=True))
    print(f"frames: {sum(same.values())}, equal to the byte: {same[True]}")


if __name__ == "__main__":
    main()
