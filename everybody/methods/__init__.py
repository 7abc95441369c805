"""The methods by name, and how one is chosen: `everybody run --method NAME`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import OptionError
from ..method import Method
from ..options import Engine, Options
from ..runtime import cores
from ..weights import manifest
from ..weights.locate import opened
from .blazepose import open_blazepose
from .deepcut import open_deepcut
from .dekr import open_dekr
from .keypoint_rcnn import open_keypoint_rcnn
from .movenet import open_movenet
from .openpose import open_openpose
from .personlab import open_personlab
from .rtmo import open_rtmo
from .told import as_asked
from .topdown import open_topdown

DEFAULT = "topdown"
METHODS: dict[str, Callable[[Options], Method]] = {
    "topdown": open_topdown,
    "movenet": open_movenet,
    "openpose": open_openpose,
    "personlab": open_personlab,
    "deepcut": open_deepcut,
    "keypoint_rcnn": open_keypoint_rcnn,
    "dekr": open_dekr,
    "rtmo": open_rtmo,
    "blazepose": open_blazepose,
}

IN_BOXES = (DEFAULT, "blazepose")  # those that look into the boxes that somebody finds


def open_method(options: Options) -> Method:
    """The method that the options name: a row of `METHODS`, or a model that is a method, by its
    name in the manifest or as an ONNX file that says so. Raises OptionError that names the known
    ones, and what its opener raises.
    """
    name = str(options.method or DEFAULT)
    if name in METHODS:
        return _opened(name, options)
    rows, _ = manifest.load()
    row = opened(name, "people", options.engine)[1] if name.endswith(".onnx") else rows.get(name)
    if row and row.method in METHODS:
        pose = replace(options.pose, model=options.pose.model or name)
        return _opened(row.method, replace(options, pose=pose))
    whole = [name for name, row in rows.items() if row.method]
    raise OptionError(
        f"unknown method '{name}': known are {', '.join(METHODS)}, "
        f"and the models that are one: {', '.join(whole)}"
    )


def _opened(name: str, options: Options) -> Method:
    """The method, its people in the skeleton that is asked for; the top-down one sees to that for
    each of its models.
    """
    demand_used(name, options)
    method = METHODS[name](options)
    return method if name == DEFAULT else as_asked(method, options.pose.skeleton)


def demand_used(method: str, options: Options) -> None:
    """Raises OptionError for an option of top-down models that the method would leave out."""
    if method == DEFAULT:
        return
    find, pose = options.find, options.pose
    unused: dict[str, object] = {
        "--second": find.second,
        "--sstn": pose.sstn,
        "--refine": pose.refine,
        "--condition": pose.condition,
        "--associate": pose.associate,
        "--flip-test": pose.flip_test,
    }
    if method not in IN_BOXES:
        unused |= {
            "--boxes": find.boxes,
            "--hand": pose.hand,
            "--face": pose.face,
        }
    if given := [option for option, value in unused.items() if value]:
        raise OptionError(
            f"method '{method}' has no use for {', '.join(given)}: leave it out, or leave --method "
            "out for the top-down models"
        )


def is_method(name: str | None) -> bool:
    """Whether a name is that of a method, or of a model that is one, or an ONNX file that says
    so.
    """
    rows, _ = manifest.load()
    path = Path(name or "")
    if path.suffix == ".onnx" and path.is_file():
        row = manifest.told(Engine(device="cpu", threads=1)(path).about, path)
        return row is not None and bool(row.method)
    return name is not None and (name in METHODS or bool(name in rows and rows[name].method))


def on_this_machine(options: Options) -> Options:
    """The same options with workers and threads chosen by device and cores where they are 0: on
    CPUs, N calls of one thread each do more work per second than one call of N threads.
    """
    engine = options.engine
    threads = engine.threads or cores()
    workers = options.workers or (threads if engine.on_cpu else 1)
    engine = replace(engine, threads=max(1, threads // workers), parallel=workers)
    return replace(options, engine=engine, workers=workers)
