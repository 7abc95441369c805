"""ViTPose (Xu et al., NeurIPS 2022, arXiv 2204.12484): a plain vision transformer and a light
decoder.

The crop is cut into patches of 16 × 16 pixels; transformer layers (Dosovitskiy et al. 2021) mix
them; the last features F are a map of stride 16. Two decoders bring it to heatmaps of stride 4:

    classic  K = conv1×1(deconv(deconv(F)))
    simple   K = conv3×3(bilinear(relu(F)))

Parameter names are the authors' (ViTAE-Transformer/ViTPose, Apache-2.0), and so are two habits:
patches are padded by 2 on each side, and the position of a class token, which is not there, is
added to every patch. `published` takes their files, those of mmpose (Apache-2.0), which have other
names and no such position, and those of Hugging Face's transformers (Apache-2.0), which have other
names.

In ViTPose+ (Xu et al. 2023, arXiv 2212.04246) a last part of each layer's features is of an expert
for the data set; the first one, COCO's, is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import OptionError
from .deconvolution_head import DeconvolutionHead
from .published_names import renamed
from .transformer import Attention, Mlp

PATCH = 16


class Block(nn.Module):
    """F' = F + attention(norm(F)), then F' + mlp(norm(F'))."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, ratio * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Patches(nn.Module):
    """Image [B, 3, H, W] -> [B, C, H / 16, W / 16]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image)


class Transformer(nn.Module):
    """Image [B, 3, H, W] of `size` (width, height) -> features [B, C, H / 16, W / 16]."""

    def __init__(
        self, size: tuple[int, int], width: int, depth: int, heads: int, ratio: int
    ) -> None:
        super().__init__()
        patches = (size[0] // PATCH) * (size[1] // PATCH)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, width))
        self.patch_embed = Patches(width)
        self.blocks = nn.ModuleList(Block(width, heads, ratio) for _ in range(depth))
        self.last_norm = nn.LayerNorm(width, eps=1e-6)

        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        grid = self.patch_embed(image)
        x = grid.flatten(2).mT + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            x = block(x)
        return self.last_norm(x).mT.reshape(grid.shape)


class Simple(nn.Module):
    """Features [B, C, h, w] -> heatmaps [B, K, 4 h, 4 w] by bilinear upsampling."""

    def __init__(self, inputs: int, joints: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(inputs, joints, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        large = functional.interpolate(x.relu(), scale_factor=4.0, mode="bilinear")
        return self.final_layer(large)


DECODERS: dict[str, Callable[[int, int], nn.Module]] = {  # (width, joints) -> decoder
    "classic": lambda width, joints: DeconvolutionHead(width, joints, widths=(256, 256)),
    "simple": Simple,
}


class VitPoseNet(nn.Module):
    """ViTPose of any width and depth, for crops of one size (width, height) in multiples of 16.

    Raises OptionError for other sizes, for heads that do not divide the width and for an unknown
    decoder.
    """

    def __init__(
        self,
        joints: int = 17,
        *,
        size: tuple[int, int] = (192, 256),
        width: int = 384,
        depth: int = 12,
        heads: int = 12,
        ratio: int = 4,
        decoder: str = "classic",
    ) -> None:
        super().__init__()
        if any(side < PATCH or side % PATCH for side in size):
            raise OptionError(
                f"ViTPose: a crop of {size[0]}x{size[1]} cannot be cut into patches;"
                f" expected multiples of {PATCH}, as 192x256"
            )
        if width % heads:
            raise OptionError(f"ViTPose: {heads} heads do not divide a width of {width}")
        if decoder not in DECODERS:
            raise OptionError(f"ViTPose: no decoder '{decoder}'; known: {', '.join(DECODERS)}")
        self.backbone = Transformer(size, width, depth, heads, ratio)
        self.keypoint_head = DECODERS[decoder](width, joints)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> heatmaps [B, K, H / 4, W / 4], peaks of 1."""
        return self.keypoint_head(self.backbone(image))


UNUSED = ("backbone.cls_token", "backbone.mask_token", "associate_keypoint_heads.")
MMPOSE = (  # names of mmpose's network -> ours
    (r"^head\.", "keypoint_head."),
    (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
    (r"^backbone\.ln1\.", "backbone.last_norm."),
    (r"\.layers\.(\d+)\.ln(\d)\.", r".blocks.\1.norm\2."),
    (r"\.layers\.(\d+)\.ffn\.layers\.0\.0\.", r".blocks.\1.mlp.fc1."),
    (r"\.layers\.(\d+)\.ffn\.layers\.1\.", r".blocks.\1.mlp.fc2."),
    (r"\.layers\.(\d+)\.attn\.", r".blocks.\1.attn."),
)
TRANSFORMERS = (  # names of transformers' network -> ours
    (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
    (r"^backbone\.embeddings\.position_embeddings$", "backbone.pos_embed"),
    (r"^backbone\.layernorm\.", "backbone.last_norm."),
    (r"\.encoder\.layer\.", ".blocks."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.attention\.", ".attn."),
    (r"\.mlp\.experts\.experts\.", ".mlp.experts."),
    (r"^head\.conv\.", "keypoint_head.final_layer."),
    (r"^head\.deconv1\.", "keypoint_head.deconv_layers.0."),
    (r"^head\.batchnorm1\.", "keypoint_head.deconv_layers.1."),
    (r"^head\.deconv2\.", "keypoint_head.deconv_layers.3."),
    (r"^head\.batchnorm2\.", "keypoint_head.deconv_layers.4."),
)


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names, mmpose's, or those of transformers -> ours, without what only pretraining
    and other data sets need: tokens, experts and heads of theirs.
    """
    kept = {name: value for name, value in state.items() if not name.startswith(UNUSED)}
    ours = with_experts(with_one_layer(renamed(kept, *TRANSFORMERS, *MMPOSE)))
    positions = ours.get("backbone.pos_embed")
    if "backbone.ln1.weight" in state and positions is not None:
        none = torch.zeros_like(positions[:, :1])
        ours["backbone.pos_embed"] = torch.cat([none, positions], 1)
    return ours


def with_one_layer(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Three layers for queries, keys and values -> one, as ours; others' states as they are."""
    found = dict(state)
    for name in state:
        block, part, leaf = name.rpartition(".query.")
        three = [f"{block}.{kind}.{leaf}" for kind in ("query", "key", "value")]
        shapes = {state[key].shape if key in state else None for key in three}
        if part and len(shapes) == 1:
            found[f"{block}.qkv.{leaf}"] = torch.cat([found.pop(key) for key in three])
    return found


def with_experts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The features that all data sets share, then those of the first expert; others' states as they
    are.
    """
    found = {name: value for name, value in state.items() if ".experts." not in name}
    for name, value in state.items():
        layer, first, leaf = name.partition(".experts.0.")
        shared = found.get(f"{layer}.fc2.{leaf}")
        if first and shared is not None and shared.shape[1:] == value.shape[1:]:
            found[f"{layer}.fc2.{leaf}"] = torch.cat([shared, value])
    return found


def numbers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a published state says of its network: joints, decoder (only the classic one has
    deconvolutions), and the crop's (width, height), if it is as published: 3 to 4, or a square.
    """
    classic = any(name.startswith("keypoint_head.deconv_layers.") for name in state)
    told: dict[str, Any] = {
        "joints": len(state["keypoint_head.final_layer.weight"]),
        "decoder": "classic" if classic else "simple",
    }
    patches = state["backbone.pos_embed"].shape[1] - 1
    for wide, high in ((3, 4), (1, 1)):
        times = math.isqrt(patches // (wide * high))
        if times and times * times * wide * high == patches:
            told["size"] = (wide * times * PATCH, high * times * PATCH)
            break
    return told


VARIANTS: dict[str, dict[str, Any]] = {
    "vitpose-slim": {"width": 128, "depth": 12, "heads": 4, "decoder": "simple"},
    "vitpose-s": {"width": 384, "depth": 12, "heads": 12},
    "vitpose-b": {"width": 768, "depth": 12, "heads": 12},
    "vitpose-l": {"width": 1024, "depth": 24, "heads": 16},
    "vitpose-h": {"width": 1280, "depth": 32, "heads": 16},
}
