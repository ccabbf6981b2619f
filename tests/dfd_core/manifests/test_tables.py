import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfd_core.datasets.sources import TableSource
from dfd_core.errors import ManifestError
from dfd_core.manifests.tables import draft_table

FULL = """path,label,generator,source,category,split,group,family,prompt
images/a.png,real,,laion,cat,train,g1,,
images/b.png,0,mystery,,dog,val,g2,,
images/c.png,fake,mystery,,cat,test,g1,diffusion,a cat
images/d.png,1,stylegan2,,,Training,,,
"""
IMAGES = ["images/a.png", "images/b.png", "images/c.png", "images/d.png"]


@pytest.fixture
def draft(tmp_path, put):
    put(tmp_path, IMAGES)

    def from_csv(text: str, **options):
        (tmp_path / "t.csv").write_text(text)
        return draft_table(TableSource(name="mine", table=str(tmp_path / "t.csv"), **options))

    return from_csv


def test_every_column_is_read(draft, tmp_path):
    found = draft(FULL)
    assert found.files.paths == IMAGES
    assert found.files.urls == [f"{tmp_path}/{path}" for path in IMAGES]
    assert found.labels == [0, 0, 1, 1]
    assert found.generators == ["real", "real", "mystery", "stylegan2"]
    assert found.sources == ["laion", "mystery", None, None]
    assert found.categories == ["cat", "dog", "cat", None]
    assert found.splits == ["train", "validation", "test", "train"]
    assert found.groups == ["g1", "g2", "g1", None]
    assert found.families == ["real", "real", "diffusion", "gan"]
    assert found.notes == [f"columns of {tmp_path}/t.csv that are not used: prompt"]


def test_two_columns_are_enough(draft, tmp_path):
    found = draft("path,label\nimages/a.png,0\nimages/c.png,1\n")
    assert found.generators == ["real", "unknown"]
    assert found.sources == ["mine", None]
    assert (found.splits, found.groups) == ([], [None, None])
    assert found.notes == [f"{tmp_path}/t.csv has no column `generator`: all generated images are by 'unknown'"]


def test_parquet_with_numbers_and_a_remote_url(tmp_path, memory, put):
    put(memory, ["x/1.png"])
    put(tmp_path, ["b.png"])
    columns = {"url": [f"{memory}/x/1.png", "b.png"], "label": [1.0, 0.0], "path": ["one.png", "two.png"]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = draft_table(TableSource(name="mine", table=str(tmp_path / "t.parquet")))
    assert found.labels == [1, 0]
    assert found.files.paths == ["one.png", "two.png"]
    assert found.files.urls == [f"{memory}/x/1.png", f"{tmp_path}/b.png"]
    assert found.files.missing() == []


def test_a_table_in_a_bucket_has_its_images_beside_it(memory, put):
    put(memory, {"meta/t.csv": b"\xef\xbb\xbfpath,label\n../a.png,0\n../b.png,1\n"})
    put(memory, ["a.png", "b.png"])
    found = draft_table(TableSource(name="mine", table=f"{memory}/meta/t.csv"))
    assert found.files.urls == [f"{memory}/a.png", f"{memory}/b.png"]


BAD = {
    "path,generator\na,b\n": r"needs a column `label` .* Its columns are: path, generator",
    "label\n0\n": r"one of `path` and `url`",
    "path,label\n": r"has no row",
    "": r"can't be read: .*[Ee]mpty",
    "path,label\na,0,7\n": r"can't be read: .*2 columns, got 3",
    "path,label,label\na,0,0\n": r"two columns of one name",
    "path,label\nimages/a.png,0\nimages/c.png,maybe\n": r"0 \(real\) or 1 \(generated\); 1 are not: 'maybe' \(row 2\)",
    "path,label\nimages/a.png,0\nimages/c.png,\n": r"None \(row 2\)",
    "path,label\nimages/a.png,0\n,1\n": r"`path` .* is empty in row 2",
    "path,label\nimages/a.png,0\nx.png,1\ny.png,1\n": r"2 of 3 images .* not there: .*x\.png \(row 2\)",
    "path,label\nimages/a.png,0\nimages/../images/a.png,1\n": r"twice, by `path`: images/a\.png \(rows 1 and 2\)",
    "path,label\nimages/a.png,0\nimages/b.png,0\n": r"has 2 images, none of them generated",
    "path,label,split\nimages/a.png,0,train\nimages/c.png,1,holdout\n": r"`split` .*'holdout' \(row 2\)",
    "path,label,split\nimages/a.png,0,train\nimages/c.png,1,\n": r"`split` .*None \(row 2\)",
    "path,label,generator\nimages/a.png,0,\nimages/c.png,1,\n": r"must name what made .*: None \(row 2\).* 'unknown'",
    "path,label,generator\nimages/a.png,0,\nimages/c.png,1,Real\n": r"'Real' \(row 2\)",
    "path,label,generator,family\nimages/a.png,0,,\nimages/c.png,1,x,gan\nimages/d.png,1,x,other\n": r"'x' the fam",
    "path,label,generator,family\nimages/a.png,0,,\nimages/c.png,1,x,gn\n": r"one of gan, .* not 'gn' for x",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_tables_say_what_is_wrong_and_where(text, draft):
    with pytest.raises(ManifestError, match=BAD[text]):
        draft(text)


@pytest.mark.parametrize("options", [{"group_pattern": "x"}, {"splits": {"train": "list.txt"}}])
def test_a_column_and_a_setting_for_the_same_contradict(options, draft):
    with pytest.raises(ManifestError, match=r"has a column `\w+` and `\w+:` is set"):
        draft(FULL, **options)


def test_tables_that_are_not_there_or_not_tables(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"")
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    for name, message in (("none.csv", "There is no table"), ("t.xlsx", "neither CSV"), ("t.parquet", "can't be read")):
        with pytest.raises(ManifestError, match=message):
            draft_table(TableSource(name="mine", table=str(tmp_path / name)))


def test_the_source_of_a_generated_image_is_not_kept_but_noted(draft):
    found = draft("path,label,generator,source\nimages/a.png,0,,laion\nimages/c.png,1,ldm,laion\n")
    assert found.sources == ["laion", None]
    assert found.notes == ["the `source` of 1 generated images is not kept, as only reals have one"]
