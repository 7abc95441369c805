"""Every method that has weights here, in one table: size, speed, accuracy, crowds, films.

    python -m benchmarks.methods run [--only PoseNet]    # a minute or two a row
    python -m benchmarks.methods run --add NAME METHOD FILE.onnx   # a row of one's own network
    python -m benchmarks.methods cost [--repeats 5]      # time by the number of people, by turns
    python -m benchmarks.methods page                    # the tables of docs/methods.md, cost.png

A row holds parameters (of all networks that the method runs), COCO's AP and AR of keypoints on the
171 pictures of coco_val, where each method finds people itself, the same AP of those alone who
have a neighbour at an IoU above .1 (nobody else counts, found or not), 95 % intervals by a
bootstrap over pictures, and HOTA of `--track` on two films of people cut out of photos. `cost`
shows all methods the same pictures of 1 to 40 cut-out people (`cutouts.crowd`), by turns, one
thread; a time is the CPU time of the fastest call, because other load only ever adds. What is
finished is kept in docs/methods.json and not made again.
"""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    COCO_VAL,
    PUBLIC,
    ROOT,
    by_turns,
    environment,
    filled,
    head,
    parsed,
    parser,
    picture,
    row,
    with_interval,
)
from benchmarks.cutouts import PHOTOS, Cutout, crowd, cut_outs, judged, shots
from everybody import geometry
from everybody.atomic import replacing
from everybody.data.dataset import Dataset
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.errors import EverybodyError
from everybody.estimator import Estimator
from everybody.follow import Follow
from everybody.metrics.judge import judge
from everybody.metrics.predict import DET_SCORE
from everybody.metrics.tracking import figures
from everybody.people import Frame, Image, People
from everybody.skeletons import COCO17, mapping
from synthetic.walkers import Moment, Scenery, walkers

KEPT, PAGE, PLOT = ROOT / "docs/methods.json", ROOT / "docs/methods.md", ROOT / "docs/images"
DRAWS, CAST = 200, 12
COUNTS = (1, 2, 5, 10, 20, 40)
TICKS = (20, 50, 100, 200, 500, 1000)  # milliseconds
FILMS = (Scenery(people=8, seconds=6, rate=4, stay=True), Scenery(people=12, seconds=6, rate=4))
SEEDS = (1, 7, 8, 9, 10)  # of each film; no number of the tracker was chosen on these
Array = np.ndarray


@dataclass(frozen=True, slots=True)
class System:
    """options: of `Estimator`. boxes: where people come from. published: a figure of the makers and
    what it is of; source: a key of the page's list.
    """

    options: dict[str, Any]
    boxes: str
    published: str = "–"
    top_down: bool = False


TOOK = "detector of everybody"
ONE_PERSON = "of crops of one person [2]"
SYSTEMS: dict[str, System] = {
    "accurate": System({"model": "accurate"}, TOOK, top_down=True),
    "fast": System({"model": "fast"}, TOOK, top_down=True),
    "RTMDet-nano + TinyPose": System(PUBLIC, "RTMDet-nano", ".688 on true boxes [1]", True),
    "MoveNet Thunder": System(
        {"pose": "movenet-thunder", "orientation": "upright"}, TOOK, f".720 {ONE_PERSON}", True
    ),
    "MoveNet Lightning int8": System(
        {"pose": "movenet-lightning", "orientation": "upright"}, TOOK, f".574 {ONE_PERSON}", True
    ),
    "BlazePose full": System(
        {"method": "blazepose", "orientation": "upright"}, TOOK, ".626 of yoga [3]", True
    ),
    "BlazePose lite": System(
        {"method": "blazepose", "pose": "blazepose-lite", "orientation": "upright"},
        TOOK,
        ".450 of yoga [3]",
        True,
    ),
    "MoveNet MultiPose": System({"method": "movenet-multipose"}, "none: at most 6 people"),
    "PoseNet MobileNet .75": System(
        {"method": "posenet-mbv1-075"}, "none: at most 20 people", f".456 {ONE_PERSON}"
    ),
}


def opened(system: System, score: float) -> Estimator:
    return Estimator(**system.options, det_score=score, threads=1, workers=1)


# --- a row


def of_itself(system: System) -> dict[str, Any]:
    """What it is made of."""
    return {
        "boxes": system.boxes,
        "published": system.published,
        "parameters": sum(map(parameters, files(opened(system, 0.3)))),
    }


def on_pictures(system: System) -> dict[str, Any]:
    """AP and AR on coco_val, of all people and of crowded ones."""
    truth = read(COCO_VAL)
    alone = replace(truth, ignored=truth.ignored | ~crowded(truth))
    images = (picture(truth, index) for index in range(len(truth)))
    results = found(truth, images, opened(system, DET_SCORE))
    told = {figure.name: figure for figure in judge(truth, results, ["AP"])}
    return {
        "pictures": len(truth),
        "people": int((~truth.ignored).sum()),
        "crowded people": int((~alone.ignored).sum()),
        "AP": with_interval(told["AP"], len(truth), DRAWS),
        "AR": round(told["AR"].value, 3),
        "crowded AP": with_interval(judge(alone, results, ["AP"])[0], len(truth), DRAWS),
    }


def on_films(system: System) -> dict[str, Any]:
    """HOTA, its parts and id switches, of each seed of both films."""
    estimator = opened(system, 0.3)
    told = [
        [tracked(estimator, walkers(replace(film, seed=seed))) for seed in SEEDS] for film in FILMS
    ]
    measures = {
        name: [[round(one[name], 3) for one in film] for film in told]
        for name in ("HOTA", "DetA", "AssA", "switches")
    }
    return {**measures, "machine": environment()}


PIECES: dict[str, Callable[[System], dict[str, Any]]] = {
    "parameters": of_itself,
    "AP": on_pictures,
    "HOTA": on_films,
}


def crowded(truth: Dataset, least: float = 0.1) -> Array:
    """[N] bool: people whose box shares more than `least` (IoU) with another one's."""
    near = np.zeros(len(truth.picture), bool)
    for rows in truth.rows():
        shared = geometry.iou(truth.boxes[rows], truth.boxes[rows])
        np.fill_diagonal(shared, 0)
        near[rows] = shared.max(1, initial=0) > least
    return near


def found(truth: Dataset, images: Iterable[Image], estimator: Estimator) -> Dataset:
    """What a method finds on the pictures, as COCO's joints."""
    people = [frame.people for frame in estimator.frames(map(Frame, images))]
    return gathered(people, truth.pictures, estimator.skeleton, name="found").to(COCO17)


def tracked(estimator: Estimator, film: list[Moment]) -> dict[str, float]:
    """HOTA and the other measures of `--track` on a film of cut-out people."""
    shown = list(shots(film, cast()))
    frames = [
        Frame(shot.image, number, moment.time, "film")
        for number, (moment, shot) in enumerate(zip(film, shown, strict=True))
    ]
    seen = [as_coco(frame.people) for frame in Follow()(estimator, frames)]
    return figures(judged(shot, found) for shot, found in zip(shown, seen, strict=True))


def as_coco(people: People) -> People:
    """The same people with COCO's joints."""
    if people.skeleton == COCO17:
        return people
    table = mapping(people.skeleton, COCO17)
    return replace(people, keypoints=table(people.keypoints), skeleton=COCO17)


def cast() -> list[Cutout]:
    """People cut out of photos; kept in the temporary folder, since cutting takes a while."""
    kept = Path(tempfile.gettempdir()) / f"everybody-cut-outs-{CAST}.pickle"
    if not kept.is_file():
        with replacing(kept) as part:
            part.write_bytes(pickle.dumps(cut_outs(PHOTOS, CAST)))
    return pickle.loads(kept.read_bytes())


def files(estimator: Estimator) -> list[Path]:
    """The networks that a method runs, each once."""
    return list(dict.fromkeys(Path(one["path"]) for one in estimator.models()))


def parameters(path: Path) -> int:
    """How many trained numbers a file of a network holds."""
    return (_of_tflite if path.suffix == ".tflite" else _of_onnx)(path)


def _of_onnx(path: Path) -> int:
    import onnx

    kinds = onnx.TensorProto
    trained = (kinds.FLOAT, kinds.FLOAT16, kinds.UINT8, kinds.INT8)
    stored = onnx.load(path).graph.initializer
    return sum(int(np.prod(one.dims)) for one in stored if one.data_type in trained)


def _of_tflite(path: Path) -> int:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    total, kinds = 0, schema.TensorType
    trained = (kinds.FLOAT32, kinds.FLOAT16, kinds.INT32, kinds.UINT8, kinds.INT8)
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data) and tensor.type in trained:
            total += int(np.prod(tensor.shape))
    return total


# --- time by the number of people


def cost(systems: Mapping[str, System], repeats: int) -> None:
    """CPU milliseconds of each method at each number of people, and how many it finds; keeps what
    is done after each number, and goes on there.
    """
    estimators = {name: opened(system, 0.3) for name, system in systems.items()}
    for count in COUNTS:
        known = kept()["cost"]
        if count in known.get("counts", ()) and set(systems) <= set(known["milliseconds"]):
            continue
        frame = Frame(crowd(cast(), count))
        seen = {name: len(one([frame])[0].people) for name, one in estimators.items()}
        works = {name: partial(one, [frame]) for name, one in estimators.items()}
        times = by_turns(works, repeats, time.process_time)
        spent = {name: round(min(each), 1) for name, each in times.items()}
        keep({"cost": with_count(known, count, spent, seen) | {"machine": environment()}})
        print(f"{count} people: {spent}", file=sys.stderr, flush=True)


def with_count(
    known: Mapping[str, Any], count: int, spent: Mapping[str, float], seen: Mapping[str, int]
) -> dict[str, Any]:
    """What is known, and the milliseconds and people found at one more number of people, the
    greatest so far; it begins anew where other methods take part.
    """
    same = set(spent) == set(known.get("milliseconds", ()))
    before = known if same else {"counts": [], "milliseconds": {}, "found": {}}
    return {
        "counts": [*before["counts"], count],
        "milliseconds": {n: [*before["milliseconds"].get(n, []), t] for n, t in spent.items()},
        "found": {n: [*before["found"].get(n, []), t] for n, t in seen.items()},
    }


def crossing(counts: Sequence[float], rising: Sequence[float], other: Sequence[float]) -> float:
    """The number of people from which the first takes longer for good, linear between the counts: 0
    if it always does, infinity if it never does.
    """
    gaps = np.asarray(rising, float) - np.asarray(other, float)
    if gaps[-1] <= 0:
        return float("inf")
    below = np.flatnonzero(gaps <= 0)
    if not len(below):
        return 0.0
    last = int(below[-1])
    share = -gaps[last] / (gaps[last + 1] - gaps[last])
    return float(counts[last] + share * (counts[last + 1] - counts[last]))


def plot(cost: Mapping[str, Any], folder: Path) -> None:
    """cost.png: top-down methods as lines, whole-picture ones dashed, both axes logarithmic."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(7.5, 4.8), layout="constrained")
    axes = canvas.subplots()
    for name, times in cost["milliseconds"].items():
        whole = name in SYSTEMS and not SYSTEMS[name].top_down
        axes.plot(cost["counts"], times, "--" if whole else "-", marker="o", label=name)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="people in the picture",
        ylabel="milliseconds of one thread",
    )
    axes.set_xticks(cost["counts"], [str(count) for count in cost["counts"]])
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    canvas.savefig(folder / "methods-cost.png", dpi=90)


# --- the page


def kept() -> dict[str, Any]:
    return json.loads(KEPT.read_text("utf-8")) if KEPT.is_file() else {"rows": {}, "cost": {}}


def keep(change: Mapping[str, Any]) -> None:
    """Into docs/methods.json, with what others have put there meanwhile."""
    with replacing(KEPT) as out:
        text = json.dumps(kept() | dict(change), indent=1, ensure_ascii=False)
        out.write_text(text + "\n", encoding="utf-8")


def run(systems: Mapping[str, System], only: str) -> None:
    """Make what is not there yet, piece by piece."""
    for what, work in PIECES.items():
        for name, system in systems.items():
            if only not in name or what in kept()["rows"].get(name, {}):
                continue
            try:
                opened(system, 0.3)
            except EverybodyError as error:
                print(f"{name}: left out: {error}", file=sys.stderr)
                continue
            begun = time.perf_counter()
            made, rows = work(system), kept()["rows"]
            keep({"rows": rows | {name: rows.get(name, {}) | made}})
            spent = time.perf_counter() - begun
            print(f"{name}: {made} ({spent:.0f} s)", file=sys.stderr, flush=True)


def tables(known: Mapping[str, Any]) -> dict[str, str]:
    """What stands on the page, by the name of its place there."""
    rows, cost = known["rows"], known["cost"]
    order = sorted(rows, key=lambda name: [*SYSTEMS, *rows].index(name))
    accuracy = [head("", "AP", "AR", "AP, crowded", "published AP", "boxes")]
    for name in (name for name in order if "AP" in rows[name]):
        made = rows[name]
        cells = ranged(made["AP"]), short(made["AR"]), ranged(made["crowded AP"])
        accuracy.append(row(name, *cells, made["published"], made["boxes"]))
    names = "HOTA, stay", "HOTA, come and go", "DetA", "AssA", "id switches"
    films = [head("", "parameters", *names)]
    for name in order:
        made = rows[name]
        films.append(row(name, f"{made['parameters'] / 1e6:.2f} M", *_of_films(made)))
    return {
        "accuracy": "\n".join(accuracy),
        "films": "\n".join(films),
        "cost": "\n".join(times(cost)) if cost else "",
        "crossing": "\n".join(crossings(cost)) if cost else "",
    }


def _of_films(made: Mapping[str, Any]) -> list[str]:
    """Cells of a row: the mean HOTA of each film with the lowest and the highest, the mean DetA and
    AssA, and all id switches of each film.
    """
    if "HOTA" not in made:
        return ["–"] * 5
    hotas = [ranged((np.mean(film), min(film), max(film))) for film in made["HOTA"]]
    parts = [short(float(np.mean(made[name]))) for name in ("DetA", "AssA")]
    switches = " and ".join(str(round(sum(film))) for film in made["switches"])
    return [*hotas, *parts, switches]


def times(cost: Mapping[str, Any]) -> list[str]:
    """Milliseconds by the number of people; in brackets how many were found."""
    lines = [head("people", *cost["counts"])]
    for name, spent in cost["milliseconds"].items():
        cells = zip(spent, cost["found"][name], strict=True)
        lines.append(row(name, *(f"{time:.0f} ({seen})" for time, seen in cells)))
    return lines


def crossings(cost: Mapping[str, Any]) -> list[str]:
    """From how many people on each top-down method takes longer than each of the others."""
    spent = cost["milliseconds"]
    whole = [name for name in spent if name in SYSTEMS and not SYSTEMS[name].top_down]
    whole += [name for name in spent if name not in SYSTEMS]
    lines = [head("slower from … people on", *whole)]
    for name in (name for name in spent if name not in whole):
        points = (crossing(cost["counts"], spent[name], spent[other]) for other in whole)
        lines.append(row(name, *map(counted, points)))
    return lines


def counted(people: float) -> str:
    if people == 0:
        return "always"
    return "never" if np.isinf(people) else f"{people:.1f}"


def ranged(value: Sequence[float]) -> str:
    """.512 [.480, .541]"""
    middle, low, high = map(short, value)
    return f"{middle} [{low}, {high}]"


def short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def main() -> None:
    command = parser(__doc__)
    command.add_argument("what", choices=("run", "cost", "page"))
    command.add_argument("--only", default="", help="rows whose name holds this")
    command.add_argument("--repeats", type=int, default=5, help="calls at each number of people")
    command.add_argument("--add", nargs=3, action="append", default=[], metavar="")
    given = parsed(command)
    added = {
        name: System({"method": method, "pose": file}, "none") for name, method, file in given.add
    }
    if given.what == "run":
        run(SYSTEMS | added, given.only)
    if given.what == "cost":
        chosen = {name: one for name, one in (SYSTEMS | added).items() if given.only in name}
        cost(chosen, given.repeats)
    if given.what == "page":
        known = kept()
        PAGE.write_text(filled(PAGE.read_text("utf-8"), tables(known)), encoding="utf-8")
        if known["cost"]:
            plot(known["cost"], PLOT)


if __name__ == "__main__":
    main()
