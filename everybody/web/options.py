"""What a job may be asked to do: the flags of `run` that name no file of the server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..errors import EverybodyError, unknown
from ..follow import Follow
from ..lift.lifter import Lift
from ..media.read import Selection
from ..methods import METHODS
from ..nms import pose_nms
from ..options import FindOptions, Options, PoseOptions
from ..weights import manifest

Seconds = Annotated[str, Field(max_length=40)]
Name = Annotated[str, Field(max_length=100)]


class JobOptions(BaseModel):
    """Meanings and defaults are those of `everybody run`. smooth: true is one-euro."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: Name | None = None
    method: Name | None = None
    detector: Name | None = None
    pose: Name | None = None
    det_score: float = Field(default=FindOptions().score, ge=0, le=1)
    min_size: float = Field(default=0.0, ge=0)
    max_people: int | None = Field(default=None, ge=1, le=100_000)
    tiles: tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]] = (1, 1)
    det_turns: int = Field(default=0, ge=0, le=4)
    flip_test: bool = False
    orientation: Literal["any", "upright"] = "any"
    pose_nms: Name = PoseOptions().nms
    track: bool = False
    smooth: bool | Name = False
    detect_every: int = Field(default=0, ge=0, le=100_000)
    keep: Name | None = None
    flow: bool = False
    lift: bool = False
    lifter: Name | None = None
    fov: float | None = None
    height: float | None = None
    start: Seconds | None = None
    end: Seconds | None = None
    every: Seconds | None = None
    fps: float | None = Field(default=None, gt=0, le=100_000)

    @field_validator("model")
    @classmethod
    def _variant(cls, name: str | None) -> str | None:
        try:
            return name if name is None or manifest.variant(name) else None
        except EverybodyError as error:
            raise ValueError(str(error)) from None

    @field_validator("method")
    @classmethod
    def _method(cls, name: str | None) -> str | None:
        if name is not None and name not in METHODS:
            raise ValueError(str(unknown("method", name, METHODS)))
        return name

    @field_validator("detector", "pose", "lifter")
    @classmethod
    def _named(cls, name: str | None) -> str | None:
        """Only names of the manifest: a path would let strangers load files of the server."""
        known = manifest.load()[0]
        if name is not None and name not in known:
            raise ValueError(str(unknown("model", name, known)))
        return name

    def given(self) -> dict[str, Any]:
        """What was asked for, as run.json records it."""
        return self.model_dump(exclude_defaults=True)

    def settled(self, model: str) -> JobOptions:
        """The same with this pair of models where none is named, so that it resumes as it began."""
        if self.model or self.method or self.detector or self.pose:
            return self
        return self.model_copy(update={"model": model})

    def estimator(self) -> Options:
        """For `Estimator`."""
        return Options(
            method=self.method,
            model=self.model,
            find=FindOptions(
                detector=self.detector,
                score=self.det_score,
                min_size=self.min_size,
                max_people=self.max_people,
                tiles=self.tiles,
                turns=self.det_turns,
            ),
            pose=PoseOptions(
                model=self.pose,
                flip_test=self.flip_test,
                orientation=self.orientation,
                nms=self.pose_nms,
            ),
        )

    def follow(self) -> Follow | None:
        smooth = "one-euro" if self.smooth is True else self.smooth or None
        asked = self.track or smooth or self.keep or self.flow or self.detect_every
        if not (asked or self.in_space()):
            return None
        return Follow(smooth=smooth, detect_every=self.detect_every, keep=self.keep, flow=self.flow)

    def in_space(self) -> Lift | None:
        """None unless something was asked for that needs it. Raises OptionError."""
        if not self.lift and (self.lifter, self.fov, self.height) == (None, None, None):
            return None
        return Lift(model=self.lifter, fov=self.fov, height=self.height)

    def selection(self) -> Selection:
        """Nothing but pictures and videos is opened: no lists, playlists, addresses, cameras."""
        return Selection.parse(self.start, self.end, self.every, fps=self.fps, trusted=False)

    def check(self) -> JobOptions:
        """Itself, if it makes sense. Raises OptionError."""
        self.follow()
        self.selection()
        pose_nms(self.pose_nms)
        return self
