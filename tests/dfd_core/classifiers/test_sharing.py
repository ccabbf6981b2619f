import numpy as np
import pytest

from dfd_core.classifiers import CLASSIFIERS, ClassifierSpec, search
from dfd_core.classifiers.sharing import fit_group, score_group, sharing_groups


def specs(*choices):
    return [ClassifierSpec.model_validate(choice) for choice in choices]


def knn(k, metric="euclidean"):
    return {"name": "knn", "options": {"k": k, "metric": metric}}


def banks(k):
    return {"name": "nearest_neighbour", "options": {"k": k}}


GRID = specs(
    knn(1), "logistic_regression", knn(3, "cosine"), knn(9), banks(1), "lda", banks(9), knn(5), "svm_rbf", "lda"
)


def data(dtype=np.float32, seed=0, n=400):
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return (generator.normal(size=(n, 24)) + 0.3 * y[:, None]).astype(dtype), y


def test_all_k_of_one_search_are_a_group_and_each_other_classifier_is_alone():
    assert sharing_groups(GRID) == [[0, 3, 7], [1], [2], [4, 6], [5], [8], [9]]
    assert sharing_groups([]) == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_group_gives_bit_for_bit_what_each_gives_alone(dtype):
    X, y = data(dtype)
    fresh, _ = data(dtype, seed=1)
    for group in sharing_groups(GRID):
        chosen = [GRID[position] for position in group]
        together = fit_group(chosen, X, y, 5)
        scores = score_group(together, fresh)
        for spec, model, score in zip(chosen, together, scores, strict=True):
            card = CLASSIFIERS[spec.name]
            alone = card.build(spec.parsed_options(), 5).fit(X.astype(card.dtype), y)
            np.testing.assert_array_equal(score, alone.predict_proba(fresh.astype(card.dtype))[:, 1])
            assert score.dtype == np.float64
            assert repr(model) == repr(alone)


def test_one_search_serves_a_group_also_when_its_members_were_read_from_files_one_by_one(monkeypatch):
    X, y = data()
    searches = []
    nearest = search.nearest
    monkeypatch.setattr("dfd_core.classifiers.banks.nearest", lambda *args: searches.append(args[2]) or nearest(*args))
    alone = [fit_group([spec], X, y, 0)[0] for spec in specs(knn(1), knn(7), knn(3), banks(5), banks(1))]
    score_group(alone, X)
    assert searches == [7, 3, 3]
    shared = fit_group(specs(knn(1), knn(3)), X, y, 0)
    assert shared[0].banks_[0] is shared[1].banks_[0]


def test_too_many_neighbours_are_refused_with_the_number_of_rows():
    X, y = data(n=8)
    with pytest.raises(ValueError, match="k = 9 looks at 9 neighbours, but there are only 8"):
        fit_group(specs(knn(1), knn(9)), X, y, 0)
    with pytest.raises(ValueError, match="k = 9 looks at 5 neighbours, but there are only 4"):
        fit_group(specs(banks(9)), X, y, 0)
    with pytest.raises(ValueError, match="odd"):
        specs(banks(2))
