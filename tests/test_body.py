"""Laws of the rigid body: what is reached is found again, the world and mirrors change nothing, and
OpenSim's kinematics come out the same.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from everybody.errors import DataError, OptionError
from everybody.lift.angles import (
    compose,
    decompose,
    joint_angles,
    joints_of,
    relative,
    segment_axes,
)
from everybody.lift.body import Animation, Body, tree_skeleton
from everybody.lift.cameras import Camera
from everybody.lift.inverse import posture, refine, solve, solve_picture, terms_of
from everybody.lift.limits import LIMITS
from everybody.lift.measure import fit_body, rest_direction
from everybody.lift.motion import AXES, Motion, even, motions
from everybody.lift.rotations import exp, log, log_slope, nearest
from everybody.lift.rules import RULES, Rules
from everybody.lift.terms import Limits, Picture, Places, Rest, State, Turns
from everybody.people import Poses3D
from everybody.skeletons import CMU24, COCO17, H36M17, HALPE26, Skeleton

from . import osim

EXACT = Rules(
    joint=0.001, outlier=1e6, limit=1e3, rest=1e6, girdle=1e3, turning=0, steps=60, enough=1e-14
)


def at_rest(skeleton: Skeleton) -> Body:
    """A body of a skeleton, 1.7 m tall or so, with its joints where `fit_body` puts them."""
    lengths = {"hip": 0.12, "knee": 0.42, "ankle": 0.41, "shoulder": 0.18, "elbow": 0.29}
    places = {"pelvis": np.array([0, 0, 0.95]), "torso": np.array([0, 0, 0.95])}
    heights = {"spine": 0.13, "chest": 0.26, "neck": 0.5, "thorax": 0.5, "upper_neck": 0.58}
    places |= {name: np.array([0, 0, 0.95 + up]) for name, up in heights.items()}
    for name in skeleton.joints:
        side, _, stem = name.partition("_")
        part = stem if side in ("left", "right") else name
        if name in places:
            continue
        base = {"knee": "hip", "ankle": "knee", "elbow": "shoulder", "wrist": "elbow"}.get(part)
        base = base or {"ball": "ankle", "toe": "ball", "hand": "wrist", "hip": ""}.get(part)
        base = {"big_toe": "ankle", "small_toe": "ankle", "heel": "ankle"}.get(part, base)
        start = places[f"{side}_{base}"] if base else places["pelvis" if part == "hip" else "neck"]
        places[name] = start + rest_direction(name) * lengths.get(part, 0.15)
    joints = np.stack([places[name] for name in skeleton.joints])
    return fit_body(Motion(skeleton, joints[None], np.zeros(1)))


def drawn(body: Body, count: int, seed: int = 0, size: float = 0.4) -> Animation:
    """A body that moves smoothly and at random, inside the limits of its joints."""
    rng = np.random.default_rng(seed)
    time = np.arange(count) / 30
    waves = rng.normal(size=(3, len(body), 3)) * size / 3
    swing = sum(
        np.sin((n + 1) * time + rng.uniform(0, 6))[:, None, None] * wave
        for n, wave in enumerate(waves)
    )
    turns = exp(swing)
    if body.name.endswith("+"):  # its neck is the middle of the shoulders
        turns[:, [j for j, name in enumerate(body.joints) if "collar" in name]] = np.eye(3)
    axes = segment_axes(body)
    for found in joints_of(body):
        kind = found.name.split("_")[-1]
        if kind not in ("knee", "elbow", "hip", "ankle", "wrist"):
            continue
        low, high = np.array(LIMITS[kind]).T
        middle, reach = (low + high) / 2, (high - low) / 2
        said = middle + reach * 0.8 * np.sin(
            time[:, None] * rng.uniform(0.5, 2, 3) + rng.uniform(0, 6, 3)
        )
        turn = compose(said * found.joint.signs, "ZXY")
        if found.mirrored:
            turn = np.diag([1, 1, -1]) @ turn @ np.diag([1, 1, -1])
        turns[:, found.distal] = axes[found.proximal] @ turn @ axes[found.distal].T
    root = np.stack([time, np.sin(time), 0.9 + 0 * time], 1)
    return Animation(body, root, turns, time)


BODIES = {skeleton.name: at_rest(skeleton) for skeleton in (H36M17, CMU24, COCO17, HALPE26)}
HUMAN = pytest.mark.parametrize(
    "skeleton", [H36M17, CMU24, COCO17, HALPE26], ids=lambda skeleton: skeleton.name
)


def away(one: Motion, other: Motion) -> float:
    return float(np.nanmax(np.linalg.norm(one.places - other.places, axis=2)))


# --- kinematics


@HUMAN
def test_what_a_body_reaches_is_found_again(skeleton):
    body = BODIES[skeleton.name]
    truth = drawn(body, 8).motion(skeleton)
    assert away(solve(body, truth, rules=EXACT).motion(skeleton), truth) < 1e-4
    assert away(solve(body, truth).motion(skeleton), truth) < 0.01


@HUMAN
def test_a_body_is_measured_on_its_motion(skeleton):
    body = BODIES[skeleton.name]
    truth = drawn(body, 20).motion(skeleton)
    noisy = replace(truth, joints=truth.joints + np.r_[0.004, 0.004, 0.004, 0] *
                    np.random.default_rng(0).normal(size=truth.joints.shape))  # fmt: skip
    found = fit_body(noisy)
    assert found.joints == body.joints
    assert np.abs(found.lengths - body.lengths).max() < 0.012
    assert np.abs(fit_body(truth).lengths - body.lengths).max() < 1e-9


def test_bones_of_a_tracked_person_keep_their_lengths():
    body = BODIES["cmu-24"]
    truth = drawn(body, 30).motion(CMU24)
    noise = 0.02 * np.random.default_rng(1).normal(size=truth.places.shape)
    seen = replace(truth, joints=truth.places + noise)
    found = solve(fit_body(seen), seen, rules=replace(RULES, joint=0.02)).motion(CMU24)
    parents = np.array(CMU24.parents)
    lengths = np.linalg.norm(found.places - found.places[:, parents], axis=2)[:, 1:]
    hung = [k for k, name in enumerate(CMU24.joints[1:]) if "shoulder" not in name]
    assert (lengths.std(0) / lengths.mean(0))[hung].max() < 1e-6
    assert away(found, truth) < 0.06
    error = np.linalg.norm(found.places - truth.places, axis=2).mean()
    assert error < 0.6 * np.linalg.norm(noise, axis=2).mean()


def test_turning_the_world_turns_the_answer():
    body = BODIES["h36m-17"]
    truth = drawn(body, 12).motion(H36M17)
    world = Rotation.random(random_state=1).as_matrix()
    turned = replace(truth, joints=truth.places @ world.T + (3, 2, 1))
    one, other = solve(body, truth), solve(body, turned)
    assert np.allclose(one.places @ world.T + (3, 2, 1), other.places, atol=1e-5)
    names = [name for name in joint_angles(one) if not name.startswith("pelvis")]
    for name in names:
        gap = joint_angles(one)[name] - joint_angles(other)[name]
        assert np.abs((gap + 180) % 360 - 180).max() < 0.1, name


def test_mirrored_poses_have_mirrored_angles():
    body = BODIES["cmu-24"]
    truth = drawn(body, 12).motion(CMU24)
    mirrored = replace(truth, joints=truth.places[:, list(CMU24.mirror)] * (1, -1, 1))
    one, other = (joint_angles(solve(body, motion)) for motion in (truth, mirrored))
    for name, values in one.items():
        side, _, rest = name.partition("_")
        if side in ("left", "right"):
            partner = other[("right_" if side == "left" else "left_") + rest]
            gap = (values - partner + 180) % 360 - 180
            assert np.abs(gap).max() < 0.5, name
        elif name.endswith(("bending", "list", "_rotation")):
            assert np.abs((values + other[name] + 180) % 360 - 180).max() < 0.5, name
        else:
            assert np.abs((values - other[name] + 180) % 360 - 180).max() < 0.5, name


def test_gaps_are_bridged_and_one_frame_is_enough():
    body = BODIES["h36m-17"]
    truth = drawn(body, 30).motion(H36M17)
    joints = truth.joints.copy()
    joints[10:14] = np.nan
    joints[:, H36M17.joints.index("left_wrist"), 3] = 0
    joints[3, 4, 0] = np.inf
    found = solve(body, replace(truth, joints=joints)).motion(H36M17)
    known = [k for k, name in enumerate(H36M17.joints) if name != "left_wrist"]
    assert np.linalg.norm((found.places - truth.places)[:, known], axis=2).max() < 0.05
    assert np.isfinite(found.places).all()

    keep = np.delete(np.arange(30), [5, 6, 20])
    uneven = replace(truth, joints=truth.joints[keep], times=truth.times[keep])
    assert len(solve(body, uneven)) == 30
    single = replace(truth, joints=truth.joints[:1], times=truth.times[:1])
    assert away(solve(fit_body(single), single).motion(H36M17), single) < 0.01


def test_what_cannot_be_solved_says_so():
    body = BODIES["h36m-17"]
    nobody = Motion(H36M17, np.full((3, 17, 3), np.nan), np.arange(3))
    for call in (lambda: solve(body, nobody), lambda: fit_body(nobody)):
        with pytest.raises(DataError, match="never seen"):
            call()
    blind = Motion(tree_skeleton("two", ("a", "b")), np.zeros((1, 2, 3)), np.zeros(1))
    with pytest.raises(DataError, match="no pelvis"):
        fit_body(blind)
    with pytest.raises(OptionError, match="joint 0"):
        Rules(joint=0)
    with pytest.raises(ValueError, match="one root"):
        Body("x", ("a", "b"), (-1, -1), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="rise"):
        Motion(H36M17, np.zeros((2, 17, 3)), np.zeros(2))


def test_any_tree_of_joints_is_a_body():
    parents = (-1, 0, 1, 2, 1)
    worm = tree_skeleton("worm", ("a", "b", "c", "d", "e"), parents)
    offsets = np.array([[0, 0, 0], [0, 0, 1], [0, 0.5, 0.5], [0, 0, 0.7], [0, -0.5, 0]])
    truth = drawn(Body("worm", worm.joints, parents, offsets), 10).motion(worm)
    assert away(solve(fit_body(truth), truth, rules=EXACT).motion(worm), truth) < 1e-4


# --- slopes and minimum


def states() -> State:
    animation = drawn(BODIES["cmu-24"], 3, size=1.5)
    return State(animation.body, animation.root, animation.turns)


CAMERA = Camera(
    "camera",
    np.array([[900, 0, 400], [0, 900, 300], [0, 0, 1.0]]),
    np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0.0]]),
    np.array([0.0, 1, 4]),
)


def terms() -> dict:
    body, rng = BODIES["cmu-24"], np.random.default_rng(0)
    joints = np.arange(len(body))
    weights = rng.uniform(0.5, 2, (3, len(body)))
    return {
        "places": Places(joints, rng.normal(size=(3, len(body), 3)), weights, 2.0),
        "picture": Picture(joints, rng.normal(size=(3, len(body), 2)), weights / 99, CAMERA, 3.0),
        "turns": Turns((0, 5, 9), exp(rng.normal(size=(3, 3, 3))), weights[:, :3]),
        "limits": Limits.of(body, 3.0),
        "rest": Rest(rng.uniform(1, 2, len(body.turning))),
    }


@pytest.mark.parametrize("name", terms())
def test_slopes_are_those_of_differences(name):
    state, term = states(), terms()[name]
    residuals, slopes = term(state)
    said, size = slopes(), 3 + 3 * len(state.body.turning)
    step = 1e-6
    for p in range(size):
        moves = np.zeros((3, size))
        moves[:, p] = step
        up, down = (term(state.moved(sign * moves))[0] for sign in (1, -1))
        assert np.allclose((up - down) / (2 * step), said[..., p], atol=2e-4), p
    assert (np.abs(said).sum(2) > 0).any()
    assert residuals.shape == said.shape[:2]


def test_the_minimum_is_that_of_scipy():
    body = BODIES["h36m-17"]
    truth = drawn(body, 1, seed=3).motion(H36M17)
    noisy = truth.places + 0.03 * np.random.default_rng(0).normal(size=truth.places.shape)
    sites = np.array([body.joints.index(name) for name in H36M17.joints])
    goals = Places(sites, noisy, np.full((1, 17), 100.0))
    places = np.full((1, len(body), 3), np.nan)
    places[:, sites] = noisy
    start = posture(body, places)
    rules = replace(RULES, steps=100, enough=1e-12)
    every = terms_of(body, [goals], rules)

    def residuals(moves: np.ndarray) -> np.ndarray:
        return np.concatenate([term(start.moved(moves[None]))[0][0] for term in every])

    found = refine(start, [goals], np.zeros(1), rules)
    ours = sum(float(np.square(term(found)[0]).sum()) for term in every)
    theirs = least_squares(residuals, np.zeros(3 + 3 * len(body.turning)), xtol=1e-12)
    assert ours <= 2 * theirs.cost * 1.001


def test_rotations_are_those_of_scipy():
    vectors = np.random.default_rng(0).normal(size=(20, 3)) * 1.2
    vectors[0] = 0
    assert np.allclose(log(exp(vectors)), Rotation.from_rotvec(vectors).as_rotvec())
    small = 1e-6 * np.random.default_rng(1).normal(size=(20, 3))
    gap = log(exp(small) @ exp(vectors)) - log(exp(vectors))
    assert np.allclose(gap, (log_slope(log(exp(vectors))) @ small[..., None])[..., 0], atol=1e-10)
    assert np.allclose(nearest(exp(vectors) * 3), exp(vectors))
    for order in ("ZXY", "YXY"):
        matrices = Rotation.random(50, random_state=0).as_matrix()
        assert np.allclose(compose(decompose(matrices, order), order), matrices)


# --- a picture


def test_a_body_is_found_in_a_picture_from_a_start_nearby():
    body = BODIES["coco-17"]
    truth = drawn(body, 10)
    points = CAMERA.onto(truth.places)
    seen = np.concatenate([points, np.ones_like(points[..., :1])], 2)
    start = replace(truth, root=truth.root + 0.05, turns=exp(
        0.1 * np.random.default_rng(0).normal(size=(10, len(body), 3))) @ truth.turns)  # fmt: skip
    found = solve_picture(body, seen, truth.times, CAMERA, start=start)
    assert np.abs(CAMERA.onto(found.places) - points).max() < 6
    before = np.linalg.norm(start.places - truth.places, axis=2).mean()
    assert np.linalg.norm(found.places - truth.places, axis=2).mean() < 0.6 * before


def test_a_standing_body_is_found_in_a_picture_without_a_start():
    body = BODIES["coco-17"]
    turns = np.eye(3)[None, None].repeat(4, 0).repeat(len(body), 1)
    truth = Animation(body, np.tile([0.2, 0.1, 0.9], (4, 1)), turns, np.arange(4) / 30)
    points = CAMERA.onto(truth.places)
    seen = np.concatenate([points, np.ones_like(points[..., :1])], 2)
    seen[1, 3] = np.nan
    found = solve_picture(body, seen, truth.times, CAMERA)
    assert np.linalg.norm(found.places - truth.places, axis=2).mean() < 0.08
    with pytest.raises(OptionError, match="expected"):
        solve_picture(body, seen[:, :3], truth.times, CAMERA)


# --- angles


def test_angles_of_known_postures():
    body = BODIES["cmu-24"]
    place = {name: j for j, name in enumerate(body.joints)}
    turns = np.eye(3)[None, None].repeat(1, 0).repeat(len(body), 1)

    def about(axis: int, degrees: float) -> np.ndarray:
        return Rotation.from_rotvec(np.radians(degrees) * np.eye(3)[axis]).as_matrix()

    turns[0, place["left_hip"]] = about(1, -60)  # forward: about our y to the left, z to x
    turns[0, place["left_knee"]] = about(1, 80)
    turns[0, place["right_hip"]] = about(0, -20)  # outward
    turns[0, place["left_ankle"]] = about(1, -10)
    turns[0, place["right_elbow"]] = about(2, 70)  # arms held out: forward
    turns[0, place["torso"]] = about(1, 25)
    turns[0, place["left_shoulder"]] = about(0, -90)  # hangs
    turns[0, place["right_shoulder"]] = about(2, 40)
    animation = Animation(body, np.zeros((1, 3)), turns, np.zeros(1))
    angles = {name: float(values[0]) for name, values in joint_angles(animation).items()}
    expected = {
        "left_hip_flexion": 60, "left_knee_flexion": 80, "right_hip_adduction": -20,
        "left_ankle_dorsiflexion": 10, "right_elbow_flexion": 70, "left_hip_adduction": 0,
        "left_shoulder_elevation": 0, "right_shoulder_elevation": 90, "right_shoulder_plane": 40,
        "right_knee_flexion": 0, "pelvis_tilt": 0, "left_elbow_flexion": 0,
    }  # fmt: skip
    for name, degrees in expected.items():
        assert angles[name] == pytest.approx(degrees, abs=1e-6), name
    arms = joint_angles(animation, arms="ZXY")
    assert arms["left_shoulder_adduction"][0] == pytest.approx(0, abs=1e-6)


# --- OpenSim


@pytest.fixture(scope="module")
def balancing():
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "motion3d" / "kinematics"
    if not folder.is_dir():
        pytest.skip("needs ../shared (OpenSim's kinematics of the balancing trial)")
    return (
        osim.read_joints(folder / "Model_LSTM_scaled.osim.gz"),
        osim.read_mot(folder / "BalancingTrial_LSTM.mot.gz"),
        osim.read_bodies(folder / "BalancingTrial_LSTM_bodies.csv.gz"),
    )


CHAINS = (
    "pelvis sacrum femur_r femur_l lumbar5 lumbar4 lumbar3 lumbar2 lumbar1 torso head",
    "tibia_r talus_r calcn_r toes_r",
    "tibia_l talus_l calcn_l toes_l",
    "scapulaPhantom_r humerus_r ulna_r radius_r hand_r",
    "scapulaPhantom_l humerus_l ulna_l radius_l hand_l",
)


@pytest.mark.parametrize("names", CHAINS, ids=lambda names: names.split()[0])
def test_bodies_of_opensim_lie_where_it_puts_them(balancing, names):
    joints, coordinates, bodies = balancing
    first, *others = names.split()
    up = np.eye(3)[osim.UP]
    found = osim.chain(
        joints, [first, *others], coordinates, bodies[first][0] @ up, up.T @ bodies[first][1]
    )
    for name in others:
        j = found.body.joints.index(name)
        assert np.abs(found.places[:, j] @ up.T - bodies[name][0]).max() < 1e-5, name
        assert np.abs(up @ found.orientations[:, j] - bodies[name][1]).max() < 1e-5, name


def test_angles_are_those_of_opensim(balancing):
    _, coordinates, bodies = balancing
    names = ("pelvis", "femur_r", "femur_l", "torso", "humerus_r", "humerus_l")
    orientations = np.stack([bodies[name][1] for name in names], 1)
    axes = np.eye(3)[None].repeat(len(names), 0)
    found = {f.name: f for f in joints_of(BODIES["cmu-24"])}
    for side, femur, humerus in (("right", 1, 4), ("left", 2, 5)):
        hip = replace(found[f"{side}_hip"], proximal=0, distal=femur)
        said = decompose(relative(hip, axes, orientations), "ZXY")
        for n, what in enumerate(("flexion", "adduction", "rotation")):
            theirs = coordinates[f"hip_{what}_{side[0]}"]
            assert np.abs(said[:, n] - theirs).max() < 1e-4, (side, what)
        shoulder = replace(found[f"{side}_shoulder"], proximal=3, distal=humerus)
        said = decompose(relative(shoulder, axes, orientations), "YXY") * (1, -1, 1)
        gap = said[:, 1] - coordinates[f"sh_elev_{side[0]}"]
        assert np.abs(gap).max() < 10  # theirs turns about a tilted axis, and counts below zero


# --- motions


def test_poses_become_motions_by_their_ids():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 17, 4)), rng.normal(size=(1, 17, 4))
    first[..., 3], second[..., 3] = 1, 0.5
    rows = [
        (0.0, Poses3D(first, H36M17, np.array([7, 3]))),
        (0.1, Poses3D.empty(H36M17)),
        (0.2, Poses3D(second, H36M17, np.array([3]))),
        (0.2, Poses3D(second, H36M17, np.array([3]))),
    ]
    one, other = motions(rows)
    assert (one.id, len(one), other.id, other.times.tolist()) == (7, 1, 3, [0.0, 0.2])
    assert np.allclose(other.joints[1], second[0], atol=1e-6)
    assert motions([]) == []


def test_even_motions_have_no_gaps():
    times = np.array([0, 0.1, 0.2, 0.5, 0.6])
    joints = np.repeat(times[:, None, None], 17, 1) * (1, 2, 3)
    whole = even(Motion(H36M17, joints, times))
    assert np.allclose(whole.times, np.arange(7) / 10)
    assert np.allclose(whole.joints[..., :3], whole.times[:, None, None] * (1, 2, 3))
    assert whole.joints[:, 0, 3].tolist() == [1, 1, 1, 0, 0, 1, 1]
    assert np.allclose(AXES["world"] @ AXES["world"].T, np.eye(3))
