"""Tables from which no honest number could be made: what is wrong, where, and nothing is written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfd_core.errors import DatasetError, UsageError
from dfd_core.features.importing import import_table
from dfd_core.features.importing_sources import ImportSource

D = 5


NAN = [float("nan")] + [0.0] * 4
WRONG = {
    "NaN": ({"embedding": {3: NAN, 9: NAN}}, {}, r"t\.parquet, column embedding, has NaN .* in row 4"),
    "infinite": ({"embedding": {30: [0, 0, 0, 0, float("inf")]}}, {}, r"infinite numbers in row 31"),
    "no vector": ({"embedding": {5: None}}, {}, r"no vector in row 6"),
    "label": ({"label": {2: 2, 6: 3}}, {}, r"column `label` .*0 \(real\) or 1 .*; 2 are not: '2', '3' in row 3, row 7"),
    "label word": ({}, {"label": ["maybe", *["real", "fake"] * 19, "fake"]}, r"`label`.*'maybe' in row 1\b"),
    "split": ({"split": {1: "holdout"}}, {}, r"column `split` .*validation or test; 1 are not: 'holdout' in row 2"),
    "no label": ({}, {"label": None}, r"t\.parquet does not say the label .*--labels FILE.*--label generator=NAME"),
    "no split": ({}, {"split": None}, r"does not say the split .*--split train\|validation\|test"),
    "no generator": ({}, {"generator": None}, r"does not say the generator .*--label generator=NAME"),
    "no backbone": ({}, {"backbone": None}, r"does not say the backbone .*--backbone NAME"),
    "no dataset": ({}, {"dataset": None}, r"does not say the dataset .*--name NAME"),
    "no vectors": ({}, {"embedding": None}, r"has no vectors: .*Its columns are sample_id, dataset"),
    "nameless fake": ({"generator": {0: "real"}}, {}, r"`generator` .*must name what made .*'real' in row 1"),
    "ids": ({"sample_id": {7: "s3", 9: "s3"}}, {}, r"Ids .* more than once .*first 's3' in .*row 8, row 10"),
    "empty id": ({"sample_id": {7: " "}}, {}, r"column `sample_id` .*is empty in row 8"),
    "only fakes": ({}, {"generator": ["x"] * 40, "label": [1] * 40}, r"d, split test, .*generated images only \(x\)"),
    "only reals": ({}, {"generator": ["real"] * 40, "label": [0] * 40}, r"d, split test, .*real images only"),
    "test without reals": (
        {}, {"generator": ["x"] * 20 + ["x", "real"] * 10, "label": [1] * 20 + [1, 0] * 10}, r"d, split train.*only",
    ),
    "family": ({}, {"family": ["gan", "real", "ldm", "real"] * 10}, r"`family` .*one of gan, .*'ldm'.* in row 3,"),
    "two families": (
        {}, {"family": ["gan", "", "gan", "", "other", "", "gan", ""] * 5},
        r"'progan' of d has the families 'gan' in .*t\.parquet, row 1, .* and 'other' in .*t\.parquet, row 5, ",
    ),
    "a known backbone": ({}, {"backbone": ["clip_vit_b16"] * 40}, r"width 5 by clip_vit_b16, but .* gives 512"),
    "both names of a column": ({}, {"transform": ["a"] * 40, "augmentation": ["a"] * 40}, r"mean the same"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables_say_what_where_and_what_to_do_and_write_nothing(name, store, table):
    changes, more, message = WRONG[name]
    with pytest.raises((DatasetError, UsageError), match=message):
        import_table(store, [ImportSource(file=table(changes, **more))])
    assert store.names("") == []


def test_of_several_files_those_are_named_that_contradict_each_other(store, table):
    files = []
    for name, dataset, family in (("silent", "e", ""), ("one", "d", "gan"), ("other", "d", "diffusion")):
        written = Path(table(family=[family, ""] * 20, dataset=[dataset] * 40))
        files.append(written.rename(written.with_name(f"{name}.parquet")))
    with pytest.raises(DatasetError, match="has the families") as caught:
        import_table(store, [ImportSource(file=str(path)) for path in files])
    assert [path.name in str(caught.value) for path in files] == [False, True, True]


def test_a_generator_whose_own_reals_are_in_the_other_split(store, table):
    sources = [None if i % 2 == 0 else ("progan" if i < 20 else "coco") for i in range(40)]
    with pytest.raises(DatasetError, match=r"d, split test, .*no reals for progan: .*source"):
        import_table(store, [ImportSource(file=table(source=sources))])


@pytest.mark.parametrize("row", [6, 33])
def test_vectors_of_another_width(store, table, row, columns):
    kind = pa.list_(pa.float32())
    with pytest.raises(DatasetError, match=rf"another width than 5, that of row 1, in row {row + 1}\b"):
        import_table(store, [ImportSource(file=table({"embedding": {row: [0.0] * 4}}, kind=kind))])
    with pytest.raises(DatasetError, match=r"no numbers in row 1\b"):
        import_table(store, [ImportSource(file=table({"embedding": {0: []}}, kind=kind))])
    values = [x.tolist() for x in columns()["embedding"]]
    values[1][2] = None
    path, absent = table(), pa.array(values, kind)
    rows = pq.read_table(path)
    pq.write_table(rows.set_column(rows.schema.get_field_index("embedding"), "embedding", absent), path)
    with pytest.raises(DatasetError, match=r"absent numbers in row 2\b"):
        import_table(store, [ImportSource(file=path)])
