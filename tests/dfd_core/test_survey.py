"""What a dry run says, for configurations of every shape: before anything is there, and once all of it is."""

import numpy as np
import pandas as pd
import pytest

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.errors import EvaluationError
from dfd_core.evaluation import cells
from dfd_core.storage import Store
from dfd_core.survey import survey

LATER = "detectors: to be fitted and evaluated once the features are there; the report after them"


@pytest.fixture
def images(noise_images, tmp_path):
    noise_images(tmp_path / "images", 12)
    return [{"name": "mine", "folders": str(tmp_path / "images")}]


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "vectors.parquet"
    n = 24
    columns = {
        "sample_id": [f"s{i}" for i in range(n)], "label": [i % 2 for i in range(n)],
        "generator": ["gan2" if i % 2 else "real" for i in range(n)], "dataset": "theirs", "backbone": "clip",
        "split": ["train" if i < n // 2 else "test" for i in range(n)], "embedding": list(rng.normal(size=(n, 4))),
    }  # fmt: skip
    pd.DataFrame(columns).to_parquet(path)
    return [{"file": str(path)}]


def configured(tmp_path, **more):
    plain = {
        "store": str(tmp_path / "store"), "augmentations": ["none"], "backbones": ["spectrum"],
        "classifiers": ["logistic_regression"], "split": {"train": 0.5, "validation": 0, "test": 0.5},
        "evaluation": {"bootstrap": {"replicates": 20}}, "report": {"maps": False},
    }  # fmt: skip
    return RunConfig.model_validate({**plain, **more})


def said(config, *kinds):
    """The lines of a survey of these kinds, without addresses and keys."""
    lines = [line.partition(" (")[0] for line in survey(config).splitlines()]
    return [line for line in lines if line.startswith(kinds)]


def test_vectors_alone_need_no_dataset_and_no_backbone(table, tmp_path):
    config = configured(tmp_path, datasets=[], features=table, backbones=["clip_vit_b16"])
    assert survey(config).splitlines()[1:] == ["features vectors.parquet: to be imported", LATER]
    assert not (tmp_path / "store").exists()
    in_process.run(config)
    lines = ["features vectors.parquet: imported", "detectors: 1 of 1 exist, 0 to be fitted", "results: exist"]
    assert said(config, "features", "detectors", "results", "report") == [*lines, "report: exists"]
    more = config.model_copy(update={"name": "again"})
    assert said(more, "features", "detectors") == ["features vectors.parquet: to be imported", LATER]


def test_images_and_vectors_with_everything_else(images, table, tmp_path):
    config = configured(
        tmp_path, datasets=images, features=table, backbones=["spectrum", "tiny_resnet"], audit={},
        combinations=[["spectrum", "tiny_resnet"]], hierarchies=[{"name": "who"}],
    )  # fmt: skip
    everything = ("audit", "features", "metadata", "combination", "detectors", "hierarchies", "results", "report")
    assert said(config, *everything) == [
        "audit: to be made before extraction",
        "features mine / none / Power spectrum: 0 of 24 exist, 24 to be computed",
        "features mine / none / Tiny ResNet",
        "metadata mine / none: 0 of 24 exist, 24 to be read",
        "features vectors.parquet: to be imported",
        "combination spectrum + tiny_resnet: put together of their vectors, nothing to extract",
        LATER,
    ]
    assert not (tmp_path / "store").exists()
    inputs = pipeline.find_inputs(config)
    in_process.extract(config, inputs)
    lines = said(config, *everything)
    assert lines[0] == "audit: exists"
    assert lines[3:5] == ["metadata mine / none: 24 of 24 exist, 0 to be read", "features vectors.parquet: imported"]
    assert lines[6:] == [
        "detectors: 0 of 5 exist, 5 to be fitted",
        "hierarchies: 0 of 4 exist, 4 to be fitted",
        "results: to be computed",
        "report: to be written",
    ]
    in_process.run(config)
    lines = said(config, *everything)
    assert lines[6] == "detectors: 5 of 5 exist, 0 to be fitted"
    assert lines[8:] == ["results: exist", "report: exists"]


def test_a_dataset_that_is_not_there_is_no_reason_to_fail(images, tmp_path):
    config = configured(tmp_path, datasets=[*images, "simulated"], audit={}, hierarchies=[{"name": "who"}])
    assert "audit: to be made before extraction" in said(config, "audit")
    assert "dataset simulated: to be acquired, then its manifest and all its features to be computed" in survey(config)
    assert said(config, "detectors", "hierarchies") == [LATER]


def test_what_failed_is_to_be_done_only_where_it_is_to_be_retried(images, tmp_path, monkeypatch):
    config = configured(tmp_path, datasets=images, shortcut_probe=None, classifiers=["logistic_regression", "lda"])
    retry = config.model_copy(update={"retry_failed": True})

    def refuse(job, _):
        if job.spec.classifier.name == "lda":
            raise EvaluationError("no memory")

    with monkeypatch.context() as broken:
        broken.setattr(cells, "check_scores", refuse)
        in_process.run(config)
    assert said(config, "detectors") == ["detectors: 2 of 2 exist, 0 to be fitted"]
    assert said(retry, "detectors", "results", "report") == [
        "detectors: 1 of 2 exist, 1 to be fitted", "results: to be computed", "report: to be written",
    ]  # fmt: skip


def test_a_retry_with_success_reaches_results_and_report(images, tmp_path, monkeypatch):
    config = configured(tmp_path, datasets=images, shortcut_probe=None, classifiers=["logistic_regression", "lda"])
    retry = config.model_copy(update={"retry_failed": True})

    def refuse(job, _):
        if job.spec.classifier.name == "lda":
            raise EvaluationError("no memory")

    with monkeypatch.context() as broken:
        broken.setattr(cells, "check_scores", refuse)
        first = in_process.run(config)
    assert in_process.run(config) == first
    folder = in_process.run(retry)
    assert folder != first
    results = Store(config.store).read_table(f"{folder}/results.parquet").to_pandas()
    assert "failed" not in set(results["status"])
    assert in_process.run(config) == in_process.run(retry) == folder
    assert said(retry, "detectors", "results", "report") == [
        "detectors: 2 of 2 exist, 0 to be fitted", "results: exist", "report: exists",
    ]  # fmt: skip
