"""What Google Cloud Storage alone does as a store, against an emulator of this machine."""

import os
import re
import socket
import sys

import fsspec
import pytest

from dfd_core.datasets import CatalogueSource, inventory
from dfd_core.datasets.downloading import open_origin
from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import DownloadError, ManifestError, StoreError
from dfd_core.features.reading import read_original
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

# gcsfs hands bytes to aiohttp, which would rather have a file
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


def test_a_large_file_is_there_whole_or_not_at_all(on_gs, monkeypatch):
    """What has more than 50 MiB is sent in pieces."""
    store, data = Store(on_gs.url), os.urandom(2**20) * 51
    with monkeypatch.context() as patch:
        patch.setattr("gcsfs.core.upload_chunk", _broken)
        with pytest.raises(StoreError, match="Could not write"):
            store.write_bytes("large", data)
    assert not store.exists("large")
    assert store.names("") == []
    store.write_bytes("large", data)
    assert store.read_bytes("large") == data


async def _broken(*_, **__):
    raise OSError("the line is dead")


def test_a_bucket_out_of_reach_is_an_error_with_its_name(on_gs, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    fsspec.filesystem("gs").clear_instance_cache()
    with pytest.raises(StoreError, match=f"Could not read {re.escape(on_gs.url)}/a"):
        Store(on_gs.url).read_bytes("a")
    with pytest.raises(StoreError, match="Could not write"):
        Store(on_gs.url).write_bytes("a", b"1")
    with pytest.raises(StoreError, match=f"Could not read {re.escape(on_gs.url)}/a.png"):
        read_original(f"{on_gs.url}/a.png", "0" * 64)
    with pytest.raises(ManifestError, match=f"{re.escape(on_gs.url)}/images can't be listed"):
        prepare(FolderSource(name="mine", folders=f"{on_gs.url}/images"), SplitSpec(), Store(tmp_path))
    fsspec.filesystem("gs").clear_instance_cache()


def test_a_bucket_that_is_not_there_is_an_error_with_its_name(emulator):
    store = Store("gs://nosuchbucket99/st")
    with pytest.raises(StoreError, match="Could not list gs://nosuchbucket99/st/by_hand/"):
        inventory.rows(store)
    with pytest.raises(StoreError, match="Could not list gs://nosuchbucket99/st/by_hand/celeba"):
        prepare(CatalogueSource(catalogue="celeba", name="celeba"), SplitSpec(), store)


def test_a_client_that_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "gs", raising=False)
    advice = r"pip install '\.\[gs\]'"
    with pytest.raises(StoreError, match=advice):
        Store("gs://b/x")
    with pytest.raises(ManifestError, match=advice):
        prepare(FolderSource(name="mine", folders="gs://b/x"), SplitSpec(), Store(tmp_path))
    with pytest.raises(DownloadError, match=advice):
        open_origin("gs://b/x.zip")
