import pyarrow as pa
import pytest

from dfd_core.errors import ManifestError
from dfd_core.manifests.manifest import digest_of
from dfd_core.manifests.schema import COLUMN_DESCRIPTIONS, SCHEMA, validate


def row(number: int, **changes):
    values = {
        "sample_id": f"{number:064x}", "dataset": "d", "path": f"{number}.png", "url": f"/d/{number}.png", "label": 0,
        "generator": "real", "family": "real", "source": "s", "category": None, "split": "train",
        "group": f"g{number}", "format": "PNG", "width": 1, "height": 1, "size_bytes": 10,
        "augmentation": None,
    }  # fmt: skip
    return {**values, **changes}


FAKE = {"label": 1, "generator": "progan", "family": "gan", "source": None}


def table(*rows):
    return pa.table({name: [values[name] for values in rows] for name in SCHEMA.names})


def test_a_good_table_gets_the_exact_types_and_order():
    given = table(row(1), row(2, **FAKE, width=None))
    assert validate(given.select(SCHEMA.names[::-1])).schema.equals(SCHEMA)


def test_a_table_from_before_there_were_imports_is_completed_and_keeps_its_digest():
    new = validate(table(row(1), row(2, **FAKE)))
    old = new.drop_columns(["augmentation"])
    assert validate(old).equals(new)
    assert digest_of(old) == digest_of(new)
    assert digest_of(old) == "42cd1ddafc7d06de496d6a9cdb979f7cd1af79369a191a44d6f77ce75d58e046"
    assert digest_of(validate(table(row(1, augmentation="blur"), row(2, **FAKE)))) != digest_of(new)


def test_every_column_is_described():
    assert list(COLUMN_DESCRIPTIONS) == SCHEMA.names
    assert all(COLUMN_DESCRIPTIONS.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_id": "abc"}, "sample_id that is not 64 .*: 2.png"),
        ({"label": 2}, "label that is neither 0 nor 1"),
        ({"split": "dev"}, "split that is none of train, validation, test"),
        ({"generator": "progan"}, "generator that contradicts the label"),
        ({"family": "gan"}, "family that contradicts the label"),
        ({**FAKE, "source": "s"}, "a source although generated"),
        ({"group": ""}, "an empty group"),
        ({"group": None}, "columns group have nulls|other types or nulls"),
        ({"label": 300}, "other types"),
        ({"path": "1.png"}, r"1 paths occur more than once: 1\.png"),
        ({**FAKE, "sample_id": f"{1:064x}"}, r"both real and generated: 1\.png \(real\) and 2\.png \(generated\)\."),
        ({"group": "g1", "split": "test"}, r"1 groups are on both sides of a split, first 'g1': 1\.png is in train, 2"),
    ],
)
def test_what_a_manifest_may_not_be(changes, message):
    with pytest.raises(ManifestError, match=message):
        validate(table(row(1), row(2, **changes)))


@pytest.mark.parametrize(("n", "more"), [(1, ". Remove the wrong one:"), (2, ", and 1 more such case. Remove the")])
def test_contradictions_are_counted(n, more):
    rows = [row(i) for i in range(3)]
    rows += [row(3 + i, **FAKE, sample_id=f"{i:064x}") for i in range(n)]
    with pytest.raises(ManifestError) as error:
        validate(table(*rows))
    assert f"(generated){more}" in str(error.value)
    assert "`dfd audit FOLDER` lists all" in str(error.value)


def test_a_missing_column_and_no_row():
    with pytest.raises(ManifestError, match="lacks the columns group, height"):
        validate(table(row(1)).drop_columns(["group", "height"]))
    with pytest.raises(ManifestError, match="no row"):
        validate(SCHEMA.empty_table())


def test_what_looks_alike_but_is_allowed():
    page = {"sample_id": "e" * 64, "format": None, "width": None, "height": None}
    validate(table(row(1, **page), row(2, **FAKE, **page)))
    validate(table(row(1), row(2, group="g1", dataset="e", split="test")))
    validate(table(row(1), row(2, sample_id=f"{1:064x}")))
