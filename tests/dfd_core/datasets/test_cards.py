import re

import pytest

from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.families import FAMILY_NAMES
from dfd_core.errors import ConfigError


@pytest.mark.parametrize("name", DATASETS)
def test_every_card_is_complete(name):
    card = DATASETS[name]
    assert card.name == name
    assert all((card.title, card.description, card.licence, card.size_hint, card.sources))
    assert bool(card.generators) != (name == "celeba")  # it has no fakes
    assert set(card.generators.values()) <= set(FAMILY_NAMES)
    assert card.read_options({}) == card.options()
    assert card.page.startswith("https://")
    assert card.reals
    assert card.splits
    assert all((*card.traps, *card.reals))
    for archive in card.archives:
        for part in archive.parts:
            assert part.address.startswith(("https://", "hf://datasets/", "gdrive://", "kaggle://"))
            assert part.name
            assert re.match(r"hf://datasets/[^/@]+/[^/@]+@", part.address) or not part.address.startswith("hf:"), (
                "a pin"
            )
    if set(card.formats.real) != set(card.formats.fake):
        assert any("format" in trap for trap in card.traps) or name == "celeba", "a trap that must be said"


def test_options_are_read_and_checked():
    card = DATASETS["simulated"]
    assert card.read_options({"seed": 7}).model_dump()["seed"] == 7
    with pytest.raises(ConfigError) as error:
        card.read_options({"images_per_clas": 3, "size": 100})
    message = str(error.value)
    assert "images_per_clas: no such option" in message
    assert "size: Input should be a multiple of 16, not 100" in message
    for line in card.accepted_options():
        assert line in message
    assert "images_per_class (integer, from 2, to 100000, by default 500)" in card.accepted_options()


def test_every_option_has_its_own_folder():
    card = DATASETS["simulated"]
    changes = [{}, {"images_per_class": 2}, {"size": 64}, {"seed": 1}, {"jpeg_quality": 90}]
    folders = {card.folder(card.read_options(change)) for change in changes}
    folders.add(card.model_copy(update={"revision": card.revision + 1}).folder(card.read_options({})))
    assert len(folders) == len(changes) + 1
    assert all(folder.startswith("datasets/simulated-") for folder in folders)


def test_a_card_forbids_what_it_does_not_know():
    from pydantic import ValidationError

    card = DATASETS["deepfakeface"]
    values = {name: getattr(card, name) for name in type(card).model_fields}
    for wrong in ({"licens": "x"}, {"rules": ()}, {"archives": ()}, {"generators": {"x": "text"}}):
        with pytest.raises(ValidationError):
            type(card)(**{**values, **wrong})
    from dfd_core.datasets.cards import Part, Rule

    with pytest.raises(ValidationError, match="mean nothing"):
        Rule(pattern="(?P<lable>x)", label=0)
    with pytest.raises(ValidationError):
        Part(address="https://x", sha256="ABC")
    with pytest.raises(ValidationError):
        Part(address="https://x", md5="0" * 64)


def test_a_card_can_be_shown_as_json():
    assert DATASETS["simulated"].model_dump(mode="json")["name"] == "simulated"
    assert DATASETS["simulated"].content_hash()
