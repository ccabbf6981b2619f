import contextlib
import threading
import time

import pytest

from dfd_core.manifests import side_by_side as module
from dfd_core.manifests.side_by_side import in_batches, side_by_side


def test_results_come_in_order_from_several_threads():
    meet = threading.Barrier(4, timeout=10)

    def work(number, name):
        if number < 4:
            meet.wait()
        return name * number

    found = list(side_by_side(work, range(300), ["x"] * 300, threads=4))
    assert found == ["x" * number for number in range(300)]
    assert list(side_by_side(work, [], [], threads=4)) == []


def test_no_more_is_begun_than_is_asked_for():
    begun = []
    with contextlib.closing(side_by_side(begun.append, range(10_000), threads=2)) as found:
        next(found)
    assert len(begun) <= 32
    assert [thread.name for thread in threading.enumerate()].count("dfd-crew") <= 2


def test_an_error_is_raised_where_its_result_is_asked_for():
    found = side_by_side(lambda number: 10 // number, [5, 0, 2], threads=2)
    assert next(found) == 2
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_a_thread_that_hangs_is_left_behind_by_whoever_stops():
    release, ticks = threading.Event(), []

    def tick():
        ticks.append(time.monotonic())
        if len(ticks) == 2:
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(side_by_side(lambda _: release.wait(60), range(4), threads=2, tick=tick))
    assert time.monotonic() - started < 30  # and not 60
    release.set()


def test_what_was_found_is_handed_on_when_it_is_interrupted(monkeypatch):
    monkeypatch.setattr(module, "KEPT_EVERY", 10)
    kept = []

    def tell(count):
        if count == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_batches(str, range(100), threads=3, keep=kept.append, tell=tell)
    assert [len(batch) for batch in kept] == [10, 10, 5]
    assert [one for batch in kept for one in batch] == list(map(str, range(25)))


def test_slow_work_is_kept_by_time(monkeypatch):
    monkeypatch.setattr(module, "KEPT_EVERY_S", 0.0)
    kept = []
    in_batches(str, range(5), threads=1, keep=kept.append, tell=lambda _: time.sleep(0.002))
    assert [len(batch) for batch in kept] == [1] * 5
