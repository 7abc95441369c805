"""What weights say of themselves beside their recipe: which joints and categories they speak of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import skeleton_file
from ..skeletons import Skeleton

PEOPLE = ("person",)  # the categories of data and of weights that say none


@dataclass(frozen=True, slots=True)
class About:
    """What a network speaks of: the joints of a skeleton, and categories."""

    skeleton: Skeleton
    categories: tuple[str, ...] = PEOPLE

    def named_by(self, kind: str) -> tuple[str, ...]:
        """What a network that learns from this kind of sample has an answer for each of."""
        return self.categories if kind == "pictures" else self.skeleton.joints

    def to_dict(self) -> dict[str, str]:
        """As weights say it of themselves."""
        return {
            "skeleton": skeleton_file.to_text(self.skeleton),
            "categories": json.dumps(self.categories),
        }

    @classmethod
    def of_dict(cls, said: Mapping[str, str], where: Path) -> About:
        """The inverse, also of earlier versions. Raises OptionError."""
        skeleton = skeleton_file.of_text(said.get("skeleton", "coco-17"), where)
        return cls(skeleton, tuple(json.loads(said.get("categories", "null")) or PEOPLE))
