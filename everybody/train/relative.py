"""AdamW whose steps are relative to the size of the weights: for networks whose normalisation is
folded.

A normalised network does not mind how large the weights of a channel are; once normalisation is
folded into them, their sizes differ a thousandfold, and one rate for all wrecks the small and
leaves the large as they are. Here each output channel's step is in units of its root mean square
(as Adafactor's per tensor, Shazeer & Stern 2018; after LARS, You et al. 2017), which is what Adam
does to the weights before they are folded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class RelativeAdamW(torch.optim.AdamW):
    """`lr` is the share of its size by which a weight changes per step, at most; of biases, of
    their vector's size. Groups that say `relative=False` step as AdamW.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        relative = [group for group in self.param_groups if group.get("relative", True)]
        trained = [p for group in relative for p in group["params"] if p.grad is not None]
        before = [p.clone() for p in trained]
        loss = super().step(closure)
        for after, old in zip(trained, before, strict=True):
            after.copy_(old + (after - old) * sizes(old))
        return loss


def sizes(weights: Tensor) -> Tensor:
    """[O, …] -> [O, 1, …]: the root mean square of each output channel; of a vector, of all."""
    if weights.ndim < 2:
        return weights.square().mean().sqrt()
    return weights.square().mean(tuple(range(1, weights.ndim)), keepdim=True).sqrt()
