"""The whole way on real images: every file is accounted for, to the last table."""

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.features.files import read_statuses
from dfd_core.storage import Store


def test_every_image_of_the_folders_is_accounted_for(reference_images, tmp_path):
    folders = {
        "faces256": {"folders": [reference_images / "faces256"]},
        "horse2zebra256": {"folders": [reference_images / "horse2zebra256"], "group_pattern": r"n\d+_\d+"},
        "pix2pix256": {"folders": [reference_images / "pix2pix256"], "group_pattern": r"([^/]+__\d+)_"},
        "biggan128": {"folders": [reference_images / "biggan128", reference_images / "photos"]},
    }
    datasets = [
        {**source, "name": name, "folders": [str(folder) for folder in source["folders"]]}
        for name, source in folders.items()
    ]
    config = RunConfig(
        name="reference", store=str(tmp_path), datasets=datasets, split={"train": 0.6, "validation": 0.1, "test": 0.3},
        augmentations=["none"], backbones=["spectrum"], report={"maps": False},
    )  # fmt: skip
    folder = in_process.run(config)
    manifests, feature_sets = pipeline.find_inputs(config).open(config)
    store = Store(config.store)
    for feature_set in feature_sets:
        name = feature_set.dataset
        on_disk = [path for one in folders[name]["folders"] for path in one.rglob("*") if path.is_file()]
        table = manifests[name].table
        assert sorted(table["url"].to_pylist()) == sorted(map(str, on_disk))
        assert read_statuses(store, feature_set.folder) == dict.fromkeys(table["sample_id"].to_pylist(), "ok")
        by_group = manifests[name].frame.groupby("group")["split"].nunique()
        assert by_group.max() == 1
    results = store.read_table(f"{folder}/results.parquet").to_pandas()
    accuracy = results[(results["metric"] == "accuracy") & (results["threshold_policy"] == "0.5")]
    accuracy = accuracy[(accuracy["calibration"] == "none") & (accuracy["backbone"] != "metadata")]
    assert set(accuracy["train_generator"]) == {"stylegan", "cyclegan", "pix2pix", "biggan"}
    assert len(accuracy) == 4 * 4 * 2
    assert (accuracy["n_failed"] == 0).all()
    for (dataset, generator), cells in accuracy.groupby(["test_dataset", "test_generator"]):
        frame = manifests[dataset].frame
        tested = frame[(frame["split"] == "test") & ((frame["label"] == 0) | (frame["generator"] == generator))]
        assert set(cells["n"] + cells["n_excluded"]) == {tested["sample_id"].nunique()}
    assert set(accuracy.loc[accuracy["test_generator"] == "biggan", "reals"]) == {"cbsd68+imagenet"}
