"""The benchmarks: each says how it is run, is listed, and borrows nothing from the tests; and the
comparison of two checkouts sees what differs.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from copy import deepcopy
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = sorted(
    path for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "common")
)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_says_how_it_is_run_and_is_listed(path: Path):
    module = ast.parse(path.read_text("utf-8"))
    assert f"python -m benchmarks.{path.stem}" in (ast.get_docstring(module) or "")
    listed = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    assert f"\n| `{path.stem}`" in listed


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_shares_what_all_need_and_borrows_nothing_from_tests(path: Path):
    module = ast.parse(path.read_text("utf-8"))
    imported = [node.module or "" for node in ast.walk(module) if isinstance(node, ast.ImportFrom)]
    assert "benchmarks.common" in imported
    assert not [name for name in imported if name.split(".")[0] == "tests"]


@pytest.fixture
def same(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("same", ROOT / "scripts/same.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "same", module)
    spec.loader.exec_module(module)
    return module


PERSON = {"id": 3, "score": 0.5, "box": [0.0, 0.0, 9.0, 9.0], "keypoints": [[1.0, 2.0, 0.9]]}
LINE = {"source": "a.mp4", "frame": 7, "width": 64, "height": 48, "people": [PERSON]}


def changed(**values: object) -> dict:
    """The line with its person changed."""
    line = deepcopy(LINE)
    line["people"][0].update(values)
    return line


def test_equal_journals_differ_in_nothing_and_hundredths_are_forgiven(same):
    assert not list(same.differences([LINE, LINE], [LINE, LINE]))
    assert not list(same.differences([LINE], [changed(keypoints=[[1.01, 1.99, 0.9]])]))
    assert not list(same.differences([], []))


@pytest.mark.parametrize(
    "other",
    [
        [],
        [LINE, LINE],
        [{**LINE, "frame": 8}],
        [{**LINE, "source": "b.mp4"}],
        [{**LINE, "people": []}],
        [changed(id=4)],
        [changed(keypoints=[[1.02, 2.0, 0.9]])],
        [changed(keypoints=[[1.0, 2.0, 0.89]])],
        [changed(keypoints=[[None, 2.0, 0.9]])],
        [changed(keypoints=[])],
        [changed(box=[0.0, 0.0, 9.0, 9.5])],
    ],
)
def test_whatever_else_differs_is_said(same, other):
    assert len(list(same.differences([LINE], other))) == 1
