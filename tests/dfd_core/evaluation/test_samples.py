from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

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
    assert samples.members("a", "glide", "test").empty
    assert samples.members("nowhere", "progan", "test").empty


def test_a_sample_of_two_generators_is_one_test_row_and_a_member_of_both(world):
    progan = world.frame[(world.frame["generator"] == "progan") & (world.frame["split"] == "test")].head(1)
    frame = pd.concat(
        [world.frame, progan.assign(generator="ldm", family="diffusion", path="again")], ignore_index=True
    )
    samples = Samples(frame)
    (sample_id,) = progan["sample_id"]
    for generator in ("progan", "ldm"):
        assert (samples.members("a", generator, "test")["sample_id"] == sample_id).sum() == 1
    assert np.sum(samples.test_rows("a")["sample_id"] == sample_id) == 1
