"""From a name in a configuration to a backbone in memory, whichever library builds it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dfd_core.backbones.cards import BackboneCard, Option
from dfd_core.backbones.options import SpectrumOptions
from dfd_core.backbones.specs import BackboneSpec, Extraction, LoadedBackbone, ResolvedBackbone
from dfd_core.backbones.weights import HubFiles, WeightsFile, check_digest, file_digest, from_address, from_hub

if TYPE_CHECKING:
    import torch

    from dfd_core.backbones.frozen import Transform


class _Library(Protocol):
    """What a module that builds networks offers."""

    VERSION: int

    def preprocessing(self, card: BackboneCard, options: Option, /) -> dict[str, Any]: ...

    def transform(self, arguments: dict[str, Any]) -> Transform: ...

    def hub_files(self, card: BackboneCard) -> HubFiles: ...

    def network(self, card: BackboneCard, options: Option, path: Path | None) -> torch.nn.Module: ...


def resolve(spec: BackboneSpec, fetch: bool = True) -> ResolvedBackbone:
    """Finds a backbone's weights, downloading them if need be, and hashes them.

    Args:
        spec: The backbone as a configuration names it.
        fetch: Whether weights that are not on this machine are downloaded.

    Raises:
        WeightsError: The weights are missing, can't be downloaded, or have another digest than stated.
    """
    card, options = spec.card, spec.parsed_options()
    if isinstance(options, SpectrumOptions):
        from dfd_core.backbones import spectrum

        extraction = _extraction(spec, options.bins, {"luma": spectrum.LUMA, "floor": spectrum.FLOOR}, spectrum.VERSION)
        return ResolvedBackbone(
            spec=spec, extraction=extraction, weights_path=None, weights_source="none needed", weights_digest="none"
        )
    library = _library(card)
    extraction = _extraction(spec, card.dimension, library.preprocessing(card, options), library.VERSION)
    file = _weights_file(spec, library, fetch)
    if file is None:
        source, digest = f"seed {getattr(options, 'seed', 0)}", _seeded_digest(library.network(card, options, None))
    else:
        source, digest = file.source, file_digest(file.path)
    check_digest(digest, spec.sha256, source)
    return ResolvedBackbone(
        spec=spec,
        extraction=extraction,
        weights_path=str(file.path) if file else None,
        weights_source=source,
        weights_digest=digest,
    )


def load(
    resolved: ResolvedBackbone, device: str = "cpu", runtime: str = "auto", batch_size: int | None = None
) -> LoadedBackbone:
    """Puts a backbone into memory.

    Weights that are not at the resolved path, as on another machine, are looked for again.

    Args:
        resolved: Which one.
        device: Where its network runs, in torch's words.
        runtime: What carries it out; `auto` takes the fastest that is installed.
        batch_size: Images in one forward pass; `None` finds it.

    Raises:
        WeightsError: The weights are gone, are not those that were resolved, or don't fit the architecture.
        UsageError: There is no such device, or the runtime can't run this network.
    """
    card, options = resolved.spec.card, resolved.spec.parsed_options()
    if card.library == "spectrum":
        from dfd_core.backbones import spectrum

        return spectrum.SpectrumBackbone(resolved)
    from dfd_core.backbones.frozen import FrozenNetwork, RunOn

    library = _library(card)
    if resolved.weights_path is None:
        module = library.network(card, options, None)
        check_digest(_seeded_digest(module), resolved.weights_digest, resolved.weights_source)
    else:
        file = _file_here(resolved, library)
        check_digest(file_digest(file.path), resolved.weights_digest, file.source)
        module = library.network(card, options, file.path)
    transform = library.transform(_librarys_own(resolved.extraction.preprocessing))
    return FrozenNetwork(resolved, module, transform, RunOn(device, runtime, batch_size))


_importing = threading.Lock()
_RESIZE = "resize"


def _librarys_own(preprocessing: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in preprocessing.items() if name != _RESIZE}


def _library(card: BackboneCard) -> _Library:
    with _importing:  # open_clip imports timm, and threads that begin with different ones of the two block each other
        if card.library == "timm":
            from dfd_core.backbones import timm_models

            return timm_models
        from dfd_core.backbones import open_clip_models

        return open_clip_models


def _extraction(spec: BackboneSpec, dimension: int, preprocessing: dict[str, Any], version: int) -> Extraction:
    card = spec.card
    if spec.resize != "pillow":  # left out otherwise, so that it changes no key
        preprocessing = {**preprocessing, _RESIZE: spec.resize}
    return Extraction(
        library=card.library,
        architecture=card.architecture,
        pooling=card.pooling,
        preprocessing=json.loads(json.dumps(preprocessing)),  # lists for tuples, as after a trip through a file
        options=spec.parsed_options().model_dump(mode="json", exclude={"seed"}),  # the digest stands for the seed
        dimension=dimension,
        precision=spec.precision,
        version=version,
    )


def _weights_file(spec: BackboneSpec, library: _Library, fetch: bool = True) -> WeightsFile | None:
    """The file with the weights on this machine; `None` where they are drawn from a seed."""
    if spec.weights is not None:
        return from_address(spec.weights, fetch)
    if spec.card.default_weights == "seeded":
        return None
    if spec.card.weights_url is not None:
        return from_address(spec.card.weights_url, fetch)
    return from_hub(library.hub_files(spec.card), fetch)


def _file_here(resolved: ResolvedBackbone, library: _Library) -> WeightsFile:
    path = Path(resolved.weights_path or "")
    found = None if path.is_file() else _weights_file(resolved.spec, library)
    return found or WeightsFile(path, resolved.weights_source)


def _seeded_digest(module: torch.nn.Module) -> str:
    from dfd_core.backbones.frozen import tensor_digest

    return tensor_digest(module.state_dict())
