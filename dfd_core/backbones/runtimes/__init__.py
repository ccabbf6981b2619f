"""Runtimes: what carries out a network's forward pass. Torch always; others where they are installed and faster.

A new one is a module with a class that fulfils `Runtime`, and an entry in `registry`.
"""

from dfd_core.backbones.runtimes.protocol import Forward, Precision, Runtime
from dfd_core.backbones.runtimes.registry import RUNTIMES

__all__ = ["RUNTIMES", "Forward", "Precision", "Runtime"]
