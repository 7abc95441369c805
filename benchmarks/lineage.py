"""Ten years of single-person pose networks in one table: same pictures, same crops, same budget.

    everybody label ../shared/data/photos/SET -o LABELS --det-score 0.5 --paddings 1.15
    python -m benchmarks.lineage pack --work WORK --labels LABELS
    python -m benchmarks.lineage run --work WORK  # hours; the same command goes on after a stop
    python -m benchmarks.lineage run --work WORK --only cpm --minutes 60
    python -m benchmarks.lineage run --work WORK --only dsnt --seed 2    # after its row: once more
    python -m benchmarks.lineage table            # of docs/lineage/index.md, and curves.png

Every network is trained by `everybody train`'s loop from nothing: 102,400 crops of 96 × 128 (3,200
steps of 32), AdamW, the same augmentation, seed 1. Its learning rate is the best of `RATES` after
10,240 crops each, by the mean OKS of the held-back twentieth of the pictures; other seeds, for rows
that are close, take the same rate. All cost about the same, .1 to .15 billion multiplications a
crop (`…-slim` in MODELS), so that published sizes play no part. What is judged on is neither
trained nor chosen on.

A finished row is a file in docs/lineage/rows, with its figures, 95 % intervals (bootstrap over
pictures), curve and machine. Rows that are there are not made again.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    COCO_TRAIN,
    COCO_VAL,
    DATA,
    DETECTOR,
    ROOT,
    environment,
    filled,
    head,
    parsed,
    parser,
    row,
)
from everybody import runtime
from everybody.atomic import replacing
from everybody.data.dataset import Dataset
from everybody.data.join import common
from everybody.data.read import read
from everybody.metrics import pck
from everybody.metrics.figure import Figure
from everybody.metrics.judge import judge
from everybody.metrics.predict import predict
from everybody.metrics.tables import About, to_json, verdicts
from everybody.skeletons import COCO17

RATES = (3e-4, 1e-3, 3e-3)
SEARCH, FULL = 320, 3200  # steps
ROWS = ROOT / "docs/lineage/rows"
DRAWS = 500
SIDE, LEAST = 160, 0.3  # of packed crops in pixels; score below which a teacher's joint is none
# Where predictions differ, `.1` tells more than the usual .2, which both measures share.
ON_COCO = ("AP", "PCK@0.2", "PDJ@0.1")
ON_LSP = ("PCK@0.2", "PCKh@0.5", "PCP@0.5", "PDJ@0.1")
CROPS: dict[str, Any] = {
    "size": (96, 128),
    "batch": 32,
    "warmup": 100,
    "near": 20.0,
    "sigma": 0.0,
    "log_every": 20,
    "checkpoint_minutes": 3.0,
}
HEATMAPS: dict[str, Any] = {"sigma": 1.0}  # in cells of the small crop


@dataclass(frozen=True, slots=True)
class Entry:
    """What is trained: a key of MODELS, and what its recipe has beside `CROPS`."""

    model: str
    title: str
    year: int
    settings: dict[str, Any]
    published: str  # of a published size, for comparison; see the table's text


# Published: AP on COCO val2017 with detected boxes (person AP 56.4), 256 × 192 if not said.
ENTRIES: dict[str, Entry] = {
    "simple-baseline": Entry(
        "simple-baseline-slim", "Simple Baselines", 2018, HEATMAPS, ".718 ResNet-50"
    ),
    "deeppose": Entry("deeppose-slim", "DeepPose, AlexNet", 2014, {}, "–"),
    "deeppose-resnet": Entry(
        "deeppose-resnet-slim", "DeepPose, ResNet", 2014, {}, ".528 ResNet-50"
    ),
    "hourglass": Entry(
        "hourglass-slim", "Stacked Hourglass, 2 stacks", 2016, HEATMAPS, ".726 1 stack, 256²"
    ),
    "rle": Entry(
        "deeppose-resnet-slim-rle", "RLE, DeepPose on a ResNet", 2021, {}, ".706 ResNet-50"
    ),
    "simcc": Entry("simcc-slim", "SimCC", 2022, {}, ".721 ResNet-50"),
    "tompson": Entry("tompson-slim", "Efficient Object Localization", 2015, {}, "–"),
    "cpm": Entry("cpm-slim", "Convolutional Pose Machines", 2016, HEATMAPS, ".623 6 stages"),
    "ief": Entry("ief-slim", "Iterative Error Feedback", 2016, {}, "–"),
    "hrnet": Entry("hrnet-w18-small", "HRNet", 2019, HEATMAPS, ".746 W32"),
    "fastpose": Entry("fastpose-slim", "FastPose", 2022, HEATMAPS, "–"),
    "integral": Entry(
        "integral-slim", "Integral regression", 2018, HEATMAPS, ".633 ResNet-50, 256²"
    ),
    "dsnt": Entry("dsnt-fast", "DSNT", 2018, {}, ".674 ResNet-50, 256²"),
    "rtmpose": Entry("rtmpose-t", "RTMPose-t", 2023, {}, ".682"),
    "vitpose": Entry("vitpose-slim", "ViTPose, simple decoder", 2022, HEATMAPS, ".735 S"),
    "adversarial": Entry("adversarial-slim", "Adversarial PoseNet", 2017, HEATMAPS, "–"),
    "adversarial-alone": Entry(
        "adversarial-slim", "its generator alone", 2017, HEATMAPS | {"critics": 0.0}, "–"
    ),
    "sppe": Entry("sppe-fast", "ours: cross-entropy over cells", 2026, HEATMAPS, "–"),
}


def pack(work: Path, labels: Sequence[Path]) -> None:
    """LSP-extended and COCO's training pictures, and what teachers have labelled, as shards of
    COCO's joints; without near-duplicates of what is judged on.
    """
    from everybody.train import distill, squares

    judged = [COCO_VAL / "images", DATA / "lspet/val"]
    given = {"lspet": DATA / "lspet/train.npz", "coco": COCO_TRAIN}
    given |= {f"labels-{number}": path for number, path in enumerate(labels)}
    for name, path in given.items():
        data, leaks = distill.without_leaks(distill.trusted(read(path), LEAST), judged)
        count = squares.pack_crops(data.to(COCO17), work / "shards" / name, size=SIDE, say=say)
        say(f"{path}: {count} crops, {leaks} pictures left out")


def recipe_of(entry: Entry, rate: float, steps: int, seed: int = 1) -> Any:
    """The recipe of a run of so many steps."""
    from everybody.train.recipes import BASE

    numbers = CROPS | entry.settings | {"evaluate_every": steps // 8 if steps == FULL else steps}
    return replace(BASE, model=entry.model, rate=rate, steps=steps, seed=seed, **numbers)


def trained(
    entry: Entry,
    rate: float,
    steps: int,
    out: Path,
    packed: Callable[[], Any],
    until: float,
    seed: int = 1,
) -> dict[str, Any] | None:
    """Train in OUT, or go on there: the score, log and duration; None if time ran out."""
    from everybody.train import log, loop
    from everybody.train.tasks import task

    done = out / "done.json"
    if done.is_file():
        return json.loads(done.read_text())
    recipe = recipe_of(entry, rate, steps, seed)
    left = (until - time.monotonic()) / 60
    progress = loop.train(
        recipe, task(recipe, packed()), out, fabric=loop.on(recipe, "cpu"), minutes=left, say=say
    )
    if progress.step < steps:
        return None
    found = {"best": progress.best, "seconds": progress.seconds, "log": log.read(out)}
    write_json(done, found)
    return found


def searched(
    entry: Entry, folder: Path, packed: Callable[[], Any], until: float
) -> dict[str, float] | None:
    """Rate -> score of the short runs. A run that diverges scores nothing."""
    from everybody.train.loop import Diverged

    scores: dict[str, float] = {}
    for rate in RATES:
        try:
            run = trained(entry, rate, SEARCH, folder / f"rate-{rate:g}", packed, until)
        except Diverged as error:
            say(str(error))
            run = {"best": 0.0}
            write_json(folder / f"rate-{rate:g}/done.json", run)
        if run is None:
            return None
        scores[f"{rate:g}"] = run["best"]
    return scores


def row_of(
    name: str, work: Path, packed: Callable[[], Any], until: float, limit: int
) -> dict[str, Any] | None:
    """Search, train, export and judge one entry; None if time ran out."""
    from everybody.train.export import export

    entry, folder = ENTRIES[name], work / "runs" / name
    scores = searched(entry, folder, packed, until)
    if scores is None:
        return None
    rate = max(scores, key=lambda key: scores[key])
    run = trained(entry, float(rate), FULL, folder / "full", packed, until)
    if run is None:
        return None
    onnx = folder / "net.onnx"
    export(folder / "full/best.safetensors", onnx)
    scored = [[row["step"], row["oks"]] for row in run["log"] if "oks" in row]
    return {
        "name": name,
        "model": entry.model,
        "rates": scores,
        "rate": float(rate),
        "crops": FULL * CROPS["batch"],
        "seconds": round(run["seconds"]),
        "curve": [[int(step) * CROPS["batch"], value] for step, value in scored],
        **costs(entry, onnx),
        "judged": judged(onnx, limit),
        "machine": environment(),
    }


def again(
    name: str, seed: int, rate: float, work: Path, packed: Callable[[], Any], until: float
) -> dict[str, Any] | None:
    """An entry trained at a known rate with another seed, and judged; None if time ran out."""
    from everybody.train.export import export

    folder = work / "runs" / name / f"seed-{seed}"
    run = trained(ENTRIES[name], rate, FULL, folder, packed, until, seed)
    if run is None:
        return None
    onnx = folder / "net.onnx"
    export(folder / "best.safetensors", onnx)
    told = {"name": name, "seed": seed, "rate": rate, "seconds": round(run["seconds"])}
    return {**told, "judged": judged(onnx, 0), "machine": environment()}


def costs(entry: Entry, onnx: Path) -> dict[str, float]:
    """Parameters, multiplications of a crop, and its least milliseconds on one thread."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from everybody.models import MODELS
    from everybody.train.tasks import network

    net = network(recipe_of(entry, RATES[0], FULL)).eval()
    width, height = CROPS["size"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        MODELS[entry.model].answers(net, torch.zeros(1, 3, height, width))
    session, crop = runtime.load(onnx, threads=1), np.zeros((1, 3, height, width), np.float32)
    spent = []
    for _ in range(100):
        begun = time.perf_counter()
        session(crop)
        spent.append(time.perf_counter() - begun)
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "multiplications": counter.get_total_flops() // 2,
        "milliseconds": round(1e3 * min(spent), 2),
    }


def judged(onnx: Path, limit: int) -> dict[str, Any]:
    """Figures and intervals on both sets, true boxes; on COCO's also AP with detected ones."""
    options: dict[str, Any] = {"pose": str(onnx), "orientation": "upright"}
    coco, lsp = read(COCO_VAL), read(DATA / "lspet/val.npz")
    if limit:
        coco, lsp = coco.subset(range(limit)), lsp.subset(range(limit))
    # COCO's joints have no head to measure: the length is LSP's own.
    heads = pck.head_length(lsp.keypoints, lsp.labelled, lsp.skeleton)
    lsp = replace(lsp, heads=heads)
    found = predict(coco, boxes="gt", **options)
    on_lsp, lsp = common(predict(lsp, boxes="gt", **options), lsp, mapped=True)
    seen = predict(coco, detector=DETECTOR, det_size=(416, 416), **options)
    return {
        "coco, true boxes": verdict(coco, judge(coco, found, ON_COCO)),
        "coco, detected": verdict(coco, judge(coco, seen, ["AP"])),
        "lsp, true boxes": verdict(lsp, judge(lsp, on_lsp, ON_LSP)),
    }


def verdict(truth: Dataset, figures: list[Figure]) -> dict[str, list[float | None]]:
    """Name of a figure -> its value and both ends of its interval."""
    found = to_json(verdicts([(About.of(truth, ""), figures)], repeats=DRAWS))
    ends = found["intervals"]
    kept = [name for name in ends if "@" in name or name in ("AP", "AP50", "AR")]
    return {name: [found[name], *ends[name]] for name in kept if " mean of " not in name}


def run(work: Path, rows: Path, only: str, minutes: float, limit: int, seed: int) -> None:
    """All rows that are missing, one after the other; another seed than 1 goes over known rows."""
    import torch

    from everybody.train import shards

    torch.set_num_threads(1)
    kept: list[Any] = []

    def packed() -> Any:  # read once, and only if something is to be trained
        if not kept:
            kept.append(shards.load([work / "shards"], threads=1))
        return kept[0]

    until = time.monotonic() + 60 * minutes
    for name in [name for name in ENTRIES if only in name]:
        path, first = seeded(rows, name, seed), rows / f"{name}.json"
        if path.is_file() or (seed != 1 and not first.is_file()):
            continue
        say(f"--- {name}")
        if seed == 1:
            made = row_of(name, work, packed, until, limit)
        else:
            rate = json.loads(first.read_text("utf-8"))["rate"]
            made = again(name, seed, rate, work, packed, until)
        if made is None:
            say(f"stopped in {name}; the same command goes on")
            return
        write_json(path, made | {"pictures": pictures(packed())})
        say(f"{name}: done")


def seeded(rows: Path, name: str, seed: int) -> Path:
    """The file of a row."""
    return rows / (f"{name}.json" if seed == 1 else f"{name}-seed-{seed}.json")


def seeds(rows: Path) -> str:
    """PCK@0.2 by seed, of the entries that were trained with several."""
    known = [1, *sorted({json.loads(p.read_text("utf-8"))["seed"] for p in rows.glob("*-seed-*")})]
    sets = ("coco, true boxes", "coco_val"), ("lsp, true boxes", "lspet/val")
    lines = [head("", *(f"{title}, seed {seed}" for _, title in sets for seed in known))]
    for name in sorted(ENTRIES, key=lambda name: ENTRIES[name].year):
        paths = [seeded(rows, name, seed) for seed in known]
        if all(path.is_file() for path in paths[:2]) and len(known) > 1:
            made = [
                json.loads(p.read_text("utf-8"))["judged"] if p.is_file() else {} for p in paths
            ]
            cells = [
                f"{one[key]['PCK@0.2'][0]:.3f}".removeprefix("0") if one else "–"
                for key, _ in sets
                for one in made
            ]
            lines.append(row(ENTRIES[name].title, *cells))
    return "\n".join(lines)


def table(rows: Path, folder: Path) -> None:
    """Both tables of FOLDER/index.md, and curves.png, of all finished rows in order of years."""
    from matplotlib.figure import Figure as Canvas

    done = {name: rows / f"{name}.json" for name in sorted(ENTRIES, key=lambda n: ENTRIES[n].year)}
    made = {name: json.loads(path.read_text()) for name, path in done.items() if path.is_file()}
    lines = [
        head(
            "",
            "M",
            "GMAC",
            "ms",
            "rate",
            "AP, true boxes",
            "AP, detected",
            "PCK@0.2",
            "PDJ@0.1",
            "published",
        )
    ]
    sport = [head("", "PCK@0.2", "PCKh@0.5", "PCP@0.5", "PDJ@0.1")]
    canvas = Canvas(figsize=(9, 5), layout="constrained")
    axes = canvas.subplots()
    axes.set(xlabel="crops seen", ylabel="mean OKS of held-back people")
    for number, (name, found) in enumerate(made.items()):
        entry, (true, seen, lsp) = ENTRIES[name], found["judged"].values()
        lines.append(
            row(
                f"{entry.title} ({entry.year})",
                f"{found['parameters'] / 1e6:.2f}",
                f"{found['multiplications'] / 1e9:.3f}",
                f"{found['milliseconds']:.1f}",
                f"{found['rate']:g}",
                ranged(true["AP"]),
                ranged(seen["AP"]),
                ranged(true["PCK@0.2"]),
                ranged(true["PDJ@0.1"]),
                entry.published,
            )
        )
        sport.append(row(entry.title, *(ranged(lsp[measure]) for measure in ON_LSP)))
        line = "-" if number < 10 else "--"  # matplotlib has ten colours
        axes.plot(*zip(*found["curve"], strict=True), line, marker=".", label=entry.title)
    if made:
        canvas.legend(loc="outside right upper", frameon=False, fontsize=8)
    canvas.savefig(folder / "curves.png", dpi=90)
    page = folder / "index.md"
    parts = {"coco": "\n".join(lines), "lsp": "\n".join(sport), "seeds": seeds(rows)}
    page.write_text(filled(page.read_text("utf-8"), parts), encoding="utf-8")


def ranged(value: Sequence[float]) -> str:
    """A figure and its interval: '.512 [.480, .541]'."""
    middle, low, high = (f"{number:.3f}".removeprefix("0") for number in value)
    return f"{middle} [{low}, {high}]"


def pictures(pack: Any) -> dict[str, int]:
    """How many crops the shards hold of each folder of pictures."""
    folders = [name.split("/")[0] for name in pack.names]
    return {folder: folders.count(folder) for folder in dict.fromkeys(folders)}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A line for every key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    with replacing(path) as part:
        part.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S", time.gmtime()), text, file=sys.stderr, flush=True)


def main() -> None:
    command = parser(__doc__)
    kinds = command.add_subparsers(dest="what", required=True)
    packing = kinds.add_parser("pack")
    packing.add_argument("--work", type=Path, required=True, help="folder of shards and runs")
    packing.add_argument("--labels", type=Path, nargs="*", default=[], help="results of label")
    train = kinds.add_parser("run")
    train.add_argument("--work", type=Path, required=True, help="folder of shards and runs")
    train.add_argument("--rows", type=Path, default=ROWS, help="folder of finished rows")
    train.add_argument("--only", default="", help="rows whose name holds this")
    train.add_argument("--seed", type=int, default=1, help="of training; not 1: at the row's rate")
    train.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    train.add_argument("--limit", type=int, default=0, help="judge on the first so many pictures")
    tables = kinds.add_parser("table")
    tables.add_argument("--rows", type=Path, default=ROWS, help="folder of finished rows")
    given = parsed(command)
    if given.what == "table":
        table(given.rows, ROWS.parent)
    if given.what == "pack":
        pack(given.work, given.labels)
    if given.what == "run":
        run(given.work, given.rows, given.only, given.minutes, given.limit, given.seed)


if __name__ == "__main__":
    main()
