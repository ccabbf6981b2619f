"""A download that is stopped ends at once, keeps what came, and writes nothing afterwards."""

import hashlib
import threading
import time

import pytest

from dfd_core.datasets.downloading import FsspecOrigin, HttpOrigin, download


def test_stopping_is_quick_and_loses_nothing_but_the_chunks_in_flight(serve, content, fetch, quick, tmp_path):
    address, behaviour = serve(content, piece=2**12, pause_s=0.005)
    told = []

    def stop():
        if told and told[-1][0] > 300_000:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        download(HttpOrigin(address), tmp_path / "file", how=quick, progress=lambda *n: told.append(n), checkpoint=stop)
    assert time.monotonic() - began < 10
    assert told == sorted(told)
    assert {total for _, total in told} == {len(content)}
    behaviour.pause_s = 0
    again = fetch(address, tmp_path)
    assert again.fetched <= len(content) - 300_000 + quick.connections * quick.chunk_bytes


SILENT = {
    "before_it_says_anything": {"silent_after": 0},
    "in_the_middle": {"silent_after": 300_000},
    "in_the_middle_without_ranges": {"silent_after": 300_000, "ranges": False},
}


@pytest.mark.parametrize("way", SILENT)
def test_stopping_does_not_wait_for_a_silent_server(way, serve, content, fetch, quick, tmp_path):
    address, behaviour = serve(content, piece=2**14, **SILENT[way])
    silent_since = []

    def stop():
        if behaviour.sent >= behaviour.silent_after:
            silent_since.append(time.monotonic())
        if silent_since and time.monotonic() - silent_since[0] > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(HttpOrigin(address, timeout_s=30), tmp_path / "file", how=quick, checkpoint=stop)
    assert time.monotonic() - silent_since[0] < 10
    behaviour.silent_after = None
    again = fetch(address, tmp_path, sha256=hashlib.sha256(content).hexdigest())
    assert (tmp_path / "file").read_bytes() == content
    if way == "in_the_middle":
        assert again.fetched <= len(content) - 300_000 + quick.connections * (quick.chunk_bytes + behaviour.piece)


@pytest.mark.parametrize("ranges", [True, False])
def test_what_comes_after_a_download_was_stopped_is_written_nowhere(ranges, content, quick, tmp_path):
    wake, woken, stopped = threading.Event(), threading.Event(), threading.Event()

    class Waking(FsspecOrigin):
        def facts(self):
            return super().facts()._replace(ranges=ranges)

        def read(self, start, stop, facts):
            pieces = list(super().read(start, stop, facts))
            if stopped.is_set():  # the one that goes on is at work when the one that was stopped wakes up
                wake.set()
                woken.wait(20)
                yield from pieces
                return
            stopped.set()
            wake.wait(20)
            try:
                yield from pieces
            finally:
                woken.set()

    def stop():
        if stopped.is_set():
            raise KeyboardInterrupt

    source, how = tmp_path / "source", quick.model_copy(update={"connections": 1})
    source.write_bytes(content[::-1])
    with pytest.raises(KeyboardInterrupt):
        download(Waking(f"file://{source}"), tmp_path / "file", how=how, checkpoint=stop)
    source.write_bytes(content)
    download(Waking(f"file://{source}"), tmp_path / "file", how=how)
    assert woken.is_set()
    assert (tmp_path / "file").read_bytes() == content
