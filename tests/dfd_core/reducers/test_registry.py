import subprocess
import sys

import numpy as np

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
