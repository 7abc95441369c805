"""Laws of the codecs: what is encoded is decoded, every alignment puts a pixel where the network
sees it, outputs of another shape are refused, and published implementations agree.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.codecs import (
    ALIGNMENTS,
    CODECS,
    PICTURE_CODECS,
    REFINEMENTS,
    TARGETS,
    UNITS,
    Heatmap,
    Integral,
    OffsetHeatmap,
    Points,
    Regression,
    SimCC,
    WholeBody,
    guess_layout,
    make_codec,
    soft_argmax,
)
from everybody.codecs.grid import Alignment
from everybody.errors import ModelError, OptionError
from everybody.runtime import Port
from tests import golden

SIZE = (96, 128)
EACH = [
    *(Heatmap(SIZE, alignment=a) for a in ALIGNMENTS),
    Heatmap(SIZE, height=255),
    *(SimCC(SIZE, alignment=a) for a in ALIGNMENTS),
    *(Regression(SIZE, unit=unit) for unit in UNITS),
    Integral(SIZE),
    OffsetHeatmap(SIZE),
    WholeBody(SIZE),
]
POINTS = [
    Points(SIZE),
    Points(SIZE, order="yx", unit="centre", score=2),
    Points(SIZE, values=5, score=3, presence=1, logits=True),
    Points(SIZE, output=1, presence=0, whole_logit=True),
]


def one(x: float, y: float, score: float = 1.0) -> np.ndarray:
    return np.array([[[x, y, score]]])


def answers(codec, keypoints):
    """What a perfect network says: the targets, but for those that decode from logits."""
    targets, _ = codec.encode(keypoints)
    if isinstance(codec, Integral):
        return [np.log(np.maximum(targets[1], 1e-12))]
    if isinstance(codec, WholeBody):
        return [whole(codec, targets[1])]
    return list(targets)


def whole(codec: WholeBody, mass: np.ndarray) -> np.ndarray:
    """Maps that sum to 1 -> heatmaps of the body, and logits of confidences of the others."""
    maps = 0.999 * mass / np.maximum(mass.max((-2, -1), keepdims=True), 1e-12)
    large = codec.large(mass.shape[1])
    logits = np.log(np.maximum(maps, 1e-12) / (1 - maps))
    return np.concatenate([maps[:, :large], logits[:, large:]], 1)


def test_a_background_is_what_the_joints_leave_and_is_not_read():
    plain, more = Heatmap(SIZE, height=2), Heatmap(SIZE, height=2, background=True)
    joints = np.random.default_rng(0).uniform(20, 80, (3, 5, 3))
    (maps,), weights = more.encode(joints)
    (wanted,), same = plain.encode(joints)
    assert np.array_equal(maps[:, :5], wanted)
    assert np.allclose(maps[:, 5] + wanted.max(1), 2)
    assert np.array_equal(weights, same)
    assert np.array_equal(more.decode([maps]), plain.decode([wanted]))
    mirror = [0, 2, 1, 4, 3]
    assert np.array_equal(more.flip([maps], mirror)[0][:, :5], plain.flip([wanted], mirror)[0])
    assert np.array_equal(more.flip([maps], mirror)[0][:, 5], maps[:, 5, :, ::-1])
    more.check([Port("maps", (None, 6, 32, 24))], 5)
    with pytest.raises(ModelError, match=r"\[B, 6, 32, 24\]"):
        more.check([Port("maps", (None, 5, 32, 24))], 5)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(("refine", "cells"), [("dark", 0.3), ("quarter", 0.3), ("none", 0.51)])
@given(x=st.floats(12, 80), y=st.floats(12, 112))
def test_a_heatmap_decodes_to_what_was_encoded(alignment, refine, cells, x, y):
    codec = Heatmap(SIZE, alignment=alignment, refine=refine)
    (heatmaps,), weights = codec.encode(one(x, y))
    found = codec.decode([heatmaps])[0, 0]
    assert weights[0, 0] == 1
    assert np.abs(found[:2] - (x, y)).max() <= cells * codec.scale.max()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("refine", REFINEMENTS)
@given(x=st.floats(24, 72), y=st.floats(24, 104))
def test_every_target_and_every_refinement_go_together_within_a_cell(target, refine, x, y):
    codec = Heatmap(SIZE, target=target, refine=refine)
    found = codec.decode(codec.encode(one(x, y))[0])[0, 0]
    assert np.abs(found[:2] - (x, y)).max() <= 0.76 * codec.scale.max()


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@given(x=st.floats(30, 60), y=st.floats(30, 90))
def test_dark_is_exact_for_gaussians_away_from_the_border(alignment, x, y):
    codec = Heatmap(SIZE, alignment=alignment, refine="dark")
    assert np.abs(codec.decode(codec.encode(one(x, y))[0])[0, 0, :2] - (x, y)).max() < 0.1


@pytest.mark.parametrize("codec", EACH + POINTS)
@given(x=st.floats(12, 80), y=st.floats(12, 112))
def test_what_is_encoded_is_decoded_within_half_a_cell_of_four_pixels(codec, x, y):
    found = codec.decode(answers(codec, one(x, y)))[0, 0]
    assert np.abs(found[:2] - (x, y)).max() <= 2
    assert found[2] == pytest.approx(1, abs=0.3) or getattr(codec, "scale", "") == "sum"


@given(x=st.floats(0, 95), y=st.floats(0, 127), split=st.sampled_from([1.0, 2.0, 3.0]))
def test_simcc_decodes_to_within_half_a_bin(x, y, split):
    codec = SimCC(SIZE, split=split, alignment="centre")
    rows, weights = codec.encode(one(x, y))
    assert weights[0, 0] == 1
    assert np.abs(codec.decode(rows)[0, 0, :2] - (x, y)).max() <= 0.5 / split + 1e-6


def test_a_perfect_simcc_answer_scores_about_one_as_logits():
    codec = SimCC(SIZE, activation="softmax")
    logits = [np.log(np.maximum(axis, 1e-12)) for axis in codec.encode(one(40, 60))[0]]
    assert codec.decode(logits)[0, 0, 2] == pytest.approx(1, abs=1e-3)


def test_sigmas_of_a_regression_are_its_score():
    codec = Regression(SIZE, sigmas=True)
    said = np.array([[[0.5, 0.5, 0.1, 0.3], [0.25, 0.5, 1.0, 1.0]]], np.float32)
    assert codec.decode([said])[0] == pytest.approx(np.array([[48, 64, 0.8], [24, 64, 0]]))


@pytest.mark.parametrize("codec", EACH + POINTS)
def test_flipping_the_output_is_mirroring_the_crop_at_the_axis(codec):
    """A joint at x is at 2·axis - x in a crop mirrored at the axis; flip() must say x again."""
    x, y = 40.0, 60.0
    mirrored = answers(
        codec, np.concatenate([one(2 * codec.axis - x, y), one(2 * codec.axis - 70, y)], 1)
    )
    back = codec.decode(codec.flip(mirrored, mirror=(1, 0)))[0]
    assert np.abs(back[:, :2] - [(70, y), (x, y)]).max() <= 0.51


@pytest.mark.parametrize("codec", EACH + POINTS[:2])
def test_unlabelled_and_outside_joints_weigh_nothing_and_others_as_their_label(codec):
    joints = np.array([[[40, 60, 0], [-30, 60, 1], [40, 300, 1], [40, 60, 1], [40, 60, 0.3]]])
    targets, weights = codec.encode(joints)
    assert weights.tolist() == [[0, 0, 0, 1, np.float32(0.3)]]
    for target in targets:
        assert np.isfinite(target).all()
        each = target.reshape(5, -1)
        assert (each[:3] == 0).all()
        assert np.array_equal(each[3], each[4]), "a label's score weighs, it does not shrink"


@pytest.mark.parametrize("codec", EACH + POINTS)
def test_batched_is_one_by_one_and_nobody_is_nobody(codec):
    joints = np.random.default_rng(0).uniform(10, 80, (5, 7, 3)) * (1, 1, 0.01)
    encoded = answers(codec, joints)
    together = codec.decode(encoded)
    apart = np.concatenate([codec.decode([part[i : i + 1] for part in encoded]) for i in range(5)])
    assert np.array_equal(together, apart)
    assert codec.decode([part[:0] for part in encoded]).shape == (0, 7, 3)
    (first, *_), weights = codec.encode(joints[:0])
    assert len(first) == 0
    assert weights.shape == (0, 7)


@pytest.mark.parametrize("refine", REFINEMENTS)
def test_flat_and_negative_heatmaps_decode_to_finite_points_of_score_zero(refine):
    codec = Heatmap(SIZE, refine=refine)
    for value in (0.0, -1.0):
        found = codec.decode([np.full((1, 2, 32, 24), value, np.float32)])
        assert np.isfinite(found).all()
        assert (found[..., 2] == 0).all()


def test_a_quarter_of_a_cell_is_told_along_each_axis_by_itself():
    """In the outermost column only y has two neighbours."""
    maps = np.zeros((1, 1, 32, 24), np.float32)
    maps[0, 0, 10, 23], maps[0, 0, 11, 23] = 1, 0.5
    codec = Heatmap(SIZE, alignment="corner", refine="quarter")
    assert codec.decode([maps])[0, 0].tolist() == [23 * 4, 10.25 * 4, 1]


def test_scores_are_cut_to_probabilities():
    heatmaps = np.zeros((1, 1, 32, 24), np.float32)
    heatmaps[0, 0, 10, 10] = 7
    assert Heatmap(SIZE).decode([heatmaps])[0, 0, 2] == 1


# --- what does not fit is refused


@pytest.mark.parametrize("codec", EACH)
def test_a_file_is_checked_by_its_ports_and_by_its_answer(codec):
    outputs = answers(codec, np.full((2, 17, 3), 40.0))
    ports = [Port(f"out{i}", (None, *output.shape[1:])) for i, output in enumerate(outputs)]
    codec.check(ports, 17)
    codec.check([Port(p.name, (None,) * len(p.shape)) for p in ports], 17)
    with pytest.raises(ModelError, match=rf"{type(codec).__name__} means .*, the file gives out0"):
        codec.check(ports, 26)
    with pytest.raises(ModelError, match="the file gives"):
        codec.check([*ports, ports[0]], 17)
    with pytest.raises(ModelError, match="the file gives nothing"):
        codec.check([], 17)
    larger = [np.concatenate([output, output], -1) for output in outputs]
    with pytest.raises(ModelError, match=r"means .*, the network answers \[2, "):
        codec.decode(larger)


def test_a_file_of_points_is_checked_by_how_many_numbers_it_gives():
    ports = [Port("points", (None, 195)), Port("flag", (None, 1))]
    codec = Points((256, 256), joints=33, values=5, score=3, presence=1, logits=True)
    codec.check(ports, 33)
    codec.check([Port("points", (None, None)), ports[1]], 33)
    for wrong in (ports[:1], [Port("points", (1, 63)), ports[1]], [Port("p", (1, 196)), ports[1]]):
        with pytest.raises(
            ModelError, match=r"Points means 33 points of 5 numbers .* the file gives"
        ):
            codec.check(wrong, 33)
    with pytest.raises(ModelError, match="means 33 joints"):
        codec.check(ports, 17)
    with pytest.raises(ModelError, match="Points means 21 points of 3"):
        Points((224, 224)).check([Port("points", (1, 66))], 21)
    with pytest.raises(ModelError, match="the network answers"):
        codec.decode([np.zeros((1, 100)), np.zeros((1, 1))])


def test_points_of_a_whole_that_is_hardly_there_score_little():
    said = [np.zeros((2, 63), np.float32), np.array([[0.0], [-4.0]], np.float32)]
    found = Points((224, 224), presence=1, whole_logit=True).decode(said)
    assert found[..., 2] == pytest.approx(np.array([[0.5] * 21, [1 / (1 + np.exp(4))] * 21]))


def test_a_grid_of_another_stride_is_refused_and_the_right_one_is_named():
    port = Port("heatmaps", (None, 17, 64, 48))
    Heatmap((192, 256)).check([port], 17)
    wanted = (
        r"Heatmap means 1 output\(s\) \[B, 17, 32, 24\] .*stride 8.*gives heatmaps \[\?, 17, 64"
    )
    with pytest.raises(ModelError, match=wanted):
        Heatmap((192, 256), stride=8).check([port], 17)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"type": "magic"}, "unknown codec 'magic': known are heatmap, simcc, regression"),
        ({}, "unknown codec 'None': known are heatmap"),
        ({"type": "heatmap", "colour": 1}, "unknown option of codec 'heatmap' 'colour'.*sigma"),
        ({"type": "heatmap", "alignment": "left"}, "unknown alignment of heatmaps 'left'.*centre"),
        ({"type": "heatmap", "refine": "drak"}, "did you mean dark.*quarter"),
        ({"type": "heatmap", "target": "round"}, "unknown target of heatmaps 'round'.*gaussian"),
        ({"type": "simcc", "alignment": "left"}, "unknown alignment of SimCC 'left'.*corner"),
        ({"type": "simcc", "activation": "relu"}, "unknown activation of SimCC 'relu'.*softmax"),
        ({"type": "simcc", "scale": "x"}, "unknown scale of targets of SimCC 'x'.*density"),
        ({"type": "points", "unit": "inch"}, "unknown unit of points 'inch'.*edges"),
        ({"type": "points", "score": 7}, "has its score at 2 to 2, not at 7"),
        ({"type": "regression", "unit": "inch"}, "unknown unit of regression 'inch'.*pixels"),
    ],
)
def test_unknown_codecs_and_options_name_the_known_ones(row, message):
    with pytest.raises(OptionError, match=message):
        make_codec(row, SIZE)


@pytest.mark.parametrize("name", CODECS)
def test_codecs_are_made_from_rows_of_plain_data(name):
    assert isinstance(make_codec({"type": name}, SIZE), CODECS[name])
    assert make_codec({"type": name, "size": [64, 96]}, SIZE).size == (64, 96)


# --- whole pictures

PORTS = {
    "rtmdet": [Port("dets", (1, None, 5)), Port("labels", (1, None))],
    "yolox": [Port("out", (1, 3549, 85))],
    "picodet": [Port("boxes", (1, 2125, 4)), Port("scores", (1, 1, 2125))],
}


@pytest.mark.parametrize("name", PICTURE_CODECS)
def test_the_layout_of_a_detector_is_told_by_its_outputs(name):
    assert guess_layout(PORTS[name]) == name
    for other in set(PORTS) - {name}:
        with pytest.raises(ModelError, match=r"Boxes means .*, the file gives"):
            PICTURE_CODECS[name]().check(PORTS[other], 0)


def test_an_unknown_detector_is_an_error_that_names_the_layouts():
    with pytest.raises(ModelError, match=r"outputs are x \[1, 2\]; known are rtmdet: dets .*yolox"):
        guess_layout([Port("x", (1, 2))])


def test_all_layouts_say_the_same_box_under_the_coordinate_law():
    """A box from the picture's corner, 8 to 24 by 16 to 48, is from pixel 7.5 to 23.5."""
    rtmdet = [np.array([[[8, 16, 24, 48, 0.7]]]), np.array([[0]])]
    picodet = [np.array([[[8, 16, 24, 48.0]]]), np.array([[[0.7]]])]
    grid = np.zeros((1, 64 + 16 + 4, 6))
    grid[0, 3 * 8 + 1] = [1, 1, np.log(2), np.log(4), 0.7, 1]  # cell (1, 3) of stride 8
    for codec, outputs in zip(PICTURE_CODECS.values(), (rtmdet, [grid], picodet), strict=True):
        ((keypoints, boxes, scores),) = codec().decode(outputs, (64, 64))
        best = scores.argmax()
        assert boxes[best] == pytest.approx([7.5, 15.5, 23.5, 47.5])
        assert scores[best] == pytest.approx(0.7)
        assert keypoints.shape == (len(boxes), 0, 3)


# --- published implementations (../shared/golden)

WHOLE = (192, 256)
PUBLISHED = {
    "msra": Heatmap(WHOLE, alignment="corner", target="rounded", refine="quarter"),
    "msra_unbiased": Heatmap(WHOLE, alignment="corner", refine="dark"),
    "udp": Heatmap(WHOLE, alignment="udp", target="cut", refine="udp"),
    "megvii": Heatmap(
        WHOLE, alignment="edge", target="spread", refine="quarter", height=255, smooth=True
    ),
    "udp_offset": OffsetHeatmap(WHOLE),
}


def labelled() -> np.ndarray:
    given = golden.fill().inputs("codecs")
    return np.concatenate([given["keypoints"], given["visible"][..., None]], -1).astype(np.float64)


def published(key: str, kept: slice | np.ndarray = slice(None), change=lambda values: values):
    """A published output, some of it, within its tolerance; change: what we count otherwise."""
    fill = golden.fill()
    values = change(fill.outputs("codecs")[key])[kept]
    return pytest.approx(values, abs=fill.tolerance("codecs", key))


def within_grid(joints: np.ndarray, alignment: Alignment) -> np.ndarray:
    """[K]: whose nearest cell is one of the grid's. Published weights of joints that lie beyond it,
    but whose Gaussian reaches it, are 1; ours are 0.
    """
    grid = Heatmap(WHOLE, alignment=alignment)
    cell = (joints[0, :, :2] - grid.offset) / grid.scale
    return ((cell >= -0.5) & (cell <= np.array(grid.cells) - 0.5)).all(-1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_heatmaps_are_those_of_published_implementations(name):
    joints = labelled()
    (maps,), weights = PUBLISHED[name].encode(joints)
    inside = within_grid(joints, PUBLISHED[name].alignment)
    assert np.array_equal(weights[0] > 0, inside)
    per = len(maps[0]) // len(inside)
    same = np.repeat(inside, per)[::3]
    assert same.sum() >= 2
    assert maps[0, ::3][same] == published(f"{name}.encode.heatmaps", same)


def decoded(name: str) -> np.ndarray:
    """What we find in the maps that the published code was given [9, 3]."""
    maps = golden.fill().inputs("codecs")[f"{name}.heat"][None] / np.float32(4096)
    return PUBLISHED[name].decode([maps])[0]


@pytest.mark.parametrize(("name", "least"), [("msra", 0), ("msra_unbiased", 0), ("megvii", 0.5)])
def test_heatmaps_decode_as_published(name, least):
    """Also in the outermost cells. Megvii's published scores start at one half."""
    found = decoded(name)
    assert found[None, :, :2] == published(f"{name}.decode.keypoints")
    assert found[None, :, 2] == published(f"{name}.decode.scores", change=lambda s: s - least)


@pytest.mark.parametrize(("name", "margin"), [("udp", 10), ("udp_offset", 46)])
def test_udp_decodes_as_published(name, margin):
    """The published code encodes with W - 1 pixels and decodes with W: what we find is 191 / 192 of
    what it finds. Its score of a disc is not by that of a perfect one. In the outermost cells it
    shifts by half a cell, whichever neighbour is higher, where we do not; so joints within `margin`
    pixels of the border are left out (a disc's smoothing sees far).
    """
    found, whole = decoded(name), np.array(WHOLE)
    inner = ((found[:, :2] > margin) & (found[:, :2] < whole - margin)).all(1)
    assert inner.sum() >= 4
    key, rows = f"{name}.decode.keypoints", (0, inner)
    assert found[inner, :2] == published(key, rows, lambda places: places * (whole - 1) / whole)
    perfect = getattr(PUBLISHED[name], "height", 1)
    key = f"{name}.decode.scores"
    assert found[inner, 2] == published(key, rows, lambda s: (s / perfect).clip(0, 1))


def test_regression_targets_are_the_published_ones():
    wanted = golden.fill().outputs("codecs")
    codec = Regression(WHOLE)
    (values,), weights = codec.encode(labelled())
    assert values == published("regression.encode.keypoint_labels")
    assert np.array_equal(weights, wanted["regression.encode.keypoint_weights"])
    found = codec.decode([wanted["regression.encode.keypoint_labels"]])
    assert found[..., :2] == published("regression.decode.keypoints")
    assert np.array_equal(found[..., 2], wanted["regression.decode.scores"])


def test_integral_targets_are_the_published_ones():
    """Published coordinates are shares of the grid."""
    joints = labelled()
    (cells, mass), weights = Integral(WHOLE, target="rounded").encode(joints)
    inside = within_grid(joints, "corner")
    assert np.array_equal(weights[0] > 0, inside)
    share = cells / np.array([48, 64])
    assert share[0, inside] == published("integral.encode.keypoint_labels", (0, inside))
    assert mass[0, ::3][inside[::3]] == published("integral.encode.heatmaps", inside[::3])


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("simcc", SimCC(WHOLE, sigma=(4.9, 5.66), scale="peak", rounded=True)),
        ("simcc_normal", SimCC(WHOLE, sigma=6.0, scale="density", rounded=True)),
    ],
)
def test_simcc_is_the_published_one(name, codec):
    fill = golden.fill()
    rows, weights = codec.encode(labelled())
    kept = [row[:, ::3] for row in rows]
    assert np.array_equal(weights, fill.outputs("codecs")[f"{name}.encode.keypoint_weights"])
    for row, axis in zip(kept, "xy", strict=True):
        assert row == published(f"{name}.encode.keypoint_{axis}_labels")

    given = [fill.inputs("codecs")[f"{name}.{axis}"] / np.float32(4096) for axis in "xy"]
    found = codec.decode(given)
    assert found[..., :2] == published(f"{name}.decode.keypoints")
    assert found[..., 2] == published(f"{name}.decode.scores", change=lambda s: s.clip(0, 1))


@pytest.mark.parametrize(
    ("name", "beta", "debias"),
    [
        ("beta1", 1, False),
        ("beta10", 10, False),
        ("beta1.debias", 1, True),
        ("beta4.debias", 4, True),
    ],
)
def test_the_soft_argmax_is_the_published_one(name, beta, debias):
    fill = golden.fill()
    logits = fill.inputs("soft_argmax")["logits"]
    cells, _ = soft_argmax(logits, beta=beta, debias=debias)
    share = cells / np.array(logits.shape[:-3:-1])
    golden.check("soft_argmax", {name: share.astype(np.float32)})


def test_of_whole_bodies_the_body_is_peaks_and_the_rest_are_means():
    codec = WholeBody(SIZE, body=1)
    assert [WholeBody(SIZE).large(k) for k in (136, 133, 17)] == [26, 23, 17]
    assert codec.large(3) == 1
    keypoints = np.concatenate([one(40.0, 60.0), one(40.2, 61.1), one(50.7, 30.9)], 1)
    (_, mass), _ = codec.encode(keypoints)
    found = codec.decode([whole(codec, mass)])
    assert np.abs(found[0, :, :2] - keypoints[0, :, :2]).max() < 0.3
    assert found[0, :, 2] == pytest.approx([1, 1, 1], abs=0.01)
    two = mass.copy()  # half of the mass elsewhere: a peak stays, a mean is drawn away
    two[:, :, 5, 5] = 0.6 * two.max((-2, -1))
    drawn = np.abs(codec.decode([whole(codec, two)])[0, :, :2] - keypoints[0, :, :2]).max(-1)
    assert drawn[0] < 0.3
    assert (drawn[1:] > 0.6).all()
    assert codec.decode([np.zeros((0, 3, 32, 24))]).shape == (0, 3, 3)
