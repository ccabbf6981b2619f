"""Classifiers: from vectors to a score, with scikit-learn's interface."""

from dfd_core.classifiers.registry import CLASSIFIERS, ClassifierCard, ClassifierSpec

__all__ = ["CLASSIFIERS", "ClassifierCard", "ClassifierSpec"]
