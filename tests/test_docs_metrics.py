"""The pages about measures and data sets say what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from everybody.metrics.judge import DEFAULT_ALPHA
from everybody.skeletons import mapping, skeleton

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason="needs the docs, which the sdist leaves out"
)


def test_every_figure_is_made_by_the_script(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "scripts/metric_figures.py"))["main"](tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    shown = re.findall(r"images/([\w-]+\.svg)", (DOCS / "metrics.md").read_text())
    assert set(shown) == made
    for name in made:
        assert (DOCS / "images" / name).read_text().count("<path") == (
            tmp_path / name
        ).read_text().count("<path")


def test_every_measure_is_explained() -> None:
    page = (DOCS / "metrics.md").read_text()
    for name in ("AP", "AR", "APM", "APL", "OKS", "NME", *DEFAULT_ALPHA):
        assert f"`{name}@" in page or f"`{name}`" in page, name


def test_the_table_of_maps_is_true() -> None:
    rows = re.findall(
        r"^\| (\S+) → (\S+) \| (\d+) \| (.+) \| (.+) \|$",
        (DOCS / "datasets.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) > 5
    for source, target, copied, derived, missing in rows:
        table = mapping(skeleton(source), skeleton(target))
        assert len(table.copied) == int(copied)
        assert ", ".join(table.derived) == derived.replace("–", "")
        assert ", ".join(table.missing) == missing.replace("–", "")
