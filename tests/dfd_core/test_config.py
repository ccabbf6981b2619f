import pytest
import yaml
from pydantic import ValidationError

from dfd_core.config import RunConfig, dump_config, load_config
from dfd_core.errors import ConfigError, UnknownNameError, UsageError


def write(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_the_embedded_default_needs_no_file_and_no_network():
    config = load_config(None)
    assert [source.name for source in config.datasets] == ["simulated"]
    assert all(backbone.card.default_weights in ("none", "seeded") for backbone in config.backbones)


def test_what_is_printed_is_read_back_as_the_same(tmp_path):
    config = load_config(None, store=str(tmp_path / "store"))
    assert load_config(write(tmp_path, dump_config(config))) == config


def test_retrying_is_a_fact_of_a_start_and_no_part_of_what_is_kept(tmp_path):
    config = load_config(write(tmp_path, "name: mine\n"), retry_failed=True)
    assert config.retry_failed
    assert "retry_failed" not in dump_config(config)
    assert load_config(write(tmp_path, "extraction: {retry_failed: true, shard_size: 7}\n")).retry_failed
    assert not load_config(write(tmp_path, "retry_failed: false\nextraction: {retry_failed: true}\n")).retry_failed
    with pytest.raises(ConfigError, match="retry_failed: Input should be a valid boolean"):
        load_config(write(tmp_path, "extraction: {retry_failed: sometimes}\n"))


def test_bare_names_are_enough(tmp_path):
    config = load_config(
        write(tmp_path, "datasets: [simulated]\nbackbones: [clip_vit_b16]\naugmentations: [jpeg_q50]\n")
    )
    assert config.backbones[0].card.architecture == "ViT-B-16-quickgelu"
    assert config.augmentations[0].describe() == "JPEG quality 50"


def test_relative_paths_start_at_the_files_folder(tmp_path):
    text = """
store: out
datasets: [{name: mine, folders: [photos, "s3://bucket/fakes"]}, {name: other, table: /data/t.csv}]
backbones: [{name: clip_vit_b16, weights: w.safetensors}]
"""
    config = load_config(write(tmp_path, text))
    assert config.store == str(tmp_path / "out")
    assert config.datasets[0].folders == (str(tmp_path / "photos"), "s3://bucket/fakes")
    assert config.datasets[1].table == "/data/t.csv"
    assert config.backbones[0].weights == str(tmp_path / "w.safetensors")


def test_what_the_command_line_says_stands_over_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, "store: out\nname: mine\n")
    assert load_config(path, store="elsewhere").store == str(tmp_path / "elsewhere")
    assert load_config(path, store=None).store == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: [simulated]", "There is no key named 'dataset'. Did you mean 'datasets'"),
        (
            "extraction: {batchsize: 3}",
            "extraction.batchsize: There is no key named 'batchsize'. Did you mean 'batch_size'",
        ),
        ("backbones: [clip_vit_b17]", "no backbone named 'clip_vit_b17'. Did you mean 'clip_vit_b16'"),
        ("augmentations: [jpeg_q76]", "no augmentation named 'jpeg_q76'. Did you mean"),
        ("classifiers: [svm]", "no classifier named 'svm'"),
        ("datasets: [simulatd]", "no dataset named 'simulatd'. Did you mean 'simulated'"),
        ("datasets: [{catalogue: simulated, options: {pixels: 3}}]", "pixels: no such option"),
        ("datasets: [{name: x}]", "catalogue name or has one of the keys"),
        ("datasets: []", "datasets and features are both empty"),
        ("datasets: [simulated, simulated]", "more than once"),
        ("protocol: {test_augmentations: [blur]}", "not among augmentations"),
        ("report: {heatmap_metrics: [acuracy]}", "no metric named 'acuracy'. Did you mean 'accuracy'"),
        ("split: {train: 0.9}", "must add up to 1"),
        ("extraction: {max_failed_fraction: 2}", "less than or equal to 1"),
        (
            "datasets: [{name: x, folders: a, grup_pattern: b}]",
            "There is no key named 'grup_pattern'. Did you mean 'group",
        ),
        ("datasets: [{name: x, table: a, famlies: {}}]", "There is no key named 'famlies'. Did you mean 'families'"),
        ("backbones: [{name: spectrum, weigths: x}]", "There is no key named 'weigths'. Did you mean 'weights'"),
        ("augmentations: [{name: a, steps: [{op: jpeg, qualty: 3}]}]", "named 'qualty'. Did you mean 'quality'"),
        ("seed: -1", "greater than or equal to 0"),
        ("classifiers: [logistic_regression, logistic_regression]", "has logistic_regression more than once"),
        ("backbones: [spectrum, spectrum]", "more than once"),
        ("name: a\nname: b", "the key 'name' stands twice"),
        ("", "it holds nothing"),
        ("- a list", "must hold keys and values, it holds a list"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_configuration_says_what_and_where(tmp_path, text, message):
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, text))
    assert message in str(caught.value)
    assert "run.yaml" in str(caught.value) or isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 2


def test_every_problem_is_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "nmae: x\nseed: many\n"))
    assert "nmae" in str(caught.value)
    assert "seed: Input should be a valid integer" in str(caught.value)


def test_a_wrong_entry_does_not_make_its_list_too_short(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "datasets: [{name: x, folders: a, grup_pattern: b}]"))
    assert "at least 1 item" not in str(caught.value)


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigError, match="no configuration .*nothing.yaml.*dfd config show"):
        load_config(tmp_path / "nothing.yaml")


def test_a_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().seed = 3
    with pytest.raises(UnknownNameError):
        RunConfig(backbones=["nothing"])


def test_the_dump_is_plain_yaml():
    assert yaml.safe_load(dump_config(RunConfig()))["datasets"][0]["catalogue"] == "simulated"


def test_robustness_names_all_severities_at_once_and_none_twice():
    config = RunConfig(augmentations=["none", "robustness", "jpeg_q75"])
    names = [one.name for one in config.augmentations]
    assert names[0] == "none"
    assert names[-1] == "jpeg_q75"
    assert {"jpeg_q30", "blur_sigma_4", "resize_2", "noise_sigma_20", "crop_0.5", "chain_social"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protocol": {"matched": True}}, "protocol.matched needs the augmentation 'matched'"),
        ({"benchmarks": {"nothing": "GenImage"}}, r"benchmarks name \['nothing'\]"),
        ({"datasets": []}, "datasets and features are both empty"),
        ({"combinations": [["spectrum"]]}, "at least 2 items"),
        ({"combinations": [["spectrum", "clip"]]}, r"combinations name \['clip'\], which are not among backbones"),
        ({"evaluation": {"thresholds": ["best"]}}, "no threshold policy named 'best'"),
        ({"hierarchies": [{"name": "h"}, {"name": "h"}]}, "hierarchies has h more than once"),
    ],
)
def test_what_makes_no_sense_in_an_evaluation_is_refused(wrong, message):
    with pytest.raises((ValidationError, UnknownNameError), match=message):
        RunConfig.model_validate(wrong)
