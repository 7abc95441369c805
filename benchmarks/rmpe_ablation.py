"""RMPE's ablation (Fang et al. 2017, table 3): each row's model by the same budget, and its AP.

    python -m benchmarks.rmpe_ablation train --out models -d shards --sstn sstn.safetensors
    python -m benchmarks.rmpe_ablation judge --models models

A row is trained where its file is missing, and judged where it is there. AP is measured as by
`benchmarks.rmpe`, on found boxes; differences to the full model are paired, with 95 % bootstrap
intervals over pictures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.common import DETECTOR, counted, gap, head, parsed, parser, pictures, row
from benchmarks.rmpe import DRAWS, ENGINE, datasets, figure, posed, scored
from everybody.data.dataset import Dataset
from everybody.methods.detector import open_detector
from everybody.methods.topdown import open_sppe
from everybody.metrics.figure import Figure
from everybody.nms import pose_nms
from everybody.options import FindOptions, PoseOptions
from everybody.people import People

# name: recipe and settings of its fine-tune, and what the paper's row gave (MPII val mAP,
# PCKh-based)
ROWS = {
    "full": ("rmpe-{net}", ["proposals=pgpg"], 80.8),
    "without SSTN and parallel SPPE": ("{net}", ["proposals=pgpg", "scale=0", "shift=0"], 78.2),
    "without parallel SPPE": ("rmpe-{net}", ["proposals=pgpg", "parallel=0"], 79.1),
    "without PGPG": ("rmpe-{net}", ["proposals="], 73.0),
    "random jitter instead of PGPG": ("rmpe-{net}", ["proposals=jitter"], 77.9),
    "two-step": ("{net}", ["proposals=", "scale=0", "shift=0"], 71.7),
}
SUPPRESSED = {  # rows that reuse the full model
    "without pose NMS": ("none", 75.7),
    "OKS NMS": ("oks", None),
    "soft OKS NMS": ("soft-oks", None),
    "box NMS": ("box", None),
    "AlphaPose's constants": ("alphapose", None),
}


def train(given: argparse.Namespace) -> None:
    """Every row's model by the same data, steps and seeds, from the same bundled SPPE."""
    equal = {
        "steps": given.steps,
        "batch": given.batch,
        "seed": given.seed,
        "rate": 5e-5,
        "warmup": 50,
        "near": 15,
        "anywhere": 0.3,
        "half_body": 0,
        "colour": 0.25,
        "blur": 0.05,
        "jpeg": 0.05,
        "erase": 0.15,
        "occlude": 0.1,
        "paste": 0.1,
        "freeze_norm": "true",
        "evaluate_every": given.steps,
    }
    shared = [part for key, value in equal.items() for part in ("--set", f"{key}={value}")]
    start = {"tinypose-256": "everybody-accurate", "tinypose-128": "everybody-fast"}[given.net]
    everybody = [sys.executable, "-m", "everybody"]
    for name, (recipe, settings, _) in ROWS.items():
        out, chosen = given.out / f"{name} {given.seed}", recipe.format(net=given.net)
        if Path(f"{out}.onnx").is_file():  # of a run before
            continue

        joint = chosen.startswith("rmpe")
        mine = [f"sppe={start}", f"sstn={given.sstn}"] if joint else [f"start={start}"]
        command = [*everybody, "train", chosen, "-o", str(out), "--device", "cpu", *shared]
        command += [part for setting in [*settings, *mine] for part in ("--set", setting)]
        command += [part for folder in given.data for part in ("-d", folder)]
        print(" ".join(command), file=sys.stderr, flush=True)
        subprocess.run(command, check=True)
        export = [*everybody, "export", str(out / "last.safetensors"), f"{out}.onnx"]
        subprocess.run(export, check=True)


def judge(given: argparse.Namespace) -> None:
    """AP of every row."""
    for truth in datasets(given.data, given.limit):
        rows = ablated(given, truth)
        boxes_from = f"boxes detected from {given.det_score:g} on"
        print(f"\n{truth.name}: {counted(truth)}; {boxes_from}; seed {given.seed}\n")
        print(head("row", "AP", "against full", "paper (MPII val mAP)"))
        for name, (found, paper) in rows.items():
            known = "full" in rows and name != "full"
            worse = gap(rows["full"][0], found, len(truth), DRAWS) if known else "–"
            print(row(name, f"{found.value:.3f}", worse, paper or "–"))
        for name in {**ROWS, **SUPPRESSED}:
            if name not in rows:
                print(row(name, "not measured", "–", "–"))


def ablated(given: argparse.Namespace, truth: Dataset) -> dict[str, tuple[Figure, float | None]]:
    """Each row's AP, and the paper's; rows whose model is not there are left out."""
    detector = open_detector(FindOptions(detector=DETECTOR, score=given.det_score), ENGINE)
    frames = [(image, rows, detector([image])[0]) for image, rows in pictures(truth)]
    out: dict[str, tuple[Figure, float | None]] = {}
    last: dict[str, tuple[Figure, float | None]] = {}
    for name, (_, _, paper) in ROWS.items():
        path = given.models / f"{name} {given.seed}.onnx"
        if not path.is_file():
            continue

        sppe = open_sppe(PoseOptions(model=path), ENGINE)
        poses = [posed(sppe, image, people) for image, _, people in frames]
        way = pose_nms("none" if name == "two-step" else "parametric")
        out[name] = figure(truth, [way(people) for people in poses]), paper
        if name != "full":
            continue

        for other, (text, value) in SUPPRESSED.items():
            last[other] = figure(truth, [pose_nms(text)(people) for people in poses]), value
        given_boxes = [(image, People.from_boxes(truth.boxes[rows])) for image, rows, _ in frames]
        true = [posed(sppe, image, people) for image, people in given_boxes]
        last["true boxes"] = figure(truth, scored(true)), 84.2
    return out | last


def main() -> None:
    whole = parser(__doc__)
    commands = whole.add_subparsers(required=True)

    one = commands.add_parser("train", help=train.__doc__)
    one.set_defaults(what=train)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("-d", "--data", action="append", required=True)
    one.add_argument("--sstn", required=True, help="safetensors; all rows with an SSTN start there")
    one.add_argument("--net", default="tinypose-256", choices=["tinypose-256", "tinypose-128"])
    one.add_argument("--steps", type=int, default=400)
    one.add_argument("--batch", type=int, default=32)
    one.add_argument("--seed", type=int, default=1)

    one = commands.add_parser("judge", help=judge.__doc__)
    one.set_defaults(what=judge)
    one.add_argument("--data", nargs="+", default=["coco_val", "lspet/val.npz"])
    one.add_argument("--limit", type=int, default=0, help="pictures of each data set")
    one.add_argument("--models", type=Path, required=True)
    one.add_argument("--det-score", type=float, default=0.1)
    one.add_argument("--seed", type=int, default=1)

    given = parsed(whole)
    given.what(given)


if __name__ == "__main__":
    main()
