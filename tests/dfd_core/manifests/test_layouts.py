import pytest

from dfd_core.errors import ManifestError
from dfd_core.manifests.layouts import Place, check_all_fit, detect, parse


def detected(*folders: str) -> str:
    return detect("here", {f: f"{f}/x.png" for f in folders}, dict.fromkeys(folders, 1))


@pytest.mark.parametrize(
    ("layout", "folder", "expected"),
    [
        ("generator", "ffhq/real", Place(0, "ffhq", None)),
        ("generator", "stylegan/fake", Place(1, "stylegan", None)),
        ("generator", "stylegan/Fake/cats/black", Place(1, "stylegan", "cats/black")),
        ("generator", "stylegan", None),
        ("generator", "stylegan/other", None),
        ("generator", "", None),
        ("field", "0_real", Place(0, None, None)),
        ("field", "progan/1_fake", Place(1, "progan", None)),
        ("field", "progan/airplane/0_real", Place(0, "progan", "airplane")),
        ("field", "progan/airplane/small/1_fake/deep", Place(1, "progan", "airplane/small/deep")),
        ("field", "progan/0_real/1_fake", None),
        ("field", "progan/real", None),
        ("label", "real", Place(0, None, None)),
        ("label", "fake/cats", Place(1, None, "cats")),
        ("label", "progan/fake", None),
    ],
)
def test_a_folder_says_what_its_images_are(layout, folder, expected):
    assert parse(layout, folder) == expected


def test_no_folder_stands_for_a_generator_that_the_configuration_names():
    assert parse("field", "airplane/0_real", named=True) == Place(0, None, "airplane")
    assert parse("label", "real/airplane", named=True) == Place(0, None, "airplane")


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("ffhq/real", "stylegan/fake"), "generator"),
        (("progan/airplane/0_real", "biggan/1_fake"), "field"),
        (("0_real", "1_fake"), "field"),
        (("real", "fake/cats"), "label"),
    ],
)
def test_layouts_are_detected(folders, expected):
    assert detected(*folders) == expected


def test_an_unknown_layout_shows_what_was_found_and_what_is_understood():
    with pytest.raises(
        ManifestError, match=r"not understood\.\n(.|\n)*cats/  1 image\n(.|\n)*<generator>/<real\|fake>"
    ):
        detected("cats", "dogs")


def test_a_folder_of_datasets_names_them():
    says = r"not understood\. Those in it are, each as a dataset: name [^ ]*/a, [^ ]*/b instead\."
    with pytest.raises(ManifestError, match=says):
        detected("a/ffhq/real", "a/stylegan/fake", "b/ffhq/real")


def test_an_image_without_a_place_is_named():
    with pytest.raises(ManifestError, match=r"1 of 3 images .* layout 'generator', such as stylegan/other/x.png"):
        detected("ffhq/real", "stylegan/fake", "stylegan/other")


def test_several_layouts_at_once_are_ambiguous():
    with pytest.raises(ManifestError, match=r"fits the layouts generator and label\. Say which"):
        detected("real/fake", "fake/real")


def test_a_stated_layout_is_held_to():
    with pytest.raises(ManifestError, match=r"2 of 2 images .* 'field'"):
        check_all_fit("here", "field", {"a/real": "a/real/1.png"}, {"a/real": 2})
    check_all_fit("here", "generator", {"a/real": "a/real/1.png"}, {"a/real": 2})
