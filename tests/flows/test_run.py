import json
import re
from pathlib import Path

import numpy as np
import pytest

from dfd_core.config import dump_config, load_config
from dfd_core.storage import Store

CONFIG = """
name: flowing
store: store
datasets: [{catalogue: simulated, options: {images_per_class: 40}}]
split: {train: 0.5, validation: 0.1, test: 0.4}
augmentations: [none, jpeg_q75]
backbones: [spectrum, tiny_resnet]
extraction: {shard_size: 20}
evaluation: {bootstrap: {replicates: 20}}
"""


@pytest.fixture(scope="module")
def first(engine, tmp_path_factory):
    """A run through Prefect and Ray: its configuration and what the command printed."""
    path = tmp_path_factory.mktemp("run") / "run.yaml"
    path.write_text(CONFIG)
    return path, engine.dfd("run", path)


def test_the_last_line_is_the_report_and_logs_go_to_standard_error(first):
    path, done = first
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert Path(lines[-1]).parent == path.parent / "store" / "reports"
    assert (Path(lines[-1]) / "index.html").is_file()
    assert lines[-2].startswith("Dashboard: http://127.0.0.1:")
    assert "Accuracy in % (n): Power spectrum" in done.stdout
    assert "INFO" not in done.stdout
    assert re.search(r"Fitting (\d+) of \1 detectors", done.stderr)


def test_every_flow_and_task_run_is_kept_and_completed(engine, first):
    runs = engine.post("flow_runs/filter", sort="START_TIME_ASC")
    ours = [run for run in runs if run["name"].endswith(" flowing")][:5]
    assert {run["name"].removesuffix(" flowing") for run in ours} == {
        "run", "extract", "prepare", "train and evaluate", "report",
    }  # fmt: skip
    assert {run["state_name"] for run in ours} == {"Completed"}
    tasks = engine.post("task_runs/filter", flow_runs={"id": {"any_": [run["id"] for run in ours]}})
    names = {task["name"] for task in tasks}
    assert names >= {
        "prepare simulated",
        "resolve spectrum",
        "resolve tiny_resnet",
        "extract features",
        "fit detectors",
    }
    assert {task["state_name"] for task in tasks} == {"Completed"}


def test_a_progress_bar_for_each_feature_set_moved_to_its_end(engine, first):
    bars = [a for a in engine.post("artifacts/filter", limit=200) if (a["key"] or "").startswith("features-simulated")]
    assert len(bars) >= 4
    assert {bar["data"] for bar in bars} == {100.0}
    assert all(bar["updated"] > bar["created"] for bar in bars)
    assert {bar["description"] for bar in bars} >= {
        "simulated / none / Power spectrum", "simulated / jpeg_q75 / Tiny ResNet (random)",
    }  # fmt: skip


def test_one_table_of_the_actors_is_moved_in_place(engine, first):
    _, done = first
    told = re.search(r"Extracting (\d+) images", done.stderr)
    images = f"{int(told[1]):,}"
    assert f"Extracted {images} of {images} images" in done.stderr
    assert re.search(r"\d actors?: [\d.]+.* images/s", done.stderr)
    tables = [a for a in engine.post("artifacts/filter", limit=200) if a["key"] == "flowing-extraction"]
    (table,) = [a for a in tables if f"Extracted {images} of {images} images" in a["description"]]
    assert table["updated"] > table["created"]
    everything, *actors = json.loads(table["data"])
    assert (everything["actor"], everything["left"]) == ("all", "0 images")
    assert f"{everything['images']:,}" == images
    assert everything["images"] == sum(actor["images"] for actor in actors)


def test_tables_and_pictures_stand_in_the_dashboard(engine, first):
    artifacts = engine.post("artifacts/filter", limit=200)
    keys = {kind: {a["key"] for a in artifacts if a["type"] == kind} for kind in ("table", "image")}
    assert {"manifest-simulated", "flowing-throughput", "flowing-extraction", "flowing-accuracy"} <= keys["table"]
    assert any(key.startswith("flowing-accuracy-power-spectrum") for key in keys["image"])
    assert any(key.startswith("flowing-map-tsne") for key in keys["image"])


def test_the_same_again_does_nothing_anew_and_says_so(engine, first):
    def bars():
        found = engine.post("artifacts/filter", artifacts={"key": {"any_": ["detectors", "results"]}})
        return sorted((bar["id"], bar["data"]) for bar in found)

    path, done = first
    before = bars()
    again = engine.dfd("run", path, RAY_ADDRESS="127.0.0.1:1")  # where no Ray is, so starting it would be an error
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert "Every vector of the 4 feature sets is in the store already" in again.stderr
    assert re.search(r"All \d+ detectors have scores in the store already", again.stderr)
    assert re.search(r"The metrics of all \d+ detectors are in the store already", again.stderr)
    assert "The report is in the store already" in again.stderr
    assert bars() == before  # where nothing is to be done there is no bar
    assert {percent for _, percent in before} == {100.0}


def test_prefect_and_ray_give_the_numbers_of_one_process(engine, first, tmp_path):
    path, done = first
    here = engine.dfd("run", path, "--local", "--store", tmp_path / "here")
    assert here.returncode == 0, here.stderr
    tables = [
        Store(Path(one.stdout.splitlines()[-1])).read_table("results.parquet").to_pandas() for one in (done, here)
    ]
    assert tables[0].drop(columns="value").equals(tables[1].drop(columns="value"))
    assert np.allclose(tables[0]["value"], tables[1]["value"], atol=1e-9)


@pytest.mark.parametrize(
    ("step", "where", "says"),
    [
        ("prepare", "manifests", "sim_pixel_shuffle"),
        ("extract", "features", "Power spectrum"),
        ("evaluate", "results", "means over generators not trained on"),
        ("report", "reports", "means over generators not trained on"),
    ],
)
def test_each_step_has_its_command(engine, first, step, where, says):
    path, _ = first
    done = engine.dfd(step, path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).relative_to(path.parent / "store").parts[0] == where
    assert says in done.stdout


def test_a_broken_image_is_a_row_in_the_dashboard_and_too_many_fail_the_run(engine, noise_images, tmp_path):
    noise_images(tmp_path / "images", 20)
    (tmp_path / "images/gan1/fake/broken.png").write_bytes(b"")
    path = tmp_path / "run.yaml"
    text = """
name: broken
store: store
datasets: [{name: mine, folders: images}]
augmentations: [none]
backbones: [spectrum]
extraction: {max_failed_fraction: 0.02}
"""
    path.write_text(text)
    done = engine.dfd("extract", path)
    assert done.returncode == 1
    assert done.stderr.count("1 of 41 files have no vector") == 3  # by the task, the flow, and at the end
    assert "gan1/fake/broken.png is empty" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    path.write_text(text.replace("0.02", "0.05"))
    done = engine.dfd("extract", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2].split()[-2:] == ["41", "1"]  # images, without a vector
    assert "1 image can't be used, 1 vector missing: gan1/fake/broken.png in mine is empty" in done.stderr
    assert "All of them are in the dashboard's table broken-failed-samples" in done.stderr
    tables = [a for a in engine.post("artifacts/filter", limit=200) if a["key"] == "broken-failed-samples"]
    assert any("gan1/fake/broken.png" in table["data"] for table in tables)


def test_a_configuration_can_be_a_flows_parameter(first):
    """A schedule stores the configuration as JSON and validates it before the run."""
    from flows.run import run_flow

    config = load_config(first[0])
    parameters = run_flow.serialize_parameters({"config": config})
    assert run_flow.validate_parameters(parameters)["config"] == config
    assert "store" in dump_config(config)
