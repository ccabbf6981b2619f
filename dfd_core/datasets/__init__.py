"""Datasets: the catalogue, the ways to name your own, and how their bytes are acquired.

`cards` says what the catalogue knows of a dataset, `catalogue` has one file for each, `sources` are the ways to name a
dataset, `families` tells GANs from diffusion models, and `acquire.acquire` gets the files.
"""

from dfd_core.datasets.cards import DatasetCard
from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.families import FAMILIES, family_of
from dfd_core.datasets.sources import CatalogueSource, DatasetSource, FolderSource, TableSource

__all__ = [
    "DATASETS",
    "FAMILIES",
    "CatalogueSource",
    "DatasetCard",
    "DatasetSource",
    "FolderSource",
    "TableSource",
    "family_of",
]
