"""RMPE's transformers around any single-person pose estimator: SSTN, SDTN and the whole (Fang et
al., ICCV 2017).

A detected box is wrong by some pixels, and the SPPE behind it pays for each. The symmetric spatial
transformer network (SSTN) looks at the crop and says where in it the dominant person is; the SPPE
sees that region; the spatial de-transformer (SDTN) brings its answer back:

    crop ──▶ SSTN θ ──▶ region ──▶ SPPE ──▶ heatmaps, coordinates ──▶ SDTN γ = θ⁻¹ ──▶ in the crop

In normalised coordinates (`affine.py`) the point t of the region lies at s = θ · (t, 1) of the crop
(Eq. 1), and θ is the grid by which the crop is sampled. γ is the grid by which heatmaps are sampled
back (Eq. 2-4). So *coordinates* go the other way: found ones to the crop by θ, true ones to the
region by γ.

θ is guarded: not six free numbers but a turn, a factor and a shift. A factor of exp(bounded) is
never 0 and a turn has determinant 1, so θ is always invertible, with a determinant between LEAST²
and MOST²; the shift stays within the crop. There is no shear and no other squeeze, because the SPPE
knows no sheared people and the crop has the picture's aspect. The turn comes from a vector (cos,
sin) brought to unit length rather than from an angle, which would have to jump somewhere on the
circle. The last layer starts at zero and its vector at (1, 0): an untrained SSTN is the identity.

That θ is asked to turn people upright is ours (in the paper only its losses move it): so people who
lie or hang are as easy for the SPPE as those who stand. The body is `turn.py`'s.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .affine import inverse, sample
from .turn_net import body

LEAST, MOST = 1 / 3, 3.0  # of the factor from the region to the crop
LOOK = (60, 80)  # width × height of what the localisation network sees, whatever the crop
CELLS = 6  # that is left of it behind the body
ROOM = (
    5 / 4
)  # the crop's side by the region's: the region is a part of the crop, and should not lack pixels
SEEN = (
    120,
    160,
)  # the crop that an SSTN for itself takes, before any SPPE; averaged down, it has little aliasing
STRAY = 1e-6  # a turn's vector shorter than this means no turn


class Sstn(nn.Module):
    """Crop [B, 3, H, W], normalised, of aspect 3 : 4 -> five free numbers [B, 5] that `guarded`
    makes θ of.

    H is a multiple of the height of `LOOK`: the crop is averaged down to that, so one net serves
    crops of all sizes.
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
    """(width, height) of the region that an SPPE takes -> of the crop around it. Raises ModelError
    for sizes whose crop cannot be averaged down to `LOOK`.
    """
    width, height = (round(side * ROOM) for side in region)
    if width * LOOK[1] != height * LOOK[0] or height % LOOK[1]:
        raise ModelError(
            f"an SSTN is for SPPEs of aspect 3 : 4 whose height is a multiple of {round(LOOK[1] / ROOM)}, as 192×256; "
            f"not {region[0]}×{region[1]}"
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


def back(theta: Tensor) -> Tensor:
    """θ [B, 2, 3] -> γ [B, 2, 3]: [γ1 γ2] = [θ1 θ2]⁻¹, γ3 = -[γ1 γ2] θ3. Raises ModelError for a θ
    that has none (the guarded ones all do).
    """
    determinant = theta[:, 0, 0] * theta[:, 1, 1] - theta[:, 0, 1] * theta[:, 1, 0]
    if not bool((determinant.abs() > STRAY).all()):  # NaN too
        rows = (~(determinant.abs() > STRAY)).nonzero()[:, 0].tolist()
        raise ModelError(
            f"θ of rows {rows} cannot be inverted: make it by `guarded`, as `Sstn` does"
        )
    return inverse(theta)


def detransform(heatmaps: Tensor, theta: Tensor) -> Tensor:
    """SDTN: heatmaps of the region [B, K, h, w] and θ -> heatmaps of the crop [B, K, h, w], 0 where
    the region does not reach. For maps whose cells tile the crop (codec alignment "centre"); of
    others, bring the coordinates back.
    """
    return sample(heatmaps, back(theta), (heatmaps.shape[3], heatmaps.shape[2]))


class RmpeNet(nn.Module):
    """Crop [B, 3, H, W], normalised -> what the SPPE answers to the region, and the SSTN to the
    crop [B, 5].

    The SPPE is any of ours; `region` (width, height) is what it takes, and `crop_size(region)` the
    crop.
    """

    def __init__(self, sstn: Sstn, sppe: nn.Module, region: tuple[int, int]) -> None:
        super().__init__()
        self.sstn, self.sppe, self.region = sstn, sppe, region

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.sstn(crop)
        return self.sppe(
            sample(crop, guarded(raw, self.region[0] / self.region[1]), self.region)
        ), raw

    def heatmaps(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """-> heatmaps in the region [B, K, h, w] and θ [B, 2, 3]: what the exported graph gives."""
        theta = self.sstn.theta(crop)
        return self.sppe.heatmaps(sample(crop, theta, self.region)), theta  # type: ignore[operator]


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
