"""All runtimes by name; the first is the reference."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dfd_core.backbones.runtimes.eager import TorchRuntime
from dfd_core.backbones.runtimes.openvino import OpenVinoRuntime
from dfd_core.backbones.runtimes.protocol import Runtime

RUNTIMES: Mapping[str, Runtime] = MappingProxyType({one.name: one for one in (TorchRuntime(), OpenVinoRuntime())})
