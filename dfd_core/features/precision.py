"""What a reduced precision costs, measured while features are extracted and stated in the report."""

from __future__ import annotations

from typing import Any, NamedTuple

from dfd_core.backbones.specs import Agreement
from dfd_core.features.sets import FeatureSet
from dfd_core.specs import content_hash
from dfd_core.storage import Store


class PrecisionCheck(NamedTuple):
    """One comparison of a feature set's precision with float32.

    Attributes:
        backbone: What people call it.
        precision: Of its arithmetic.
        runtime: What carried it out.
        n: Images compared.
        cosine: The lowest cosine between the two vectors of an image.
        centred: The same after the mean vector is taken off.
    """

    backbone: str
    precision: str
    runtime: str
    n: int
    cosine: float
    centred: float


def write_precision_check(store: Store, target: FeatureSet, agreement: Agreement, facts: dict[str, Any]) -> None:
    """Keeps a comparison beside the features; one file for each machine, runtime and set of images."""
    content = {
        "backbone": target.backbone.label,
        "precision": target.backbone.spec.precision,
        "runtime": f"{facts['runtime']} {facts['version']}",
        **agreement._asdict(),
    }
    store.write_json(f"{_folder(target)}/{content_hash(content)}.json", content)


def read_precision_checks(store: Store, feature_sets: tuple[FeatureSet, ...]) -> list[PrecisionCheck]:
    """One for each backbone and runtime, sorted: all images that were compared, and the lowest cosine of any."""
    folders = sorted({_folder(one) for one in feature_sets if one.backbone.spec.precision != "float32"})
    found: dict[tuple[str, str, str], list[PrecisionCheck]] = {}
    for folder in folders:
        for name in store.names(folder, ".json"):
            check = PrecisionCheck(**store.read_json(f"{folder}/{name}"))
            found.setdefault((check.backbone, check.precision, check.runtime), []).append(check)
    return [
        PrecisionCheck(
            *what,
            n=sum(one.n for one in checks),
            cosine=min(one.cosine for one in checks),
            centred=min(one.centred for one in checks),
        )
        for what, checks in sorted(found.items())
    ]


def _folder(target: FeatureSet) -> str:
    return f"precision/{target.backbone.key()}"
