"""Everything that an evaluation may ask for, in one run from files to the report."""

import numpy as np
import pytest

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.evaluation.hierarchy import HierarchyResult
from dfd_core.storage import Store


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = RunConfig(
        name="whole", store=str(tmp_path_factory.mktemp("whole")),
        datasets=[{"catalogue": "simulated", "options": {"images_per_class": 40}}],
        split={"train": 0.5, "validation": 0.2, "test": 0.3},
        augmentations=["none", "jpeg_q75", "matched"], backbones=["spectrum", "tiny_vit"],
        reducers=["pca(components=8)"], classifiers=["lda"],
        combinations=[["spectrum", "tiny_vit"]],
        protocol={"train_on": ["cross_generator", "leave_one_family_out"], "matched": True},
        evaluation={"thresholds": ["0.5", "validation", "fpr_5pct", "oracle"], "calibrations": ["none", "isotonic"],
                    "bootstrap": {"replicates": 5}},
        hierarchies=[{"name": "who", "leave_out": ["sim_latent_8x"], "merge": {"convs": ["sim_*_conv"]},
                      "unknown_below": 0.5}, {"name": "nobody", "merge": {"glide": ["glide_*"]}}],
        report={"maps": False},
    )  # fmt: skip
    folder = in_process.run(config)
    return config, folder, Store(config.store).read_table(f"{folder}/results.parquet").to_pandas()


def test_every_training_set_is_tested_on_every_generator_as_the_protocol_says(run):
    _, _, results = run
    assert set(results["status"]) == {"ok"}
    own = results[(results["metric"] == "auroc") & (results["calibration"] == "none")]
    own = own[own["backbone"] != "metadata"]
    tested = own.groupby("train_augmentation")["test_augmentation"].agg(lambda names: sorted(set(names))).to_dict()
    assert tested == {"none": ["jpeg_q75", "none"], "matched": ["matched"]}
    assert set(own["backbone"]) == {"Power spectrum", "Tiny ViT (random)", "Power spectrum+Tiny ViT (random)"}
    sets = own.groupby("protocol")["train_generator"].unique().map(sorted).to_dict()
    assert len(sets["cross_generator"]) == 6
    assert sets["leave_one_family_out"] == ["all but diffusion", "all but gan"]
    left_out = own[(own["protocol"] == "leave_one_family_out") & (own["train_generator"] == "all but gan")]
    assert set(left_out.loc[left_out["test_family"] == "gan", "seen"]) == {False}
    assert set(left_out.loc[left_out["test_family"] == "diffusion", "seen"]) == {True}


def test_one_threshold_of_a_detector_holds_for_all_its_tests_but_the_oracles_do_not(run):
    _, _, results = run
    thresholds = results[results["threshold"].notna() & (results["calibration"] == "none")]
    distinct = thresholds.groupby(["detector", "threshold_policy"])["threshold"].nunique()
    for policy in ("0.5", "validation", "fpr_5pct"):
        assert set(distinct.xs(policy, level="threshold_policy")) == {1}
    assert distinct.xs("oracle", level="threshold_policy").max() > 1
    oracle = thresholds[thresholds["threshold_policy"] == "oracle"]
    assert oracle["note"].str.contains("chosen on the test set itself").all()
    one = thresholds[
        (thresholds["metric"] == "accuracy") & (thresholds["train_generator"] == thresholds["test_generator"])
    ]
    wide = one.pivot_table(index=["detector", "test_augmentation"], columns="threshold_policy", values="value")
    assert (wide["oracle"] >= wide[["0.5", "validation", "fpr_5pct"]].max(axis=1) - 1e-12).all()


def test_matched_metadata_tell_nothing(run):
    _, _, results = run
    probe = results[(results["backbone"] == "metadata") & (results["metric"] == "auroc")]
    matched = probe[probe["train_augmentation"] == "matched"]
    assert len(matched)
    assert set(matched["value"]) == {0.5}
    assert probe.loc[probe["train_augmentation"] == "none", "value"].nunique() > 1


def test_false_positives_stand_by_source_of_reals(run):
    _, _, results = run
    rows = results[results["metric"] == "false_positive_rate"]
    assert set(rows["test_generator"]) == {"real"}
    assert rows["reals"].nunique() >= 1
    assert set(rows["n_fake"]) == {0}
    assert "oracle" not in set(rows["threshold_policy"])


def test_hierarchies_are_fitted_on_each_backbone_once(run):
    config, folder, _ = run
    store, inputs = Store(config.store), pipeline.find_inputs(config)
    jobs = pipeline.plan_run_hierarchies(config, inputs)
    assert len(jobs) == 2 * 3 * 2  # hierarchies, backbones and their combination, trained on none and on matched
    assert {job.is_done(store) for job in jobs if job.spec.name.startswith("who")} == {True}
    assert {job.is_done(store) for job in jobs if job.spec.name.startswith("nobody")} == {False}
    (job,) = (one for one in jobs if one.spec.name == "who / Power spectrum / none")
    result = HierarchyResult.load(store, job.folder)
    table = result.table.to_pandas()
    assert set(table["test"]) == {"none", "jpeg_q75"}
    unseen = table[(table["generators"] == "unseen") & (table["level"] == "real") & (table["metric"] == "accuracy")]
    assert (unseen["n"] > 0).all()
    assert "sim_latent_8x" not in result.summary.generators
    assert result.summary.generators["sim_bilinear_conv"] == "convs"
    assert np.isfinite(table.loc[table["value"].notna(), "value"]).all()
    page = store.read_bytes(f"{folder}/index.html").decode()
    assert "Hierarchy who" in page
    assert "matches no generator of the training rows" in page


def test_beside_matched_detectors_stand_matched_metadata_and_they_are_in_the_first_table(run):
    config, folder, _ = run
    page = Store(config.store).read_bytes(f"{folder}/report.md").decode()
    first = page.split("## Results on unseen generators")[1].split("## ")[0]
    lines = [line for line in first.splitlines() if "matched → matched" in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header = next(line for line in first.splitlines() if line.startswith("| detector"))
    place = [cell.strip() for cell in header.strip("|").split("|")].index("metadata")
    assert lines
    assert {row[place] for row in cells} <= {"50.0", "–"}
    assert "50.0" in {row[place] for row in cells}


def test_the_same_again_fits_nothing(run, monkeypatch):
    config, folder, _ = run
    monkeypatch.setattr("dfd_core.evaluation.cells.fit_group", None)
    monkeypatch.setattr("dfd_core.evaluation.hierarchy.fit_and_evaluate_hierarchy", None)
    assert in_process.run(config) == folder
