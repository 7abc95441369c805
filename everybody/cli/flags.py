"""The groups of flags that commands share: what is written, found, posed, followed, run."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import OptionError
from ..options import Engine, FindOptions, PoseOptions
from .options import FPS, listed, looks, pair

if TYPE_CHECKING:
    from ..follow import Follow
    from ..lift.lifter import Lift
    from ..media.read import Selection
    from ..run import Outputs

FORMAT = (
    "Besides the journal: coco, alphapose(-cmu, -open), openpose(-18), csv(-eu), parquet; "
    "several with commas."
)
NMS = "parametric, alphapose, oks, soft-oks, box or none; with parameters: oks,threshold=0.8"
METHOD = "topdown, movenet, ... or a model that is a method, as movenet-multipose."

DEFAULTS, POSES = FindOptions(), PoseOptions()


def panel(name: str) -> partial[Any]:
    """`typer.Option` whose help stands under this heading."""
    return partial(typer.Option, rich_help_panel=name)


to_write, to_choose, to_find = panel("Results"), panel("Frames"), panel("Finding people")
to_pose, to_follow, to_run = panel("Pose"), panel("Following people"), panel("Running")
to_lift = panel("In space")


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What is written, and where."""

    out: Annotated[
        str, to_write("--out", "-o", help="Folder; '-' writes the journal to stdout.")
    ] = "everybody-out"
    formats: Annotated[list[str] | None, to_write("--format", "-f", help=FORMAT)] = None
    save_images: Annotated[
        bool, to_write("--save-images", help="Draw every frame into OUT/images.")
    ] = False
    save_video: Annotated[bool, to_write("--save-video", help="Draw videos into OUT/video.")] = (
        False
    )
    crops: Annotated[bool, to_write("--crops", help="Save every person's crop in OUT/crops.")] = (
        False
    )
    colour: Annotated[str, to_write(help="Draw by body 'side' or by 'person'.")] = "side"
    draw_boxes: Annotated[bool, to_write("--draw-boxes", help="Draw boxes too.")] = False
    draw_scores: Annotated[bool, to_write("--draw-scores", help="Draw scores too.")] = False
    draw_ids: Annotated[
        bool | None, to_write("--draw-ids/--no-draw-ids", help="Draw ids; where tracked.")
    ] = None
    trails: Annotated[
        float, to_write(help="Draw so many seconds of each tracked person's way.")
    ] = 0.0
    draw_min_score: Annotated[
        float, to_write(help="Leave joints that score less out of drawings.")
    ] = 0.3
    draw_min_score_parts: Annotated[
        float | None, to_write(help="The same for faces and hands; half of it by default.")
    ] = None
    resume: Annotated[
        bool, to_write("--resume", help="Go on behind the last frame of OUT's journal.")
    ] = False
    force: Annotated[
        bool, to_write("--force", help="With --resume: go on although options differ.")
    ] = False
    overwrite: Annotated[bool, to_write("--overwrite", help="Replace OUT's journal.")] = False

    def outputs(self) -> Outputs:
        from ..run import Outputs

        if self.resume and self.overwrite:
            raise OptionError("--resume and --overwrite exclude each other: choose one")
        if self.force and not self.resume:
            raise OptionError(
                "--force goes with --resume: what is there is replaced by --overwrite"
            )
        if self.out == "-" and getattr(sys.stdout, "name", "") == os.devnull:
            raise OptionError("--out -: stdout is closed; give a folder")
        if self.colour not in ("side", "person"):
            raise OptionError(f"unknown colour '{self.colour}': known are side, person")
        existing: Literal["refuse", "resume", "overwrite"] = (
            "resume" if self.resume else "overwrite" if self.overwrite else "refuse"
        )
        return Outputs(
            out=sys.stdout.buffer if self.out == "-" else Path(self.out),
            formats=listed(self.formats or []),
            images=self.save_images,
            video=self.save_video,
            crops=self.crops,
            existing=existing,
            force=self.force,
            drawing={
                "colour": self.colour,
                "boxes": self.draw_boxes,
                "scores": self.draw_scores,
                "ids": self.draw_ids,
                "min_score": self.draw_min_score,
                "min_score_parts": self.draw_min_score_parts,
                "trails": self.trails,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """Which frames of the sources."""

    start: Annotated[str | None, to_choose(help="First frame: 120, or a time: 4.5s, 1:30.")] = None
    end: Annotated[str | None, to_choose(help="Stop before this frame or time.")] = None
    every: Annotated[str | None, to_choose(help="Each n-th frame, or one per time: 0.5s.")] = None
    fps: Annotated[float | None, to_choose(help=FPS)] = None
    max_pixels: Annotated[int, to_choose(help="Refuse larger pictures.")] = 200_000_000
    trust: Annotated[
        bool, to_choose("--trust", help="Playlists and descriptions may lead anywhere.")
    ] = False
    hardware: Annotated[
        str | None, to_choose(help="Decode videos on it, if it can: cuda, vaapi, videotoolbox.")
    ] = None

    def selection(self) -> Selection:
        from ..media.read import Selection

        trusted = True if self.trust else None
        return Selection.parse(
            *(self.start, self.end, self.every),
            fps=self.fps,
            trusted=trusted,
            hardware=self.hardware,
        )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How people are found."""

    method: Annotated[str | None, to_find(help=METHOD)] = None
    model: Annotated[
        str | None, to_find(help="Bundled: fast, accurate, animals; or accurate,animals.")
    ] = None
    detector: Annotated[
        str | None, to_find(help="Name from `everybody models`, or an ONNX file.")
    ] = None
    second: Annotated[
        str | None,
        to_find(
            help="A method whose people are added where the detector has nobody: name or file."
        ),
    ] = None
    boxes: Annotated[Path | None, to_find(help="Your own: COCO detection results JSON.")] = None
    whole: Annotated[bool, to_find("--whole", help="Take each picture as one box.")] = False
    det_size: Annotated[str | None, to_find(help="Detector input: 416 or 640x384.")] = None
    det_score: Annotated[float, to_find(help="Least score of a box.")] = DEFAULTS.score
    det_nms: Annotated[float | None, to_find(help="Greatest IoU of two boxes.")] = None
    min_size: Annotated[float, to_find(help="Least length of a box's longer side, in pixels.")] = (
        DEFAULTS.min_size
    )
    max_people: Annotated[int | None, to_find(help="Keep so many, the most certain.")] = None
    tiles: Annotated[
        str, to_find(help="Look at overlapping tiles too: 2 or 3x2 (columns x rows).")
    ] = "1"
    det_turns: Annotated[
        int, to_find(help="Look in so many quarter turns; 0: upright, and as people seem to lie.")
    ] = DEFAULTS.turns
    det_batch: Annotated[int, to_find(help="Frames per call of the detector; 0: by device.")] = (
        DEFAULTS.batch
    )

    def options(self) -> FindOptions:
        return FindOptions(
            detector=self.detector,
            second=self.second,
            boxes=self.boxes,
            whole=self.whole,
            size=pair(self.det_size, "--det-size"),
            score=self.det_score,
            nms=self.det_nms,
            min_size=self.min_size,
            max_people=self.max_people,
            tiles=pair(self.tiles, "--tiles") or DEFAULTS.tiles,
            turns=self.det_turns,
            batch=self.det_batch,
        )


@dataclass(frozen=True, kw_only=True)
class Posing:
    """How joints are estimated."""

    pose: Annotated[
        str | None,
        to_pose(help="Name from `everybody models`, or an ONNX file; none: boxes."),
    ] = None
    skeleton: Annotated[
        str | None,
        to_pose(help="Joints that come out: halpe-26 (feet, head), openpose-25, ap-10k-17 ..."),
    ] = None
    codec: Annotated[
        str | None, to_pose(help="Of your ONNX file: heatmap,alignment=udp or simcc,split=2.")
    ] = None
    input_size: Annotated[
        str | None, to_pose(help="Of your ONNX file: width x height, 192x256.")
    ] = None
    normalise: Annotated[str | None, to_pose(help="Of your ONNX file: imagenet, unit or none.")] = (
        None
    )
    channels: Annotated[str | None, to_pose(help="Of your ONNX file: rgb or bgr.")] = None
    padding: Annotated[float | None, to_pose(help="How much the crop grows the box.")] = None
    sstn: Annotated[
        Path | None, to_pose(help="An SSTN to look for the person with first, as everybody-sstn.")
    ] = None
    refine: Annotated[
        list[Path] | None,
        to_pose(help="A later stage of a cascade, which looks at each joint again; several."),
    ] = None
    condition: Annotated[
        str | None, to_pose(help="Model that looks again at people who overlap.")
    ] = None
    associate: Annotated[
        bool, to_pose("--associate", help="Share joints out among people who overlap.")
    ] = False
    hand: Annotated[str | None, to_pose(help="Model of hands: 135 points, with --face.")] = None
    face: Annotated[str | None, to_pose(help="Model of faces, as mediapipe-face.")] = None
    batch: Annotated[int, to_pose(help="Crops per call; 0: by device.")] = POSES.batch
    flip_test: Annotated[bool, to_pose("--flip-test", help="Average with the mirrored crop.")] = (
        False
    )
    orientation: Annotated[str, to_pose(help="any: people who lie or hang too; or upright.")] = (
        POSES.orientation
    )
    pose_nms: Annotated[str, to_pose(help=f"Remove duplicate poses: {NMS}.")] = POSES.nms

    def options(self) -> PoseOptions:
        return PoseOptions(
            model=self.pose,
            skeleton=self.skeleton,
            codec=self.codec,
            input_size=pair(self.input_size, "--input-size", single=False),
            normalise=self.normalise,
            channels=self.channels,
            padding=self.padding,
            sstn=self.sstn,
            refine=tuple(self.refine or ()),
            condition=self.condition,
            associate=self.associate,
            hand=self.hand,
            face=self.face,
            flip_test=self.flip_test,
            orientation=self.orientation,
            nms=self.pose_nms,
            batch=self.batch,
        )


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """What is done with people over time."""

    track: Annotated[
        bool, to_follow("--track", help="Give people ids that stay; the following imply it.")
    ] = False
    appearance: Annotated[
        str | None, to_follow(help="Embedding model to recognise people by, too.")
    ] = None
    detect_every: Annotated[
        str,
        to_follow(help="Detect on each n-th frame and where somebody is missed; auto: as needed."),
    ] = "auto"
    smooth: Annotated[
        str | None, to_follow(help="one-euro (live), butterworth, savitzky-golay or kalman.")
    ] = None
    keep: Annotated[
        str | None, to_follow("--select", help="Keep an id (3, or 3,5), largest or centre.")
    ] = None
    flow: Annotated[
        bool, to_follow("--flow", help="Track with hindsight, a second later: fewer ids change.")
    ] = False
    propagate: Annotated[
        bool,
        to_follow("--propagate", help="Track as Simple Baselines: optical flow, greedy by OKS."),
    ] = False
    live: Annotated[
        bool,
        to_follow("--live", help="Answer soonest: nothing is read ahead. Cameras, rtsp: always."),
    ] = False

    def follow(self, sources: list[str], *, lifted: bool = False) -> Follow | None:
        """None unless something was asked for that needs ids, as lifting does."""
        from ..follow import Follow
        from ..media.sources import flows

        asked = (self.track, self.appearance, self.smooth, self.keep, self.flow, self.propagate)
        if not any((*asked, self.live, lifted)) and self.detect_every == "auto":
            return None
        return Follow(
            appearance=self.appearance,
            detect_every=looks(self.detect_every),
            smooth=self.smooth,
            keep=self.keep,
            flow=self.flow,
            propagate=self.propagate,
            live=self.live or (flows(sources) and not self.flow),
        )


@dataclass(frozen=True, kw_only=True)
class InSpace:
    """How people are put into space."""

    lift: Annotated[
        bool, to_lift("--lift", help="Poses in 3D, too: OUT/frames3d.jsonl. It implies --track.")
    ] = False
    lifter: Annotated[str | None, to_lift(help="A lifter's name or ONNX file.")] = None
    fov: Annotated[
        float | None,
        to_lift(help="Degrees across the picture's longer side; else a photo's own, or 60."),
    ] = None
    height: Annotated[float | None, to_lift(help="Of the people, in metres; else 1.70.")] = None

    def options(self, *, live: bool) -> Lift | None:
        """None unless something was asked for that needs it."""
        from ..lift.lifter import Lift

        if not self.lift and (self.lifter, self.fov, self.height) == (None, None, None):
            return None
        usual = Lift.usual(live=live)
        return replace(usual, model=self.lifter, fov=self.fov, height=self.height)


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where networks run."""

    device: Annotated[str, to_run(help="auto, cpu, cuda, coreml, directml, ...")] = "auto"
    engine: Annotated[str, to_run(help="auto, onnxruntime or openvino.")] = "auto"
    threads: Annotated[int, to_run(help="CPU cores to use; 0: all.")] = 0

    def options(self) -> Engine:
        return Engine(device=self.device, engine=self.engine, threads=self.threads)


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What is said on the terminal."""

    strict: Annotated[
        bool, to_run("--strict", help="Stop at the first input that cannot be read.")
    ] = False
    quiet: Annotated[bool, to_run("--quiet", "-q", help="Say nothing but errors.")] = False
    as_json: Annotated[bool, to_run("--json", help="A summary as one JSON object on stdout.")] = (
        False
    )
