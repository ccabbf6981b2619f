import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.datasets.families import _NAMES, FAMILIES, FAMILY_NAMES, family_of, squeezed
from dfd_core.datasets.simulation.generators import GENERATORS


@pytest.mark.parametrize(
    ("generator", "family"),
    [
        ("progan", "gan"),
        ("ProGAN", "gan"),
        ("StyleGAN2-ADA", "gan"),
        ("stylegan3_t_ffhq", "gan"),
        ("biggan-deep-256", "gan"),
        ("pix2pix", "gan"),
        ("whichfaceisreal", "gan"),
        ("glide_100_27", "diffusion"),
        ("ldm_200_cfg", "diffusion"),
        ("GLID-3-XL", "diffusion"),
        ("Stable Diffusion v1.4", "diffusion"),
        ("stable_diffusion_v_1_5", "diffusion"),
        ("SDv2.1", "diffusion"),
        ("sd15", "diffusion"),
        ("SDXL-Turbo", "diffusion"),
        ("FLUX.1-dev", "diffusion"),
        ("Midjourney v5", "diffusion"),
        ("DALL·E 2", "diffusion"),
        ("dalle3", "diffusion"),
        ("pix2pix-zero", "diffusion"),
        ("dalle", "autoregressive"),
        ("DALL-E mini", "autoregressive"),
        ("VAR-d30", "autoregressive"),
        ("crn", "other"),
        ("san", "other"),
        ("deepfake", "other"),
        ("FaceForensics++", "other"),
    ],
)
def test_names_of_the_field(generator, family):
    assert family_of(generator) == family


@pytest.mark.parametrize("generator", ["variational", "marvel", "imagenet", "sandbox", "glider", "", "---", "日本"])
def test_a_known_name_inside_a_longer_word_says_nothing(generator):
    assert family_of(generator) == "other"


def test_no_name_stands_in_two_families_or_twice():
    names = [squeezed(name) for names in _NAMES.values() for name in names.split()]
    assert sorted(names) == sorted(FAMILIES)
    assert set(FAMILIES.values()) == set(FAMILY_NAMES)


@given(st.sampled_from([name for names in _NAMES.values() for name in names.split()]), st.data())
def test_case_separators_and_what_follows_a_separator_do_not_matter(name, data):
    separator = data.draw(st.sampled_from(["_", "-", " ", ""]))
    written = name.replace("_", separator)
    written = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in written)
    assert family_of(written) == FAMILIES[squeezed(name)]
    assert family_of(f"{written}_zzz") == FAMILIES[squeezed(name)]


def test_the_users_families_come_first():
    assert family_of("Glide-100-27", {"glide_100_27": "other"}) == "other"
    assert family_of("glide_50_27", {"GLIDE": "text-to-image"}) == "text-to-image"
    assert family_of("glide_50_27", {"my_model": "gan"}) == "diffusion"
    assert family_of("My Model v2", {"my_model": "gan"}) == "gan"


def test_every_simulated_generator_has_a_family():
    assert {family_of(name) for name in GENERATORS} == {"gan", "diffusion"}
