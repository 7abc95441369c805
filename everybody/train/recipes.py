"""The named recipes of `everybody train`: each differs from `BASE`, or from the one of its kind, in
what is said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import unknown
from .recipe import Recipe, changed

BASE = Recipe()
MILDLY: dict[str, Any] = {"colour": 0.2, "blur": 0.05, "jpeg": 0.05}  # how whole pictures change
TINY = replace(  # fine-tunes a public PP-TinyPose: --set start=tinypose-256x192.onnx
    BASE,
    model="tinypose",
    rate=1e-4,
    decay=0.0,
    warmup=200,
    batch=32,
    steps=2_000,
    precision="32-true",
    near=20.0,
    evaluate_every=250,
    log_every=25,
    colour=0.25,
    erase=0.15,
    occlude=0.1,
    paste=0.1,
    half_body=0.1,
    blur=0.05,
    jpeg=0.05,
)
RMPE = replace(
    BASE,
    task="rmpe",
    padding=1.3,
    steps=2_000,
    batch=32,
    rate=2e-4,
    warmup=100,
    near=15.0,
    anywhere=0.5,
    proposals="pgpg",
    half_body=0.0,
    freeze_norm=True,
    evaluate_every=500,
)
RMPE_TINY = replace(RMPE, model="tinypose", rate=5e-5, decay=0.0, precision="32-true")
CUSTOM = replace(  # other joints than people's, from a network of people
    TINY,
    model="tinypose-cells",
    start="everybody-fast",
    size=(128, 128),
    padding=1.1,
    sigma=1.5,
    rate=5e-4,
    warmup=30,
    steps=400,
    ema=0.99,
    half_body=0.0,
    held_back=0.1,
    evaluate_every=50,
    log_every=10,
)
MORE = replace(
    TINY,
    model="tinypose-more",
    sigma=2.0,
    rate=2e-3,
    warmup=50,
    steps=1_200,
    ema=0.99,
    anywhere=0.15,
    freeze=("stem", "first", "stages", "head"),
)
LIFTER = replace(  # learns from captured motion: --data cmu24_30fps.npz
    BASE,
    model="lifter",
    steps=6_000,
    batch=256,
    rate=2e-3,
    warmup=200,
    decay=0.01,
    ema=0.999,
    precision="bf16-mixed",  # thrice as fast on CPUs
    held_out=("9", "12", "14"),
    evaluate_every=500,
)
WHOLE = replace(  # joints of whole pictures, from the bundled detector's trunk
    BASE,
    start="everybody-detector",
    size=(256, 256),
    padding=0.8,
    batch=8,
    near=8.0,
    scale=0.4,
    shift=0.12,
    **MILDLY,
    rate=5e-4,
    relative=True,
    fresh=("pyramid", "heads"),
    fresh_rate=4.0,
    decay=0.0,
    steps=2_000,
    warmup=50,
    ema=0.998,
    log_every=25,
    evaluate_every=250,
    checkpoint_minutes=3.0,
    freeze=("trunk.stem", "trunk.stages.0", "trunk.stages.1"),
)
DETECTOR = replace(  # our own, from nothing
    BASE,
    size=(416, 416),
    padding=1.0,
    batch=32,
    anywhere=0.3,
    near=8.0,
    scale=0.6,
    shift=0.05,
    rate=1e-3,
)
FINDER = replace(  # goes on from a trained RTMDet-nano
    BASE,
    **MILDLY,
    model="rtmdet-nano",
    size=(320, 320),
    batch=8,
    shift=0.1,
    relative=True,
    decay=0.0,
    warmup=50,
    log_every=25,
    evaluate_every=250,
    precision="32-true",
    freeze=("stem", "stages.0"),
)
RECIPES: dict[str, Recipe] = {
    "sppe-fast": replace(BASE, anywhere=0.3),
    "sppe-accurate": replace(BASE, model="sppe-accurate", size=(192, 256), anywhere=0.3),
    "tinypose-256": replace(TINY, size=(192, 256), padding=1.15, sigma=2.0),
    # Joints and categories of your own, from the bundled networks of people (docs/custom.md).
    "custom": CUSTOM,
    "custom-detector": replace(
        FINDER,
        model="yolox-nano",
        start="yolox-nano-animals",  # knows COCO's 80 categories
        size=(416, 416),
        padding=0.9,
        near=5.0,
        scale=0.3,
        colour=0.15,
        rate=2e-4,
        steps=800,
        ema=0.995,
        held_back=0.1,
        evaluate_every=50,
        log_every=10,
        freeze=("backbone.backbone.stem", "backbone.backbone.dark2"),
        freeze_norm=True,
    ),
    "animals": replace(CUSTOM, steps=800, held_back=0.05, evaluate_every=100),
    "tinypose-128": replace(TINY, size=(96, 128), padding=1.1, sigma=1.0),
    # A second head for Halpe-26's other joints, on the frozen trunks (`second_head.py`).
    "halpe-256": replace(
        MORE,
        model="tinypose-deeper",
        start="everybody-accurate",
        size=(192, 256),
        padding=1.15,
        rate=1e-3,
        steps=800,
        ema=0.995,
    ),
    "halpe-128": replace(MORE, start="everybody-fast", size=(96, 128), padding=1.1, sigma=1.0),
    # Told by rough poses which of the people in its box is meant (docs/training.md).
    "conditioned-128": replace(
        TINY,
        model="tinypose-conditioned",
        start="everybody-fast",
        size=(96, 128),
        padding=1.1,
        sigma=1.0,
        rate=2e-4,
        warmup=20,
        steps=600,
        near=10.0,
        half_body=0.0,
        paste=0.0,
        ema=0.98,
        evaluate_every=100,
    ),
    # Small enough for a CPU: 96 x 128 as the small PP-TinyPose.
    "simple-baseline-18": replace(
        BASE, model="simple-baseline-18", size=(96, 128), sigma=1.0, rate=1e-3, batch=32
    ),
    # A later stage of DeepPose's cascade: `padding` is the paper's σ, `shift` how far the stage
    # before is off, both in diameters of the person.
    "cascade": replace(
        BASE,
        model="deeppose-slim",
        task="cascade",
        size=(96, 128),
        sigma=0.0,
        padding=1.0,
        shift=0.2,
        scale=0.1,
        half_body=0.0,
        rate=1e-3,
        batch=32,
    ),
    "adversarial": replace(
        BASE, model="adversarial-slim", size=(96, 128), sigma=1.0, rate=1e-3, batch=32
    ),
    "simcc-18": replace(BASE, model="simcc-18", size=(96, 128), sigma=0.0, rate=1e-3, batch=32),
    "turn": replace(
        BASE,
        model="turn",
        size=(64, 64),
        padding=1.2,
        steps=20_000,
        batch=128,
        near=15.0,
        anywhere=0.2,
        scale=0.35,
        shift=0.12,
        half_body=0.1,
        blur=0.05,
        jpeg=0.03,
        erase=0.2,
    ),
    "rmpe-sstn": replace(
        BASE,
        model="sstn",
        size=(60, 80),
        padding=1.3,
        steps=8_000,
        batch=128,
        near=15.0,
        anywhere=0.5,
        proposals="uniform",
        noise=0.3,
        jpeg=0.0,
        half_body=0.0,
    ),
    "rmpe-fast": replace(RMPE, model="sppe-fast"),
    "rmpe-tinypose-256": replace(RMPE_TINY, size=(192, 256), region=1.15, sigma=2.0),
    "rmpe-tinypose-128": replace(RMPE_TINY, size=(96, 128), region=1.1, sigma=1.0),
    "rmpe-accurate": replace(RMPE, model="sppe-accurate", size=(192, 256)),
    "detector-fast": replace(DETECTOR, model="detector-fast"),
    "detector-accurate": replace(DETECTOR, model="detector-accurate"),
    # Everybody in a whole picture, without boxes in between (docs/training.md).
    "openpose-small": replace(WHOLE, model="openpose-small"),
    "personlab-small": replace(WHOLE, model="personlab-small"),
    "movenet-small": replace(WHOLE, model="movenet-small"),
    "one-stage-small": replace(WHOLE, model="one-stage-small", fresh=("heads",)),
    "many-small": replace(WHOLE, model="many-small"),  # all four at once, to be cut apart
    "keypoint-rcnn-small": replace(
        WHOLE,
        model="keypoint-rcnn-small",
        fresh=("backbone.fpn", "rpn", "roi_heads"),
        freeze=("backbone.body.stem", "backbone.body.stages.0", "backbone.body.stages.1"),
    ),
    "lifter": LIFTER,
    "lifter-1": replace(LIFTER, model="lifter-1", steps=4_000),
    "lifter-causal": replace(LIFTER, model="lifter-causal"),
    # Teaches a public RTMDet-nano people at any turn, by itself.
    "rtmdet-nano": replace(
        FINDER,
        task="equivariant",
        start="rtmdet-nano-person",
        padding=0.75,
        anywhere=0.1,
        quarters=0.5,
        scale=0.5,
        rate=2.5e-4,
        steps=2_000,
        ema=0.998,
        held_back=0.03,
    ),
}


def recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """The named recipe with 'key=value' settings. Raises OptionError that names the known recipes,
    keys and models.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return changed(RECIPES[name], settings)
