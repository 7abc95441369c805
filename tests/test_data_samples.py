"""The readers on real samples of every format, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from everybody.data.read import read, read_results
from everybody.errors import DataError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def sample(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


@pytest.mark.parametrize(
    ("name", "skeleton", "pictures", "people"),
    [
        ("coco_val", "coco-17", 171, 562),
        ("formats/crowdpose/crowdpose_val.json", "crowdpose-14", 2000, 8527),
        ("formats/aic/test_aic.json", "aic-14", 3, 9),
        ("formats/ochuman/test_ochuman.json", "coco-17", 3, 5),
        ("formats/halpe/test_halpe.json", "halpe-136", 4, 14),
        ("formats/wholebody/test_wholebody.json", "wholebody-133", 1, 1),
        ("formats/posetrack18/test_posetrack18_val.json", "posetrack-17", 3, 14),
        ("formats/mpii/test_mpii.json", "mpii-16", 5, 5),
        ("formats/mpii/train_joints.csv", "mpii-16", 11210, 17928),
        ("formats/mpii/detections_our_format.mat", "mpii-16", 2958, 2958),
        ("formats/lsp/joints.mat", "lsp-14", 2000, 2000),
        ("lspet/val.npz", "lsp-14", 500, 500),
    ],
)
def test_real_files(name: str, skeleton: str, pictures: int, people: int) -> None:
    data = read(sample(name))
    assert (data.skeleton.name, len(data), len(data.picture)) == (skeleton, pictures, people)
    labelled = data.labelled.any(1)
    assert np.isfinite(data.keypoints).all()
    assert (data.boxes[labelled, 2:] > data.boxes[labelled, :2]).all()


def test_the_same_people_in_mpiis_json_and_table() -> None:
    """Two readers of one data set agree to the pixel, so both count from 1."""
    json, table = (
        read(sample("formats/mpii/test_mpii.json")),
        read(sample("formats/mpii/train_joints.csv")),
    )
    rows = table.where([picture.name for picture in table.pictures].index(json.pictures[0].name))
    gaps = np.abs(table.keypoints[rows] - json.keypoints[0]).max((1, 2))
    assert gaps.min() < 0.01  # the table rounds to hundredths


def test_crowdpose_ignores_people_without_visible_joints_and_knows_crowding() -> None:
    data = read(sample("formats/crowdpose/crowdpose_val.json"))
    assert (~data.ignored).sum() == 7074
    assert data.crowd.sum() == 106
    assert data.pictures[0].crowding == 0.76


def test_posetrack_has_regions_tracks_and_heads() -> None:
    data = read(sample("formats/posetrack18/test_posetrack18_val.json"))
    assert [len(picture.ignore) for picture in data.pictures] == [4, 2, 9]
    assert data.tracks.min() >= 0
    assert data.heads[0] == pytest.approx(0.6 * np.hypot(44, 53))


def test_lsp_extended_in_its_matlab_form_is_the_npz(tmp_path: Path) -> None:
    data = read(sample("lspet/val.npz"))
    joints = data.keypoints * (1, 1, 0.5) + (1, 1, 0)
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    again = read(tmp_path / "joints.mat")
    np.testing.assert_allclose(again.keypoints, data.keypoints)


def test_cocos_sample_results_need_their_own_pictures() -> None:
    results = sample("formats/coco_results/person_keypoints_val2014_fakekeypoints100_results.json")
    with pytest.raises(DataError, match="is not in"):
        read_results(results, read(sample("coco_val")))
    with pytest.raises(DataError, match="give it as RESULTS"):
        read(results)
