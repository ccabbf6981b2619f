"""Reading tensors from weights files without ever running code that stands in them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from dfd_core.errors import WeightsError
from dfd_core.wording import some

_SHOWN = 4


def read_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, on the CPU.

    Wrappers (`state_dict`, `model`, averaged copies) and the prefixes of data-parallel and compiled models are taken
    off as timm does.

    Args:
        path: A .safetensors, .pt, .pth or .bin file.
        prefix: Where any name starts with this, only those tensors are read, and their names lose it.

    Raises:
        WeightsError: The file is damaged, holds more than tensors, or is a TorchScript archive.
    """
    read = _read_safetensors if path.suffix.lower() == ".safetensors" else _read_torch
    try:
        tensors = read(path, prefix)
    except WeightsError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"Could not read weights from {path}: {type(error).__name__}: {reason}. Only tensors are read, "
            "pickled code never; a .safetensors file of the same weights always works."
        ) from error
    others = [name for name, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if others or not tensors:
        what = f"entries that are not tensors ({some(others, _SHOWN)})" if others else "no tensors"
        raise WeightsError(f"{path} is not a checkpoint of one network: it has {what}.")
    return tensors


def check_fit(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor], path: Path, architecture: str) -> None:
    """Compares the names and shapes of a checkpoint with those of a network.

    Raises:
        WeightsError: They differ; the message names some of the differences.
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    shapes = [
        f"{name} is {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "other shapes": shapes}
    if any(kinds.values()):
        differences = "; ".join(f"{kind}: {some(names, _SHOWN)}" for kind, names in kinds.items() if names)
        raise misfit(path, architecture, differences)


def misfit(path: Path, architecture: str, differences: str) -> WeightsError:
    """The error for a file that holds another network's weights."""
    return WeightsError(
        f"The weights in {path} don't fit {architecture}. {differences}. Give a file of this architecture, or name the "
        "backbone that the file belongs to."
    )


def _read_safetensors(path: Path, prefix: str) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        names = list(file.keys())
        wanted = [name for name in names if name.startswith(prefix)]
        if wanted:
            return {name[len(prefix) :]: file.get_tensor(name) for name in wanted}
        return {name: file.get_tensor(name) for name in names}


def _read_torch(path: Path, prefix: str) -> dict[str, Any]:
    from timm.models import load_state_dict

    if _is_torchscript(path):
        raise WeightsError(
            f"{path} is a TorchScript archive, which is a program and is not run. Leave `weights:` out to get the "
            ".safetensors file of the same weights from the hub, or give that file."
        )
    tensors: dict[str, Any] = load_state_dict(str(path), weights_only=True)
    wanted = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    return wanted or tensors


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
