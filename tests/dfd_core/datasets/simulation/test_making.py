import io
import struct
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from dfd_core.datasets.catalogue.simulated import SimulatedOptions
from dfd_core.datasets.simulation.generators import GENERATORS
from dfd_core.datasets.simulation.making import KINDS, REAL_SOURCES, plan, render

OPTIONS = SimulatedOptions(images_per_class=80)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """So small regressions take many times longer with threads that wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def files():
    """Bytes of all files, by class."""
    out = {"real": []} | {name: [] for name in GENERATORS}
    for image in plan(OPTIONS.images_per_class):
        out["real" if image.maker in REAL_SOURCES else image.maker].append(render(image, OPTIONS))
    return out


def luma(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float) / 255


def spectrum(data):
    """Radial mean of the log power spectrum under a Hann window (Durall et al. 2020)."""
    pixels = luma(data)
    size = len(pixels)
    window = np.outer(np.hanning(size), np.hanning(size))
    power = np.log(np.abs(np.fft.fft2(window * (pixels - pixels.mean()))) ** 2 + 1e-9)
    radius = np.rint(size * np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))).astype(int)
    return (np.bincount(radius.ravel(), power.ravel()) / np.bincount(radius.ravel()))[: round(size * 0.7)]


@pytest.fixture(scope="module")
def spectra(files):
    return {name: np.array([spectrum(data) for data in group]) for name, group in files.items()}


def detector():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def pair(spectra, name):
    X = np.concatenate([spectra["real"], spectra[name]])
    return X, np.repeat([0, 1], [len(spectra["real"]), len(spectra[name])])


@pytest.mark.parametrize("n", [2, 5, 10])
def test_classes_have_the_same_size_and_contents(n):
    images = list(plan(n))
    assert len(set(images)) == len(images)
    reals = [image for image in images if image.maker in REAL_SOURCES]
    contents = Counter(image.kind for image in reals)
    assert set(contents) == set(KINDS)
    assert contents.total() == n
    for name in GENERATORS:
        assert Counter(image.kind for image in images if image.maker == name) == contents
    assert {image.folder for image in reals} == {"sim_photographs/real", "sim_dead_leaves/real"}


def test_each_image_depends_on_seed_maker_and_index():
    options = SimulatedOptions(images_per_class=4, size=64)
    images = list(plan(4))
    first = [render(image, options) for image in images]
    assert first == [render(image, options) for image in images]
    assert len(set(first)) == len(first)
    assert not set(first) & {render(image, options.model_copy(update={"seed": 1})) for image in images}


def structure(data):
    """Everything that a JPEG says but its pixels: markers with their contents up to the scan, then the end."""
    at, segments = 2, []
    while True:
        marker, length = struct.unpack(">HH", data[at : at + 4])
        segments.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
        if marker == 0xFFDA:
            return (data[:2], tuple(segments), data[-2:])


def test_nothing_but_pixels_differs_between_files(files):
    structures = {structure(data) for group in files.values() for data in group}
    assert len(structures) == 1
    markers = [hex(marker) for marker, _ in structures.pop()[1]]
    assert markers == ["0xffe0", "0xffdb", "0xffdb", "0xffc0", "0xffc4", "0xffc4", "0xffc4", "0xffc4", "0xffda"]


@pytest.mark.parametrize("name", GENERATORS)
def test_brightness_and_contrast_do_not_tell(files, name):
    statistics = {
        label: np.array([[pixels.mean(), pixels.var()] for pixels in map(luma, group)])
        for label, group in files.items()
        if label in ("real", name)
    }
    X, y = pair(statistics, name)
    for column in range(2):
        assert 0.35 < roc_auc_score(y, X[:, column]) < 0.65


@pytest.mark.parametrize("name", GENERATORS)
def test_the_trace_is_found_and_shuffled_labels_are_not(spectra, name):
    X, y = pair(spectra, name)
    scores = cross_val_predict(detector(), X, y, cv=5, method="decision_function")
    assert roc_auc_score(y, scores) > 0.9
    shuffled = []
    for seed in range(4):
        z = np.random.default_rng(seed).permutation(y)
        shuffled.append(roc_auc_score(z, cross_val_predict(detector(), X, z, cv=5, method="decision_function")))
    assert 0.35 < np.mean(shuffled) < 0.65


def test_some_detectors_transfer_and_others_fail(spectra):
    def transfer(train, test):
        half = OPTIONS.images_per_class // 2
        X, y = pair({name: group[::2] for name, group in spectra.items()}, train)
        held_out, labels = pair({name: group[1::2] for name, group in spectra.items()}, test)
        assert len(held_out) == 2 * half
        return roc_auc_score(labels, detector().fit(X, y).decision_function(held_out))

    assert transfer("sim_bilinear_conv", "sim_cascade_4x") > 0.85
    assert transfer("sim_nearest_conv", "sim_latent_8x") > 0.85
    assert transfer("sim_pixel_shuffle", "sim_bilinear_conv") < 0.4
    assert transfer("sim_transposed_conv", "sim_latent_8x") < 0.5
