"""What several tests share: the tests run without anybody's weights, and on one thread each."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Machines are noisy: no test is about time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Before anybody imports torch: several workers share the cores, and sums that several threads make
# differ in their last bits.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests that import the engine themselves send nothing either (`runtime.keep_private`).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked `slow` run where they are asked for."""
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The workplace's folder of real pictures and public models; tests that need it skip where it
    is absent.
    """
    if not SHARED.is_dir():
        pytest.skip("needs ../shared (real pictures and public models)")
    return SHARED


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.delenv("EVERYBODY_WEIGHTS", raising=False)
    monkeypatch.setenv("EVERYBODY_CACHE", str(tmp_path_factory.mktemp("cache")))
