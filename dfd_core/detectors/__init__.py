"""Detectors: everything from vectors to a score between 0 and 1, fitted, saved without pickle, and read again."""

from dfd_core.detectors.detector import Detector, DetectorSummary, fit
from dfd_core.detectors.spec import DetectorSpec

__all__ = ["Detector", "DetectorSpec", "DetectorSummary", "fit"]
