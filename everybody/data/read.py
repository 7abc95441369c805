"""Any data set from any file, told by its content, never by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DataError
from ..skeletons import Skeleton
from .coco import read_coco, read_coco_results
from .dataset import Dataset
from .lsp import read_lsp, read_lsp_npz
from .mpii import read_mpii, read_mpii_csv, read_mpii_predictions
from .records import collector_at_rest, load_json
from .results import read_own
from .yolo import labels_folder, read_yolo

KNOWN = "COCO JSON, MPII (JSON, CSV, .mat), LSP (.mat, .npz), a folder of YOLO-pose labels, or our frames.jsonl"


@collector_at_rest()
def read(path: str | Path, *, skeleton: Skeleton | None = None) -> Dataset:
    """The labelled data in a file or folder. `skeleton` is for files that do not say whose joints
    they hold.

    Raises DataError for a file that is none of the known forms, or is broken.
    """
    path = _file(Path(path))
    if path.is_dir():
        return read_yolo(path, skeleton=skeleton)
    match _kind(path):
        case "mat":
            return _read_mat(path)[0]
        case "npz":
            return _read_npz(path)
        case "csv":
            return read_mpii_csv(path)
        case "lines":
            return read_own(path, skeleton=skeleton)
    content = load_json(path)
    if isinstance(content, dict) and "images" in content and "annotations" in content:
        return read_coco(path, content, skeleton=skeleton)
    if (
        isinstance(content, list)
        and content
        and isinstance(content[0], dict)
        and "joints" in content[0]
    ):
        return read_mpii(path, content)
    if (
        isinstance(content, list)
        and content
        and isinstance(content[0], dict)
        and "image_id" in content[0]
    ):
        raise DataError(f"{path}: is COCO's list of results, not labelled data: give it as RESULTS")
    raise DataError(f"{path}: is JSON, but no labelled data that is known ({KNOWN})")


@collector_at_rest()
def read_results(path: str | Path, truth: Dataset, *, skeleton: Skeleton | None = None) -> Dataset:
    """What a method found on the pictures of `truth`: our frames.jsonl, COCO's list of results,
    MPII's predictions, or anything that `read` reads. COCO's list has the joints of `skeleton`, if
    not given those of the truth.
    """
    path = _file(Path(path))
    kind = "folder" if path.is_dir() else _kind(path)
    if kind == "mat":
        return _read_mat(path)[-1].join(truth)
    content = load_json(path) if kind == "json" else None
    if isinstance(content, list) and not any("joints" in record for record in content[:1]):
        return read_coco_results(path, content, skeleton=skeleton or truth.skeleton).join(truth)
    return read(path, skeleton=skeleton).join(truth)


def _file(path: Path) -> Path:
    """The file that counts in a folder: our journal, or annotations.json; else the folder, for
    YOLO.
    """
    if not path.exists():
        raise DataError(
            f"{path}: does not exist: give the labels of a data set as its publisher offers them "
            "(docs/datasets.md says which are read, and where they come from)"
        )
    for name in ("frames.jsonl", "annotations.json"):
        if path.is_dir() and (path / name).is_file():
            return path / name
    if path.is_dir() and labels_folder(path) is None:
        raise DataError(
            f"{path}: has no frames.jsonl, no annotations.json and no .txt labels: expected {KNOWN}"
        )
    return path


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        return "mat"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if not head.strip():
        raise DataError(f"{path}: is empty; expected {KNOWN}")
    if (
        head.lstrip()[:1] == b"{"
        and b'"people"' in head.partition(b"\n")[0]
        and b'"source"' in head
    ):
        return "lines"
    if head.lstrip()[:1] in (b"{", b"["):
        return "json"
    if b"," in head.partition(b"\n")[0] and b"\0" not in head:
        return "csv"
    raise DataError(f"{path}: is none of the known forms: {KNOWN}")


def _read_mat(path: Path) -> tuple[Dataset, ...]:
    """One data set, or truth and predictions."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content: dict[str, Any] = loadmat(path)
    except (MatReadError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path}: is a broken .mat ({error}): is the file complete?") from None
    if "jnt_missing" in content:
        return read_mpii_predictions(path, content)
    if "joints" in content:
        return (read_lsp(path, content),)
    names = ", ".join(name for name in content if not name.startswith("_"))
    raise DataError(
        f"{path}: holds {names}; expected 'joints' (LSP) or 'jnt_missing' (MPII predictions)"
    )


def _read_npz(path: Path) -> Dataset:
    from zipfile import BadZipFile

    import numpy as np

    try:
        with np.load(path) as file:
            content = {name: file[name] for name in file.files}
    except (BadZipFile, ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: is a broken .npz ({error})") from None
    if not {"names", "joints"} <= content.keys():
        raise DataError(
            f"{path}: holds {', '.join(content) or 'nothing'}; expected 'names' and 'joints'"
        )
    return read_lsp_npz(path, content)
