"""A training run as one value. Named recipes are `replace(BASE, ...)`; `--set key=value` changes
single fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..errors import OptionError, unknown
from ..models import MODELS

# Tasks as earlier versions called them; a task that the model chooses by itself is "".
EARLIER_TASKS = dict.fromkeys(("pose", "turn", "detector", "sstn"), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What, on what, how long, and how pictures change. Angles in degrees, shares in [0, 1]."""

    model: str = "sppe-fast"  # a key of MODELS
    task: str = ""  # a key of TASKS; "": the one of the kind of sample that the model learns from
    data: tuple[str, ...] = ()  # folders of shards (`everybody pack`)
    # Safetensors, a published checkpoint, or the ONNX file or name of a public model of that kind;
    # "": from scratch.
    start: str = ""
    size: tuple[int, int] = (
        144,
        192,
    )  # of the crop or picture that the network sees: width, height
    padding: float = 1.25  # of the box to the crop
    sigma: float = 1.5  # of the target Gaussians, in cells or bins; 0: the codec's own

    steps: int = 20_000
    batch: int = 64  # of one step, over all processes and accumulated parts
    accumulate: int = 1  # parts of a batch, one after the other
    rate: float = 2e-3
    relative: bool = False  # the rate is a share of each channel's size: for folded normalisation
    # Parts that start from nothing on a trunk that knows something: their rate is absolute, and
    # `fresh_rate` times the others'.
    fresh: tuple[str, ...] = ()
    fresh_rate: float = 1.0
    decay: float = 0.05
    warmup: int = 300  # steps
    clip: float = 5.0  # of the gradient's norm
    ema: float = 0.999
    precision: str = "bf16-mixed"
    # Parts of the network that keep the numbers they started with, as in stem,stages.0.
    freeze: tuple[str, ...] = ()
    freeze_norm: bool = False  # batch normalisation keeps the statistics it started with
    seed: int = 1

    held_back: float = 0.05  # share of the pictures that choose the checkpoint
    held_out: tuple[str, ...] = ()  # subjects of captured motion that choose it
    evaluate_every: int = 1_000  # steps
    log_every: int = 50
    checkpoint_minutes: float = 5.0
    checkpoint_part: float = 0.0  # MiB per file of a checkpoint; 0: one file

    # How pictures are changed. Whole pictures, for detectors, have no half bodies, nothing that
    # hides people and nobody pasted in. An SSTN's boxes are wrong by `proposals` instead of `scale`
    # and `shift`. `quarters` is for detectors.
    near: float = 25.0  # standard deviation of the turn
    anywhere: float = 0.0  # share turned by any angle
    quarters: float = 0.0  # share of the others turned by one, two or three quarters exactly
    scale: float = 0.25  # factor up to 1 ± scale
    shift: float = 0.08  # of the box, in its sides
    flip: float = 0.5
    half_body: float = 0.2
    colour: float = 0.4
    blur: float = 0.1
    jpeg: float = 0.1
    erase: float = 0.3
    occlude: float = 0.15
    paste: float = 0.15

    # How boxes are wrong, beside scale and shift: uniform, pgpg or jitter (`proposals.named`).
    proposals: str = ""
    noise: float = 0.0  # of uniform proposals, in sides of the box
    # Padding of the true box to the region that an SSTN should find: the SPPE's own.
    region: float = 1.25
    sstn: str = ""  # safetensors to start the SSTN from: another SSTN, or a turn net (its body)
    sppe: str = ""  # what the SPPE inside RMPE starts from, as `start`
    # Weight of answering as at the start, for people that only a teacher has labelled.
    imitate: float = 0.0
    direct: float = 1.0  # weight of θ itself in the loss
    parallel: float = 1.0  # weight of the parallel SPPE; 0: without
    pose: float = 1.0  # weight of the SPPE's own loss; 0: it stays as it is
    # How much Adversarial PoseNet's two critics count, as a factor of the paper's weights; 0: the
    # generator learns alone.
    critics: float = 1.0

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`, also of earlier versions: keys that this version does not know
        are left out.
        """
        known: dict[str, Any] = {field.name: field.default for field in fields(cls)}
        given: dict[str, Any] = {
            key: value for key, value in json.loads(text).items() if key in known
        }
        lists: dict[str, Any] = {
            key: tuple(value) for key, value in given.items() if isinstance(value, list)
        }
        task = given.get("task", "")
        renamed: dict[str, Any] = {"task": EARLIER_TASKS.get(task, task)}
        return cls(**(given | lists | renamed))


BASE = Recipe()
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
UNCHANGED: dict[str, Any] = dict.fromkeys(  # pictures as they are
    (
        "near",
        "anywhere",
        "quarters",
        "scale",
        "shift",
        "flip",
        "half_body",
        "colour",
        "blur",
        "jpeg",
        "erase",
        "occlude",
        "paste",
    ),
    0.0,
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
    colour=0.2,
    blur=0.05,
    jpeg=0.05,
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
RECIPES: dict[str, Recipe] = {
    "sppe-fast": replace(BASE, anywhere=0.3),
    "sppe-accurate": replace(BASE, model="sppe-accurate", size=(192, 256), anywhere=0.3),
    "tinypose-256": replace(TINY, size=(192, 256), padding=1.15, sigma=2.0),
    # Joints and categories of your own, from the bundled networks of people (docs/custom.md).
    "custom": CUSTOM,
    "custom-detector": replace(
        BASE,
        model="rtmdet-nano",
        start="everybody-detector",
        size=(320, 320),
        padding=0.9,
        batch=8,
        near=5.0,
        scale=0.4,
        shift=0.1,
        colour=0.2,
        blur=0.05,
        jpeg=0.05,
        rate=1e-3,
        relative=True,
        decay=0.0,
        steps=1_000,
        warmup=50,
        ema=0.99,
        log_every=25,
        evaluate_every=250,
        precision="32-true",
        freeze=("stem", "stages.0"),
    ),
    "animals": replace(CUSTOM, steps=800, held_back=0.05, evaluate_every=100),
    "tinypose-128": replace(TINY, size=(96, 128), padding=1.1, sigma=1.0),
    # A second head for Halpe-26's other joints, on the frozen trunks (`second_head.py`).
    "halpe-256": replace(MORE, start="everybody-accurate", size=(192, 256), padding=1.15),
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
    "rmpe-tinypose-256": replace(
        RMPE,
        model="tinypose",
        size=(192, 256),
        region=1.15,
        sigma=2.0,
        rate=5e-5,
        decay=0.0,
        precision="32-true",
    ),
    "rmpe-tinypose-128": replace(
        RMPE,
        model="tinypose",
        size=(96, 128),
        region=1.1,
        sigma=1.0,
        rate=5e-5,
        decay=0.0,
        precision="32-true",
    ),
    "rmpe-accurate": replace(RMPE, model="sppe-accurate", size=(192, 256)),
    "detector-fast": replace(
        BASE,
        model="detector-fast",
        size=(416, 416),
        padding=1.0,
        batch=32,
        anywhere=0.3,
        near=8.0,
        scale=0.6,
        shift=0.05,
        rate=1e-3,
    ),
    "detector-accurate": replace(
        BASE,
        model="detector-accurate",
        size=(416, 416),
        padding=1.0,
        batch=32,
        anywhere=0.3,
        near=8.0,
        scale=0.6,
        shift=0.05,
        rate=1e-3,
    ),
    # Everybody in a whole picture, without boxes in between (docs/training.md).
    "openpose-small": replace(WHOLE, model="openpose-small"),
    "personlab-small": replace(WHOLE, model="personlab-small"),
    "movenet-small": replace(WHOLE, model="movenet-small"),
    "one-stage-small": replace(WHOLE, model="one-stage-small", fresh=("heads",)),
    "many-small": replace(WHOLE, model="many-small"),  # all four at once, to be cut apart
    "lifter": LIFTER,
    "lifter-1": replace(LIFTER, model="lifter-1", steps=4_000),
    "lifter-causal": replace(LIFTER, model="lifter-causal"),
    # Teaches a public RTMDet-nano people at any turn, by itself.
    "rtmdet-nano": replace(
        BASE,
        task="equivariant",
        model="rtmdet-nano",
        start="rtmdet-nano-person",
        size=(320, 320),
        padding=0.75,
        batch=8,
        anywhere=0.1,
        quarters=0.5,
        scale=0.5,
        shift=0.1,
        colour=0.2,
        blur=0.05,
        jpeg=0.05,
        rate=2.5e-4,
        relative=True,
        decay=0.0,
        steps=2_000,
        warmup=50,
        ema=0.998,
        log_every=25,
        evaluate_every=250,
        held_back=0.03,
        precision="32-true",
        freeze=("stem", "stages.0"),
    ),
}


def recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """The named recipe with 'key=value' settings. Raises OptionError that names the known recipes,
    keys and models.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    base = RECIPES[name]
    known = {field.name: getattr(base, field.name) for field in fields(Recipe)}
    changes = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise OptionError(f"--set {setting}: expected key=value, as in --set batch=32")
        if key not in known:
            raise unknown("key of a recipe", key, known)
        changes[key] = _parse(key, text, known[key])
    chosen = replace(base, **changes)
    if chosen.model not in MODELS:
        raise unknown("model", chosen.model, MODELS)
    return chosen


def _parse(key: str, text: str, like: Any) -> Any:
    """The text as a value of the field's kind."""
    try:
        if isinstance(like, bool):
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if key == "size":
            width, _, height = text.lower().replace("×", "x").partition("x")
            return int(width), int(height or width)
        if isinstance(like, tuple):
            return tuple(part for part in text.split(",") if part)
        return type(like)(text)
    except (ValueError, KeyError) as error:
        wanted = {"size": "width x height, as in 144x192"}.get(
            key, f"a {type(like).__name__}, as in {key}={like}"
        )
        raise OptionError(f"--set {key}={text}: expected {wanted}") from error
