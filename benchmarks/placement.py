"""Where a data set puts a joint that another data set calls the same: the weights of
`skeletons.PLACED`, and what they are worth.

    everybody run ../shared/data/lspet/train -o results
    python -m benchmarks.placement ../shared/data/lspet/train.npz results --joint left_hip \\
        --of left_hip right_hip left_shoulder

A joint of the data is a sum of the results' joints whose weights add up to 1: so it turns, moves
and grows with the body. Both sides of the body together, least absolute error in sizes of the
person (iteratively reweighted least squares), of the people of whom most joints agree. PCK@0.2 of
the torso is of the third that nothing was fitted on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.common import parsed, parser
from everybody.data.dataset import Dataset
from everybody.data.read import read
from everybody.metrics import pck

AGREE = 0.6  # share of labelled joints within a fifth of the person's size: it is that person
SEEN = 0.2  # score that a result's joints need
HELD = 3  # one person in so many is held back


def pairs(truth: Dataset, results: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Labelled people and the results that are of them: [N, K, 3], [N, K', 3]."""
    rows = results.rows()
    place = {Path(picture.name).name: i for i, picture in enumerate(results.pictures)}
    shared = [name for name in truth.skeleton.joints if name in results.skeleton.joints]
    mine, theirs = (
        [some.skeleton.joints.index(name) for name in shared] for some in (truth, results)
    )
    found = []
    for person, keypoints in enumerate(truth.keypoints):
        others = (
            rows[place[name]]
            if (name := Path(truth.pictures[truth.picture[person]].name).name) in place
            else []
        )
        seen = keypoints[mine, 2] > 0
        if len(others) == 0 or not seen.any():
            continue
        size = np.ptp(keypoints[mine][seen, :2], axis=0).max()
        away = np.linalg.norm(
            results.keypoints[others][:, theirs, :2] - keypoints[mine, :2], axis=2
        )
        agree = (away[:, seen] < 0.2 * size).mean(1)
        if agree.max() >= AGREE:
            found.append((keypoints, results.keypoints[others[agree.argmax()]]))
    labelled, seen = zip(*found, strict=True)
    return np.array(labelled), np.array(seen)


def fit(wanted: np.ndarray, parents: np.ndarray, sizes: np.ndarray, rounds: int = 30) -> np.ndarray:
    """Places [N, 2], of the parents [N, P, 2], sizes [N] -> weights [P] of sum 1."""
    design = (
        ((parents[:, 1:] - parents[:, :1]) / sizes[:, None, None])
        .transpose(0, 2, 1)
        .reshape(-1, len(parents[0]) - 1)
    )
    offset = ((wanted - parents[:, 0]) / sizes[:, None]).ravel()
    weight = np.ones(len(offset))
    for _ in range(rounds):
        others = np.linalg.solve(
            design.T @ (design * weight[:, None]), design.T @ (weight * offset)
        )
        weight = 1 / np.maximum(np.abs(design @ others - offset), 0.005)
    return np.concatenate([[1 - others.sum()], others])


def main() -> None:
    command = parser(__doc__)
    command.add_argument("truth", type=Path)
    command.add_argument("results", type=Path)
    command.add_argument("--joint", required=True, help="of the data, on one side of the body")
    command.add_argument(
        "--of", nargs="+", required=True, help="joints of the results, that of the same name first"
    )
    given = parsed(command)
    truth, results = read(given.truth), read(given.results)
    labelled, found = pairs(truth, results)
    torso = pck.torso_length(labelled, labelled[..., 2] > 0, truth.skeleton)
    sizes = np.ptp(np.where(labelled[..., 2:] > 0, labelled[..., :2], np.nan), axis=1)
    held = np.arange(len(labelled)) % HELD == 0
    sides = []
    for mirror in (False, True):
        joint, of = (
            truth.skeleton.joints.index(given.joint),
            [results.skeleton.joints.index(name) for name in given.of],
        )
        if mirror:
            joint, of = truth.skeleton.mirror[joint], [results.skeleton.mirror[i] for i in of]
        known = (labelled[:, joint, 2] > 0) & (found[:, of, 2] > SEEN).all(1) & np.isfinite(torso)
        sides.append((labelled[:, joint, :2], found[:, of, :2], known))
    lengths = np.nanmax(np.where(np.isfinite(sizes), sizes, 1), axis=1)
    rows = [(wanted, parents, lengths, known & ~held) for wanted, parents, known in sides]
    weights = fit(*(np.concatenate([row[i][row[3]] for row in rows]) for i in range(3)))
    told = [f"{name} {value:.3f}" for name, value in zip(given.of, weights, strict=True)]
    print(f"{len(labelled)} people; {', '.join(told)}")
    for name, place in (("as it is", np.eye(len(weights))[0]), ("placed", weights)):
        close = [
            np.linalg.norm(np.einsum("p,npc->nc", place, parents) - wanted, axis=1)[known & held]
            < 0.2 * torso[known & held]
            for wanted, parents, known in sides
        ]
        print(f"PCK@0.2 {name}: {np.concatenate(close).mean():.3f} of {sum(map(len, close))}")


if __name__ == "__main__":
    main()
