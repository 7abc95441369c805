"""The page as files: what the server serves at / and what `everybody studio --export` writes.

The page has no build step: its modules are files of `static/`. The networks it runs in the browser
are the bundled ONNX models; `models.json` tells it how to speak to them, from the manifest and
from the values that the library itself uses, so that no number is written twice. The engine
(onnxruntime-web) comes with a wheel of its own, `everybody-studio`; without it the page works by
the server.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from .. import onnx_part
from ..codecs import PICTURE_CODECS, Heatmap, make_codec
from ..follow.as_needed import CLEAR
from ..methods import orientation
from ..nms import PoseNms
from ..nms.parametric import part_weights
from ..options import FindOptions
from ..skeletons import SKELETONS, Skeleton
from ..smooth.one_euro import DERIVATIVE, LONGEST, SURE, OneEuro
from ..track.watch import BLIND
from ..weights import manifest

STATIC = Path(__file__).parent / "static"
ENGINE_WHEEL = "everybody_studio"
# Of a checkout: where `npm ci` has put the engine.
NODE_MODULES = Path(__file__).parents[2] / "web" / "node_modules" / "onnxruntime-web" / "dist"
# What the page loads of the engine: by WebAssembly alone, and with WebGPU.
ENGINE = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
VARIANTS = ("fast", "accurate")
SHOWN_SKELETONS = tuple(name for name, skeleton in SKELETONS.items() if len(skeleton))


def site_files(*, server: bool) -> dict[str, Path | bytes]:
    """Everything the page is: its URL, relative to the page, to a file or to bytes made here.
    server: whether there is one behind it.
    """
    files: dict[str, Path | bytes] = {
        path.relative_to(STATIC).as_posix(): path
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }
    folder = engine_folder()
    if folder:
        files |= {f"engine/{name}": folder / name for name in ENGINE}
    for name in _models():
        row = manifest.load()[0][name]
        files[f"models/{name}.onnx"] = _network(row)
    files["models.json"] = json.dumps(models(server=server), allow_nan=False).encode()
    return files


def _network(row: manifest.Row) -> Path | bytes:
    """A bundled network: its file, or of several answers the part that the page needs."""
    file = manifest.HERE / row.file
    return onnx_part.read(file, (row.output,)) if row.output else file


def engine_folder() -> Path | None:
    """Where onnxruntime-web is: in its wheel, or in a checkout's node_modules; None: nowhere."""
    spec = importlib.util.find_spec(ENGINE_WHEEL)
    places = [Path(place) / "engine" for place in (spec and spec.submodule_search_locations) or ()]
    for place in (*places, NODE_MODULES):
        if all((place / name).is_file() for name in ENGINE):
            return place
    return None


def models(*, server: bool) -> dict[str, Any]:
    """What the page is told of networks, numbers and skeletons: `models.json`."""
    rows, default = manifest.load()
    return {
        "server": server,
        "engine": engine_folder() is not None,
        "variants": {name: asdict(manifest.variant(name)) for name in VARIANTS},
        "turn": default["turn"],
        "models": {name: _told(rows[name]) for name in _models()},
        "numbers": _numbers(),
        "skeletons": {name: shown(SKELETONS[name]) for name in SHOWN_SKELETONS},
    }


def shown(skeleton: Skeleton) -> dict[str, Any]:
    """A skeleton as the page draws it."""
    return {
        "name": skeleton.name,
        "joints": skeleton.joints,
        "limbs": skeleton.limbs,
        "sides": skeleton.sides,
        "parents": skeleton.parents,
    }


def _models() -> list[str]:
    pairs = [manifest.variant(name) for name in VARIANTS]
    names = [name for pair in pairs for name in (pair.detector, pair.pose)]
    return list(dict.fromkeys([*names, manifest.load()[1]["turn"]]))


def _told(row: manifest.Row) -> dict[str, Any]:
    """How to speak to a network."""
    return {
        "input": asdict(row.input),
        "padding": row.padding,
        "nms": row.nms,
        "skeleton": row.skeleton,
        "offset": PICTURE_CODECS[row.layout]().offset if row.layout else None,
        "codec": _codec(row) if row.codec else None,
        "bytes": len(network) if isinstance(network := _network(row), bytes) else row.bytes,
    }


def _codec(row: manifest.Row) -> dict[str, Any]:
    codec = cast(Heatmap, make_codec(row.codec, row.input.size))
    return {
        "refine": codec.refine,
        "sigma": codec.sigma,
        "height": codec.height,
        "scale": codec.scale.tolist(),
        "offset": codec.offset.tolist(),
    }


def _numbers() -> dict[str, Any]:
    """The values that decide, by the names that the page's modules give them."""
    guided, nms, smooth = orientation.GUIDED, PoseNms(), OneEuro()
    pose = manifest.load()[0][manifest.variant("fast").pose]
    return {
        "find": {
            "score": FindOptions().score,
            "faint": orientation.FAINT,
            "most": orientation.MOST,
            "turned": orientation.TURNED,
        },
        "turns": {
            "search": asdict(guided),
            "bonus": orientation.UPRIGHT_BONUS,
            "leaning": orientation.LEANING,
            "well": orientation.WELL,
            "seen": orientation.SEEN,
            "long": orientation.LONG,
        },
        "suppression": {
            "nms": asdict(nms),
            "weights": part_weights(SKELETONS[str(pose.skeleton)]).tolist(),
        },
        "follow": {"blind": BLIND, "clear": CLEAR},
        "smooth": {
            "minimum": smooth.minimum,
            "beta": smooth.beta,
            "derivative": DERIVATIVE,
            "sure": SURE,
            "longest": LONGEST,
        },
    }
