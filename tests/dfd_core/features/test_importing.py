"""Tables of vectors from elsewhere: what enters the store."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dfd_core.detectors import DetectorSpec, fit
from dfd_core.errors import DatasetError
from dfd_core.features import importing
from dfd_core.features.files import read_features
from dfd_core.features.importing import import_table
from dfd_core.features.importing_sources import ImportSource
from dfd_core.manifests import SCHEMA, Manifest, reals_of
from dfd_core.storage import Store

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "data" / "reference_features"
D = 5


def test_a_table_becomes_a_manifest_and_a_feature_set(store, table, columns, load):
    imported = import_table(store, [ImportSource(file=table())])
    values = columns()
    manifest = Manifest(store, "d", imported.manifests["d"])
    assert manifest.table.schema.equals(SCHEMA)
    frame = manifest.frame.set_index("path").loc[values["sample_id"]]
    for name in ("split", "generator", "label"):
        assert frame[name].tolist() == values[name]
    assert set(zip(frame["generator"], frame["family"], strict=True)) == {
        ("real", "real"), ("progan", "gan"), ("ldm_200", "diffusion"),
    }  # fmt: skip
    assert frame["url"].iloc[3] == "imported:t.parquet#4"
    assert set(frame["source"].dropna()) == {"d"}
    assert set(frame["augmentation"]) == {"none"}
    assert manifest.counts()["unreadable"] == 0
    (target,) = imported.feature_sets
    assert (target.dimension, target.augmentation_name, target.backbone_label) == (D, "none", "clip")
    assert target.folder.startswith("features/d/none/clip-imported-")
    found = load(store, imported)
    assert {k: v.tolist() for k, v in found.items()} == {
        k: v.tolist() for k, v in zip(values["sample_id"], values["embedding"], strict=True)
    }


def test_the_same_again_does_nothing_and_something_else_stands_beside(store, table, monkeypatch):
    first = import_table(store, [ImportSource(file=table())])
    with monkeypatch.context() as patch:
        patch.setattr(importing, "write_feature_file", lambda *_: pytest.fail("wrote again"))
        assert import_table(store, [ImportSource(file=table())]) == first
    other = import_table(store, [ImportSource(file=table({"embedding": {0: [9] * D}}))])
    assert other.key != first.key
    assert other.feature_sets[0].folder != first.feature_sets[0].folder
    assert store.names("imports") == sorted([f"{first.key}.json", f"{other.key}.json"])


def test_what_was_lost_is_made_again(store, table):
    first = import_table(store, [ImportSource(file=table())])
    (name,) = store.names(first.feature_sets[0].folder)
    path = Path(store.url(f"{first.feature_sets[0].folder}/{name}"))
    path.unlink()
    assert import_table(store, [ImportSource(file=table())]) == first
    assert path.exists()


def test_vectors_are_cut_into_files_and_come_back(store, table, monkeypatch, columns, load):
    monkeypatch.setattr(importing, "FILE_BYTES", 4 * D * 6)
    monkeypatch.setattr("dfd_core.features.importing_vectors.BATCH_BYTES", 4 * D * 4)
    imported = import_table(store, [ImportSource(file=table(transform=["a", "a", "b", "b"] * 10))])
    assert len(imported.feature_sets) == 2
    assert all(count > 1 for count in imported.files.values())
    found = load(store, imported, 0) | load(store, imported, 1)
    assert all(found[f"s{i}"].tolist() == x.tolist() for i, x in enumerate(columns()["embedding"]))


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), D)])
def test_lists_of_any_number_become_float32(store, table, kind, columns, load):
    values = [np.float16(x).tolist() for x in columns()["embedding"]]
    found = load(store, import_table(store, [ImportSource(file=table(kind=kind, embedding=values))]))
    assert all(x.dtype == np.float32 and x.tolist() == values[int(name[1:])] for name, x in found.items())


def test_columns_of_numbers(store, tmp_path, columns, write, load):
    values = columns()
    X = np.stack(values.pop("embedding"))
    order = [3, 0, 4, 1, 2]
    path = write(tmp_path / "wide.parquet", values | {f"f{i}": X[:, i].tolist() for i in order})
    found = load(store, import_table(store, [ImportSource(file=path)]))
    assert np.array_equal(np.stack([found[f"s{i}"] for i in range(40)]), X)
    path = write(tmp_path / "gap.parquet", values | {f"f{i}": X[:, i].tolist() for i in (0, 1, 3, 4)})
    with pytest.raises(DatasetError, match=r"gap\.parquet has columns f0 to f4 but lacks f2"):
        import_table(store, [ImportSource(file=path)])


def test_rows_without_ids_are_known_by_their_vectors(store, table, columns):
    imported = import_table(
        store, [ImportSource(file=table({"embedding": {8: columns()["embedding"][4]}}, sample_id=None))]
    )
    frame = Manifest(store, "d", imported.manifests["d"]).frame
    assert len(frame) == 40
    assert frame["sample_id"].nunique() == frame["group"].nunique() == 39
    assert frame["path"].nunique() == 40
    assert len(read_features(store, imported.feature_sets[0].folder).X) == 39
    with pytest.raises(DatasetError, match=r"same vector.*`split`: 'train' in .*row 5 and 'test' in .*row 25"):
        import_table(store, [ImportSource(file=table({"embedding": {24: columns()["embedding"][4]}}, sample_id=None))])


def test_a_real_named_after_a_generator_is_its_counterpart(store, table, columns):
    names = [name if name != "real" or i % 4 == 1 else "ldm_200" for i, name in enumerate(columns()["generator"])]
    frame = Manifest(store, "d", import_table(store, [ImportSource(file=table(generator=names))]).manifests["d"]).frame
    assert set(frame.loc[reals_of(frame, "ldm_200"), "source"]) == {"ldm_200"}
    assert set(frame.loc[frame["label"] == 0, "generator"]) == {"real"}


def test_samples_with_all_augmentations_may_have_any(store, tmp_path, columns, write):
    one, two = columns(), columns(seed=1)
    both = {name: [*one[name], *two[name]] for name in one} | {"transform": ["none"] * 40 + ["blur"] * 40}
    imported = import_table(store, [ImportSource(file=write(tmp_path / "t.parquet", both))])
    frame = Manifest(store, "d", imported.manifests["d"]).frame
    assert len(frame) == 40
    assert frame["augmentation"].isna().all()
    assert [target.augmentation for target in imported.feature_sets] == ["blur", "none"]
    some = {name: value[:60] for name, value in both.items()}
    some["transform"] = ["none"] * 40 + ["blur"] * 20
    frame_of = import_table(store, [ImportSource(file=write(tmp_path / "some.parquet", some))])
    frame = Manifest(store, "d", frame_of.manifests["d"]).frame
    assert frame.loc[frame["split"] == "test", "augmentation"].eq("none").all()
    assert frame.loc[frame["split"] == "train", "augmentation"].isna().all()
    third = {name: [*both[name], *value] for name, value in one.items()}
    third |= {
        "transform": [*both["transform"], *["jpeg"] * 40],
        "sample_id": [*both["sample_id"], *map(str, range(40))],
    }
    with pytest.raises(DatasetError, match=r"sample 's0' of d has vectors under several augmentations but not all"):
        import_table(store, [ImportSource(file=write(tmp_path / "third.parquet", third))])


def test_backbones_have_the_same_samples(store, tmp_path, columns, write):
    one, two = columns(), columns(seed=1) | {"backbone": ["dino"] * 40}
    both = {name: [*one[name], *two[name]] for name in one}
    imported = import_table(store, [ImportSource(file=write(tmp_path / "t.parquet", both))])
    assert [target.backbone for target in imported.feature_sets] == ["clip", "dino"]
    assert len(Manifest(store, "d", imported.manifests["d"]).frame) == 40
    some = {name: value[:79] for name, value in both.items()}
    with pytest.raises(DatasetError, match=r"backbone dino has 39 of the 40 samples of d under none"):
        import_table(store, [ImportSource(file=write(tmp_path / "some.parquet", some))])


def test_stores_and_files_at_urls(table, load):
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.pipe("/importing/t.parquet", Path(table()).read_bytes())
    store = Store("memory://importing/store")
    imported = import_table(store, [ImportSource(file="memory://importing/t.parquet")])
    assert len(load(store, imported)) == 40
    fs.rm("/importing", recursive=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_table(tmp_path):
    """One row group, as pandas writes it; 30,000 x 768 are 92 MB of vectors."""
    code = """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
n, path = int(sys.argv[1]), sys.argv[2]
X = np.random.default_rng(0).normal(size=(n, 768)).astype(np.float32)
names = {"sample_id": [f"s{i}" for i in range(n)], "split": ["train"] * n, "generator": ["real", "x"] * (n // 2)}
labels = {"label": [0, 1] * (n // 2)}
pq.write_table(pa.table({**names, **labels, "embedding": pa.FixedSizeListArray.from_arrays(X.reshape(-1), 768)}), path)
"""
    measure = """
import sys, threading, time
from pathlib import Path
from dfd_core.features.importing import import_table
from dfd_core.features.importing_sources import ImportSource
from dfd_core.storage import Store
peak, done = [0], threading.Event()
def watch():
    while not done.is_set():
        own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
        peak[0] = max(peak[0], int(own.split()[1]) // 1024)
        time.sleep(0.005)
thread = threading.Thread(target=watch)
thread.start()
import_table(Store(sys.argv[2]), [ImportSource(file=sys.argv[1], dataset="d", backbone="b")])
done.set()
thread.join()
print(peak[0])
"""
    grown = []
    for n in (30_000, 90_000):
        path, store = tmp_path / f"{n}.parquet", tmp_path / f"store{n}"
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", code, str(n), str(path)], check=True, env=env)
        done = subprocess.run(
            [sys.executable, "-c", measure, str(path), str(store)], check=True, env=env, capture_output=True, text=True
        )
        grown.append(int(done.stdout))
        path.unlink()
    assert grown[1] - grown[0] < 0.6 * (60_000 * 768 * 4) / 2**20, grown


def reference(name):
    if not REFERENCE.is_dir():
        pytest.skip("the reference features are absent")
    return str(REFERENCE / f"{name}.parquet")


def published_rows(store, imported, dataset, augmentation, split):
    target = next(t for t in imported.feature_sets if (t.dataset, t.augmentation) == (dataset, augmentation))
    frame = Manifest(store, dataset, imported.manifests[dataset]).frame
    some = frame[(frame["split"] == split) & (frame["augmentation"] == augmentation)]
    found = read_features(store, target.folder)
    indices, missing = found.rows(some["sample_id"].to_numpy())
    assert not missing.any()
    return found.X[indices], some["label"].to_numpy()


def test_the_published_table_of_four_augmentations_gives_the_published_accuracies(store):
    imported = import_table(store, [ImportSource(file=reference("clip_b16_laion_ldm100"))])
    spec = DetectorSpec(train_dataset="d", train_generator="g", backbone="clip", classifier="logistic_regression")
    X, y = published_rows(store, imported, "laion_vs_ldm100", "none", "test")
    found = {}
    for augmentation in ("none", "blur", "jitter", "blur+jitter"):
        detector = fit(spec, *published_rows(store, imported, "laion_vs_ldm100", augmentation, "train"))
        found[augmentation] = np.mean((detector.score(X) > 0.5) == y)
    assert found == {"none": 0.9975, "blur": 0.9950, "jitter": 0.9900, "blur+jitter": 0.9800}


def test_the_published_table_of_four_datasets_gives_the_corrected_accuracies(store):
    imported = import_table(store, [ImportSource(file=reference("clip_l14_progan_transfer"))])
    assert sorted(imported.manifests) == ["biggan", "cyclegan", "dalle_laion", "progan"]
    spec = DetectorSpec(train_dataset="d", train_generator="g", backbone="clip", classifier="nearest_neighbour")
    detector = fit(spec, *published_rows(store, imported, "progan", "blur2_p0.5+jpeg80", "train"))
    for dataset, expected in {"cyclegan": 0.837, "biggan": 0.764, "dalle_laion": 0.763}.items():
        X, y = published_rows(store, imported, dataset, "none", "test")
        assert np.mean((detector.score(X) > 0.5) == y) == expected
    frame = Manifest(store, "dalle_laion", imported.manifests["dalle_laion"]).frame
    assert set(frame["family"]) == {"real", "diffusion"}  # as the table says, not as ours would


def test_what_others_call_a_transform_is_an_augmentation(store, table, columns):
    assert ImportSource(file="a.npy", transform="blur") == ImportSource(file="a.npy", augmentation="blur")
    theirs, ours = (
        import_table(store, [ImportSource(file=table(**{name: ["blur"] * 40}))])
        for name in ("transform", "augmentation")
    )
    assert theirs.feature_sets[0].augmentation == ours.feature_sets[0].augmentation == "blur"
    record = theirs.feature_sets[0].model_dump()
    record["transform"] = record.pop("augmentation")
    assert type(ours.feature_sets[0]).model_validate(record) == theirs.feature_sets[0]
