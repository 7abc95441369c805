"""A number with a name, as all measures give it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..geometry import Array


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A number with a name. Called with how often each picture counts [P], it is the number of that
    draw.

    parts: the same per joint, limb or size. says: what it divides by and averages over, in words.
    category: of whom alone it speaks; its name then ends with that.
    """

    name: str
    value: float
    again: Callable[[Array], float]
    parts: dict[str, float] = field(default_factory=dict)
    says: str = ""
    curve: tuple[Array, Array] | None = None
    category: str = ""

    @property
    def measure(self) -> str:
        """Its name without the category."""
        return self.name.removesuffix(f" {self.category}")

    def __call__(self, weights: Array) -> float:
        return self.again(weights)
