"""Pictures of docs/lineage for whole methods: how each gets from a picture to its people.

    python -m benchmarks.overfit_picture --work WORK  # first: a network that knows this picture
    python -m benchmarks.method_pictures --work WORK  # docs/lineage/NAME.jpg
    python -m benchmarks.method_pictures --work WORK --only openpose

All are of the first frame of class.mp4. OpenPose, MoveNet and RTMO's cells are drawn from what the
network says that has learnt this picture by heart; PoseNet, BlazePose and DeepCut's candidates from
the public files and everybody's own; Mask R-CNN from WORK/keypoint-rcnn-small.safetensors, the
weights of that recipe. Of DEKR no trained weights are here: its maps are what a perfect network
would say of the people whom everybody-accurate found (the codec's `encode`), and what is drawn
after them is decoded from these maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from benchmarks.candidates import Told, candidates, learnt, partition
from benchmarks.common import ROOT, parsed, parser
from benchmarks.lineage_pictures import Panels, over, strip
from benchmarks.overfit_picture import SURE, kept, said, sure_cells
from benchmarks.overfit_picture import WIDE as LEARNT
from benchmarks.overfit_picture import scene as frame_of
from everybody import geometry
from everybody.codecs import centre_maps, make_people_codec, personlab
from everybody.codecs.condition import condition
from everybody.codecs.grouping import BODY18, find_limbs, group
from everybody.codecs.heatmap import Heatmap
from everybody.codecs.part_fields import enlarged
from everybody.codecs.peaks import find_peaks
from everybody.draw import draw, hue
from everybody.estimator import Estimator
from everybody.geometry import box_around
from everybody.inputs import crop, letterbox, normalise
from everybody.methods import blazepose, dekr
from everybody.methods.bottomup import BottomUp
from everybody.methods.keypoint_rcnn import RegionMaps
from everybody.models.many_heads import CELLS, ManyHeads
from everybody.models.map_heads import STRIDE, OpenPoseHead
from everybody.options import Engine, FindOptions
from everybody.people import Frame, Image, People
from everybody.skeletons import COCO17, OPENPOSE18, Skeleton
from everybody.train.augment import normalised
from everybody.train.export import load
from everybody.train.people import SEEN, arrays

FOLDER, WIDE = ROOT / "docs/lineage", 640
WHITE, GREEN, GREY = (255, 255, 255), (90, 255, 120), (150, 150, 150)
PROPOSED = 40  # of a region network that are drawn
CELL = STRIDE * WIDE // LEARNT  # pixels of the picture that a cell of the learnt maps is wide
Array = np.ndarray


class Scene(NamedTuple):
    """The picture that all pages draw, the people on it, and where a network is that knows it."""

    image: Image
    people: People
    work: Path

    @property
    def dark(self) -> Image:
        return self.image // 2

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[1], self.image.shape[0]

    @property
    def small(self) -> Image:
        """The picture as the network of `work` has learnt it."""
        factor = LEARNT / WIDE
        small = cv2.resize(self.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return small.astype(np.uint8)

    @property
    def net(self) -> ManyHeads:
        return kept(self.work)

    def maps(self, head: str) -> list[Array]:
        """What a head of the network says [C, h, w]; a cell is CELL pixels of the picture wide."""
        rows = self.size[1] // CELL
        return [part[0][:, :rows] for part in said(self.net, self.small)[head]]


def scene(work: Path) -> Scene:
    frame = frame_of(WIDE)
    return Scene(frame.image, frame.people, work)


def posed(image: Image, keypoints: Array, skeleton: Skeleton = COCO17) -> Image:
    """People [N, K, 3], each in a colour of its own."""
    score = np.ones(len(keypoints), np.float32)
    people = People(keypoints.astype(np.float32), box_around(keypoints), score, skeleton)
    return draw(image // 2 + 64, people, colour="person")


def arrow(image: Image, a: Sequence[float], b: Sequence[float], colour: tuple[int, ...]) -> None:
    start, end = (tuple(round(float(value)) for value in point) for point in (a, b))
    cv2.arrowedLine(image, start, end, colour, 1, cv2.LINE_AA, tipLength=0.2)


def line(image: Image, a: Array, b: Array, colour: tuple[int, ...], thick: int) -> None:
    start, end = (tuple(np.rint(point).astype(int).tolist()) for point in (a, b))
    cv2.line(image, start, end, colour, thick, cv2.LINE_AA)


# --- one function for each page


def of_openpose(seen: Scene) -> Panels:
    """A confidence map, a field, which pairs the field supports, people."""
    more = make_people_codec(OpenPoseHead.CODEC).enlarge
    maps, fields = (enlarged(part, more) for part in seen.maps("openpose"))
    step = CELL / more
    elbow, wrist = (OPENPOSE18.joints.index(f"right_{name}") for name in ("elbow", "wrist"))
    limb = BODY18.limbs.index((elbow, wrist))
    channel = BODY18.channels[limb]

    field = seen.dark
    way = fields[channel : channel + 2]
    for y, x in np.argwhere(np.hypot(*way) > 0.3)[::2]:
        at = (np.array([x, y]) + 0.5) * step - 0.5
        arrow(field, at, at + 9 * way[:, y, x], GREEN)

    peaks = find_peaks(maps)
    limbs = find_limbs(peaks, fields, BODY18)
    places = (np.stack([peaks.x, peaks.y], 1) + 0.5) * step - 0.5
    pairs = seen.dark
    for a in np.flatnonzero(peaks.part == elbow):
        for b in np.flatnonzero(peaks.part == wrist):
            line(pairs, places[a], places[b], GREY, 1)
    for a, b in zip(limbs.a[limbs.limb == limb], limbs.b[limbs.limb == limb], strict=True):
        line(pairs, places[a], places[b], GREEN, 3)

    bodies, scores = group(maps, fields, BODY18)
    bodies[..., :2] = (bodies[..., :2] + 0.5) * step - 0.5
    return [
        ("confidence: right wrists", over(seen.image, maps[wrist])),
        ("field: right forearms", field),
        ("pairs that the field supports", pairs),
        ("people", posed(seen.image, bodies[scores >= SURE], OPENPOSE18)),
    ]


def of_deepcut(seen: Scene) -> Panels:
    """Candidates, what one of them says of the others, likely pairs, the partition."""
    told = Told.of(Frame(seen.image), Estimator(threads=1, workers=1))
    some, terms = candidates(told, most=200), learnt()
    problem, answer = partition(some, terms)

    every, says, pairs, people = (seen.dark for _ in range(4))
    for place, part in zip(some.place, some.part, strict=True):
        cv2.circle(every, tuple(np.rint(place).astype(int).tolist()), 3, hue(int(part)), -1)
    first = int(np.flatnonzero(some.part == COCO17.joints.index("left_shoulder"))[0])
    for part in range(len(COCO17)):
        arrow(says, some.cell[first], some.cell[first] + some.offsets[first, part], GREEN)
    for (a, b), cost in zip(problem.edges, problem.pairwise[:, 0, 0], strict=True):
        if cost < -1:
            line(pairs, some.place[a], some.place[b], WHITE, 1)
    for a, b in problem.edges:
        if answer.people[a] and answer.people[a] == answer.people[b]:
            line(people, some.place[a], some.place[b], hue(int(answer.people[a])), 1)
    for place, who in zip(some.place, answer.people, strict=True):
        colour = hue(int(who)) if who else GREY
        cv2.circle(people, tuple(np.rint(place).astype(int).tolist()), 3, colour, -1)
    return [
        (f"{len(some.part)} candidates", every),
        ("where one expects the others", says),
        ("pairs that are likely one person's", pairs),
        ("the cheapest partition", people),
    ]


def of_personlab(seen: Scene) -> Panels:
    """Of the public PoseNet: heatmaps, short offsets, the way from a root, people."""
    method = Estimator(method="posenet-mbv1-075", threads=1).method
    assert isinstance(method, BottomUp)
    canvas, factors = letterbox(seen.image, method.input.size, fill=method.input.fill, tight=False)
    outputs = method.session(normalise([canvas], method.input))
    maps = [output[0] for output in personlab.channels_first(outputs)]
    heat, offsets, scale = maps[0], maps[1], 1 / factors
    high = round(seen.size[1] * factors[1] / 16)

    short = seen.dark
    for k, y, x in np.argwhere(heat > 0.3):
        at = 16 * np.array([x, y])
        to = at + offsets[[k + len(COCO17), k], y, x]
        arrow(short, at * scale, to * scale, hue(int(k)))

    bodies, _ = personlab.decode((maps[0], maps[1], maps[2], maps[3]))
    grown = seen.dark
    for number, body in enumerate(bodies[:2]):
        for a, b in personlab.EDGES:
            arrow(grown, body[a, :2] * scale, body[b, :2] * scale, hue(number))
    (people,) = method([seen.image])
    return [
        ("all joints' heatmaps", over(seen.image, heat.max(0)[:high])),
        ("short offsets: cell to joint", short),
        ("two bodies grown along the tree", grown),
        ("people", draw(seen.image // 2 + 64, people, colour="person")),
    ]


def of_movenet(seen: Scene) -> Panels:
    """Centres, vectors from them, a joint's heatmap weighted for one person, people."""
    some = centre_maps.CentreMaps(*seen.maps("movenet"))
    found, _ = centre_maps.decode_people(some)
    found[..., :2] = (found[..., :2] + 0.5) * CELL - 0.5

    vectors = seen.dark
    centres = find_peaks(some.centre, threshold=0.3, radius=2.0)
    for number, (x, y) in enumerate(zip(centres.x, centres.y, strict=True)):
        at = np.array([x, y])
        for way in some.vectors[:, y, x].reshape(-1, 2):
            arrow(vectors, (at + 0.5) * CELL, (at + way + 0.5) * CELL, hue(number))

    wrist, x, y = COCO17.joints.index("right_wrist"), int(centres.x[0]), int(centres.y[0])
    rough = np.array([x, y]) + some.vectors[2 * wrist : 2 * wrist + 2, y, x]
    height, width = some.centre.shape[1:]
    across = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    near = np.linalg.norm(across - rough, axis=-1) + centre_maps.NEAR
    return [
        ("centres of people", over(seen.image, some.centre[0])),
        ("vectors to their joints", vectors),
        ("right wrists, weighted for one", over(seen.image, some.heatmaps[wrist] / near)),
        ("people", posed(seen.image, found)),
    ]


def of_blazepose(seen: Scene) -> Panels:
    """Of the public files: alignment points and turned squares, one square, its landmarks."""
    finder = blazepose.open_aligner(
        FindOptions(detector="blazepose-detector", score=0.4), Engine(threads=1)
    )
    assert finder is not None
    frame = Frame(seen.image)
    for stage in finder.stages:
        (frame,) = stage.run([frame])
    points = frame.people.keypoints
    hips, circle = points[:, 0, :2], points[:, 1, :2]
    squares = blazepose.squares(hips, circle, blazepose.LANDMARKS.size)

    aligned = seen.dark
    corners = np.array([[0, 0], [255, 0], [255, 255], [0, 255]], float)
    back = geometry.invert(squares)
    for number, (middle, rim) in enumerate(zip(hips, circle, strict=True)):
        frame_of = geometry.transform(back[number : number + 1], corners[None])[0]
        cv2.polylines(aligned, [np.rint(frame_of).astype(np.int32)], True, hue(number), 2)
        radius = round(float(np.linalg.norm(rim - middle)))
        cv2.circle(aligned, tuple(np.rint(middle).astype(int).tolist()), radius, WHITE, 1)
        line(aligned, middle, rim, WHITE, 2)

    landmarks = Estimator(method="blazepose", threads=1).method.poser
    assert landmarks is not None
    (posed_frame,) = landmarks([frame])
    people = posed_frame.people
    first = crop(seen.image, squares[0], blazepose.LANDMARKS)
    within = people.keypoints[:1].copy()
    within = geometry.transform(squares[:1], within)
    return [
        ("alignment points, turned squares", aligned),
        ("33 landmarks in one square", posed(first, within, people.skeleton)),
        ("people", posed(seen.image, people.keypoints, people.skeleton)),
    ]


def of_keypoint_rcnn(seen: Scene) -> Panels:
    """Proposals, where RoIAlign samples a box that was found, a joint's softmax over it, people: of
    the small network that `everybody train keypoint-rcnn-small` made.
    """
    _, net = load(seen.work / "keypoint-rcnn-small.safetensors")
    canvas, factors = letterbox(seen.image, (SEEN, SEEN), fill=114, tight=False)
    image = normalised(torch.from_numpy(canvas).permute(2, 0, 1)[None].float())
    height, width = image.shape[2:]
    with torch.no_grad():
        levels = net.backbone(image)
        proposed, _ = net.propose(levels, (height, width), (height, width))
        answers = arrays(net.answer(net(image)))
    _, boxes, scores, _, logits = answers
    sure = scores >= SURE
    ((keypoints, _, _),) = RegionMaps().decode([part[sure] for part in answers], (width, height))
    keypoints[..., :2] = (keypoints[..., :2] + 0.5) / factors - 0.5
    keypoints[..., 2] = 1
    scale = np.tile(1 / factors, 2)  # from the corner, as the network counts

    found = seen.dark
    rows = [(box, GREY, 1) for box in proposed[0, :PROPOSED].numpy()]
    rows += [(box, hue(number), 2) for number, box in enumerate(boxes[sure])]
    for box, colour, thick in rows:
        corners = np.rint(box * scale).astype(int)
        cv2.rectangle(found, corners[:2].tolist(), corners[2:].tolist(), colour, thick)

    box = boxes[0] * scale
    sampled = seen.image.copy()
    steps = (np.arange(14) + 0.5) / 14
    for x in box[0] + steps * (box[2] - box[0]):
        for y in box[1] + steps * (box[3] - box[1]):
            cv2.circle(sampled, (round(float(x)), round(float(y))), 1, GREEN, -1)

    knee = logits[0, COCO17.joints.index("right_knee")]
    x0, y0, x1, y1 = np.rint(box).astype(int).tolist()
    softmax = np.zeros(seen.image.shape[:2], np.float32)
    part = cv2.resize(np.exp(knee - knee.max()), (x1 - x0, y1 - y0))
    softmax[y0:y1, x0:x1] = part[: seen.size[1] - y0, : seen.size[0] - x0]
    return [
        (f"{PROPOSED} proposals, boxes found", found),
        ("RoIAlign: 14 × 14 of one box", sampled),
        ("right knee: a softmax over 56 × 56", over(seen.image, softmax)),
        ("people", posed(seen.image, keypoints)),
    ]


def of_one_stage(seen: Scene) -> Panels:
    """Cells that answer for somebody, and what the surest says; DEKR's centres and offsets."""
    factor = WIDE // LEARNT
    places, strides, boxes, joints = sure_cells(seen.net, seen.small)
    own = geometry.iou(boxes * factor, seen.people.boxes).argmax(1)
    grid, says = seen.dark, seen.dark
    for (x, y), side, number in zip(places * factor, strides * factor / 2, own, strict=True):
        a, b = ((round(x + way), round(y + way)) for way in (1 - side, side - 1))
        cv2.rectangle(grid, a, b, hue(int(number)), 2)
    for number in np.unique(own):
        first = int(np.flatnonzero(own == number)[0])  # the surest
        for joint in joints[first]:
            arrow(says, places[first] * factor, joint[:2] * factor, hue(int(number)))

    maps, offsets = dekr_maps(seen)
    ((found, _, scores),) = make_people_codec(seen.net.heads[CELLS].CODEC).decode(  # type: ignore[arg-type]
        said(seen.net, seen.small)[CELLS], seen.size
    )
    found[..., :2] = (found[..., :2] + 0.5) * factor - 0.5
    return [
        ("RTMO: cells that answer", grid),
        ("from the surest to their joints", says),
        ("people", posed(seen.image, found[scores >= SURE])),
        ("DEKR: centres", maps),
        ("from centres to their joints", offsets),
    ]


def dekr_maps(seen: Scene) -> tuple[Image, Image]:
    """DEKR's centres, and the offsets from them, as a perfect network would say them."""
    stride = 4
    cells = seen.size[0] // stride, seen.size[1] // stride
    keypoints = seen.people.keypoints.copy()
    keypoints[..., :2] = (keypoints[..., :2] + 0.5) / stride - 0.5
    maps = dekr.DekrCodec(cells).encode(keypoints)

    proposals = dekr.proposals(maps["heatmaps"], maps["offsets"])
    offsets = seen.dark
    for number, row in enumerate(dekr.suppressed(proposals)):
        y, x = divmod(int(proposals.cells[row]), cells[0])
        for joint in proposals.keypoints[row]:
            arrow(offsets, (x * stride, y * stride), joint[:2] * stride, hue(number))
    return over(seen.image, maps["heatmaps"][-1]), offsets


def of_hybrids(seen: Scene) -> Panels:
    """A box that holds two people, and what BUCTD tells the network of them."""
    shared = geometry.iou(seen.people.boxes, seen.people.boxes)
    np.fill_diagonal(shared, 0)
    own, other = np.unravel_index(int(shared.argmax()), shared.shape)
    size = 192, 256
    matrix = geometry.crop_matrices(seen.people.boxes[[own]], size, 1.25)
    shown = cv2.warpAffine(seen.image, matrix[0], size, flags=cv2.INTER_LINEAR)
    poses = [
        geometry.transform(matrix, seen.people.keypoints[[one]].astype(float))
        for one in (own, other)
    ]
    codec = Heatmap(size=size)
    maps = [codec.encode(np.concatenate([p[..., :2], np.ones_like(p[..., :1])], -1)) for p in poses]
    folded = condition(codec, *poses)[0]
    both = np.concatenate(poses)
    return [
        ("the box, two rough poses", posed(shown, both)),
        ("who is meant", over(shown, maps[0][0][0][0].max(0))),
        ("who is beside", over(shown, maps[1][0][0][0].max(0))),
        ("folded: channels of the crop's size", over(shown * 0, folded.max(0), 1.0)),
    ]


PAGES: dict[str, tuple[Callable[[Scene], Panels], tuple[float, float]]] = {
    "deepcut": (of_deepcut, (3.4, 2.2)),
    "openpose": (of_openpose, (3.4, 2.2)),
    "keypoint-rcnn": (of_keypoint_rcnn, (3.4, 2.2)),
    "personlab": (of_personlab, (3.4, 2.2)),
    "blazepose": (of_blazepose, (3.4, 2.6)),
    "movenet": (of_movenet, (3.4, 2.2)),
    "one-stage": (of_one_stage, (3.4, 2.2)),
    "hybrids": (of_hybrids, (2.3, 3.0)),
}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=Path("everybody-overfit"))
    command.add_argument("--only", default="", help="pages whose name holds this")
    given = parsed(command)
    seen = scene(given.work)
    for name, (panels, size) in PAGES.items():
        if given.only in name:
            strip(panels(seen), FOLDER / f"{name}.jpg", size)


if __name__ == "__main__":
    main()
