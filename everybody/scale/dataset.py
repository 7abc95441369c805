"""A Ray Dataset of pictures -> rows of people, to be joined with a pipeline of your own.

dataset = ray.data.read_images("s3://bucket/pictures", include_paths=True)
people = everybody.scale.estimate(dataset, keep=["path"])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..estimator import Estimator
from ..media import images
from ..options import Options
from ..people import Frame, Image, People

if TYPE_CHECKING:
    from ray.data import Dataset


def estimate(
    dataset: Dataset,
    options: Options | None = None,
    *,
    image: str = "image",
    keep: Sequence[str] = (),
    batch: int = 16,
    workers: int | tuple[int, int] = 1,
    cpus: float = 1,
    gpus: float = 0,
) -> Dataset:
    """Rows with a picture ([H, W, 3] RGB uint8, or the bytes of a file) -> a row per person:
    `person` (counts from 0 in each picture), `person_score`, `box` [4], `keypoints` [K, 3], and the
    columns of `keep` of the picture's row. A picture without people has no rows.

    options travel as values; each worker loads the models once. workers: actors, or least and most.
    """
    return dataset.map_batches(
        FindPeople,
        fn_constructor_args=(options or Options(), image, tuple(keep), cpus),
        batch_size=batch,
        concurrency=workers,
        num_cpus=cpus,
        num_gpus=gpus,
    )


class FindPeople:
    """The actor of `estimate`; Ray's dashboard shows the stage under this name."""

    def __init__(
        self, options: Options, image: str, keep: tuple[str, ...], cpus: float = 1
    ) -> None:
        from dataclasses import replace

        engine = options.engine
        if not engine.threads and engine.on_cpu:
            engine = replace(engine, threads=max(1, int(cpus)))
        self._estimator = Estimator(replace(options, engine=engine))
        self._image, self._keep = image, keep

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        if missing := [name for name in (self._image, *self._keep) if name not in batch]:
            raise InputError(
                f"the dataset has no column '{missing[0]}'; it has {', '.join(batch) or 'none'}"
            )
        frames = [Frame(_picture(value, n)) for n, value in enumerate(batch[self._image])]
        found = [frame.people for frame in self._estimator.frames(frames)]
        row = [n for n, people in enumerate(found) for _ in range(len(people))]
        skeleton = self._estimator.skeleton
        whole = [people for people in found if len(people)] or [People.empty(skeleton)]
        people = People.concatenate(whole)
        return {
            **{name: np.asarray(batch[name])[row] for name in self._keep},
            "person": np.array([n for people in found for n in range(len(people))], np.int64),
            "person_score": people.scores,
            "box": people.boxes,
            "keypoints": people.keypoints,
        }


def _picture(value: Any, place: int) -> Image:
    """A cell as a picture. Raises InputError."""
    if isinstance(value, bytes):
        return images.decode(value, f"row {place}")
    picture = np.asarray(value)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(
            f"row {place}: expected a picture [H, W, 3] uint8 RGB or the bytes of a file, got "
            f"{picture.dtype} {list(picture.shape)}"
        )
    return np.ascontiguousarray(picture)
