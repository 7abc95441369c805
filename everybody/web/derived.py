"""What is made of a job's results when somebody asks for it, and kept until the results change:
exports in every format, and films that browsers play (`uses.py`: what the apps make).

    FOLDER/inputs      what was uploaded
    FOLDER/out         the folder of the run: frames.jsonl, run.json
    FOLDER/edits.json  corrections
    FOLDER/own         characters and pictures that a user gave for what is made
    FOLDER/made        what is made
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

from ..atomic import replacing
from ..media import trust
from ..media.content import head
from ..media.images import picture_format
from ..media.video import open_video
from ..results.formats import FORMATS
from ..results.journal import read_journal
from .edits import EDITS, Move, Rename, edited

# Codecs that the current browsers decode, by FFmpeg's names of the containers they also open.
_PLAYED = {
    "mov,mp4,m4a,3gp,3g2,mj2": {"h264", "av1", "vp9"},
    "matroska,webm": {"vp8", "vp9", "av1"},
}
_SHOWN = {"JPEG", "PNG", "WebP", "GIF", "AVIF", "BMP"}


def journal(folder: Path) -> Path:
    return folder / "out" / "frames.jsonl"


def newest(folder: Path) -> Path:
    """The newest drawn frame."""
    return folder / "newest.jpg"


def lifted(folder: Path) -> Path:
    """People in space, where the run lifted them."""
    return folder / "out" / "frames3d.jsonl"


def edits_of(folder: Path) -> list[Move | Rename]:
    """The corrections, in their order."""
    path = folder / "edits.json"
    return EDITS.validate_json(path.read_bytes()) if path.is_file() else []


def keep_edits(folder: Path, edits: list[Move | Rename]) -> None:
    with replacing(folder / "edits.json") as part:
        part.write_bytes(EDITS.dump_json(edits, by_alias=True))


def export(folder: Path, name: str) -> Path:
    """The results in a format, corrections applied; a format of folders as a ZIP."""
    format = FORMATS[name]
    suffix = Path(format.target).suffix
    target = made(folder) / f"{name}{suffix or '.zip'}"
    if target.exists():
        return target
    results = edited(read_journal(folder / "out"), edits_of(folder))
    with replacing(target) as part:
        written = part.with_name(f"{part.name}.results{suffix}")  # told by its suffix
        try:
            format.write(results, written, lambda text: None)
            if written.is_dir():
                _zip(written, part, name)
            else:
                written.replace(part)
        finally:
            shutil.rmtree(written, ignore_errors=True)
    return target


def _zip(folder: Path, target: Path, name: str) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, f"{name}/{path.relative_to(folder).as_posix()}")


def overlay_target(folder: Path, number: int, kind: str) -> Path:
    """Where the drawn source of that number is, or is to be."""
    return made(folder) / f"overlay-{number}{'.jpg' if kind == 'picture' else '.mp4'}"


def playable_target(folder: Path, number: int, kind: str) -> Path:
    """The same for a source that browsers do not show as it is."""
    return folder / "made" / f"source-{number}{'.jpg' if kind == 'picture' else '.mp4'}"


def made(folder: Path) -> Path:
    """The folder for what is made of the results as they are now; what was made of others goes."""
    size = journal(folder).stat().st_size if journal(folder).exists() else 0
    said = hashlib.sha256(EDITS.dump_json(edits_of(folder), by_alias=True)).hexdigest()
    now = folder / "made" / f"of-{size}-{said[:16]}"
    if not now.is_dir():
        for old in (folder / "made").glob("of-*"):
            shutil.rmtree(old, ignore_errors=True)
        now.mkdir(parents=True, exist_ok=True)
    return now


def plays(path: Path, kind: str) -> bool:
    """Whether browsers show a source as it is."""
    if kind == "picture":
        return picture_format(head(str(path))) in _SHOWN
    if picture_format(head(str(path))):  # moves, and a <video> takes no picture
        return False
    with open_video(trust.path(str(path)), path.name) as video:
        known = _PLAYED.get(video.container.format.name, set())
        webm = "matroska" not in video.container.format.name or path.suffix.lower() == ".webm"
        context = video.stream.codec_context
        eight_bits = context.pix_fmt in ("yuv420p", "yuvj420p")
        return context.codec.canonical_name in known and webm and eight_bits
