"""One contract for every backbone of the registry."""

import subprocess
import sys

import pytest

from dfd_core.backbones import BACKBONES, BackboneSpec
from dfd_core.backbones.cards import BackboneCard

NETWORKS = [card for _, card in BACKBONES.items() if card.library != "spectrum"]
USERS_LIST = {
    "clip_vit_b16", "clip_vit_l14", "dino_vit_b16", "dino_resnet50", "dinov2_vit_b14", "dinov3_vit_b16",
    "siglip2_vit_b16", "imagenet_resnet50", "spectrum", "tiny_clip", "tiny_vit", "tiny_resnet",
}  # fmt: skip


def test_the_registry_has_what_users_were_promised():
    assert set(BACKBONES) >= USERS_LIST


@pytest.mark.parametrize("name", BACKBONES)
def test_a_card_is_complete(name):
    card = BACKBONES[name]
    assert card.name == name
    assert all((card.title, card.pooling, card.licence, card.page.startswith("https://")))
    assert "arxiv.org/abs/" in card.paper
    assert BackboneSpec(name=name).parsed_options() == card.options_type()
    assert card.default_weights != "url" or card.weights_url.startswith("https://")


@pytest.mark.parametrize("card", NETWORKS, ids=lambda card: card.name)
def test_the_library_agrees_with_the_card(card):
    """The network is built without memory for its weights, and runs without arithmetic."""
    import torch

    from dfd_core.backbones import open_clip_models, timm_models

    library = timm_models if card.library == "timm" else open_clip_models
    options = card.options_type()
    arguments = library.preprocessing(card, options)
    size = arguments["input_size"][1:] if card.library == "timm" else arguments["size"]
    assert tuple(size) == (card.input_size, card.input_size)
    with torch.device("meta"):
        network = library.network(card, options, None).eval()
        assert network(torch.empty(2, 3, *size)).shape == (2, card.dimension)
    patch = [m for n, m in network.named_modules() if n in ("patch_embed.proj", "trunk.patch_embed.proj")]
    patch += [network.conv1] if card.library == "open_clip" and hasattr(network, "conv1") else []
    assert [m.kernel_size for m in patch] == ([(card.patch_size,) * 2] if card.patch_size else [])


@pytest.mark.parametrize("card", [c for c in NETWORKS if c.default_weights == "hub"], ids=lambda card: card.name)
def test_the_tag_exists_and_names_a_file_on_the_hub(card):
    import open_clip
    import timm

    from dfd_core.backbones import open_clip_models, timm_models

    if card.library == "timm":
        assert timm.is_model(card.architecture)
        assert f"{card.architecture}.{card.tag}" in timm.list_pretrained()
        files = timm_models.hub_files(card)
    else:
        assert (card.architecture, card.tag) in open_clip.list_pretrained()
        files = open_clip_models.hub_files(card)
    assert files.repo.count("/") == 1
    assert files.names[0].endswith(".safetensors")


def test_openai_weights_get_the_activation_that_they_were_trained_with():
    import open_clip

    for name in ("clip_vit_b16", "clip_vit_l14"):
        card = BACKBONES[name]
        assert card.tag == "openai"
        assert open_clip.get_model_config(card.architecture)["quick_gelu"]


def test_naming_and_listing_backbones_imports_no_heavy_library():
    code = (
        "import sys; from dfd_core.backbones import BACKBONES, BackboneSpec; "
        "[BackboneSpec(name=name) for name in BACKBONES]; "
        "print([m for m in ('torch', 'timm', 'open_clip', 'sklearn', 'huggingface_hub', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "change",
    [
        {"tag": None},
        {"weights_url": "https://example.org/a.pth"},
        {"default_weights": "url"},
        {"preprocessing": {"a": 1}},
    ],
)
def test_a_card_that_contradicts_itself_is_refused(change):
    card = BACKBONES["dino_vit_b16"].model_dump()
    with pytest.raises(ValueError, match=r"weights|preprocessing"):
        BackboneCard.model_validate({**card, **change})
