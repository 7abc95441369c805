"""Detectors and SPPEs from ONNX files of known answers: every layout, codec and alignment."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from everybody import geometry, runtime
from everybody.codecs import PicodetBoxes, RtmdetBoxes, YoloxBoxes
from everybody.errors import ModelError, OptionError
from everybody.methods.detector import Detector
from everybody.people import People
from synthetic import nets

from .loaded import load_detector, load_sppe

BOXES = np.array([[32, 16, 96, 144, 0.9], [100, 40, 150, 160, 0.6], [1, 1, 9, 9, 0.1]], np.float32)


def finder(path, **options):
    options = {"normalise": "none", "skeleton": "coco-17", "padding": 1.0} | options
    return load_sppe(path, **options)


@pytest.mark.parametrize("size", [(320, 320), (640, 480), (100, 300)])
def test_boxes_of_an_rtmdet_come_back_in_the_picture(tmp_path, size):
    """Input pixels count from the corner: image = input / ratio - 0.5, cut to the picture; label 1
    is nobody.
    """
    path = nets.rtmdet_constant(
        tmp_path / "d.onnx", np.vstack([BOXES, [[5, 5, 50, 50, 0.95]]]), [0, 0, 0, 1]
    )
    detector = load_detector(path, size=(320, 320))
    assert isinstance(detector.codec, RtmdetBoxes)
    (people,) = detector([np.zeros((size[1], size[0], 3), np.uint8)])
    ratio = min(320 / size[0], 320 / size[1])
    expected = np.clip(BOXES[:2, :4] / ratio - 0.5, -0.5, np.array([*size, *size]) - 0.5)
    expected = expected[(expected[:, 2:] > expected[:, :2]).all(1)]
    assert np.abs(people.boxes - expected).max() < 1.0
    assert len(people.skeleton) == 0


def test_yolox_and_picodet_say_the_same_boxes(tmp_path):
    image = np.zeros((320, 320, 3), np.uint8)
    for codec, path in (
        (YoloxBoxes, nets.yolox_constant(tmp_path / "y.onnx", 160, BOXES[:2])),
        (PicodetBoxes, nets.picodet_constant(tmp_path / "p.onnx", 160, BOXES)),
    ):
        detector = load_detector(path)
        assert isinstance(detector.codec, codec)
        (people,) = detector([image])
        assert np.abs(people.boxes - (BOXES[:2, :4] * 2 - 0.5)).max() < 0.01
        assert people.scores == pytest.approx([0.9, 0.6])


def test_pictures_of_all_shapes_in_one_call_are_as_one_by_one(tmp_path):
    detector = load_detector(nets.rtmdet_constant(tmp_path / "d.onnx", BOXES), size=(320, 320))
    images = [
        np.zeros((h, w, 3), np.uint8) for h, w in ((200, 300), (300, 200), (200, 300), (50, 60))
    ]
    together = detector(images)
    for image, people in zip(images, together, strict=True):
        assert np.array_equal(people.boxes, detector([image])[0].boxes)
    assert detector([]) == []


def test_a_detector_that_promises_batches_and_fails_on_them_gets_pictures_one_by_one(tmp_path):
    detector = load_detector(
        nets.rtmdet_constant(tmp_path / "d.onnx", BOXES, single=True), size=(320, 320)
    )
    image = np.zeros((200, 300, 3), np.uint8)
    (alone,) = detector([image])
    for people in detector([image] * 3) + detector([image] * 2):
        assert np.array_equal(people.boxes, alone.boxes)
        assert len(people) == 2


def test_choices_among_boxes(tmp_path):
    path = nets.rtmdet_constant(tmp_path / "d.onnx", np.vstack([BOXES, [[33, 17, 97, 145, 0.8]]]))
    image = np.zeros((320, 320, 3), np.uint8)

    def count(**options) -> int:
        return len(load_detector(path, size=(320, 320), **options)([image])[0])

    assert count() == 2, "the near copy goes"
    assert count(nms=0.99) == 3
    assert count(score=0.05) == 3
    assert count(score=0.05, min_size=20) == 2
    assert count(max_people=1) == 1
    assert count(score=0.95) == 0


def test_tiles_find_small_people_once_and_drop_what_their_edges_cut(tmp_path):
    """Each view says a box at its input's (20, 20, 60, 100): one person per tile and one of the
    whole.
    """
    path = nets.rtmdet_constant(tmp_path / "d.onnx", np.array([[20, 20, 60, 100, 0.9]], np.float32))
    image = np.zeros((640, 640, 3), np.uint8)
    (people,) = load_detector(path, size=(320, 320), tiles=(2, 2))([image])
    assert len(people) == 5
    cut = nets.rtmdet_constant(tmp_path / "c.onnx", np.array([[0, 20, 60, 100, 0.9]], np.float32))
    (people,) = load_detector(cut, size=(320, 320), tiles=(2, 1))([image])
    assert people.boxes[:, 0].tolist() == [-0.5], (
        "cut by the right tile: gone; at the picture's own edge: kept, once"
    )


def test_boxes_found_in_turned_pictures_are_exact(tmp_path):
    """A detector that always says one box: in each turn another one of the picture, which np.rot90
    brings there.
    """
    box = np.array([[20, 30, 60, 110, 0.9]], np.float32)
    path = nets.rtmdet_constant(tmp_path / "d.onnx", box)
    image = np.zeros((320, 320, 3), np.uint8)
    for count in (1, 2, 3, 4):
        (people,) = load_detector(path, size=(320, 320), turns=count)([image])
        assert len(people) == count
        for turns, found in zip((0, 1, 3, 2), people.boxes, strict=False):
            marked = np.zeros((320, 320), bool)
            x0, y0, x1, y1 = (found + 0.5).round().astype(int)
            marked[y0:y1, x0:x1] = True
            expected = np.zeros((320, 320), bool)
            expected[30:110, 20:60] = True
            assert np.array_equal(np.rot90(marked, turns), expected)
            assert np.allclose(found + 0.5, (x0, y0, x1, y1), atol=1e-4)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_detector_of_all_turns_turns_with_the_picture_and_its_tiles(tmp_path, turns):
    path = nets.rtmdet_constant(tmp_path / "d.onnx", np.array([[20, 30, 60, 90, 0.9]], np.float32))
    image, tiles = np.zeros((200, 640, 3), np.uint8), (3, 1)

    def found(image, tiles):
        detector = load_detector(path, size=(320, 320), turns=4, tiles=tiles, nms=1.0)
        (people,) = replace(detector, tight=False)([image])
        return people.boxes

    there = geometry.transform_boxes(geometry.turn_matrix(640, 200, turns), found(image, tiles))
    turned = found(
        np.ascontiguousarray(np.rot90(image, turns)), tiles[::-1] if turns % 2 else tiles
    )
    assert len(there) == len(turned) == 4 * (1 + 3)
    assert np.allclose(
        *(boxes[np.lexsort(boxes.round(2).T)] for boxes in (there, turned)), atol=1e-3
    )


def test_turns_of_any_shape_with_tiles_and_once(tmp_path):
    """What every turn says again is kept once; turned pictures of other shapes and their tiles come
    back whole.
    """
    whole = np.array([[0, 0, 320, 320, 0.9]], np.float32)
    path = nets.rtmdet_constant(tmp_path / "d.onnx", whole)
    images = [np.zeros((h, w, 3), np.uint8) for h, w in ((200, 320), (320, 100), (200, 320))]
    for tiles in ((1, 1), (3, 1)):
        detector = load_detector(path, size=(320, 320), turns=4, tiles=tiles)
        together = detector(images)
        for image, people in zip(images, together, strict=True):
            assert people.boxes.tolist() == [
                [-0.5, -0.5, image.shape[1] - 0.5, image.shape[0] - 0.5]
            ]
            assert np.array_equal(people.boxes, detector([image])[0].boxes)
        assert detector([]) == []
    nobody = load_detector(path, size=(320, 320), turns=4, score=0.95)
    assert [len(people) for people in nobody(images)] == [0, 0, 0]
    with pytest.raises(
        OptionError, match=r"looks at 1 to 4 quarter turns of a picture .*, not at 5"
    ):
        load_detector(path, turns=5)


@pytest.mark.parametrize(
    ("codec", "make"),
    [(f"heatmap,alignment={a}", a) for a in ("centre", "corner", "udp")]
    + [("simcc,split=2", "simcc")],
)
@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("spot", [(60.0, 50.0), (41.3, 77.7)])
def test_one_spot_of_light_is_where_its_keypoint_is(tmp_path, codec, make, flip_test, spot):
    """Through warp, network, decoding, and back, with any box, and mirrored too."""
    path = tmp_path / "p.onnx"
    if make == "simcc":
        nets.simcc_finder(path, 17)
    else:
        nets.heatmap_finder(path, 17, alignment=make)
    sppe = finder(path, codec=codec, flip_test=flip_test)
    image = nets.blob(120, 140, *spot)
    boxes = np.array([[10, 5, 106, 133], [20, 20, 100, 110], [-10, 10, 110, 130]], np.float32)
    (people,) = sppe([image], [People.from_boxes(boxes)])
    # SimCC has no refinement: half a bin, and the top of an 8-bit spot is a pixel wide
    assert np.abs(people.keypoints[..., :2] - spot).max() < (0.8 if make == "simcc" else 0.6)
    assert (people.keypoints[..., 2] > 0.8).all()


def test_batches_do_not_change_the_answer(tmp_path):
    path = nets.heatmap_finder(tmp_path / "p.onnx", 17)
    images = [nets.blob(120, 140, 30 + 10 * i, 60) for i in range(3)]
    people = [
        People.from_boxes(np.array([[0, 0, 100, 130], [10, 10, 90, 120]][:n], np.float32))
        for n in (2, 0, 1)
    ]
    one = finder(path, codec="heatmap,alignment=corner", batch=1)(images, people)
    for batch in (2, 8, 0):
        for a, b in zip(
            one,
            finder(path, codec="heatmap,alignment=corner", batch=batch)(images, people),
            strict=True,
        ):
            assert np.allclose(a.keypoints, b.keypoints, atol=1e-3)
    assert [len(p) for p in one] == [2, 0, 1]
    assert one[1].keypoints.shape == (0, 17, 3)


def test_a_network_of_fixed_batch_is_filled(tmp_path):
    cells = np.array([[6 + k // 2, 10 + k % 2] for k in range(17)])
    path = nets.heatmap_constant(tmp_path / "p.onnx", cells, batch=4)
    sppe = finder(path, codec="heatmap,alignment=corner")
    boxes = np.array([[0, 0, 96, 128]] * 6, np.float32) - 0.5
    (people,) = sppe([np.zeros((128, 96, 3), np.uint8)], [People.from_boxes(boxes)])
    assert np.abs(people.keypoints[..., :2] - cells * 4).max() < 0.1


@pytest.mark.parametrize(
    ("skeleton", "joints"), [("halpe-26", 26), ("halpe-136", 136), ("wholebody-133", 133)]
)
def test_any_number_of_joints(tmp_path, skeleton, joints):
    path = nets.simcc_finder(tmp_path / "p.onnx", joints)
    sppe = finder(path, skeleton=skeleton, codec="simcc,split=2")
    (people,) = sppe(
        [nets.blob(96, 128, 40, 60)], [People.from_boxes(np.array([[0, 0, 95, 127]], np.float32))]
    )
    assert people.keypoints.shape == (1, joints, 3)
    assert np.abs(people.keypoints[..., :2] - (40, 60)).max() < 0.6


def test_wrong_files_say_what_was_found_and_expected(tmp_path):
    pose = nets.heatmap_finder(tmp_path / "p.onnx", 17)
    detector = nets.rtmdet_constant(tmp_path / "d.onnx", BOXES)
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ModelError, match=r"no such model file"):
        load_detector(tmp_path / "nothing.onnx")
    with pytest.raises(ModelError, match=r"text\.onnx: not a usable ONNX model"):
        load_detector(tmp_path / "text.onnx")
    with pytest.raises(
        ModelError, match=r"not a detector .* heatmaps \[.*17, 32, 24\]; known are rtmdet"
    ):
        load_detector(pose)
    with pytest.raises(OptionError, match=r"give its --skeleton and --codec"):
        load_sppe(pose)
    with pytest.raises(
        ModelError, match=r"Heatmap means 1 output.* joints: halpe-26\. Give its skeleton and codec"
    ):
        load_sppe(pose, skeleton="halpe-26", codec="heatmap")
    with pytest.raises(ModelError, match=r"SPPE for crops of 192×256 takes"):
        load_sppe(pose, skeleton="coco-17", codec="heatmap", input_size=(192, 256))
    with pytest.raises(ModelError, match=r"an SPPE|means"):
        load_sppe(detector, skeleton="coco-17", codec="heatmap", input_size=(96, 128))
    with pytest.raises(OptionError, match="unknown codec 'magic': known are heatmap, simcc"):
        load_sppe(pose, skeleton="coco-17", codec="magic")
    with pytest.raises(OptionError, match="unknown skeleton 'squid'"):
        load_sppe(pose, skeleton="squid", codec="heatmap")
    with pytest.raises(ModelError, match="unknown model 'nobody': known are"):
        load_detector("nobody")
    with pytest.raises(ModelError, match=r"not on this machine: .*EVERYBODY_WEIGHTS"):
        load_detector("rtmdet-nano-person")
    with pytest.raises(OptionError, match="unknown device 'abacus'"):
        runtime.load(pose, device="abacus")


def test_a_session_says_what_shape_it_wanted(tmp_path):
    session = runtime.load(nets.heatmap_finder(tmp_path / "p.onnx", 17))
    with pytest.raises(
        ModelError, match=r"failed on an input of shape \[1, 3, 8, 8\] float32; it takes image"
    ):
        session(np.zeros((1, 3, 8, 8), np.float32))


@pytest.mark.skipif("openvino" not in runtime.engines(), reason="needs the extra openvino")
def test_both_engines_find_the_same(tmp_path):
    path = nets.heatmap_finder(tmp_path / "p.onnx", 17)
    array = np.random.default_rng(0).uniform(0, 255, (2, 3, 128, 96)).astype(np.float32)
    a, b = (runtime.load(path, engine=engine)(array)[0] for engine in ("onnxruntime", "openvino"))
    assert np.abs(a - b).max() < 0.02


def test_the_public_models_find_a_person(shared, monkeypatch):
    """Real weights, real picture: five people exercise; each SPPE is within 8 pixels of the flipped
    view's answer.
    """
    from everybody.media.read import Selection, read

    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(shared / "weights"))
    frame = next(read(shared / "data/video/class.mp4", select=Selection(start=30, end=31)))
    found = {
        name: load_detector(name)([frame.image])[0] for name in ("rtmdet-nano-person", "yolox-nano")
    }
    found["picodet"] = load_detector("picodet-s-pedestrian-320")([frame.image])[0]
    assert all(len(people) >= 4 for people in found.values())
    boxes = found["rtmdet-nano-person"][:4]
    for name in ("tinypose-256x192", "tinypose-128x96"):
        (plain,) = load_sppe(name)([frame.image], [boxes])
        (flipped,) = load_sppe(name, flip_test=True)([frame.image], [boxes])
        sure = plain.keypoints[..., 2] > 0.6
        assert np.median(np.abs(plain.keypoints - flipped.keypoints)[..., :2][sure]) < 3


def test_a_detector_is_a_value(tmp_path):
    detector = load_detector(nets.rtmdet_constant(tmp_path / "d.onnx", BOXES))
    assert isinstance(detector, Detector)
    with pytest.raises(AttributeError):
        detector.score = 0.5


def test_what_a_network_answers_is_checked_when_the_file_does_not_say(tmp_path):
    """A file of no fixed shapes passes `check`; its answer does not fit the skeleton."""
    path = nets.heatmap_finder(tmp_path / "p.onnx", 14)
    model = onnx.load(path)
    for output in model.graph.output:
        for axis in output.type.tensor_type.shape.dim:
            axis.Clear()
    onnx.save(model, path)
    sppe = finder(path, codec="heatmap,alignment=corner")
    boxes = People.from_boxes(np.array([[0, 0, 95, 127]], np.float32))
    with pytest.raises(ModelError, match=r"p\.onnx: answers 14 joints, coco-17 has 17"):
        sppe([np.zeros((128, 96, 3), np.uint8)], [boxes])
