"""Teach everybody's networks the further joints of body-23, their trunks frozen.

    python scripts/train_second_head.py halpe-256 OUT SHARDS... [--crops 6000] [--set KEY=VALUE]

SHARDS: folders of `scripts/label_feet.py`. Then `everybody export OUT/weights.safetensors` and
`--half`, as docs/training.md says.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from everybody.train.recipes import recipe
from everybody.train.second_head import learn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("recipe")
    add("out", type=Path)
    add("shards", nargs="+")
    add("--crops", type=int, default=6_000)
    add("--set", action="append", default=[])
    add("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    chosen = replace(recipe(options.recipe, options.set), data=tuple(options.shards))
    path = learn(chosen, options.out, crops=options.crops, say=lambda text: print(text, flush=True))
    print(path)


if __name__ == "__main__":
    main()
