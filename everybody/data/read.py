"""Any data set from any file, told by its content, never by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import DataError
from ..results import formats
from ..skeletons import Skeleton
from ..typed import decode, read_bytes, without_mark
from .coco import read_coco
from .coco_results import read_coco_results
from .cvat import read_cvat
from .dataset import Dataset
from .frames import read_frames
from .join import joined
from .label_studio import read_label_studio
from .lsp import read_lsp, read_lsp_npz
from .mat import read_mat
from .mpii import read_mpii, read_mpii_csv, read_mpii_predictions
from .records import collector_at_rest
from .yolo import labels_folder, read_yolo

KNOWN = (
    "COCO JSON, Label Studio's JSON, CVAT's XML, MPII (JSON, CSV, .mat), LSP (.mat, .npz), "
    "a folder of YOLO's labels, or results of `everybody run` (frames.jsonl, CSV, Parquet, "
    "OpenPose's or AlphaPose's folders)"
)
LABELS = (
    "give the labels of a data set as its publisher offers them (docs/datasets.md says which are "
    "read, and where they come from)"
)
HEAD = 1 << 16  # bytes that tell what a file is: more than the first record of any


@collector_at_rest()
def read(
    path: str | Path,
    *,
    skeleton: Skeleton | None = None,
    category: str | None = None,
    joints: bool = True,
) -> Dataset:
    """The labelled data in a file or folder.

    skeleton: for files that do not say whose joints they hold. category: names or ids of the
    categories to read from a COCO file, with commas between; by default those of people. joints:
    whether there must be any; else boxes alone will do, as for detectors (COCO, Label Studio, CVAT,
    YOLO).

    Raises DataError for a file that is none of the known forms, or is broken.
    """
    path = _file(Path(path))
    kind = _kind(path)
    if kind == "results":
        raise DataError(f"{path}: is a list of results, not labelled data: give it as RESULTS")
    return _READERS[kind](path, skeleton, category, joints)[0]


@collector_at_rest()
def read_results(path: str | Path, truth: Dataset, *, skeleton: Skeleton | None = None) -> Dataset:
    """What a method found on the pictures of `truth`: results of a run in any of its formats, a
    list in COCO's form, MPII's predictions, or anything that `read` reads. COCO's list has the
    joints of `skeleton`; if not given, those that it names, else those of the truth.
    """
    path = _file(Path(path), "name what `everybody run` wrote, or a list of results in COCO's form")
    kind = _kind(path)
    if kind == "results":
        return joined(read_coco_results(path, skeleton=skeleton, usual=truth.skeleton), truth)
    return joined(_READERS[kind](path, skeleton, None, True)[-1], truth)


def _file(path: Path, advice: str = LABELS) -> Path:
    """The file that counts in a folder: our journal, or annotations.json; else the folder, for
    YOLO.
    """
    if not path.exists():
        raise DataError(f"{path}: does not exist: {advice}")
    if not path.is_dir():
        return path
    for name in ("frames.jsonl", "annotations.json", "annotations.xml"):
        if (path / name).is_file():
            return path / name
    if labels_folder(path) is None and not _of_a_run(path):
        files = [one for one in sorted(path.iterdir()) if one.suffix.lower() in (".json", ".xml")]
        hint = (
            f": if {files[0]} holds the labels, name that file" if files else f": expected {KNOWN}"
        )
        raise DataError(
            f"{path}: has no frames.jsonl, no annotations.json or .xml, and no .txt labels{hint}"
        )
    return path


def _of_a_run(path: Path) -> bool:
    """Whether a file or folder is in a format that `everybody run` writes."""
    try:
        formats.tell(path)
    except DataError:
        return False
    return True


def _kind(path: Path) -> str:
    """What a file or folder is: a key of `_READERS`, or "results". A byte order mark and white
    space in front do not matter.
    """
    if path.is_dir():
        return "yolo" if labels_folder(path) is not None else "frames"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        return "mat"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if head.startswith(b"PAR1"):
        return "frames"

    head = without_mark(head).lstrip()
    line = head.partition(b"\n")[0]
    if not head:
        raise DataError(f"{path}: is empty; expected {KNOWN}")
    if head.startswith(b"{"):
        return "frames" if b'"people"' in line and b'"source"' in line else "coco"
    if head.startswith(b"<"):
        return "cvat"
    if head.startswith(b"[") and b'"annotations"' in head and b'"data"' in head:
        return "label studio"
    if head.startswith(b"["):
        return "mpii" if b'"joints"' in head and b'"image_id"' not in head else "results"
    if (b"," in line or b";" in line) and _of_a_run(path):
        return "frames"
    if b"," in line and b"\0" not in head:
        return "csv"
    raise DataError(f"{path}: is none of the known forms: {KNOWN}")


def _read_mat(path: Path) -> tuple[Dataset, ...]:
    """One data set, or truth and predictions."""
    content = read_mat(path, read_bytes(path))
    if "jnt_missing" in content:
        return read_mpii_predictions(path, content)
    if "joints" in content:
        return (read_lsp(path, content["joints"]),)
    names = ", ".join(content)[:200] or "no arrays of numbers"
    raise DataError(
        f"{path}: holds {names}; expected 'joints' (LSP) or 'jnt_missing' (MPII predictions)"
    )


def _read_coco(
    path: Path, skeleton: Skeleton | None, category: str | None, joints: bool
) -> Dataset:
    data = read_bytes(path)
    if b'"images"' not in data or b'"annotations"' not in data:
        decode(data, dict, path)  # a file that is cut off is not complete, rather than unknown
        raise DataError(f"{path}: is JSON, but no labelled data that is known ({KNOWN})")
    return read_coco(path, data, skeleton=skeleton, category=category, joints=joints)


_Reader = Callable[[Path, Skeleton | None, str | None, bool], tuple[Dataset, ...]]


def _without_categories(reader: Callable[[Path, Skeleton | None], tuple[Dataset, ...]]) -> _Reader:
    def read_all(
        path: Path, skeleton: Skeleton | None, category: str | None, joints: bool
    ) -> tuple[Dataset, ...]:
        if category is not None:
            raise DataError(f"{path}: has no categories, and --category {category} asks for one")
        return reader(path, skeleton)

    return read_all


# What is in a file -> its reader: the truth first, results last; mostly one and the same.
_READERS: dict[str, _Reader] = {
    "coco": lambda *asked: (_read_coco(*asked),),
    "label studio": lambda path, skeleton, category, joints: (
        read_label_studio(path, skeleton=skeleton, category=category, joints=joints),
    ),
    "cvat": lambda path, skeleton, category, joints: (
        read_cvat(path, skeleton=skeleton, category=category, joints=joints),
    ),
    "mat": _without_categories(lambda path, skeleton: _read_mat(path)),
    "npz": _without_categories(lambda path, skeleton: (read_lsp_npz(path, read_bytes(path)),)),
    "csv": _without_categories(lambda path, skeleton: (read_mpii_csv(path),)),
    "mpii": _without_categories(lambda path, skeleton: (read_mpii(path),)),
    "yolo": lambda path, skeleton, category, joints: (
        read_yolo(path, skeleton=skeleton, category=category, joints=joints),
    ),
    "frames": _without_categories(lambda path, skeleton: (read_frames(path, skeleton=skeleton),)),
}
