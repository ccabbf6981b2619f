"""`dfd grid`: from a table of vectors to accuracy.csv, in one process and on the engines."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from flows.cli import main

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]
NAMES = "logistic_regression, knn(k=3)"
COLUMNS = ["train", "test", "transform", "test_transform", "backbone", "reducer", "classifier", "n", "accuracy"]


def make_table(path, seed=0):
    """Two datasets; `a` is trained on under two transforms, and both are tested without any."""
    rng = np.random.default_rng(seed)
    rows = []
    for dataset, split, transform, n in (
        ("a", "train", "none", 60), ("a", "train", "blur", 60), ("a", "test", "none", 40), ("b", "test", "none", 30),
    ):  # fmt: skip
        for label in (0, 1):
            X = rng.normal(size=(n, 6)) + label * np.array([1.2, 0.6, 0, 0, 0, 0]) * (1 if dataset == "a" else 0.5)
            generator = {"a": "ldm", "b": "progan"}[dataset] if label else "real"
            rows += [
                {"sample_id": f"{dataset}/{split}/{transform}/{generator}/{i}", "dataset": dataset, "split": split,
                 "label": label, "generator": generator, "transform": transform, "backbone": "clip", "embedding": x}
                for i, x in enumerate(X.astype(np.float32))
            ]  # fmt: skip
    frame = pd.DataFrame(rows)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return frame


def dfd(*arguments):
    return subprocess.run([*DFD, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


def here(capsys, monkeypatch, *arguments):
    """The same without a process of its own: what it returned, and what it said."""
    monkeypatch.setattr(sys, "argv", ["dfd", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return (ended.value.code, *capsys.readouterr())


def expected(frame, dataset, transform, model):
    train = frame[(frame["split"] == "train") & (frame["transform"] == transform)]
    test = frame[(frame["split"] == "test") & (frame["dataset"] == dataset)]
    model.fit(np.stack(train["embedding"]).astype(np.float64), train["label"])
    return (model.predict(np.stack(test["embedding"]).astype(np.float64)) == test["label"]).mean()


def test_a_table_of_vectors_becomes_a_table_of_accuracies(tmp_path):
    frame = make_table(tmp_path / "t.parquet")
    command = ("grid", tmp_path / "t.parquet", "--out", tmp_path / "out", "--local")
    chosen = ("--classifiers", NAMES, "--reducers", "none,pca(components=3)")
    done = dfd(*command, *chosen)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "accuracy.csv")
    table = pd.read_csv(tmp_path / "out" / "accuracy.csv")
    assert list(table.columns[:9]) == COLUMNS
    assert {"auroc", "eer", "brier", "accuracy_low", "accuracy_high", "status", "note"} <= set(table.columns)
    assert len(table) == 2 * 2 * 2 * 2  # transforms trained on, test sets, reducers, classifiers
    assert set(table["status"]) == {"ok"}
    assert set(zip(table["test"], table["n"], strict=True)) == {("a", 80), ("b", 60)}
    models = {
        "logistic_regression": LogisticRegression(C=1, tol=1e-8, max_iter=5000),
        "knn(k=3)": KNeighborsClassifier(3, algorithm="brute"),
    }
    plain = table[table["reducer"] == "none"]
    for row in plain.itertuples():
        assert row.accuracy == expected(frame, row.test, row.transform, models[row.classifier]), row
        assert row.accuracy_low <= row.accuracy <= row.accuracy_high
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "store").rglob("*") if path.is_file()}
    assert "Fitted 0 of 0 detectors: nothing to do" in dfd(*command, *chosen).stderr
    assert {path: path.stat().st_mtime_ns for path in first} == first
    more = dfd(*command, *chosen, "--classifiers", "naive_bayes")
    assert "Fitted 4 of 4 detectors" in more.stderr
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert len(pd.read_csv(tmp_path / "out" / "accuracy.csv")) == 2 * 2 * 2 * 3


def test_a_cell_that_fails_is_a_row_and_the_others_stand(tmp_path):
    make_table(tmp_path / "t.parquet")
    done = dfd(
        "grid", tmp_path / "t.parquet", "--out", tmp_path / "out", "--reducers", "none", "--local",
        "--classifiers", "knn(k=999), lda",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "accuracy.csv").set_index("classifier")
    assert set(table.loc["knn(k=999)", "status"]) == {"failed"}
    assert table.loc["knn(k=999)", "accuracy"].isna().all()
    assert table.loc["knn(k=999)", "note"].str.contains("999").all()
    assert table.loc["lda", "accuracy"].notna().all()
    assert "4 cells failed" in done.stdout
    alone = ("grid", tmp_path / "t.parquet", "--out", tmp_path / "alone", "--reducers", "none", "--local")
    for _ in range(2):
        done = dfd(*alone, "--classifiers", "knn(k=999)")
        assert (done.returncode, done.stdout) == (1, "")
        assert "All 2 detectors failed" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--classifiers", "ldaa"), 2, "There is no classifier named 'ldaa'. Did you mean 'lda'"),
        (("--classifiers", "knn(k=0)"), 2, "greater than or equal to 1"),
        (("--reducers", "pca(components=2, variance=0.9)"), 2, "pca"),
        (("--classifiers", ","), 2, "A list of classifiers or reducers is empty"),
    ],
)
def test_wrong_names_are_told_before_anything_is_written(tmp_path, capsys, monkeypatch, arguments, code, message):
    make_table(tmp_path / "t.parquet")
    out = tmp_path / "out"
    found, stdout, stderr = here(
        capsys, monkeypatch, "grid", tmp_path / "t.parquet", "--out", out, "--local", *arguments
    )
    assert (found, stdout) == (code, "")
    assert message in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(label=f["label"] + 1), "label"),
        (lambda f: f[f["label"] == 1], "generated images only"),
        (lambda f: pd.concat([f, f.iloc[:1].assign(embedding=[np.ones(6, dtype=np.float32)])]), "a/train/none/real/0"),
        (lambda f: f.assign(embedding=[x if i else x * np.nan for i, x in enumerate(f["embedding"])]), "absent"),
        (lambda f: f.assign(embedding=[x if i else x[:5] for i, x in enumerate(f["embedding"])]), "width"),
        (lambda f: f[~((f["dataset"] == "b") & (f["label"] == 0))], "b, split test"),
    ],
    ids=["other labels", "one class", "an id twice", "NaN", "another width", "no reals"],
)  # fmt: skip
def test_a_table_without_honest_numbers_is_an_error(tmp_path, capsys, monkeypatch, change, message):
    frame = change(make_table(tmp_path / "t.parquet"))
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "bad.parquet")
    given = ("grid", tmp_path / "bad.parquet", "--out", tmp_path / "out", "--local", "--classifiers", "lda")
    code, stdout, stderr = here(capsys, monkeypatch, *given)
    assert (code, stdout) == (1, "")
    assert message in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "out" / "accuracy.csv").exists()


def test_it_runs_on_the_engines_too(engine, tmp_path):
    make_table(tmp_path / "t.parquet")
    command = ("grid", tmp_path / "t.parquet", "--classifiers", NAMES, "--reducers", "standardize")
    assert dfd(*command, "--out", tmp_path / "here", "--local").returncode == 0
    done = engine.dfd(*command, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    local, remote = (pd.read_csv(tmp_path / name / "accuracy.csv") for name in ("here", "out"))
    pd.testing.assert_frame_equal(local, remote, rtol=1e-9)
    runs = engine.post("flow_runs/filter")
    assert {"grid out", "report out"} <= {run["name"] for run in runs}
