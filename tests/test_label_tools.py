"""Label Studio's and CVAT's exports, and what `pack` refuses."""

import itertools
import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from everybody.data.read import read
from everybody.errors import DataError
from everybody.skeletons import Skeleton
from everybody.train import packing, shards

BIRD = Skeleton(
    name="bird-3",
    joints=("beak", "left_wing", "right_wing"),
    limbs=((0, 1), (0, 2)),
    mirror=(0, 2, 1),
    sigmas=(0.1,) * 3,
)
POINTS = {"beak": (50, 20), "left_wing": (20, 60), "right_wing": (80, 60)}  # corner pixels


@pytest.fixture
def picture(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((100, 200, 3), 90, np.uint8))
    return tmp_path


def studio(points=POINTS, box=(0, 0, 100, 100), **more):
    """A task of a picture of 200 x 100."""
    size = {"original_width": 200, "original_height": 100}
    region = {"x": box[0] / 2, "y": box[1], "width": box[2] / 2, "height": box[3]}
    result = [
        {
            "type": "rectanglelabels",
            "id": "r",
            **size,
            "value": {**region, "rectanglelabels": ["bird"]},
        }
    ]
    for name, (x, y) in points.items():
        value = {"x": x / 2, "y": y, "width": 0.5, "keypointlabels": [name.replace("_", " ")]}
        result.append({"type": "keypointlabels", "id": name, **size, "value": value})
    image = "/data/upload/1/0123abcd-a.png"
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": result, **more}]}


def cvat(points=POINTS, outside=()):
    inner = "".join(
        f'<points label="{name}" outside="{int(name in outside)}" occluded="0" points="{x},{y}"/>'
        for name, (x, y) in points.items()
    )
    box = '<box label="bird" group_id="1" xtl="0" ytl="0" xbr="100" ybr="100"/>'
    return (
        '<?xml version="1.0"?><annotations><image id="0" name="a.png" width="200" height="100">'
        f'<skeleton label="bird" group_id="1">{inner}</skeleton>{box}</image></annotations>'
    )


@pytest.fixture(params=["studio", "cvat"])
def export(request, picture):
    if request.param == "studio":
        path = picture / "export.json"
        path.write_text(json.dumps([studio()]))
    else:
        path = picture / "annotations.xml"
        path.write_text(cvat())
    return path


def test_both_tools_say_the_same_pixels(export):
    """Corners of pixels become their middles; the picture is found beside the export."""
    data = read(export, skeleton=BIRD)
    assert data.skeleton == BIRD
    assert np.allclose(data.keypoints[0, :, :2], np.array(list(POINTS.values())) - 0.5)
    assert data.labelled.all()
    assert data.boxes[0].tolist() == [-0.5, -0.5, 99.5, 99.5]
    assert data.categories == {1: "bird"}
    assert data.path(0).is_file()


def test_without_a_skeleton_the_names_make_one(export):
    data = read(export)
    assert set(data.skeleton.joints) == set(BIRD.joints)
    sides = [data.skeleton.joints.index(f"{side}_wing") for side in ("left", "right")]
    assert data.skeleton.mirror[sides[0]] == sides[1]


def test_an_export_becomes_shards_that_know_joints_and_categories(export, tmp_path):
    options = packing.Packing(skeleton=BIRD)
    assert packing.pack_all([export], tmp_path / "shards", options, say=print) == 1
    pack = shards.load([tmp_path / "shards"])
    assert pack.skeleton == BIRD
    assert pack.categories == ("bird",)


def test_unlabelled_points_and_cancelled_annotations_do_not_count(picture):
    path = picture / "annotations.xml"
    path.write_text(cvat(outside=("beak",)))
    assert read(path, skeleton=BIRD).labelled.tolist() == [[False, True, True]]
    path = picture / "export.json"
    path.write_text(json.dumps([studio(was_cancelled=True), studio()]))
    assert len(read(path, skeleton=BIRD).picture) == 1


def test_several_bodies_get_the_points_in_their_boxes(picture):
    first, second = (
        studio(),
        studio({k: (x + 100, y) for k, (x, y) in POINTS.items()}, (100, 0, 100, 100)),
    )
    result = second["annotations"][0]["result"]
    result[0]["id"] = "other"
    first["annotations"][0]["result"] += result
    path = picture / "export.json"
    path.write_text(json.dumps([first]))
    data = read(path, skeleton=BIRD)
    assert np.allclose(data.keypoints[1, :, 0] - data.keypoints[0, :, 0], 100)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cvat({"tail": (1, 1)}), "the joint 'tail' is not one of bird-3"),
        (cvat({"beak": ("x", 1)}), "the point 'beak' is at 'x,1', expected x,y"),
        (cvat({}), "no body has a joint"),
        ("<annotations><track/></annotations>", "CVAT for video"),
        ("<html/>", "not CVAT's"),
        ("<annotations>", "not a readable XML file"),
        (json.dumps([studio({"beak": (150, 20)})]), "lies in no box"),
        (json.dumps([studio({"tail": (50, 20)})]), "the joint 'tail' is not one of bird-3"),
    ],
)
def test_broken_exports_say_what_is_wrong(picture, text, said):
    path = picture / "labels"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read(path, skeleton=BIRD)


def coco(joints=("beak", "left_wing", "right_wing"), far=0.0, **category):
    flat = [v for x, y in POINTS.values() for v in (x + far, y, 2)]
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
        "categories": [{"id": 1, "name": "bird", "keypoints": list(joints), **category}],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 99, 99], "keypoints": flat}
        ],
    }


def packed(picture, document, **options):
    path = picture / "annotations.json"
    path.write_text(json.dumps(document))
    return packing.prepared(path, packing.Packing(**options), None, print)


def test_a_skeleton_file_may_list_the_joints_in_another_order(picture):
    order = (2, 0, 1)
    other = Skeleton(
        name="bird-3",
        joints=tuple(BIRD.joints[i] for i in order),
        limbs=(),
        mirror=(2, 1, 0),
        sigmas=(0.1,) * 3,
    )
    same = packed(picture, coco())
    moved = packed(picture, coco(), skeleton=other)
    assert moved.skeleton == other
    assert np.array_equal(moved.keypoints, same.keypoints[:, order])


def test_a_label_far_outside_its_picture_is_named(picture):
    with pytest.raises(DataError, match=r"a.png.*annotation 5: .* far outside the picture of 200"):
        packed(picture, coco(far=1000.0))
    assert len(packed(picture, coco(far=120.0)).picture) == 1  # near the edge, as cut bodies are
    document = coco()
    document["annotations"][0]["bbox"][0] = 9000
    with pytest.raises(DataError, match=r"annotation 5: the box is labelled at .* far outside"):
        packed(picture, document)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"category_id": 7}, {}, "0 annotations; left out: 2 of category 7; --category NAME"),
        ({}, {"category": "fish"}, "0 annotations; left out: 2 of bird; --category NAME chooses"),
        ({"bbox": [0, 0, 30, 40]}, {}, "2 with a box below 48 pixels"),
        ({"keypoints": [0] * 9}, {}, "2 annotations: 2 without key points"),
        ({"keypoints": [9, 9, 2] + [0] * 6}, {}, "2 with fewer than 3 key points"),
        ({"iscrowd": 1}, {}, "2 in crowds"),
        ({}, {"hold_out": 1.0}, "0 pictures, 0 annotations.*; 1 pictures held out to be judged on"),
    ],
)
def test_where_nothing_can_be_packed_it_is_said_what_was_left_out_and_why(
    picture, change, options, said
):
    document = coco()
    document["categories"].append({"id": 2, "name": "fish", "keypoints": list(BIRD.joints)})
    (one,) = document["annotations"]
    document["annotations"] = [one | change, one | change | {"id": 6}]
    path = picture / "annotations.json"
    path.write_text(json.dumps(document))
    packs = packing.Packing(skeleton=BIRD, **options)
    with pytest.raises(DataError, match=f"annotations.json: nothing to pack: .*{said}"):
        packing.pack_all([path], picture / "shards", packs, say=print)


def test_each_reason_is_counted_once_and_pictures_that_cannot_be_read_are_one(picture):
    document = coco()
    (one,) = document["annotations"]
    more = [{"bbox": [0, 0, 30, 40]}, {"keypoints": [0] * 9, "bbox": [0, 0, 1, 1]}, {"iscrowd": 1}]
    document["annotations"] = [one | {"id": 6 + n} | change for n, change in enumerate(more)]
    (picture / "annotations.json").write_text(json.dumps(document))
    reasons = "1 in crowds, 1 without key points, 1 with a box below 48 pixels"
    with pytest.raises(DataError, match=f"1 pictures, 3 annotations: {reasons}"):
        packing.pack_all([picture], picture / "shards", packing.Packing(skeleton=BIRD), say=print)

    (picture / "annotations.json").write_text(json.dumps(coco()))
    (picture / "images/a.png").write_bytes(b"no picture")
    for pictures in (False, True):
        options = packing.Packing(skeleton=BIRD, pictures=pictures)
        with pytest.raises(DataError, match="1 annotations: the pictures cannot be read"):
            packing.pack_all([picture], picture / "shards", options, say=print)


def test_a_category_without_key_points_is_named(picture):
    document = coco(joints=())
    del document["annotations"][0]["keypoints"]
    with pytest.raises(DataError, match=r"no record .* has 'keypoints', and the category bird"):
        packed(picture, document)


def test_a_category_of_nobody_and_without_key_points_is_named(picture):
    document = coco()
    document["categories"].append({"id": 2, "name": "egg"})
    with pytest.raises(DataError, match="no annotation is of the category egg, which names no"):
        packed(picture, document, category="egg")


def test_species_of_different_joints_are_not_one_data_set(picture):
    document = coco()
    document["categories"].append({"id": 2, "name": "fish", "keypoints": ["fin", "tail"]})
    with pytest.raises(DataError, match=r"several skeletons: bird \(3 joints\), fish \(2 joints\)"):
        packed(picture, document)
    assert len(packed(picture, document, category="bird").picture) == 1


def said_of(picture, document, name="annotations.json", **options):
    """What packing says of labels, and how many crops it makes."""
    path = picture / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    said = []
    options = packing.Packing(**options)
    count = packing.pack_all([path], picture / "shards", options, say=said.append)
    return count, "\n".join(said)


def several(number, **changes):
    """COCO labels of one picture with so many birds; `changes` are of the last."""
    document = coco()
    bird = document["annotations"][0]
    document["annotations"] = [bird | {"id": n} for n in range(1, number + 1)]
    document["annotations"][-1] |= changes
    return document


FLAT = [v for x, y in POINTS.values() for v in (x, y, 2)]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (several(3, bbox=[0, 0, 20, 20]), "left out of 3: 1 with a box below 48 pixels"),
        (several(3, bbox=[0, 0, -90, 90]), "1 of 3 boxes have no size"),
        (
            several(3, keypoints=[50, 20, 2] + [0] * 6),
            "left out of 3: 1 with fewer than 3 key points",
        ),
        (several(3, iscrowd=1), "left out of 3: 1 in crowds"),
        (several(3, keypoints=[250, 20, 2, *FLAT[3:]]), "1 of 9 joints are labelled outside"),
        (several(3, category_id=7), "left out: 1 of category 7"),
    ],
)
def test_what_is_left_out_or_odd_is_said_with_counts(picture, document, said):
    count, told = said_of(picture, document)
    assert said in told
    assert count == 3 if "outside" in said else count == 2


def test_categories_that_do_not_count_are_said(picture):
    document = several(3, category_id=2)
    document["categories"].append({"id": 2, "name": "fish", "keypoints": ["fin", "tail"]})
    count, told = said_of(picture, document, category="bird")
    assert count == 2
    assert "left out: 1 of fish; --category NAME chooses" in told


def test_boxes_of_a_category_without_key_points_are_said(picture):
    document = several(3, category_id=2, keypoints=None)
    document["categories"].append({"id": 2, "name": "egg"})
    count, told = said_of(picture, document)
    assert count == 2
    assert "left out: 1 without key points (egg)" in told


def test_a_joint_that_is_missing_on_one_side_is_said(picture):
    count, told = said_of(picture, coco(("beak", "left_wing", "rigth_wing")))
    assert count == 1
    assert "left_wing without a partner" in told


def test_joints_of_a_file_are_found_by_name_in_a_skeleton_of_fewer(picture):
    fewer = Skeleton(
        name="bird-2", joints=("right_wing", "beak"), limbs=(), mirror=(0, 1), sigmas=(0.1,) * 2
    )
    whole = packed(picture, coco())
    part = packed(picture, coco(), skeleton=fewer)
    assert np.array_equal(part.keypoints, whole.keypoints[:, (2, 0)])
    assert any("left out: the joints left_wing" in note for note in part.notes)


@pytest.mark.parametrize(
    ("joints", "said"),
    [
        (("left_wing", "beak", "tail"), "has the joint left_wing where bird-3 has beak"),
        (("beak", "beak", "left_wing"), "has the joint beak where bird-3 has left_wing"),
    ],
)
def test_names_that_contradict_places_are_refused(picture, joints, said):
    with pytest.raises(DataError, match=said):
        packed(picture, coco(joints), skeleton=BIRD)


def test_other_names_at_the_same_places_are_said(picture):
    """A file of another tongue; and one of fewer joints is refused."""
    named = packed(picture, coco(("pico", "left_wing", "right_wing")), skeleton=BIRD)
    assert named.notes[0] == "joints taken by their places: pico as beak"
    document = coco(("beak", "left_wing"))
    document["annotations"][0]["keypoints"] = FLAT[:6]
    with pytest.raises(DataError, match="has no joint right_wing for bird-3"):
        packed(picture, document, skeleton=BIRD)


def test_joints_that_a_category_names_twice_or_not_are_refused(picture):
    with pytest.raises(DataError, match="names the joint beak twice"):
        packed(picture, coco(("beak", "beak", "wing")))
    with pytest.raises(DataError, match="has no joint names for 3 joints in each record"):
        packed(picture, coco(()))


def test_sizes_of_pictures_count_as_they_are(picture):
    """Where labels say no size, the picture's own tells what is far outside; where they say
    another, that is said."""
    bare = coco(far=1000.0)
    bare["images"][0] = {"id": 1, "file_name": "a.png"}
    with pytest.raises(DataError, match="far outside the picture of 200 × 100"):
        said_of(picture, bare)
    larger = coco()
    larger["images"][0] |= {"width": 400, "height": 200}
    _, told = said_of(picture, larger)
    assert "1 of 1 pictures have another size" in told
    assert "a.png is 200 × 100, its labels say 400 × 200" in told


def test_pictures_that_are_not_there_are_one_error(picture):
    document = coco()
    document["images"] = [{"id": 1, "file_name": "b.png", "width": 200, "height": 100}]
    with pytest.raises(DataError, match=r"its pictures are not there: put 'b\.png'"):
        said_of(picture, document)
    document["images"].append({"id": 2, "file_name": "a.png", "width": 200, "height": 100})
    document["annotations"].append(document["annotations"][0] | {"id": 6, "image_id": 2})
    count, told = said_of(picture, document)
    assert count == 1
    assert "1 of 2 pictures could not be read" in told


def test_labels_of_nothing_and_files_cut_off_are_errors(picture):
    with pytest.raises(DataError, match="nothing to pack"):
        said_of(picture, coco() | {"images": [], "annotations": []})
    with pytest.raises(DataError, match="is the file complete"):
        said_of(picture, '{"images": [')
    (picture / "labels").mkdir()
    (picture / "labels" / "labels.json").write_text("[]")
    with pytest.raises(DataError, match=r"if .*labels\.json holds the labels, name that file"):
        read(picture / "labels")


# --- boxes alone


def boxes_alone(tool):
    """Two boxes of 100 x 100, a bird's and a fish's, in the words of a tool."""
    if tool == "coco":
        document = several(2, category_id=2, bbox=[100, 0, 100, 100])
        document["categories"].append({"id": 2, "name": "fish", "keypoints": ["fin", "tail"]})
        document["annotations"][0]["bbox"] = [0, 0, 100, 100]
        for one in document["annotations"]:
            del one["keypoints"]
        return document
    if tool == "studio":
        first, second = studio({}), studio({}, (100, 0, 100, 100))
        other = second["annotations"][0]["result"][0]
        other |= {"id": "other", "value": other["value"] | {"rectanglelabels": ["fish"]}}
        first["annotations"][0]["result"].append(other)
        return [first]
    boxes = "".join(
        f'<box label="{name}" xtl="{x}" ytl="0" xbr="{x + 100}" ybr="100"/>'
        for name, x in (("bird", 0), ("fish", 100))
    )
    image = f'<image id="0" name="a.png" width="200" height="100">{boxes}</image>'
    return f"<annotations>{image}</annotations>"


@pytest.mark.parametrize("tool", ["coco", "studio", "cvat"])
def test_boxes_alone_are_packed_for_detectors_and_only_for_them(picture, tool):
    """Every box is to be found; none of the joints is labelled; without a scale, pixels stay."""
    labels = boxes_alone(tool)
    with pytest.raises(DataError, match=r"oxes alone are for `everybody pack|skeletons"):
        said_of(picture, labels, "labels")
    count, told = said_of(picture, labels, "labels", pictures=True, size=256)
    assert count == 1
    assert "no key points: boxes alone" in told
    pack = shards.load([picture / "shards"])
    assert [pack.categories[kind] for kind in pack.kinds] == ["bird", "fish"]
    assert np.allclose(pack.boxes, [[-0.5, -0.5, 99.5, 99.5], [99.5, -0.5, 199.5, 99.5]])
    assert not pack.ignored.any()
    assert not pack.keypoints[..., 2].any()


def test_boxes_of_yolo_are_packed_for_detectors_and_only_for_them(picture):
    (picture / "labels").mkdir()
    (picture / "labels" / "a.txt").write_text("1 0.75 0.5 0.5 1\n0 0.25 0.5 0.5 1\n")
    (picture / "data.yaml").write_text("names: [bird, fish]\n")
    with pytest.raises(DataError, match=r"oxes alone are for `everybody pack --pictures"):
        packing.pack_all([picture], picture / "shards", packing.Packing(), say=print)
    options = packing.Packing(pictures=True, size=256)
    assert packing.pack_all([picture], picture / "shards", options, say=print) == 1
    pack = shards.load([picture / "shards"])
    assert [pack.categories[kind] for kind in pack.kinds] == ["fish", "bird"]
    assert np.allclose(pack.boxes, [[99.5, -0.5, 199.5, 99.5], [-0.5, -0.5, 99.5, 99.5]])
    assert not pack.ignored.any()


def test_boxes_alone_lie_in_shards_beside_those_of_a_skeleton(picture):
    """With the same --skeleton both are learnt together; categories are chosen by name."""
    path = picture / "labels"
    for number, document in enumerate((coco(), boxes_alone("coco"))):
        path.write_text(json.dumps(document))
        options = packing.Packing(pictures=True, skeleton=BIRD, category="bird")
        packing.pack_all([path], picture / f"shards{number}", options, say=print)
    pack = shards.load([picture / "shards0", picture / "shards1"])
    assert (pack.categories, pack.skeleton) == (("bird",), BIRD)
    assert (pack.keypoints[..., 2] > 0).sum(1).tolist() == [3, 0]


def test_shards_without_joints_go_with_those_of_any_skeleton(picture, tmp_path):
    """Boxes alone and pictures of nobody, in any order; of two skeletons nobody is labelled in
    both.
    """
    folders = {name: tmp_path / f"shards of {name}" for name in ("birds", "boxes", "nobody")}
    (picture / "labels").write_text(json.dumps(coco()))
    options = packing.Packing(pictures=True, skeleton=BIRD, size=256)
    packing.pack_all([picture / "labels"], folders["birds"], options, say=print)
    (picture / "labels").write_text(json.dumps(boxes_alone("coco")))
    options = packing.Packing(pictures=True, size=256)
    packing.pack_all([picture / "labels"], folders["boxes"], options, say=print)
    options = packing.Packing(pictures=True, nobody=True, size=256)
    packing.pack_all([picture / "images"], folders["nobody"], options, say=print)
    for order in itertools.permutations(folders):
        pack = shards.load([folders[name] for name in order])
        assert len(pack) == 3
        assert pack.skeleton == BIRD
        assert pack.keypoints.shape == (3, 3, 3)
        assert sorted((pack.keypoints[..., 2] > 0).sum(1)) == [0, 0, 3]
    (picture / "labels").write_text(json.dumps(coco(("beak", "left_fin", "right_fin"))))
    options = packing.Packing(pictures=True, size=256)
    packing.pack_all([picture / "labels"], tmp_path / "fins", options, say=print)
    with pytest.raises(DataError, match=r"fins.*labels-3.*bird-3: pack both with the same --skel"):
        shards.load([folders["birds"], tmp_path / "fins"])


def test_a_box_alone_beside_skeletons_is_a_body_for_detectors(picture):
    text = cvat().replace(
        "</image>", '<box label="bird" xtl="100" ytl="0" xbr="160" ybr="90"/></image>'
    )
    path = picture / "annotations.xml"
    path.write_text(text)
    assert len(read(path).picture) == 1
    data = packing.prepared(path, packing.Packing(pictures=True), None, print)
    assert data.boxes.tolist() == [[-0.5, -0.5, 99.5, 99.5], [99.5, -0.5, 159.5, 89.5]]
    assert not data.ignored.any()


def test_where_nothing_can_be_packed_other_notes_are_not_repeated(picture):
    """The area that stands in, and joints that the skeleton lacks, have left nobody out."""
    document = coco(("tail", "left_wing", "right_wing"), far=0.0)
    document["annotations"][0]["bbox"] = [0, 0, 20, 20]
    (picture / "annotations.json").write_text(json.dumps(document))
    options = packing.Packing(skeleton=BIRD)
    said = []
    with pytest.raises(DataError) as refused:
        packing.pack_all([picture], picture / "shards", options, say=said.append)
    notes = "\n".join(said)
    assert "tail as beak" in notes
    assert "stands in" in notes
    assert str(refused.value).endswith("1 annotations: 1 with a box below 48 pixels")
