"""Cameras from pictures of a board: first each lens by itself (Zhang 2000), then where all stand.

Two cameras that see the board at the same moment know where they stand to each other; the pairs
that share most moments join all cameras to the first. From there all cameras and all places of the
board move together until corners lie best (bundle adjustment, Triggs et al. 2000), the lenses
staying as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix
from scipy.spatial.transform import Rotation

from ..errors import DataError
from ..geometry import Array
from .boards import Board, Sighting
from .cameras import Camera, moved

Sightings = Mapping[int, Sighting]  # by moment

VIEWS = 4  # pictures of the board that a lens needs
MOST = 60  # pictures that a lens is told from, and moments that places are
ALIKE = 5.0  # degrees between boards: less tells no focal length, however near and far they are
BENT = 1000.0  # distortion beyond that of any lens: it made up for a wrong focal length
USUAL = 0.2  # pixels that corners of real films lie off, at least
UNSURE = 0.05  # share by which the focal length may be unsure
OUTLIER = 3.0  # times the median error of a picture beyond which it is left out
# The camera's axes, held level, in a world whose z is up and whose y is ahead.
LEVEL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Cameras, and by name the median pixels that corners lie off: of the lens, and with all."""

    cameras: list[Camera]
    lens: dict[str, float]
    together: dict[str, float]


def calibrate(
    board: Board,
    films: Mapping[str, Sightings],
    sizes: Mapping[str, tuple[int, int]],
    *,
    floor: int | None = None,
    known: Mapping[str, Camera] | None = None,
) -> Calibration:
    """Sightings of a board by camera and moment -> the cameras, in metres.

    floor: a moment at which the board lies on the floor, face up: it becomes the world's x, y and
    z = 0, z up. None: the world is the first camera's, held level. known: cameras whose lenses need
    not be found again. Raises DataError that names the camera and what to film.
    """
    cameras, lens = [], {}
    for name, sightings in films.items():
        if known and name in known:
            camera, error = known[name], float("nan")
        else:
            camera, error = calibrate_lens(board, name, list(sightings.values()), sizes[name])
        cameras.append(camera)
        lens[name] = error
    if len(cameras) == 1 and floor is None:
        return Calibration(cameras, lens, {})
    if len(cameras) > 1 and board.turnable:
        columns, rows = board.corners
        raise DataError(
            f"a chessboard of {columns} × {rows} corners looks the same when turned, so several "
            "cameras cannot agree on it: use one with an odd and an even number, or a ChArUco board"
        )
    cameras, places = _placed(board, cameras, list(films.values()))
    cameras, places, together = _adjusted(board, cameras, list(films.values()), places)
    cameras = _world(cameras, places, floor)
    return Calibration(cameras, lens, together)


def calibrate_lens(
    board: Board, name: str, sightings: Sequence[Sighting], size: tuple[int, int]
) -> tuple[Camera, float]:
    """Sightings of one camera -> the camera, standing at the origin, and the pixels (root of the
    mean square) that corners lie off.

    Raises DataError where they are too few or too much alike to tell the focal length.
    """
    seen = [sighting for sighting in sightings if board.flat(sighting)]
    if len(seen) < VIEWS:
        raise DataError(
            f"camera {name}: the board of {board.columns}x{board.rows} is found in {len(seen)} "
            f"pictures, expected {VIEWS} or more: hold it larger, whole and still, and check its "
            "numbers of corners"
        )
    picks = np.unique(np.linspace(0, len(seen) - 1, min(MOST, len(seen))).round().astype(int))
    seen = [seen[n] for n in picks]
    error, matrix, bend, tilt, spread, each = _lens(board, name, seen, size)
    usual = float(np.median(each))
    kept = [s for s, e in zip(seen, each, strict=True) if e <= OUTLIER * usual]
    if VIEWS <= len(kept) < len(seen):
        error, matrix, bend, tilt, spread, _ = _lens(board, name, kept, size)
    focal = matrix[0, 0]
    # Deviations are by what is left over, which may be hardly anything, as of still pictures.
    unsure = float(spread[0]) * max(1.0, USUAL / max(float(error), 1e-9))
    told = np.isfinite(matrix).all() and focal > 0 and unsure < UNSURE * focal
    if not told or tilt < ALIKE or not np.abs(bend).max() < BENT:
        raise DataError(
            f"camera {name}: the board is seen in poses too much alike to tell the focal length: "
            "tilt it by 30 to 45 degrees to all sides, near and far, up to the picture's corners"
        )
    return Camera(name, matrix, np.eye(3), np.zeros(3), bend.ravel()[:4], size), float(error)


def _lens(
    board: Board, name: str, seen: Sequence[Sighting], size: tuple[int, int]
) -> tuple[float, Array, Array, float, Array, Array]:
    """Error, matrix, distortion, degrees between those two poses of the board that are tilted most
    unlike, standard deviations of the focal lengths and so on, error each.
    """
    objects = [board.points[s.ids].astype(np.float32) for s in seen]
    pixels = [s.pixels.astype(np.float32) for s in seen]
    try:
        out = cv2.calibrateCameraExtended(
            objects, pixels, size, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3
        )
    except cv2.error:
        raise DataError(
            f"camera {name}: no lens can be told from its pictures of the board: are the corners "
            "of all of them in a line?"
        ) from None
    error, matrix, bend, turns, _, spread, _, each = out
    normals = Rotation.from_rotvec(np.reshape(turns, (-1, 3))).as_matrix()[:, :, 2]
    tilt = float(np.degrees(np.arccos(np.clip(normals @ normals.T, -1, 1).min())))
    matrix, bend = np.asarray(matrix, np.float64), np.asarray(bend, np.float64)
    spread, each = np.asarray(spread, float).ravel(), np.asarray(each, float).ravel()
    return error, matrix, bend, tilt, spread, each


# --- where they stand


def _pose(board: Board, camera: Camera, seen: Sighting) -> Array:
    """[4, 4]: the board's axes into the camera's."""
    slopes = camera.slopes(seen.pixels)
    _, turn, shift = cv2.solvePnP(
        board.points[seen.ids], slopes, np.eye(3), np.zeros(4), flags=cv2.SOLVEPNP_IPPE
    )
    turn, shift = cv2.solvePnPRefineLM(
        board.points[seen.ids], slopes, np.eye(3), np.zeros(4), turn, shift
    )
    out = np.eye(4)
    out[:3, :3] = Rotation.from_rotvec(turn.ravel()).as_matrix()
    out[:3, 3] = shift.ravel()
    return out


def _placed(
    board: Board, cameras: Sequence[Camera], films: Sequence[Sightings]
) -> tuple[list[Camera], dict[int, Array]]:
    """First guess: cameras in the first one's axes, and the board [4, 4] in them at each moment."""
    poses = [
        {moment: _pose(board, camera, seen) for moment, seen in film.items() if board.flat(seen)}
        for camera, film in zip(cameras, films, strict=True)
    ]
    shared = {
        (a, b): sorted(poses[a].keys() & poses[b].keys())
        for a in range(len(cameras))
        for b in range(len(cameras))
        if a != b
    }
    where = {0: np.eye(4)}  # the first camera's axes into each camera's
    while len(where) < len(cameras):
        edges = [(len(m), a, b) for (a, b), m in shared.items() if a in where and b not in where]
        count, a, b = max(edges, key=lambda edge: edge[0])
        if not count:
            alone = ", ".join(c.name for n, c in enumerate(cameras) if n not in where)
            raise DataError(
                f"cameras {alone} never see the board at the same moment as the others: show it to "
                "two cameras at a time, all the way around, with films that start together"
            )
        steps = [poses[b][m] @ np.linalg.inv(poses[a][m]) for m in shared[a, b]]
        where[b] = _middle(steps) @ where[a]
    placed = [
        replace(camera, rotation=where[n][:3, :3], translation=where[n][:3, 3])
        for n, camera in enumerate(cameras)
    ]
    moments: dict[int, list[Array]] = {}
    for n, found in enumerate(poses):
        for moment, pose in found.items():
            moments.setdefault(moment, []).append(np.linalg.inv(where[n]) @ pose)
    return placed, {moment: _middle(found) for moment, found in sorted(moments.items())}


def _middle(poses: Sequence[Array]) -> Array:
    """The one that is nearest to all others: their median, which an outlier does not move."""
    every = np.stack(poses)
    apart = np.linalg.norm(every[:, None] - every[None], axis=(2, 3))
    return every[np.argmin(apart.sum(1))]


def _adjusted(
    board: Board,
    cameras: Sequence[Camera],
    films: Sequence[Sightings],
    places: Mapping[int, Array],
) -> tuple[list[Camera], dict[int, Array], dict[str, float]]:
    """Bundle adjustment; the first camera stays. Also the median pixels off, by camera."""
    moments = list(places)
    if len(moments) > MOST:  # those that most cameras see tell most
        counts = {m: sum(m in film for film in films) for m in moments}
        moments = sorted(sorted(moments, key=lambda m: -counts[m])[:MOST])
    rows = [
        (c, moments.index(m), seen.ids, camera.slopes(seen.pixels))
        for c, (camera, film) in enumerate(zip(cameras, films, strict=True))
        for m, seen in film.items()
        if m in moments and board.flat(seen)
    ]
    start = [_vector(camera.pose) for camera in cameras[1:]]
    start += [_vector(places[m]) for m in moments]
    count = len(cameras) - 1

    def off(values: Array) -> Array:
        poses = values.reshape(-1, 6)
        out = []
        for c, m, ids, slopes in rows:
            world = _apply(poses[count + m], board.points[ids])
            inside = _apply(poses[c - 1], world) if c else world
            flat = inside[:, :2] / np.maximum(inside[:, 2:], 1e-6)
            out.append(((flat - slopes) * cameras[c].focal).ravel())
        return np.concatenate(out)

    sizes = [2 * len(ids) for _, _, ids, _ in rows]
    ends = np.cumsum([0, *sizes])
    pattern = lil_matrix((ends[-1], 6 * (count + len(moments))), dtype=np.int8)
    for row, (c, m, _, _) in enumerate(rows):
        for block in ([c - 1] if c else []) + [count + m]:
            pattern[ends[row] : ends[row + 1], 6 * block : 6 * block + 6] = 1
    solved = least_squares(
        off, np.concatenate(start), jac_sparsity=pattern.tocsr(), loss="soft_l1", x_scale="jac"
    )
    poses, away = solved.x.reshape(-1, 6), off(solved.x)
    out = [cameras[0]] + [
        replace(
            camera,
            rotation=Rotation.from_rotvec(pose[:3]).as_matrix(),
            translation=pose[3:].copy(),
        )
        for camera, pose in zip(cameras[1:], poses[:count], strict=True)
    ]
    far: dict[str, list[Array]] = {camera.name: [] for camera in cameras}
    for row, (c, _, _, _) in enumerate(rows):
        part = away[ends[row] : ends[row + 1]].reshape(-1, 2)
        far[cameras[c].name].append(np.linalg.norm(part, axis=1))
    adjusted = {m: _matrix(pose) for m, pose in zip(moments, poses[count:], strict=True)}
    together = {name: float(np.median(np.concatenate(part))) for name, part in far.items() if part}
    return out, {**places, **adjusted}, together


def _world(
    cameras: Sequence[Camera], places: Mapping[int, Array], floor: int | None
) -> list[Camera]:
    """Into the world of the board on the floor, or of the first camera held level."""
    if floor is None:
        return moved(cameras, LEVEL)
    if floor not in places:
        known = ", ".join(map(str, sorted(places)[:12]))
        raise DataError(
            f"at frame {floor} no camera sees the board; it is seen at {known}"
            f"{' …' if len(places) > 12 else ''}"
        )
    # The board's z points into the floor.
    board = places[floor] @ np.diag([1.0, -1.0, -1.0, 1.0])
    back = np.linalg.inv(board)
    return moved(cameras, back[:3, :3], back[:3, 3])


def _vector(pose: Array) -> Array:
    return np.concatenate([Rotation.from_matrix(pose[:3, :3]).as_rotvec(), pose[:3, 3]])


def _matrix(vector: Array) -> Array:
    out = np.eye(4)
    out[:3, :3] = Rotation.from_rotvec(vector[:3]).as_matrix()
    out[:3, 3] = vector[3:]
    return out


def _apply(vector: Array, points: Array) -> Array:
    return points @ Rotation.from_rotvec(vector[:3]).as_matrix().T + vector[3:]
