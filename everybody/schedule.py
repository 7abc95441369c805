"""Order-preserving concurrency for chains of generators: work goes on ahead, bounded, and results
come out in order.

Two functions carry the whole pipeline. `ahead` runs an iterator in a thread of its own, at most
`depth` items ahead of the consumer. `mapped` applies a function to each item in a pool of workers.
Both hold a bounded number of items, so an endless stream runs in constant memory; both pass an
error on at the place of the item that caused it; and closing the generator (also by an error or
Ctrl-C downstream) stops what is upstream. No stage waits for one after it, so none can deadlock
another.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import closing
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_POLL = 0.1  # seconds between looks at whether the consumer has gone
_PATIENCE = 5.0  # seconds to wait for a producer to notice; a source that hangs longer is left to its daemon thread


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
    """Items gathered into lists that end as soon as `full(list)`; the last may be shorter."""
    group: list[T] = []
    try:
        for item in items:
            group.append(item)
            if full(group):
                yield group
                group = []
        if group:
            yield group
    finally:
        _close(items)


def flattened(groups: Iterable[Iterable[T]]) -> Iterator[T]:
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
