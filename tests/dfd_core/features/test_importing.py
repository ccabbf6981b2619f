"""Tables of vectors from elsewhere: what enters the store, and every way in which they can be wrong."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dfd_core.detectors import DetectorSpec, fit
from dfd_core.errors import DatasetError, UnknownNameError, UsageError
from dfd_core.features import importing
from dfd_core.features.files import read_features
from dfd_core.features.imported import list_imports, load_import
from dfd_core.features.importing import import_table
from dfd_core.features.importing_sources import ImportSource
from dfd_core.manifests import SCHEMA, Manifest, reals_of
from dfd_core.storage import Store

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "data" / "reference_features"
D = 5


def columns(n=40, seed=0):
    """A table's columns as lists: two generators, both splits, ids."""
    kinds = (["progan", "real", "ldm_200", "real"] * n)[:n]
    return {
        "sample_id": [f"s{i}" for i in range(n)],
        "dataset": ["d"] * n,
        "split": ["train" if i < n // 2 else "test" for i in range(n)],
        "generator": kinds,
        "label": [int(kind != "real") for kind in kinds],
        "backbone": ["clip"] * n,
        "embedding": list(np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)),
    }


def write(path, values, kind=None):
    table = pa.table({k: v for k, v in values.items() if k != "embedding"})
    if "embedding" in values:
        rows = [None if v is None else list(map(float, v)) for v in values["embedding"]]
        kind = kind or pa.list_(pa.float32(), D)
        table = table.append_column("embedding", pa.array(rows, kind))
    pq.write_table(table, path, row_group_size=7)
    return str(path)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def table(tmp_path):
    def make(changes=None, kind=None, **more):
        values = columns() | more
        for name, edits in (changes or {}).items():
            values[name] = list(values[name])
            for row, value in edits.items():
                values[name][row] = value
        return write(tmp_path / "t.parquet", {k: v for k, v in values.items() if v is not None}, kind)

    return make


def load(store, imported, place=0):
    """Vectors of a feature set by the sample's path."""
    target = imported.feature_sets[place]
    found = read_features(store, target.folder)
    frame = Manifest(store, target.dataset, imported.manifests[target.dataset]).frame
    path = dict(zip(frame["sample_id"], frame["path"], strict=True))
    return {path[one]: x for one, x in zip(found.sample_ids.tolist(), found.X, strict=True)}


def test_a_table_becomes_a_manifest_and_a_feature_set(store, table):
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
    assert load_import(store, "t") == load_import(store, first.key) == first
    other = import_table(store, [ImportSource(file=table({"embedding": {0: [9] * D}}))])
    assert other.key != first.key
    assert other.feature_sets[0].folder != first.feature_sets[0].folder
    assert [one.key for one in list_imports(store)] == sorted([first.key, other.key])
    with pytest.raises(UnknownNameError, match=f"no single import .*{first.key}"):
        load_import(store, "t")
    with pytest.raises(UnknownNameError, match=r"no import .*named 'x'"):
        load_import(store, "x")


def test_what_was_lost_is_made_again(store, table):
    first = import_table(store, [ImportSource(file=table())])
    (name,) = store.names(first.feature_sets[0].folder)
    path = Path(store.url(f"{first.feature_sets[0].folder}/{name}"))
    path.unlink()
    assert import_table(store, [ImportSource(file=table())]) == first
    assert path.exists()


def test_vectors_are_cut_into_files_and_come_back(store, table, monkeypatch):
    monkeypatch.setattr(importing, "FILE_BYTES", 4 * D * 6)
    monkeypatch.setattr("dfd_core.features.importing_vectors.BATCH_BYTES", 4 * D * 4)
    imported = import_table(store, [ImportSource(file=table(transform=["a", "a", "b", "b"] * 10))])
    assert len(imported.feature_sets) == 2
    assert all(count > 1 for count in imported.files.values())
    found = load(store, imported, 0) | load(store, imported, 1)
    assert all(found[f"s{i}"].tolist() == x.tolist() for i, x in enumerate(columns()["embedding"]))


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), D)])
def test_lists_of_any_number_become_float32(store, table, kind):
    values = [np.float16(x).tolist() for x in columns()["embedding"]]
    found = load(store, import_table(store, [ImportSource(file=table(kind=kind, embedding=values))]))
    assert all(x.dtype == np.float32 and x.tolist() == values[int(name[1:])] for name, x in found.items())


def test_columns_of_numbers(store, tmp_path):
    values = columns()
    X = np.stack(values.pop("embedding"))
    order = [3, 0, 4, 1, 2]
    path = write(tmp_path / "wide.parquet", values | {f"f{i}": X[:, i].tolist() for i in order})
    found = load(store, import_table(store, [ImportSource(file=path)]))
    assert np.array_equal(np.stack([found[f"s{i}"] for i in range(40)]), X)
    path = write(tmp_path / "gap.parquet", values | {f"f{i}": X[:, i].tolist() for i in (0, 1, 3, 4)})
    with pytest.raises(DatasetError, match=r"gap\.parquet has columns f0 to f4 but lacks f2"):
        import_table(store, [ImportSource(file=path)])


def test_rows_without_ids_are_known_by_their_vectors(store, table):
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


def test_a_real_named_after_a_generator_is_its_counterpart(store, table):
    names = [name if name != "real" or i % 4 == 1 else "ldm_200" for i, name in enumerate(columns()["generator"])]
    frame = Manifest(store, "d", import_table(store, [ImportSource(file=table(generator=names))]).manifests["d"]).frame
    assert set(frame.loc[reals_of(frame, "ldm_200"), "source"]) == {"ldm_200"}
    assert set(frame.loc[frame["label"] == 0, "generator"]) == {"real"}


def test_samples_with_all_transforms_may_have_any(store, tmp_path):
    one, two = columns(), columns(seed=1)
    both = {name: [*one[name], *two[name]] for name in one} | {"transform": ["none"] * 40 + ["blur"] * 40}
    imported = import_table(store, [ImportSource(file=write(tmp_path / "t.parquet", both))])
    frame = Manifest(store, "d", imported.manifests["d"]).frame
    assert len(frame) == 40
    assert frame["augmentation"].isna().all()
    assert [target.transform for target in imported.feature_sets] == ["blur", "none"]
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
    with pytest.raises(DatasetError, match=r"sample 's0' of d has vectors under several transforms but not all"):
        import_table(store, [ImportSource(file=write(tmp_path / "third.parquet", third))])


def test_backbones_have_the_same_samples(store, tmp_path):
    one, two = columns(), columns(seed=1) | {"backbone": ["dino"] * 40}
    both = {name: [*one[name], *two[name]] for name in one}
    imported = import_table(store, [ImportSource(file=write(tmp_path / "t.parquet", both))])
    assert [target.backbone for target in imported.feature_sets] == ["clip", "dino"]
    assert len(Manifest(store, "d", imported.manifests["d"]).frame) == 40
    some = {name: value[:79] for name, value in both.items()}
    with pytest.raises(DatasetError, match=r"backbone dino has 39 of the 40 samples of d under none"):
        import_table(store, [ImportSource(file=write(tmp_path / "some.parquet", some))])


NAN = [float("nan")] + [0.0] * 4
WRONG = {
    "NaN": ({"embedding": {3: NAN, 9: NAN}}, {}, r"t\.parquet, column embedding, has NaN .* in row 4"),
    "infinite": ({"embedding": {30: [0, 0, 0, 0, float("inf")]}}, {}, r"infinite numbers in row 31"),
    "no vector": ({"embedding": {5: None}}, {}, r"no vector in row 6"),
    "label": ({"label": {2: 2, 6: 3}}, {}, r"column `label` .*0 \(real\) or 1 .*; 2 are not: '2', '3' in row 3, row 7"),
    "label word": ({}, {"label": ["maybe", *["real", "fake"] * 19, "fake"]}, r"`label`.*'maybe' in row 1\b"),
    "split": ({"split": {1: "holdout"}}, {}, r"column `split` .*validation or test; 1 are not: 'holdout' in row 2"),
    "no label": ({}, {"label": None}, r"t\.parquet does not say the label .*--labels FILE.*--label generator=NAME"),
    "no split": ({}, {"split": None}, r"does not say the split .*--split train\|validation\|test"),
    "no generator": ({}, {"generator": None}, r"does not say the generator .*--label generator=NAME"),
    "no backbone": ({}, {"backbone": None}, r"does not say the backbone .*--backbone NAME"),
    "no dataset": ({}, {"dataset": None}, r"does not say the dataset .*--name NAME"),
    "no vectors": ({}, {"embedding": None}, r"has no vectors: .*Its columns are sample_id, dataset"),
    "nameless fake": ({"generator": {0: "real"}}, {}, r"`generator` .*must name what made .*'real' in row 1"),
    "ids": ({"sample_id": {7: "s3", 9: "s3"}}, {}, r"Ids .* more than once .*first 's3' in .*row 8, row 10"),
    "empty id": ({"sample_id": {7: " "}}, {}, r"column `sample_id` .*is empty in row 8"),
    "only fakes": ({}, {"generator": ["x"] * 40, "label": [1] * 40}, r"d, split test, .*generated images only \(x\)"),
    "only reals": ({}, {"generator": ["real"] * 40, "label": [0] * 40}, r"d, split test, .*real images only"),
    "test without reals": (
        {}, {"generator": ["x"] * 20 + ["x", "real"] * 10, "label": [1] * 20 + [1, 0] * 10}, r"d, split train.*only",
    ),
    "family": ({}, {"family": ["gan", "real", "ldm", "real"] * 10}, r"`family` .*one of gan, .*'ldm'.* in row 3,"),
    "two families": ({}, {"family": ["gan", "", "gan", "", "other", "", "gan", ""] * 5}, r"'progan' of d has the fam"),
    "a known backbone": ({}, {"backbone": ["clip_vit_b16"] * 40}, r"width 5 by clip_vit_b16, but .* gives 512"),
    "same as transform": ({}, {"transform": ["a"] * 40, "augmentation": ["a"] * 40}, r"mean the same"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables_say_what_where_and_what_to_do_and_write_nothing(name, store, table):
    changes, more, message = WRONG[name]
    with pytest.raises((DatasetError, UsageError), match=message):
        import_table(store, [ImportSource(file=table(changes, **more))])
    assert store.names("") == []


def test_a_generator_whose_own_reals_are_in_the_other_split(store, table):
    sources = [None if i % 2 == 0 else ("progan" if i < 20 else "coco") for i in range(40)]
    with pytest.raises(DatasetError, match=r"d, split test, .*no reals for progan: .*source"):
        import_table(store, [ImportSource(file=table(source=sources))])


@pytest.mark.parametrize("row", [6, 33])
def test_vectors_of_another_width(store, table, row):
    kind = pa.list_(pa.float32())
    with pytest.raises(DatasetError, match=rf"another width than 5, that of row 1, in row {row + 1}\b"):
        import_table(store, [ImportSource(file=table({"embedding": {row: [0.0] * 4}}, kind=kind))])
    with pytest.raises(DatasetError, match=r"no numbers in row 1\b"):
        import_table(store, [ImportSource(file=table({"embedding": {0: []}}, kind=kind))])
    values = [x.tolist() for x in columns()["embedding"]]
    values[1][2] = None
    path, absent = table(), pa.array(values, kind)
    rows = pq.read_table(path)
    pq.write_table(rows.set_column(rows.schema.get_field_index("embedding"), "embedding", absent), path)
    with pytest.raises(DatasetError, match=r"absent numbers in row 2\b"):
        import_table(store, [ImportSource(file=path)])


def loose(tmp_path, names=("real", "progan"), width=D):
    """One file for each kind, as scripts of the field leave them."""
    rng = np.random.default_rng(0)
    for name in names:
        for split in ("train", "test"):
            torch.save(
                torch.from_numpy(rng.normal(size=(6, width)).astype(np.float32)), tmp_path / f"{name}_{split}.pt"
            )
    said = {"dataset": "mine", "backbone": "clip"}
    return [
        ImportSource(
            **said, file=str(tmp_path / f"{name}_{split}.pt"), split=split,
            label="real" if name == "real" else f"generator={name}",
        )
        for name in names for split in ("train", "test")
    ]  # fmt: skip


def test_loose_files_of_one_kind_each(store, tmp_path):
    imported = import_table(store, loose(tmp_path))
    frame = Manifest(store, "mine", imported.manifests["mine"]).frame
    assert frame.groupby(["split", "generator"]).size().to_dict() == {
        ("test", "progan"): 6, ("test", "real"): 6, ("train", "progan"): 6, ("train", "real"): 6,
    }  # fmt: skip
    assert frame["path"].min() == "progan_test.pt#1"
    X = torch.load(tmp_path / "real_test.pt", weights_only=True).numpy()
    assert load(store, imported)["real_test.pt#3"].tolist() == X[2].tolist()


def test_loose_files_of_different_widths_or_without_reals(store, tmp_path):
    sources = loose(tmp_path)
    np.save(tmp_path / "other.npy", np.zeros((6, D + 1), np.float32))
    other = sources[0].model_copy(update={"file": str(tmp_path / "other.npy")})
    with pytest.raises(DatasetError, match=r"other\.npy.* width 6 by clip, and another file has them of width 5"):
        import_table(store, [*sources, other])
    with pytest.raises(DatasetError, match=r"mine, split test, .*generated images only \(progan\)"):
        import_table(store, [sources[0], *sources[2:]])
    assert store.names("") == []


def test_files_of_one_name_are_told_apart_by_their_folders(store, tmp_path):
    sources = loose(tmp_path)
    for place, source in enumerate(sources):
        folder = tmp_path / "features" / f"{place}" / "all"
        folder.mkdir(parents=True)
        moved = Path(source.file).rename(folder / "x.pt")
        sources[place] = source.model_copy(update={"file": str(moved)})
    imported = import_table(store, sources)
    frame = Manifest(store, "mine", imported.manifests["mine"]).frame
    assert set(frame["path"].str.partition("#")[0]) == {f"{place}/all/x.pt" for place in range(4)}
    with pytest.raises(UsageError, match=r"0/all/x\.pt is to be imported more than once"):
        import_table(store, [*sources, sources[0]])


def test_a_group_on_both_sides_of_a_split_is_refused_before_anything_is_written(store, table):
    with pytest.raises(DatasetError, match=r"1 groups are on both sides of a split, first 'g'"):
        import_table(store, [ImportSource(file=table(group=["g", *["", None] * 19, "g"]))])
    assert store.names("") == []


@pytest.mark.parametrize("ending", ["npy", "npz", "pt", "parquet"])
def test_arrays_with_a_table_of_labels(store, tmp_path, ending):
    values = columns()
    X = np.stack(values.pop("embedding"))
    file = tmp_path / f"x.{ending}"
    if ending == "npy":
        np.save(file, X)
    elif ending == "npz":
        np.savez(file, features=X)
    elif ending == "pt":
        torch.save({"features": torch.from_numpy(X).to(torch.bfloat16)}, file)
        X = torch.from_numpy(X).to(torch.bfloat16).float().numpy()
    else:
        pq.write_table(pa.table({"embedding": pa.FixedSizeListArray.from_arrays(X.reshape(-1), D)}), file)
    pd.DataFrame(values).assign(note="x").to_csv(tmp_path / "rows.csv", index=False)
    source = ImportSource(file=str(file), labels=str(tmp_path / "rows.csv"))
    imported = import_table(store, [source])
    assert imported.notes == (f"x.{ending}: not used are note",)
    found = load(store, imported)
    assert np.array_equal(np.stack([found[f"s{i}"] for i in range(40)]), X)
    pd.DataFrame(values)[:39].to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DatasetError, match=r"rows\.csv has 39 rows, .*x\.\w+ has 40"):
        import_table(store, [source])


@pytest.mark.parametrize("ending", ["npz", "pt"])
def test_dictionaries_of_arrays(store, tmp_path, ending):
    values = columns()
    named = {
        "embeddings": np.stack(values["embedding"]), "labels": np.array(values["label"]),
        "splits": values["split"], "generators": values["generator"], "epoch": 3,
    }  # fmt: skip
    file = tmp_path / f"x.{ending}"

    def save(**changes):
        given = named | changes
        if ending == "npz":
            np.savez(file, **given)
        else:
            torch.save({k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}, file)
        return [ImportSource(file=str(file), dataset="d", backbone="clip")]

    imported = import_table(store, save())
    frame = Manifest(store, "d", imported.manifests["d"]).frame
    assert frame.set_index("path").loc[f"x.{ending}#3", ["generator", "split", "label"]].tolist() == [
        "ldm_200",
        "train",
        1,
    ]
    with pytest.raises(DatasetError, match=r"key 'labels' .*one value for each of 40 vectors, and has shape \(39,\)"):
        import_table(store, save(labels=named["labels"][:39]))
    with pytest.raises(DatasetError, match=r"shape \(40, 5, 1\).*\(N, D\)"):
        import_table(store, save(embeddings=named["embeddings"][:, :, None]))
    X = named.pop("embeddings")
    with pytest.raises(UsageError, match=r"none of the keys .*Its keys are labels, .*, zs; .*--embedding KEY"):
        import_table(store, save(zs=X))
    assert import_table(store, [save(zs=X)[0].model_copy(update={"embedding": "zs"})]).feature_sets[0].dimension == D


def test_nothing_is_unpickled(store, tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    torch.save({"features": torch.zeros(2, 2), "when": Path("x")}, tmp_path / "x.pt")
    for name in ("x.npy", "x.pt"):
        with pytest.raises(DatasetError, match=r"unpickled|weights-only"):
            import_table(store, [ImportSource(file=str(tmp_path / name), dataset="d", backbone="b")])


def test_what_is_said_twice_or_makes_no_sense_is_refused(store, table, tmp_path):
    with pytest.raises(UsageError, match=r"has columns for split, generator \(by --label\) itself"):
        import_table(store, [ImportSource(file=table(label=None), split="train", label="real")])
    with pytest.raises(UsageError, match="no column 'x' of lists"):
        import_table(store, [ImportSource(file=table(), embedding="x")])
    with pytest.raises(DatasetError, match=r"no file .*none\.parquet"):
        import_table(store, [ImportSource(file=str(tmp_path / "none.parquet"))])
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "x.parquet").write_text("no parquet")
    (tmp_path / "x.npy").write_text("no array")
    for name, message in (("x.csv", "none of .parquet"), ("x.parquet", "can't be read"), ("x.npy", "is no array")):
        with pytest.raises(DatasetError, match=message):
            import_table(store, [ImportSource(file=str(tmp_path / name))])


def test_stores_and_files_at_urls(table):
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


def published_rows(store, imported, dataset, transform, split):
    target = next(t for t in imported.feature_sets if (t.dataset, t.transform) == (dataset, transform))
    frame = Manifest(store, dataset, imported.manifests[dataset]).frame
    some = frame[(frame["split"] == split) & (frame["augmentation"] == transform)]
    found = read_features(store, target.folder)
    indices, missing = found.rows(some["sample_id"].to_numpy())
    assert not missing.any()
    return found.X[indices], some["label"].to_numpy()


def test_the_published_table_of_four_transforms_gives_the_published_accuracies(store):
    imported = import_table(store, [ImportSource(file=reference("clip_b16_laion_ldm100"))])
    spec = DetectorSpec(train_dataset="d", train_generator="g", backbone="clip", classifier="logistic_regression")
    X, y = published_rows(store, imported, "laion_vs_ldm100", "none", "test")
    found = {}
    for transform in ("none", "blur", "jitter", "blur+jitter"):
        detector = fit(spec, *published_rows(store, imported, "laion_vs_ldm100", transform, "train"))
        found[transform] = np.mean((detector.score(X) > 0.5) == y)
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
