"""Pose-guided proposals, by law: what is sampled has the moments that were fitted, pose by pose."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.data.dataset import Dataset, Picture, with_margin
from everybody.errors import DataError, OptionError
from everybody.geometry import iou
from everybody.skeletons import COCO17
from everybody.train import curves, proposals, wrong_boxes
from everybody.train.mixture import fit_mixture

STAND = np.array(
    [
        [0.4, -1],
        [-0.4, -1],
        [0.6, -0.4],
        [-0.6, -0.4],
        [0.6, 0.1],
        [-0.6, 0.1],
        [0.3, 0],
        [-0.3, 0],
        [0.3, 0.9],
        [-0.3, 0.9],
        [0.3, 1.8],
        [-0.3, 1.8],
    ]
)
REACH = STAND.copy()
REACH[2:6] = [[0.6, -1.5], [-0.6, -1.5], [0.6, -2.1], [-0.6, -2.1]]  # arms up
MEANS = np.array([[0.05, 0.0, -0.05, 0.1], [-0.1, 0.2, 0.0, 0.0]])  # of the two poses' offsets


def people(poses: np.ndarray, rng: np.random.Generator) -> Dataset:
    """Poses [N, 12, 2] of any size and place, as a data set of COCO's joints; faces are not
    labelled.
    """
    keypoints = np.zeros((len(poses), 17, 3))
    keypoints[:, 5:, :2] = poses * rng.uniform(20, 80, (len(poses), 1, 1)) + rng.uniform(
        0, 300, (len(poses), 1, 2)
    )
    keypoints[:, 5:, 2] = 2
    pictures = tuple(Picture(f"{i}.jpg", i) for i in range(len(poses)))
    return Dataset(
        skeleton=COCO17, pictures=pictures, picture=np.arange(len(poses)), keypoints=keypoints
    )


@pytest.fixture(scope="module")
def planted():
    """Two poses, two ways to be wrong: data, offsets and the fit."""
    rng = np.random.default_rng(0)
    which = rng.uniform(size=600) < 0.6
    data = people(
        np.where(which[:, None, None], STAND, REACH) + rng.normal(0, 0.05, (600, 12, 2)), rng
    )
    offsets = MEANS[np.where(which, 0, 1)] + rng.normal(0, 0.03, (600, 4))
    offsets[::50] = np.nan  # people whom the detector missed
    return data, offsets, proposals.fit([data], [(data, offsets)], atoms=2, gaussians=2, rng=rng)


def test_aligned_poses_do_not_depend_on_size_and_place():
    rng = np.random.default_rng(1)
    data = people(np.stack([STAND] * 9), rng)
    poses, known = proposals.aligned(data.keypoints, COCO17)
    assert known.all()
    assert np.allclose(poses, STAND, atol=1e-6)  # STAND's torso has length 1
    assert np.allclose(np.linalg.norm(poses[:, :2].mean(1) - poses[:, 6:8].mean(1), axis=1), 1)


def test_people_without_a_torso_are_of_no_pose():
    data = people(np.stack([STAND] * 3), np.random.default_rng(1))
    keypoints = data.keypoints.copy()
    keypoints[0, 5, 2] = 0  # a shoulder is not labelled
    keypoints[1, 5:7, :2] = keypoints[1, 11:13, :2]  # a torso of no length
    keypoints[2, 9, 2] = 0  # a wrist: the rest tells
    _, known = proposals.aligned(keypoints, COCO17)
    assert known.any(1).tolist() == [False, False, True]
    assert proposals.nearest(
        *proposals.aligned(keypoints, COCO17), np.stack([REACH, STAND])
    ).tolist() == [-1, -1, 1]


def test_planted_poses_and_their_offsets_are_found(planted):
    _, offsets, fitted = planted
    assert np.abs(fitted.atoms - np.stack([STAND, REACH])).max() < 0.02  # the more frequent first
    for mixture, mean in zip(fitted.mixtures, MEANS, strict=True):
        found, covariance = mixture.moments()
        assert np.abs(found - mean).max() < 0.01
        assert np.abs(np.sqrt(np.diag(covariance)) - 0.03).max() < 0.01
    everybody = offsets[~np.isnan(offsets[:, 0])]
    mean, covariance = fitted.anybody.moments()
    assert np.allclose(mean, everybody.mean(0), atol=1e-3)
    assert np.allclose(covariance, np.cov(everybody.T), atol=1e-3)


@pytest.mark.parametrize("fitted", ["planted", "shipped"])
def test_samples_have_the_fitted_moments_atom_by_atom(planted, fitted):
    model = planted[2] if fitted == "planted" else proposals.load()
    rng = np.random.default_rng(2)
    n = 40_000
    atoms = np.repeat(np.arange(-1, len(model.atoms)), n)
    samples = model.sample(atoms, rng)
    for atom in range(-1, len(model.atoms)):
        mean, covariance = (model.anybody if atom < 0 else model.mixtures[atom]).moments()
        some = samples[atoms == atom]
        error = 5 * np.sqrt(np.diag(covariance) / n)  # five standard errors
        assert (np.abs(some.mean(0) - mean) < error).all()
        scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        assert (np.abs(np.cov(some.T) - covariance) < 0.06 * scale).all()


def test_each_person_gets_the_offsets_of_their_own_pose(planted):
    _, _, fitted = planted
    rng = np.random.default_rng(3)
    data = people(np.stack([STAND, REACH] * 300), rng)
    found = wrong_boxes.wrong_boxes("uniform", 0.0, COCO17)(data.keypoints, rng)
    assert not found.any()
    atoms = fitted.of(data.keypoints, COCO17)
    assert atoms.tolist() == [0, 1] * 300
    samples = fitted.sample(atoms, rng)
    assert np.abs(samples[::2].mean(0) - MEANS[0]).max() < 0.02
    assert np.abs(samples[1::2].mean(0) - MEANS[1]).max() < 0.02


def test_a_mixture_integrates_to_one_and_follows_its_data():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(-0.2, 0.02, (500, 1)), rng.normal(0.1, 0.04, (1500, 1))])
    mixture = fit_mixture(x, 2, rng)
    at = np.linspace(-1, 1, 4001)[:, None]
    assert abs(mixture.density(at).sum() * 0.0005 - 1) < 1e-3
    assert np.allclose(np.sort(mixture.means[:, 0]), [-0.2, 0.1], atol=0.02)
    assert np.allclose(np.sort(mixture.weights), [0.25, 0.75], atol=0.02)


def test_offsets_by_hand():
    true = np.array([[0, 0, 10, 20], [100, 100, 110, 110], [5, 5, 5, 9]], float)
    found = np.array([[1, -2, 10, 22], [0, 0, 9, 10], [300, 300, 310, 310]], float)
    offsets = proposals.offsets_of(true, found)
    assert np.allclose(offsets[0], [0.1, -0.1, 0, 0.1])
    assert np.isnan(offsets[1:]).all()  # not found; no area
    assert np.isnan(proposals.offsets_of(true, np.zeros((0, 4)))).all()


def test_the_baselines_keep_their_promises(planted):
    rng = np.random.default_rng(5)
    unit = np.array([[0.0, 0, 1, 1]])
    kept = wrong_boxes.jittered(500, planted[2].anybody, rng)
    assert kept.shape == (500, 4)
    assert (iou(unit, unit + kept) > 0.5).all()
    drawn = wrong_boxes.uniform(2000, 0.3, rng)
    middle, log = (drawn[:, :2] + drawn[:, 2:]) / 2, np.log(1 + drawn[:, 2:] - drawn[:, :2])
    assert np.abs(middle).max() <= 0.3
    assert np.abs(log).max() <= 0.45 + 1e-9
    assert np.abs(middle.mean(0)).max() < 0.02


def test_boxes_that_end_at_the_joints_grow_and_others_stay():
    data = people(np.stack([STAND] * 2), np.random.default_rng(6))
    low, high = data.boxes[:, :2], data.boxes[:, 2:]
    boxes = data.boxes.copy()
    boxes[1] += [-9, -9, 9, 9]
    grown = with_margin(boxes, data.keypoints)
    assert np.allclose(
        grown[0],
        np.concatenate([low[0] - 0.15 * (high - low)[0], high[0] + 0.15 * (high - low)[0]]),
    )
    assert np.array_equal(grown[1], boxes[1])


def test_saved_and_loaded_is_the_same_and_other_files_are_refused(planted, tmp_path):
    _, _, fitted = planted
    fitted.save(tmp_path / "p.json")
    again = proposals.load(tmp_path / "p.json")
    assert np.allclose(again.atoms, fitted.atoms, atol=1e-4)
    assert np.allclose(again.anybody.moments()[1], fitted.anybody.moments()[1], atol=1e-5)
    curves.draw_proposals(again, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 5000
    (tmp_path / "odd.json").write_text(json.dumps({"atoms": []}))
    for name in ("odd.json", "missing.json"):
        with pytest.raises(DataError, match=name):
            proposals.load(tmp_path / name)
    with pytest.raises(OptionError, match="unknown proposals"):
        wrong_boxes.wrong_boxes("gaussian", 0.1, COCO17)
    with pytest.raises(DataError, match=r"missing\.json"):
        wrong_boxes.wrong_boxes(f"pgpg:{tmp_path / 'missing.json'}", 0.1, COCO17)


def test_too_little_to_fit_is_said(planted):
    data, offsets, _ = planted
    few = data.select(np.arange(15))
    with pytest.raises(DataError, match="too few"):
        proposals.fit(
            [few], [(few, offsets[:15])], atoms=2, gaussians=1, rng=np.random.default_rng(0)
        )
    nobody = np.full_like(offsets, np.nan)
    with pytest.raises(DataError, match="20 needed"):
        proposals.fit([data], [(data, nobody)], atoms=2, gaussians=1, rng=np.random.default_rng(0))
