import hashlib

import pytest
import torch

from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.backbones.frozen import tensor_digest, undisturbed_seed
from dfd_core.errors import UsageError

TENSORS = {"b": torch.arange(6, dtype=torch.float32).reshape(2, 3), "a": torch.tensor(3)}


def test_the_digest_of_tensors_is_over_names_types_shapes_and_bytes():
    expected = hashlib.sha256()
    expected.update(b"a torch.int64 ()\n" + (3).to_bytes(8, "little"))
    expected.update(b"b torch.float32 (2, 3)\n" + TENSORS["b"].numpy().tobytes())
    assert tensor_digest(TENSORS) == expected.hexdigest()


def test_the_digest_knows_neither_order_nor_strides():
    turned = {"a": TENSORS["a"], "b": TENSORS["b"].T.contiguous().T}
    assert tensor_digest(turned) == tensor_digest(TENSORS)


@pytest.mark.parametrize(
    "change",
    [
        {"a": torch.tensor(4)},
        {"a": torch.tensor([3])},
        {"a": torch.tensor(3, dtype=torch.int32)},
        {"c": torch.tensor(3)},
        {"b": TENSORS["b"].reshape(3, 2)},
        {"b": TENSORS["b"].bfloat16()},
    ],
)
def test_the_digest_knows_everything_else(change):
    assert tensor_digest({**TENSORS, **change}) != tensor_digest(TENSORS)


def test_seeding_inside_leaves_the_outside_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with undisturbed_seed(9):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with undisturbed_seed(9):
        assert torch.equal(torch.rand(3), inside)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_a_usage_error(device):
    with pytest.raises(UsageError, match=device):
        load(resolve(BackboneSpec(name="tiny_vit")), device=device)
