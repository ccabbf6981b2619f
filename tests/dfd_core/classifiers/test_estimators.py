"""Our own estimators keep scikit-learn's rules."""

import pytest
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from dfd_core.classifiers.k_nearest import KNearestNeighbours
from dfd_core.classifiers.margin import MarginClassifier
from dfd_core.classifiers.nearest_neighbour import NearestNeighbour
from dfd_core.classifiers.perceptron import Perceptron
from dfd_core.classifiers.quadratic import QuadraticDiscriminant
from dfd_core.classifiers.support_vectors import SupportVectorMachine
from dfd_core.classifiers.tree_arrays import TreeClassifier
from dfd_core.reducers.autoencoder import Autoencoder

OURS = [
    NearestNeighbour(), NearestNeighbour(3), KNearestNeighbours(1), KNearestNeighbours(4, "cosine"),
    MarginClassifier(RidgeClassifier()), SupportVectorMachine(), SupportVectorMachine("linear"),
    QuadraticDiscriminant(), Perceptron(hidden=16, epochs=20, learning_rate=0.03),
    TreeClassifier(DecisionTreeClassifier(random_state=0)),
    TreeClassifier(RandomForestClassifier(5, random_state=0)),
    TreeClassifier(BaggingClassifier(DecisionTreeClassifier(), 5, random_state=0)),
    TreeClassifier(HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5, random_state=0)),
    Autoencoder(hidden=4, epochs=2),
]  # fmt: skip


@pytest.mark.parametrize("estimator", OURS, ids=repr)
def test_it_is_scikit_learns_kind_of_estimator(estimator):
    check_estimator(estimator, on_skip=None)
