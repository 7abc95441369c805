"""People told in the skeleton that is asked for: what a network finds is the same whatever its
joints are called, and nobody is given joints that nobody looks for.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from everybody import Estimator
from everybody.cli import app
from everybody.errors import OptionError
from everybody.inputs import Input
from everybody.methods import open_method
from everybody.methods.told import joints_of
from everybody.options import Options, PoseOptions
from everybody.results.formats import FORMATS, read_results
from everybody.skeletons import (
    ANIMAL20,
    AP10K17,
    BODY23,
    COCO17,
    SKELETONS,
    mapping,
    of_joints,
    skeleton,
    union,
)
from everybody.weights import manifest

PICTURE = Path(__file__).parents[1] / "examples/class.jpg"
ONE = {"threads": 1, "workers": 1}
FOUND = {"everybody-fast": (COCO17, BODY23), "everybody-animals": (ANIMAL20,)}  # most asked first


def rows():
    return {name: manifest.load()[0][name] for name in FOUND}


# --- which answer


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("wanted", SKELETONS.values(), ids=str)
def test_the_answer_lacks_least_of_what_is_asked_for_and_never_much(name, wanted):
    row = rows()[name].answering(wanted.name)
    lack = [len(mapping(found, wanted).missing) for found in FOUND[name]]
    assert (row is None) == (min(lack) > 0.1 * len(wanted))
    if row is not None:
        assert row.finds == FOUND[name][lack.index(min(lack))]


def test_a_plain_file_answers_for_its_own_joints_and_for_fewer_of_them():
    row = rows()["everybody-fast"]
    assert row.asked(None) == row.asked("coco-17") == row.asked("openpose-18") == row


# --- what comes out


@pytest.mark.parametrize("wanted", ["openpose-18", "openpose-25", "mpii-16", "lsp-14", "h36m-17"])
def test_people_are_those_of_the_network_joint_by_joint(wanted):
    found = rows()["everybody-fast"].asked(wanted).finds
    alone = Estimator(model="fast", skeleton=found.name, **ONE).estimate(PICTURE)
    asked = Estimator(model="fast", skeleton=wanted, **ONE).estimate(PICTURE)
    assert len(alone) > 2
    assert asked.skeleton == SKELETONS[wanted]
    assert np.array_equal(asked.keypoints, alone.to(SKELETONS[wanted]).keypoints)
    assert np.array_equal(asked.scores, alone.scores)
    assert np.array_equal(asked.boxes, alone.boxes)


def test_an_animal_in_the_joints_of_another_data_set_goes_through_every_format(tmp_path):
    """One whole picture is taken for an animal: what is found is the same, but for the neck."""
    asked = ["run", str(PICTURE), "--model", "animals", "--whole", "--skeleton", "ap-10k-17"]
    formats = [word for name in FORMATS for word in ("--format", name)]
    out = tmp_path / "out"
    app([*asked, *formats, "--threads", "1", "--out", str(out)], standalone_mode=False)
    alone = Estimator(model="animals", whole=True, **ONE).estimate(PICTURE).to(AP10K17)
    assert not alone.keypoints[:, AP10K17.joints.index("neck"), 2].any()
    assert (alone.keypoints[..., 2] > 0).sum() == 16
    for format in ("jsonl", "csv", "csv-eu", "parquet", "coco", "alphapose"):
        results = read_results(out if format == "jsonl" else out / FORMATS[format].target)
        assert results.skeleton == AP10K17
        (record,) = results
        assert np.allclose(record.people.keypoints, alone.keypoints, atol=0.006)


def test_joints_of_a_file_of_ones_own_are_found_by_their_names(tmp_path):
    """Some of the network's, in another order."""
    names = ("nose", "right_ankle", "left_ankle")
    path = tmp_path / "few.json"
    path.write_text(json.dumps({"name": "few", "joints": names}))
    alone = Estimator(model="fast", **ONE).estimate(PICTURE)
    asked = Estimator(model="fast", skeleton=str(path), **ONE).estimate(PICTURE)
    places = [COCO17.joints.index(name) for name in names]
    assert asked.skeleton.joints == names
    assert np.array_equal(asked.keypoints, alone.keypoints[:, places])


# --- who is asked


@pytest.mark.parametrize(
    ("asked", "both"),
    [
        ("ap-10k-17", "coco-17+ap-10k-17"),
        ("openpose-18", "openpose-18+animal-20"),
        ("halpe-26", "halpe-26+animal-20"),
        (None, "coco-17+animal-20"),
    ],
)
def test_beside_others_the_model_is_asked_that_knows_the_joints(asked, both):
    method = open_method(Options.of(model="accurate,animals", skeleton=asked, **ONE))
    assert method.skeleton == skeleton(both)


def test_a_model_that_is_a_file_beside_its_manifest_is_asked_too(tmp_path, monkeypatch):
    from everybody.runtime import ABOUT
    from everybody.weights import fetch

    onnx = pytest.importorskip("onnx")
    path = fetch.resolve(fetch.row("everybody-animals"))
    net = onnx.load(path)
    about = {"task": "pose", "skeleton": "animal-20", "codec": {"type": "heatmap"}}
    entry = net.metadata_props.add()
    entry.key, entry.value = ABOUT, json.dumps({**about, "input": {"size": [192, 192]}})
    onnx.save(net, tmp_path / "mine.onnx")
    detector = fetch.resolve(fetch.row("everybody-animal-detector"))
    (tmp_path / "manifest.toml").write_text(
        f'[variant.mine]\ndetector = "{detector}"\npose = "mine.onnx"\nturns = false\n'
    )
    monkeypatch.setenv("EVERYBODY_WEIGHTS", str(tmp_path))
    method = open_method(Options.of(model="accurate,mine", skeleton="ap-10k-17", **ONE))
    assert method.skeleton.name == "coco-17+ap-10k-17"


# --- what a described file may be taken for


def row(skeleton):
    spec = Input(size=(96, 128))
    return manifest.Row(
        name="m", task="pose", file="m.onnx", input=spec, licence="", skeleton=skeleton
    )


def own(tmp_path, joints, name="own"):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"name": name, "joints": list(joints)}))
    return str(path)


def test_a_file_of_coco_is_not_taken_for_another_one_of_as_many_joints():
    with pytest.raises(OptionError, match=r"h36m-17: m finds the joints of coco-17; .*3 of 17"):
        joints_of(PoseOptions(skeleton="h36m-17"), row("coco-17"), Path("m.onnx"))


def test_joints_of_other_names_throughout_are_new_names_for_the_same(tmp_path):
    names = [f"part {n}" for n in range(17)]
    asked = PoseOptions(skeleton=own(tmp_path, names))
    assert joints_of(asked, row("coco-17"), Path("m.onnx")).name == "own"


def test_a_skeleton_of_the_same_joints_brings_its_limbs(tmp_path):
    asked = PoseOptions(skeleton=own(tmp_path, COCO17.joints))
    assert joints_of(asked, row("coco-17"), Path("m.onnx")).limbs == ()


def test_a_codec_describes_the_file_anew():
    asked = PoseOptions(skeleton="halpe-26", codec="heatmap")
    assert joints_of(asked, row("coco-17"), Path("m.onnx")).name == "halpe-26"


# --- unions in tables


@pytest.mark.parametrize("people", ["coco-17", "halpe-26", "openpose-18"])
@pytest.mark.parametrize("animals", [ANIMAL20, AP10K17], ids=str)
def test_joints_of_several_kinds_are_known_by_their_names(people, animals):
    both = union(SKELETONS[people], animals)
    assert of_joints(both.joints) == both
    assert set(of_joints(both.joints[::-1]).joints) == set(both.joints)
    assert of_joints([*both.joints, "wing"]) is None


@pytest.mark.parametrize("one", SKELETONS.values(), ids=str)
def test_a_known_skeleton_is_known_by_its_joints(one):
    assert of_joints(one.joints) == one
