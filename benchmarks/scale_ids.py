"""Ids of films that were done in chunks against those of an unbroken run.

    python -m benchmarks.scale_ids [--frames 5000] [--chunk 20] [--overlap 1] [--clip]

Synthetic films of walkers, tracked whole and in chunks that are joined; the figures compare the
two, so HOTA 1 means that cutting changed nothing. clip: the same for class.mp4 with the networks
`fast`, in chunks of four seconds, with every frame detected and as `--track` does by default.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import BLANK, VIDEO, parsed, parser
from everybody.estimator import Estimator
from everybody.follow import Follow, Following
from everybody.geometry import Array
from everybody.media.demux import Key
from everybody.media.read import read
from everybody.metrics.tracking import figures
from everybody.options import Options
from everybody.people import People
from everybody.results.journal import read_journal
from everybody.results.records import Record
from everybody.scale.chunks import parts
from everybody.scale.job import Job, film_folder
from everybody.scale.join import join
from everybody.scale.plan import plan
from everybody.scale.sources import Film
from everybody.scale.work import Worker
from everybody.track import Tracker
from everybody.track.tracker import Evidence
from synthetic.walkers import Moment, Scenery, walkers

SCENES = {
    "hidden 0.5 s": Scenery(stay=True),
    "hidden 1 s": Scenery(stay=True, occlusion=1.0),
    "hidden 4 s": Scenery(people=5, stay=True, occlusion=4.0),
}
ROUND = np.array([100, 100, 10_000])


def colour_of(who: np.ndarray, seed: int) -> Array:
    """[N, 64] unit vectors, cosine about .8 between two views of one person; random for nobody."""
    rng = np.random.default_rng(seed)
    looks = np.random.default_rng(0).normal(size=(100, 64))
    views = looks[who % 100] + rng.normal(size=(len(who), 64)) * 0.5
    views[who == 0] = rng.normal(size=(int((who == 0).sum()), 64))
    return views / np.maximum(np.linalg.norm(views, axis=1, keepdims=True), 1e-9)


def tracked(
    film: Sequence[Moment], pieces: Iterable[tuple[int, int, int]]
) -> Iterator[tuple[Moment, Evidence, People]]:
    """A tracker for each piece (begin, first, last): the frames [first, last), what it knew, and
    its people; it has looked at [begin, first) before. What it knew is rounded as files are.
    """
    now: list[tuple[int, Moment]] = []

    def embed(_: object, boxes: np.ndarray) -> np.ndarray:
        index, moment = now[-1]
        people = moment.found.boxes.tolist()
        who = np.array([moment.who[people.index(box)] for box in boxes.tolist()], int)
        return colour_of(who, index)

    for begin, first, last in pieces:
        tracker = Tracker(embed=embed, camera=False)
        for index in range(begin, last):
            moment = film[index]
            now[:] = [(index, moment)]
            people = tracker.update(moment.found, moment.time, image=BLANK)
            assert tracker.evidence
            if index >= first:
                yield moment, rounded(tracker.evidence), people


def rounded(known: Evidence) -> Evidence:
    """As `notes` and tables keep it."""
    people, looks = known.people, known.looks
    assert looks is not None
    coarse = replace(
        people,
        keypoints=(np.rint(people.keypoints * ROUND) / ROUND).astype(np.float32),
        boxes=(np.rint(people.boxes * 100) / 100).astype(np.float32),
        scores=(np.rint(people.scores * 10_000) / 10_000).astype(np.float32),
    )
    return replace(known, people=coarse, looks=looks.astype(np.float32))


def chunked(film: Sequence[Moment], seconds: float, overlap: float) -> list[People]:
    """The same from chunks, each with a tracker of its own; then as `join` does it."""
    keys = [Key(n, n, film[n].time) for n in range(0, len(film), 30)]
    pieces = [
        (next(n for n, one in enumerate(film) if one.time >= part.lead), part.first, part.last)
        for part in parts(keys, len(film), seconds=seconds, overlap=overlap)
    ]
    tracker = Tracker(embed=lambda image, boxes: np.zeros((len(boxes), 0)))
    return [tracker.again(known, moment.time) for moment, known, _ in tracked(film, pieces)]


def clip(path: Path, seconds: float, overlap: float, every: int) -> dict[str, float]:
    """A video with the network `fast`: whole, and by workers of `everybody scale`, joined."""
    estimator = Estimator(Options.of(model="fast", threads=1))
    follow = Follow(detect_every=every)
    with tempfile.TemporaryDirectory() as dest:
        job = Job(dest=dest, follow=follow, seconds=seconds, overlap=overlap)
        planned = plan(job, Film(str(path), (str(path),)))
        worker = Worker(job, estimator)
        for part in planned.parts:
            worker(planned, part)
        join(job, planned, estimator.skeleton, {})
        found = list(read_journal(Path(dest) / "films" / film_folder(planned.film)))
    whole = [Record.of(frame) for frame in Following(follow, estimator)(read(path))]
    return {
        "chunks": len(planned.parts),
        "people, whole": sum(len(r.people) for r in whole),
        "people, cut": sum(len(r.people) for r in found),
        **compared([r.people for r in whole], [r.people for r in found]),
    }


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
    command.add_argument("--overlap", type=float, default=1.0)
    command.add_argument("--clip", action="store_true")
    given = parsed(command)
    if given.clip:
        path = VIDEO / "class.mp4"
        for every in (1, 0):
            print(path.name, f"detect_every {every}", clip(path, 4.0, given.overlap, every))
        return
    for name, scenery in SCENES.items():
        film = walkers(replace(scenery, seconds=given.frames / scenery.rate, seed=7))
        whole = [people for _, _, people in tracked(film, [(0, 0, len(film))])]
        cut = chunked(film, given.chunk, given.overlap)
        print(f"{name:18} {len(film)} frames", compared(whole, cut), flush=True)


if __name__ == "__main__":
    main()
