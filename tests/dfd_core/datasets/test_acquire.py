import subprocess
import sys

import pytest

from dfd_core.datasets import CatalogueSource, FolderSource, TableSource
from dfd_core.datasets.acquire import acquire
from dfd_core.datasets.simulation import making
from dfd_core.errors import ConfigError, StoreError, UnknownNameError
from dfd_core.storage import Store

OPTIONS = {"images_per_class": 3, "size": 64}
SOURCE = CatalogueSource(catalogue="simulated", name="tiny", options=OPTIONS)


def files(store):
    return {
        path: store.read_bytes(path)
        for path in sorted(store.fs.find(store.root))
        for path in [path[len(store.root) + 1 :]]
    }


def test_the_dataset_makes_itself_in_the_documented_layout(tmp_path):
    store = Store(tmp_path)
    calls = []
    source = acquire(SOURCE, store, lambda done, total: calls.append((done, total)))
    assert isinstance(source, FolderSource)
    assert (source.name, source.layout) == ("tiny", "generator")
    images = Store(source.folders[0])
    assert images.names("sim_photographs/real") == ["000000.jpg", "000001.jpg"]
    assert images.names("sim_dead_leaves/real") == ["000000.jpg"]
    for generator, family in source.families.items():
        assert images.names(f"{generator}/fake") == ["000000.jpg", "000001.jpg", "000002.jpg"]
        assert family in ("gan", "diffusion")
    assert calls == [(done, 21) for done in range(22)]
    (marker,) = [path for path in files(store) if path.endswith("dataset.json")]
    facts = store.read_json(marker)
    assert facts["options"] == {"images_per_class": 3, "size": 64, "seed": 0, "jpeg_quality": 92}
    assert facts["files_written"] == 21
    assert facts["packages"]["pillow"]


def test_done_is_done_and_names_do_not_matter(tmp_path, monkeypatch):
    store = Store(tmp_path)
    acquire(SOURCE, store)
    before = files(store)
    monkeypatch.setattr(making, "render", lambda *_: pytest.fail("made again"))
    again = acquire(SOURCE.model_copy(update={"name": "other"}), store)
    assert again.name == "other"
    assert files(store) == before


def test_an_interrupted_making_goes_on_where_it_ended(tmp_path, monkeypatch):
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    acquire(SOURCE, whole)
    made = []

    def stop(done, total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        acquire(SOURCE, broken, stop)
    assert len(files(broken)) == 8
    assert not [path for path in files(broken) if path.endswith(".json")]
    render = making.render
    monkeypatch.setattr(making, "render", lambda image, options: made.append(image) or render(image, options))
    acquire(SOURCE, broken)
    assert len(made) == 13
    images = {path: data for path, data in files(whole).items() if path.endswith(".jpg")}
    assert images.items() <= files(broken).items()


def test_a_file_that_was_deleted_is_made_again(tmp_path):
    store = Store(tmp_path)
    source = acquire(SOURCE, store)
    path = "sim_latent_8x/fake/000001.jpg"
    images = Store(source.folders[0])
    data = images.read_bytes(path)
    (tmp_path / images.root / path).unlink()
    acquire(SOURCE, store)
    assert images.read_bytes(path) == data


def test_another_process_makes_the_same_bytes(tmp_path):
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    acquire(SOURCE, here)
    script = (
        "import sys; from dfd_core.datasets import CatalogueSource; from dfd_core.datasets.acquire import acquire\n"
        "from dfd_core.storage import Store\n"
        "source = CatalogueSource.model_validate_json(sys.argv[1])\n"
        "heavy = {'torch', 'timm', 'open_clip', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "acquire(source, Store(sys.argv[2]))\n"
    )
    subprocess.run([sys.executable, "-c", script, SOURCE.model_dump_json(), there.root], check=True, timeout=120)
    images = [{path: data for path, data in files(store).items() if path.endswith(".jpg")} for store in (here, there)]
    assert images[0] == images[1]


def test_a_store_in_an_object_store_will_do():
    source = acquire(SOURCE, Store("memory://acquired"))
    assert source.folders[0].startswith("memory://")
    assert len(Store(source.folders[0]).names("sim_cascade_4x/fake")) == 3


def test_own_sources_are_returned_as_they_are(tmp_path):
    for source in (FolderSource(name="a", folders=("nowhere",)), TableSource(name="b", table="nowhere.csv")):
        assert acquire(source, Store(tmp_path)) is source
    assert not list(tmp_path.iterdir())


def test_wrong_requests_write_nothing(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'simulated'"):
        acquire(CatalogueSource.model_validate("simulate"), store)
    with pytest.raises(ConfigError, match="images_per_class"):
        acquire(SOURCE.model_copy(update={"options": {"images_per_class": 0}}), store)
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        acquire(SOURCE, Store(tmp_path / "file"))
