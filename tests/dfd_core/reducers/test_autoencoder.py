from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from dfd_core.classifiers.perceptron import Perceptron
from dfd_core.reducers.autoencoder import Autoencoder


def data(n=300, seed=0):
    """20 columns of which 3 are free, and one that never changes."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(3, 20))
    X = generator.normal(size=(n, 3)) @ mixing + 0.01 * generator.normal(size=(n, 20))
    return np.column_stack([100 * X + 5, np.full(n, 3.0)])


def test_it_learns_what_the_columns_have_in_common():
    short, long = (Autoencoder(hidden=8, epochs=epochs).fit(data()) for epochs in (1, 100))
    assert long.loss_ < 0.1 < short.loss_
    reduced = long.transform(data(seed=1))
    assert reduced.shape == (300, 8)
    assert reduced.min() >= 0


def test_the_seed_decides_and_nothing_else_in_the_process():
    before = torch.get_rng_state()
    one = Autoencoder(hidden=4, epochs=3).fit(data())
    torch.manual_seed(77)
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(lambda _: Autoencoder(hidden=4, epochs=3).fit(data()), range(8)))
    for other in others:
        np.testing.assert_array_equal(other.weights_, one.weights_)
    assert np.abs(Autoencoder(hidden=4, epochs=3, random_state=1).fit(data()).weights_ - one.weights_).max() > 0.01
    torch.set_rng_state(before)
    Perceptron(hidden=4).fit(data(), np.arange(300) % 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_fits_in_threads_where_gradients_are_off_outside():
    X, y = data(), np.arange(300) % 2
    expected = Perceptron(hidden=4).fit(X, y)
    with torch.no_grad():
        np.testing.assert_array_equal(Perceptron(hidden=4).fit(X, y).weights_, expected.weights_)
