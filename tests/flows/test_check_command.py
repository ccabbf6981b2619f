import subprocess
import sys

import pandas as pd
import pytest

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


def dfd(*arguments):
    return subprocess.run([*DFD, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def results(tmp_path):
    """A store with one table of results, as a file too."""
    frame = pd.DataFrame(
        {
            "metric": ["accuracy", "auroc", "eer"],
            "test_generator": "ldm",
            "value": [0.8, 0.9, None],
            "note": ["", "", "few"],
        }
    )
    (tmp_path / "store" / "results").mkdir(parents=True)
    frame.to_parquet(tmp_path / "store" / "results" / "demo-0.parquet")
    return tmp_path / "store" / "results" / "demo-0.parquet"


def test_results_that_stay_and_that_leave_their_tolerance(results, tmp_path):
    expected, store = tmp_path / "e.yaml", tmp_path / "store"
    done = dfd("check", results, expected, "--write", "--tolerance", "0.01")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"2 expectations from {results}; 1 rows have no value and are left out."
    assert done.stdout.splitlines()[-1] == str(expected)
    done = dfd("check", store, expected)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2 of 2 results are as expected.", str(results)]
    frame = pd.read_parquet(results).assign(value=[0.78, None, 0.2])
    (tmp_path / "report").mkdir()
    frame.to_csv(tmp_path / "report" / "results.csv", index=False)
    done = dfd("check", tmp_path / "report", expected)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()[2:4]] == ["outside", "missing"]
    assert "0.0100 below what is allowed" in done.stdout
    assert done.stderr.strip().endswith(
        "2 of 2 results are not as " + str(expected) + " expects: 1 outside, 1 missing."
    )


def test_wrong_usage_is_exit_code_2(results, tmp_path):
    expected, store = tmp_path / "e.yaml", tmp_path / "store"
    (store / "results" / "demo-1.parquet").write_bytes(results.read_bytes())
    cases = {
        (store, expected): r"has 2 tables of results. Name one of them",
        (results, expected, "--write"): "--tolerance 0.01 is one percentage point",
        (results, expected, "--tolerance", "1"): "--tolerance belongs to --write",
        (tmp_path, expected): "There are no results in",
        (results, expected): "There is no file of expectations",
    }
    for arguments, message in cases.items():
        done = dfd("check", *arguments)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    expected.write_text("mine")
    done = dfd("check", results, expected, "--write", "--tolerance", "0")
    assert done.returncode == 2
    assert expected.read_text() == "mine"
