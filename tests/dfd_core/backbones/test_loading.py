"""From a name to features, for every backbone that needs no download."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dfd_core.backbones import BackboneSpec, ResolvedBackbone, load, resolve
from dfd_core.errors import WeightsError

LOCAL = ["spectrum", "tiny_clip", "tiny_vit", "tiny_resnet"]
SEEDED = LOCAL[1:]


@pytest.fixture
def weights(tmp_path):
    import timm

    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.mark.parametrize("name", LOCAL)
def test_a_backbone_travels_and_gives_the_same_features_again(name, images):
    resolved = resolve(BackboneSpec(name=name))
    again = ResolvedBackbone.model_validate_json(resolve(BackboneSpec(name=name)).model_dump_json())
    assert again == resolved == pickle.loads(pickle.dumps(resolved))
    assert again.key() == resolved.key()
    one, other = load(resolved), load(again)
    assert one.resolved == resolved
    assert one.dimension == resolved.dimension
    found = [backbone.embed([backbone.transform(image) for image in images]) for backbone in (one, other)]
    assert found[0].shape == (len(images), resolved.dimension)
    assert found[0].dtype == np.float32
    np.testing.assert_array_equal(*found)
    assert np.ptp(found[0], axis=0).max() > 0


@pytest.mark.parametrize("name", LOCAL)
def test_features_do_not_depend_on_the_batch(name, images):
    backbone = load(resolve(BackboneSpec(name=name)))
    inputs = [backbone.transform(image) for image in images] * 3
    together = backbone.embed(inputs)
    for size in (1, 2, 5):
        parts = [backbone.embed(inputs[start : start + size]) for start in range(0, len(inputs), size)]
        np.testing.assert_allclose(np.concatenate(parts), together, rtol=1e-4, atol=1e-5)
    assert backbone.embed([]).shape == (0, backbone.dimension)


@pytest.mark.parametrize("name", LOCAL)
def test_threads_can_share_a_transform(name, images):
    backbone = load(resolve(BackboneSpec(name=name)))
    expected = [np.asarray(backbone.transform(image)) for image in images] * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: np.asarray(backbone.transform(image)), images * 20))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", SEEDED)
def test_seeds_make_weights_and_leave_the_process_alone(name):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, same, other = (resolve(BackboneSpec(name=name, options=o)) for o in ({}, {"seed": 0}, {"seed": 1}))
    load(first)
    assert torch.equal(torch.rand(2), expected)
    assert first.key() == same.key()
    assert first.weights_digest != other.weights_digest
    assert first.key() != other.key()


@pytest.mark.parametrize("name", SEEDED)
def test_seeded_weights_that_come_out_differently_are_refused(name):
    resolved = resolve(BackboneSpec(name=name)).model_copy(update={"weights_digest": "0" * 64})
    with pytest.raises(WeightsError, match="expected was 0000"):
        load(resolved)


def test_weights_that_changed_since_they_were_resolved_are_refused(weights):
    resolved = resolve(BackboneSpec(name="tiny_vit", weights=str(weights)))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0\0")
    with pytest.raises(WeightsError, match=resolved.weights_digest):
        load(resolved)


def test_weights_that_are_elsewhere_on_this_machine_are_looked_for_anew(weights, images):
    resolved = resolve(BackboneSpec(name="tiny_vit", weights=str(weights)))
    elsewhere = resolved.model_copy(update={"weights_path": "/another/machine/w.pth"})
    assert elsewhere.key() == resolved.key()
    assert load(elsewhere).dimension == 64
    weights.unlink()
    with pytest.raises(WeightsError, match=r"no weights file .*w\.pth"):
        load(elsewhere)


def test_the_same_weights_under_another_name_have_the_same_key(weights):
    other = weights.with_name("other.pth")
    other.write_bytes(weights.read_bytes())
    keys = {resolve(BackboneSpec(name="tiny_vit", weights=str(path))).key() for path in (weights, other)}
    assert len(keys) == 1


def test_networks_that_threads_draw_side_by_side_are_the_same_as_one_after_the_other():
    specs = [BackboneSpec(name=name) for name in ("tiny_clip", "tiny_vit", "tiny_resnet")]
    alone = [resolve(spec).weights_digest for spec in specs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda spec: resolve(spec).weights_digest, specs * 8))
    assert together == alone * 8
