"""The page as files: whole, of one origin, and told by the library what it must know."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from everybody.errors import OutputError
from everybody.skeletons import COCO17
from everybody.web import export, site

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(site.STATIC.rglob("*.js"))


def test_every_module_that_is_imported_is_there():
    for script in SCRIPTS:
        for name in re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', script.read_text()):
            assert (script.parent / name).is_file(), f"{script.name} imports {name}"


def test_nothing_comes_from_elsewhere():
    for path in site.STATIC.rglob("*"):
        if path.is_file():
            found = set(re.findall(r"(?:https?:)?//[a-z][\w-]*\.[\w.-]+", path.read_text()))
            assert not found - {"http://www.w3.org"}, path.name


def test_words_stand_in_one_file():
    """Elements are given words of text.js, never their own."""
    for script in SCRIPTS:
        literals = re.findall(r'h\("[a-z0-9]+", \{[^{}]*\}, "([^"]*)"', script.read_text())
        assert not literals, f"{script.name}: {literals}"


def test_the_page_is_told_what_the_library_uses():
    told = json.loads(site.site_files(server=False)["models.json"])
    for name, pair in told["variants"].items():
        assert {pair["detector"], pair["pose"]} <= set(told["models"]), name
    assert told["skeletons"]["coco-17"]["joints"] == list(COCO17.joints)
    assert told["numbers"]["find"]["score"] == 0.3
    files = site.site_files(server=False)
    for name in told["models"]:
        network = files[f"models/{name}.onnx"]
        size = len(network) if isinstance(network, bytes) else network.stat().st_size
        assert size == told["models"][name]["bytes"]


def test_an_export_is_all_files_and_their_list(tmp_path, monkeypatch):
    engine = tmp_path / "engine"
    engine.mkdir()
    for name in site.ENGINE:
        (engine / name).write_bytes(b"engine")
    monkeypatch.setattr(site, "engine_folder", lambda: engine)
    monkeypatch.setattr(export, "engine_folder", lambda: engine)
    export.export(tmp_path / "site")
    listed = json.loads((tmp_path / "site/files.json").read_text())["files"]
    assert "index.html" in listed
    assert "engine/ort-wasm-simd-threaded.wasm" in listed
    assert all((tmp_path / "site" / name).is_file() for name in listed)
    export.export(tmp_path / "site")  # again over itself


def test_an_export_without_its_engine_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "engine_folder", lambda: None)
    with pytest.raises(OutputError, match="everybody-studio"):
        export.export(tmp_path / "site")


def test_an_export_never_mixes_with_other_files(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "engine_folder", lambda: tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other files"):
        export.export(tmp_path)


def test_both_wheels_are_of_one_version():
    base = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    studio = tomllib.loads((ROOT / "web/pyproject.toml").read_text())["project"]
    assert studio["version"] == base["version"]
    assert studio["dependencies"] == [f"everybody[web]=={base['version']}"]


def test_the_engine_is_locked_by_hashes_and_names_no_address():
    packages = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        if name:
            assert package["integrity"].startswith("sha512-"), name
            assert "resolved" not in package, name
