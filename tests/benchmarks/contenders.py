"""Who is measured: how each is started and where its features then are."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import images as material
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rival_clip_retrieval

HERE = Path(__file__).parent
SET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "WANDB_MODE": "disabled", "CUDA_VISIBLE_DEVICES": ""}
UNSET = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAY_ADDRESS")
"""Everybody has the threads of their own defaults."""


@dataclass(frozen=True)
class Contender:
    """One program that embeds a folder of images.

    Attributes:
        name: Its name in tables.
        command: From folder of images, checkpoint and output folder to a command line.
        features: From output folder to the names of the files and their features, (N, D).
        project: Whether it runs in this project's environment and needs PYTHONPATH.
    """

    name: str
    command: Callable[[Path, Path, Path], list[str]]
    features: Callable[[Path], tuple[list[str], np.ndarray]]
    project: bool = True


def environment(contender: Contender) -> dict[str, str]:
    """The environment of a contender's run: offline, on the CPU, threads at everybody's defaults."""
    without = (*UNSET, *(() if contender.project else ("PYTHONPATH",)))
    return {name: value for name, value in os.environ.items() if name not in without} | SET


def dataloader_command(images: Path, checkpoint: Path, output: Path) -> list[str]:
    """The plain script."""
    return [sys.executable, str(HERE / "rival_dataloader.py"), str(images), str(checkpoint), str(output)]


def ray_data_command(images: Path, checkpoint: Path, output: Path) -> list[str]:
    """Ray Data, with the settings of its script."""
    return [sys.executable, str(HERE / "rival_ray_data.py"), str(images), str(checkpoint), str(output)]


def clip_retrieval_command(images: Path, checkpoint: Path, output: Path) -> list[str]:
    """clip-retrieval, in its own environment, which is made if need be."""
    return rival_clip_retrieval.command(images, checkpoint, output, material.CLIP_ARCHITECTURE)


def npy_features(output: Path) -> tuple[list[str], np.ndarray]:
    """Features in one file; their rows are in the order of the names, which it does not hold."""
    return [], np.load(output / "features.npy")


def ray_features(output: Path) -> tuple[list[str], np.ndarray]:
    """Features in Ray's Parquet files, in any order."""
    table = pq.read_table(output)
    vectors = table["features"].combine_chunks()
    flat = (vectors.storage if isinstance(vectors, pa.ExtensionArray) else vectors).flatten()
    return table["path"].to_pylist(), flat.to_numpy().reshape(len(table), -1)


def clip_retrieval_features(output: Path) -> tuple[list[str], np.ndarray]:
    """Features of length one in float16, and a table of paths for each file of them."""
    parts = sorted((output / "img_emb").glob("*.npy"))
    tables = sorted((output / "metadata").glob("*.parquet"))
    paths = [path for table in tables for path in pq.read_table(table)["image_path"].to_pylist()]
    return paths, np.concatenate([np.load(part) for part in parts])


def ours_command(images: Path, checkpoint: Path, output: Path) -> list[str]:
    """dfd in one process."""
    return [sys.executable, str(HERE / "ours.py"), str(images), str(checkpoint), str(output)]


def ours_on_ray_command(images: Path, checkpoint: Path, output: Path) -> list[str]:
    """dfd on Ray actors, one for each core."""
    return [*ours_command(images, checkpoint, output), "--ray"]


def our_features(output: Path) -> tuple[list[str], np.ndarray]:
    """Features from the store, named by the manifest."""
    from dfd_core.features.files import read_features
    from dfd_core.storage import Store

    store = Store(output / "store")
    (manifest,) = store.names("manifests", ".parquet")
    rows = store.read_table(f"manifests/{manifest}", columns=["sample_id", "path"])
    folder = next((output / "store" / "features").rglob("shard-*.parquet")).parent
    table = read_features(store, str(folder.relative_to(output / "store")))
    found, missing = table.rows(rows["sample_id"].to_pylist())
    if missing.any():
        raise RuntimeError(f"{int(missing.sum())} images have no vector")
    return rows["path"].to_pylist(), table.X[found]


OURS = {
    "ours": Contender("dfd", ours_command, our_features),
    "ours_on_ray": Contender("dfd on Ray", ours_on_ray_command, our_features),
}
RIVALS = {
    "dataloader": Contender("open_clip + DataLoader", dataloader_command, npy_features),
    "ray_data": Contender("Ray Data", ray_data_command, ray_features),
    "clip_retrieval": Contender("clip-retrieval", clip_retrieval_command, clip_retrieval_features, project=False),
}
