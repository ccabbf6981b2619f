"""Images of several shapes, one thread for torch, and caches that no other test sees."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_caches(tmp_path_factory, monkeypatch):
    from huggingface_hub import constants

    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture(autouse=True)
def an_idle_machine(monkeypatch):
    """Whatever else it does: what is measured here is kept."""
    monkeypatch.setattr("dfd_core.backbones.runtimes.calibration.share_of_cpus", lambda: 1.0)


@pytest.fixture(scope="session")
def images():
    """RGB images: landscape, portrait, square; smaller and larger than the networks' inputs."""
    rng = np.random.default_rng(0)
    pictures = []
    for width, height in ((300, 200), (97, 131), (64, 64)):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
        noise = rng.integers(-20, 21, (height, width, 3))
        pictures.append(Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)))
    return pictures
