import threading
import time

import pytest

from dfd_core.crew import Crew, Stopped


def test_jobs_are_done_side_by_side_and_their_errors_told():
    both = threading.Barrier(2)
    with Crew(2) as crew:
        first, second = crew.give(lambda: both.wait(10)), crew.give(lambda: both.wait(10))
        assert {first.result(10), second.result(10)} == {0, 1}
        assert crew.give(lambda: crew.act(max, 3, 4)).result(10) == 4
        with pytest.raises(ZeroDivisionError):
            crew.give(lambda: 1 / 0).result(10)
    assert not any(thread.is_alive() for thread in crew.threads)


def test_at_the_end_nobody_is_waited_for_and_nothing_begins_or_changes():
    begun, wake, changes = threading.Event(), threading.Event(), []

    def wait_and_change():
        begun.set()
        wake.wait(20)
        crew.act(changes.append, "late")

    began = time.monotonic()
    with Crew(1) as crew:
        late = crew.give(wait_and_change)
        never = crew.give(lambda: changes.append("never"))
        begun.wait(10)
    assert time.monotonic() - began < 10
    assert all(thread.daemon for thread in crew.threads)
    wake.set()
    with pytest.raises(Stopped):
        late.result(10)
    crew.threads[0].join(10)
    assert not never.done()
    assert changes == []


def test_a_pause_ends_with_the_work():
    begun = threading.Event()

    def pause():
        begun.set()
        crew.pause(30)

    with Crew(1) as crew:
        crew.pause(0)
        waiting = crew.give(pause)
        begun.wait(10)
    with pytest.raises(Stopped):
        waiting.result(10)
