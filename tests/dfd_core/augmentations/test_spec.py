import pytest
from pydantic import ValidationError

from dfd_core.augmentations import AugmentationSpec, GaussianBlur, Jpeg

DRAWN = Jpeg(quality=(30, 100))
FIXED = Jpeg(quality=(75, 75))


def key(name, *steps, seed=0):
    return AugmentationSpec(name=name, steps=steps, seed=seed).key()


def test_none_is_its_own_key_whatever_the_seed():
    assert key("none") == key("none", seed=5) == "none"


def test_the_seed_is_in_the_key_only_where_something_is_drawn():
    assert key("a", FIXED) == key("a", FIXED, seed=1)
    assert key("a", DRAWN) != key("a", DRAWN, seed=1)
    assert key("a", FIXED, DRAWN) != key("a", FIXED, DRAWN, seed=1)


def test_a_key_is_the_name_and_a_hash_of_the_steps():
    assert key("a", FIXED) != key("a", DRAWN)
    assert key("a", FIXED, GaussianBlur(sigma=(1, 1))) != key("a", GaussianBlur(sigma=(1, 1)), FIXED)
    assert key("a", FIXED).startswith("a-")
    assert key("b", FIXED).removeprefix("b") == key("a", FIXED).removeprefix("a")


def test_keys_stay_as_they_are_between_versions():
    assert key("jpeg_q75", FIXED) == "jpeg_q75-f9cce3e960a6"
    assert key("x", DRAWN, seed=2) == "x-6e85d572e7b4"


@pytest.mark.parametrize("name", ["", "a/b", "../up", "a b", ".hidden", "x" * 81])
def test_a_name_is_safe_in_paths_and_tables(name):
    with pytest.raises(ValidationError, match="name"):
        AugmentationSpec(name=name, steps=(FIXED,))


def test_only_none_has_no_steps():
    with pytest.raises(ValidationError, match="'a' has no steps"):
        AugmentationSpec(name="a")
    with pytest.raises(ValidationError, match="another name"):
        AugmentationSpec(name="none", steps=(FIXED,))


def test_a_chain_describes_itself():
    chain = AugmentationSpec(name="a", steps=(GaussianBlur(sigma=(0, 3), probability=0.5), FIXED))
    assert chain.describe() == "Gaussian blur sigma 0 to 3 with probability 0.5, then JPEG quality 75"
    assert AugmentationSpec(name="none").describe() == "unchanged"
