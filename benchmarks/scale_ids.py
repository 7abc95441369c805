"""Ids that are stitched across chunks against those of an unbroken run.

    python -m benchmarks.scale_ids [--frames 5000] [--chunk 20] [--overlap 4] [--clip]

Synthetic films of walkers, tracked whole and in chunks that are stitched; the figures compare the
two, so HOTA 1 means that cutting changed nothing. clip: the same for class.mp4 with the bundled
networks, every frame detected, on one core.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import BLANK, VIDEO, parsed, parser
from everybody.estimator import Estimator
from everybody.follow import Follow, Following
from everybody.geometry import Array
from everybody.media.demux import Key
from everybody.metrics.tracking import figures
from everybody.options import Options
from everybody.people import Frame, People
from everybody.results.records import Record
from everybody.scale.chunks import parts
from everybody.scale.job import Job
from everybody.scale.plan import plan
from everybody.scale.sources import Film
from everybody.scale.stitch import Stitcher
from everybody.scale.work import Worker
from everybody.track import Rules, Tracker
from synthetic.walkers import Moment, Scenery, walkers

SCENES = {
    "hidden 0.5 s": Scenery(stay=True),
    "hidden 1 s": Scenery(stay=True, occlusion=1.0),
    "hidden 4 s": Scenery(people=5, stay=True, occlusion=4.0),
}
SIZE = (1280, 720)


def colour_of(who: np.ndarray, seed: int) -> Array:
    """[N, 64] unit vectors, cosine about .8 between two views of one person; random for nobody."""
    rng = np.random.default_rng(seed)
    looks = np.random.default_rng(0).normal(size=(100, 64))
    views = looks[who % 100] + rng.normal(size=(len(who), 64)) * 0.5
    views[who == 0] = rng.normal(size=(int((who == 0).sum()), 64))
    return views / np.maximum(np.linalg.norm(views, axis=1, keepdims=True), 1e-9)


def tracked(film: Sequence[Moment], first: int) -> Iterator[tuple[Record, Array]]:
    """Each frame's people with ids, and what they look like; first: the index of the first."""
    now: list[tuple[int, Moment]] = []

    def embed(_: object, boxes: np.ndarray) -> np.ndarray:
        index, moment = now[-1]
        people = moment.found.boxes.tolist()
        who = np.array([moment.who[people.index(box)] for box in boxes.tolist()], int)
        return colour_of(who, index)

    tracker = Tracker(embed=embed, camera=False)
    for index, moment in enumerate(film, first):
        now[:] = [(index, moment)]
        people = tracker.update(moment.found, moment.time, image=BLANK)
        places = moment.found.boxes.tolist()
        who = np.array([moment.who[places.index(box)] for box in people.boxes.tolist()], int)
        yield Record("a.mp4", index, moment.time, *SIZE, people), colour_of(who, index)


def chunked(film: Sequence[Moment], seconds: float, overlap: float) -> list[People]:
    """The same from chunks, each with a tracker of its own."""
    keys = [Key(n, n, film[n].time) for n in range(0, len(film), 30)]
    stitcher, out = Stitcher(Rules()), []
    for part in parts(keys, len(film), seconds=seconds, overlap=overlap):
        begin = next(n for n, moment in enumerate(film) if moment.time >= part.lead)
        records, looks = [], {}
        for record, views in tracked(film[begin : part.last], begin):
            records.append(record)
            ids = [] if record.people.ids is None else record.people.ids.tolist()
            for number, view in zip(ids, views, strict=True):
                looks[number] = looks.get(number, 0) + view
        looks = {n: look / np.linalg.norm(look) for n, look in looks.items()}
        out += [record.people for record in stitcher(records, looks, part.first)]
    return out


def clip(path: Path, seconds: float, overlap: float) -> dict[str, float]:
    """A video with the bundled networks: whole, and by workers of `everybody scale`."""
    estimator = Estimator(Options.of(threads=1))
    follow = Follow(detect_every=1)
    with tempfile.TemporaryDirectory() as dest:
        job = Job(dest=dest, follow=follow, seconds=seconds, overlap=overlap)
        planned = plan(job, Film(str(path), (str(path),)))
        worker, stitcher, found = Worker(job, estimator), Stitcher(follow.rules), []
        for part in planned.parts:
            records, looks = worker.estimated(planned.film, part, print)
            looks = {n: look / np.linalg.norm(look) for n, look in looks.items() if look.any()}
            found += list(stitcher(records, looks, part.first))
    whole: list[Frame] = list(Following(follow, estimator)(estimator_frames(path)))
    return {
        "chunks": len(planned.parts),
        **compared([f.people for f in whole], [r.people for r in found]),
    }


def estimator_frames(path: Path) -> Iterator[Frame]:
    from everybody.media.read import read

    return read(path)


def compared(whole: list[People], cut: list[People]) -> dict[str, float]:
    assert len(whole) == len(cut), "a frame is missing, or there twice"
    pairs = [(one, two) for one, two in zip(whole, cut, strict=True) if len(one) or len(two)]
    pairs = [
        (
            p if p.ids is not None else replace(p, ids=[]),
            q if q.ids is not None else replace(q, ids=[]),
        )
        for p, q in pairs
    ]
    told = figures(pairs)
    return {name: round(float(told[name]), 4) for name in ("HOTA", "AssA", "IDF1", "switches")}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--frames", type=int, default=5000)
    command.add_argument("--chunk", type=float, default=20.0)
    command.add_argument("--overlap", type=float, default=4.0)
    command.add_argument("--clip", action="store_true")
    given = parsed(command)
    if given.clip:
        print("class.mp4", clip(VIDEO / "class.mp4", 4.0, min(given.overlap, 3.9)))
        return
    for name, scenery in SCENES.items():
        film = walkers(replace(scenery, seconds=given.frames / scenery.rate, seed=7))
        whole = [record.people for record, _ in tracked(film, 0)]
        cut = chunked(film, given.chunk, given.overlap)
        print(f"{name:18} {len(film)} frames", compared(whole, cut), flush=True)


if __name__ == "__main__":
    main()
