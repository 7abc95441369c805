"""The one scheduler: stages over frames, ahead of the consumer, bounded, in order.

`run` carries frames through the stages of a method. `guided` is for work that depends on what came
of earlier frames, as following people does: a guide decides frame by frame what to do. `prompt` is
the same for a camera: it reads nothing ahead and holds no answer back.

    frames ──ahead──▶ stage (pool) ──▶ stage (pool) ──▶ frames

Three functions carry them. `ahead` runs an iterator in a thread of its own, at most `depth` items
ahead of the consumer; `asked` runs it there item by item, when one is asked for. `mapped` applies a
function to each item in a pool of workers. All hold a bounded number of items, so an endless stream
runs in constant memory; all pass an error on at the place of the item that caused it; and closing
the generator (also by an error or Ctrl-C downstream) stops what is upstream. No stage waits for one
after it, so none can deadlock another.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import cv2

from .errors import EverybodyError, Unbroken
from .method import Stage
from .people import Frame

T = TypeVar("T")
R = TypeVar("R")

_POLL = 0.1  # seconds between looks at whether the consumer has gone
# Seconds to wait for a producer to notice; a source that hangs longer is left to its daemon thread.
_PATIENCE = 5.0


def at_once(stages: Sequence[Stage], frames: Sequence[Frame]) -> list[Frame]:
    """Frames through all stages in the caller's thread, as one batch."""
    done = list(frames)
    for stage in stages:
        done = stage.run(done)
    return done


def run(
    stages: Sequence[Stage], frames: Iterable[Frame], *, workers: int, live: bool = False
) -> Generator[Frame, None, None]:
    """The same frames after all stages, each once and in order; at most `workers` calls of stages
    at a time, over all stages. live: as `prompt`.
    """
    if live:
        yield from prompt(_Whole(stages), frames, workers=workers)
        return
    depth = workers + 1
    with _workers(workers) as pool:
        chain: Generator[Frame, None, None] = ahead(frames, depth)
        for stage in stages:
            groups = grouped(chain, stage.full)
            chain = flattened(mapped(partial(named, stage), groups, pool, depth))
        with closing(chain):
            yield from chain


class Guide(Protocol):
    """What decides the work of each frame by what came of the frames before it."""

    def waits(self, frame: Frame) -> bool:
        """Asked first of each frame: whether all frames in hand must be finished before it."""
        ...

    def work(self, frame: Frame) -> Callable[[], Any]:
        """What to do for it, in a worker."""
        ...

    def finished(self, result: Any) -> Frame:
        """What became of the work of the earliest frame in hand -> the frame that comes out."""
        ...


def guided(
    guide: Guide, frames: Iterable[Frame], *, workers: int, most: int
) -> Generator[Frame, None, None]:
    """The frames that a guide makes of these, in order, with `most` of them in hand: what the guide
    knows at each frame does not depend on the number of workers.
    """
    waiting: deque[Future[Any]] = deque()
    with _workers(min(workers, most)) as pool, closing(ahead(frames, most)) as incoming:
        unbroken = Unbroken(incoming)
        for frame in unbroken:
            if guide.waits(frame):
                while waiting:
                    yield guide.finished(waiting.popleft().result())
            waiting.append(pool.submit(guide.work(frame)))
            while len(waiting) >= most:
                yield guide.finished(waiting.popleft().result())
        while waiting:
            yield guide.finished(waiting.popleft().result())
        unbroken.end()


def prompt(guide: Guide, frames: Iterable[Frame], *, workers: int) -> Generator[Frame, None, None]:
    """As `guided`, for a source that does not wait: no frame is read before there is a worker for
    it, and each comes out as soon as it is finished, whether or not another one has come.
    """
    waiting: deque[Future[Any]] = deque()
    coming: Future[Frame | None] | None = None
    with _workers(workers) as pool, asked(frames) as ask:
        while True:
            if coming is None and len(waiting) < workers:
                coming = ask()
            wait([*([coming] if coming else []), *list(waiting)[:1]], return_when=FIRST_COMPLETED)
            if waiting and waiting[0].done():
                yield guide.finished(waiting.popleft().result())
                continue
            assert coming is not None
            ends = coming.exception() is not None or coming.result() is None
            if ends or guide.waits(cast(Frame, coming.result())):
                while waiting:
                    yield guide.finished(waiting.popleft().result())
            frame, coming = coming.result(), None
            if frame is None:
                return
            waiting.append(pool.submit(guide.work(frame)))


class _Whole:
    """The guide that takes each frame through all stages."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages

    def waits(self, frame: Frame) -> bool:
        return False

    def work(self, frame: Frame) -> Callable[[], Frame]:
        return partial(through, self._stages, frame)

    def finished(self, result: Frame) -> Frame:
        return result


def through(stages: Iterable[Stage], frame: Frame) -> Frame:
    """One frame after some stages, in the caller's thread."""
    frames = [frame]
    for stage in stages:
        frames = named(stage, frames)
    return frames[0]


def named(stage: Stage, frames: list[Frame]) -> list[Frame]:
    """The stage's frames; an error says in which stage and at which frame it happened."""
    try:
        return stage.run(frames)
    except Exception as error:
        first = frames[0]
        kind = type(error) if isinstance(error, EverybodyError) else EverybodyError
        where = f"{first.source or 'frame'} [{first.index}]"
        raise kind(f"{stage.name} failed at {where}: {error}") from error


@contextmanager
def _workers(count: int) -> Iterator[Executor]:
    """A pool of so many threads. While it is open, each call of OpenCV runs in its caller's thread:
    the workers are the parallelism, and OpenCV's own pool would fight them for the cores.
    """
    pool = ThreadPoolExecutor(count, "everybody-worker")
    with _serial_opencv:
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Serial:
    """While it is entered at least once, OpenCV uses one thread; then as many as before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered, self._before = 0, 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._entered:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._entered += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._entered -= 1
            if not self._entered:
                cv2.setNumThreads(self._before)


_serial_opencv = _Serial()  # OpenCV has one setting for the whole process, so there is one of these


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The same items, produced in a thread that is at most `depth` of them ahead."""
    done = object()
    waiting: queue.Queue[Any] = queue.Queue(maxsize=max(1, depth))
    stopped = threading.Event()

    def put(item: object) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=_POLL)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        last: tuple[object, BaseException | None] = (done, None)
        iterator = iter(items)
        try:
            for item in iterator:
                if not put((item, None)):
                    break
        except BaseException as error:  # whatever it is, it belongs to the consumer
            last = (done, error)
        finally:
            _close(iterator)
            put(last)

    thread = threading.Thread(target=produce, name="everybody-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is done:
                return
            yield item
    finally:
        stopped.set()
        thread.join(_PATIENCE)


@contextmanager
def asked(items: Iterable[T]) -> Iterator[Callable[[], Future[T | None]]]:
    """What asks for the next item (None after the last), which a thread of its own fetches then."""
    requests: queue.SimpleQueue[Future[T | None] | None] = queue.SimpleQueue()

    def ask() -> Future[T | None]:
        request: Future[T | None] = Future()
        requests.put(request)
        return request

    def serve() -> None:
        iterator = iter(items)
        while (request := requests.get()) is not None:
            try:
                request.set_result(next(iterator, None))
            except BaseException as error:  # whatever it is, it belongs to the consumer
                request.set_exception(error)
        _close(iterator)

    thread = threading.Thread(target=serve, name="everybody-asked", daemon=True)
    thread.start()
    try:
        yield ask
    finally:
        requests.put(None)
        thread.join(_PATIENCE)


def mapped(
    function: Callable[[T], R], items: Iterable[T], pool: Executor, depth: int
) -> Generator[R, None, None]:
    """function(item) for each item, in order, computed in the pool with at most `depth` in hand."""

    def submitted() -> Iterator[Future[R]]:
        try:
            for item in items:
                yield pool.submit(function, item)
        finally:
            _close(items)

    futures = ahead(submitted(), depth)
    with closing(futures):
        for future in futures:
            yield future.result()


def grouped(items: Iterable[T], full: Callable[[list[T]], bool]) -> Iterator[list[T]]:
    """Items gathered into lists that end as soon as `full(list)`; the last may be shorter, and so
    may the one before an error.
    """
    group: list[T] = []
    unbroken = Unbroken(items)
    try:
        for item in unbroken:
            group.append(item)
            if full(group):
                yield group
                group = []
        if group:
            yield group
        unbroken.end()
    finally:
        _close(items)


def flattened(groups: Iterable[Iterable[T]]) -> Generator[T, None, None]:
    """The inverse of `grouped`."""
    try:
        for group in groups:
            yield from group
    finally:
        _close(groups)


def _close(items: object) -> None:
    """End a generator now: garbage collection would, but only once nobody holds its frame, as a
    traceback does.
    """
    if isinstance(items, Generator):
        items.close()
