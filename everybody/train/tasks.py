"""The tasks by name, and what a recipe makes of them: the network, and what the loop trains.

A task is chosen by the kind of sample that a network learns from (`Model.kind`); a recipe may name
another one that has the same kind.
"""

from __future__ import annotations

from typing import Any

from ..errors import unknown
from ..models import MODELS
from .adversarial import AdversarialTask
from .cascade import CascadeTask
from .conditioned import ConditionedTask
from .detect import DetectorTask
from .equivariant import EquivariantTask
from .people import PeopleByRegionsTask, PeopleTask
from .pose import PoseTask
from .recipe import Recipe
from .rmpe import RmpeTask, SstnTask
from .second_head import MoreTask
from .sequences import SequenceTask
from .turn import TurnTask

AnyTask = (
    PoseTask
    | MoreTask
    | AdversarialTask
    | CascadeTask
    | ConditionedTask
    | TurnTask
    | DetectorTask
    | PeopleTask
    | PeopleByRegionsTask
    | EquivariantTask
    | SstnTask
    | RmpeTask
    | SequenceTask
)
TASKS: dict[str, type[AnyTask]] = {
    "crops": PoseTask,
    "more": MoreTask,
    "occluded": AdversarialTask,
    "conditioned": ConditionedTask,
    "turns": TurnTask,
    "pictures": DetectorTask,
    "people": PeopleTask,
    "people by regions": PeopleByRegionsTask,
    "regions": SstnTask,
    "cascade": CascadeTask,
    "sequences": SequenceTask,
    "rmpe": RmpeTask,
    "equivariant": EquivariantTask,
}


def task_of(recipe: Recipe) -> type[AnyTask]:
    """The task of a recipe. Raises OptionError for an unknown task or model, and for two that do
    not go together.
    """
    if recipe.model not in MODELS:
        raise unknown("model", recipe.model, MODELS)
    name = recipe.task or MODELS[recipe.model].kind
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    TASKS[name].row(recipe)
    return TASKS[name]


def task(recipe: Recipe, data: Any) -> AnyTask:
    """data: as the task's `load` gives it. Raises OptionError as `task_of`, and DataError where the
    data are not what the task learns from.
    """
    return task_of(recipe)(recipe, data)


def network(recipe: Recipe, count: int = 0) -> Any:
    """The untrained network of a recipe, for so many joints or categories (0: the usual)."""
    return task_of(recipe).network(recipe, count)
