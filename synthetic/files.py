"""A small valid file of every format that everybody reads. Each function takes an empty folder,
writes what belongs together, and returns the file that the format is about.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from everybody.lift.calibration_files import write_calibration
from everybody.people import Frame, People
from everybody.results.formats import FORMATS
from everybody.results.journal import Journal
from everybody.results.records import Record, Results
from everybody.skeletons import COCO17, LSP14, MPII16, WHOLEBODY133, Skeleton

from .studio import ring

WIDTH, HEIGHT = 64, 48


def points(skeleton: Skeleton, shift: float = 0.0) -> np.ndarray:
    """[K, 3]: joints on a slope, all visible."""
    steps = np.arange(len(skeleton)) * 30 / len(skeleton)
    return np.stack([5 + steps + shift, 8 + steps, np.full(len(skeleton), 2.0)], 1).round(2)


def coco(folder: Path, **more: Any) -> Path:
    """COCO's labels; `more` goes into every annotation."""
    annotations = [
        {
            "id": number,
            "image_id": 1 + number % 2,
            "category_id": 1,
            "iscrowd": int(number == 4),
            "area": 900.0,
            "num_keypoints": 17,
            "bbox": [5, 8, 30.5, 31],
            "keypoints": points(COCO17, number).ravel().tolist(),
            **more,
        }
        for number in (1, 2, 3, 4)
    ]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT} for i in (1, 2)]
    person = {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": [[16, 14]]}
    document = {"images": images, "annotations": annotations, "categories": [person]}
    return _json(folder / "annotations.json", document)


def whole_body(folder: Path) -> Path:
    counts = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    assert 17 + sum(counts.values()) == len(WHOLEBODY133)
    return coco(folder, **{key: [20.0, 20.0, 2] * count for key, count in counts.items()})


def posetrack(folder: Path) -> Path:
    path = coco(folder, track_id=3, bbox_head=[5, 8, 6, 7])
    document = json.loads(path.read_text())
    for image in document["images"]:
        image |= {"ignore_regions_x": [[1, 9, 9]], "ignore_regions_y": [[1, 1, 9]]}
    return _json(path, document)


def crowdpose(folder: Path) -> Path:
    path = coco(folder)
    document = json.loads(path.read_text())
    for image in document["images"]:
        image["crowdIndex"] = 0.4
    return _json(path, document)


def coco_results(folder: Path) -> Path:
    found = [
        {
            "image_id": 1 + number % 2,
            "category_id": 1,
            "score": 0.25 * number,
            "keypoints": points(COCO17, number + 0.5).ravel().tolist(),
        }
        for number in (1, 2, 3)
    ]
    return _json(folder / "results.json", found)


def mpii(folder: Path) -> Path:
    person = {
        "image": "a.jpg",
        "joints": points(MPII16)[:, :2].tolist(),
        "joints_vis": [1] * 15 + [0],
        "center": [20.0, 20.0],
        "scale": 0.2,
    }
    return _json(folder / "mpii.json", [person, {**person, "image": "b.jpg"}])


def mpii_csv(folder: Path) -> Path:
    row = ",".join(f"{value:g}" for value in points(MPII16)[:, :2].ravel())
    path = folder / "joints.csv"
    path.write_text(f"a.jpg,{row}\nb.jpg,{row}\n")
    return path


def mpii_mat(folder: Path) -> Path:
    truth = np.stack([points(MPII16, shift)[:, :2] for shift in range(3)], 2)
    cells = np.empty((1, 2), object)
    cells[0] = ["rank", "rkne"]
    content = {
        "jnt_missing": np.zeros((16, 3)),
        "pos_gt_src": truth,
        "pos_pred_src": truth + 1,
        "headboxes_src": np.stack([np.ones((2, 3)), np.full((2, 3), 31.0)]),
        "dataset_joints": cells,
    }
    return _mat(folder / "predictions.mat", content)


def lsp_mat(folder: Path) -> Path:
    joints = np.stack([points(LSP14, shift).T for shift in range(3)], 2)
    return _mat(folder / "joints.mat", {"joints": joints})


def lsp_npz(folder: Path) -> Path:
    joints = np.stack([points(LSP14, shift) for shift in range(3)]).astype(np.float32)
    path = folder / "val.npz"
    np.savez_compressed(path, names=np.array(["a", "b", "c"]), joints=joints)
    return path


def yolo(folder: Path) -> Path:
    picture(folder, "PNG", "a.png")
    shares = points(COCO17) / (WIDTH, HEIGHT, 1)
    line = "0 0.4 0.5 0.5 0.6 " + " ".join(f"{value:.4g}" for value in shares.ravel())
    path = folder / "a.txt"
    path.write_text(f"{line}\n{line}\n")
    return path


def records() -> Results:
    """Two frames of a video, with two tracked people and with none, and a picture with one."""
    found = np.stack([points(COCO17, shift) for shift in (0, 9)])
    found[..., 2] = 0.75
    boxes = np.array([[5, 8, 36, 40], [14, 8, 45, 40]])
    two = People(found, boxes, np.array([0.9, 0.8]), COCO17, np.array([1, 2]))
    rows = [
        Record("film.mp4", 0, 0.0, WIDTH, HEIGHT, two),
        Record("film.mp4", 1, 0.04, WIDTH, HEIGHT, People.empty(COCO17)),
        Record("000000000872.jpg", 0, 0.0, WIDTH, HEIGHT, two[:1]),
    ]
    return Results.of(rows, COCO17)


def frames(folder: Path) -> Path:
    with Journal(folder, COCO17) as journal:
        for record in records():
            journal.write(record)
    return folder / "frames.jsonl"


def run(folder: Path) -> Path:
    return frames(folder).with_name("run.json")


def written(folder: Path, kind: str) -> Path:
    """Our results in one of the other formats; of a folder of files, the first."""
    path = folder / FORMATS[kind].target
    FORMATS[kind].write(records(), path, lambda text: None)
    return min(path.iterdir()) if path.is_dir() else path


def boxes(folder: Path) -> Path:
    found = [
        {"image_id": number, "category_id": 1, "bbox": [5, 8, 30.5, 31], "score": 0.9}
        for number in (0, 1, 1)
    ]
    return _json(folder / "boxes.json", [*found, {**found[0], "file_name": "a.jpg"}])


def manifest(folder: Path) -> Path:
    path = folder / "manifest.toml"
    path.write_text(
        """[default]
pose = "mine"

[variant.mine]
detector = "everybody-detector"
det_size = [320, 320]
pose = "mine"

[model.mine]
task = "pose"
file = "mine.onnx"
url = "https://example.org/mine.onnx"
sha256 = "4fc70040e7efe12e7e4af8195bc34d4c64205e8569249af377835fc55e96725d"
bytes = 2076461
licence = "Apache-2.0"
skeleton = "coco-17"
padding = 1.15
codec = { type = "heatmap", alignment = "corner", refine = "dark", sigma = 2.0 }
input = { size = [96, 128], channels = "rgb", mean = [123.675, 116.28, 103.53], fill = 114 }
"""
    )
    return path


def picture(folder: Path, format: str, name: str = "") -> Path:
    from PIL import Image

    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    image = np.stack([x * 3, y * 5, (x + y) * 2], 2).astype(np.uint8)
    path = folder / (name or f"a.{format.lower()}")
    exif = {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"}
    Image.fromarray(image).save(path, format, **(exif if format == "JPEG" else {}))
    return path


def video(folder: Path, ending: str, codec: str, pixels: str = "yuv420p") -> Path:
    import av

    path = folder / f"a.{ending}"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        for number in range(6):
            grey = np.full((HEIGHT, WIDTH, 3), 20 + 30 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return path


def network(folder: Path) -> Path:
    """A small ONNX network that finds key points."""
    from . import nets

    return Path(nets.heatmap_finder(folder / "net.onnx", 17))


def described_network(folder: Path) -> Path:
    """The row in the metadata of an ONNX file, as JSON of its own; `about` puts it there."""
    row = {
        "task": "pose",
        "licence": "Apache-2.0",
        "skeleton": "coco-17",
        "padding": 1.25,
        "codec": {"type": "heatmap", "alignment": "corner"},
        "input": {"size": [96, 128], "channels": "rgb"},
    }
    network(folder)
    return _json(folder / "about.json", row)


def weights(folder: Path) -> Path:
    """safetensors, as training writes them."""
    import torch

    from everybody.train.checkpoint import save_weights

    path = folder / "best.safetensors"
    save_weights(path, {"w": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2)}, {"step": "7"})
    return path


def checkpoint(folder: Path) -> Path:
    import torch

    from everybody.train.checkpoint import save

    save(folder, 7, {"step": 7, "net": {"w": torch.arange(6.0)}})
    return min((folder / f"{7:08}").glob("*.part"))


def checkpoint_index(folder: Path) -> Path:
    return next(checkpoint(folder).parent.glob("*.json"))


def frame() -> Frame:
    """A picture with one box."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return Frame(image, source="a.jpg", people=People.from_boxes(np.array([[5.0, 8, 36, 40]])))


def _json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def _mat(path: Path, content: dict[str, Any]) -> Path:
    from scipy.io import savemat

    savemat(path, content)
    return path


def calibration(folder: Path) -> Path:
    """Pose2Sim's."""
    path = folder / "Calib.toml"
    write_calibration(ring(2), path)
    return path


def calibration_qualisys(folder: Path) -> Path:
    lens = {f"focalLength{axis}": 107599.6 for axis in "UV"}
    lens |= {"centerPointU": 34110.3, "centerPointV": 60680.8, "skew": 0}
    lens |= {f"radialDistortion{n}": -0.04 / n for n in (1, 2, 3)}
    lens |= {f"tangentalDistortion{n}": 0.0006 for n in (1, 2)}
    turn = {f"r{i}{j}": float(i == j) for i in (1, 2, 3) for j in (1, 2, 3)}
    size = {"left": 0, "right": 1087, "top": 0, "bottom": 1919}
    parts = {"transform": turn | {"x": 1460.2, "y": -1909.2, "z": 1896.5}, "intrinsic": lens}

    def element(name: str, fields: dict[str, float]) -> str:
        return f"<{name} " + " ".join(f'{key}="{value}"' for key, value in fields.items()) + "/>"

    inside = "\n".join(element(*part) for part in [*parts.items(), ("fov_video_max", size)])
    cameras = "".join(f'<camera active="1" serial="{n}">\n{inside}</camera>\n' for n in (1, 2))
    path = folder / "Calib.qca.txt"
    path.write_text(f"<calibration><cameras>\n{cameras}</cameras></calibration>\n", "utf-8")
    return path


def calibration_opencv(folder: Path, number: int = 0) -> Path:
    """One camera of a ring."""
    camera = ring(2)[number]
    path = folder / f"{camera.name}.yml"
    store = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    store.write("image_width", 1280)
    store.write("image_height", 720)
    store.write("camera_matrix", camera.matrix)
    store.write("distortion_coefficients", camera.distortion)
    store.write("R", camera.rotation)
    store.write("T", camera.translation)
    store.release()
    return path


def calibration_json(folder: Path) -> Path:
    """Panoptic's."""
    rows = [
        {
            "name": camera.name,
            "resolution": [1280, 720],
            "K": camera.matrix.tolist(),
            "distCoef": camera.distortion.tolist(),
            "R": camera.rotation.tolist(),
            "t": (100 * camera.translation[:, None]).tolist(),
        }
        for camera in ring(2)
    ]
    path = folder / "calibration.json"
    path.write_text(json.dumps({"cameras": rows}), "utf-8")
    return path
