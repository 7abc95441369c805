"""The page as a static site that needs no server and no network: `everybody studio --export`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..atomic import writing
from ..errors import OutputError
from .site import ENGINE_WHEEL, engine_folder, site_files

LIST = "files.json"
CACHED_LATER = "engine/ort-wasm-simd-threaded.asyncify."  # WebGPU's, kept where it is used


def export(folder: Path) -> list[Path]:
    """Writes the page, its engine and its networks into a folder, to be put behind any web server.
    A file `files.json` lists them for the service worker, by which the page works offline. Raises
    OutputError where the engine is not installed or the folder holds something else.
    """
    if engine_folder() is None:
        raise OutputError(
            "the page cannot run without a server here: its engine is missing; "
            f"pip install {ENGINE_WHEEL.replace('_', '-')}"
        )
    with writing(folder):
        if folder.exists() and not (folder / LIST).is_file() and any(folder.iterdir()):
            raise OutputError(f"{folder}: holds other files; choose an empty or a new folder")
        files = {
            name: _bytes(content) for name, content in sorted(site_files(server=False).items())
        }
        for name, content in {**files, LIST: _listed(files)}.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return [folder / name for name in (*files, LIST)]


def _bytes(content: Path | bytes) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _listed(files: dict[str, bytes]) -> bytes:
    """The names of the files that a browser keeps, and a version that changes with any of them."""
    version = hashlib.sha256()
    for name, content in files.items():
        version.update(name.encode() + hashlib.sha256(content).digest())
    kept = [name for name in files if not name.startswith(CACHED_LATER)]
    return json.dumps({"version": version.hexdigest()[:16], "files": kept}).encode()
