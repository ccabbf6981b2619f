"""A trace that is there is found, and where there is none nothing is found: the whole way, on simulated images."""

import numpy as np
import pandas as pd
import pytest

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.storage import Store

SHUFFLES = 8


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = RunConfig(
        name="trace", store=str(tmp_path_factory.mktemp("trace")),
        datasets=[{"catalogue": "simulated", "options": {"images_per_class": 200}}],
        split={"train": 0.6, "validation": 0, "test": 0.4}, augmentations=["none"], backbones=["spectrum"],
        classifiers=["logistic_regression"], shortcut_probe=None,
    )  # fmt: skip
    inputs = pipeline.find_inputs(config)
    in_process.extract(config, inputs)
    return config, inputs


def own_auroc(config, inputs) -> pd.Series:
    """AUROC of each detector on held-out samples of the generator that it was trained on."""
    results = Store(config.store).read_table(in_process.train_and_evaluate(config, inputs)).to_pandas()
    own = results[(results["metric"] == "auroc") & (results["train_generator"] == results["test_generator"])]
    assert (own["n"] == 160).all()
    return own.set_index("train_generator")["value"]


def test_every_generator_is_told_from_reals_by_its_spectrum(run):
    found = own_auroc(*run)
    assert len(found) == 6
    assert found.min() > 0.9, found.to_dict()


def test_shuffled_labels_teach_nothing(run):
    """One shuffle alone gives a direction in which the classes, which do differ, may lie apart; the mean does not."""
    config, inputs = run
    shuffled = [
        own_auroc(config.model_copy(update={"shuffle_labels": True, "seed": seed}), inputs) for seed in range(SHUFFLES)
    ]
    mean = pd.concat(shuffled, axis=1).mean(axis=1)
    assert mean.between(0.4, 0.6).all(), mean.to_dict()
    assert np.std([one.mean() for one in shuffled]) > 0  # the shuffles differ
