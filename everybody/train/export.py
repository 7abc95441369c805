"""Trained weights → ONNX that `everybody run` takes, proven equal to torch (`agreement`).

Batch normalisation is folded into the convolutions; the batch is dynamic. What the file answers is
what the codec decodes, by the network's row (`models/model.py`); what it says of itself, by its
task.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .. import runtime
from ..atomic import replacing
from ..errors import DataError
from ..models.model import Model
from . import agreement, checkpoint
from .about import About
from .recipe import Recipe
from .task import codec_of
from .tasks import task_of


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
    Raises ModelError if it is above `agreement.CLOSE`; nothing is written then.
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
            difference = agreement.difference_on_pictures(net, row, size, part)
        else:
            difference = agreement.difference(net, row, clips, part)
        agreement.demand_close(difference, out)
    return difference


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
