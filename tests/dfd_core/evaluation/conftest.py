"""A small simulated world: two datasets, three generators, a trace that each leaves in the vectors."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from dfd_core.features.table import FeatureTable

FAMILIES = {"progan": "gan", "ldm": "diffusion", "glide": "diffusion"}


@dataclass
class World:
    frame: pd.DataFrame
    bank: dict


def rows(dataset, generator, split, n, source=None):
    label = int(generator != "real")
    names = [f"{dataset}/{generator}/{source}/{split}/{i}" for i in range(n)]
    return pd.DataFrame(
        {
            "sample_id": [hashlib.sha256(name.encode()).hexdigest() for name in names],
            "dataset": dataset, "path": names, "label": label, "generator": generator,
            "family": FAMILIES.get(generator, "real"), "source": source, "split": split, "group": names,
        }
    )  # fmt: skip


@pytest.fixture
def world():
    """`a`: progan with its own reals, ldm with all others' reals; `b`: glide, tested and trained on."""
    parts = []
    for split, n in (("train", 40), ("validation", 5), ("test", 20)):
        parts += [rows("a", "progan", split, n), rows("a", "real", split, n, "progan"), rows("a", "ldm", split, n)]
        parts += [
            rows("a", "real", split, n, "laion"),
            rows("b", "glide", split, n),
            rows("b", "real", split, n, "coco"),
        ]
    frame = pd.concat(parts, ignore_index=True)
    bank = {}
    for dataset in ("a", "b"):
        part = frame[frame["dataset"] == dataset]
        generator = np.random.default_rng(1)
        X = generator.normal(size=(len(part), 8)).astype(np.float32)
        X[:, 0] += 12 * part["label"].to_numpy()
        ids = part["sample_id"].to_numpy()
        bank[dataset, "none"] = FeatureTable(ids, X, {})
        bank[dataset, "blur"] = FeatureTable(ids[::-1].copy(), X[::-1] + np.float32(0.1), {})
    return World(frame, bank)
