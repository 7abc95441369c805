"""What the tests of several networks share beside the laws: what is exported, and a start at which
all can learn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Answering(nn.Module):
    """The exported graph: image -> what the codec decodes."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.net.answer(self.net(image))


def awake(net: Any) -> Any:
    """The network with no factor at 0: some layers start at 0, and no gradient passes them."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.fill_(1.0)
    return net
