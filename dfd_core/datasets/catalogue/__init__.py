"""The catalogue: a file for each dataset or family of datasets, with its cards."""

from dfd_core.datasets.cards import DatasetCard
from dfd_core.datasets.catalogue import (
    aigc_detect_benchmark,
    cnn_detection,
    community_forensics,
    deep_fake_face,
    faces,
    gen_image,
    open_fake,
    simulated,
    synthbuster,
    universal_fake_detect,
)
from dfd_core.registry import Registry

DATASETS: Registry[DatasetCard] = Registry("dataset")
for _module in (
    simulated,
    universal_fake_detect,
    cnn_detection,
    deep_fake_face,
    faces,
    gen_image,
    aigc_detect_benchmark,
    synthbuster,
    community_forensics,
    open_fake,
):
    for _card in _module.CARDS:
        DATASETS.add(_card.name, _card)
