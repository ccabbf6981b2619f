import numpy as np
import pytest
from PIL import Image

from dfd_core.augmentations import AUGMENTATIONS, AugmentationSpec, parse_augmentation
from dfd_core.datasets.sources import FolderSource
from dfd_core.evaluation.shortcuts import FEATURE_NAMES, explain, is_matched, metadata_features
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.storage import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def manifest(tmp_path, store):
    """Fakes are PNG, reals are JPEG: nobody needs to look at a pixel."""
    rng = np.random.default_rng(0)
    for i in range(12):
        for place, kind in (("cam/real", "jpg"), ("gan/fake", "png")):
            path = tmp_path / "set" / place / f"{i}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20 + i, 30, 3)).astype(np.uint8)).save(path)
    (tmp_path / "set/cam/real/broken.jpg").write_bytes(b"no image")
    return prepare(FolderSource(name="mine", folders=str(tmp_path / "set")), SplitSpec(), store)


def test_every_file_has_a_vector_or_a_status(store, manifest):
    table = metadata_features(store, manifest)
    assert table.X.shape == (24, len(FEATURE_NAMES))
    assert table.X.dtype == np.float32
    assert np.isfinite(table.X).all()
    (broken,) = manifest.frame.loc[manifest.frame["path"] == "cam/real/broken.jpg", "sample_id"]
    assert table.failed == {broken: "undecodable"}
    rows, missing = table.rows(manifest.frame["sample_id"])
    assert missing.sum() == 1
    png = table.X[rows, FEATURE_NAMES.index("format_PNG")]
    assert np.array_equal(png, manifest.frame["label"].to_numpy()[~missing])
    again = metadata_features(store, manifest)
    assert np.array_equal(again.X, table.X)
    assert np.array_equal(again.sample_ids, table.sample_ids)


def test_matched_leaves_nothing_to_go_by(store, manifest):
    table = metadata_features(store, manifest, matched=True)
    assert len(np.unique(table.X, axis=0)) == 1
    assert table.X.shape == (24, len(FEATURE_NAMES))
    assert len(table.failed) == 1


TO, CUT, ENCODE = {"op": "resize_to", "side": 64}, {"op": "center_crop", "side": 64}, {"op": "jpeg", "quality": 80}


@pytest.mark.parametrize(
    ("steps", "matched"),
    [
        ([TO, CUT, ENCODE], True),
        ([TO, {**CUT, "side": 32}, ENCODE], True),
        ([{"op": "gaussian_blur", "sigma": 1}, TO, CUT, ENCODE], True),
        ([{**TO, "side": 32}, CUT, ENCODE], False),
        ([CUT, TO, ENCODE], False),
        ([TO, CUT], False),
        ([TO, CUT, {**ENCODE, "quality": [1, 9]}], False),
        ([{**TO, "probability": 0.5}, CUT, ENCODE], False),
        ([TO, CUT, {"op": "crop", "share": 0.5}, ENCODE], False),
        ([ENCODE], False),
    ],
)
def test_what_counts_as_matched(steps, matched):
    assert is_matched(parse_augmentation({"name": "mine", "steps": steps})) is matched


def test_of_the_presets_only_matched_matches():
    assert [name for name, spec in AUGMENTATIONS.items() if is_matched(spec)] == ["matched"]
    assert not is_matched(AugmentationSpec(name="none"))


@pytest.mark.parametrize(
    ("detector", "shortcut", "n", "words"),
    [
        (0.99, 0.98, 1000, "they explain its accuracy"),
        (0.99, 0.97, 1000, "they explain its accuracy"),
        (0.99, 0.90, 1000, "they may explain part"),
        (0.99, 0.61, 1000, "they may explain part"),
        (0.99, 0.60, 1000, None),
        (0.58, 0.57, 10_000, "they explain its accuracy"),
        (0.51, 0.52, 1000, None),  # chance explains nothing
        (0.9, 0.62, 50, None),  # 62 % of 50 is chance, too
        (0.9, 0.66, 50, "they may explain part"),
        (float("nan"), 0.9, 100, None),
        (0.9, 0.9, 0, None),
    ],
)
def test_the_rule_of_the_warning(detector, shortcut, n, words):
    found = explain(detector, shortcut, n)
    assert (found is None) if words is None else words in found
