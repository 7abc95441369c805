"""RMPE's transformers around any single-person pose estimator: SSTN, SDTN and the whole (Fang et
al., ICCV 2017).

A detected box is wrong by some pixels, and the SPPE behind it pays for each of them. The symmetric
spatial transformer network (SSTN) looks at the crop and says where in it the dominant person is.
The SPPE sees that region. The spatial de-transformer (SDTN) brings its answer back:

    crop ──▶ SSTN θ ──▶ region ──▶ SPPE ──▶ coordinates ──▶ SDTN γ = θ⁻¹ ──▶ in the crop

In normalised coordinates (`affine.py`) the point t of the region lies at s = θ · (t, 1) of the crop
(Eq. 1), and θ is the grid by which the crop is sampled. The paper samples heatmaps back by the grid
γ (Eq. 2-4). We bring coordinates back, which go the other way and lose nothing: found ones to the
crop by θ, true ones to the region by γ.

θ is guarded: not six free numbers but a turn, a factor and a shift. A factor of exp(bounded) is
never 0 and a turn has determinant 1, so θ is always invertible, with a determinant between LEAST²
and MOST²; the shift stays within the crop. There is no shear and no other squeeze, because the SPPE
knows no sheared people and the crop has the picture's aspect. The turn comes from a vector (cos,
sin) brought to unit length rather than from an angle, which would have to jump somewhere on the
circle. The last layer starts at zero and its vector at (1, 0): an untrained SSTN is the identity.

We ask θ to turn people upright; in the paper only its losses move it. So people who lie or hang are
as easy for the SPPE as people who stand. The body is that of `turn_net.py`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .affine import sample
from .losses import Loss
from .model import Model
from .turn_net import body

LEAST, MOST = 1 / 3, 3.0  # of the factor from the region to the crop
LOOK = (60, 80)  # width × height of what the localisation network sees, whatever the crop
ASPECT = LOOK[0] / LOOK[1]
CELLS = 6  # what is left of it behind the body
# The crop's side by the region's: the region is a part of the crop, and should not lack pixels.
ROOM = 5 / 4
# The crop that an SSTN alone takes, before any SPPE; averaged down, it has little aliasing.
SEEN = (120, 160)
STRAY = 1e-6  # a turn's vector shorter than this means no turn


class Sstn(nn.Module):
    """Crop [B, 3, H, W], normalised, of aspect 3 : 4 -> five free numbers [B, 5], of which
    `guarded` makes θ.

    H is a multiple of the height of `LOOK`: the crop is averaged down to that, so one network
    serves crops of all sizes.
    """

    def __init__(self, *, width: int = 24, hidden: int = 96) -> None:
        super().__init__()
        self.body = body(width)
        self.answer = nn.Sequential(
            nn.Linear(6 * width * CELLS, hidden), nn.ReLU(), nn.Linear(hidden, 5)
        )
        for parameter in self.answer[2].parameters():
            nn.init.zeros_(parameter)

    def forward(self, crop: Tensor) -> Tensor:
        return self.answer(self.body(shrunk(crop, crop.shape[2] // LOOK[1])).flatten(1)).float()

    def theta(self, crop: Tensor) -> Tensor:
        """-> θ [B, 2, 3], from the region to the crop, both normalised and of one aspect."""
        return guarded(self(crop), crop.shape[3] / crop.shape[2])


def shrunk(crop: Tensor, factor: int) -> Tensor:
    """[B, C, H, W] -> [B, C, H / factor, W / factor], averaged: rows first, three times as fast as
    a pooling of three channels where the network is exported.
    """
    batch, channels, height, width = crop.shape
    if factor <= 1:
        return crop
    rows = crop.reshape(batch, channels, height // factor, factor, width).mean(3)
    return rows.reshape(batch, channels, height // factor, width // factor, factor).mean(4)


def crop_size(region: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the region that an SPPE takes -> that of the crop around it. Raises
    ModelError for sizes whose crop cannot be averaged down to `LOOK`.
    """
    width, height = (round(side * ROOM) for side in region)
    if width * LOOK[1] != height * LOOK[0] or height % LOOK[1]:
        raise ModelError(
            "an SSTN is for SPPEs of aspect 3 : 4 whose height is a multiple of "
            f"{round(LOOK[1] / ROOM)}, as 192×256; not {region[0]}×{region[1]}"
        )
    return width, height


def guarded(raw: Tensor, aspect: float) -> Tensor:
    """[B, 5], the crop's width / height -> θ [B, 2, 3]; zeros give the identity.

    The numbers are cos - 1 and sin of the turn (of a vector of any length), the log of the factor,
    and the shift x, y.

    The turn is one of pixels: in normalised coordinates of a crop that is not square it carries the
    aspect.
    """
    cos, sin = unit(raw).unbind(1)
    factor = torch.exp(bounded(raw[:, 2], math.log(MOST)))
    shift = bounded(raw[:, 3:], 1.0)
    rows = [torch.stack([cos, -sin / aspect], 1), torch.stack([sin * aspect, cos], 1)]
    return torch.cat([factor[:, None, None] * torch.stack(rows, 1), shift[..., None]], 2)


def unit(raw: Tensor) -> Tensor:
    """[B, 5] -> [B, 2], cos and sin of the turn, clockwise."""
    vector = torch.stack([1 + raw[:, 0], raw[:, 1]], 1)
    length = vector.norm(dim=1, keepdim=True)
    upright = torch.stack([torch.ones_like(raw[:, 0]), torch.zeros_like(raw[:, 0])], 1)
    return torch.where(length > STRAY, vector / length.clamp(min=STRAY), upright)


def bounded(value: Tensor, most: float) -> Tensor:
    """Into (-most, most), of slope 1 at 0."""
    return most * torch.tanh(value / most)


class RmpeNet(nn.Module):
    """Crop [B, 3, H, W], normalised -> what the SPPE says of the region, and what the SSTN says of
    the crop [B, 5].

    The SPPE is any network of ours; `region` (width, height) is the size that it takes, and
    `crop_size(region)` that of the crop.
    """

    def __init__(self, sstn: Sstn, sppe: nn.Module, region: tuple[int, int]) -> None:
        super().__init__()
        self.sstn, self.sppe, self.region = sstn, sppe, region

    def forward(self, crop: Tensor) -> tuple[Any, Tensor]:
        raw = self.sstn(crop)
        return self.sppe(sample(crop, self.theta(raw), self.region)), raw

    def theta(self, raw: Tensor) -> Tensor:
        """What the SSTN says [B, 5] -> θ [B, 2, 3]."""
        return guarded(raw, self.region[0] / self.region[1])


def around(sppe: Model) -> Model:
    """The row of an SPPE -> the row of RMPE around it: its outputs in the region, and θ."""

    def build(joints: int, codec: Any) -> nn.Module:
        return RmpeNet(Sstn(**VARIANTS["sstn"]), sppe.build(joints, codec), codec.size)

    def answer(net: RmpeNet, said: tuple[Any, Tensor]) -> tuple[Tensor, ...]:
        pose, raw = said
        return *sppe.answer(net.sppe, pose), net.theta(raw)

    def deploy(net: RmpeNet) -> nn.Module:
        if sppe.deploy is not None:
            net.sppe = sppe.deploy(net.sppe)
        return net

    return replace(
        sppe,
        build=build,
        answer=answer,
        outputs=(*sppe.outputs, "theta"),
        deploy=deploy,
        difference=None,
        restore=None,
        read=None,
        published=None,
    )


def theta_distance(raw: Tensor, wanted: Tensor, aspect: float) -> Tensor:
    """What an SSTN says [N, 5] (see `guarded`), the θ that is right [N, 2, 3], the crop's width /
    height -> [N].

    Three parts are added: the turn's vector, before it has unit length, against that of the right
    turn (so that opposite ones attract too: on the circle their slope is 0); the log of the factor;
    and the shift.
    """
    cos, sin = wanted[:, 0, 0], wanted[:, 1, 0] / aspect
    factor = torch.hypot(cos, sin)
    turn = torch.stack([1 + raw[:, 0] - cos / factor, raw[:, 1] - sin / factor], 1).square().sum(1)
    scale = (bounded(raw[:, 2], math.log(MOST)) - factor.log()).abs()
    shift = (bounded(raw[:, 3:], 1.0) - wanted[:, :, 2]).abs().sum(1)
    return turn + 2 * scale + 2 * shift


def theta_loss(raw: Tensor, wanted: Tensor, aspect: float) -> Loss:
    """`theta_distance` of a batch -> (sum, count)."""
    away = theta_distance(raw, wanted, aspect)
    return away.sum(), away.new_tensor(float(len(away)))


def joint_distance(found: Tensor, keypoints: Tensor) -> Tensor:
    """[N, K, 2], true [N, K, 3] (x, y, weight), both normalised -> [N]: the mean distance of a
    person's labelled joints that lie inside.
    """
    weight = keypoints[..., 2] * (keypoints[..., :2].abs() <= 1).all(-1)
    away = (found - keypoints[..., :2]).abs().sum(-1)
    return (away * weight).sum(1) / weight.sum(1).clamp(min=1e-6)


def expected(heatmaps: Tensor) -> Tensor:
    """[B, K, h, w] -> [B, K, 2], x and y in cells: where the mass of each squared map lies
    (integral regression, Sun et al. 2018; squared, so that the peak outweighs the plain).
    """
    h, w = heatmaps.shape[2:]
    mass = heatmaps.float().clamp(min=0).square()
    mass = mass / mass.sum((2, 3), keepdim=True).clamp(min=1e-9)
    x, y = torch.arange(w, device=mass.device), torch.arange(h, device=mass.device)
    return torch.stack([(mass.sum(2) * x).sum(2), (mass.sum(3) * y).sum(2)], 2)


VARIANTS: dict[str, dict[str, Any]] = {"sstn": {"width": 24}}
