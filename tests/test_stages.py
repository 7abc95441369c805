"""Laws of the stages: order kept, memory bounded, errors arrive at their place, and nobody waits
for ever.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from everybody.schedule import ahead, flattened, grouped, mapped


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def failing(count: int):
    yield from range(count)
    raise KeyError("the source broke")


def test_ahead_keeps_order_and_passes_the_error_on_behind_the_items():
    assert list(ahead(range(100), 3)) == list(range(100))
    items = ahead(failing(5), 2)
    assert [next(items) for _ in range(5)] == list(range(5))
    with pytest.raises(KeyError, match="the source broke"):
        next(items)


def test_results_come_in_order_although_the_work_ends_out_of_order(pool):
    def slow_at_first(item: int) -> int:
        if item < 4:
            evens_done.wait(5) if item % 2 else evens_done.set()
        return item * item

    evens_done = threading.Event()
    assert list(mapped(slow_at_first, range(50), pool, 4)) == [i * i for i in range(50)]


def test_no_more_than_depth_items_are_held(pool):
    taken = []

    def source():
        for i in range(1000):
            taken.append(i)
            yield i

    results = mapped(lambda item: item, source(), pool, 3)
    for expected in range(20):
        assert next(results) == expected
        assert len(taken) <= expected + 1 + 3 + 2  # the queue, one in hand on each side of it
    results.close()
    assert len(taken) < 100


def test_an_error_in_a_worker_arrives_at_its_place(pool):
    def break_at_seven(item: int) -> int:
        if item == 7:
            raise ZeroDivisionError
        return item

    results = mapped(break_at_seven, range(100), pool, 4)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("broken", ["source", "first", "second", "consumer"])
def test_a_chain_ends_wherever_it_breaks(pool, broken):
    """Two mapped stages behind a source; each part in turn fails after some items; all threads come
    to an end.
    """
    before = threading.active_count()

    def stage(name):
        def work(item):
            if broken == name and item == 30:
                raise RuntimeError(name)
            return item

        return work

    source = failing(30) if broken == "source" else range(10_000)
    chain = mapped(stage("second"), mapped(stage("first"), ahead(source, 2), pool, 3), pool, 3)
    seen = []

    def consume():
        for item in chain:
            seen.append(item)
            if broken == "consumer" and item == 30:
                raise RuntimeError("consumer")

    with pytest.raises(
        (RuntimeError, KeyError), match="source broke" if broken == "source" else broken
    ):
        consume()
    chain.close()
    assert seen[:30] == list(range(30))
    end = time.monotonic() + 5
    while threading.active_count() > before + 4 and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert threading.active_count() <= before + 4, "only the pool's own threads are left"


def test_closing_early_closes_the_source(pool):
    closed = threading.Event()

    def source():
        try:
            yield from range(10_000)
        finally:
            closed.set()

    results = mapped(lambda item: item, source(), pool, 2)
    assert next(results) == 0
    results.close()
    assert closed.wait(5)


def test_an_unfinished_group_comes_before_the_error_that_ends_it():
    groups = grouped(failing(5), lambda group: len(group) == 3)
    assert [next(groups), next(groups)] == [[0, 1, 2], [3, 4]]
    with pytest.raises(KeyError, match="the source broke"):
        next(groups)


def test_groups_end_when_they_are_full():
    assert list(grouped(range(7), lambda group: len(group) == 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(grouped([], lambda group: True)) == []
    assert list(flattened(grouped(range(7), lambda group: len(group) == 3))) == list(range(7))
