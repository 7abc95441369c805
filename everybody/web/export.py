"""The page as a static site that needs no server and no network: `everybody studio --export`."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from ..atomic import writing
from ..errors import OutputError
from .site import ENGINE_WHEEL, engine_folder, site_files

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
    if folder.exists() and not (folder / "files.json").is_file() and any(folder.iterdir()):
        raise OutputError(f"{folder}: holds other files; choose an empty or a new folder")

    written, hashes = [], {}
    for name, content in sorted(site_files().items()):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, place)
        else:
            place.write_bytes(content)
        hashes[name] = hashlib.sha256(place.read_bytes()).hexdigest()
        written.append(place)
    listed = {name: code for name, code in hashes.items() if not name.startswith(CACHED_LATER)}
    version = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:16]
    with writing(folder / "files.json") as path:
        path.write_text(json.dumps({"version": version, "files": sorted(listed)}))
    return [*written, folder / "files.json"]
