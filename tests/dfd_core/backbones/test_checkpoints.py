"""What is no checkpoint is refused with a reason, and code in a file never runs."""

import pickle

import pytest
import torch

from dfd_core.backbones.checkpoints import read_tensors
from dfd_core.errors import WeightsError

RAN = []


class Trap:
    def __reduce__(self):
        return RAN.append, ("the file's code",)


def test_pickled_code_is_not_run(tmp_path):
    torch.save({"weight": torch.zeros(1), "trap": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match=r"trap\.pth.*pickled code never"):
        read_tensors(tmp_path / "trap.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="bare"):
        read_tensors(tmp_path / "bare.pth")
    assert RAN == []


def test_openais_archive_is_a_program_and_is_refused_as_one(tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "ViT-B-16.pt")
    with pytest.raises(WeightsError, match=r"TorchScript archive.*safetensors"):
        read_tensors(tmp_path / "ViT-B-16.pt")


@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pth", "empty.pth", "empty.safetensors"])
def test_damaged_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"\x80\x02 damaged" * 10)
    with pytest.raises(WeightsError, match=name):
        read_tensors(tmp_path / name)


@pytest.mark.parametrize(
    "content", [{}, {"student": {"weight": torch.zeros(1)}}, {"epoch": 3, "weight": torch.zeros(1)}]
)
def test_what_is_not_one_networks_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=r"odd\.pth is not a checkpoint of one network"):
        read_tensors(tmp_path / "odd.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(WeightsError, match=r"tensor\.pth"):
        read_tensors(tmp_path / "tensor.pth")


def test_a_prefix_selects_where_it_occurs(tmp_path):
    torch.save({"visual.a": torch.zeros(1), "text.b": torch.zeros(2)}, tmp_path / "whole.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "part.pth")
    assert list(read_tensors(tmp_path / "whole.pth", prefix="visual.")) == ["a"]
    assert list(read_tensors(tmp_path / "part.pth", prefix="visual.")) == ["a"]
    assert list(read_tensors(tmp_path / "whole.pth")) == ["visual.a", "text.b"]
