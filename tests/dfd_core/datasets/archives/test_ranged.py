"""Of a file that is read in pieces, all pieces are of one version, or nothing that was read counts."""

import io
import subprocess
import sys

import fsspec
import pytest

from dfd_core.datasets.archives.containers import open_container
from dfd_core.datasets.archives.ranged import Ranged
from dfd_core.datasets.downloading import Fetching, FsspecOrigin, HttpOrigin
from dfd_core.errors import UnreachableError, WholeOnlyError

QUICK = Fetching(first_wait_s=0.01, attempts=3)


class StoppedError(Exception):
    pass


def put(bucket, data):
    fsspec.filesystem("s3").pipe_file(f"{bucket.removeprefix('s3://')}/a.bin", data)


def test_a_server_without_a_mark_of_the_version_is_not_read_in_pieces(serve, content):
    address, _ = serve(content, stamp=None)
    with pytest.raises(WholeOnlyError, match="only be downloaded whole: its server gives no mark of its version"):
        Ranged(HttpOrigin(address))
    address, _ = serve(content, ranges=False)
    with pytest.raises(WholeOnlyError, match="does not answer ranges"):
        Ranged(HttpOrigin(address))
    fsspec.filesystem("memory").pipe_file("/ranged/a.bin", content)
    with pytest.raises(WholeOnlyError, match="no mark"):
        Ranged(FsspecOrigin("memory://ranged/a.bin"))


@pytest.mark.parametrize("stamps", [('"1"', '"2"'), ('W/"1"', 'W/"2"'), ('W/"1"', None)])
def test_a_change_on_a_web_server_is_seen_at_the_next_piece(stamps, serve, content):
    address, behaviour = serve(content, stamp=stamps[0])
    file = Ranged(HttpOrigin(address), QUICK)
    assert file.read(100) == content[:100]
    behaviour.content, behaviour.stamp = content[::-1], stamps[1]
    file.seek(2**19)
    with pytest.raises(UnreachableError, match="Run the same command again"):
        file.read(100)
    file.close()


def test_a_change_in_a_bucket_is_seen_when_reading_is_over(bucket, content):
    put(bucket, content)
    with Ranged(FsspecOrigin(f"{bucket}/a.bin"), QUICK) as file:
        assert file.read(100) == content[:100]
    file = Ranged(FsspecOrigin(f"{bucket}/a.bin"), QUICK)
    file.read(100)
    put(bucket, content[::-1])
    with pytest.raises(UnreachableError, match="was changed while it was read"):
        file.close()
    file.close()  # once is enough


def test_another_error_is_not_hidden_by_a_change(bucket, content):
    put(bucket, content)
    with pytest.raises(StoppedError), Ranged(FsspecOrigin(f"{bucket}/a.bin"), QUICK) as file:  # noqa: PT012
        file.read(100)
        put(bucket, content[::-1])
        raise StoppedError


def test_a_change_is_seen_where_an_error_is_being_handled(bucket, content):
    put(bucket, content)
    try:
        raise StoppedError
    except StoppedError:
        file = Ranged(FsspecOrigin(f"{bucket}/a.bin"), QUICK)
        file.read(100)
        put(bucket, content[::-1])
        with pytest.raises(UnreachableError, match="was changed"):
            file.close()


def test_an_archive_in_a_bucket_that_changes_is_an_error_when_it_is_closed(bucket):
    import zipfile

    def zipped(first):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for i in range(9):
                archive.writestr(f"{i}.png", bytes([first + i]) * 200_000)
        return file.getvalue()

    put(bucket, zipped(0))
    with (  # noqa: PT012 - it must be the closing that raises
        pytest.raises(UnreachableError, match="was changed"),
        open_container("x", io.BufferedReader(Ranged(FsspecOrigin(f"{bucket}/a.bin"), QUICK)), "zip") as container,
    ):
        members = container.members()
        assert len(list(container.read(members[:1]))) == 1
        put(bucket, zipped(100))


def test_a_file_that_nobody_closed_does_not_keep_the_interpreter(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"1" * 1000)
    code = (
        "from dfd_core.datasets.archives.ranged import Ranged; from dfd_core.datasets.downloading import FsspecOrigin; "
        f"file = Ranged(FsspecOrigin('file://{tmp_path}/a.bin')); print(len(file.read(10)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=100, check=True).stdout == b"10\n"
