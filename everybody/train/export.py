"""Trained weights → ONNX that `everybody run` takes, proven equal to torch; and to int8.

Batch normalisation is folded into the convolutions; the batch is dynamic. What the file answers is
what the codec decodes, by the network's row (`models/model.py`); what it says of itself, by its
task.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .. import runtime
from ..atomic import replacing
from ..errors import DataError, ModelError, OptionError
from ..models.model import Model
from . import checkpoint, shards
from .about import About
from .augment import normalised
from .recipe import UNCHANGED, Recipe
from .task import codec_of
from .tasks import task_of

CLOSE = 1e-4


class Answer(nn.Module):
    """A network with what follows it in the exported graph."""

    def __init__(self, net: nn.Module, model: Model) -> None:
        super().__init__()
        self.net, self.model = net, model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.model.exported(self.net, image)


def load(weights: Path, model: str = "") -> tuple[Recipe, nn.Module]:
    """A safetensors file of a run -> its recipe and the network, in eval mode. model: a network
    that is a part of it, as `openpose-small` of `many-small`. Raises DataError, and OptionError for
    a recipe whose model or task is not known.
    """
    path = Path(weights)
    state, about = checkpoint.read_weights(path)
    if "recipe" not in about:
        raise DataError(
            f"{path}: does not say which recipe it is of: is it from `everybody train`?"
        )
    recipe = Recipe.from_json(about["recipe"])
    recipe = replace(recipe, model=model or recipe.model)
    task = task_of(recipe)
    joints = task.row(recipe).joints_in(state, codec_of(task.row(recipe), recipe))
    net = task.network(recipe, joints)
    if model:
        state = {name: state[name] for name in net.state_dict() if name in state}
    checkpoint.fit(net, state, str(path))
    net.load_state_dict(state)
    return recipe, net.eval()


def about(weights: Path) -> About:
    """The joints and categories that a run's weights speak of."""
    return About.of_dict(checkpoint.read_weights(Path(weights))[1], weights)


def folded(net: nn.Module, model: Model) -> nn.Module:
    """A copy in eval mode, laid out for engines, whose convolutions hold the normalisation that
    followed them.
    """
    net = copy.deepcopy(net).eval()
    if model.deploy is not None:
        net = model.deploy(net)
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential) and len(module) > 1:
            first, second = module[0], module[1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return net


def mixed(recipe: Recipe, net: nn.Module, share: float, said: About) -> nn.Module:
    """A share of the learnt weights, the rest of those that the run started from; `said` tells what
    they speak of. Networks between the two know the new without having forgotten the old (WiSE-FT,
    Wortsman et al. 2022). Raises DataError if a run started from nothing.
    """
    if not recipe.start:
        raise DataError("this run started from scratch: there is nothing to mix its weights with")
    before = copy.deepcopy(net)
    model = task_of(recipe).row(recipe)
    names = said.named_by(model.kind)
    checkpoint.start(recipe.start, before, model, speaks_of=names, codec=codec_of(model, recipe))
    old = before.state_dict()
    state = {
        name: old[name].lerp(value, share) if value.is_floating_point() else value
        for name, value in net.state_dict().items()
    }
    net.load_state_dict(state)
    return net


def export(weights: Path, out: Path, *, mix: float = 1.0, model: str = "") -> float:
    """Write ONNX: the batch is dynamic, and the sides of networks that take any picture are
    multiples of 32. mix: see `mixed`. model: see `load`.

    Returns the greatest difference to torch on random pictures, relative to the greatest output.
    Raises ModelError if it is above `CLOSE`; nothing is written then.
    """
    recipe, net = load(weights, model)
    if mix != 1:
        net = mixed(recipe, net, mix, about(weights))
    task = task_of(recipe)
    row, size = task.row(recipe), task.input_size(recipe)
    with replacing(out) as part:
        clips = task.clips(net)
        if clips is None:
            write_graph(net, row, size, part)
        else:
            write(net, row, clips[:2], {0: torch.export.Dim("batch")}, part)
        lean(part, task.told(recipe, about(weights)))
        if clips is None:
            apart = distance(net, row, size, part)
        else:
            apart = difference(net, row, clips, part)
        if not apart <= CLOSE:
            raise ModelError(f"{out}: differs from torch by {apart:.1e}, more than {CLOSE}")
    return apart


def write_graph(net: nn.Module, model: Model, size: tuple[int, int], path: Path) -> None:
    """A network for inputs of `size` (width, height) -> ONNX."""
    width, height = size
    random = torch.Generator().manual_seed(0)
    example = torch.randn(2, model.channels(net), height, width, generator=random)
    dynamic: dict[int, Any] = {0: torch.export.Dim("batch")}
    if model.dynamic:
        for axis, name in ((2, "height"), (3, "width")):
            dynamic[axis] = 32 * torch.export.Dim(f"{name}_32", min=2, max=128)
    write(net, model, example, dynamic, path)


def write(
    net: nn.Module,
    model: Model,
    example: Tensor,
    dynamic: dict[int, Any],
    path: Path,
    *,
    optimise: bool = True,
) -> None:
    """A network, an input and which of its axes vary (`torch.export.Dim`) -> ONNX. The exporter's
    optimiser takes minutes for graphs of thousands of nodes; engines have their own.
    """
    with _quiet():
        torch.onnx.export(
            Answer(folded(net, model), model).eval(),
            (example,),
            str(path),
            input_names=["image"],
            output_names=list(model.outputs),
            dynamo=True,
            dynamic_shapes={"image": dynamic},
            external_data=False,
            optimize=optimise,
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of its own insides, as of packages that it could use."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def distance(net: nn.Module, model: Model, size: tuple[int, int], path: Path) -> float:
    """`difference` on three pictures."""
    width, height = size
    other = (height + 32, max(64, width - 32)) if model.dynamic else (height, width)
    # Smooth, as pictures are: an SSTN finds no turn in noise, and there its smallest change moves
    # every sample.
    random = torch.Generator().manual_seed(1)
    coarse = torch.randn(3, model.channels(net), 8, 6, generator=random)
    batch = 2 * functional.interpolate(coarse, size=other, mode="bicubic")
    if model.surest is not None:
        return difference_of_people(net, model, batch, path, scores=model.surest)
    return difference(net, model, batch, path)


def difference(net: nn.Module, model: Model, batch: Tensor, path: Path) -> float:
    """The greatest difference between an ONNX file and the network on some input, relative to the
    greatest output.
    """
    return max(
        float(np.abs(f - w).max() / max(np.abs(w).max(), 1e-12))
        for f, w in zip(*both(net, model, batch, path), strict=True)
    )


def both(
    net: nn.Module, model: Model, batch: Tensor, path: Path
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """What an ONNX file and the network answer to some input."""
    with torch.no_grad():
        wanted = [output.numpy() for output in Answer(net, model)(batch)]
    return runtime.load(path, device="cpu", engine="onnxruntime")(batch.numpy()), wanted


def difference_of_people(
    net: nn.Module, model: Model, batch: Tensor, path: Path, *, scores: int
) -> float:
    """`difference` of outputs [..., N, …] that are of N people each, the surest first: of each
    person to the nearest. People as sure as the last one may differ, and so may one in fifty,
    because rounding decides which of two suppresses the other. `scores`: the output [..., N] that
    says how sure. Infinite where one finds more people than the other.
    """
    found, wanted = both(net, model, batch, path)
    axes = wanted[scores].ndim - 1

    def groups(answers: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """[..., N, …] -> [G, N, …]"""
        return [a.reshape(int(np.prod(a.shape[:axes])), *a.shape[axes:]) for a in answers]

    found, wanted = groups(found), groups(wanted)
    sure = found[scores], wanted[scores]
    most = max(people.shape[1] for people in sure)
    if abs(sure[0].shape[1] - sure[1].shape[1]) > most // 50:
        return np.inf

    last = max((least.min() for least in sure if least.size), default=0.0)
    nearest: list[float] = []
    for group, person in np.argwhere(sure[0] > last + CLOSE):
        apart = np.zeros(sure[1].shape[1])
        for f, w in zip(found, wanted, strict=True):
            away = np.abs(w[group] - f[group, person]).reshape(len(apart), -1).max(1)
            apart = np.maximum(apart, away / max(np.abs(w).max(), 1e-12))
        nearest.append(float(apart.min(initial=np.inf)))
    kept = sorted(nearest)[: len(nearest) - len(nearest) // 50]
    return max(kept, default=0.0)


def halve(onnx: Path, out: Path) -> None:
    """The same ONNX with its weights stored as float16: half the size. Engines convert them to
    float32 once, when they load the file, and compute as before.
    """
    from onnx import TensorProto, helper, load, numpy_helper, save

    model = load(onnx)
    casts = []
    for value in model.graph.initializer:
        if value.data_type == TensorProto.FLOAT and np.prod(value.dims) > 16:
            name, small = (
                value.name,
                numpy_helper.from_array(numpy_helper.to_array(value).astype(np.float16)),
            )
            value.CopyFrom(small)
            value.name = f"{name}_half"
            casts.append(helper.make_node("Cast", [value.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    with replacing(out) as part:
        save(model, part)


def lean(path: Path, about: dict[str, Any] | None) -> None:
    """Take out the exporter's notes on the origin of every node and value, a fifth of a small
    network's file, and put in what the file should say of itself.
    """
    import onnx

    model = onnx.load(path)
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
    if about is not None:
        model.metadata_props.add(key=runtime.ABOUT, value=json.dumps(about))
    onnx.save(model, path)


def calibration(
    weights: Path, folders: Sequence[Path], count: int = 256
) -> Iterator[NDArray[np.float32]]:
    """Batches of 8 pictures from shards, unchanged, as the network of these weights gets them.
    Raises OptionError for networks with an SSTN: a grid of 8 bits would move every pixel.
    """
    recipe, _ = load(weights)
    kind: Any = task_of(recipe)
    if not kind.quantisable:
        raise OptionError(
            f"{weights}: an SSTN says where to look, which 8 bits cannot: leave --int8 out"
        )
    task = kind(replace(recipe, **UNCHANGED), shards.load(folders))
    rng = torch.Generator().manual_seed(0)
    for start in range(0, min(count, len(task)), 8):
        rows = torch.arange(start, min(start + 8, len(task)))
        yield normalised(task.augmented(rows, rng)[0]).numpy()


def quantise(onnx: Path, out: Path, crops: Iterator[NDArray[np.float32]]) -> None:
    """float32 ONNX -> int8 (static, per channel; weights symmetric), calibrated on batches [B, 3,
    h, w] as the network gets them. The last layers, from the logits on, stay float32: scores need
    their resolution.
    """
    runtime.keep_private()
    from onnx import load as load_onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, Any] | None:  # type: ignore[override]
            batch = next(crops, None)
            return None if batch is None else {"image": batch}

    nodes = list(load_onnx(onnx).graph.node)
    convolutions = [node.name for node in nodes if node.op_type in ("Conv", "Gemm")]
    keep = [
        convolutions[-1],
        *(node.name for node in nodes if node.op_type in ("Softmax", "Resize", "Mul")),
    ]
    with replacing(out) as part:
        quantize_static(
            onnx,
            part,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=keep,
            reduce_range=True,  # weights of 7 bits: CPUs without VNNI add pairs of products in 16
        )
