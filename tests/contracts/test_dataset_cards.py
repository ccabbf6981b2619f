"""Every card of the catalogue fits archives of the layout that its publisher uses, made on the spot."""

import io
import re
import tarfile
import zipfile
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfd_core.datasets import DATASETS, CatalogueSource, beforehand, opening, shelf
from dfd_core.datasets.acquire import acquire, is_acquired
from dfd_core.datasets.cards import Archive, Part
from dfd_core.datasets.downloading import FsspecOrigin
from dfd_core.datasets.options import PublishedOptions
from dfd_core.errors import DatasetError
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.manifests.pairing import reals_of
from dfd_core.storage import Store

PUBLISHED = [name for name in DATASETS if DATASETS[name].rules]
UFD = [
    f"diffusion_datasets/{g}/1_fake/{{}}.png"
    for g in ("ldm_100", "ldm_200", "ldm_200_cfg", "glide_50_27", "glide_100_10", "glide_100_27", "dalle", "guided")
]
UFD += ["diffusion_datasets/laion/0_real/{}.jpg", "diffusion_datasets/imagenet/0_real/{}.jpg"]
FORENSYNTHS = [
    f"{g}/{c}{label}/{{}}.png"
    for g in DATASETS["forensynths_test"].generators
    for c in (("car/", "cat/") if g in ("progan", "stylegan") else ("",))
    for label in ("0_real", "1_fake")
]
FORENSYNTHS = [path.replace("sitd/", "seeingdark/") for path in FORENSYNTHS]
PROGAN = ["airplane/0_real/{}.png", "airplane/1_fake/{}.png", "tvmonitor/0_real/{}.png", "tvmonitor/1_fake/{}.png"]
PROGAN_VALIDATION = ["cat/0_real/{}.png", "cat/1_fake/{}.png"]
AIGC = [
    f"test/{g}/{c}{label}/{{}}.png"
    for g in ("ADM", "Glide", "Midjourney", "VQDM", "stable_diffusion_v_1_4", "stable_diffusion_v_1_5", "wukong",
              "DALLE2", "sd_xl", "progan", "stylegan", "stylegan2", "biggan", "cyclegan", "stargan", "gaugan",
              "whichfaceisreal")
    for c in (("horse/",) if g == "cyclegan" else ("",)) for label in ("0_real", "1_fake")
]  # fmt: skip
SYNTHBUSTER = [f"synthbuster/{g}/r0{{}}t.png" for g in DATASETS["synthbuster"].generators]
LAYOUTS = {
    "ufd_diffusion": {"diffusion_datasets": UFD},
    "ufd_guided": {"diffusion_datasets": UFD},
    "forensynths_train": {"progan_train": PROGAN, "progan_val": [PROGAN[0], *PROGAN_VALIDATION]},  # the first twice
    "forensynths_test": {"test": FORENSYNTHS},
    "deepfakeface": {name: [f"{name}/0{{}}/{{}}_x.jpg"] for name in ("wiki", "inpainting", "text2img", "insight")},
    "deepfakeface_wiki_crop": {
        "wiki_crop": ["wiki_crop/0{}/{}_x.jpg"],
        **{name: [f"{name}/0{{}}/{{}}_x.jpg"] for name in ("inpainting", "text2img", "insight")},
    },
    "faces_140k": {"faces": [f"real_vs_fake/real-vs-fake/{s}/{c}/{{}}.jpg" for s in ("train", "valid", "test")
                             for c in ("real", "fake")]},
    "celeba": {"by_hand": ["img_align_celeba/{}.jpg", "fake/stargan/{}.jpg", "fake/attgan/{}.jpg"]},
    "genimage": {"by_hand": [
        f"{g}/{s}/{c}/{{}}.png"
        for g in ("Midjourney", "stable_diffusion_v_1_4", "imagenet_ai_0424_sdv5", "ADM", "glide", "wukong", "VQDM",
                  "BigGAN")
        for s in ("train", "val") for c in ("ai", "nature")]},
    "aigc_detect_benchmark": {"test_set": AIGC},
    "synthbuster": {"synthbuster": SYNTHBUSTER, "by_hand": ["RAISE-1k/r0{}t.TIF"]},
    "community_forensics_small": {"small": [("0", "real", "", source) for source in ("FFHQ", "COCO")]
                                  + [("1", a, f"org/{a}-model", None) for a in ("LatDiff", "PixDiff", "GAN", "other")]},
    "openfake": {name: [("real", "real"), *(("fake", g) for g in DATASETS["openfake"].generators)]
                 for name in ("train", "test")},
    "openfake_v2": {name: [*(("real", r) for r in DATASETS["openfake_v2"].reals),
                           *(("fake", g) for g in DATASETS["openfake_v2"].generators)]
                    for name in ("train", "validation", "test")},
}  # fmt: skip
UNPACKED = {
    "aigc_detect_benchmark": [
        [f"{folder}{path.removeprefix('test/')}" for path in AIGC]
        for folder in ("", "test/", "test_set/test/", "AIGCDetectionBenchMark/test/", "a/AIGCDetectionBenchMark/test/")
    ],
    "synthbuster": [
        [f"{folder}/r0{{}}t.{suffix}"]
        for folder, suffix in (
            ("RAISE-1k", "TIF"), ("RAISE_1k/TIFF", "TIF"),
            ("real_RAISE_1k", "png"), ("synthbuster/real_RAISE_1k", "png"),
        )
    ],
}  # fmt: skip
"""The places where people have what they put there by hand."""
COUNT = 5
ANY = (Part(address="https://somewhere"),)
OWN_FAKES = {"celeba": {"stargan": "gan", "attgan": "gan"}}
"""Fakes that a person brings, for cards that have none."""


def picture(name, number):
    kind = {".jpg": "JPEG", ".png": "PNG", ".TIF": "TIFF"}.get(name[-4:], "PNG")
    file = io.BytesIO()
    seed = hash_of(name, number)
    Image.new("RGB", (8 + number, 9), (seed % 256, seed // 256 % 256, seed // 65536 % 256)).save(file, kind)
    return file.getvalue()


def hash_of(name, number):
    return sum((i + 1) * ord(c) for i, c in enumerate(f"{name}{number}")) * 2654435761 % 2**24


def files_of(patterns):
    return {path.replace("{}", str(i)): picture(path, i) for path in patterns for i in range(COUNT)}


def packed(archive, patterns):
    if archive.kind == "parquet":
        rows = [(row, i) for row in patterns for i in range(COUNT)]
        names = archive.rows.columns
        columns = {name: [row[k] for row, _ in rows] for k, name in enumerate(names)}
        data = [picture("/".join(map(str, (archive.name, *row))), i) for row, i in rows]
        structured = archive.rows.image == "image"
        columns[archive.rows.image] = [{"bytes": one, "path": None} for one in data] if structured else data
        file = io.BytesIO()
        pq.write_table(pa.table(columns), file, row_group_size=7)
        return file.getvalue()
    files = {**files_of(patterns), "__MACOSX/x.png": b"", "README.txt": b"read me"}
    if archive.kind == "tar":
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    if archive.kind == "7z":
        py7zr = pytest.importorskip("py7zr")
        outer = io.BytesIO()
        with py7zr.SevenZipFile(outer, "w", filters=[{"id": py7zr.FILTER_COPY}]) as seven:
            seven.writestr(file.getvalue(), archive.inside)
        return outer.getvalue()
    return file.getvalue()


def of_any_content(card):
    """The card without the sizes and digests that its publisher states: the archives here are small."""
    unknown = dict.fromkeys(("size_bytes", "sha256", "md5"))
    archives = [
        archive.model_copy(update={"parts": tuple(part.model_copy(update=unknown) for part in archive.parts)})
        for archive in card.archives
    ]
    return card.model_copy(update={"archives": tuple(archives)})


@pytest.fixture
def publishers(tmp_path, monkeypatch):
    """The internet: each card's addresses lead to small archives of the same layout."""
    web = tmp_path / "web"
    opened = []

    def put(card, store):
        monkeypatch.setitem(DATASETS._entries, card.name, of_any_content(card))
        for archive in card.archives:
            data = packed(archive, LAYOUTS[card.name][archive.name])
            step = -(-len(data) // len(archive.parts))
            for i, part in enumerate(archive.parts):
                path = place(part.address)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data[i * step : (i + 1) * step])
        for path, data in files_of(LAYOUTS[card.name].get("by_hand", [])).items():
            store.write_bytes(f"by_hand/{card.name}/{path}", data)

    def place(address):
        return web / re.sub(r"[^\w.]+", "_", address)

    def open_origin(address):
        opened.append(address)
        return FsspecOrigin(str(place(address)))

    for module in (shelf, opening):
        monkeypatch.setattr(module, "open_origin", open_origin)
    monkeypatch.setattr(beforehand, "expand", lambda address: [address])
    put.opened, put.place = opened, place
    return put


def test_every_published_card_has_a_layout_to_be_tested_with():
    assert sorted(LAYOUTS) == sorted(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_card_fits_its_publishers_layout(name, publishers, tmp_path):
    card, store = DATASETS[name], Store(tmp_path / "store")
    publishers(card, store)
    source = CatalogueSource(catalogue=name, name=name)
    assert not is_acquired(source, store)
    manifest = prepare(source, SplitSpec(), store)
    assert is_acquired(source, store)
    frame = manifest.frame
    generators = card.generators or OWN_FAKES[name]
    assert set(frame[frame["label"] == 1]["generator"]) == set(generators)
    assert set(frame[frame["label"] == 0]["source"]) == set(card.reals)
    families = dict(zip(frame["generator"], frame["family"], strict=True))
    assert {g: families[g] for g in generators} == generators
    for generator in generators:
        reals = frame[reals_of(frame, generator)]
        assert set(reals["source"]) == ({generator} if card.pairing == "own" else set(card.reals))
    assert not frame["format"].isna().any()
    published_splits = card.splits.startswith("published: ")
    assert published_splits == (not is_drawn(frame))


def is_drawn(frame):
    """Whether splits cut through folders: a publisher's never does."""
    kinds = frame["path"].str.replace(r"[^/]+$", "", regex=True).str.replace(r"/\d+/$", "/", regex=True)
    return any(len(set(splits)) > 1 for _, splits in frame.groupby(kinds)["split"])


@pytest.mark.parametrize(("name", "layout"), [(name, layout) for name in UNPACKED for layout in UNPACKED[name]])
@pytest.mark.parametrize("in_a_zip", [False, True])
def test_what_is_put_there_is_found_wherever_people_have_it(name, layout, in_a_zip, publishers, tmp_path, monkeypatch):
    card, store = DATASETS[name], Store(tmp_path / "store")
    monkeypatch.setitem(LAYOUTS[name], "by_hand", [] if in_a_zip else layout)
    publishers(card, store)
    if in_a_zip:
        store.write_bytes(f"by_hand/{name}/some.zip", packed(Archive(name="a", kind="zip", parts=ANY), layout))
    frame = prepare(CatalogueSource(catalogue=name, name=name), SplitSpec(), store).frame
    assert dict(frame[frame["label"] == 0]["source"].value_counts()) == dict.fromkeys(card.reals, COUNT)
    assert dict(frame[frame["label"] == 1]["generator"].value_counts()) == dict.fromkeys(card.generators, COUNT)
    assert any(address.startswith("https://") for address in publishers.opened) != card.by_hand.instead


def test_what_is_put_there_later_takes_the_place_of_the_download(publishers, tmp_path):
    name = "aigc_detect_benchmark"
    store, source = Store(tmp_path / "store"), CatalogueSource(catalogue=name, name=name)
    publishers(DATASETS[name], store)
    card, options = DATASETS[name], PublishedOptions(max_bytes=10**9)
    assert [archive.name for archive in beforehand.to_fetch(card, PublishedOptions(), store)] == ["test_set"]
    with pytest.raises(DatasetError, match="more than --max-bytes"):
        beforehand.to_fetch(card, options, store)
    assert prepare(source, SplitSpec(), store).frame["path"].str.startswith("images/test_set/").all()
    store.write_bytes(f"by_hand/{name}/test/ADM/0_real/1.png", picture("lone", 1))
    with pytest.raises(DatasetError, match="has real images alone"):
        beforehand.to_fetch(card, options, store)
    for path, data in files_of(AIGC).items():
        store.write_bytes(f"by_hand/{name}/{path}", data)
    assert beforehand.to_fetch(card, options, store) == []
    assert not is_acquired(source, store)
    frame = prepare(source, SplitSpec(), store).frame
    assert not frame["path"].str.contains("test_set").any()
    assert is_acquired(source, store)
    assert len(publishers.opened) == 1


MUST = [name for name in PUBLISHED if DATASETS[name].by_hand and not DATASETS[name].by_hand.instead]


@pytest.mark.parametrize("name", MUST)
def test_what_a_person_must_do_is_said(name, publishers, tmp_path):
    card, store = DATASETS[name], Store(tmp_path / "store")
    with pytest.raises(DatasetError) as error:
        acquire(CatalogueSource(catalogue=name, name=name), store)
    for words in (
        card.by_hand.page,
        card.by_hand.accept,
        card.by_hand.files,
        str(tmp_path / "store" / "by_hand" / name),
    ):
        assert words in str(error.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_sample_is_seeded_and_of_each_class(name, publishers, tmp_path):
    card, tables = DATASETS[name], []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        store = Store(tmp_path / folder)
        publishers(card, store)
        options = {"sample": 2, "seed": seed}
        source = acquire(CatalogueSource(catalogue=name, name=name, options=options), store)
        table = Store(source.table.rpartition("/")[0]).read_table("images.parquet")
        kinds = Counter(zip(table["generator"].to_pylist(), table["source"].to_pylist(), strict=True))
        assert set(kinds.values()) == {2}
        assert len(kinds) == len(card.generators or OWN_FAKES[name]) + len(card.reals)
        tables.append(sorted(path.split("store")[-1] for path in table["path"].to_pylist()))
    assert tables[0] == tables[1]
    assert tables[0] != tables[2]


def test_archives_are_shared_and_held_to_their_first_digest(publishers, tmp_path):
    store = Store(tmp_path / "store")
    publishers(DATASETS["ufd_diffusion"], store)
    acquire(CatalogueSource(catalogue="ufd_diffusion", name="a"), store)
    acquire(CatalogueSource(catalogue="ufd_guided", name="b"), store)
    assert len(publishers.opened) == 1
    (part,) = DATASETS["ufd_guided"].archives[0].parts
    assert shelf.verify_part(part, store) is None
    path = shelf.local_path(part, store)
    path.unlink()
    replaced = publishers.place(part.address)
    replaced.write_bytes(replaced.read_bytes()[::-1])
    with pytest.raises(DatasetError, match="should have"):
        shelf.fetch_archive(DATASETS["ufd_guided"].archives[0], store)


def test_images_stay_in_a_tar_and_are_read_there(publishers, tmp_path):
    from dfd_core.features.reading import read_original

    store = Store(tmp_path / "store")
    card = DATASETS["deepfakeface_wiki_crop"]
    publishers(card, store)
    source = CatalogueSource(catalogue=card.name, name="x", options={"in_place": True})
    frame = prepare(source, SplitSpec(), store).frame
    assert frame["url"].str.startswith("slice://").all()
    for row in frame.itertuples():
        assert read_original(row.url, row.sample_id)
    assert not list((tmp_path / "store").rglob("*.jpg"))


def test_too_much_to_download_is_said_before_a_byte_is(publishers, tmp_path):
    source = CatalogueSource(catalogue="openfake", name="x", options={"max_bytes": 10**9})
    with pytest.raises(DatasetError, match="more than --max-bytes 1,000,000,000"):
        acquire(source, Store(tmp_path))
    assert publishers.opened == []
