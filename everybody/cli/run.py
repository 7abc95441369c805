"""`everybody run`: the main job. Pictures and video in, every body out."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..errors import EverybodyError, OptionError
from ..people import Frame
from .options import listed, pair

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; '-' writes the journal to stdout.")]


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Pictures, videos, folders, globs, text files that list paths, a camera's number, URLs, or - for stdin.",
        ),
    ],
    out: Out = Path("everybody-out"),
    formats: Annotated[
        list[str],
        typer.Option(
            "--format", "-f", rich_help_panel="Results",
            help="Besides the journal (jsonl): coco, alphapose, alphapose-cmu, alphapose-open, openpose, openpose-18, "
            "csv, parquet. Several with commas.",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    save_images: Annotated[bool, typer.Option(help="Draw every frame into OUT/images.", rich_help_panel="Results")] = False,
    save_video: Annotated[bool, typer.Option(help="Draw videos into OUT/video (MP4).", rich_help_panel="Results")] = False,
    crops: Annotated[bool, typer.Option(help="Save every person's crop in OUT/crops.", rich_help_panel="Results")] = False,
    colour: Annotated[str, typer.Option(help="Draw by body 'side' or by 'person'.", rich_help_panel="Results")] = "side",
    draw_boxes: Annotated[bool, typer.Option(help="Draw boxes too.", rich_help_panel="Results")] = False,
    draw_scores: Annotated[bool, typer.Option(help="Draw scores too.", rich_help_panel="Results")] = False,
    draw_min_score: Annotated[float, typer.Option(help="Leave joints below out of drawings.", rich_help_panel="Results")] = 0.3,
    resume: Annotated[bool, typer.Option(help="Go on behind the last frame of OUT's journal.", rich_help_panel="Results")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace OUT's journal.", rich_help_panel="Results")] = False,
    start: Annotated[str | None, typer.Option(help="First frame: 120, or a time: 4.5s, 1:30.", rich_help_panel="Frames")] = None,
    end: Annotated[str | None, typer.Option(help="Stop before this frame or time.", rich_help_panel="Frames")] = None,
    every: Annotated[str | None, typer.Option(help="Each n-th frame, or one per time: 0.5s.", rich_help_panel="Frames")] = None,
    max_pixels: Annotated[int, typer.Option(help="Refuse larger pictures.", rich_help_panel="Frames")] = 200_000_000,
    detector: Annotated[str | None, typer.Option(help="Name from `everybody models`, or an ONNX file.", rich_help_panel="Finding people")] = None,
    boxes: Annotated[Path | None, typer.Option(help="Your own: COCO detection results JSON.", rich_help_panel="Finding people")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Take each picture as one box.", rich_help_panel="Finding people")] = False,
    det_size: Annotated[str | None, typer.Option(help="Detector input: 416 or 640x384.", rich_help_panel="Finding people")] = None,
    det_score: Annotated[float, typer.Option(help="Least score of a box.", rich_help_panel="Finding people")] = 0.3,
    det_nms: Annotated[float | None, typer.Option(help="Greatest IoU of two boxes.", rich_help_panel="Finding people")] = None,
    min_size: Annotated[float, typer.Option(help="Least length of a box's longer side, pixels.", rich_help_panel="Finding people")] = 0.0,
    max_people: Annotated[int | None, typer.Option(help="Keep the most certain so many.", rich_help_panel="Finding people")] = None,
    tiles: Annotated[str, typer.Option(help="Look at overlapping tiles too: 2 or 3x2 (columns × rows).", rich_help_panel="Finding people")] = "1",
    det_batch: Annotated[int, typer.Option(help="Frames per detector call; 0: by device.", rich_help_panel="Finding people")] = 0,
    pose: Annotated[str | None, typer.Option(help="Name from `everybody models`, or an ONNX file.", rich_help_panel="Pose")] = None,
    skeleton: Annotated[str | None, typer.Option(help="Of your ONNX file: coco-17, halpe-26, …", rich_help_panel="Pose")] = None,
    codec: Annotated[str | None, typer.Option(help="Of your ONNX file: heatmap,alignment=udp or simcc,split=2, …", rich_help_panel="Pose")] = None,
    input_size: Annotated[str | None, typer.Option(help="Of your ONNX file: width×height, 192x256.", rich_help_panel="Pose")] = None,
    normalise: Annotated[str | None, typer.Option(help="Of your ONNX file: imagenet, unit or none.", rich_help_panel="Pose")] = None,
    channels: Annotated[str | None, typer.Option(help="Of your ONNX file: rgb or bgr.", rich_help_panel="Pose")] = None,
    padding: Annotated[float | None, typer.Option(help="How much the crop grows the box.", rich_help_panel="Pose")] = None,
    batch: Annotated[int, typer.Option(help="Crops per call; 0: by device.", rich_help_panel="Pose")] = 0,
    flip_test: Annotated[bool, typer.Option("--flip-test", help="Average with the mirrored crop.", rich_help_panel="Pose")] = False,
    pose_nms: Annotated[str, typer.Option(help="Remove duplicate poses: oks or none.", rich_help_panel="Pose")] = "oks",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, coreml, directml, …", rich_help_panel="Running")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, onnxruntime or openvino.", rich_help_panel="Running")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU cores to use; 0: all.", rich_help_panel="Running")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first input that cannot be read.", rich_help_panel="Running")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel="Running")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A summary as one JSON object on stdout.", rich_help_panel="Running")] = False,
) -> None:
    """Find every body in pictures and videos.

    Writes OUT/frames.jsonl, a line per frame as it comes, and OUT/run.json; other formats and drawings as asked for.
    Exit code 1 if any input could not be read. `--debug` shows tracebacks.
    """
    options = {key: str(value) if isinstance(value, Path) else value for key, value in locals().items()}
    from ..media import draw as _draw  # noqa: F401 (loads OpenCV while nothing waits for it)
    from ..media.formats import FORMATS, write_all
    from ..media.journal import Journal, last_frames
    from ..media.names import Names
    from ..media.read import Selection, count, expand, read
    from ..media.records import encode
    from ..media.write import Overlays, save_crops
    from ..pipeline import Estimator

    to_stdout = str(out) == "-"
    chosen = listed(formats)
    if unknown := [name for name in chosen if name not in FORMATS]:
        raise OptionError(f"unknown format '{unknown[0]}': known are {', '.join(FORMATS)}")
    if to_stdout and (as_json or resume or save_images or save_video or crops or set(chosen) - {"jsonl"}):
        raise OptionError("--out - writes the journal to stdout and nothing else: give a folder for the other results")
    if resume and overwrite:
        raise OptionError("--resume and --overwrite exclude each other: choose one")
    if colour not in ("side", "person"):
        raise OptionError(f"unknown colour '{colour}': known are side, person")
    select = Selection.parse(start, end, every)
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    problems: list[str] = []
'''
'''
