import contextlib
import gc
import subprocess
import sys
import threading
import time
import weakref
from queue import SimpleQueue

import pytest

from dfd_core.errors import ImageError
from dfd_core.features import threads
from dfd_core.features.threads import DeadlinePool

# The real thing: a JPEG file of 2 MB over which libjpeg goes 200,000 times, which takes it a minute or more.
SCAN_BOMB = """
import io
from PIL import Image

def scan_bomb(scans):
    buffer = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data[data.rindex(b"\\xff\\xda") : -2]
    return data[:-2] + last * scans + data[-2:]

def pillow_decode(data):
    Image.open(io.BytesIO(data)).load()
"""
A_PROCESS_WITH_A_HANGING_DECODER = f"""{SCAN_BOMB}
import threading
from dfd_core.errors import ImageError
from dfd_core.features.threads import DeadlinePool

bomb, good = scan_bomb(200_000), scan_bomb(0)
with DeadlinePool(2, timeout_s=1) as pool:
    tickets = [pool.submit(pillow_decode, data) for data in (bomb, bomb, bomb, good, good)]
    for ticket in tickets:
        try:
            ticket.result()
            print("ok")
        except ImageError as error:
            print(error.status)
    print("stuck", pool.stuck)
print("closed", pool.stuck)
"""


@pytest.fixture
def blocked():
    """An event that lets go of what tests made hang, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def eventually(condition):
    last = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.01)


def test_a_call_gives_its_result_or_raises_its_error():
    with DeadlinePool(2, 60) as pool:
        tickets = [pool.submit(divmod, n, divisor) for n in range(50) for divisor in (7, 0)]
        for n in range(50):
            assert tickets[2 * n].result() == divmod(n, 7)
            for _ in range(2):  # a result can be asked for again
                with pytest.raises(ZeroDivisionError):
                    tickets[2 * n + 1].result()
        assert pool.submit(int, "10", base=2).result() == 2
        with pytest.raises(SystemExit):
            pool.submit(sys.exit).result()
        assert pool.submit(abs, -1).result() == 1
        assert pool.stuck == 0


def test_calls_run_at_the_same_time_and_begin_in_their_order():
    order, meeting = [], threading.Barrier(3, timeout=20)
    with DeadlinePool(3, 60) as pool:
        for ticket in [pool.submit(meeting.wait) for _ in range(3)]:
            ticket.result()
    with DeadlinePool(1, 60) as pool:
        for ticket in [pool.submit(order.append, n) for n in range(100)]:
            ticket.result()
    assert order == list(range(100))


def test_hanging_calls_are_given_up_and_the_pool_stays_as_wide(blocked):
    with DeadlinePool(2, 0.4) as pool:
        hanging = [pool.submit(blocked.wait) for _ in range(5)]
        good = pool.submit(abs, -3)
        assert good.result() == 3  # behind five hanging calls and two threads: asked for before any of the others
        for ticket in hanging:
            with pytest.raises(ImageError, match=r"took more than 0\.4 s") as caught:
                ticket.result()
            assert caught.value.status == "timed_out"
        assert pool.stuck == 5
        pool.timeout_s = 60
        meeting = threading.Barrier(2, timeout=20)
        assert sorted(t.result() for t in [pool.submit(meeting.wait) for _ in range(2)]) == [0, 1]
        blocked.set()
        eventually(lambda: pool.stuck == 0)
        with pytest.raises(ImageError):  # what it came to in the end no longer counts
            hanging[0].result()


def test_waiting_in_the_queue_is_not_running():
    with DeadlinePool(1, 1.0) as pool:
        tickets = [pool.submit(time.sleep, 0.25) for _ in range(5)]
        assert [ticket.result() for ticket in tickets] == [None] * 5


def test_waiting_is_not_polling(blocked):
    with DeadlinePool(2, 1000) as pool:
        assert pool.patience_s() == 1000
        pool.submit(blocked.wait)
        assert 900 < pool.patience_s() <= 1000
        blocked.set()
    with DeadlinePool(1, float("inf")) as pool:
        assert pool.submit(abs, -1).result() == 1


def test_closing_drops_what_waits_and_leaves_what_hangs(blocked):
    pool, begun = DeadlinePool(1, 0.2), threading.Event()
    hanging, waiting = pool.submit(lambda: begun.set() or blocked.wait()), pool.submit(abs, -1)
    assert begun.wait(20)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 15
    assert pool.stuck == 1
    with pytest.raises(RuntimeError, match="closed before"):
        waiting.result()
    with pytest.raises(ImageError):
        hanging.result()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(abs, 1)


def test_closing_does_not_wait_for_a_call_that_a_thread_took_first(monkeypatch):
    class Overtaken(SimpleQueue):
        def empty(self):
            return False  # true when it was asked, and no longer when the answer is used

    monkeypatch.setattr(threads, "SimpleQueue", Overtaken)
    pool = DeadlinePool(1, 60)
    closing = threading.Thread(target=pool.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    assert pool.stuck == 0


def test_closing_ends_the_threads():
    def n_threads():
        return sum(thread.name.startswith("counted") for thread in threading.enumerate())

    with DeadlinePool(4, 60, name="counted") as pool:
        pool.submit(abs, 1).result()
        assert n_threads() == 4
    assert n_threads() == pool.stuck == 0


def test_time_is_counted_in_calls_alone(blocked):
    def compute():
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass

    with DeadlinePool(2, 5) as pool:
        pool.submit(time.sleep, 0.2).result()
        assert pool.busy_s >= 0.2
        assert pool.cpu_s < 0.1
        pool.submit(compute).result()
        assert pool.cpu_s >= 0.1
        time.sleep(0.3)
        assert pool.busy_s < 50
        before = pool.busy_s
        with pytest.raises(ImageError):
            pool.submit(blocked.wait).result()
        assert pool.busy_s >= before + 5


def test_nothing_of_a_call_outlives_it():
    class Argument:
        pass

    def fail(argument):
        raise ValueError

    gc.disable()
    try:
        with DeadlinePool(1, 60) as pool:
            for function in (id, fail):
                argument = Argument()
                trace = weakref.ref(argument)
                ticket = pool.submit(function, argument)
                with contextlib.suppress(ValueError):
                    ticket.result()
                del argument, ticket
                eventually(lambda trace=trace: trace() is None)
    finally:
        gc.enable()


def test_a_decoder_that_really_hangs_stops_neither_the_others_nor_the_interpreter():
    done = subprocess.run(
        [sys.executable, "-c", A_PROCESS_WITH_A_HANGING_DECODER],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split("\n")[:5] == ["timed_out"] * 3 + ["ok"] * 2, done.stderr
    assert "stuck 3" in done.stdout
    assert "closed 3" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("threads", "timeout_s"), [(0, 1), (1, 0), (1, -1), (1, float("nan"))])
def test_a_pool_needs_threads_and_time(threads, timeout_s):
    with pytest.raises(ValueError, match="at least one thread"):
        DeadlinePool(threads, timeout_s)
