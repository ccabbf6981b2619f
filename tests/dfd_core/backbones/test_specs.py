import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dfd_core.backbones import BACKBONES, BackboneSpec, ResolvedBackbone
from dfd_core.backbones.specs import Extraction, weights_suffix
from dfd_core.errors import UnknownNameError

DIGEST = "0123456789abcdef" * 4


def resolved(name="clip_vit_b16", digest=DIGEST, **changes):
    spec = BackboneSpec(name=name, **changes.pop("spec", {}))
    card = spec.card
    facts = {"library": card.library, "architecture": card.architecture, "pooling": card.pooling, "version": 1}
    facts |= {"preprocessing": {"size": 224}, "options": {}, "dimension": card.dimension, "precision": "float32"}
    facts |= {key: changes.pop(key) for key in list(changes) if key in facts}
    rest = {"weights_path": "/a/file.safetensors", "weights_source": "the hub", "weights_digest": digest} | changes
    return ResolvedBackbone(spec=spec, extraction=Extraction(**facts), **rest)


def test_a_bare_name_is_enough():
    assert TypeAdapter(list[BackboneSpec]).validate_python(["spectrum"]) == [BackboneSpec(name="spectrum")]


def test_an_unknown_name_has_its_close_matches():
    with pytest.raises(UnknownNameError, match="Did you mean 'clip_vit_l14'"):
        BackboneSpec(name="clip_vit_l41")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "clip_vit_b16", "weights": "weights.npz"}, "safetensors"),
        ({"name": "clip_vit_b16", "weights": "a.pt", "options": {"seed": 1}}, "seed"),
        ({"name": "tiny_vit", "weights": "a.pt", "options": {"seed": 1}}, "no effect"),
        ({"name": "tiny_vit", "options": {"sede": 1}}, r"sede.*it has: .*seed"),
        ({"name": "spectrum", "options": {"bins": 4}}, "bins.*8"),
        ({"name": "spectrum", "weights": "a.pt"}, "no weights"),
        ({"name": "spectrum", "sha256": DIGEST}, "no weights"),
        ({"name": "dinov2_vit_b14", "options": {"image_size": 220}}, "multiple of its patch of 14 px, as 224 is"),
        ({"name": "clip_vit_b16", "sha256": "abc"}, "sha256"),
        ({"name": "clip_vit_b16", "precision": "float8"}, "float32"),
        ({"name": "spectrum", "precision": "bfloat16"}, "no network"),
        ({"name": "spectrum", "resize": "tensor"}, "no network"),
        ({"name": "clip_vit_b16", "weight": "a.pt"}, "weight"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_download(config, message):
    with pytest.raises(ValidationError, match=message):
        BackboneSpec.model_validate(config)


def test_digests_are_compared_in_lower_case():
    assert BackboneSpec(name="clip_vit_b16", sha256=f" {DIGEST.upper()} ").sha256 == DIGEST


@pytest.mark.parametrize("address", ["a.pth", "/x/a.PTH", "s3://bucket/a.pth", "https://host/a.pth?download=true#top"])
def test_suffixes_are_read_from_paths_and_urls(address):
    assert weights_suffix(address) == ".pth"


def test_the_key_is_readable_and_blind_to_where_the_weights_are():
    one = resolved()
    other = resolved(
        weights_path="/elsewhere/b.safetensors", weights_source="my disk", spec={"weights": "b.safetensors"}
    )
    assert one.key().startswith("clip_vit_b16-")
    assert one.key() == other.key()


@given(st.sampled_from(["architecture", "pooling", "precision"]), st.text(min_size=1, max_size=5))
def test_the_key_changes_with_every_text_that_decides_the_features(field, value):
    assert resolved(**{field: value}).key() != resolved().key()


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "f" * 64},
        {"preprocessing": {"size": 256}},
        {"options": {"image_size": 224}},
        {"dimension": 513},
        {"version": 2},
        {"library": "timm"},
    ],
)
def test_the_key_changes_with_everything_else_that_decides_the_features(change):
    assert resolved(**change).key() != resolved().key()


def test_it_travels_as_pickle_and_as_json():
    one = resolved()
    assert pickle.loads(pickle.dumps(one)) == one
    assert ResolvedBackbone.model_validate_json(one.model_dump_json()) == one


def test_labels_say_what_differs_from_the_card():
    assert resolved().label == BACKBONES["clip_vit_b16"].title == "CLIP ViT-B/16"
    assert resolved(spec={"weights": "my.pth"}).label == "CLIP ViT-B/16 (weights 01234567)"
    assert resolved("dinov2_vit_b14", spec={"options": {"image_size": 224}}).label == "DINOv2 ViT-B/14 (image_size=224)"
