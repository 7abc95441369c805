"""The tasks by name: a recipe and packed pictures -> what the loop trains."""

from __future__ import annotations

from .detect import DetectorTask
from .equivariant import EquivariantTask
from .loop import Task
from .pose import PoseTask, TurnTask
from .recipe import Recipe
from .rmpe import RmpeTask, SstnTask
from .shards import Pack

TASKS: dict[
    str, type[PoseTask | TurnTask | DetectorTask | EquivariantTask | SstnTask | RmpeTask]
] = {
    "pose": PoseTask,
    "turn": TurnTask,
    "detector": DetectorTask,
    "sstn": SstnTask,
    "rmpe": RmpeTask,
    "equivariant": EquivariantTask,
}


def task(recipe: Recipe, pack: Pack) -> Task:
    """Raises DataError where the packed pictures are not what the task learns from."""
    return TASKS[recipe.task](recipe, pack)
