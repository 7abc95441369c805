"""`Estimator` holds a method's loaded models; `estimate` does one picture, `stream` any source.

    read ──ahead──▶ find (pool) ──▶ pose (pool) ──▶ frames

The stages are the method's (`method.py`); running them is the scheduler's (`schedule.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from . import runtime, schedule
from .errors import EverybodyError, OptionError
from .media.read import Selection, one, read
from .media.sources import flows
from .method import Method, Remark, Remarking
from .methods import on_this_machine, open_method
from .options import Keywords, Options
from .people import Frame, People
from .skeletons import Skeleton

if TYPE_CHECKING:
    from .follow import Follow
    from .lift.lifter import Lift


class Estimator:
    """Finds the people of pictures, and their poses. Holds the loaded models; use it from any
    thread. It is pickled as its options, and loads the models again there.

    Takes `Options`, or their flat keywords (`options.Keywords`): Estimator(model="fast").

    lift: `stream` also puts people into space, by the usual rules or as a `Lift` says.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        lift: bool | Lift = False,
        **keywords: Unpack[Keywords],
    ) -> None:
        if options is not None and keywords:
            raise OptionError("give options or keywords to Estimator, not both")
        self.options = options or Options.of(**keywords)
        self.lift = lift
        settled = on_this_machine(self.options)
        self.workers = settled.workers
        self.method: Method = open_method(settled)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), lift=self.lift), (self.options,)

    @property
    def skeleton(self) -> Skeleton:
        return self.method.skeleton

    def models(self) -> list[dict[str, str]]:
        """Which files are loaded: task, name, path, sha256, engine and device of each."""
        return [runtime.describe(task, session) for task, session in self.method.sessions.items()]

    def remarks(self) -> list[Remark]:
        """What a user should know at the end of a run, as boxes that belong to no frame."""
        return self.method.remarks() if isinstance(self.method, Remarking) else []

    def find(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames with their people as they are before the poser; whole, if there is none."""
        stages = self.method.stages
        return schedule.at_once(stages[:-1] if self.method.poser else stages, frames)

    def pose(self, frames: Sequence[Frame]) -> list[Frame]:
        """Frames with boxes -> frames with poses, duplicates removed, most confident person first.
        Raises OptionError for a method without a poser.
        """
        if not self.method.poser:
            raise OptionError(
                "this method finds people and joints at once: it poses no given boxes"
            )
        return schedule.at_once(self.method.stages[-1:], frames)

    def __call__(self, frames: Sequence[Frame]) -> list[Frame]:
        """All stages, at once, in the caller's thread."""
        return schedule.at_once(self.method.stages, frames)

    def estimate(self, source: Any) -> People:
        """The people of one picture: a path, a URL, an array [H, W, 3] RGB or any other source of
        one frame.
        """
        return self([one(source)])[0].people

    def stream(
        self,
        source: Any,
        *,
        select: Selection | None = None,
        after: Mapping[str, int] | None = None,
        max_pixels: int = 200_000_000,
        problem: Callable[[EverybodyError], None] | None = None,
        track: bool | Follow = False,
        lift: bool | Lift | None = None,
    ) -> Iterator[Frame]:
        """The frames of any source with their people, each once and in order; arguments as in
        `media.read.read`. Of a source that does not wait, nothing is read ahead.

        track: give people ids that stay, by the usual rules or as a `Follow` says. lift: put them
        into space too (`Frame.poses3d`), which needs ids; None: as the Estimator was told.
        """
        frames = read(
            source,
            select=select or Selection(),
            after=after,
            max_pixels=max_pixels,
            problem=problem,
        )
        lift = self.lift if lift is None else lift
        if track is False and lift is False:
            return self.frames(frames, live=flows(source))
        from .follow import Follow

        follow = Follow(live=flows(source)) if isinstance(track, bool) else track
        followed = follow(self, frames)
        if lift is False:
            return followed
        from .lift.lifter import Lift, Lifting

        lift = Lift.usual(live=follow.live) if lift is True else lift
        return Lifting(lift, self.options.engine)(followed)

    def frames(
        self, frames: Iterable[Frame], *, live: bool = False
    ) -> Generator[Frame, None, None]:
        """Frames -> the same frames with their people, in order, while the frames after them are
        read and estimated. live: none is read before it can be estimated, and each comes out as
        soon as it is.
        """
        return schedule.run(self.method.stages, frames, workers=self.workers, live=live)


def estimate(source: Any, **keywords: Unpack[Keywords]) -> People:
    """The people of one picture; keywords as in `Estimator`, which saves loading the models again
    for the next one.
    """
    return Estimator(**Keywords(**{"workers": 1, **keywords})).estimate(source)


def stream(
    source: Any,
    *,
    select: Selection | None = None,
    after: Mapping[str, int] | None = None,
    max_pixels: int = 200_000_000,
    problem: Callable[[EverybodyError], None] | None = None,
    track: bool | Follow = False,
    lift: bool | Lift = False,
    **keywords: Unpack[Keywords],
) -> Iterator[Frame]:
    """The frames of any source with their people; the first arguments as in `Estimator.stream`, the
    keywords as in `Estimator`.
    """
    estimator = Estimator(lift=lift, **keywords)
    return estimator.stream(
        source, select=select, after=after, max_pixels=max_pixels, problem=problem, track=track
    )
