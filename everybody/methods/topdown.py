"""Top-down: a finder gives boxes, a poser gives each box its joints, duplicates are removed.

RMPE's pipeline (Fang et al., ICCV 2017): any person detector → SSTN → SPPE → SDTN → parametric
pose NMS. Any method can be the finder: people that a bottom-up method finds are boxes here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .. import nms
from ..codecs import make_codec
from ..errors import OptionError
from ..inputs import IMAGENET, NORMALISATIONS, Input
from ..method import Method, Poser, Remark, Remarking, Stage, enough
from ..options import NO_POSE, Engine, FindOptions, Options, PoseOptions
from ..people import Frame, People
from ..runtime import Session
from ..skeleton_file import chosen
from ..skeletons import Skeleton
from ..weights import fetch, manifest
from ..weights.locate import described, fixed_size, opened
from .associated import Associated
from .boxes import GivenBoxes, WholePicture
from .cascade import Cascade
from .conditioned import ToldSppe, conditioned
from .detector import open_detector
from .orientation import AnyTurn, LookAgain, TurnNet, open_turn_net
from .parts import with_parts
from .second_chance import SecondChance
from .sppe import Boxed, Sppe
from .sstn import Transformed, open_sstn
from .together import Together
from .told import ToldPoser, joints_of

PADDING = 1.25  # growth of a box to its crop, where nothing says otherwise


@dataclass(frozen=True, slots=True)
class Distinct:
    """A poser whose people are each there once (nms), the most confident first."""

    poser: Poser
    nms: Callable[[People], People]

    @property
    def skeleton(self) -> Skeleton:
        return self.poser.skeleton

    @property
    def sessions(self) -> Mapping[str, Session]:
        return self.poser.sessions

    def __call__(self, frames: list[Frame]) -> list[Frame]:
        return [self._distinct(frame) for frame in self.poser(frames)]

    def _distinct(self, frame: Frame) -> Frame:
        """What was found in space goes with its person, whose row the ids tell meanwhile."""
        people, poses3d = frame.people, frame.poses3d
        if poses3d is None:
            return replace(frame, people=self.nms(people).by_score())
        kept = self.nms(replace(people, ids=np.arange(len(people)))).by_score()
        rows = np.zeros(0, np.intp) if kept.ids is None else kept.ids
        ids = None if people.ids is None else people.ids[rows]
        return replace(frame, people=replace(kept, ids=ids), poses3d=poses3d[rows])


@dataclass(frozen=True, slots=True)
class TopDown:
    """A finder and a poser. batch: people that are gathered, from several frames, for one call."""

    finder: Method
    poser: Poser
    batch: int = 2

    @property
    def skeleton(self) -> Skeleton:
        return self.poser.skeleton

    @property
    def sessions(self) -> Mapping[str, Session]:
        posing = self.poser.sessions
        return {k: s for k, s in self.finder.sessions.items() if k not in posing} | dict(posing)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (*self.finder.stages, Stage("pose", self.poser, enough(self.batch, crops=True)))

    def remarks(self) -> list[Remark]:
        return self.finder.remarks() if isinstance(self.finder, Remarking) else []


def open_topdown(options: Options) -> Method:
    """The bundled method: detector, SPPE, search for turns, pose NMS; of several models, each as
    it is alone; without a pose model (`NO_POSE`), the detector alone. Raises ModelError,
    OptionError.
    """
    names = options.model.split(",") if options.model else []
    if len(names) > 1:
        return open_together(names, options)
    find, pose = options.find, options.pose
    if options.model:
        pair = manifest.variant(options.model)
        if find.detector is None:
            find = replace(find, detector=pair.detector, size=find.size or pair.det_size)
        pose = replace(pose, model=pose.model or pair.pose)
        if not pair.turns:  # the net that tells turns has seen people only
            pose = replace(pose, orientation="upright")
    options, engine = replace(options, find=find, pose=pose), options.engine
    if pose.model == NO_POSE:
        return open_boxes_alone(options)
    suppress = nms.pose_nms(pose.nms).run
    batch = pose.batch or (2 if engine.on_cpu else 32)

    # Both files load at the same time: half of the wait for the first result.
    with ThreadPoolExecutor(2) as loading:
        posing = loading.submit(open_sppe, replace(pose, batch=batch), engine)
        net = usual_turn_net(engine) if pose.orientation == "any" else None
        finder = open_finders(options, net)
        first = posing.result()
    sppe: Poser = first
    if pose.orientation == "any":
        sppe = AnyTurn(poser=first, net=net, straighten=not pose.sstn)  # an SSTN does it itself
    for stage in pose.refine:
        sppe = Cascade(sppe, open_sppe(PoseOptions(model=stage, batch=batch), engine))
    poser: Poser = Distinct(sppe, suppress)
    if pose.associate:
        poser = Associated(poser, first)
    if pose.condition:
        stage = open_sppe(PoseOptions(model=pose.condition, batch=batch), engine)
        poser = conditioned(poser, stage, pose.condition)
    if pose.skeleton and (wanted := chosen(pose.skeleton)) != sppe.skeleton:
        poser = ToldPoser(poser, wanted)
    return TopDown(finder, with_parts(poser, pose, engine), batch)


def open_boxes_alone(options: Options) -> Method:
    """What the options say of finding, and no joints. Raises OptionError for options of joints."""
    pose, usual = options.pose, PoseOptions()
    kept = ("model", "orientation", "nms", "batch")
    given = [
        one.name for one in fields(pose) if getattr(pose, one.name) != getattr(usual, one.name)
    ]
    if of_joints := [name for name in given if name not in kept]:
        raise OptionError(
            f"--pose {NO_POSE} finds boxes alone: leave --{of_joints[0].replace('_', '-')} out, or "
            "choose a pose model"
        )
    net = usual_turn_net(options.engine) if pose.orientation == "any" else None
    return open_finders(options, net)


def open_together(names: Sequence[str], options: Options) -> Together:
    """Several variants at once. Raises OptionError for what cannot be of all of them."""
    given = {
        "--detector": options.find.detector,
        "--second": options.find.second,
        "--pose": options.pose.model,
        "--boxes": options.find.boxes,
        "--whole": options.find.whole,
    }
    if not_of_one := [name for name, value in given.items() if value]:
        raise OptionError(
            f"--model {','.join(names)}: {not_of_one[0]} would be for all of them: choose one "
            "model, or leave it out"
        )
    if len(set(names)) < len(names):
        raise OptionError(f"--model {','.join(names)}: names a model twice")
    asked = _asked(names, options.pose, options.engine)
    methods = {
        name: open_topdown(
            replace(options, model=name, pose=replace(options.pose, skeleton=asked[name]))
        )
        for name in names
    }
    return Together(methods, options.find.batch or (1 if options.engine.on_cpu else 8))


def _asked(names: Sequence[str], pose: PoseOptions, engine: Engine) -> dict[str, str | None]:
    """Which of the variants are asked for a skeleton: those that know it, or, if none does, all (so
    that one says what it knows).
    """
    skeleton = pose.skeleton
    if not skeleton:
        return dict.fromkeys(names)
    files = {name: manifest.variant(name).pose for name in names}
    posing = [name for name in names if files[name] != NO_POSE]
    rows = {name: described(files[name], "pose", engine)[1] for name in posing}
    knowing = {name for name, row in rows.items() if row and row.answering(skeleton)}
    return {name: skeleton if name in (knowing or posing) else None for name in names}


def open_finders(options: Options, net: TurnNet | None) -> Method:
    """The finder of the options (`open_finder`), and the second one behind it."""
    finder = open_finder(options.find, net, options.engine)
    if not options.find.second:
        return finder
    return SecondChance(finder, opened_second(options))


def open_finder(find: FindOptions, net: TurnNet | None, engine: Engine) -> Method:
    """What the options say of finding: given boxes, whole pictures, or a detector, which looks
    again in other turns if there is a turn net and no turns are given.
    """
    if find.boxes:
        return GivenBoxes(find.boxes)
    if find.whole:
        return WholePicture()
    detector = open_detector(find, engine)
    return LookAgain(detector=detector, net=net) if net and not find.turns else detector


def opened_second(options: Options) -> Method:
    """The method of the options' second finder, as it is alone."""
    from . import open_method  # which opens this one

    alone = FindOptions(score=options.find.score, max_people=options.find.max_people)
    nms = PoseOptions(nms=options.pose.nms)
    name = options.find.second
    return open_method(Options(method=name, find=alone, pose=nms, engine=options.engine))


def usual_turn_net(engine: Engine) -> TurnNet | None:
    """The manifest's default turn net, if it is at hand."""
    name = manifest.load()[1].get("turn")
    return open_turn_net(name, engine) if name and fetch.find(fetch.row(name)) else None


def open_sppe(pose: PoseOptions | None = None, engine: Engine | None = None) -> Sppe:
    """The single-person pose estimator that the options name (none: the manifest's default).

    Of a file that neither a row nor its own metadata describe, skeleton and codec must be given;
    the input size is read from the file where it is fixed there. Given options replace the row's;
    but asked for another skeleton, a described file answers in joints of its own of which that
    skeleton follows (body-23 for halpe-26, animal-20 for ap-10k-17). Raises ModelError,
    OptionError.
    """
    pose, engine = pose or PoseOptions(), engine or Engine()
    session, row = opened(pose.model, "pose", engine, skeleton=pose.skeleton)
    if row is None and not (pose.skeleton and pose.codec):
        raise OptionError(
            f"{session.path}: no row of the manifest describes this model: give its --skeleton and "
            f"--codec (and --input-size, --normalise, --channels where they are not the usual)"
        )
    size = pose.input_size
    spec = row.input if row else Input(size=size or fixed_size(session), **IMAGENET)
    spec = fed(replace(spec, size=size or spec.size), pose)
    codec = parse_codec(pose.codec) if pose.codec else row.codec if row else {}
    joints = joints_of(pose, row, session.path)
    padding = pose.padding or (row.padding if row else PADDING)
    kind = next(kind for kind in (Transformed, ToldSppe, Sppe) if kind.fits(session))
    return kind(
        session=session,
        skeleton=joints,
        codec=make_codec(codec, spec.size),
        input=spec,
        look=open_sstn(pose.sstn, engine) if pose.sstn else Boxed(padding),
        batch=pose.batch,
        flip_test=pose.flip_test,
    )


def parse_codec(text: str) -> dict[str, Any]:
    """'heatmap', 'simcc,split=2' or 'heatmap,alignment=udp,refine=quarter' -> a codec's row."""
    kind, *pairs = text.split(",")
    row: dict[str, Any] = {"type": kind}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            row[key] = float(value) if "." in value else int(value)
        except ValueError:
            row[key] = value
    return row


def fed(spec: Input, pose: PoseOptions) -> Input:
    """The input as the options say. Raises OptionError for names that are not known."""
    changes: dict[str, Any] = {}
    if pose.normalise:
        if pose.normalise not in NORMALISATIONS:
            raise OptionError(
                f"unknown normalisation '{pose.normalise}': known are {', '.join(NORMALISATIONS)}"
            )
        plain = Input(size=spec.size)
        changes |= {"mean": plain.mean, "std": plain.std} | NORMALISATIONS[pose.normalise]
    if pose.channels:
        if pose.channels not in ("rgb", "bgr"):
            raise OptionError(f"unknown channel order '{pose.channels}': known are rgb, bgr")
        changes["channels"] = pose.channels
    return replace(spec, **changes)
