"""What the loop needs of a task, and what all tasks of one network share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Generator, Tensor, nn

from ..codecs import CODECS, PEOPLE_CODECS, Codec, make_codec, make_people_codec
from ..errors import OptionError, unknown
from ..models import MODELS
from ..models.losses import Loss
from ..models.model import Model
from ..skeletons import Skeleton
from . import shards
from .about import PEOPLE, About
from .recipe import Recipe


class Task(Protocol):
    """What is learnt: one or more networks (players), each by a loss and an optimiser of its own.

    The first player is the one that is averaged, judged, exported and written as weights. The
    others exist for its sake, as a discriminator does.
    """

    skeleton: Skeleton
    model: Model  # of the first player

    @property
    def about(self) -> About:
        """What the first player speaks of, as its weights say."""
        ...

    @property
    def speaks_of(self) -> tuple[str, ...]:
        """What it has an answer for each of: joints, or of detectors categories."""
        ...

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """The networks by name."""
        ...

    def __len__(self) -> int:
        """How many rows there are to train on."""
        ...

    def to(self, device: torch.device) -> None:
        """Bring the data to where the networks will be."""
        ...

    def play(self, player: str, nets: Mapping[str, Any], rows: Tensor, rng: Generator) -> Loss:
        """(sum, weight) of a player's loss over some rows. The generator is on the data's device
        and starts anew for every player, so that all of them see the same augmented pictures.
        """
        ...

    def evaluate(self, net: Any) -> dict[str, float]:
        """Scores of the first player, in eval mode, on what was held back. The first score, where
        more is better, chooses the checkpoint.
        """
        ...


class OneNetwork:
    """A `Task` of one player; subclasses bring the data, `loss` and `evaluate`."""

    kind: ClassVar[str]  # of sample that the network must learn from: `Model.kind`
    usual: ClassVar[int] = 17  # joints, or of detectors categories, where nothing says how many
    quantisable: ClassVar[bool] = True  # whether the exported graph still works in 8 bits

    net: Any
    model: Model
    skeleton: Skeleton
    categories: tuple[str, ...] = PEOPLE

    @property
    def about(self) -> About:
        """What the first player speaks of."""
        return About(self.skeleton, self.categories)

    @property
    def speaks_of(self) -> tuple[str, ...]:
        """What the network has an answer for each of."""
        return self.about.named_by(self.kind)

    @classmethod
    def row(cls, recipe: Recipe) -> Model:
        """The row of the network that this task trains. Raises OptionError for an unknown model,
        and for one that learns from another kind of sample.
        """
        if recipe.model not in MODELS:
            raise unknown("model", recipe.model, MODELS)
        model = MODELS[recipe.model]
        if model.kind != cls.kind:
            fitting = ", ".join(name for name, row in MODELS.items() if row.kind == cls.kind)
            raise OptionError(
                f"model '{recipe.model}' learns from {model.kind}, this task has {cls.kind}: "
                f"choose one of {fitting}"
            )
        return model

    @classmethod
    def network(cls, recipe: Recipe, count: int = 0) -> Any:
        """The untrained network of a recipe for so many joints, or of detectors categories (0: the
        usual); its numbers come from the recipe's seed.
        """
        model = cls.row(recipe)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            return model.build(count or cls.usual, codec_of(model, recipe))

    @classmethod
    def load(cls, folders: Iterable[Path]) -> Any:
        """What this kind of task learns from: folders of shards, if nothing else is said."""
        return shards.load(folders)

    @classmethod
    def input_size(cls, recipe: Recipe) -> tuple[int, int]:
        """(width, height) that the exported graph takes."""
        return recipe.size

    @classmethod
    def clips(cls, net: Any) -> Tensor | None:
        """Inputs [3, …] to trace a network and to compare its file with; None: pictures."""
        return None

    @classmethod
    def told(cls, recipe: Recipe, about: About) -> dict[str, Any] | None:
        """What an exported file should say of itself, as in a row of the manifest
        (`weights.manifest.told`); None for networks that need a row.
        """
        return None

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"net": self.net}

    def play(self, player: str, nets: Mapping[str, Any], rows: Tensor, rng: Generator) -> Loss:
        return self.loss(nets[player], rows, rng)

    def loss(self, net: Any, rows: Tensor, rng: Generator) -> Loss:
        """(sum, weight) of the loss over some rows, augmented with this generator."""
        raise NotImplementedError

    def evaluate(self, net: Any) -> dict[str, float]:
        """As `Task.evaluate`."""
        raise NotImplementedError


def codec_row(model: Model, recipe: Recipe) -> dict[str, Any]:
    """{type, …} of the codec that a recipe trains for: the model's, with the recipe's sigma where
    the codec has one.
    """
    row = dict(model.codec)
    has_sigma = row and "sigma" in {field.name for field in fields(CODECS[row["type"]])}
    return row | ({"sigma": recipe.sigma} if has_sigma and recipe.sigma else {})


def codec_of(model: Model, recipe: Recipe) -> Any:
    """The codec that a recipe trains for; None for networks that speak of no joints."""
    if model.codec.get("type") in PEOPLE_CODECS:  # of pictures of any size
        return make_people_codec(model.codec)
    row = codec_row(model, recipe)
    return make_codec(row, recipe.size) if row else None


def encoded(codec: Codec, keypoints: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Keypoints [B, K, 3] in crop pixels, anywhere -> the codec's targets and weights [B, K],
    where the keypoints are.
    """
    targets, weights = codec.encode(keypoints.detach().cpu().double().numpy())
    device = keypoints.device
    moved = tuple(torch.from_numpy(target).to(device) for target in targets)
    return moved, torch.from_numpy(weights).to(device)
