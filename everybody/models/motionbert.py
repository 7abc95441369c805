"""MotionBERT's DSTformer (Zhu et al. 2023, arXiv 2210.06551): poses of a clip in 2D -> all of them
in 3D, by attention over joints and over frames.

Every joint of every frame is a token. Each layer has two branches: one attends over the joints of a
frame, then over the frames of a joint; the other the other way round. How much each branch counts
is learnt per token. The representation before the last layer serves other tasks as well.

Parameter names are the published ones (Walter0807/MotionBERT, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError, OptionError
from .transformer import Attention, Mlp


class Block(nn.Module):
    """Tokens [B, F, K, C] -> the same shape: a layer over joints (`_s`) and one over frames (`_t`),
    in the `order` given.
    """

    def __init__(self, width: int, heads: int, ratio: int, order: str) -> None:
        super().__init__()
        self.order = order
        for way in order:
            self.add_module(f"norm1_{way}", nn.LayerNorm(width, eps=1e-6))
            self.add_module(f"attn_{way}", Attention(width, heads))
            self.add_module(f"norm2_{way}", nn.LayerNorm(width, eps=1e-6))
            self.add_module(f"mlp_{way}", Mlp(width, ratio * width))

    def forward(self, x: Tensor) -> Tensor:
        for way in self.order:
            x = x + self.attend(x, way)
            mlp, norm = self.get_submodule(f"mlp_{way}"), self.get_submodule(f"norm2_{way}")
            x = x + mlp(norm(x))
        return x

    def attend(self, x: Tensor, way: str) -> Tensor:
        """Attention over the joints of each frame ("s"), or over the frames of each joint ("t")."""
        attention = self.get_submodule(f"attn_{way}")
        y = self.get_submodule(f"norm1_{way}")(x)
        y = y if way == "s" else y.transpose(1, 2)
        y = attention(y.flatten(0, 1)).unflatten(0, (-1, y.shape[1]))
        return y if way == "s" else y.transpose(1, 2)


class Representation(nn.Module):
    """What is known of a token, from -1 to 1: [..., C] -> [..., R]."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, wide)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).tanh()


class MotionBertNet(nn.Module):
    """A clip [B, F, K, 3] (x, y from -1 to 1 across the picture, score) of at most `frames` ->
    [B, F, K, 3].

    Raises OptionError for heads that do not divide the width, ModelError for longer clips.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        width: int = 256,
        depth: int = 5,
        heads: int = 8,
        ratio: int = 4,
        representation: int = 512,
        frames: int = 243,
    ) -> None:
        super().__init__()
        if width % heads:
            raise OptionError(f"MotionBERT: {heads} heads do not divide a width of {width}")
        self.joints_embed = nn.Linear(3, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, joints, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, frames, 1, width))
        self.blocks_st = nn.ModuleList(Block(width, heads, ratio, "st") for _ in range(depth))
        self.blocks_ts = nn.ModuleList(Block(width, heads, ratio, "ts") for _ in range(depth))
        self.ts_attn = nn.ModuleList(nn.Linear(2 * width, 2) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pre_logits = Representation(width, representation)
        self.head = nn.Linear(representation, 3)

        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.temp_embed, std=0.02)
        for fuse in self.ts_attn:
            nn.init.zeros_(fuse.weight)  # type: ignore[arg-type]  # both branches count alike

    def represent(self, clip: Tensor) -> Tensor:
        """[B, F, K, 3] -> [B, F, K, R]: the representation that the head reads."""
        frames = clip.shape[1]
        if frames > self.temp_embed.shape[1]:
            raise ModelError(
                f"a clip of {frames} frames is too long for this network;"
                f" expected at most {self.temp_embed.shape[1]}: cut it into parts"
            )
        x = self.joints_embed(clip) + self.pos_embed[:, None] + self.temp_embed[:, :frames]
        for one, other, fuse in zip(self.blocks_st, self.blocks_ts, self.ts_attn, strict=True):
            st, ts = one(x), other(x)
            share = fuse(torch.cat([st, ts], -1)).softmax(-1)  # [B, F, K, 2]
            x = st * share[..., :1] + ts * share[..., 1:]
        return self.pre_logits(self.norm(x))

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(self.represent(clip))


def numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a published state says of its network, and its size (joints, frames at most)."""
    joints, width = state["pos_embed"].shape[1:]
    return {
        "joints": joints,
        "width": width,
        "depth": sum(name.startswith("ts_attn.") and name.endswith(".bias") for name in state),
        "ratio": len(state["blocks_st.0.mlp_s.fc1.bias"]) // width,
        "representation": len(state["pre_logits.fc.bias"]),
        "frames": state["temp_embed"].shape[1],
        "size": (joints, state["temp_embed"].shape[1]),
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "motionbert-lite": {"width": 256, "ratio": 4},
    "motionbert": {"width": 512, "ratio": 2},
}
