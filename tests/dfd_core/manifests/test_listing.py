import zipfile

import fsspec
import pytest

from dfd_core.errors import ManifestError
from dfd_core.manifests.addresses import beside, join_url
from dfd_core.manifests.listing import Files, is_image, list_folder


@pytest.mark.parametrize("name", ["a.jpg", "b/C.JPEG", "x.Png", "a/b/c.webp", "ü/ß.tif", "a.b.heic", "x.jfif"])
def test_images_are_known_by_their_extension(name):
    assert is_image(name)


@pytest.mark.parametrize(
    "name", ["a.txt", ".DS_Store", "png", "a/.b.png", ".hidden/a.png", "__MACOSX/a/x.jpg", "a.csv"]
)
def test_other_and_hidden_files_are_not(name):
    assert not is_image(name)


def test_a_local_folder_is_listed_sorted_with_absolute_addresses(tmp_path, put):
    put(tmp_path, {"b/2.png": b"22", "a/1.png": b"1", "a.txt": b""})
    files = list_folder(str(tmp_path))
    assert files.paths == ["a.txt", "a/1.png", "b/2.png"]
    assert files.urls == [f"{tmp_path}/{path}" for path in files.paths]
    assert files.sizes == [0, 1, 2]


def test_memory_and_disk_give_the_same_paths_and_addresses_that_open(tmp_path, memory, put):
    for url in (tmp_path, memory):
        put(url, {"a/1.png": b"one", "b c/ü#.png": b"two"})
        files = list_folder(str(url))
        assert files.paths == ["a/1.png", "b c/ü#.png"]
        for address, content in zip(files.urls, (b"one", b"two"), strict=True):
            with fsspec.open(address, "rb") as file:
                assert file.read() == content


def test_an_archive_is_a_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("set/ffhq/real/1.png", b"one")
    for folder, path in (("set", "ffhq/real/1.png"), ("", "set/ffhq/real/1.png")):
        files = list_folder(f"zip://{folder}::{tmp_path}/all.zip")
        assert files.paths == [path]
        with fsspec.open(files.urls[0], "rb") as file:
            assert file.read() == b"one"


def test_links_to_folders_are_followed_and_cycles_named(tmp_path, put):
    put(tmp_path / "elsewhere", ["1.png"])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    assert list_folder(str(tmp_path / "set")).paths == ["linked/1.png"]
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")
    with pytest.raises(ManifestError, match="leads to a folder that it is in"):
        list_folder(str(tmp_path / "set"))


def test_a_link_to_nothing_is_a_missing_file(tmp_path):
    (tmp_path / "1.png").symlink_to(tmp_path / "gone.png")
    assert list_folder(str(tmp_path)).missing() == [0]


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_missing_folder_is_said_to_be_missing(scheme, tmp_path):
    with pytest.raises(ManifestError, match=r"There is no folder .*nowhere"):
        list_folder(f"{scheme}{tmp_path}/nowhere")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(ManifestError, match=r"is a file.*`table:`"):
        list_folder(str(tmp_path / "x.csv"))


def test_an_unknown_protocol_is_an_error_of_ours():
    with pytest.raises(ManifestError, match=r"nope://x can't be opened"):
        list_folder("nope://x")


def test_a_name_that_is_not_unicode_is_named(tmp_path):
    (tmp_path / "bad\udcff.png").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"not valid UTF-8: 'bad\\udcff.png'"):
        list_folder(str(tmp_path))


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("s3://bucket/x/", "s3://bucket/x/a/b.png"),
        ("zip://in::s3://bucket/x.zip", "zip://in/a/b.png::s3://bucket/x.zip"),
        ("simplecache::s3://bucket/x", "simplecache::s3://bucket/x/a/b.png"),
    ],
)
def test_addresses_are_built_in_the_right_part_of_a_chain(folder, expected, monkeypatch):
    monkeypatch.setattr("dfd_core.manifests.addresses.open_url", lambda url: (None, url))
    assert join_url(folder, "a/b.png") == expected


def test_paths_beside_a_file(tmp_path):
    assert beside(f"{tmp_path}/meta/t.csv", "../images/a.png") == f"{tmp_path}/images/a.png"
    assert beside("memory://x/t.csv", "a/b.png") == "memory://x/a/b.png"


@pytest.mark.parametrize("count", [3, 40])
def test_named_files_are_found_or_missing(count, tmp_path, memory, put):
    names = [f"{i % 2}/{i}.png" for i in range(count)]
    for url in (str(tmp_path), memory):
        put(url, {name: b"x" * i for i, name in enumerate(names) if i != 2})
        files = Files(paths=names, urls=[f"{url}/{name}" for name in names])
        files.locate()
        assert files.missing() == [2]
        assert [size for i, size in enumerate(files.sizes) if i != 2] == [i for i in range(count) if i != 2]
        assert all(stamp for i, stamp in enumerate(files.stamps) if i != 2)
