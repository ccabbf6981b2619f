"""`--retry-failed`: the detectors that failed are fitted again, and what is finished stays as it is."""

import sys

import numpy as np
import pandas as pd
import pytest

from flows.cli import main

CONFIG = """
name: retried
store: store
datasets: []
features: [{file: vectors.parquet}]
reducers: [none]
classifiers: [lda, knn(k=999)]
evaluation: {bootstrap: {replicates: 20}}
report: {maps: false}
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, caplog):
    """Runs a command in this process; gives its exit code, its output, and what it logged."""
    rng = np.random.default_rng(0)
    n = 40
    columns = {
        "sample_id": [f"s{i}" for i in range(n)], "label": [i % 2 for i in range(n)],
        "generator": ["gan" if i % 2 else "real" for i in range(n)], "dataset": "d", "backbone": "clip",
        "split": ["train" if i < n // 2 else "test" for i in range(n)], "embedding": list(rng.normal(size=(n, 4))),
    }  # fmt: skip
    pd.DataFrame(columns).to_parquet(tmp_path / "vectors.parquet")
    (tmp_path / "run.yaml").write_text(CONFIG)

    def run(*arguments):
        caplog.clear()
        monkeypatch.setattr(sys, "argv", ["dfd", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, capsys.readouterr().out, caplog.text

    return run


def test_evaluate_tries_only_what_failed_and_only_when_asked(run, tmp_path):
    evaluate = ("evaluate", tmp_path / "run.yaml", "--local")
    code, told, log = run(*evaluate)
    assert code == 0
    assert "1 detectors failed; the report says why, and `dfd evaluate --retry-failed` retries them." in told
    assert "knn(k=999)" in log
    scores = {path: path.stat().st_mtime_ns for path in (tmp_path / "store/scores").iterdir()}
    _, _, log = run(*evaluate)
    assert "failed" not in log
    assert {path: path.stat().st_mtime_ns for path in scores} == scores
    code, told, log = run(*evaluate, "--retry-failed")
    assert code == 0
    assert "knn(k=999)" in log
    assert "lda" not in log
    changed = [path.name for path, before in scores.items() if path.stat().st_mtime_ns != before]
    assert len(changed) == 1
    assert "knn" in changed[0]
