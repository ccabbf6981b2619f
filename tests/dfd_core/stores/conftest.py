"""Stores elsewhere, each behind the real protocol on this machine: Google Cloud Storage, the hub's buckets, WebDAV."""

import contextlib
import runpy
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
from huggingface_hub.utils._xet import abort_xet_session

from dfd_core.filesystems.hub import BucketFileSystem
from dfd_core.filesystems.webdav import WebDavFileSystem

HERE = Path(__file__).parent
Hub = runpy.run_path(str(HERE / "hub_with_buckets.py"))["Hub"]
Site = runpy.run_path(str(HERE / "webdav_site.py"))["Site"]
BUCKET = "dfd-tests"
QUICKLY = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2", "HF_XET_CLIENT_RETRY_BASE_DELAY": "10ms"}


@dataclass
class Elsewhere:
    """An address that nobody else uses, and what goes on there behind a client's back.

    Attributes:
        url: The address.
        put: Writes a file below it, as another process would of which a store's client knows nothing.
        stamps: Every file below it, and which writing of it.
    """

    url: str
    put: Callable[[str, bytes], None]
    stamps: Callable[[], dict]


@pytest.fixture(params=["gs", "hub", "site"])
def elsewhere(request):
    """Each kind of store by turns."""
    return request.getfixturevalue(f"on_{request.param}")


@pytest.fixture(scope="module")
def emulator():
    """An emulator of Google's; the environment tells every process of it, and spares gcsfs looking for a login."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server._api.daemon = True
    with pytest.MonkeyPatch.context() as patch, server:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server._api._httpd.server_address[1]}")
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # asks elsewhere what kind of bucket it is
        patch.setenv("NO_GCE_CHECK", "true")
        patch.setattr("gcsfs.retry.asyncio", types.SimpleNamespace(sleep=_no_wait))
        fsspec.filesystem("gs").clear_instance_cache()
        yield server
        fsspec.filesystem("gs").clear_instance_cache()


async def _no_wait(_seconds):
    return None


@pytest.fixture
def on_gs(emulator, tmp_path):
    """A folder of a bucket of Google's."""
    root = f"{BUCKET}/{tmp_path.name}"

    def put(path, data):
        fsspec.filesystem("gs", skip_instance_cache=True).pipe_file(f"{root}/{path}", data)

    def stamps():
        found = fsspec.filesystem("gs", skip_instance_cache=True).find(root, detail=True)
        return {name: info["generation"] for name, info in found.items()}

    return Elsewhere(f"gs://{root}", put, stamps)


@pytest.fixture
def hub(monkeypatch, tmp_path, forget_hub):
    """A hub; the environment tells this process and every other of it."""
    server = Hub()
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url})
    there = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_writes", "HF_HOME": str(tmp_path / "hf")}
    for name, value in {**there, **QUICKLY}.items():
        monkeypatch.setenv(name, value)
    no_wait = types.SimpleNamespace(sleep=lambda _seconds: None, time=time.time)
    monkeypatch.setattr("huggingface_hub.utils._http.time", no_wait)
    forget_hub()
    yield server
    server.close()


@pytest.fixture
def forget_hub():
    """Makes the hub's clients forget what they know of it."""

    def forget():
        BucketFileSystem.clear_instance_cache()
        abort_xet_session()

    forget()
    yield forget
    forget()


@pytest.fixture
def on_hub(hub):
    """A bucket of the hub."""

    def put(path, data):
        BucketFileSystem(skip_instance_cache=True).pipe_file(f"buckets/o/n/{path}", data)

    return Elsewhere("hf://buckets/o/n", put, lambda: dict(hub.names))


@pytest.fixture
def no_logins(monkeypatch, tmp_path):
    """No login of whoever runs this, and a client that knows nothing from the test before."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("dfd_core.filesystems.webdav_answers._WAITS_S", (0.01, 0.01))
    forget_sites()
    yield
    forget_sites()


def forget_sites():
    WebDavFileSystem.clear_instance_cache()
    fsspec.get_filesystem_class("http").clear_instance_cache()


@pytest.fixture
def site(no_logins, tmp_path):
    """A WebDAV server."""
    (tmp_path / "site").mkdir()
    server = Site(tmp_path / "site")
    yield server
    server.close()


@pytest.fixture
def locked_site(no_logins, tmp_path, monkeypatch):
    """Makes a WebDAV server that asks for a login, with the text of the file that has it."""
    with contextlib.ExitStack() as stack:

        def make(login="machine 127.0.0.1 login ann password s3cret\n"):
            (tmp_path / "locked").mkdir()
            server = Site(tmp_path / "locked", ("ann", "s3cret"))
            stack.callback(server.close)
            netrc = tmp_path / "netrc"
            netrc.write_text(login)
            netrc.chmod(0o600)
            forget_sites()
            return server

        yield make


@pytest.fixture
def on_site(site):
    """A folder of a web server."""
    folder = site.folder / "dav"

    def put(path, data):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    def stamps():
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found}

    return Elsewhere(site.url, put, stamps)
