import pytest
import torch

from dfd_core.backbones.runtimes.cosines import cosines


def test_cosines_as_they_are_and_about_the_mean():
    Y = torch.tensor([[10.0, 1.0], [10.0, -1.0]])
    X = torch.tensor([[10.0, 1.0], [10.0, 1.0]])
    plain, centred = cosines(X, Y)
    assert plain == pytest.approx(99 / 101)
    assert centred == pytest.approx(-1)
