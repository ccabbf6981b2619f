import subprocess
import sys

import numpy as np
import pytest

from dfd_core.reducers import REDUCERS, ReducerSpec


def test_standardize_has_the_training_rows_moments_only():
    X = np.random.default_rng(0).normal(3, 5, (50, 4))
    scaler = REDUCERS["standardize"].build(ReducerSpec(name="standardize").parsed_options(), 0).fit(X)
    np.testing.assert_allclose(scaler.transform(X).std(axis=0), 1)
    np.testing.assert_allclose(scaler.transform(X + 5), (X + 5 - X.mean(axis=0)) / X.std(axis=0))


def test_none_builds_nothing():
    assert REDUCERS["none"].build(ReducerSpec().parsed_options(), 0) is None


def test_the_registries_import_no_heavy_library():
    code = (
        "import sys; import dfd_core.detectors, dfd_core.evaluation; "
        "sys.exit(str(sorted({'sklearn', 'scipy', 'torch', 'skops', 'matplotlib'} & set(sys.modules))) if "
        "{'sklearn', 'scipy', 'torch', 'skops', 'matplotlib'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def pca(X, **options):
    return REDUCERS["pca"].build(ReducerSpec(name="pca", options=options).parsed_options(), 0).fit(X)


def test_pca_keeps_what_was_asked_for_and_knows_training_rows_only():
    X = np.random.default_rng(0).normal(size=(200, 6)) * [100, 1, 1, 1, 1, 1] @ np.triu(np.ones((6, 6)))
    kept = pca(X, variance=0.9)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    variance = np.linalg.svd(scaled, compute_uv=False) ** 2
    expected = int(np.searchsorted(np.cumsum(variance) / variance.sum(), 0.9)) + 1
    assert kept.transform(X).shape == (200, expected)
    assert pca(X, components=3).transform(X).shape == (200, 3)
    assert pca(X).named_steps["pca"].n_components == 0.95
    shift = kept.transform(X + 1) - kept.transform(X)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)
    assert np.abs(shift).max() > 1e-4


def test_pca_takes_a_share_or_a_number_but_not_both():
    with pytest.raises(ValueError, match="not both"):
        ReducerSpec(name="pca", options={"variance": 0.9, "components": 3})
    for wrong in ({"variance": 1.0}, {"components": 0}):
        with pytest.raises(ValueError, match="options of pca"):
            ReducerSpec(name="pca", options=wrong)
