"""Skeletons of one's own, as files: what they say, and what is wrong in them."""

import json
from dataclasses import replace

import pytest

from everybody import skeleton_file
from everybody.errors import OptionError
from everybody.skeletons import ANIMAL20, AP10K17, COCO17, SKELETONS, mapping, skeleton, union

TOML = """
name = "chair-4"
joints = ["left_front", "right_front", "left_back", "right_back", "seat"]
limbs = [["seat", "left_front"], ["seat", "right_back"]]
sigmas = { seat = 0.2 }
"""


def written(folder, text, suffix=".toml"):
    path = folder / f"mine{suffix}"
    path.write_text(text)
    return path


def test_a_file_says_joints_limbs_mirror_and_sigmas(tmp_path):
    mine = skeleton_file.chosen(str(written(tmp_path, TOML)))
    assert mine.name == "chair-4"
    assert mine.limbs == ((4, 0), (4, 3))
    assert mine.mirror == (1, 0, 3, 2, 4)
    assert mine.sigmas == (0.079,) * 4 + (0.2,)


def test_json_and_toml_say_the_same(tmp_path):
    data = {
        "name": "chair-4",
        "joints": ["left_front", "right_front", "left_back", "right_back", "seat"],
        "limbs": [[4, 0], ["seat", "right_back"]],
        "mirror": [["left_front", "right_front"], ["left_back", "right_back"]],
        "sigmas": [0.079, 0.079, 0.079, 0.079, 0.2],
    }
    path = written(tmp_path, json.dumps(data), ".json")
    assert skeleton_file.read(path) == skeleton_file.read(written(tmp_path, TOML))


@pytest.mark.parametrize("name", SKELETONS)
def test_every_skeleton_gets_through_text_and_back(name):
    known = SKELETONS[name]
    assert skeleton_file.to_text(known) == name
    assert skeleton_file.of_text(name, "x") == known
    own = replace(known, name="own")
    assert skeleton_file.of_text(skeleton_file.to_text(own), "x") == own
    assert skeleton_file.of_data(skeleton_file.told(own), "x") == own


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('limbs = [["seat", "back"]]', "limbs names the joint 'back', which it does not have"),
        ('mirror = [["left_front", "left_back"]]', "left_front becomes left_back, expected right_"),
        ("mirror = [1, 0, 3, 2]", "mirror has 4 numbers for 5 joints"),
        ("mirror = [1, 2, 0, 3, 4]", "a mirror must undo itself"),
        ("mirror = [1, 0, 3, 2, 7]", "mirror names the joint '7'"),
        ("sigmas = [0.1]", "a number above 0 for each of the 5 joints"),
        ("sigmas = { back = 0.1 }", "sigmas names the joint 'back'"),
        ('limbs = [["seat", "seat"]]', "limbs join seat to itself"),
        ("parents = [0]", "1 parents for 5 joints"),
        ('name = ""', "needs a name"),
        ('name = "coco-17"', "'coco-17' is the name of another skeleton"),
        ('colour = "red"', "colour"),
        ("limbs = [[", "not a readable TOML file"),
        ('mirror = [["left_front", "right_front"]]', "left_back becomes left_back.*every pair"),
        ("parents = [9, 0, 0, 0, 0]", "left_front hangs on joint 9"),
        ("parents = [-1, 2, 1, 0, 0]", "right_front hangs on itself"),
        (
            'joints = ["left_front", "rigth_front", "left_back", "right_back", "seat"]',
            "left_front has no partner",
        ),
        ('joints = ["left_front", "right_front", "left_back", "right_back", " "]', "has no name"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, more, said):
    lines = TOML.splitlines()
    kept = [line for line in lines if line.split(" ")[0] != more.split(" ")[0]]
    path = written(tmp_path, "\n".join([*kept, more]))
    with pytest.raises(OptionError, match=said) as error:
        skeleton_file.read(path)
    assert str(path) in str(error.value)


def test_names_are_read_as_data_have_them(tmp_path):
    """Left and right are known however they are written; so the mirror is."""
    text = TOML.replace("left_front", "Left Front").replace("right_back", "Back-Right")
    spelt = skeleton_file.read(written(tmp_path, text))
    assert spelt == skeleton_file.read(written(tmp_path, TOML))


def test_one_side_alone_is_said_to_be_meant(tmp_path):
    text = 'name = "arm"\njoints = ["left_wrist", "base"]\nmirror = []'
    mine = skeleton_file.read(written(tmp_path, text))
    assert mine.mirror == (0, 1)
    assert skeleton_file.without_partner(mine) == ["left_wrist"]


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_an_empty_file_and_one_of_another_kind_are_named(tmp_path, suffix):
    with pytest.raises(OptionError, match="is empty; expected at least"):
        skeleton_file.read(written(tmp_path, " \n", suffix))
    other = written(tmp_path, "name: chair", ".yaml")
    with pytest.raises(OptionError, match=r"call it \.json or \.toml"):
        skeleton_file.chosen(str(other))


def test_joints_that_are_there_twice_and_unknown_names_are_errors(tmp_path):
    with pytest.raises(OptionError, match="seat are there twice"):
        skeleton_file.read(written(tmp_path, 'name = "x"\njoints = ["seat", "seat"]'))
    with pytest.raises(OptionError, match=r"unknown skeleton 'chair'.*or a file of your own"):
        skeleton_file.chosen("chair")
    with pytest.raises(OptionError, match="cannot be read"):
        skeleton_file.chosen(str(tmp_path / "none.toml"))


def test_animals_map_to_each_other_and_back():
    """AP-10K names joints down the legs as people's; what both have comes back as it was."""
    there, back = mapping(ANIMAL20, AP10K17), mapping(AP10K17, ANIMAL20)
    assert there.missing == ("neck",)
    assert back.missing == ("left_ear", "right_ear", "throat", "withers")
    import numpy as np

    pose = np.random.default_rng(0).uniform(1, 9, (2, 20, 3))
    same = back(there(pose))
    kept = [ANIMAL20.joints.index(joint) for joint in back.copied]
    assert len(kept) == 16
    assert np.array_equal(same[:, kept], pose[:, kept])


def test_a_union_has_every_joint_once_and_keeps_mirrors_and_sigmas():
    both = union(COCO17, ANIMAL20)
    assert both == skeleton("coco-17+animal-20")
    assert len(both) == 17 + 15
    assert both.joints[:17] == COCO17.joints
    for one in (COCO17, ANIMAL20):
        for joint, partner in enumerate(one.mirror):
            at = both.joints.index(one.joints[joint])
            assert both.joints[both.mirror[at]] == one.joints[partner]
        for a, b in one.limbs:
            ends = {both.joints.index(one.joints[a]), both.joints.index(one.joints[b])}
            assert any(set(limb) == ends for limb in both.limbs)
    assert both.sigmas[:17] == COCO17.sigmas
