import pandas as pd
import pytest

from dfd_core.errors import UnknownNameError
from dfd_core.manifests.pairing import reals_of

FRAME = pd.DataFrame(
    [
        ("one", 0, "real", "progan"),
        ("one", 0, "real", "biggan"),
        ("one", 1, "progan", None),
        ("one", 1, "ldm", None),
        ("two", 0, "real", "laion"),
        ("two", 1, "progan", None),
        ("three", 0, "real", "progan"),
        ("three", 1, "glide", None),
    ],
    columns=["dataset", "label", "generator", "source"],
    index=list("abcdefgh"),
)


def test_own_reals_else_all_reals_of_the_datasets_that_have_the_generator():
    assert list(FRAME.index[reals_of(FRAME, "progan")]) == ["a", "e"]
    assert list(FRAME.index[reals_of(FRAME, "ldm")]) == ["a", "b"]
    assert list(FRAME.index[reals_of(FRAME, "glide")]) == ["g"]


@pytest.mark.parametrize("name", ["biggan", "real", "nothing"])
def test_a_generator_without_images_is_unknown(name):
    with pytest.raises(UnknownNameError, match=r"Known: glide, ldm, progan\."):
        reals_of(FRAME, name)
