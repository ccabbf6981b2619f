import os
import pickle

import pytest

from dfd_core.datasets.sources import CatalogueSource, FolderSource, TableSource
from dfd_core.errors import ManifestError
from dfd_core.manifests import Manifest, SplitSpec, digest_of, prepare, probing, side_by_side
from dfd_core.manifests.places import Places
from dfd_core.manifests.probing import Probe
from dfd_core.manifests.remembered import Remembered
from dfd_core.storage import Store

PATHS = [f"{place}/{i:03}.png" for i in range(20) for place in ("ffhq/real", "stylegan/fake", "mystery/fake")]


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path, memory, put) -> str:
    return put(tmp_path / "set" if request.param == "disk" else f"{memory}/set", PATHS)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Locations of the files that were read."""
    read: list[str] = []
    original = probing._try

    def spy(fs, location):
        read.append(location)
        return original(fs, location)

    monkeypatch.setattr(probing, "_try", spy)
    return read


def mine(folder: str, **options) -> FolderSource:
    return FolderSource(name="mine", folders=folder, **options)


def test_a_manifest_is_written_with_its_provenance(folder, store):
    calls = []
    manifest = prepare(mine(folder), SplitSpec(seed=3), store, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (60, 60)
    assert store.names("manifests") == [f"{manifest.key}.parquet"]
    assert manifest.key.startswith("mine-")
    assert manifest.table.num_rows == len(manifest.frame) == 60
    facts = manifest.provenance
    assert (facts["seed"], facts["files_read"], facts["notes"]) == (3, 60, [])
    assert facts["seconds"] >= 0
    assert manifest.counts() == {
        **{"samples": 60, "real": 20, "generated": 40, "train": 48, "validation": 6, "test": 6},
        **{"groups": 60, "duplicates": 0, "unreadable": 0},
    }


def test_the_same_again_reads_no_image(folder, store, reads):
    first = prepare(mine(folder), SplitSpec(), store)
    assert len(reads) == 60
    again = prepare(mine(folder), SplitSpec(), store)
    assert len(reads) == 60
    assert (again.key, again.digest) == (first.key, first.digest)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-20], lambda data: data[:60] + data[64:]])
def test_damaged_notes_of_what_was_read_are_told_and_made_anew(tmp_path, store, reads, put, caplog, damage):
    folder = put(tmp_path / "set", PATHS)
    first = prepare(mine(folder), SplitSpec(), store)
    (notes,) = (tmp_path / "store/places").rglob("*.parquet")
    notes.write_bytes(damage(notes.read_bytes()))
    for seed, read in ((1, 120), (2, 120)):
        assert prepare(mine(folder), SplitSpec(seed=seed), store).counts()["samples"] == first.counts()["samples"]
        assert len(reads) == read
    (warning,) = [record.getMessage() for record in caplog.records]
    assert f"{notes} is damaged (" in warning


def test_another_split_or_family_reads_no_image_but_is_another_manifest(folder, store, reads):
    first = prepare(mine(folder), SplitSpec(), store)
    others = [
        prepare(mine(folder), SplitSpec(seed=1), store),
        prepare(mine(folder, families={"mystery": "diffusion"}), SplitSpec(), store),
    ]
    assert len(reads) == 60
    assert len({m.key for m in [first, *others]}) == len({m.digest for m in [first, *others]}) == 3
    assert all(m.table["sample_id"].equals(first.table["sample_id"]) for m in others)


def test_a_changed_folder_is_noticed_and_only_what_changed_is_read(folder, store, reads, put, png):
    first = prepare(mine(folder), SplitSpec(), store)
    put(folder, {"ffhq/real/new.png": png("new"), "ffhq/real/003.png": png("changed")})
    second = prepare(mine(folder), SplitSpec(), store)
    assert sorted(location.rpartition("/")[2] for location in reads[60:]) == ["003.png", "new.png"]
    assert second.key != first.key
    assert second.digest != first.digest
    assert second.counts()["samples"] == 61
    assert len(set(first.frame["sample_id"]) - set(second.frame["sample_id"])) == 1


def test_a_touched_file_is_read_again_but_changes_nothing_that_matters(tmp_path, store, put):
    folder = put(tmp_path / "set", PATHS)
    first = prepare(mine(folder), SplitSpec(), store)
    os.utime(tmp_path / "set" / PATHS[0], ns=(1, 1))
    second = prepare(mine(folder), SplitSpec(), store)
    assert second.key != first.key
    assert second.digest == first.digest
    assert second.provenance["files_read"] == 1


def test_a_label_corrected_in_a_table_needs_no_reading(tmp_path, store, reads, put):
    put(tmp_path, PATHS)
    rows = [f"{path},{int('fake' in path)}" for path in PATHS]
    digests = []
    for text in ("\n".join(["path,label", *rows]), "\n".join(["path,label", *rows[:-1], f"{PATHS[-1]},0"])):
        (tmp_path / "t.csv").write_text(text)
        digests.append(prepare(TableSource(name="mine", table=str(tmp_path / "t.csv")), SplitSpec(), store).digest)
    assert digests[0] != digests[1]
    assert len(reads) == 60


def test_the_digest_does_not_depend_on_the_place(tmp_path, memory, store, put):
    manifests = [prepare(mine(put(url, PATHS)), SplitSpec(), store) for url in (tmp_path / "a", memory)]
    assert manifests[0].key != manifests[1].key
    assert manifests[0].digest == manifests[1].digest


def test_what_was_read_before_an_error_is_not_read_again(tmp_path, store, reads, put, png):
    folder = put(tmp_path / "set", PATHS)
    put(folder, {"stylegan/fake/copy.png": png("ffhq/real/000.png")})
    for _ in range(2):
        with pytest.raises(ManifestError, match="both real and generated"):
            prepare(mine(folder), SplitSpec(), store)
    assert len(reads) == 61
    assert store.names("manifests") == []


def test_what_was_read_is_remembered_in_files_that_are_only_added(folder, store, monkeypatch):
    monkeypatch.setattr(side_by_side, "KEPT_EVERY", 10)
    rows = []
    monkeypatch.setattr(Remembered, "add", lambda memory, table: rows.append(table.num_rows))
    prepare(mine(folder), SplitSpec(), store)
    assert rows == [10] * 6


def test_two_processes_that_read_the_same_do_each_other_no_harm(folder, store, reads):
    places = Places(store, "mine")
    probes = [Probe(str(i), 7, "PNG" if i % 2 else None, i, None) for i in range(30)]
    names = [f"stamp {i} x" for i in range(30)]
    places.add(names[:20], probes[:20])
    Places(store, "mine").add([*names[10:], None], [*probes[10:], probes[0]])
    Places(store, "other").add(names, probes[::-1])
    assert places.known([*names[5:], None, "stamp 99 x", names[0]]) == {
        **dict(enumerate(probes[5:])), 27: probes[0],
    }  # fmt: skip
    assert places.known([]) == {}


def test_what_was_read_before_an_interruption_is_not_read_again(folder, store, reads):
    def interrupt(done, total):
        if done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(mine(folder), SplitSpec(), store, interrupt)
    before = len(reads)
    assert prepare(mine(folder), SplitSpec(), store).provenance["files_read"] == len(reads) - before == 35


def test_the_summary_has_a_row_per_generator_and_source(folder, store, put, png):
    put(folder, {"ffhq/real/copy.png": png("ffhq/real/000.png"), "ffhq/real/e.png": b"", "ffhq/real/f.png": b""})
    put(folder, {"ffhq/real/notes.txt": b""})
    manifest = prepare(mine(folder, families={"nobody": "gan"}), SplitSpec(), store)
    real, *fakes = manifest.summary()
    assert [(f["generator"], f["family"], f["source"]) for f in fakes] == [
        ("mystery", "other", None),
        ("stylegan", "gan", None),
    ]
    assert fakes[0] == {
        **{"dataset": "mine", "generator": "mystery", "family": "other", "label": 1, "source": None},
        **{"train": 16, "validation": 2, "test": 2, "n": 20, "n_duplicates": 0, "n_unreadable": 0},
    }
    assert (real["source"], real["n"], real["n_duplicates"], real["n_unreadable"]) == ("ffhq", 23, 1, 2)
    assert real["train"] + real["validation"] + real["test"] == 23
    assert manifest.notes == [
        f"1 file in {folder} is hidden or no image by its extension: ffhq/real/notes.txt",
        "`families:` names generators that are not there: nobody",
    ]


def test_a_manifest_travels_as_a_small_reference(folder, store):
    manifest = prepare(mine(folder), SplitSpec(), store)
    assert manifest.frame is manifest.frame
    sent = pickle.dumps(manifest)
    assert len(sent) < 1000
    assert pickle.loads(sent).table.equals(manifest.table)
    assert Manifest(store, "mine", manifest.key).digest == manifest.digest


def test_a_dataset_of_the_catalogue_is_acquired_first(store, reads):
    source = CatalogueSource(catalogue="simulated", name="simulated", options={"images_per_class": 4, "size": 64})
    manifest = prepare(source, SplitSpec(), store)
    assert len(reads) == manifest.counts()["samples"]
    assert manifest.notes == []
    assert set(manifest.frame["family"]) == {"real", "gan", "diffusion"}
    assert all(url.startswith(store.url("datasets")) for url in manifest.frame["url"])
    assert prepare(source, SplitSpec(), store).key == manifest.key


def test_a_store_in_memory(tmp_path, memory, put):
    manifest = prepare(mine(put(tmp_path, PATHS)), SplitSpec(), Store(memory))
    assert prepare(mine(str(tmp_path)), SplitSpec(), Store(memory)).table.equals(manifest.table)


def test_a_manifest_from_before_there_were_imports_is_read(folder, store):
    manifest = prepare(mine(folder), SplitSpec(), store)
    store.write_table(manifest.path, manifest.table.drop_columns(["augmentation"]), manifest.provenance)
    old = Manifest(store, "mine", manifest.key)
    assert old.table.equals(manifest.table)
    assert digest_of(old.table) == old.digest
