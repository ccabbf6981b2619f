"""Arrays and tensors, loose files of one kind each, and what is said of them by options and tables beside."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dfd_core.errors import DatasetError, UsageError
from dfd_core.features.importing import import_table
from dfd_core.features.importing_sources import ImportSource
from dfd_core.manifests import Manifest

D = 5


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


def test_loose_files_of_one_kind_each(store, tmp_path, load):
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
def test_arrays_with_a_table_of_labels(store, tmp_path, ending, columns, load):
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
def test_dictionaries_of_arrays(store, tmp_path, ending, columns):
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
    for name, message in (("x.csv", "none of .parquet"), ("x.parquet", "can't be read"), ("x.npy", "is not an array")):
        with pytest.raises(DatasetError, match=message):
            import_table(store, [ImportSource(file=str(tmp_path / name))])
