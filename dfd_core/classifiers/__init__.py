"""Classifiers: from vectors to a score, with scikit-learn's interface."""

from dfd_core.classifiers import gaussian, linear, neighbours, networks, support_vector, trees
from dfd_core.classifiers.registry import CLASSIFIERS, ClassifierCard, ClassifierSpec

for _kin in (linear, support_vector, gaussian, neighbours, trees, networks):
    for _name, _card in _kin.ENTRIES.items():
        CLASSIFIERS.add(_name, _card)

__all__ = ["CLASSIFIERS", "ClassifierCard", "ClassifierSpec"]
