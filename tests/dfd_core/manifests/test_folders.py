import pytest

from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import ManifestError
from dfd_core.manifests.folders import draft_folders


def draft(*folders, **options):
    return draft_folders(FolderSource(name="mine", folders=[str(f) for f in folders], **options))


def rows(found):
    columns = (found.files.paths, found.labels, found.generators, found.sources, found.categories, found.families)
    return list(zip(*columns, strict=True))


def test_generator_layout(tmp_path, put):
    put(tmp_path, ["ffhq/real/1.png", "StyleGAN2/fake/cats/1.JPG"])
    assert rows(draft(tmp_path)) == [
        ("StyleGAN2/fake/cats/1.JPG", 1, "StyleGAN2", None, "cats", "gan"),
        ("ffhq/real/1.png", 0, "real", "ffhq", None, "real"),
    ]


def test_field_layout_nested_by_category(memory, put):
    put(memory, ["progan/airplane/0_real/1.png", "progan/airplane/1_fake/2.png", "ldm/1_fake/3.png"])
    assert rows(draft(memory)) == [
        ("ldm/1_fake/3.png", 1, "ldm", None, None, "diffusion"),
        ("progan/airplane/0_real/1.png", 0, "real", "progan", "airplane", "real"),
        ("progan/airplane/1_fake/2.png", 1, "progan", None, "airplane", "gan"),
    ]


def test_field_layout_of_a_named_generator(tmp_path, put):
    put(tmp_path, ["airplane/0_real/1.png", "airplane/1_fake/2.png"])
    assert rows(draft(tmp_path, generator="progan")) == [
        ("airplane/0_real/1.png", 0, "real", "progan", "airplane", "real"),
        ("airplane/1_fake/2.png", 1, "progan", None, "airplane", "gan"),
    ]


def test_label_layout_and_an_unknown_generator(tmp_path, put):
    put(tmp_path, ["real/1.png", "fake/2.png"])
    assert rows(draft(tmp_path, generator="mystery")) == [
        ("fake/2.png", 1, "mystery", None, None, "other"),
        ("real/1.png", 0, "real", "mystery", None, "real"),
    ]
    assert draft(tmp_path, generator="mystery", families={"mystery": "diffusion"}).families == ["diffusion", "real"]


@pytest.mark.parametrize("names", [("real", "fake"), ("0_real", "1_fake")])
def test_a_generator_without_a_name_is_asked_for(names, tmp_path, put):
    put(tmp_path, [f"{name}/1.png" for name in names])
    with pytest.raises(ManifestError, match=rf"which generator made the images in .*{names[1]}\. .*`generator:`"):
        draft(tmp_path)


def test_a_generator_that_no_layout_asks_for_is_a_contradiction(tmp_path, put):
    put(tmp_path, ["ffhq/real/1.png", "stylegan/fake/1.png"])
    with pytest.raises(ManifestError, match=r"`generator: x` is set, but .* name the generators themselves"):
        draft(tmp_path, generator="x")


def test_a_family_must_be_one_of_the_known(tmp_path, put):
    put(tmp_path, ["real/1.png", "fake/2.png"])
    with pytest.raises(ManifestError, match=r"one of gan, .*, not 'difusion' for mystery"):
        draft(tmp_path, generator="mystery", families={"mystery": "difusion"})


def test_several_folders_keep_their_paths_apart(tmp_path, memory, put):
    put(tmp_path / "photos", ["imagenet/real/1.png"])
    put(f"{memory}/biggan128", ["biggan/fake/1.png"])
    put(tmp_path / "own", ["real/1.png"])
    found = draft(f"{memory}/biggan128", tmp_path / "photos", tmp_path / "own")
    assert rows(found) == [
        ("biggan128/biggan/fake/1.png", 1, "biggan", None, None, "gan"),
        ("photos/imagenet/real/1.png", 0, "real", "imagenet", None, "real"),
        ("own/real/1.png", 0, "real", "own", None, "real"),
    ]
    assert found.files.urls[0] == f"{memory}/biggan128/biggan/fake/1.png"


def test_folders_of_one_name_are_told_apart_by_their_parents(tmp_path, put):
    put(tmp_path, ["a/images/x/real/1.png", "b/images/y/fake/1.png"])
    found = draft(tmp_path / "a" / "images", tmp_path / "b" / "images")
    assert found.files.paths == ["a/images/x/real/1.png", "b/images/y/fake/1.png"]


def test_a_folder_that_counts_twice_is_an_error(tmp_path, put):
    put(tmp_path, ["x/real/1.png", "y/fake/1.png"])
    with pytest.raises(ManifestError, match="would count twice"):
        draft(tmp_path, f"{tmp_path}/")


@pytest.mark.parametrize(("there", "missing"), [("real", "generated"), ("fake", "real")])
def test_a_class_without_a_sample_is_named(there, missing, tmp_path, put):
    put(tmp_path, [f"x/{there}/1.png", f"x/{there}/2.png"])
    with pytest.raises(ManifestError, match=rf"has 2 images, none of them {missing}\. .*several folders"):
        draft(tmp_path)


def test_other_files_are_counted_and_named_but_no_samples(tmp_path, put):
    put(tmp_path, ["a/real/1.png", "a/fake/1.png"])
    put(tmp_path, dict.fromkeys(["readme.txt", ".DS_Store", "a/real/labels.csv", "a/real/._1.png"], b""))
    found = draft(tmp_path)
    assert len(found) == 2
    assert found.notes == [
        f"4 files in {tmp_path} are hidden or no images by their extension: "
        ".DS_Store, a/real/._1.png, a/real/labels.csv and 1 more"
    ]


def test_broken_content_stays(tmp_path, put):
    put(tmp_path, {"a/real/1.png": b"", "a/fake/1.png": b"broken"})
    assert len(draft(tmp_path)) == 2


def test_a_folder_without_an_image_says_what_is_in_it(tmp_path, put):
    with pytest.raises(ManifestError, match=r"no image in the folder .*; it is empty"):
        draft(tmp_path)
    put(tmp_path, {"notes.txt": b""})
    with pytest.raises(ManifestError, match=r"only 1 other files: notes\.txt"):
        draft(tmp_path)


def test_a_generator_called_real_is_refused(tmp_path, put):
    put(tmp_path, ["ffhq/real/1.png", "Real/fake/1.png"])
    with pytest.raises(ManifestError, match="says that 'real' is a generator"):
        draft(tmp_path)
