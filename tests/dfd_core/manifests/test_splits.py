import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dfd_core.manifests.splits import SplitSpec, draw_splits

REAL, FAKE = ("0", "ffhq"), ("1", "stylegan")

strata = st.tuples(st.sampled_from("01"), st.sampled_from("ab"), st.sampled_from(["x", "y"]))
rows = st.lists(st.tuples(st.text(string.ascii_lowercase[:8], max_size=2), strata), min_size=1, max_size=120)
specs = st.builds(
    lambda cuts, seed: SplitSpec(
        train=min(cuts) / 8, validation=(max(cuts) - min(cuts)) / 8, test=(8 - max(cuts)) / 8, seed=seed
    ),
    st.tuples(st.integers(0, 8), st.integers(0, 8)),
    st.integers(0, 5),
)


def alone(*counts: tuple[tuple[str, ...], int]) -> tuple[list[str], list[tuple[str, ...]]]:
    what = [stratum for stratum, count in counts for _ in range(count)]
    return [f"g{i}" for i in range(len(what))], what


@given(rows, specs, st.randoms(use_true_random=False))
def test_groups_stay_together_in_any_order_of_the_files(rows, spec, random):
    first = draw_splits([g for g, _ in rows], [s for _, s in rows], spec)
    sides: dict[str, set[str]] = {}
    for (group, _), split in zip(rows, first, strict=True):
        sides.setdefault(group, set()).add(split)
    assert all(len(splits) == 1 for splits in sides.values())
    assert set(first) <= set(spec.shares())
    order = random.sample(range(len(rows)), len(rows))
    again = draw_splits([rows[i][0] for i in order], [rows[i][1] for i in order], spec)
    assert again == [first[i] for i in order]


@settings(max_examples=40)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 3))
def test_shares_are_exact_to_the_sample_for_samples_by_themselves(reals, fakes, seed):
    groups, what = alone((REAL, 10 * reals), (FAKE, 10 * fakes))
    counts = Counter(zip(what, draw_splits(groups, what, SplitSpec(seed=seed)), strict=True))
    for stratum, number in ((REAL, reals), (FAKE, fakes)):
        assert [counts[stratum, split] for split in ("train", "validation", "test")] == [8 * number, number, number]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(0, 3))
def test_every_generator_and_the_whole_get_their_shares_within_two(sizes, seed):
    groups, what = alone((REAL, 100), *((("1", f"gan{i}"), size) for i, size in enumerate(sizes)))
    spec = SplitSpec(seed=seed)
    splits = draw_splits(groups, what, spec)
    for level in (lambda s: True, lambda s: s == REAL, *(lambda s, i=i: s[1] == f"gan{i}" for i in range(len(sizes)))):
        mine = [split for stratum, split in zip(what, splits, strict=True) if level(stratum)]
        for split, share in spec.shares().items():
            assert abs(mine.count(split) - share * len(mine)) <= 2


def test_many_small_categories_add_up():
    groups, what = alone(*((("1", "progan", f"c{i}"), 1 + i % 3) for i in range(100)), (REAL, 50))
    fakes = Counter(draw_splits(groups, what, SplitSpec())[:199])
    assert all(abs(fakes[split] - share * 199) <= 3 for split, share in SplitSpec().shares().items())


@settings(max_examples=50)
@given(st.lists(st.integers(1, 12), min_size=40, max_size=120), st.integers(0, 3))
def test_groups_of_any_size_give_nearly_the_shares(sizes, seed):
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    spec = SplitSpec(train=0.6, validation=0.2, test=0.2, seed=seed)
    counts = Counter(draw_splits(groups, [FAKE] * len(groups), spec))
    for split, share in spec.shares().items():
        assert abs(counts[split] - share * len(groups)) <= max(sizes)


def test_pairs_of_real_and_fake_split_both_alike():
    groups = [f"n{i}" for i in range(50) for _ in range(2)]
    splits = draw_splits(groups, [REAL, FAKE] * 50, SplitSpec())
    assert Counter(splits) == {"train": 80, "validation": 10, "test": 10}
    assert splits[::2] == splits[1::2]


@pytest.mark.parametrize("number", [3, 4, 5, 7])
def test_few_samples_still_give_every_split_both_labels(number):
    groups, what = alone((REAL, number), (FAKE, number))
    splits = draw_splits(groups, what, SplitSpec())
    assert set(zip(what, splits, strict=True)) == {
        (s, p) for s in (REAL, FAKE) for p in ("train", "validation", "test")
    }


def test_a_seed_draws_anew_and_keeps_the_numbers():
    groups, what = alone((REAL, 100), (FAKE, 100))
    draws = [draw_splits(groups, what, SplitSpec(seed=seed)) for seed in range(4)]
    assert len({tuple(draw) for draw in draws}) == 4
    assert len({tuple(sorted(draw)) for draw in draws}) == 1


def test_the_draw_is_the_same_on_every_machine():
    groups, what = alone((REAL, 10), (FAKE, 10))
    letters = "".join(split[:2] for split in draw_splits(groups, what, SplitSpec(seed=7)))
    assert letters == "vatrtrtrtetrtrtrtrtrtrtrvatrtrtrtrtrtetr"


def test_a_file_that_is_added_moves_few_others():
    groups, what = alone((FAKE, 200))
    before = draw_splits(groups[:-1], what[:-1], SplitSpec())
    after = draw_splits(groups, what, SplitSpec())
    assert sum(a != b for a, b in zip(before, after, strict=False)) <= 2


def test_a_split_without_a_share_gets_nothing():
    groups, what = alone((REAL, 5), (FAKE, 5))
    assert set(draw_splits(groups, what, SplitSpec(train=0, validation=0, test=1))) == {"test"}


@pytest.mark.parametrize("shares", [{"train": 0.9}, {"train": 1.2, "validation": -0.1, "test": -0.1}])
def test_shares_must_make_a_whole(shares):
    with pytest.raises(ValidationError):
        SplitSpec(**shares)
