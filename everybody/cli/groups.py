"""Flags of a command in groups: dataclasses whose fields are the flags, shared between commands.

@dataclass(frozen=True, kw_only=True)
class Running:
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto"

@app.command()
@grouped
def run(sources: list[str], running: Running) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints


class Flags(dict[str, Any]):
    """All flags as they were given, by name, as run.json records them: a parameter of this type
    gets them.
    """


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters are groups -> one that takes the fields of all groups as flags."""
    hints = get_type_hints(function, include_extras=True)
    kinds: dict[str, Any] = {name: hints[name] for name in inspect.signature(function).parameters}
    parameters = [p for name, kind in kinds.items() for p in _flags(name, kind, function)]

    def command(**flags: Any) -> None:
        given = {k: str(v) if isinstance(v, Path) else v for k, v in flags.items()}
        values = {}
        for name, kind in kinds.items():
            if kind is Flags:
                values[name] = Flags({k: v for k, v in given.items() if v is not None})
            elif isinstance(kind, type) and is_dataclass(kind):
                values[name] = kind(**{field.name: flags[field.name] for field in fields(kind)})
            else:
                values[name] = flags[name]
        function(**values)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _flags(name: str, kind: Any, function: Callable[..., None]) -> list[inspect.Parameter]:
    """The parameters that one parameter of the command becomes."""
    if kind is Flags:
        return []
    if not is_dataclass(kind):
        default = inspect.signature(function).parameters[name].default
        return [_parameter(name, kind, default)]
    hints = get_type_hints(kind, include_extras=True)
    return [_parameter(field.name, hints[field.name], _default(field)) for field in fields(kind)]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default
