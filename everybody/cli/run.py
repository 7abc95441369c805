"""`everybody run`: the main job. Pictures and video in, every body out."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import EverybodyError, OptionError
from .options import listed, looks, pair

write, pick = (
    partial(typer.Option, rich_help_panel="Results"),
    partial(typer.Option, rich_help_panel="Frames"),
)
find, pose_ = (
    partial(typer.Option, rich_help_panel="Finding people"),
    partial(typer.Option, rich_help_panel="Pose"),
)
how = partial(typer.Option, rich_help_panel="Running")
over = partial(typer.Option, rich_help_panel="Following people")

SOURCES = "Pictures, videos, folders, globs, text files that list paths, a camera's number, URLs, or - for stdin."
FORMAT = "Besides the journal: coco, alphapose(-cmu, -open), openpose(-18), csv, parquet; several with commas."

NMS = "parametric, alphapose, oks, soft-oks, box or none; with parameters: oks,threshold=0.8"


def run(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=SOURCES)],
    out: Annotated[
        str, write("--out", "-o", help="Folder; '-' writes the journal to stdout.")
    ] = "everybody-out",
    formats: Annotated[list[str] | None, write("--format", "-f", help=FORMAT)] = None,
    save_images: Annotated[
        bool, write("--save-images", help="Draw every frame into OUT/images.")
    ] = False,
    save_video: Annotated[bool, write("--save-video", help="Draw videos into OUT/video.")] = False,
    crops: Annotated[bool, write("--crops", help="Save every person's crop in OUT/crops.")] = False,
    colour: Annotated[str, write(help="Draw by body 'side' or by 'person'.")] = "side",
    draw_boxes: Annotated[bool, write("--draw-boxes", help="Draw boxes too.")] = False,
    draw_scores: Annotated[bool, write("--draw-scores", help="Draw scores too.")] = False,
    draw_ids: Annotated[
        bool | None, write("--draw-ids/--no-draw-ids", help="Draw ids; where tracked.")
    ] = None,
    trails: Annotated[
        float, write(help="Draw so many seconds of each tracked person's way.")
    ] = 0.0,
    draw_min_score: Annotated[
        float, write(help="Leave joints that score less out of drawings.")
    ] = 0.3,
    resume: Annotated[
        bool, write("--resume", help="Go on behind the last frame of OUT's journal.")
    ] = False,
    overwrite: Annotated[bool, write("--overwrite", help="Replace OUT's journal.")] = False,
    start: Annotated[str | None, pick(help="First frame: 120, or a time: 4.5s, 1:30.")] = None,
    end: Annotated[str | None, pick(help="Stop before this frame or time.")] = None,
    every: Annotated[str | None, pick(help="Each n-th frame, or one per time: 0.5s.")] = None,
    max_pixels: Annotated[int, pick(help="Refuse larger pictures.")] = 200_000_000,
    model: Annotated[str | None, find(help="The bundled pair of models: fast or accurate.")] = None,
    detector: Annotated[
        str | None, find(help="Name from `everybody models`, or an ONNX file.")
    ] = None,
    boxes: Annotated[Path | None, find(help="Your own: COCO detection results JSON.")] = None,
    whole: Annotated[bool, find("--whole", help="Take each picture as one box.")] = False,
    det_size: Annotated[str | None, find(help="Detector input: 416 or 640x384.")] = None,
    det_score: Annotated[float, find(help="Least score of a box.")] = 0.3,
    det_nms: Annotated[float | None, find(help="Greatest IoU of two boxes.")] = None,
    min_size: Annotated[float, find(help="Least length of a box's longer side, in pixels.")] = 0.0,
    max_people: Annotated[int | None, find(help="Keep so many, the most certain.")] = None,
    tiles: Annotated[
        str, find(help="Look at overlapping tiles too: 2 or 3x2 (columns x rows).")
    ] = "1",
    det_turns: Annotated[
        int, find(help="Look in so many quarter turns; 0: upright, and as people seem to lie.")
    ] = 0,
    det_batch: Annotated[int, find(help="Frames per call of the detector; 0: by device.")] = 0,
    pose: Annotated[
        str | None, pose_(help="Name from `everybody models`, or an ONNX file.")
    ] = None,
    skeleton: Annotated[str | None, pose_(help="Of your ONNX file: coco-17, halpe-26, ...")] = None,
    codec: Annotated[
        str | None, pose_(help="Of your ONNX file: heatmap,alignment=udp or simcc,split=2.")
    ] = None,
    input_size: Annotated[
        str | None, pose_(help="Of your ONNX file: width x height, 192x256.")
    ] = None,
    normalise: Annotated[
        str | None, pose_(help="Of your ONNX file: imagenet, unit or none.")
    ] = None,
    channels: Annotated[str | None, pose_(help="Of your ONNX file: rgb or bgr.")] = None,
    padding: Annotated[float | None, pose_(help="How much the crop grows the box.")] = None,
    sstn: Annotated[
        Path | None, pose_(help="An SSTN to look for the person with first, as everybody-sstn.")
    ] = None,
    batch: Annotated[int, pose_(help="Crops per call; 0: by device.")] = 0,
    flip_test: Annotated[
        bool, pose_("--flip-test", help="Average with the mirrored crop.")
    ] = False,
    orientation: Annotated[str, pose_(help="any: people who lie or hang too; or upright.")] = "any",
    pose_nms: Annotated[str, pose_(help=f"Remove duplicate poses: {NMS}.")] = "parametric",
    track: Annotated[
        bool, over("--track", help="Give people ids that stay; the following imply it.")
    ] = False,
    appearance: Annotated[
        str | None, over(help="Embedding model to recognise people by, too.")
    ] = None,
    detect_every: Annotated[
        str, over(help="Detect on each n-th frame and where somebody is missed; auto: as needed.")
    ] = "auto",
    smooth: Annotated[
        str | None, over(help="one-euro (live), butterworth, savitzky-golay or kalman.")
    ] = None,
    keep: Annotated[
        str | None, over("--select", help="Keep an id (3, or 3,5), largest or centre.")
    ] = None,
    flow: Annotated[
        bool, over("--flow", help="Track with hindsight, a second later: fewer ids change.")
    ] = False,
    live: Annotated[
        bool, over("--live", help="Answer soonest: nothing is read ahead. Cameras, rtsp: always.")
    ] = False,
    device: Annotated[str, how(help="auto, cpu, cuda, coreml, directml, ...")] = "auto",
    engine: Annotated[str, how(help="auto, onnxruntime or openvino.")] = "auto",
    threads: Annotated[int, how(help="CPU cores to use; 0: all.")] = 0,
    strict: Annotated[
        bool, how("--strict", help="Stop at the first input that cannot be read.")
    ] = False,
    quiet: Annotated[bool, how("--quiet", "-q", help="Say nothing but errors.")] = False,
    as_json: Annotated[bool, how("--json", help="A summary as one JSON object on stdout.")] = False,
) -> None:
    """Find every body in pictures and videos.

    Writes OUT/frames.jsonl, a line per frame as it comes, and OUT/run.json; other formats and
    drawings as asked for. Exit code 1 if any input could not be read. --debug shows tracebacks.
    """
    options = {
        k: str(v) if isinstance(v, Path) else v for k, v in locals().items() if v is not None
    }
    from .. import run as job
    from ..estimator import Estimator
    from ..follow import Follow
    from ..media.read import Selection, count, expand

    if resume and overwrite:
        raise OptionError("--resume and --overwrite exclude each other: choose one")
    if colour not in ("side", "person"):
        raise OptionError(f"unknown colour '{colour}': known are side, person")
    if out == "-" and as_json:
        raise OptionError("--out - and --json both write to stdout: choose one")
    results = job.Results(
        out=sys.stdout.buffer if out == "-" else Path(out),
        formats=listed(formats or []),
        images=save_images,
        video=save_video,
        crops=crops,
        existing="resume" if resume else "overwrite" if overwrite else "refuse",
        drawing={
            "colour": colour,
            "boxes": draw_boxes,
            "scores": draw_scores,
            "ids": draw_ids,
            "min_score": draw_min_score,
            "trails": trails,
        },
    )
    follow = None
    if track or appearance or detect_every != "auto" or smooth or keep or live or flow:
        live = live or any(
            source.isdecimal() or source.startswith(("rtsp:", "rtsps:")) for source in sources
        )
        follow = Follow(
            appearance=appearance,
            detect_every=looks(detect_every),
            smooth=smooth,
            keep=keep,
            flow=flow,
            live=live,
        )
    select = Selection.parse(start, end, every)
    try:
        total = count(expand(sources), select)
    except EverybodyError:  # reading will tell which input it is, and go on with the others
        total = None
    estimator = Estimator(
        model=model,
        detector=detector,
        pose=pose,
        whole=whole,
        boxes=boxes,
        det_size=pair(det_size, "--det-size"),
        det_score=det_score,
        det_nms=det_nms,
        min_size=min_size,
        max_people=max_people,
        tiles=pair(tiles, "--tiles") or (1, 1),
        skeleton=skeleton,
        codec=codec,
        sstn=sstn,
        input_size=pair(input_size, "--input-size", single=False),
        normalise=normalise,
        channels=channels,
        padding=padding,
        flip_test=flip_test,
        orientation=orientation,
        pose_nms=pose_nms,
        batch=batch,
        det_batch=det_batch,
        det_turns=det_turns,
        device=device,
        engine=engine,
        threads=threads,
        workers=1 if total == 1 else 0,
    )
    options["pose_nms"] = str(estimator.pose_nms)  # with its parameters, whose defaults may change

    messages = Console(stderr=True, highlight=False, soft_wrap=True)

    def warn(text: str) -> None:
        messages.print(f"everybody: {text}", markup=False)

    def say(text: str) -> None:
        if not quiet:
            messages.print(text, markup=False)

    people = 0
    columns = (
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TextColumn("{task.fields[rate]} frames/s"),
        TextColumn("{task.fields[people]} people"),
        TimeRemainingColumn(),
    )
    bar = (
        Progress(*columns, console=messages)
        if messages.is_terminal and not quiet
        else nullcontext()
    )
    with bar as shown:
        task = shown.add_task("", total=total, rate="", people=0) if shown else None

        def progress(frame: job.Frame) -> None:
            nonlocal people
            people += len(frame.people)
            if shown and task is not None:
                speed = shown.tasks[0].speed
                shown.update(task, advance=1, people=people, rate=f"{speed:.1f}" if speed else "")

        summary = job.run(
            sources,
            estimator,
            results,
            select=select,
            max_pixels=max_pixels,
            strict=strict,
            follow=follow,
            options=options,
            say=say,
            warn=warn,
            progress=progress,
        )
    if as_json:
        print(json.dumps(summary.to_dict()))
    rate = summary.frames / summary.seconds if summary.seconds else 0
    where = "" if out == "-" else f" -> {out}"
    frames = "1 frame" if summary.frames == 1 else f"{summary.frames} frames"
    say(
        f"{frames}, {summary.people} {'person' if summary.people == 1 else 'people'}, {rate:.1f} frames/s{where}"
    )
    if summary.dropped:
        say(f"{summary.dropped} frames of live sources were left out to stay live")
    if summary.interrupted:
        warn(
            "interrupted; what was done is kept"
            + ("" if out == "-" else ", --resume goes on behind it")
        )
        raise typer.Exit(130)
    if summary.problems:
        raise typer.Exit(1)
