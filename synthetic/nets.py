"""Small ONNX files whose answers are known, so that the pipeline is tested end to end without
anybody's weights.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ALIGNMENTS = {"centre": "half_pixel", "corner": "asymmetric", "udp": "align_corners"}


def _save(
    path: Path, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]
) -> Path:
    initialisers = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    ]
    graph = helper.make_graph(nodes, "known", inputs, outputs, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _float(name: str, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def condition_echo(path: Path, joints: int, size=(96, 128), stride: int = 4) -> Path:
    """An SPPE with a condition that believes it: it answers the maps of the rough pose."""
    width, height = size
    h, w = height // stride, width // stride
    more = -(-2 * joints // stride**2)
    nodes = [
        helper.make_node("Slice", ["image", "three", "end", "channel"], ["folded"]),
        helper.make_node("Reshape", ["folded", "cells"], ["apart"]),
        helper.make_node("Transpose", ["apart"], ["together"], perm=[0, 1, 3, 5, 2, 4]),
        helper.make_node("Reshape", ["together", "maps"], ["both"]),
        helper.make_node("Slice", ["both", "zero", "joints", "channel"], ["heatmaps"]),
    ]
    constants = {
        "three": np.array([3]),
        "end": np.array([3 + more]),
        "zero": np.array([0]),
        "joints": np.array([joints]),
        "channel": np.array([1]),
        "cells": np.array([-1, more, h, stride, w, stride]),
        "maps": np.array([-1, more * stride**2, h, w]),
    }
    image, heatmaps = ["batch", 3 + more, height, width], ["batch", joints, h, w]
    outputs = [_float("heatmaps", heatmaps)]
    return _save(path, nodes, [_float("image", image)], outputs, constants)


def heatmap_finder(
    path: Path, joints: int, size=(96, 128), stride: int = 4, alignment: str = "corner"
) -> Path:
    """An SPPE whose joints are all at the brightest spot of the crop, on a grid of the given
    alignment.
    """
    width, height = size
    h, w = height // stride, width // stride
    nodes = [
        helper.make_node("ReduceMean", ["image", "channel"], ["grey"], keepdims=1),
        helper.make_node("Mul", ["grey", "unit"], ["bright"]),
        helper.make_node("Shape", ["bright"], ["shape"], start=0, end=2),
        helper.make_node("Concat", ["shape", "grid"], ["sizes"], axis=0),
        helper.make_node(
            "Resize",
            ["bright", "", "", "sizes"],
            ["small"],
            mode="linear",
            coordinate_transformation_mode=ALIGNMENTS[alignment],
        ),
        helper.make_node("Tile", ["small", "joints"], ["heatmaps"]),
    ]
    constants = {
        "channel": np.array([1]),
        "unit": np.array(1 / 255, np.float32),
        "grid": np.array([h, w]),
        "joints": np.array([1, joints, 1, 1]),
    }
    return _save(
        path,
        nodes,
        [_float("image", ["batch", 3, height, width])],
        [_float("heatmaps", ["batch", joints, h, w])],
        constants,
    )


def mean_colour(path: Path) -> Path:
    """An embedding network: the mean colour of a crop."""
    node = helper.make_node("ReduceMean", ["image", "plane"], ["look"], keepdims=0)
    return _save(
        path,
        [node],
        [_float("image", ["batch", 3, 32, 16])],
        [_float("look", ["batch", 3])],
        {"plane": np.array([2, 3])},
    )


def upright_finder(path: Path, joints: int, size=(96, 128), stride: int = 4) -> Path:
    """An SPPE whose joints are all at the reddest spot of the crop, as surely as the crop's top
    quarter is blue; where it is not, they are thought to be in the top left corner (0.3).
    """
    width, height = size
    h, w = height // stride, width // stride
    nodes = [
        helper.make_node("Slice", ["image", "zero", "one", "axis"], ["red"]),
        helper.make_node("Slice", ["image", "two", "three", "axis"], ["blue"]),
        helper.make_node("Slice", ["blue", "zero", "quarter", "rows"], ["top"]),
        helper.make_node("ReduceMean", ["top", "plane"], ["sky"], keepdims=1),
        helper.make_node("Mul", ["sky", "unit"], ["sure"]),
        helper.make_node("Mul", ["red", "unit"], ["bright"]),
        helper.make_node("Mul", ["bright", "sure"], ["spot"]),
        helper.make_node("Shape", ["spot"], ["shape"], start=0, end=2),
        helper.make_node("Concat", ["shape", "grid"], ["sizes"], axis=0),
        helper.make_node(
            "Resize",
            ["spot", "", "", "sizes"],
            ["small"],
            mode="linear",
            coordinate_transformation_mode=ALIGNMENTS["corner"],
        ),
        helper.make_node("Max", ["small", "corner"], ["map"]),
        helper.make_node("Tile", ["map", "joints"], ["heatmaps"]),
    ]
    constants = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "two": np.array([2]),
        "three": np.array([3]),
        "axis": np.array([1]),
        "rows": np.array([2]),
        "quarter": np.array([height // 4]),
        "plane": np.array([2, 3]),
        "unit": np.array(1 / 255, np.float32),
        "grid": np.array([h, w]),
        "joints": np.array([1, joints, 1, 1]),
        "corner": np.pad(
            np.full((1, 1, 1, 1), 0.3, np.float32), ((0, 0), (0, 0), (0, h - 1), (0, w - 1))
        ),
    }
    return _save(
        path,
        nodes,
        [_float("image", ["batch", 3, height, width])],
        [_float("heatmaps", ["batch", joints, h, w])],
        constants,
    )


def sky_finder(path: Path, side: int = 64) -> Path:
    """A turn net: the sky, which is blue, lies above (0), to the right (1), below (2) or to the
    left (3).
    """
    edge = side // 4
    ends = {
        "top": (0, edge, 2),
        "right": (side - edge, side, 3),
        "bottom": (side - edge, side, 2),
        "left": (0, edge, 3),
    }
    nodes = [helper.make_node("Slice", ["image", "two", "three", "one"], ["blue"])]
    constants = {
        "two": np.array([2]),
        "three": np.array([3]),
        "one": np.array([1]),
        "sharp": np.array(0.05, np.float32),
    }
    for name, (first, last, axis) in ends.items():
        constants |= {
            f"{name}_{i}": np.array([value]) for i, value in enumerate((first, last, axis))
        }
        nodes += [
            helper.make_node(
                "Slice", ["blue", *(f"{name}_{i}" for i in range(3))], [f"{name}_part"]
            ),
            helper.make_node("ReduceMean", [f"{name}_part", "plane"], [name], keepdims=0),
        ]
    constants["plane"] = np.array([2, 3])
    nodes += [
        helper.make_node("Concat", [*ends], ["sky"], axis=1),
        helper.make_node("Mul", ["sky", "sharp"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["turns"], axis=1),
    ]
    return _save(
        path,
        nodes,
        [_float("image", ["batch", 3, side, side])],
        [_float("turns", ["batch", 4])],
        constants,
    )


def simcc_finder(path: Path, joints: int, size=(96, 128), split: int = 2) -> Path:
    """An SPPE with SimCC outputs whose joints are all at the brightest spot of the crop."""
    width, height = size
    nodes = [
        helper.make_node("ReduceMean", ["image", "channel"], ["grey"], keepdims=1),
        helper.make_node("Mul", ["grey", "unit"], ["bright"]),
    ]
    constants = {
        "channel": np.array([1]),
        "unit": np.array(1 / 255, np.float32),
        "tiles": np.array([1, joints, 1]),
    }
    for name, over in (("x", 2), ("y", 3)):
        constants |= {
            f"{name}_over": np.array([over]),
            f"{name}_scale": np.array([1, 1, split], np.float32),
        }
        nodes += [
            helper.make_node(
                "ReduceMax", ["bright", f"{name}_over"], [f"{name}_profile"], keepdims=0
            ),
            helper.make_node(
                "Resize",
                [f"{name}_profile", "", f"{name}_scale"],
                [f"{name}_bins"],
                mode="linear",
                coordinate_transformation_mode="asymmetric",
            ),
            helper.make_node("Tile", [f"{name}_bins", "tiles"], [f"simcc_{name}"]),
        ]
    outputs = [
        _float("simcc_x", ["batch", joints, width * split]),
        _float("simcc_y", ["batch", joints, height * split]),
    ]
    return _save(path, nodes, [_float("image", ["batch", 3, height, width])], outputs, constants)


def heatmap_constant(
    path: Path, cells: np.ndarray, size=(96, 128), stride: int = 4, batch: int | str = "batch"
) -> Path:
    """An SPPE of one answer: joint k peaks (0.9) at the cell (x, y) = cells[k]."""
    h, w = size[1] // stride, size[0] // stride
    maps = np.zeros((1, len(cells), h, w), np.float32)
    for joint, (x, y) in enumerate(cells):
        maps[0, joint] = 0.9 * np.exp(
            -((np.arange(w) - x) ** 2 + (np.arange(h)[:, None] - y) ** 2) / 8
        )
    return answers_constant(path, {"heatmaps": maps}, size, batch)


def answers_constant(
    path: Path, answers: dict[str, np.ndarray], size=(96, 128), batch: int | str = "batch"
) -> Path:
    """An SPPE that says the same of every crop: answers [1, …] by the names of the outputs."""
    width, height = size
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    constants = {"axes": np.array([1, 2, 3]), "zero": np.array(0, np.float32)}
    for name, answer in answers.items():
        constants[f"{name}_value"] = answer.astype(np.float32)
        constants[f"{name}_shape"] = np.array([-1] + [1] * (answer.ndim - 1))
        nodes += [
            helper.make_node("Reshape", ["nothing", f"{name}_shape"], [f"{name}_nothing"]),
            helper.make_node("Add", [f"{name}_nothing", f"{name}_value"], [name]),
        ]
    outputs = [_float(name, [batch, *answer.shape[1:]]) for name, answer in answers.items()]
    return _save(path, nodes, [_float("image", [batch, 3, height, width])], outputs, constants)


def rtmdet_constant(
    path: Path, boxes: np.ndarray, labels: list[int] | None = None, single: bool = False
) -> Path:
    """A detector of dynamic size that always finds these boxes [N, 5] (x0, y0, x1, y1 in input
    pixels, score).

    single: like graphs that hold their NMS, it promises any batch and fails beyond one picture.
    """
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "column"], ["per_picture"]),
        helper.make_node("Add", ["per_picture", "boxes"], ["dets"]),
        helper.make_node("Reshape", ["nothing", "row"], ["flat"]),
        helper.make_node("Add", ["flat", "classes"], ["float_labels"]),
        helper.make_node("Cast", ["float_labels"], ["labels"], to=TensorProto.INT64),
    ]
    constants = {
        "axes": np.array([1, 2, 3]),
        "zero": np.array(0, np.float32),
        "column": np.array([1 if single else -1, 1, 1]),
        "row": np.array([-1, 1]),
        "boxes": boxes[None].astype(np.float32),
        "classes": np.array([labels or [0] * len(boxes)], np.float32),
    }
    outputs = [
        _float("dets", ["batch", len(boxes), 5]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", len(boxes)]),
    ]
    return _save(
        path, nodes, [_float("input", ["batch", 3, "height", "width"])], outputs, constants
    )


def constant(
    path: Path, size: tuple[int, int], outputs: dict[str, np.ndarray], *, layout: str = "nchw"
) -> Path:
    """Batch 1 and fixed size (width, height); answers with these arrays."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    nodes += [helper.make_node("Add", ["nothing", f"{name}_value"], [name]) for name in outputs]
    constants = {"zero": np.array(0, np.float32)} | {
        f"{n}_value": v.astype(np.float32) for n, v in outputs.items()
    }
    width, height = size
    ports = [_float(name, list(value.shape)) for name, value in outputs.items()]
    sides = [3, height, width] if layout == "nchw" else [height, width, 3]
    return _save(path, nodes, [_float("image", [1, *sides])], ports, constants)


def blazepose_constant(
    path: Path, points: np.ndarray, world: np.ndarray, sure: float = 9.0, there: float = 1.0
) -> Path:
    """BlazePose's landmarks [33, 2] in pixels of the crop's 256 from its edge, and [33, 3] in
    metres; the next look is at the same place.
    """
    answer = np.zeros((39, 5))
    answer[:33, :2] = points
    answer[:33, 3] = sure
    answer[33, :2] = 128
    answer[34, :2] = 128, 128 - 128 / 1.25
    metres = np.zeros((39, 3))
    metres[:33] = world
    outputs = {
        "points": answer.reshape(1, 195),
        "there": np.array([[there]]),
        "mask": np.zeros((1, 256, 256, 1)),
        "maps": np.zeros((1, 64, 64, 39)),
        "world": metres.reshape(1, 117),
    }
    return constant(path, (256, 256), outputs, layout="nhwc")


def yolox_constant(path: Path, side: int, boxes: np.ndarray, classes: int = 80) -> Path:
    """A raw YOLOX grid of these boxes [N, 5] (x0, y0, x1, y1, score), each in the stride-8 cell of
    its centre.
    """
    grid = np.full((1, sum((side // s) ** 2 for s in (8, 16, 32)), 5 + classes), 0.0)
    for x0, y0, x1, y1, score in boxes:
        x, y = (x0 + x1) / 16, (y0 + y1) / 16
        row = grid[0, int(y) * (side // 8) + int(x)]
        row[:4] = x - int(x), y - int(y), np.log((x1 - x0) / 8), np.log((y1 - y0) / 8)
        row[4:6] = 1.0, score
    return constant(path, (side, side), {"output": grid})


def picodet_constant(path: Path, side: int, boxes: np.ndarray) -> Path:
    """Boxes [1, A, 4] and scores [1, 1, A] apart, as PicoDet gives them."""
    return constant(
        path, (side, side), {"boxes": boxes[None, :, :4], "scores": boxes[None, None, :, 4]}
    )


def blob(width: int, height: int, x: float, y: float, sigma: float = 8.0) -> np.ndarray:
    """A grey picture [H, W, 3] with a soft bright spot at (x, y): so wide that any resampling keeps
    its centre.
    """
    bright = np.exp(
        -((np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2) / (2 * sigma**2)
    )
    return np.repeat((255 * bright).round().astype(np.uint8)[..., None], 3, 2)


def sstn_constant(path: Path, theta: np.ndarray, size=(120, 160)) -> Path:
    """An SSTN for itself that always says θ [2, 3], and what it is in its metadata."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "column"], ["per_crop"]),
        helper.make_node("Add", ["per_crop", "value"], ["theta"]),
    ]
    constants = {
        "axes": np.array([1, 2, 3]),
        "zero": np.array(0, np.float32),
        "column": np.array([-1, 1, 1]),
        "value": theta[None].astype(np.float32),
    }
    width, height = size
    _save(
        path,
        nodes,
        [_float("image", ["batch", 3, height, width])],
        [_float("theta", ["batch", 2, 3])],
        constants,
    )
    model = onnx.load(path)
    about = {"task": "sstn", "padding": 1.3, "input": {"size": size}}
    model.metadata_props.add(key="everybody", value=json.dumps(about))
    onnx.save(model, str(path))
    return path


def sky_detector(path: Path, box: np.ndarray, least: float) -> Path:
    """A detector of dynamic size that finds one box [4], in input pixels, as surely as all of the
    top quarter of a picture of 320 × 320 is blue, and `least` at least.
    """
    nodes = [
        helper.make_node("Slice", ["input", "first", "last", "axes"], ["sky"]),
        helper.make_node("ReduceMin", ["sky", "all"], ["darkest"], keepdims=0),
        helper.make_node("Mul", ["darkest", "unit"], ["bright"]),
        helper.make_node("Max", ["bright", "least"], ["sure"]),
        helper.make_node("Reshape", ["sure", "column"], ["score"]),
        helper.make_node("Mul", ["score", "zeros"], ["nothing"]),
        helper.make_node("Add", ["nothing", "box"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "score"], ["dets"], axis=2),
        helper.make_node("Reshape", ["sure", "row"], ["flat"]),
        helper.make_node("Mul", ["flat", "none"], ["float_labels"]),
        helper.make_node("Cast", ["float_labels"], ["labels"], to=TensorProto.INT64),
    ]
    constants = {
        "first": np.array([2, 0]),
        "last": np.array([3, 80]),
        "axes": np.array([1, 2]),
        "all": np.array([1, 2, 3]),
        "unit": np.array(1 / 255, np.float32),
        "least": np.array(least, np.float32),
        "column": np.array([-1, 1, 1]),
        "zeros": np.zeros((1, 1, 4), np.float32),
        "box": box.reshape(1, 1, 4).astype(np.float32),
        "row": np.array([-1, 1]),
        "none": np.array(0, np.float32),
    }
    outputs = [
        _float("dets", ["batch", 1, 5]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", 1]),
    ]
    return _save(
        path, nodes, [_float("input", ["batch", 3, "height", "width"])], outputs, constants
    )


def movenet_constant(path: Path, poses: np.ndarray) -> Path:
    """MoveNet MultiPose that always gives these poses [N, 56], in shares of its input."""
    nodes = [
        helper.make_node("Cast", ["input"], ["picture"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "column"], ["per_picture"]),
        helper.make_node("Add", ["per_picture", "known"], ["poses"]),
    ]
    constants = {
        "axes": np.array([1, 2, 3]),
        "zero": np.array(0, np.float32),
        "column": np.array([-1, 1, 1]),
        "known": poses[None].astype(np.float32),
    }
    taken = helper.make_tensor_value_info("input", TensorProto.INT32, [1, "height", "width", 3])
    return _save(path, nodes, [taken], [_float("poses", [1, *poses.shape])], constants)


def maps_constant(
    path: Path, maps: dict[str, np.ndarray], size: tuple[int, int] | None = None
) -> Path:
    """A network of pictures [B, 3, H, W] (`size`: width, height; None: any) that always gives these
    maps [C, h, w].
    """
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(helper.make_node("Add", ["nothing", f"known_{name}"], [name]) for name in maps),
    ]
    constants = {"axes": np.array([1, 2, 3]), "zero": np.array(0, np.float32)} | {
        f"known_{name}": known[None].astype(np.float32) for name, known in maps.items()
    }
    sides = ["height", "width"] if size is None else [size[1], size[0]]
    taken = [_float("image", ["batch", 3, *sides])]
    given = [_float(name, ["batch", *known.shape]) for name, known in maps.items()]
    return _save(path, nodes, taken, given, constants)


def describe(path: Path, about: dict[str, object]) -> None:
    """Says in a file's metadata what it is."""
    model = onnx.load(path)
    model.metadata_props.add(key="everybody", value=json.dumps(about))
    onnx.save(model, str(path))


def lifter(path: Path, pose: np.ndarray, frames: int = 27, seed: int = 0) -> Path:
    """A lifter of random numbers: poses [B, 1, 17, 3] are a smooth function of the whole clip
    [B, frames, 18, 3], not far from a given pose [17, 3].
    """
    random = np.random.default_rng(seed)
    inputs = frames * 18 * 3
    constants = {
        "flat": np.array([0, inputs]),
        "first": random.normal(0, 1 / np.sqrt(inputs), (inputs, 64)).astype(np.float32),
        "second": random.normal(0, 0.02, (64, 51)).astype(np.float32),
        "rest": pose.reshape(51).astype(np.float32),
        "shape": np.array([0, 1, 17, 3]),
    }
    nodes = [
        helper.make_node("Reshape", ["clip", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "first"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["moved"]),
        helper.make_node("Add", ["moved", "rest"], ["joints"]),
        helper.make_node("Reshape", ["joints", "shape"], ["poses"]),
    ]
    return _save(
        path,
        nodes,
        [_float("clip", ["N", frames, 18, 3])],
        [_float("poses", ["N", 1, 17, 3])],
        constants,
    )
