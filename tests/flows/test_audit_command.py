import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfd_core.datasets import own_cards
from dfd_core.datasets.sources import FolderSource
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


def dfd(*arguments):
    return subprocess.run([*DFD, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def folder(tmp_path):
    """Reals are JPEG, fakes are PNG."""
    rng = np.random.default_rng(0)
    for i in range(24):
        for place, kind in (("cam/real", "jpg"), ("gan/fake", "png")):
            path = tmp_path / "faces" / place / f"{i}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(path)
    return tmp_path / "faces"


def test_findings_are_told_and_fail_only_when_asked_to(folder, tmp_path):
    done = dfd("audit", folder, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "ERROR  shortcut: faces/gan" in done.stdout
    assert "format 1.00" in done.stdout
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out/index.html")
    assert len(list((tmp_path / "out/sheets").glob("faces_gan-*.png"))) == 1
    assert dfd("audit", folder, "--out", tmp_path / "out", "--fail-on", "error").returncode == 3


def test_json_is_all_of_standard_output(folder, tmp_path):
    done = dfd("audit", folder, "--out", tmp_path / "out", "--json", "--no-near-duplicates")
    found = json.loads(done.stdout)
    assert {finding["kind"] for finding in found["findings"]} == {"shortcut"}
    assert done.stderr.splitlines()[-1] == str(tmp_path / "out/index.html")


def test_a_configuration_has_all_its_datasets_audited(folder, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("store: store\ndatasets: [{name: mine, folders: faces}]\n")
    done = dfd("audit", config, "--out", tmp_path / "out", "--no-near-duplicates")
    assert done.returncode == 0, done.stderr
    assert "ERROR  shortcut: mine/gan" in done.stdout
    assert list((tmp_path / "store/headers").glob("mine-*/*.parquet"))
    refused = dfd("audit", config, folder)
    assert refused.returncode == 2
    assert "audited alone" in refused.stderr


def test_bytes_with_two_labels_end_preparing_and_are_listed_by_the_audit_that_the_error_names(folder, tmp_path):
    for i in range(2):
        (folder / f"gan/fake/copy{i}.jpg").write_bytes((folder / f"cam/real/{i}.jpg").read_bytes())
    config = tmp_path / "run.yaml"
    config.write_text("store: store\ndatasets: [{name: mine, folders: faces}]\n")
    refused = dfd("audit", config, "--out", tmp_path / "out")
    assert refused.returncode == 1
    assert "`dfd audit FOLDER` lists all" in refused.stderr
    done = dfd("audit", folder, "--out", tmp_path / "out", "--no-near-duplicates")
    assert "faces/cam/real/0.jpg (real) = faces/gan/fake/copy0.jpg (generated)" in done.stdout
    assert "faces/cam/real/1.jpg (real) = faces/gan/fake/copy1.jpg (generated)" in done.stdout


def test_a_configuration_can_make_the_exit_code_binding(folder, tmp_path):
    config = tmp_path / "run.yaml"
    own = "audit: {fail_on: error, near_duplicates: false}"
    config.write_text(f"store: store\ndatasets: [{{name: mine, folders: faces}}]\n{own}\n")
    done = dfd("audit", config, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "No pixel was decoded" in done.stdout
    looked = dfd("audit", config, "--out", tmp_path / "out", "--near-duplicates")
    assert "Every image was decoded" in looked.stdout
    assert looked.returncode == 3


def test_a_prepared_dataset_is_audited_by_its_name(folder, tmp_path):
    def here(*arguments):
        return subprocess.run(
            [*DFD, *arguments], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
        )  # fmt: skip

    store = Store(tmp_path / "dfd-store")
    source = FolderSource(name="mine", folders=str(folder))
    own_cards.keep(source, store)
    missing = here("audit", "mine")
    assert missing.returncode == 2
    assert "`dfd datasets prepare mine`" in missing.stderr
    assert here("audit", "deepfakeface").returncode == 2
    prepare(source, SplitSpec(), store)
    os.utime(folder / "cam/real/0.jpg", ns=(1, 1))
    prepare(source, SplitSpec(), store)  # a manifest of its own, in place of the first
    found = here("audit", "mine", "--no-near-duplicates")
    assert found.returncode == 0, found.stderr
    assert "ERROR  shortcut: mine/gan" in found.stdout
    elsewhere = here("audit", "mine", "--store", "nowhere")
    assert elsewhere.returncode == 1
    assert "There is no folder" in elsewhere.stderr
    prepare(source, SplitSpec(seed=5), store)
    assert "has 2 manifests of mine" in here("audit", "mine").stderr


def test_wrong_usage_is_told(folder, tmp_path):
    wrong = dfd("audit", folder, "--fail-on", "wraning")
    assert wrong.returncode == 2
    assert "Did you mean 'warning'" in wrong.stderr
    pattern = dfd("audit", folder, "--group-pattern", "(")
    assert pattern.returncode == 2
    assert pattern.stderr.strip().splitlines()[-1].endswith("position 0.")
    assert "Traceback" not in pattern.stderr
    missing = dfd("audit", tmp_path / "nowhere", "--fail-on", "info")
    assert missing.returncode == 1
    assert "There is no folder" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_near_duplicates_become_groups_of_a_dataset(folder, tmp_path):
    with Image.open(folder / "gan/fake/3.png") as image:
        image.save(folder / "gan/fake/copy.jpg", quality=90)
    done = dfd("audit", folder, "--out", tmp_path / "out", "--groups", tmp_path / "groups.csv")
    assert done.returncode == 0, done.stderr
    header, *rows = (tmp_path / "groups.csv").read_text().splitlines()
    assert header == "dataset,path,group"
    assert {row.rpartition(",")[0] for row in rows} >= {"faces,gan/fake/3.png", "faces,gan/fake/copy.jpg"}
    config = tmp_path / "run.yaml"
    config.write_text("store: store\ndatasets: [{name: mine, folders: faces, groups: groups.csv}]\n")
    prepared = dfd("prepare", config, "--local")
    assert prepared.returncode == 0, prepared.stderr
    (path,) = (tmp_path / "store").rglob("mine-*.parquet")
    groups = pq.read_table(path, columns=["path", "group"]).to_pandas().set_index("path")["group"]
    assert groups["gan/fake/3.png"] == groups["gan/fake/copy.jpg"]
    assert re.search(r"groups\.csv: \d+ files in \d+ groups?\.$", done.stderr.strip())
    other = tmp_path / "other"
    shutil.copytree(folder / "gan", other / "gan2")
    across = dfd("audit", folder, other, "--out", tmp_path / "out", "--groups", tmp_path / "both.csv")
    assert "more are near files of other datasets alone. Groups hold within a dataset: make one" in across.stderr
    refused = dfd("audit", folder, "--groups", "g.csv", "--no-near-duplicates")
    assert refused.returncode == 2
    assert "--groups writes near duplicates" in refused.stderr
