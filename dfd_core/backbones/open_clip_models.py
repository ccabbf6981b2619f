"""Backbones that open_clip builds: the image tower alone."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

from dfd_core.backbones.cards import BackboneCard, Option
from dfd_core.backbones.checkpoints import check_fit, read_tensors
from dfd_core.backbones.frozen import Transform, undisturbed_seed
from dfd_core.backbones.options import SeededOptions
from dfd_core.backbones.weights import HubFiles
from dfd_core.errors import WeightsError

VERSION = 1
TOWER_PREFIX = "visual."
TINY: Mapping[str, Any] = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}


def preprocessing(card: BackboneCard, _options: Option) -> dict[str, Any]:
    """The parameters of open_clip's transform, from the configuration that it keeps for the pretrained tag."""
    size = configuration(card.architecture)["vision_cfg"]["image_size"]
    tag = open_clip.get_pretrained_cfg(card.architecture, card.tag) if card.tag else {}
    found = merge_preprocess_dict(asdict(PreprocessCfg()), {**tag, **card.preprocessing})
    return {**found, "size": (size, size) if isinstance(size, int) else tuple(size)}


def transform(arguments: dict[str, Any]) -> Transform:
    """The evaluation transform that open_clip itself makes: one RGB image to (3, H, W) float32."""
    exact = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    return cast("Transform", image_transform_v2(PreprocessCfg(**exact), is_train=False))


def hub_files(card: BackboneCard) -> HubFiles:
    """The repository and files from which open_clip itself would load the tag."""
    repo, name = os.path.split(open_clip.get_pretrained_cfg(card.architecture, card.tag)["hf_hub"])
    return HubFiles(repo, (name,) if name else (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME))


def network(card: BackboneCard, options: Option, path: Path | None) -> torch.nn.Module:
    """The image tower: (B, 3, H, W) to (B, D), what `encode_image` gives before any normalisation.

    Scaling a vector to length one is the classifier's business: it would take the length away from those that use it.

    Args:
        card: Which one.
        options: Its options.
        path: The weights of the whole model or of its image tower; drawn from the options' seed where `None`.

    Raises:
        WeightsError: The file can't be read or holds another network's weights.
    """
    if path is None:
        with undisturbed_seed(options.seed if isinstance(options, SeededOptions) else 0):
            return _tower(card.architecture)
    with torch.device("meta"), undisturbed_seed():
        tower = _tower(card.architecture)
    tensors = read_tensors(path, prefix=TOWER_PREFIX)
    check_fit(tower.state_dict(), tensors, path, card.architecture)
    tower.load_state_dict({name: _float32(tensor) for name, tensor in tensors.items()}, strict=True, assign=True)
    unset = [name for name, buffer in tower.named_buffers() if buffer.is_meta]
    if unset:
        raise WeightsError(f"{card.architecture} has buffers that no weights file holds ({', '.join(unset)}).")
    return tower


def configuration(architecture: str) -> dict[str, Any]:
    """The architecture in open_clip's words; `tiny` is this project's own."""
    if architecture == "tiny":
        return deepcopy(dict(TINY))
    return cast("dict[str, Any]", open_clip.get_model_config(architecture))


def _tower(architecture: str) -> torch.nn.Module:
    arguments = configuration(architecture)
    kind = open_clip.CustomTextCLIP if arguments.pop("custom_text", False) else open_clip.CLIP
    return cast("torch.nn.Module", kind(**arguments).visual)


def _float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
