"""Smaller files of an exported network: weights of 16 bits, or all of it in 8 bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import runtime
from ..atomic import replacing
from ..errors import OptionError
from . import export, shards
from .augment import normalised
from .recipe import UNCHANGED
from .tasks import task_of


def halve(onnx: Path, out: Path) -> None:
    """The same ONNX with its weights stored as float16: half the size. Engines convert them to
    float32 once, when they load the file, and compute as before.
    """
    from onnx import TensorProto, helper, load, numpy_helper, save

    model = load(onnx)
    casts = []
    for value in model.graph.initializer:
        if value.data_type == TensorProto.FLOAT and np.prod(value.dims) > 16:
            name, small = (
                value.name,
                numpy_helper.from_array(numpy_helper.to_array(value).astype(np.float16)),
            )
            value.CopyFrom(small)
            value.name = f"{name}_half"
            casts.append(helper.make_node("Cast", [value.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    with replacing(out) as part:
        save(model, part)


def calibration(
    weights: Path, folders: Sequence[Path], count: int = 256
) -> Iterator[NDArray[np.float32]]:
    """Batches of 8 pictures from shards, unchanged, as the network of these weights gets them.
    Raises at once: DataError for what are no shards, OptionError for networks with an SSTN (a grid
    of 8 bits would move every pixel).
    """
    recipe, _ = export.load(weights)
    kind: Any = task_of(recipe)
    if not kind.quantisable:
        raise OptionError(
            f"{weights}: an SSTN says where to look, which 8 bits cannot: leave --int8 out"
        )
    return _batches(kind(replace(recipe, **UNCHANGED), shards.load(folders)), count)


def _batches(task: Any, count: int) -> Iterator[NDArray[np.float32]]:
    rng = torch.Generator().manual_seed(0)
    for start in range(0, min(count, len(task)), 8):
        rows = torch.arange(start, min(start + 8, len(task)))
        yield normalised(task.augmented(rows, rng)[0]).numpy()


def quantise(onnx: Path, out: Path, crops: Iterator[NDArray[np.float32]]) -> None:
    """float32 ONNX -> int8 (static, per channel; weights symmetric), calibrated on batches [B, 3,
    h, w] as the network gets them. The last layers, from the logits on, stay float32: scores need
    their resolution.
    """
    runtime.keep_private()
    from onnx import load as load_onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, Any] | None:  # type: ignore[override]
            batch = next(crops, None)
            return None if batch is None else {"image": batch}

    nodes = list(load_onnx(onnx).graph.node)
    convolutions = [node.name for node in nodes if node.op_type in ("Conv", "Gemm")]
    keep = [
        convolutions[-1],
        *(node.name for node in nodes if node.op_type in ("Softmax", "Resize", "Mul")),
    ]
    with replacing(out) as part:
        quantize_static(
            onnx,
            part,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=keep,
            reduce_range=True,  # weights of 7 bits: CPUs without VNNI add pairs of products in 16
        )
