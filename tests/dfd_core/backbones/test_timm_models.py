"""Features are those of timm's own transform and model, on checkpoints made on the spot."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import transforms

from dfd_core.backbones import BACKBONES, BackboneSpec, load, resolve
from dfd_core.backbones.timm_models import hub_files, transform
from dfd_core.errors import WeightsError

ARCHITECTURES = {"tiny_vit": "test_vit", "tiny_resnet": "test_resnet"}


@pytest.fixture(scope="module")
def checkpoints():
    """State dicts with classifiers and without any zero, so that every tensor counts."""
    torch.manual_seed(5)
    found = {}
    for name, architecture in ARCHITECTURES.items():
        tensors = timm.create_model(architecture).state_dict()
        for key, tensor in tensors.items():
            if tensor.is_floating_point():
                tensors[key] = tensor + 0.05 * torch.rand_like(tensor)
        found[name] = tensors
    return found


def save(tensors, path):
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def backbone_from(path, name="tiny_vit", **options):
    return load(resolve(BackboneSpec(name=name, weights=str(path), options=options)), batch_size=8)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_features_are_timms_own(checkpoints, images, tmp_path, name, suffix):
    path = save(checkpoints[name], tmp_path / f"weights{suffix}")
    reference = timm.create_model(
        f"{ARCHITECTURES[name]}.r160_in1k", pretrained=True, num_classes=0, pretrained_cfg_overlay={"file": str(path)}
    ).eval()
    configuration = timm.data.resolve_data_config({}, model=reference)
    reference_transform = timm.data.create_transform(**configuration, is_training=False)
    backbone = backbone_from(path, name)
    inputs = [backbone.transform(image) for image in images]
    normalised = backbone.split.scaling.scaled(torch.from_numpy(np.stack(inputs)))
    for found, image in zip(normalised, images, strict=True):
        torch.testing.assert_close(found, reference_transform(image), rtol=0, atol=0)
    with torch.inference_mode():
        expected = reference(normalised).numpy()
    found = backbone.embed(inputs)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (len(images), BACKBONES[name].dimension)
    assert found.dtype == np.float32


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_file_without_classifier_is_as_good(checkpoints, images, tmp_path, name):
    headless = {key: tensor for key, tensor in checkpoints[name].items() if not key.startswith(("head.", "fc."))}
    assert len(headless) < len(checkpoints[name])
    one = backbone_from(save(checkpoints[name], tmp_path / "one.pth"), name)
    other = backbone_from(save({"model": headless}, tmp_path / "other.pth"), name)
    inputs = [one.transform(image) for image in images]
    np.testing.assert_array_equal(one.embed(inputs), other.embed(inputs))


def test_an_original_file_passes_through_timms_conversion(checkpoints, images, tmp_path):
    """As Meta's DINOv2 files do: they have a mask token, and blocks whose names timm changes."""
    original = {key: tensor for key, tensor in checkpoints["tiny_vit"].items() if not key.startswith("head.")}
    plain = backbone_from(save(original, tmp_path / "plain.pth"))
    converted = backbone_from(save({**original, "mask_token": torch.zeros(1, 64)}, tmp_path / "original.pth"))
    inputs = [plain.transform(image) for image in images]
    np.testing.assert_array_equal(plain.embed(inputs), converted.embed(inputs))


def test_another_image_size_resamples_positions_as_timm_does(checkpoints, images, tmp_path):
    path = save(checkpoints["tiny_vit"], tmp_path / "weights.pth")
    reference = timm.create_model(
        "test_vit.r160_in1k", pretrained=True, num_classes=0, img_size=96, pretrained_cfg_overlay={"file": str(path)}
    ).eval()
    small, own = backbone_from(path, image_size=96), backbone_from(path)
    inputs = [small.transform(image) for image in images]
    assert inputs[0].shape == (96, 96, 3)
    with torch.inference_mode():
        expected = reference(small.split.scaling.scaled(torch.from_numpy(np.stack(inputs)))).numpy()
    np.testing.assert_array_equal(small.embed(inputs), expected)
    assert small.resolved.key() != own.resolved.key()
    assert small.resolved.weights_digest == own.resolved.weights_digest


def test_a_convolutional_network_takes_another_image_size(images):
    backbone = load(resolve(BackboneSpec(name="tiny_resnet", options={"image_size": 100})))
    assert backbone.transform(images[0]).shape == (100, 100, 3)
    assert backbone.embed([backbone.transform(images[0])]).shape == (1, 96)


def test_whatever_is_missing_left_over_or_of_another_shape_is_named(checkpoints, tmp_path):
    tensors = checkpoints["tiny_vit"]
    lacking = {key: tensor for key, tensor in tensors.items() if key != "blocks.1.norm1.weight"}
    with pytest.raises(WeightsError, match=r"don't fit test_vit.*blocks\.1\.norm1\.weight"):
        backbone_from(save(lacking, tmp_path / "lacking.pth"))
    with pytest.raises(WeightsError, match=r"don't fit test_vit.*Unexpected.*surplus"):
        backbone_from(save({**tensors, "surplus": torch.zeros(1)}, tmp_path / "surplus.pth"))
    with pytest.raises(WeightsError, match=r"don't fit test_vit.*conv1"):
        backbone_from(save(checkpoints["tiny_resnet"], tmp_path / "resnet.pth"))


def test_nothing_is_resampled_unasked(checkpoints, tmp_path):
    tensors = checkpoints["tiny_vit"]
    finer = {**tensors, "patch_embed.proj.weight": torch.rand(64, 3, 8, 8)}
    with pytest.raises(WeightsError, match=r"patch_embed\.proj\.weight is \(64, 3, 8, 8\) instead of"):
        backbone_from(save(finer, tmp_path / "finer.pth"))
    larger = timm.create_model("test_vit", img_size=224).state_dict()
    with pytest.raises(WeightsError, match=r"pos_embed is \(1, 197, 64\) instead of \(1, 101, 64\)"):
        backbone_from(save(larger, tmp_path / "larger.pth"))


def test_dino_resnet_is_prepared_as_its_authors_did(images):
    card = BACKBONES["dino_resnet50"]
    reference = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    found = transform(card.preprocessing)
    for image in images:
        torch.testing.assert_close(found(image), reference(image), rtol=0, atol=1e-6)


def test_the_hub_file_is_the_one_that_timm_asks_for(monkeypatch):
    asked = []

    def refuse(repo_id, filename, **_):
        asked.append((repo_id, filename))
        raise ConnectionError

    monkeypatch.setattr("timm.models._hub.hf_hub_download", refuse)
    for _, card in BACKBONES.items():
        if card.library == "timm" and card.default_weights == "hub":
            asked.clear()
            files = hub_files(card)
            with pytest.raises(ConnectionError):
                timm.models.load_state_dict_from_hf(
                    timm.get_pretrained_cfg(f"{card.architecture}.{card.tag}").hf_hub_id
                )
            assert asked == [(files.repo, files.names[0])]
