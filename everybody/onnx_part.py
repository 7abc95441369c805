"""The part of an ONNX file that some of its outputs need.

onnxruntime computes a whole graph, also what leads only to outputs that nobody asks for. So a file
with several answers is cut before it is loaded: nodes, weights and outputs that the wanted answers
do not need are left out, all others stay byte for byte. ONNX is a Protocol Buffers message; three
of its messages are read here as far as the cut needs (field numbers of onnx.proto3):

    ModelProto   7 graph
    GraphProto   1 node, 5 initializer, 12 output
    NodeProto    1 input, 2 output           TensorProto 8 name       ValueInfoProto 1 name

Graphs within nodes (If, Loop) may use names that this does not see; our files have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import ModelError

GRAPH, NODE, INITIALIZER, OUTPUT = 7, 1, 5, 12
NODE_INPUT, NODE_OUTPUT, TENSOR_NAME, VALUE_NAME = 1, 2, 8, 1
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5


class Field(NamedTuple):
    """A field of a message: its number, all its bytes, and its content where that is bytes."""

    number: int
    whole: memoryview
    content: memoryview


def read(path: Path, outputs: Sequence[str]) -> bytes:
    """The file cut to these outputs. Raises ModelError if it has not all of them, or is no ONNX."""
    try:
        return part(path.read_bytes(), outputs)
    except (IndexError, ValueError, OSError) as error:
        raise ModelError(f"{path}: not a usable ONNX model ({error})") from error


def part(model: bytes, outputs: Sequence[str]) -> bytes:
    """A model's bytes cut to some outputs. Raises ValueError for an output that it does not have,
    and ValueError or IndexError for bytes that are no model.
    """
    pieces: list[bytes | memoryview] = []
    parts = list(fields(memoryview(model)))
    if not any(field.number == GRAPH for field in parts):
        raise ValueError("it holds no graph")
    for field in parts:
        if field.number != GRAPH:
            pieces.append(field.whole)
            continue
        graph = b"".join(_cut(list(fields(field.content)), outputs))
        pieces += [_varint(GRAPH << 3 | BYTES), _varint(len(graph)), graph]
    return b"".join(pieces)


def _cut(graph: list[Field], outputs: Sequence[str]) -> list[memoryview]:
    """The fields of a graph that the outputs need, in their order."""
    told = [_texts(field.content, VALUE_NAME)[0] for field in graph if field.number == OUTPUT]
    if missing := sorted(set(outputs) - set(told)):
        raise ValueError(f"it has no output '{missing[0]}': it has {', '.join(told)}")
    needed, kept = set(outputs), set[int]()
    for place in reversed(range(len(graph))):  # nodes stand in the order in which they are computed
        field = graph[place]
        if field.number == NODE and needed & set(_texts(field.content, NODE_OUTPUT)):
            needed.update(_texts(field.content, NODE_INPUT))
            kept.add(place)
    for place, field in enumerate(graph):
        if field.number == INITIALIZER:
            stays = _texts(field.content, TENSOR_NAME)[0] in needed
        elif field.number == OUTPUT:
            stays = _texts(field.content, VALUE_NAME)[0] in outputs
        else:
            stays = field.number != NODE
        if stays:
            kept.add(place)
    return [graph[place].whole for place in sorted(kept)]


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, in order. Raises IndexError or ValueError for other bytes."""
    at = 0
    while at < len(message):
        key, start = _number(message, at)
        kind = key & 7
        if kind == VARINT:
            end = _number(message, start)[1]
        elif kind == BYTES:
            length, start = _number(message, start)
            end = start + length
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            end = start + (8 if kind == EIGHT_BYTES else 4)
        else:
            raise ValueError(f"field {key >> 3} is of kind {kind}")
        if end > len(message):
            raise ValueError("it ends too early")
        yield Field(key >> 3, message[at:end], message[start:end])
        at = end


def _texts(message: memoryview, number: int) -> list[str]:
    return [str(field.content, "utf-8") for field in fields(message) if field.number == number]


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first -> it, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
