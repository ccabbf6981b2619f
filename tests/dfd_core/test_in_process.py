import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.errors import EvaluationError, TooManyFailuresError
from dfd_core.evaluation.grid import missing_jobs
from dfd_core.evaluation.metrics import METRICS
from dfd_core.storage import Store
from dfd_core.survey import survey


@pytest.fixture(scope="module")
def finished(small_run):
    folder = in_process.run(small_run)
    return small_run, folder


def test_the_report_has_everything(finished):
    config, folder = finished
    store = Store(config.store)
    names = set(store.names(folder))
    assert names >= {
        "index.html",
        "report.md",
        "results.md",
        "results.csv",
        "results.parquet",
        "config.yaml",
        "figures",
    }
    page = store.read_bytes(f"{folder}/index.html").decode()
    assert "simulated" in page.split("<nav>")[0].split("<body>")[1].lower()
    results = store.read_table(f"{folder}/results.parquet").to_pandas()
    assert set(results["metric"]) == set(METRICS)
    cells = results[(results["metric"] == "accuracy") & (results["threshold_policy"] == "0.5")]
    cells = cells[cells["calibration"] == "none"]
    probe = cells["backbone"] == "metadata"
    # train x test generators, backbones, classifiers, tested augmentations; the probe knows files as they are
    assert (len(cells[~probe]), len(cells[probe])) == (6 * 6 * 2 * 2 * 2, 6 * 6)
    assert (cells["n"] == cells["n_real"] + cells["n_fake"]).all()
    assert (cells["n_real"] == 16).all()
    csv = pd.read_csv(pd.io.common.BytesIO(store.read_bytes(f"{folder}/results.csv")))
    assert np.allclose(csv["value"], results["value"])


def test_the_same_again_does_nothing(finished, monkeypatch):
    config, folder = finished
    before = {name: (p.stat().st_mtime_ns, p.stat().st_ino) for name, p in files(config).items()}
    assert in_process.run(config) == folder
    after = {name: (p.stat().st_mtime_ns, p.stat().st_ino) for name, p in files(config).items()}
    assert after == before


def test_metrics_of_detectors_that_have_them_are_not_counted_as_work(small_run, caplog, tmp_path):
    in_process.run(small_run)
    shutil.copytree(small_run.store, tmp_path / "store")
    again = small_run.model_copy(update={"store": str(tmp_path / "store")})
    inputs = pipeline.find_inputs(again)
    plan = pipeline.plan_results(again, inputs)
    assert not plan.missing
    for path in [plan.path, *(rows for _, rows in plan.parts[:3])]:
        Store(again.store).remove(path)
    caplog.set_level("INFO", "dfd_core")
    plan = pipeline.plan_results(again, inputs)
    assert plan.missing == plan.parts[:3]
    assert in_process.train_and_evaluate(again, inputs) == plan.path
    assert any(message.startswith("Evaluated 3 of 3 detectors (") for message in caplog.messages)
    in_process.train_and_evaluate(again, inputs)
    assert caplog.messages[-1] == "Evaluated 0 of 0 detectors: nothing to do"


def files(config):
    from pathlib import Path

    return {str(path): path for path in Path(config.store).rglob("*") if path.is_file()}


def test_a_survey_says_what_exists_and_writes_nothing(finished, tmp_path):
    config, _ = finished
    text = survey(config)
    assert "features simulated / none / Power spectrum: 280 of 280 exist, 0 to be computed" in text
    assert "detectors: 30 of 30 exist, 0 to be fitted" in text
    more = config.model_copy(update={"seed": 1})
    assert "detectors: 0 of 30 exist, 30 to be fitted" in survey(more)
    fresh = config.model_copy(update={"store": str(tmp_path / "fresh")})
    assert "dataset simulated: to be acquired" in survey(fresh)
    assert not (tmp_path / "fresh").exists()
    hub = RunConfig(store=config.store, datasets=config.datasets, split=config.split, backbones=["clip_vit_b16"])
    assert "backbone clip_vit_b16: weights to be fetched" in survey(hub)


def test_a_survey_of_a_changed_folder_says_exactly_what_is_new(tmp_path):
    rng = np.random.default_rng(0)

    def put(kind, name):
        path = tmp_path / "images" / "gan1" / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)

    for kind in ("real", "fake"):
        for index in range(10):
            put(kind, f"{index}.png")
    config = RunConfig(
        name="grown", store=str(tmp_path / "store"), datasets=[{"name": "mine", "folders": str(tmp_path / "images")}],
        augmentations=["none"], backbones=["spectrum"],
    )  # fmt: skip
    in_process.extract(config, pipeline.find_inputs(config))
    for index in range(3):
        put("fake", f"new{index}.png")
    before = sorted(files(config))
    text = survey(config)
    assert "manifest of 23 samples to be written, 3 of them not read before" in text
    assert "features mine / none / Power spectrum: 20 of 23 exist, 3 to be computed" in text
    assert sorted(files(config)) == before


def test_another_label_costs_no_extraction(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for index in range(24):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(tmp_path / f"{index}.png")
        rows.append({"path": f"{index}.png", "label": index % 2, "generator": "g" if index % 2 else None})
    table = tmp_path / "t.csv"
    config = RunConfig(
        name="labels", store=str(tmp_path / "store"), datasets=[{"name": "mine", "table": str(table)}],
        split={"train": 0.5, "validation": 0, "test": 0.5}, augmentations=["none"], backbones=["spectrum"],
        report={"maps": False},
    )  # fmt: skip
    pd.DataFrame(rows).to_csv(table, index=False)
    first = in_process.run(config)
    features = {name: path.stat().st_mtime_ns for name, path in files(config).items() if "/features/" in name}
    rows[0].update(label=1, generator="g")
    pd.DataFrame(rows).to_csv(table, index=False)
    second = in_process.run(config)
    assert second != first
    assert features == {n: p.stat().st_mtime_ns for n, p in files(config).items() if "/features/" in n}


def measured(results):
    """The rows of test sets, not those of single sources of reals."""
    return results[results["test_generator"] != "real"]


def test_a_broken_image_is_counted_to_the_end_and_too_many_end_the_run(noise_images, tmp_path):
    noise_images(tmp_path / "images", 20)
    (tmp_path / "images/gan1/fake/99.jpg").write_bytes(b"<html>not found</html>")
    config = RunConfig(
        name="broken", store=str(tmp_path / "store"), datasets=[{"name": "mine", "folders": str(tmp_path / "images")}],
        split={"train": 0.5, "validation": 0, "test": 0.5}, augmentations=["none"], backbones=["spectrum"],
        extraction={"max_failed_fraction": 0.05}, report={"maps": False},
    )  # fmt: skip
    folder = in_process.run(config)
    store = Store(config.store)
    page = store.read_bytes(f"{folder}/report.md").decode()
    assert "gan1/fake/99.jpg" in page
    assert "undecodable" in page
    results = measured(store.read_table(f"{folder}/results.parquet").to_pandas())
    trained = "training files without a vector: 1"
    assert (results["n_failed"] == 1).all() or results["note"].str.contains(trained).all()
    strict = config.model_copy(
        update={"extraction": config.extraction.model_copy(update={"max_failed_fraction": 0.02})}
    )
    with pytest.raises(
        TooManyFailuresError, match=r"1 of 41 files .* 1 undecodable\. First: gan1/fake/99\.jpg is undecodable"
    ):
        in_process.run(strict)


def test_the_same_error_page_under_many_names_is_many_files(noise_images, tmp_path):
    folder = noise_images(tmp_path / "images", 20) / "gan1"
    for kind in ("real", "fake"):
        for index in range(5):
            (folder / kind / f"page{index}.jpg").write_bytes(b"<html>404</html>")
    (tmp_path / "images/gan1/real/gone.png").symlink_to(tmp_path / "nowhere.png")
    config = RunConfig(
        name="pages", store=str(tmp_path / "store"), datasets=[{"name": "mine", "folders": str(tmp_path / "images")}],
        split={"train": 0.5, "validation": 0, "test": 0.5}, augmentations=["none"], backbones=["spectrum"],
        extraction={"max_failed_fraction": 0.2}, report={"maps": False},
    )  # fmt: skip
    with pytest.raises(TooManyFailuresError, match="11 of 51 files .* 10 undecodable, 1 missing"):
        in_process.run(config)
    lenient = config.model_copy(
        update={"extraction": config.extraction.model_copy(update={"max_failed_fraction": 0.5})}
    )
    folder = in_process.run(lenient)
    store = Store(config.store)
    page = store.read_bytes(f"{folder}/report.md").decode()
    assert "11 files have no vector" in page
    assert "gan1/real/gone.png" in page
    manifest = pipeline.find_inputs(lenient).open(lenient)[0]["mine"].frame
    tested = manifest[(manifest["split"] == "test") & manifest["format"].isna()]
    results = measured(store.read_table(f"{folder}/results.parquet").to_pandas())
    assert set(results["n_failed"]) == {len(tested)}
    trained = manifest[(manifest["split"] == "train") & manifest["format"].isna()]
    assert results["note"].str.contains(f"training files without a vector: {len(trained)}").all()


def test_evaluation_without_features_says_what_to_do(small_run, tmp_path):
    config = small_run.model_copy(update={"store": str(tmp_path / "empty")})
    inputs = pipeline.find_inputs(config)
    with pytest.raises(EvaluationError, match="1120 vectors were never extracted.*dfd extract"):
        in_process.train_and_evaluate(config, inputs)
    in_process.extract(config, inputs)
    with pytest.raises(EvaluationError, match="no results .*dfd evaluate"):
        pipeline.report(config, inputs)


def test_an_interrupted_training_goes_on_where_it_was(finished):
    config, _ = finished
    inputs = pipeline.find_inputs(config)
    jobs = pipeline.plan_training(config, inputs)
    store = Store(config.store)
    store.fs.rm(store.url(jobs[3].scores_path))
    assert missing_jobs(store, jobs) == [jobs[3]]
    in_process.train_and_evaluate(config, inputs)
    assert missing_jobs(store, jobs) == []


def test_a_detector_is_kept_and_scores_the_same(finished):
    from dfd_core.detectors import Detector
    from dfd_core.evaluation.banks import load_bank, vector_sets

    config, _ = finished
    store, inputs = Store(config.store), pipeline.find_inputs(config)
    job = pipeline.plan_training(config, inputs)[0]
    table = load_bank(store, vector_sets(inputs.open(config)[1])[job.spec.backbone])["simulated", "none"]
    scores = store.read_table(job.scores_path).to_pandas()
    scores = scores[scores["split"] == "test"]
    scores = scores[scores["test_augmentation"] == "none"].head(20)
    again = Detector.load(store, job.detector_path).score(table.X[table.rows(scores["sample_id"])[0]])
    assert np.array_equal(again, scores["score"])


WITHOUT_ENGINES = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("prefect", "ray"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
from dfd_core.config import RunConfig
from dfd_core.in_process import run
import json
print(run(RunConfig.model_validate_json(sys.argv[1])))
"""


def test_the_whole_way_runs_without_prefect_and_ray(finished):
    config, folder = finished
    command = [sys.executable, "-c", WITHOUT_ENGINES, json.dumps(config.model_dump(mode="json"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == folder
