"""Trackers against synthetic truth: HOTA, IDF1 and id switches, the same detections for all.

    python -m benchmarks.tracking [--seeds 3]
    PYTHONPATH=FOLDER python -m benchmarks.tracking  # with ByteTrack, after
        pip install --no-deps --target FOLDER trackers supervision

SORT:         boxes and IoU alone, as Bewley et al. (2016) describe it: Kalman, Hungarian, IoU .3,
              three hits, one miss
ByteTrack:    of the package `trackers`, where that is installed
OKS:          our tracker, without pictures
+ appearance: with embeddings: a random unit vector per person, cosine about .8 with each view
flow:         with hindsight of a second, after PoseFlow (Xiu et al. 2018), without pictures
+ camera:     with pictures of a textured background, which shakes where the scene does
Baseline:     as Simple Baselines (Xiao et al. 2018): poses carried by optical flow through pictures
              of people cut out of photos, greedy by OKS
+ colours:    with pictures of people cut out of photos (`cutouts.py`), as `--track` does it
truth:        the true ids on what was found, the most that any tracker could reach
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from benchmarks.common import BLANK, parsed, parser
from benchmarks.cutouts import PHOTOS, Cutout, cut_outs, pictures
from everybody.metrics.tracking import figures
from everybody.people import Frame, People
from everybody.track import Rules, Tracker
from everybody.track.flow import Stitch, tracking
from everybody.track.propagation import Propagation
from synthetic.walkers import Moment, Scenery, walkers

SCENES = {
    "come and go": Scenery(people=12),
    "hidden 1 s": Scenery(people=12, occlusion=1.0),
    "crowd that stays": Scenery(stay=True),
    "half turn back": Scenery(people=12, turning=0.5),
    "5 frames/s": Scenery(people=12, rate=5.0),
    "camera shakes": Scenery(people=12, shake=12.0),
    "noise of 1 sigma": Scenery(people=12, noise=1.0),
    "hidden 4 s": Scenery(people=5, occlusion=4.0, stay=True),
    "and 30 % others": Scenery(people=5, occlusion=4.0, stay=True, exchanged=0.3),
    "all others": Scenery(people=5, occlusion=4.0, stay=True, exchanged=1.0),
}
SORT = Rules(
    pose=0,
    motion=0,
    overlap=1,
    match=0.3,
    second_match=2,
    patience=0,
    sure=2,
    births=3,
    memory=0,
    memory_frames=1,
)
Film = list[Moment]


def plain(rules: Rules) -> Callable[[Film], list[People]]:
    def run(film: Film) -> list[People]:
        tracker = Tracker(rules)
        return [tracker.update(moment.found, moment.time) for moment in film]

    return run


def with_appearance(film: Film) -> list[People]:
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(100, 64))
    now: list[Moment] = []

    def embed(_: object, boxes: np.ndarray) -> np.ndarray:
        people = now[-1].found.boxes.tolist()
        who = np.array([now[-1].who[people.index(box)] for box in boxes.tolist()], int)
        views = looks[who] + rng.normal(size=(len(who), 64)) * 0.5
        views[who == 0] = rng.normal(size=(int((who == 0).sum()), 64))
        return views / np.maximum(np.linalg.norm(views, axis=1, keepdims=True), 1e-9)

    tracker, out = Tracker(embed=embed, camera=False), []
    for moment in film:
        now[:] = [moment]
        out.append(tracker.update(moment.found, moment.time, image=BLANK))
    return out


def with_camera(film: Film) -> list[People]:
    coarse = np.random.default_rng(1).integers(0, 255, (180, 280, 3), np.uint8)
    world = cv2.resize(coarse, (2240, 1440), interpolation=cv2.INTER_CUBIC)
    rules = Rules(appearance=0, reentry=0)  # nobody is to be seen on these pictures
    tracker, out = Tracker(rules), []
    for moment in film:
        x, y = np.rint(np.array([480, 360]) - moment.camera).clip((0, 0), (960, 720)).astype(int)
        out.append(
            tracker.update(moment.found, moment.time, image=world[y : y + 720, x : x + 1280])
        )
    return out


def with_hindsight(film: Film) -> list[People]:
    rules, picture = Rules(appearance=0), np.zeros((720, 1280, 3), np.uint8)
    tracker = Tracker(tracking(rules))
    frames = (
        Frame(picture, n, moment.time, "a.mp4", moment.found) for n, moment in enumerate(film)
    )
    return [frame.people for frame in Stitch(tracker, rules)(tracker(frames))]


def cast() -> list[Cutout]:
    """Forty people cut out of photos, in a fixed disorder."""
    people = cut_outs(PHOTOS, 40)
    return [people[n] for n in np.random.default_rng(0).permutation(len(people))]


def with_colours(people: list[Cutout]) -> Callable[[Film], list[People]]:
    def run(film: Film) -> list[People]:
        tracker = Tracker()
        shown = zip(film, pictures(film, people), strict=True)
        return [
            tracker.update(moment.found, moment.time, image=picture) for moment, picture in shown
        ]

    return run


def with_propagation(people: list[Cutout]) -> Callable[[Film], list[People]]:
    def run(film: Film) -> list[People]:
        tracker, shown = Propagation(), zip(film, pictures(film, people), strict=True)
        frames = (
            Frame(picture, n, m.time, "a.mp4", m.found) for n, (m, picture) in enumerate(shown)
        )
        return [frame.people for frame in tracker(frames)]

    return run


def with_both(people: list[Cutout]) -> Callable[[Film], list[People]]:
    def run(film: Film) -> list[People]:
        tracker, shown = Tracker(tracking(Rules())), zip(film, pictures(film, people), strict=True)
        frames = (
            Frame(picture, n, m.time, "a.mp4", m.found) for n, (m, picture) in enumerate(shown)
        )
        return [frame.people for frame in Stitch(tracker, Rules())(tracker(frames))]

    return run


def truth(film: Film) -> list[People]:
    return [replace(m.found[m.who > 0], ids=m.who[m.who > 0]) for m in film]


def byte_track(film: Film) -> list[People]:
    import supervision
    import trackers

    rate = round(1 / (film[1].time - film[0].time))
    tracker, out = trackers.ByteTrackTracker(frame_rate=rate), []
    for moment in film:
        found = moment.found
        detections = supervision.Detections(
            xyxy=found.boxes.copy(),
            confidence=found.scores.copy(),
            class_id=np.zeros(len(found), int),
            data={"place": np.arange(len(found))},
        )
        tracked = tracker.update(detections)
        if not len(tracked):
            out.append(replace(found[[]], ids=[]))
            continue
        ids, places = np.asarray(tracked.tracker_id), np.asarray(tracked.data["place"], int)
        known = ids >= 0
        out.append(replace(found[places[known]], ids=ids[known]))
    return out


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--ways", nargs="*", help="only these")
    command.add_argument("--scenes", nargs="*", help="only these")
    given = parsed(command)
    ways = {
        "SORT": plain(SORT),
        "OKS": plain(Rules()),
        "+ appearance": with_appearance,
        "+ camera": with_camera,
        "flow": with_hindsight,
    }
    if PHOTOS.is_dir():
        people = cast()
        ways |= {
            "Baseline": with_propagation(people),
            "+ colours": with_colours(people),
            "flow, colours": with_both(people),
        }
    try:
        import supervision  # noqa: F401
        import trackers  # noqa: F401

        ways["ByteTrack"] = byte_track
    except ImportError:
        print("(the package `trackers` is not installed: left out)")
    ways["truth"] = truth
    for name, scenery in SCENES.items():
        if given.scenes and name not in given.scenes:
            continue
        films = [walkers(replace(scenery, seed=100 + seed)) for seed in range(given.seeds)]
        for way, run in ways.items():
            if given.ways and way not in given.ways:
                continue
            told = [
                figures([(m.true, p) for m, p in zip(film, run(film), strict=True)])
                for film in films
            ]
            hota, idf1 = (np.mean([one[key] for one in told]) for key in ("HOTA", "IDF1"))
            switches = np.sum([one["switches"] for one in told])
            scores = f"HOTA {hota:.3f}  IDF1 {idf1:.3f}  switches {switches:4.0f}"
            print(f"{name:18} {way:13} {scores}", flush=True)


if __name__ == "__main__":
    main()
