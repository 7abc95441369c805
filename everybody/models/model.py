"""What training and export must know of a network: one frozen row of `MODELS` for each variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .losses import Loss

State = dict[str, Tensor]

FEW = 40  # joints that any network can have, also one whose first head has some of its own


def answer(net: Any, said: Any) -> tuple[Tensor, ...]:
    """What `forward` says -> what the codec decodes: by the network's `answer`, if it has one."""
    if hasattr(type(net), "answer"):
        said = net.answer(said)
    return (said,) if isinstance(said, Tensor) else tuple(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trainable network.

    `loss` gets the network, what it says, and what its kind of sample teaches:

        crops     targets of the codec's `encode`, weights [B, K], the codec
        more      the same; only what is not frozen counts
        occluded  the same, and which joints are hidden [B, K]: 1 yes, 0 no, -1 not said
        conditioned  as crops; the input has further channels that tell who is meant
        pictures  cells [A, 2], boxes [B, M, 4], real, ignored and categories [B, M]
        people    a `Truth` of each picture, the pictures' (width, height)
        people by regions  the pictures in place of what it says, a `Truth` of each, a generator
        turns     wanted probabilities [B, 4], weights [B]
        regions   wanted θ [B, 2, 3], the crop's width / height
        sequences wanted poses [B, 1, K, 3]
    """

    # (number of joints or categories, codec, **what `told` tells) -> untrained
    build: Callable[..., nn.Module]
    # of sample: crops, more, occluded, conditioned, pictures, people, people by regions, turns,
    # regions, sequences
    kind: str
    loss: Callable[..., Loss]  # (network, said, what the kind teaches …) -> (sum, weight)
    # (network, pictures, targets, weights) -> what else `forward` takes in training: networks that
    # correct a guess learn from guesses that depend on the truth.
    guide: Callable[..., tuple[Tensor, ...]] | None = None
    # (network, the training set's joints [N, K, 2] in the crop's pixels, their weights [N, K]):
    # what a network takes from the data before it learns, as IEF its first guess.
    begin: Callable[..., None] | None = None
    codec: Mapping[str, Any] = field(
        default_factory=dict
    )  # {type, …}; size and sigma: the recipe's
    answer: Callable[[Any, Any], tuple[Tensor, ...]] = answer  # (network, said) -> exported outputs
    # (network, said) -> what the exported graph answers before what the codec decodes.
    also: Callable[[Any, Any], tuple[Tensor, ...]] | None = None
    # What an exported file says of itself beside its codec: its method and the joints it speaks of.
    told_of: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("heatmaps",)  # names of the exported outputs, those of `also` first
    # The output that says how sure, of networks that answer with the people they are surest of.
    surest: int | None = None
    dynamic: bool = False  # the exported graph takes sides of any multiple of 32
    difference: Callable[..., Loss] | None = None  # (said, wanted, known, codec): to imitate itself
    deploy: Callable[[Any], nn.Module] | None = None  # the same function, laid out for engines
    restore: Callable[[Any, State], State] | None = None  # (network, deployed numbers) -> its state
    read: Callable[[Any, Path], State] | None = None  # (network, a public ONNX file) -> its state
    published: Callable[[State], State] | None = None  # published parameter names -> ours
    # (a state by our names) -> the numbers of its network, where published layouts differ; `size`,
    # the crop's, and `codec`, options of the codec, where weights are of one.
    told: Callable[[State], dict[str, Any]] | None = None

    def channels(self, net: Any) -> int:
        """How many channels the network's input has: those of colour, unless it says otherwise."""
        return getattr(net, "input_channels", 3)

    def answers(self, net: Any, image: Tensor) -> tuple[Tensor, ...]:
        """Pictures [B, 3, H, W], normalised -> what the codec decodes."""
        return self.answer(net, net(image))

    def exported(self, net: Any, image: Tensor) -> tuple[Tensor, ...]:
        """Pictures [B, 3, H, W], normalised -> all outputs of the exported graph."""
        said = net(image)
        return (*(self.also(net, said) if self.also else ()), *self.answer(net, said))

    def numbers_in(self, state: State) -> dict[str, Any]:
        """What a state by our names tells of its network beside its joints: for `build`, where the
        row leaves it open, and `size` and `codec` as of `told`. {} for states of others.
        """
        if self.told is None:
            return {}
        try:
            return {key: value for key, value in self.told(state).items() if key != "joints"}
        except (KeyError, IndexError, ValueError):  # parameters that it looks at are not there
            return {}

    def joints_in(self, state: Mapping[str, Tensor], codec: Any, **told: Any) -> int:
        """The number of joints of the network that a state is of, from the first parameter whose
        shape depends on it; 0 for networks that speak of no joints, and for states of others.
        """
        with torch.device("meta"):
            one, two = (self.build(joints, codec, **told).state_dict() for joints in (FEW, FEW + 1))
        for name, small in one.items():
            found, large = state.get(name), two[name]
            if found is None or found.ndim != small.ndim:
                continue
            for size, first, second in zip(found.shape, small.shape, large.shape, strict=True):
                if first != second:
                    return FEW + (size - first) // (second - first)
        return 0


def family(
    net: Callable[..., nn.Module],
    variants: Mapping[str, Mapping[str, Any]],
    *,
    joints: bool = True,
    codec_numbers: Sequence[str] = (),
    **common: Any,
) -> dict[str, Model]:
    """A network and its variants -> their rows. `joints`: its first argument is their number;
    `codec_numbers`: it also takes these numbers of its codec, as size.
    """

    common = {"kind": "crops"} | common
    return {
        name: Model(build=partial(built, net, joints, tuple(codec_numbers), numbers), **common)
        for name, numbers in variants.items()
    }


def built(
    net: Callable[..., nn.Module],
    joints: bool,
    codec_numbers: Sequence[str],
    numbers: Mapping[str, Any],
    count: int,
    codec: Any,
    **told: Any,
) -> nn.Module:
    """The network of a row of `family`; `told` are numbers that the variant leaves open."""
    first = (count,) if joints else ()
    of_codec = {name: getattr(codec, name) for name in codec_numbers}
    return net(*first, **of_codec, **{**told, **numbers})
