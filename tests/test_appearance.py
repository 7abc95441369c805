"""Embedding networks: by name or path, on the engine that is asked for, loaded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from everybody.errors import ModelError, OptionError
from everybody.options import Engine
from everybody.runtime import Session
from everybody.track.appearance import load_embedder
from synthetic import nets


def test_an_embedding_network_is_loaded_once_by_the_engine_that_is_given(tmp_path):
    path = nets.mean_colour(tmp_path / "e.onnx")
    opened: list[Path] = []

    def engine(asked: Path) -> Session:
        opened.append(asked)
        return Engine(threads=1)(asked)

    embed = load_embedder(path, engine)  # type: ignore[arg-type]
    image = np.zeros((20, 20, 3), np.uint8)
    image[..., 0] = 200
    vectors = embed(image, np.array([[2.0, 2, 15, 15], [50, 50, 60, 60]]))
    assert opened == [path]
    assert np.linalg.norm(vectors, axis=1).round(6).tolist() == [1.0, 0.0]


def test_a_file_that_is_not_there_and_a_device_that_is_not_here_are_said(tmp_path):
    with pytest.raises(ModelError, match="no such model file"):
        load_embedder(tmp_path / "e.onnx")
    path = nets.mean_colour(tmp_path / "e.onnx")
    with pytest.raises(OptionError, match="unknown device 'abacus'"):
        load_embedder(path, Engine(device="abacus"))
