"""A training run as one value, and `key=value` settings of single fields. Named ones: `recipes`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..errors import OptionError, unknown
from ..models import MODELS

# Tasks as earlier versions called them; a task that the model chooses by itself is "".
EARLIER_TASKS = dict.fromkeys(("pose", "turn", "detector", "sstn"), "")

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

    # How boxes are wrong, beside scale and shift: uniform, pgpg or jitter (`wrong_boxes`).
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


def changed(base: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with 'key=value' settings. Raises OptionError that names the known keys and
    models.
    """
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
