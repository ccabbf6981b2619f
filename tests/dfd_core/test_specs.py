import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dfd_core.specs import Location, Spec, content_hash, readable_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Thing(Spec):
    size: int = 1
    place: Location = "here"


@given(JSON)
def test_a_hash_survives_a_trip_through_a_file(value):
    assert content_hash(json.loads(json.dumps(value))) == content_hash(value)


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(values):
    assert content_hash(dict(reversed(values.items()))) == content_hash(values)


def test_a_hash_is_the_same_in_another_process():
    code = "from dfd_core.specs import content_hash; print(content_hash({'a': [1, 2.5, 'é']}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == content_hash({"a": [1, 2.5, "é"]})


def test_every_field_changes_the_hash():
    assert len({Thing().content_hash(), Thing(size=2).content_hash(), Thing(place="there").content_hash()}) == 3


def test_specs_are_frozen_and_refuse_unknown_keys():
    with pytest.raises(ValidationError, match="frozen"):
        Thing().size = 2
    with pytest.raises(ValidationError, match="Extra inputs"):
        Thing(colour="red")


@given(st.text())
def test_a_key_is_a_safe_name_of_a_folder(name):
    key = readable_key(name, "0" * 12)
    assert key.endswith("-" + "0" * 12)
    assert not set(key) & set('/\\:*?"<>| \n')
    assert not key.startswith(".")


def test_relative_paths_start_at_the_configs_folder(tmp_path):
    def read(place):
        return Thing.model_validate({"place": place}, context={"base": tmp_path}).place

    assert read("data") == str(tmp_path / "data")
    assert read("/data") == "/data"
    assert read("s3://bucket/x") == "s3://bucket/x"
    assert Thing(place="data").place == "data"
