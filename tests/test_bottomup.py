"""OpenPose, PersonLab and DeepCut as methods: from a picture through a file to people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from everybody.codecs.grouping import BODY18, BODY25
from everybody.codecs.part_fields import PartFields
from everybody.codecs.personlab import PersonLabMaps
from everybody.errors import ModelError, OptionError
from everybody.estimator import Estimator
from everybody.methods.deepcut import DeepCutMaps
from everybody.methods.deepcut_pairs import Pair, Statistics, Terms
from everybody.people import Frame
from everybody.skeletons import COCO17, LSP14, OPENPOSE18, OPENPOSE25, Skeleton
from synthetic import nets, planted

SIZE = 480, 400  # of the networks' input, width × height
PICTURE = 960, 800  # twice as large
CANVAS = 480, 416  # what networks of any size are fed: in steps of 32
# A pair of which each predicts the other's place belongs together, whoever has learned it.
NEAR = Pair(np.zeros(8), np.ones(8), np.array([-0.1, 0, -0.1, 0, 0, 0, 0, 0, 4.0]))
TERMS = Terms(
    Statistics(np.zeros((17, 17, 2)), np.ones((17, 17, 2))),
    {(a, b): NEAR for a in range(17) for b in range(a + 1, 17)},
)


@dataclass(frozen=True)
class Planting:
    """How the maps of a method's perfect network are drawn."""

    method: str
    skeleton: Skeleton
    codec: PartFields | PersonLabMaps | DeepCutMaps

    def file(self, path: Path, people: np.ndarray, size: tuple[int, int] | None = SIZE) -> Path:
        """People [P,K,2] in pixels of the input -> a file that always says them."""
        maps = self.codec.encode(planted.seen(people), size or CANVAS)
        TERMS.save(path.with_suffix(".npz"))
        return nets.maps_constant(path, {f"maps_{n}": some for n, some in enumerate(maps)}, size)

    def crossing(self) -> np.ndarray:
        """One upright, one lying across, in pixels of the input."""
        upright = planted.body(self.skeleton, (200.3, 200), 300)
        lying = planted.body(self.skeleton, (260, 180.7), 300, turn=75, spread=1.3)
        return np.stack([upright, lying])


PLANTINGS = [
    Planting("openpose", OPENPOSE18, PartFields(BODY18)),
    Planting("openpose", OPENPOSE25, PartFields(BODY25)),
    Planting("personlab", COCO17, PersonLabMaps()),
    Planting("deepcut", COCO17, DeepCutMaps(COCO17, TERMS)),
]
EVERY = pytest.mark.parametrize(
    "planting", PLANTINGS, ids=[f"{p.method}-{p.skeleton.name}" for p in PLANTINGS]
)


def estimator(planting: Planting, path: Path, **more) -> Estimator:
    return Estimator(method=planting.method, pose=path, threads=1, workers=1, **more)


def blank(size: tuple[int, int] = PICTURE) -> Frame:
    return Frame(np.zeros((size[1], size[0], 3), np.uint8))


@EVERY
def test_nobody_is_found_where_nobody_is(tmp_path, planting):
    path = planting.file(tmp_path / "m.onnx", np.zeros((0, len(planting.skeleton), 2)))
    (frame,) = estimator(planting, path)([blank()])
    assert len(frame.people) == 0
    assert frame.people.skeleton == planting.skeleton


@EVERY
def test_two_crossing_people_are_found_within_half_a_cell_of_the_picture(tmp_path, planting):
    people = planting.crossing()
    path = planting.file(tmp_path / "m.onnx", people)
    (frame,) = estimator(planting, path)([blank()])
    found = frame.people
    in_picture = (people + 0.5) * 2 - 0.5
    assert planted.same_people(found.keypoints, in_picture, 0.5 * 8 * 2)
    assert ((found.keypoints[..., 2] > 0) & (found.keypoints[..., 2] <= 1)).all()
    assert (np.diff(found.scores) <= 0).all()

    around = found.keypoints[..., :2]
    assert np.abs(found.boxes[:, :2] - around.min(1)).max() < 0.01
    assert np.abs(found.boxes[:, 2:] - around.max(1)).max() < 0.01


@EVERY
def test_pictures_together_are_as_one_by_one(tmp_path, planting):
    """Of several sizes, each scaled on its own: the file takes any."""
    path = planting.file(tmp_path / "m.onnx", planting.crossing(), size=None)
    find = estimator(planting, path, det_size=SIZE)
    frames = [blank(size) for size in ((480, 400), (960, 800), (480, 400))]
    for alone, together in zip(frames, find(frames), strict=True):
        (wanted,) = find([alone])
        assert np.array_equal(together.people.keypoints, wanted.people.keypoints)


@EVERY
def test_a_batch_is_decoded_as_its_pictures(planting):
    people = planting.crossing()
    pictures = [people, people[:1], people[:0]]
    maps = [planting.codec.encode(planted.seen(some), SIZE) for some in pictures]
    together = planting.codec.decode([np.stack(some) for some in zip(*maps, strict=True)], SIZE)
    assert [len(scores) for *_, scores in together] == [2, 1, 0]
    for found, alone in zip(together, maps, strict=True):
        (wanted,) = planting.codec.decode([some[None] for some in alone], SIZE)
        assert all(np.array_equal(*pair) for pair in zip(found, wanted, strict=True))


@EVERY
def test_soft_oks_keeps_both_who_cross(tmp_path, planting):
    path = planting.file(tmp_path / "m.onnx", planting.crossing())
    (frame,) = estimator(planting, path, pose_nms="soft-oks")([blank()])
    assert len(frame.people) == 2


@EVERY
def test_options_of_people_count(tmp_path, planting):
    path = planting.file(tmp_path / "m.onnx", planting.crossing())
    assert len(estimator(planting, path, max_people=1)([blank()])[0].people) == 1
    assert len(estimator(planting, path, det_score=1.1)([blank()])[0].people) == 0


@EVERY
def test_an_answer_that_cannot_be_decoded_names_the_file(tmp_path, planting):
    people = planting.crossing()
    people[0, 3] = np.nan
    with np.errstate(invalid="ignore"):
        path = planting.file(tmp_path / "broken.onnx", people)
    with pytest.raises(ModelError, match=r"broken\.onnx.*NaN"):
        estimator(planting, path)([blank()])


@EVERY
@pytest.mark.parametrize(("rows", "columns"), [(slice(-2), slice(None)), (slice(None), slice(-2))])
def test_maps_that_do_not_cover_the_input_name_the_file(tmp_path, planting, rows, columns):
    """Cells lie a stride apart: people of maps of another size would be elsewhere."""
    maps = planting.codec.encode(planted.seen(planting.crossing()), SIZE)
    less = {f"maps_{n}": some[:, rows, columns] for n, some in enumerate(maps)}
    path = nets.maps_constant(tmp_path / "less.onnx", less, SIZE)
    TERMS.save(path.with_suffix(".npz"))
    with pytest.raises(ModelError, match=r"less\.onnx: maps of .* for an input of 480 x 400"):
        estimator(planting, path)([blank()])


def test_openpose_maps_are_as_large_as_the_input_and_the_stride_require(tmp_path):
    """A row or column more or less is another size, and so are maps of half the stride; a side that
    is no multiple of the stride may be rounded either way, and its people stay where they are.
    """
    codec, people = PartFields(BODY18), PLANTINGS[0].crossing()
    whole = [some[None] for some in codec.encode(planted.seen(people), SIZE)]
    ((wanted, _, _),) = codec.decode(whole, SIZE)
    for size in ((480, 399), (480, 407), (473, 400), (487, 401)):
        ((found, _, _),) = codec.decode(whole, size)
        assert np.array_equal(found, wanted)
    for size in ((480, 408), (488, 400), (480, 392), (240, 200)):
        with pytest.raises(ModelError, match=f"maps of 60 x 50 cells.*expected {size[0] // 8} x"):
            codec.decode(whole, size)
    for some in ([whole[0], whole[1][:, :, :-1]], [whole[0][..., :-1], whole[1]]):
        with pytest.raises(ModelError, match="expected 60 x 50, one cell each 8 pixels"):
            codec.decode(some, SIZE)


@EVERY
def test_maps_without_a_cell_name_the_file(tmp_path, planting):
    maps = planting.codec.encode(planted.seen(planting.crossing()), SIZE)
    none = {f"maps_{n}": some[:, :0, :0] for n, some in enumerate(maps)}
    path = nets.maps_constant(tmp_path / "none.onnx", none, SIZE)
    TERMS.save(path.with_suffix(".npz"))
    with pytest.raises(ModelError, match=r"none\.onnx: "):
        estimator(planting, path)([blank()])


@EVERY
def test_files_of_another_kind_are_refused_by_name(tmp_path, planting):
    path = nets.maps_constant(tmp_path / "other.onnx", {"maps": np.zeros((3, 8, 8))}, (64, 64))
    TERMS.save(path.with_suffix(".npz"))
    with pytest.raises(ModelError, match=r"other\.onnx"):
        estimator(planting, path)
    with pytest.raises(OptionError, match="needs a model: give --pose"):
        Estimator(method=planting.method)


def test_one_output_of_all_maps_is_read_as_published(tmp_path):
    planting = PLANTINGS[1]
    maps = planting.codec.encode(planted.seen(planting.crossing()), SIZE)
    path = nets.maps_constant(tmp_path / "m.onnx", {"net_output": np.concatenate(maps)}, SIZE)
    apart = planting.file(tmp_path / "apart.onnx", planting.crossing())
    (wanted,), (found,) = (estimator(planting, p)([blank()]) for p in (apart, path))
    assert np.array_equal(found.people.keypoints, wanted.people.keypoints)


def test_the_last_maps_of_several_stages_count_in_any_order(tmp_path):
    planting = PLANTINGS[0]
    joints, fields = planting.codec.encode(planted.seen(planting.crossing()), SIZE)
    none = np.zeros_like(joints), np.zeros_like(fields)
    stages = {"first_fields": none[1], "first": none[0], "fields": fields, "joints": joints}
    path = nets.maps_constant(tmp_path / "m.onnx", stages, SIZE)
    assert len(estimator(planting, path)([blank()])[0].people) == 2


def test_another_skeleton_than_the_file_has_is_an_error(tmp_path):
    path = PLANTINGS[0].file(tmp_path / "m.onnx", PLANTINGS[0].crossing())
    with pytest.raises(ModelError, match="give the --skeleton"):
        estimator(PLANTINGS[0], path, skeleton="openpose-25")
    with pytest.raises(OptionError, match="this method finds the joints of openpose-18"):
        estimator(PLANTINGS[0], path, skeleton="halpe-26")


@pytest.mark.parametrize("planting", PLANTINGS[:2], ids=lambda one: one.skeleton.name)
def test_people_may_be_told_in_joints_that_follow_from_those_found(planting, tmp_path):
    """OpenPose's maps tell by their number whose joints they are."""
    path = planting.file(tmp_path / "m.onnx", planting.crossing())
    (found,) = estimator(planting, path)([blank()])
    (asked,) = estimator(planting, path, skeleton="lsp-14")([blank()])
    assert len(found.people) == 2
    assert np.array_equal(asked.people.keypoints, found.people.to(LSP14).keypoints)


def test_deepcut_without_what_it_learned_is_an_error(tmp_path):
    path = PLANTINGS[3].file(tmp_path / "m.onnx", PLANTINGS[3].crossing())
    path.with_suffix(".npz").unlink()
    with pytest.raises(ModelError, match=r"m\.npz.*put the file that came with the model"):
        estimator(PLANTINGS[3], path)


@pytest.mark.parametrize("planting", PLANTINGS[:3], ids=["18", "25", "personlab"])
def test_unlabelled_joints_are_not_drawn(planting):
    people = planted.seen(planting.crossing()[:1])
    people[0, 4, 2] = 0
    first = planting.codec.encode(people, SIZE)
    assert not first[0][4].any()
    assert first[0][3].any()
