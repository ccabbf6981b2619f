"""Backbones: frozen networks, with their weights, that turn an image into a vector.

A configuration names one (`BackboneSpec`), `resolve` finds and hashes its weights (`ResolvedBackbone`, small, can cross
processes), `load` puts it into memory (`LoadedBackbone`). This is the only room that imports timm and open_clip, and it
does so on first use: naming and listing backbones needs neither.
"""

from dfd_core.backbones.cards import BackboneCard
from dfd_core.backbones.catalogue import BACKBONES
from dfd_core.backbones.loading import load, resolve
from dfd_core.backbones.specs import BackboneSpec, LoadedBackbone, ResolvedBackbone

__all__ = ["BACKBONES", "BackboneCard", "BackboneSpec", "LoadedBackbone", "ResolvedBackbone", "load", "resolve"]
