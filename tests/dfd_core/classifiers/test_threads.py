from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from dfd_core.classifiers.threads import SMALLEST_ROWS, threads_for


def threads():
    np.ones((2, 2)) @ np.ones((2, 2))  # so that BLAS is there
    return [pool["num_threads"] for pool in threadpool_info()]


def test_small_work_has_one_thread_and_then_all_are_back():
    before = threads()
    with threads_for(SMALLEST_ROWS - 1):
        assert set(threads()) == {1}
    assert threads() == before
    with threads_for(SMALLEST_ROWS):
        assert threads() == before


def test_calls_that_overlap_leave_nothing_behind():
    before, meet = threads(), Barrier(2)

    def small(first):
        meet.wait(10)
        with threads_for(10):
            if not first:
                meet.wait(10)
        if first:
            meet.wait(10)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(small, (True, False)))
    assert threads() == before


def test_an_error_inside_takes_the_limit_away():
    before = threads()
    with pytest.raises(ZeroDivisionError), threads_for(1):
        raise ZeroDivisionError
    assert threads() == before
