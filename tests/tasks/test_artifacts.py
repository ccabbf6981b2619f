import re

from hypothesis import given
from hypothesis import strategies as st

from tasks.artifacts import artifact_key


@given(st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1), min_size=1, max_size=3))
def test_keys_have_what_prefect_admits(parts):
    key = artifact_key("a", *parts)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key)
    assert len(key) <= 80


def test_long_keys_stay_distinct():
    long = "features/" + "x" * 100
    assert artifact_key(long + "a") != artifact_key(long + "b")
    assert artifact_key("features/none/spectrum-1") == "features-none-spectrum-1"
