"""Every reader on a tiny file made here: told by content, the coordinate law, and broken records
named.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from everybody.data.join import common
from everybody.data.read import read, read_results
from everybody.errors import DataError
from everybody.people import Frame, People
from everybody.results.journal import Journal
from everybody.skeletons import (
    AP10K17,
    COCO17,
    CROWDPOSE14,
    H36M17,
    HALPE26,
    LSP14,
    MPII16,
    WHOLEBODY133,
)

Document = dict[str, Any]


def document(joints: int = 17, names: tuple[str, ...] = COCO17.joints) -> Document:
    """Two pictures, a person on the first, all joints at (10, 20)."""
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48} for i in (3, 5)],
        "annotations": [
            {
                "id": 9,
                "image_id": 3,
                "category_id": 1,
                "iscrowd": 0,
                "area": 500.0,
                "num_keypoints": joints,
                "bbox": [0, 10, 20, 30],
                "keypoints": [10.0, 20.0, 2] * joints,
            }
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(names), "skeleton": []}],
    }


def write(folder: Path, content: Any, name: str = "anything.dat") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_coco_keypoints_stay_and_boxes_move_by_half_a_pixel(tmp_path: Path) -> None:
    data = read(write(tmp_path, document()))
    assert data.skeleton is COCO17
    assert data.keypoints[0, 0].tolist() == [10, 20, 2]
    assert data.boxes[0].tolist() == [-0.5, 9.5, 19.5, 39.5]
    assert (len(data), data.areas[0], data.ids[0], data.picture[0]) == (2, 500, 9, 0)
    assert len(data.people(0)) == 1
    assert len(data.people(1)) == 0


def test_crowds_unlabelled_people_and_missing_areas(tmp_path: Path) -> None:
    content = document()
    first = content["annotations"][0]
    content["annotations"] += [
        first | {"id": 10, "iscrowd": 1},
        first | {"id": 11, "keypoints": [0] * 51, "num_keypoints": 0},
        {key: value for key, value in first.items() if key != "area"} | {"id": 12},
    ]
    data = read(write(tmp_path, content))
    assert data.crowd.tolist() == [False, True, False, False]
    assert data.ignored.tolist() == [False, True, True, False]
    assert data.areas[3] == pytest.approx(0.53 * 20 * 30)
    assert "no area" in data.notes[0]


def test_the_skeleton_is_told_by_names_and_only_then_by_an_unmistakable_count(
    tmp_path: Path,
) -> None:
    crowdpose = (*CROWDPOSE14.joints[:12], "head", "neck")
    assert read(write(tmp_path, document(14, crowdpose))).skeleton is CROWDPOSE14
    assert read(write(tmp_path, document(26, ()))).skeleton is HALPE26
    own = read(write(tmp_path, document(3, ("left_paw", "right_paw", "tail")))).skeleton
    assert own.mirror == (1, 0, 2)
    assert read(write(tmp_path, document(17, ())), skeleton=COCO17).skeleton is COCO17
    with pytest.raises(DataError, match="--skeleton"):
        read(write(tmp_path, document(17, ())))


def test_the_parts_of_whole_body_are_put_together(tmp_path: Path) -> None:
    content = document()
    content["annotations"][0] |= {
        "foot_kpts": [1.0, 1, 2] * 6,
        "face_kpts": [2.0, 2, 2] * 68,
        "lefthand_kpts": [3.0, 3, 2] * 21,
        "righthand_kpts": [4.0, 4, 0] * 21,
    }
    data = read(write(tmp_path, content))
    assert data.skeleton is WHOLEBODY133
    assert data.keypoints[0, [17, 23, 91, 112], 0].tolist() == [1, 2, 3, 4]
    assert data.labelled.sum() == 133 - 21


def change(**values: Any) -> Callable[[Document], Any]:
    return lambda content: content["annotations"][0].update(values)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            change(keypoints=[1.0] * 48),
            r"annotations\[0\] \(id 9\) has 48 numbers as keypoints .*expected 51",
        ),
        (
            change(keypoints=["x"] * 51),
            r"\$\.annotations\[0\]\.keypoints\[0\]: expected a number, got text",
        ),
        (change(keypoints=[float("nan")] * 51), r"annotations\[0\].*not a finite number"),
        (change(bbox=[1, 2, 3]), r"annotations\[0\] \(id 9\) has 3 numbers as bbox, expected 4"),
        (change(image_id=4), r"annotations\[0\] \(id 9\) is of image 4, which is not in 'images'"),
        (lambda c: c["annotations"][0].pop("keypoints"), "is this the keypoint file"),
        (
            lambda c: c["annotations"][0].pop("image_id"),
            r"\$\.annotations\[0\]: object missing required field `image_id`",
        ),
        (
            lambda c: c["annotations"].append(c["annotations"][0]),
            r"annotations\[1\] \(id 9\) repeats id 9",
        ),
        (lambda c: c["images"].append(c["images"][0]), r"images\[2\] \(id 3\) repeats id 3"),
        (
            lambda c: c.update(annotations=[1]),
            r"\$\.annotations\[0\]: expected an object, got a whole number",
        ),
        (lambda c: c.pop("images"), "no labelled data that is known"),
    ],
)
def test_what_is_wrong_is_named_by_record(
    tmp_path: Path, damage: Callable[[Document], Any], said: str
) -> None:
    content = document()
    damage(content)
    with pytest.raises(DataError, match=said):
        read(write(tmp_path, content))


@pytest.mark.parametrize("text", ["", "{", '{"images": [', "no data", "\0\1\2,"])
def test_files_that_are_no_data(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"anything\.dat"):
        read(write(tmp_path, text))


def test_mpii_counts_from_one(tmp_path: Path) -> None:
    people = [
        {
            "image": "a.jpg",
            "joints": [[11.0, 21.0]] * 15 + [[-1.0, -1.0]],
            "joints_vis": [1] * 15 + [0],
            "center": [51.0, 101.0],
            "scale": 1.0,
        }
    ]
    data = read(write(tmp_path, people))
    assert data.skeleton is MPII16
    assert data.keypoints[0, 0].tolist() == [10, 20, 2]
    assert data.labelled[0].tolist() == [True] * 15 + [False]
    assert data.boxes[0].tolist() == [-50, 0, 150, 200]
    people[0].pop("joints_vis")
    with pytest.raises(DataError, match=r"\$\[0\]: object missing required field `joints_vis`"):
        read(write(tmp_path, people))


def test_mpii_csv(tmp_path: Path) -> None:
    row = "a.jpg," + ",".join(["11.0,21.0"] * 15 + ["-1,-1"])
    data = read(write(tmp_path, f"{row}\n{row}\nb.jpg{row[5:]}\n"))
    assert (len(data), data.picture.tolist()) == (2, [0, 0, 1])
    assert data.keypoints[0, 0].tolist() == [10, 20, 2]
    assert data.labelled.sum() == 45
    with pytest.raises(DataError, match=r"rows\[2\] has 31 numbers"):
        read(write(tmp_path, f"{row}\n{row.rpartition(',')[0]}\n"))


def test_mpii_predictions_hold_truth_and_results(tmp_path: Path) -> None:
    missing = np.zeros((16, 2), np.uint8)
    missing[15, 1] = 1
    corners = np.array([[[1.0, 1.0]] * 2, [[31.0, 31.0], [41.0, 41.0]]])
    content = {
        "jnt_missing": missing,
        "pos_gt_src": np.full((16, 2, 2), 5.0),
        "pos_pred_src": np.full((16, 2, 2), 6.0),
        "headboxes_src": corners,
    }
    path = tmp_path / "predictions"
    savemat(path, content, appendmat=False)
    truth = read(path)
    found = read_results(path, truth)
    assert truth.labelled.sum() == 31
    assert truth.heads == pytest.approx([0.6 * 50, 0.6 * 50])  # a head box of 30 × 40
    assert truth.keypoints[0, 0, :2].tolist() == [4, 4]
    assert found.keypoints[1, 3, :2].tolist() == [5, 5]
    savemat(path, content | {"pos_gt_src": np.zeros((16, 2, 3))}, appendmat=False)
    with pytest.raises(DataError, match="pos_gt_src"):
        read(path)


def test_lsp_and_its_extension_differ_in_axes_and_in_the_flag(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(1, 100, (2, 14, 3))
    joints[..., 2] = 0
    joints[0, 3, 2] = 1
    path = tmp_path / "joints"
    savemat(path, {"joints": joints.transpose(2, 1, 0)}, appendmat=False)
    plain = read(path)
    savemat(path, {"joints": joints.transpose(1, 2, 0)}, appendmat=False)
    extended = read(path)
    assert plain.skeleton is extended.skeleton is LSP14
    np.testing.assert_allclose(plain.keypoints[..., :2], joints[..., :2] - 1)
    np.testing.assert_array_equal(plain.keypoints[..., :2], extended.keypoints[..., :2])
    assert plain.keypoints[0, 2:5, 2].tolist() == [2, 1, 2]  # hidden, but labelled
    assert extended.labelled.sum() == 1
    assert (plain.pictures[1].name, extended.pictures[1].name) == ("im0002.jpg", "im00002.jpg")
    savemat(path, {"joints": np.zeros((4, 14, 2))}, appendmat=False)
    with pytest.raises(DataError, match="expected"):
        read(path)


def test_npz_of_the_extension(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "val.npz", names=np.array(["a", "b"]), joints=np.ones((2, 14, 3), np.float32)
    )
    data = read(tmp_path / "val.npz")
    assert data.keypoints[0, 0].tolist() == [1, 1, 2]


def test_yolo_inverts_coco(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("RGB", (200, 100)).save(tmp_path / "images" / "a.png")
    Image.new("RGB", (200, 100)).save(tmp_path / "images" / "b.png")
    # COCO's box [20, 10, 40, 50] and keypoint (30, 25), divided by 200 × 100
    line = "0 0.2 0.35 0.2 0.5" + " 0.15 0.25 2" * 17
    (tmp_path / "labels" / "a.txt").write_text(line + "\n\n" + line)
    (tmp_path / "labels" / "b.txt").write_text("")
    data = read(tmp_path)
    assert (len(data), data.picture.tolist(), data.pictures[0].width) == (2, [0, 0], 200)
    np.testing.assert_allclose(data.boxes[0], [19.5, 9.5, 59.5, 59.5])
    np.testing.assert_allclose(data.keypoints[0, 0], [30, 25, 2])
    assert data.path(0).is_file()
    for text, said in (
        (line + " 1", "line 1 has 57 numbers, expected 39 or 56"),
        ("0 x", "not a number"),
    ):
        (tmp_path / "labels" / "b.txt").write_text(text)
        with pytest.raises(DataError, match=said):
            read(tmp_path)


def yolo_boxes(folder: Path, lines: str = "1 0.2 0.35 0.2 0.5\n0 0.5 0.5 1 1") -> Path:
    """Labels of a detector: two boxes in a picture, a picture of nothing."""
    (folder / "labels").mkdir()
    (folder / "images").mkdir()
    for name, text in {"a": lines, "b": ""}.items():
        Image.new("RGB", (200, 100)).save(folder / "images" / f"{name}.png")
        (folder / "labels" / f"{name}.txt").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("data.yaml", "nc: 2\nnames: ['dog', 'sea lion']\n", ["dog", "sea lion"]),
        ("data.yaml", "names:\n  0: dog # big\n  1: cat\nnc: 2\n", ["dog", "cat"]),
        ("data.yml", "names:\n- dog\n- cat\ntrain: x\n", ["dog", "cat"]),
        ("labels/classes.txt", "dog\ncat\n", ["dog", "cat"]),
        ("obj.names", "dog\ncat\n", ["dog", "cat"]),
        ("notes.txt", "", ["class 0", "class 1"]),
    ],
)
def test_yolo_boxes_alone_have_the_classes_of_their_data_set(
    tmp_path: Path, file: str, text: str, named: list[str]
) -> None:
    data_of = yolo_boxes(tmp_path)
    (tmp_path / file).write_text(text)
    data = read(data_of, joints=False)
    assert (len(data), data.picture.tolist()) == (2, [0, 0])
    np.testing.assert_allclose(data.boxes, [[19.5, 9.5, 59.5, 59.5], [-0.5, -0.5, 199.5, 99.5]])
    assert [data.categories[number] for number in data.category] == named[::-1]
    assert not data.ignored.any()
    assert not data.labelled.any()
    assert data.path(1).is_file()
    one = read(data_of, joints=False, category=named[0])
    assert one.boxes.tolist() == data.boxes[1:].tolist()


@pytest.mark.parametrize(
    ("lines", "joints", "said"),
    [
        ("0 0.5 0.5 1 1", True, r"line 1 has 5 numbers.*39 or 56 .*everybody pack --pictures"),
        ("0 0.5 0.5 1 1\n0 0.5 0.5 1", False, "line 2 has 4 numbers, expected 5: a class"),
        ("0 0.5 0.5 1 1\n0" + " 0.5" * 55, False, "line 1 has 5 numbers.*folders of boxes alone"),
        ("0.5 0.5 0.5 1 1", False, r"class 0\.5, expected a whole number"),
        ("-1 0.5 0.5 1 1", False, "class -1, expected a whole number"),
    ],
)
def test_yolo_lines_that_do_not_fit_say_what_is_expected(
    tmp_path: Path, lines: str, joints: bool, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read(yolo_boxes(tmp_path, lines), joints=joints)


def test_yolo_labels_of_nothing_are_pictures_of_nobody(tmp_path: Path) -> None:
    for joints in (True, False):
        (tmp_path / str(joints)).mkdir()
        assert len(read(yolo_boxes(tmp_path / str(joints), ""), joints=joints)) == 2


def test_own_results_are_matched_by_file_name(tmp_path: Path) -> None:
    truth = read(write(tmp_path, document()))
    person = People(
        np.full((1, 17, 3), 0.5), np.array([[0, 0, 9, 9]]), np.array([0.75]), COCO17, np.array([4])
    )
    with Journal(tmp_path / "out", COCO17) as journal:
        for name in ("5", "3"):
            journal.write(
                Frame(
                    np.zeros((48, 64, 3), np.uint8), source=f"/far/away/{name}.jpg", people=person
                )
            )
    for path in (tmp_path / "out", tmp_path / "out" / "frames.jsonl"):
        found = read_results(path, truth)
        assert found.picture.tolist() == [1, 0]
        assert (found.scores[0], found.tracks[0], found.skeleton) == (0.75, 4, COCO17)


def test_results_of_other_pictures_and_doubled_pictures(tmp_path: Path) -> None:
    truth = read(write(tmp_path, document()))
    result = {"image_id": 4, "category_id": 1, "keypoints": [0.0] * 51, "score": 1.0}
    with pytest.raises(DataError, match="picture 4 is not in"):
        read_results(write(tmp_path, [result], "results"), truth)
    with Journal(tmp_path / "out", COCO17) as journal:
        for name in ("a/3.jpg", "b/3.jpg"):
            journal.write(Frame(np.zeros((48, 64, 3), np.uint8), source=name))
    with pytest.raises(DataError, match="appears twice"):
        read_results(tmp_path / "out", truth)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"keypoints": [0.0] * 42},
            r"results\[1\] has 42 numbers as keypoints \(17 joints of coco-17\), expected 51: say "
            r"whose joints they are with --skeleton NAME or --skeleton FILE\.toml",
        ),
        ({"keypoints": [float("inf")] * 51}, r"results\[1\].*not a finite"),
        ({"score": float("nan")}, r"results\[1\] has a score that is not a finite"),
        ({"score": "high"}, r"\$\[1\]\.score: expected a number, got text"),
        ({"image_id": 3.5}, r"results\[1\] has image_id 3.5, expected a whole number"),
    ],
)
def test_broken_results(tmp_path: Path, change: Document, said: str) -> None:
    truth = read(write(tmp_path, document()))
    result = {"image_id": 3, "category_id": 1, "keypoints": [0.0] * 51, "score": 1.0}
    with pytest.raises(DataError, match=said):
        read_results(write(tmp_path, [result, result | change], "results"), truth)


def test_results_that_name_their_joints_have_those(tmp_path: Path) -> None:
    """As our own do where the number of joints would be taken for another skeleton."""
    truth = read(write(tmp_path, document()))
    result = {"image_id": 3, "category_id": 1, "keypoints": [1.0] * 51, "score": 1.0}
    for name, found in {"ap-10k-17": AP10K17, "coco-17": COCO17, "centaur": COCO17}.items():
        path = write(tmp_path, [result | {"skeleton": name}], "results")
        assert read_results(path, truth).skeleton is found
        assert read_results(path, truth, skeleton=H36M17).skeleton is H36M17


def test_labels_of_another_number_of_joints_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--skeleton FILE\.toml .*--data-skeleton"):
        read(write(tmp_path, document(17, ())), skeleton=HALPE26)
    own = document(3, ("left_paw", "right_paw", "tail"))
    results = read(write(tmp_path, own))
    with pytest.raises(DataError, match=r"share no joint.*--skeleton NAME .*--data-skeleton"):
        common(results, read(write(tmp_path, document())), mapped=True)


def test_scores_outside_the_unit_interval_are_accepted_and_said(tmp_path: Path) -> None:
    truth = read(write(tmp_path, document()))
    result = {"image_id": 3, "category_id": 1, "keypoints": [0.0] * 51, "score": 7.0}
    found = read_results(write(tmp_path, [result], "results"), truth)
    assert found.notes == ("1 of 1 scores lie outside [0, 1]",)
    assert len(read_results(write(tmp_path, [], "results"), truth).picture) == 0


def test_mapping_says_what_is_copied_derived_and_missing(tmp_path: Path) -> None:
    data = read(write(tmp_path, document())).to(MPII16)
    assert data.skeleton is MPII16
    assert "derived pelvis, thorax" in data.notes[-1]
    assert "missing upper_neck, head_top" in data.notes[-1]
    assert data.labelled.sum() == 14
    with pytest.raises(DataError, match="share no joint"):
        read(write(tmp_path, document(3, ("left_paw", "right_paw", "tail")))).to(COCO17)


def test_subset_keeps_people_with_their_pictures(tmp_path: Path) -> None:
    data = read(write(tmp_path, document()))
    assert data.subset([1]).picture.tolist() == []
    swapped = data.subset([1, 0])
    assert swapped.picture.tolist() == [1]
    assert [p.name for p in swapped.pictures] == ["5.jpg", "3.jpg"]
    assert [len(rows) for rows in swapped.rows()] == [0, 1]
