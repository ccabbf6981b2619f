"""Features are those of open_clip's own transform and `encode_image`, on checkpoints made on the spot."""

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from dfd_core.backbones import BACKBONES, BackboneSpec, load, resolve
from dfd_core.backbones.open_clip_models import TINY, hub_files, preprocessing, transform
from dfd_core.errors import WeightsError


@pytest.fixture(scope="module")
def model():
    """A whole tiny CLIP that the registry's seeds don't make."""
    torch.manual_seed(11)
    return open_clip.CLIP(**TINY)


@pytest.fixture
def known_to_open_clip(monkeypatch):
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", dict(TINY))


def save(tensors, path):
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save(tensors, path)
    return path


def tiny(path):
    return load(resolve(BackboneSpec(name="tiny_clip", weights=str(path))), batch_size=8)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin"])
def test_features_are_open_clips_own(model, known_to_open_clip, images, tmp_path, suffix):
    path = save(model.state_dict(), tmp_path / f"weights{suffix}")
    reference, _, reference_transform = open_clip.create_model_and_transforms("tiny", pretrained=str(path))
    backbone = tiny(path)
    inputs = [backbone.transform(image) for image in images]
    normalised = backbone.split.scaling.scaled(torch.from_numpy(np.stack(inputs)))
    for found, image in zip(normalised, images, strict=True):
        torch.testing.assert_close(found, reference_transform(image), rtol=0, atol=0)
    with torch.inference_mode():
        expected = reference.eval().encode_image(normalised).numpy()
    found = backbone.embed(inputs)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (len(images), 32)
    assert found.dtype == np.float32
    assert not np.allclose(np.linalg.norm(found, axis=1), 1)


def test_a_wrapped_checkpoint_and_the_image_tower_alone_are_the_same_weights(model, images, tmp_path):
    whole = tiny(save(model.state_dict(), tmp_path / "whole.pt"))
    inputs = [whole.transform(image) for image in images]
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()}}
    torch.save(wrapped, tmp_path / "wrapped.pt")
    others = [tmp_path / "wrapped.pt", save(model.visual.state_dict(), tmp_path / "tower.safetensors")]
    for path in others:
        np.testing.assert_array_equal(tiny(path).embed(inputs), whole.embed(inputs))


def test_half_precision_weights_run_in_float32(model, images, tmp_path):
    halves = {name: tensor.half() for name, tensor in model.state_dict().items()}
    backbone = tiny(save(halves, tmp_path / "half.safetensors"))
    inputs = [backbone.transform(image) for image in images]
    assert backbone.embed(inputs).dtype == np.float32
    rounded = {name: tensor.float() for name, tensor in halves.items()}
    expected = tiny(save(rounded, tmp_path / "rounded.safetensors")).embed(inputs)
    np.testing.assert_array_equal(backbone.embed(inputs), expected)


def test_only_the_image_tower_stays_in_memory(model, tmp_path):
    backbone = tiny(save(model.state_dict(), tmp_path / "whole.pt"))
    kept = sum(parameter.numel() for parameter in backbone.work.module.parameters())
    assert kept == sum(parameter.numel() for parameter in model.visual.parameters())
    assert not any(parameter.requires_grad for parameter in backbone.work.module.parameters())
    assert not any(module.training for module in backbone.work.module.modules())


def test_a_file_of_another_architecture_is_refused_by_names_and_shapes(model, tmp_path):
    deeper = {**TINY, "vision_cfg": {**TINY["vision_cfg"], "layers": 3, "patch_size": 32}}
    path = save(open_clip.CLIP(**deeper).state_dict(), tmp_path / "deeper.safetensors")
    with pytest.raises(
        WeightsError, match=r"don't fit tiny.*unexpected: transformer\.resblocks\.2.*more.*conv1\.weight is"
    ):
        tiny(path)
    lacking = {name: tensor for name, tensor in model.state_dict().items() if name != "visual.proj"}
    with pytest.raises(WeightsError, match=r"missing: proj\."):
        tiny(save(lacking, tmp_path / "lacking.safetensors"))


def test_a_timm_file_is_refused(tmp_path):
    import timm

    path = save(timm.create_model("test_vit").state_dict(), tmp_path / "timm.safetensors")
    with pytest.raises(WeightsError, match=r"don't fit tiny.*missing.*unexpected: .*blocks\.0"):
        tiny(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip_vit_l14", {"image_size": 224}),
        ("siglip2_vit_b16", {"image_size": 224, "mean": (0.5,) * 3, "std": (0.5,) * 3, "resize_mode": "squash"}),
    ],
)
def test_the_transform_is_that_of_the_tag_whatever_file_the_weights_are_from(name, expected, images, tmp_path):
    (tmp_path / "any.safetensors").write_bytes(b"any")
    resolved = resolve(BackboneSpec(name=name, weights=str(tmp_path / "any.safetensors")))
    reference = open_clip.image_transform(is_train=False, **expected)
    found = transform(resolved.extraction.preprocessing)
    for image in images:
        torch.testing.assert_close(found(image), reference(image), rtol=0, atol=0)


def test_the_hub_file_is_the_one_that_open_clip_asks_for(monkeypatch):
    asked = []

    def refuse(repo_id, filename, **_):
        asked.append((repo_id, filename))
        raise FileNotFoundError

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", refuse)
    for name in ("clip_vit_b16", "clip_vit_l14", "siglip2_vit_b16"):
        card = BACKBONES[name]
        asked.clear()
        with pytest.raises(FileNotFoundError):
            open_clip.download_pretrained(open_clip.get_pretrained_cfg(card.architecture, card.tag))
        files = hub_files(card)
        assert asked == [(files.repo, file) for file in files.names]


def test_the_tiny_model_is_prepared_as_openai_prepared_theirs():
    options = BACKBONES["tiny_clip"].options_type()
    tiny_clip, clip = (preprocessing(BACKBONES[name], options) for name in ("tiny_clip", "clip_vit_b16"))
    assert {**tiny_clip, "size": (224, 224)} == clip
