"""Every format that everybody reads: how a small valid file is made (`files`), how it is damaged
(`damage`), and how it is read to the end, as users would.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from . import files, motion


class Format(NamedTuple):
    """How a format is made, damaged and read."""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    damage: str = "json"
    real: str = ""  # a glob below ../shared/data
    needs: str = ""  # a package


# --- readers


def read_data(path: Path) -> None:
    """Labels, and their judgement by themselves as results."""
    from everybody.data.read import read
    from everybody.metrics.judge import judge

    data = read(path)
    judge(data, data, ["AP", "OKS", "PCKb@0.2"])


def read_yolo(path: Path) -> None:
    from everybody.data.read import read

    read(path.parent)


def read_coco_results(path: Path) -> None:
    from everybody.data.read import read, read_results
    from everybody.metrics.direct import direct
    from everybody.metrics.judge import judge

    with tempfile.TemporaryDirectory() as folder:
        truth = read(files.coco(Path(folder)))
    direct(truth, path)
    judge(truth, read_results(path, truth), ["AP", "PCK@0.2"])


def read_results(path: Path, above: int = 0) -> None:
    """Any of our formats; above: how many folders up is what is read."""
    from everybody.results.formats import read_results as read

    place = path if not above else path.parents[above - 1]
    for _ in read(place, say=lambda text: None):
        pass


def read_frames(path: Path) -> None:
    from everybody.data.frames import read_frames as read
    from everybody.results.lines import progress

    read_results(path, above=1)
    read(path.parent / "frames.jsonl")
    progress(path.parent)


def read_motion(path: Path) -> None:
    from everybody.data.motions import read_motions

    read_motions(path.parent / "body_01.amc" if path.suffix == ".asf" else path)


def read_imus(path: Path) -> None:
    from everybody.lift.sensors import read_imus as read

    read(path)


def read_boxes(path: Path) -> None:
    from everybody.methods.boxes import GivenBoxes

    GivenBoxes(path).find([files.frame()])


def read_manifest(path: Path) -> None:
    from everybody.weights import manifest

    os.environ["EVERYBODY_WEIGHTS"] = str(path.parent)
    manifest.load()
    manifest.variant("accurate")


def read_network(path: Path) -> None:
    from everybody.methods.topdown import open_sppe
    from everybody.options import Engine, PoseOptions

    options = PoseOptions(model=path, skeleton="coco-17", codec="heatmap,alignment=corner")
    open_sppe(options, Engine(threads=1))([files.frame()])


def read_description(path: Path) -> None:
    import onnx

    from everybody.methods.topdown import open_sppe
    from everybody.options import Engine, PoseOptions
    from everybody.runtime import ABOUT

    model = onnx.load(path.with_name("net.onnx"))
    about = model.metadata_props.add()
    about.key, about.value = ABOUT, path.read_bytes().decode("utf-8", "replace")
    described = path.with_name("described.onnx")
    onnx.save(model, str(described))
    open_sppe(PoseOptions(model=described), Engine(threads=1))([files.frame()])


def read_picture(path: Path) -> None:
    from everybody.media.images import decode

    decode(path.read_bytes(), str(path))


def read_video(path: Path) -> None:
    from everybody.media.read import read

    problems: list[Any] = []
    for number, _ in enumerate(read(str(path), problem=problems.append, say=lambda text: None)):
        if number > 200:
            break


def read_weights(path: Path) -> None:
    from everybody.train.checkpoint import read_weights as read

    read(path)


def read_checkpoint(path: Path) -> None:
    from everybody.train.checkpoint import load, steps

    for step in steps(path.parents[1]):
        load(path.parents[1], step)


def read_calibration(path: Path) -> None:
    """The cameras, and what they see of a few points."""
    import numpy as np

    from everybody.lift.calibration_files import read_calibration as read

    for camera in read(path):
        camera.directions(camera.project(np.eye(3)))


def _picture(format: str) -> Format:
    return Format(partial(files.picture, format=format), read_picture, "binary")


def _video(ending: str, codec: str, **more: str) -> Format:
    return Format(partial(files.video, ending=ending, codec=codec, **more), read_video, "binary")


def _results(kind: str, damage: str = "json", above: int = 0) -> Format:
    return Format(partial(files.written, kind=kind), partial(read_results, above=above), damage)


FORMATS: dict[str, Format] = {
    "coco": Format(files.coco, read_data, real="formats/{aic,ochuman,halpe,animals/*}/*.json"),
    "crowdpose": Format(files.crowdpose, read_data, real="formats/crowdpose/test_crowdpose.json"),
    "whole-body": Format(files.whole_body, read_data, real="formats/wholebody/*.json"),
    "posetrack": Format(files.posetrack, read_data, real="formats/posetrack18/*_val.json"),
    "coco-results": Format(files.coco_results, read_coco_results),
    "mpii": Format(files.mpii, read_data, real="formats/mpii/*.json"),
    "mpii-csv": Format(files.mpii_csv, read_data, "text"),
    "mpii-mat": Format(files.mpii_mat, read_data, "binary"),
    "lsp-mat": Format(files.lsp_mat, read_data, "binary"),
    "lsp-npz": Format(files.lsp_npz, read_data, "binary"),
    "yolo": Format(files.yolo, read_yolo, "text"),
    "frames.jsonl": Format(files.frames, read_frames),
    "run.json": Format(files.run, read_frames),
    "results-coco": _results("coco"),
    "alphapose": _results("alphapose"),
    "openpose": _results("openpose", above=1),
    "csv": _results("csv", "text"),
    "csv-eu": _results("csv-eu", "text"),
    "parquet": _results("parquet", "binary"),
    "bvh": Format(motion.bvh, read_motion, "text", real="motion3d/mocap_files/*.bvh"),
    "asf": Format(motion.asf, read_motion, "text"),
    "amc": Format(motion.amc, read_motion, "text"),
    "trc": Format(motion.trc, read_motion, "text", real="motion3d/pose2sim/*/*/pose-3d/*_0-12.trc"),
    "c3d": Format(motion.c3d, read_motion, "binary", needs="ezc3d"),
    "imus": Format(motion.imus, read_imus, "text"),
    "boxes": Format(files.boxes, read_boxes),
    "manifest": Format(files.manifest, read_manifest, "text"),
    "onnx": Format(files.network, read_network, "binary", needs="onnx"),
    "onnx-metadata": Format(files.described_network, read_description, needs="onnx"),
    "jpeg": _picture("JPEG"),
    "png": _picture("PNG"),
    "webp": _picture("WEBP"),
    "gif": _picture("GIF"),
    "bmp": _picture("BMP"),
    "tiff": _picture("TIFF"),
    "avif": _picture("AVIF"),
    "mp4": _video("mp4", "libx264"),
    "mkv": _video("mkv", "mpeg4"),
    "avi": _video("avi", "mjpeg", pixels="yuvj420p"),
    "ts": _video("ts", "mpeg2video"),
    "safetensors": Format(files.weights, read_weights, "binary", needs="torch"),
    "calibration": Format(
        files.calibration,
        read_calibration,
        "text",
        real="motion3d/pose2sim/S00_Calibration/*.toml",
    ),
    "calibration-qca": Format(
        files.calibration_qualisys,
        read_calibration,
        "text",
        real="motion3d/pose2sim/S00_Calibration/*.txt",
    ),
    "calibration-opencv": Format(files.calibration_opencv, read_calibration, "text"),
    "calibration-json": Format(
        files.calibration_json, read_calibration, real="motion3d/multiview_samples/*/*.json"
    ),
    "checkpoint": Format(files.checkpoint_index, read_checkpoint, needs="torch"),
}
