"""Files of calibrated cameras -> `Camera`s, in metres: told by their content.

Pose2Sim's .toml        matrix, distortions, rotation (vector), translation in metres, per camera
anipose's .toml         the same with other units: said by nobody, so taken as they are
Qualisys' .qca(.txt)    XML: matrices in 64ths of a pixel, places in millimetres, world z up
OpenCV's .yml, .yaml    camera_matrix, distortion_coefficients, and R or rvec, T or tvec; a file
                        per camera, or K_1, dist_1, Rot_1, T_1 … of several in two files
Panoptic's .json        centimetres;  Shelf's and Campus' .json  (MMPose) millimetres
"""

from __future__ import annotations

import json
import math
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ..atomic import replacing
from ..errors import DataError
from ..geometry import Array
from ..typed import read_bytes
from .cameras import Camera
from .opencv_yaml import parse

LARGEST = 64 << 20  # bytes of a file of cameras


def read_calibration(path: Path | str) -> list[Camera]:
    """A file, or a folder of OpenCV's files, a camera each (or a single file of known cameras).

    Raises DataError that names the file, and the camera or the line that is wrong.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    data = _bytes(path)
    text = data.decode("utf-8", "replace")
    start = text.lstrip()[:200]
    try:
        if start.startswith("<"):
            cameras = _qualisys(data)
        elif start.startswith("{"):
            cameras = _json(text)
        elif start.startswith("%YAML") or path.suffix.lower() in (".yml", ".yaml"):
            cameras = _opencv([path])
        else:
            cameras = _toml(text)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return _known(cameras, path)


def write_calibration(cameras: Sequence[Camera], path: Path | str) -> None:
    """Pose2Sim's .toml, whole or not there; every number comes back as it was."""
    blocks = [_block(number, camera) for number, camera in enumerate(cameras)]
    with replacing(Path(path)) as part:
        part.write_text("\n".join([*blocks, "[metadata]", "adjusted = false", ""]), "utf-8")


def _bytes(path: Path) -> bytes:
    if path.is_file() and path.stat().st_size > LARGEST:
        raise DataError(f"{path}: is larger than {LARGEST >> 20} MB: no file of cameras is")
    return read_bytes(path)


def _folder(path: Path) -> list[Camera]:
    yaml = sorted(p for p in path.iterdir() if p.suffix.lower() in (".yml", ".yaml"))
    if yaml:
        try:
            return _known(_opencv(yaml), path)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
    others = sorted(p for p in path.iterdir() if p.suffix.lower() in (".toml", ".txt", ".qca"))
    if not others:
        raise DataError(f"{path}: holds no calibration: expected .toml, .qca.txt or OpenCV's .yml")
    tomls = [p for p in others if p.suffix.lower() == ".toml"]
    return read_calibration((tomls or others)[0])


def _known(cameras: list[Camera], path: Path) -> list[Camera]:
    names = [camera.name for camera in cameras]
    if not cameras:
        raise DataError(f"{path}: holds no camera")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: camera {twice} is there twice")
    return cameras


def _block(number: int, camera: Camera) -> str:
    size = camera.size or (0, 0)

    def row(values: Sequence[float] | Array) -> str:
        return "[ " + ", ".join(repr(float(value)) for value in values) + "]"

    matrix = ", ".join(row(values) for values in camera.matrix)
    distortion = camera.distortion if len(camera.distortion) else np.zeros(4)
    turn = Rotation.from_matrix(camera.rotation).as_rotvec()
    return "\n".join(
        [
            f"[cam_{number + 1:02d}]",
            f"name = {json.dumps(camera.name, ensure_ascii=False)}",
            f"size = {row(size)}",
            f"matrix = [ {matrix}]",
            f"distortions = {row(distortion)}",
            f"rotation = {row(turn)}",
            f"translation = {row(camera.translation)}",
            f"fisheye = {str(camera.fisheye).lower()}",
            "",
        ]
    )


# --- one layout each


def _toml(text: str) -> list[Camera]:
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is no calibration in TOML ({error})") from None
    cameras = []
    for key, block in content.items():
        if not isinstance(block, dict) or "matrix" not in block:
            continue
        name = block.get("name", key)
        fields = {field: _field(block, field, key) for field in ("matrix", "rotation")}
        cameras.append(
            Camera(
                str(name),
                fields["matrix"],
                _rotation(fields["rotation"], key),
                _field(block, "translation", key).ravel(),
                _distortion(_field(block, "distortions", key), key),
                _size(block.get("size"), key),
                block.get("fisheye") is True,
            )
        )
    if not cameras:
        raise DataError("holds no block with a matrix, as [cam_01] of Pose2Sim or anipose")
    return cameras


def _qualisys(data: bytes) -> list[Camera]:
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"is no XML ({error})") from None
    cameras = []
    for number, entry in enumerate(root.iter("camera")):
        name = entry.get("serial") or f"camera {number + 1}"
        lens, place = entry.find("intrinsic"), entry.find("transform")
        view = entry.find("fov_video_max")
        if lens is None or place is None:
            if entry.get("active", "1") == "0":
                continue
            raise DataError(f"camera {name} has no <intrinsic> or no <transform>")

        def number_of(element: ElementTree.Element, field: str, name: str = name) -> float:
            try:
                return float(element.get(field, ""))
            except ValueError:
                said = element.get(field)
                raise DataError(f"camera {name}: {field} is {said!r}, expected a number") from None

        f, c = (
            [number_of(lens, f"{what}{axis}") / 64 for axis in "UV"]
            for what in ("focalLength", "centerPoint")
        )
        bend = [number_of(lens, f"radialDistortion{n}") for n in (1, 2, 3)]
        shear = [number_of(lens, f"tangentalDistortion{n}") for n in (1, 2)]
        # Rows are the camera's axes in the world; Qualisys' y and z are the other way round.
        turn = [[number_of(place, f"r{i}{j}") for j in (1, 2, 3)] for i in (1, 2, 3)]
        axes = np.diag([1.0, -1.0, -1.0]) @ np.array(turn)
        centre = np.array([number_of(place, axis) for axis in "xyz"]) / 1000
        size = None
        if view is not None:
            edges = {edge: number_of(view, edge) for edge in ("left", "right", "top", "bottom")}
            across, down = edges["right"] - edges["left"], edges["bottom"] - edges["top"]
            size = _size([across + 1, down + 1], name)
        cameras.append(
            Camera(
                name,
                np.array([[f[0], number_of(lens, "skew") / 64, c[0]], [0, f[1], c[1]], [0, 0, 1]]),
                axes,
                -axes @ centre,
                np.array([bend[0], bend[1], shear[0], shear[1], bend[2]]),
                size,
            )
        )
    return cameras


def _json(text: str) -> list[Camera]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is no JSON ({error})") from None
    rows = content.get("cameras", content)
    panoptic = isinstance(rows, list)
    blocks = dict(enumerate(rows)) if isinstance(rows, list) else rows
    if not isinstance(blocks, dict):
        raise DataError("its cameras are no list")
    cameras = []
    for key, block in blocks.items():
        if not isinstance(block, dict):
            continue
        name = str(block.get("name", key))
        rotation = _field(block, "R", name)
        if panoptic:
            matrix = _field(block, "K", name)
            translation = _field(block, "t", name).ravel() / 100
            distortion = _field(block, "distCoef", name)
        else:
            f, c = ([_number(block, w + a, name) for a in "xy"] for w in "fc")
            matrix = np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
            radial, tangential = (_field(block, w, name).ravel() for w in "kp")
            distortion = np.concatenate([radial[:2], tangential, radial[2:]])
            place = _field(block, "T", name).ravel()
            if rotation.shape != (3, 3) or place.shape != (3,):
                raise DataError(f"camera {name}: R and T must be 3 × 3 and 3 numbers")
            translation = -rotation @ place / 1000  # T is the place of the camera
        size = _size(block.get("resolution"), name)
        cameras.append(
            Camera(name, matrix, rotation, translation, _distortion(distortion, name), size)
        )
    return cameras


def _opencv(paths: Sequence[Path]) -> list[Camera]:
    """Files of one camera each; or two (or more) that hold K_NAME, dist_NAME, Rot_NAME, T_NAME."""
    stores = {path: _yaml(path) for path in paths}
    joined = {key: value for store in stores.values() for key, value in store.items()}
    names = [key[2:] for key in joined if key.startswith("K_")]
    if names:
        return [_easy(joined, name) for name in names]
    return [_single(store, path.stem) for path, store in stores.items()]


def _easy(fields: Mapping[str, Any], name: str) -> Camera:
    turn = fields.get(f"Rot_{name}", fields.get(f"R_{name}"))
    rows = {"matrix": fields.get(f"K_{name}"), "rotation": turn}
    rows |= {"translation": fields.get(f"T_{name}"), "distortions": fields.get(f"dist_{name}")}
    return _plain(rows, name, (fields.get(f"W_{name}"), fields.get(f"H_{name}")))


def _single(fields: Mapping[str, Any], name: str) -> Camera:
    def first(*keys: str) -> Any:
        return next((fields[key] for key in keys if key in fields), None)

    rows = {
        "matrix": first("camera_matrix", "K", "cameraMatrix", "CameraMatrix"),
        "distortions": first("distortion_coefficients", "dist", "D", "distCoeffs", "DistCoeffs"),
        "rotation": first("R", "rvec", "rotation", "Rot"),
        "translation": first("T", "tvec", "t", "translation"),
    }
    return _plain(rows, name, (first("image_width", "width"), first("image_height", "height")))


def _plain(rows: Mapping[str, Any], name: str, size: tuple[Any, Any]) -> Camera:
    return Camera(
        name,
        _field(rows, "matrix", name),
        _rotation(_field(rows, "rotation", name), name),
        _field(rows, "translation", name).ravel(),
        _distortion(_field(rows, "distortions", name), name),
        _size(size if None not in size else None, name),
    )


def _yaml(path: Path) -> dict[str, Any]:
    """The matrices and numbers of a file."""
    try:
        return parse(_bytes(path).decode("utf-8"))
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: is no YAML of OpenCV ({error})") from None


# --- fields


def _field(block: Mapping[str, Any], field: str, name: str) -> Array:
    value = block.get(field)
    if value is None:
        raise DataError(f"camera {name}: has no {field}")
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"camera {name}: {field} is no list of numbers") from None


def _number(block: Mapping[str, Any], field: str, name: str) -> float:
    value = _field(block, field, name)
    if value.size != 1:
        raise DataError(f"camera {name}: {field} is no number")
    return float(value.ravel()[0])


def _rotation(values: Array, name: str) -> Array:
    """A vector of OpenCV's, or a matrix -> a matrix."""
    if not np.isfinite(values).all():
        raise DataError(f"camera {name}: its rotation holds NaN or infinity")
    if values.size == 3:
        return Rotation.from_rotvec(values.ravel()).as_matrix()
    return values


def _distortion(values: Array, name: str) -> Array:
    """Up to 14 coefficients, of which we know 8; the others must be 0."""
    values = values.ravel()
    if len(values) in (12, 14) and not values[8:].any():
        return values[:8]
    return values if len(values) != 3 else np.append(values[:2], (0, 0, values[2]))


def _size(value: Any, name: str) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        width, height = (float(side) for side in value)
    except (ValueError, TypeError):
        raise DataError(f"camera {name}: its size is no width and height") from None
    if not (math.isfinite(width) and math.isfinite(height)):
        raise DataError(f"camera {name}: its size holds NaN or infinity")
    return (round(width), round(height)) if width > 0 or height > 0 else None
