"""The catalogue: one file per dataset, each with a `CARD`."""

from dfd_core.datasets.cards import DatasetCard
from dfd_core.datasets.catalogue import simulated
from dfd_core.registry import Registry

DATASETS: Registry[DatasetCard] = Registry("dataset")
for _card in (simulated.CARD,):
    DATASETS.add(_card.name, _card)
