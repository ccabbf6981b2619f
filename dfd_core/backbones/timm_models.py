"""Backbones that timm builds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform

from dfd_core.backbones.cards import BackboneCard, Option
from dfd_core.backbones.checkpoints import misfit, read_tensors
from dfd_core.backbones.frozen import Transform, undisturbed_seed
from dfd_core.backbones.options import SeededTimmOptions, TimmOptions
from dfd_core.backbones.weights import HubFiles

VERSION = 1
_PATCHES, _POSITIONS = "patch_embed.proj.weight", "pos_embed"


def preprocessing(card: BackboneCard, options: Option) -> dict[str, Any]:
    """The arguments of timm's transform, from the configuration that timm keeps beside the weights."""
    size = _image_size(options)
    wanted = {"img_size": size} if size else {}
    return dict(resolve_data_config(wanted, pretrained_cfg=_configuration(card)))  # type: ignore[no-untyped-call]


def transform(arguments: dict[str, Any]) -> Transform:
    """The evaluation transform that timm itself makes: one RGB image to (3, H, W) float32."""
    exact: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    return cast("Transform", create_transform(**exact, is_training=False))


def hub_files(card: BackboneCard) -> HubFiles:
    """The repository and files from which timm itself would load the tag."""
    configuration = _configuration(card)
    repo, _, revision = configuration["hf_hub_id"].partition("@")
    name = configuration.get("hf_hub_filename")
    return HubFiles(repo, (name,) if name else ("model.safetensors", "pytorch_model.bin"), revision or None)


def network(card: BackboneCard, options: Option, path: Path | None) -> torch.nn.Module:
    """The network without its classifier: (B, 3, H, W) to (B, D).

    The checkpoint passes through timm's own conversion for the architecture. Nothing may be missing or left over then,
    except a classifier, which is dropped.

    Args:
        card: Which one.
        options: Its options.
        path: The weights; drawn from the options' seed where `None`.

    Raises:
        WeightsError: The file can't be read or holds another network's weights.
    """
    name = _name(card)
    arguments: dict[str, Any] = {"num_classes": 0}
    size = _image_size(options)
    if size and _configuration(card).get("fixed_input_size"):
        arguments["img_size"] = size
    if path is None:
        with undisturbed_seed(options.seed if isinstance(options, SeededTimmOptions) else 0):
            return timm.create_model(name, **arguments)
    tensors = _without_classifier(read_tensors(path), card)
    # Saying that the weights have no classes either keeps timm strict: with a difference it forgives missing tensors.
    overlay = {**card.preprocessing, "state_dict": tensors, "num_classes": 0}
    try:
        with undisturbed_seed():
            module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
    except Exception as error:
        raise misfit(path, card.architecture, _shortened(error)) from error
    _check_not_resampled(module, tensors, path, card, size)
    cast("dict[str, Any]", module.pretrained_cfg).pop("state_dict", None)
    return module


def _name(card: BackboneCard) -> str:
    return f"{card.architecture}.{card.tag}" if card.tag else card.architecture


def _image_size(options: Option) -> int | None:
    return options.image_size if isinstance(options, TimmOptions) else None


def _configuration(card: BackboneCard) -> dict[str, Any]:
    """What timm keeps beside the weights; for weights that it has no tag for, what the card says."""
    configuration = timm.get_pretrained_cfg(_name(card))
    assert configuration is not None
    if card.tag is not None:
        return asdict(configuration)
    return {"classifier": configuration.classifier, **card.preprocessing}


def _without_classifier(tensors: dict[str, torch.Tensor], card: BackboneCard) -> dict[str, torch.Tensor]:
    heads = _configuration(card)["classifier"] or ()
    heads = (heads,) if isinstance(heads, str) else heads
    dropped = {f"{head}.{kind}" for head in heads for kind in ("weight", "bias")}
    return {name: tensor for name, tensor in tensors.items() if name not in dropped}


def _shortened(error: Exception) -> str:
    """Torch's message, which has a line for all missing and one for all unexpected names, with the first of each."""
    lines = [" ".join(line.split()).rstrip(". ") for line in str(error).splitlines() if line.strip()]
    kept = [line if len(line) <= 200 else f"{line[:200]}..." for line in lines[:4]]
    more = f" and {len(lines) - 4} more" if len(lines) > 4 else ""
    return f"{type(error).__name__}: {'; '.join(kept)}{more}"


def _check_not_resampled(
    module: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path, card: BackboneCard, size: int | None
) -> None:
    """Refuses what timm resamples without a word: patches, and positions unless another size was asked for."""
    expected = module.state_dict()
    for name in (_PATCHES,) if size else (_PATCHES, _POSITIONS):
        if name in tensors and name in expected and tensors[name].shape != expected[name].shape:
            found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
            raise misfit(path, card.architecture, f"{name} is {found} instead of {wanted}")
