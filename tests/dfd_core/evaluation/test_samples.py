from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from dfd_core.errors import ConfigError, EvaluationError
from dfd_core.evaluation.samples import Samples


def test_sets_are_sorted_and_the_same_for_all_threads(world):
    samples = Samples(world.frame.sample(frac=1, random_state=0))
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: samples.test_rows("a")["sample_id"].to_list(), range(8)))
    assert all(one == sorted(set(one)) for one in ids)
    assert all(one == ids[0] for one in ids)
    assert len(ids[0]) == 80


def test_reals_that_no_generator_is_paired_with_are_in_no_set(world):
    frame = world.frame
    without_ldm = Samples(frame[frame["generator"] != "ldm"])
    assert set(without_ldm.test_rows("a")["source"].dropna()) == {"progan"}


def test_an_unknown_generator_has_no_samples(world):
    samples = Samples(world.frame)
    assert samples.members((("a", "glide"),), "test").rows.empty
    assert samples.members((("nowhere", "progan"),), "test").rows.empty


def test_a_sample_of_two_generators_is_one_test_row_and_a_member_of_both(world):
    progan = world.frame[(world.frame["generator"] == "progan") & (world.frame["split"] == "test")].head(1)
    frame = pd.concat(
        [world.frame, progan.assign(generator="ldm", family="diffusion", path="again")], ignore_index=True
    )
    samples = Samples(frame)
    (sample_id,) = progan["sample_id"]
    for generator in ("progan", "ldm"):
        assert (samples.members((("a", generator),), "test").rows["sample_id"] == sample_id).sum() == 1
    assert np.sum(samples.test_rows("a")["sample_id"] == sample_id) == 1


def test_several_generators_together_have_the_reals_of_each(world):
    samples = Samples(world.frame)
    rows, copies = samples.members((("a", "progan"), ("b", "glide")), "train")
    assert set(rows["generator"]) == {"progan", "glide", "real"}
    assert set(rows["source"].dropna()) == {"progan", "coco"}
    assert (len(rows), copies.tolist()) == (160, [1] * 160)
    assert samples.pooled == (("a", "all"),)
    assert samples.generators("a", "all") == (("a", "ldm"), ("a", "progan"))


def test_bytes_that_are_real_in_one_dataset_and_generated_in_another_stop_a_set_of_both(world):
    frame = world.frame.copy()
    fake = frame.index[(frame["generator"] == "glide") & (frame["split"] == "train")][0]
    real = frame.index[(frame["source"] == "progan") & (frame["split"] == "train")][0]
    frame.loc[fake, "sample_id"] = frame.loc[real, "sample_id"]
    with pytest.raises(EvaluationError, match=r"1 files are real in one set and generated in another, first .*glide"):
        Samples(frame).members((("a", "progan"), ("b", "glide")), "train")


@pytest.mark.parametrize(
    ("pairing", "sources"),
    [
        ("collection", {"progan"}),
        ("dataset", {"progan", "laion"}),
        ("all", {"progan", "laion", "coco"}),
        ({"progan": ("coco",)}, {"coco"}),
        ({"ldm": ("coco",)}, {"progan"}),
    ],
)
def test_reals_are_paired_as_the_pairing_says(world, pairing, sources):
    rows = Samples(world.frame, pairing).members((("a", "progan"),), "test").rows
    assert set(rows["source"].dropna()) == sources
    assert set(rows["generator"]) == {"progan", "real"}


def test_a_pairing_with_an_unknown_source_is_an_error(world):
    with pytest.raises(ConfigError, match=r"names the sources flickr.*There are: coco, laion, progan"):
        Samples(world.frame, {"progan": ("flickr",)}).members((("a", "progan"),), "test")


def test_samples_that_have_one_augmentation_only_are_left_out_under_the_others(world):
    frame = world.frame.assign(augmentation=None)
    blurred = frame.index[(frame["generator"] == "ldm") & (frame["split"] == "test")][:5]
    frame.loc[blurred, "augmentation"] = "blur"
    samples = Samples(frame)
    counts = {name: len(samples.test_rows("a", "test", name)) for name in ("none", "blur", None)}
    assert counts == {"none": 75, "blur": 80, None: 80}
