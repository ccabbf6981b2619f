"""Whatever a server does, a file is whole and right under its final name, or it is not there."""

import errno
import hashlib
import threading
import time
from collections import Counter

import pytest

from dfd_core.datasets.downloading import Fetching, FsspecOrigin, HttpOrigin, download, engine, patience
from dfd_core.datasets.downloading.origins import TransientFault
from dfd_core.errors import DownloadError, StoreError, StoreFullError, UnreachableError


def nothing_but_hidden_files(folder):
    return all(path.name.startswith(".") for path in folder.iterdir())


WAYS = {
    "plain": {},
    "no_ranges": {"ranges": False},
    "no_stamp": {"stamp": None},
    "weak_stamp": {"stamp": 'W/"1"'},
    "cut_in_the_middle": {"cut_after": 30_000},
    "cut_in_the_middle_twice_without_ranges": {"cut_after": 500_000, "cuts": 2, "ranges": False},
    "redirects": {"redirect": True},
    "busy": {"refuse": [(503, {}), (429, {"Retry-After": "1"}), (500, {}), (502, {})]},
    "slow": {"piece": 2**14, "pause_s": 0.01},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_file_comes_whole(way, serve, content, fetch, tmp_path):
    address, _ = serve(content, **WAYS[way])
    digest = hashlib.sha256(content).hexdigest()
    found = fetch(address, tmp_path, size=len(content), sha256=digest)
    assert (tmp_path / "file").read_bytes() == content
    assert (found.size, found.sha256) == (len(content), digest)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("file", ".file.lock")] == []
    if way not in ("cut_in_the_middle_twice_without_ranges", "no_ranges"):
        assert found.fetched == len(content)  # a cut costs no byte that had come


def test_an_empty_file_is_a_file(serve, fetch, tmp_path):
    address, _ = serve(b"")
    assert fetch(address, tmp_path).size == 0
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("as_date", [False, True])
def test_the_wait_is_the_servers(as_date, serve, content, fetch, tmp_path, http_date):
    after = (lambda: http_date(2)) if as_date else "2"
    address, _ = serve(content[:100], refuse=[(429, {"Retry-After": after})])
    began = time.monotonic()
    fetch(address, tmp_path)
    assert time.monotonic() - began > (0.9 if as_date else 1.9)


def test_a_server_that_wants_to_be_left_alone_for_long_is(serve, content, fetch, tmp_path):
    address, behaviour = serve(content, refuse=[(429, {"Retry-After": "3600"})])
    with pytest.raises(UnreachableError, match="left alone for 3600 s"):
        fetch(address, tmp_path)
    assert behaviour.answers == 1


def test_a_server_that_stays_away_is_given_up_and_what_came_is_kept(serve, content, fetch, tmp_path):
    address, behaviour = serve(content)
    behaviour.on_answer = lambda count: behaviour.refuse.extend([(503, {})] * 99) if count == 6 else None
    with pytest.raises(UnreachableError, match="503"):
        fetch(address, tmp_path)
    assert nothing_but_hidden_files(tmp_path)
    behaviour.refuse.clear()
    behaviour.on_answer = lambda count: None
    again = fetch(address, tmp_path)
    assert (tmp_path / "file").read_bytes() == content
    assert 0 < again.fetched < len(content) - 2 * 2**16


def test_a_request_for_many_parts_that_is_cut_loses_one(serve, content, fetch, quick, tmp_path):
    how = quick.model_copy(update={"chunks_at_once": 16, "connections": 1, "attempts": 1})
    address, behaviour = serve(content, cut_after=300_000)
    with pytest.raises(UnreachableError):
        fetch(address, tmp_path, how)
    behaviour.cut_after, behaviour.answers = None, 0
    assert fetch(address, tmp_path, how).fetched == len(content) - 300_000 // 2**16 * 2**16
    assert behaviour.answers == 2
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_a_refusal_is_not_tried_again(status, serve, content, fetch, tmp_path):
    address, behaviour = serve(content, refuse=[(status, {})])
    with pytest.raises(DownloadError, match=str(status)):
        fetch(address, tmp_path)
    assert behaviour.answers == 1
    assert nothing_but_hidden_files(tmp_path)


def test_a_page_is_no_archive(serve, content, fetch, tmp_path):
    address, _ = serve(b"<html>Quota exceeded", content_type="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match="web page instead of a file.*dfd datasets add NAME --folder"):
        fetch(address, tmp_path)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_wrong_length_is_found(ranges, serve, content, fetch, tmp_path):
    address, _ = serve(content, length=len(content) + 5, ranges=ranges)
    with pytest.raises(DownloadError):
        fetch(address, tmp_path)
    assert nothing_but_hidden_files(tmp_path)
    right, _ = serve(content)
    with pytest.raises(DownloadError, match="should have 5"):
        fetch(right, tmp_path, size=5)


def test_a_small_file_has_work_for_every_connection(serve, content, fetch, quick, tmp_path):
    address, behaviour = serve(content)
    assert fetch(address, tmp_path, quick.model_copy(update={"chunks_at_once": 16, "connections": 4})).size == len(
        content
    )
    ranges = {one["Range"] for one in behaviour.headers if "Range" in one}
    assert len(ranges - {"bytes=0-0"}) == 4


@pytest.mark.parametrize("at_the_end", ["416", "an empty range"])
def test_a_length_that_a_server_states_wrongly_is_named_at_once(at_the_end, serve, content, fetch, tmp_path):
    address, server = serve(content, length=len(content) + 7, empty_ranges=at_the_end != "416")
    what = "ends after 1,000,017 bytes, and .* 1,000,024" if server.empty_ranges else "3 times by now: .* is shorter"
    with pytest.raises(DownloadError, match=what):
        fetch(address, tmp_path)
    assert max(Counter(str(headers.get("Range")) for headers in server.headers).values()) <= 4
    assert nothing_but_hidden_files(tmp_path)


def test_a_file_that_ends_too_early_without_a_length_is_measured_by_what_its_card_states(
    serve, content, fetch, tmp_path
):
    address, server = serve(content[:700_000], chunked=True, ranges=False)
    with pytest.raises(DownloadError, match="gave 700,000 bytes instead of 1,000,017"):
        fetch(address, tmp_path, size=len(content))
    assert [path.name for path in tmp_path.iterdir()] == [".file.lock"]
    server.content = content
    assert fetch(address, tmp_path, size=len(content)).size == len(content)


def test_bytes_that_are_compressed_on_the_way_are_refused(serve, content, fetch, tmp_path):
    address, server = serve(content, encoding="gzip")
    with pytest.raises(DownloadError, match="Content-Encoding 'gzip'"):
        fetch(address, tmp_path)
    assert server.answers == 1
    assert nothing_but_hidden_files(tmp_path)
    server.encoding = "identity"
    assert fetch(address, tmp_path).size == len(content)


def test_another_digest_leaves_nothing(serve, content, fetch, tmp_path):
    address, _ = serve(content)
    with pytest.raises(DownloadError, match="should have 0000.*states: try again, and if it stays so"):
        fetch(address, tmp_path, sha256="0" * 64)
    assert [path.name for path in tmp_path.iterdir()] == [".file.lock"]


@pytest.mark.parametrize("stamps", [('"1"', '"2"'), ('W/"1"', 'W/"2"')])
def test_a_file_that_changes_between_two_ranges_is_fetched_anew(stamps, serve, content, fetch, quick, tmp_path):
    other = content[::-1]
    address, behaviour = serve(content, stamp=stamps[0])

    def change(count):
        if count == 7:
            behaviour.content, behaviour.stamp = other, stamps[1]

    behaviour.on_answer = change
    fetch(address, tmp_path, Fetching(**{**quick.model_dump(), "connections": 2}))
    assert (tmp_path / "file").read_bytes() == other


def test_two_versions_that_nothing_tells_apart_are_not_mixed_within_a_download(serve, content, fetch, tmp_path):
    address, behaviour = serve(content, stamp=None)
    other = content[::-1]

    def change(count):
        behaviour.content = other if count >= 7 else content

    behaviour.on_answer = change
    fetch(address, tmp_path)
    assert (tmp_path / "file").read_bytes() in (content, other)


def test_two_versions_that_nothing_tells_apart_are_not_mixed_when_a_download_goes_on(
    serve, content, fetch, quick, tmp_path
):
    address, behaviour = serve(content, stamp=None, cut_after=300_000)
    behaviour.on_answer = lambda count: behaviour.refuse.extend([(503, {})] * 99) if count == 6 else None
    with pytest.raises(UnreachableError):
        fetch(address, tmp_path, quick.model_copy(update={"attempts": 1}))
    behaviour.refuse.clear()
    behaviour.on_answer, behaviour.cut_after, behaviour.content = lambda count: None, None, content[::-1]
    fetch(address, tmp_path)
    assert (tmp_path / "file").read_bytes() == content[::-1]


def test_a_file_that_always_changes_is_an_error(serve, content, fetch, tmp_path):
    address, behaviour = serve(content)

    def change(count):
        behaviour.stamp = f'"{count}"'

    behaviour.on_answer = change
    with pytest.raises(DownloadError, match="changes while it is downloaded"):
        fetch(address, tmp_path)


def test_a_file_that_changed_since_yesterday_is_fetched_anew(serve, content, fetch, tmp_path):
    address, behaviour = serve(content)
    behaviour.on_answer = lambda count: behaviour.refuse.extend([(404, {})]) if count == 6 else None
    with pytest.raises(DownloadError):
        fetch(address, tmp_path)
    behaviour.on_answer = lambda count: None
    behaviour.refuse.clear()
    behaviour.content, behaviour.stamp = content[::-1], '"2"'
    assert fetch(address, tmp_path).fetched == len(content)
    assert (tmp_path / "file").read_bytes() == content[::-1]


def test_a_server_that_falls_silent_is_asked_again(serve, content, fetch, tmp_path):
    address, behaviour = serve(content, piece=2**14)
    behaviour.on_answer = lambda count: setattr(behaviour, "pause_s", 1.5 if count < 4 else 0.0)
    fetch(address, tmp_path, timeout_s=0.5)
    assert (tmp_path / "file").read_bytes() == content


def test_a_damaged_partial_file_is_repaired(serve, content, fetch, tmp_path):
    address, behaviour = serve(content)
    behaviour.on_answer = lambda count: behaviour.refuse.extend([(404, {})]) if count == 12 else None
    with pytest.raises(DownloadError):
        fetch(address, tmp_path)
    behaviour.on_answer = lambda count: None
    behaviour.refuse.clear()
    partial = tmp_path / ".file.partial"
    with partial.open("rb+") as file:
        file.seek(100)
        file.write(b"XXXX")
    with (tmp_path / ".file.journal").open("ab") as file:
        file.write(b"\n15 0123")
    fetch(address, tmp_path, sha256=hashlib.sha256(content).hexdigest())
    assert (tmp_path / "file").read_bytes() == content


def test_two_that_want_the_same_file_fetch_it_once(serve, content, fetch, tmp_path):
    address, behaviour = serve(content, piece=2**14, pause_s=0.005)
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(address, tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() == content
    assert sorted(one.fetched for one in found) == [0, len(content)]
    assert {one.sha256 for one in found} == {hashlib.sha256(content).hexdigest()}
    assert behaviour.sent <= len(content) + 1


def test_a_disk_that_takes_nothing_is_the_stores_fault(serve, content, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space")

    address, _ = serve(content)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="Could not write"):
        download(HttpOrigin(address), tmp_path / "file" / "archive.zip")
    monkeypatch.setattr(engine, "_write_at", full)
    with pytest.raises(StoreFullError, match="Free some space"):
        download(HttpOrigin(address), tmp_path / "archive.zip")


def test_long_waits_are_told_once_at_a_time(serve, content, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(patience, "_LONG_WAIT_S", 0.05)
    address, _ = serve(content, refuse=[(503, {})] * 3)
    download(HttpOrigin(address), tmp_path / "archive.zip", how=Fetching(first_wait_s=0.02))
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert "503" in told[0]
    assert "attempt 4 follows in 0.1 s" in told[0]


def test_a_place_that_falters_when_it_is_asked_for_the_version_again_is_asked_once_more(content, quick, tmp_path):
    class Faltering(FsspecOrigin):
        asked = 0

        def facts(self):
            self.asked += 1
            if self.asked == 2:
                raise TransientFault("busy")
            return super().facts()

    (tmp_path / "source").write_bytes(content)
    origin = Faltering(f"file://{tmp_path}/source")
    download(origin, tmp_path / "file", how=quick)
    assert (tmp_path / "file").read_bytes() == content
    assert origin.asked == 3
