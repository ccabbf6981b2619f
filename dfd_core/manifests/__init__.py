"""Manifests: one table per dataset with a row per image file, its label, origin, group and split.

A manifest is made from folders (`folders`, `layouts`) or a table of your own (`tables`), which give a draft
(`drafts`); then every file is read once (`probing`), samples that belong together are found (`groups`) and split
(`splits`, `split_lists`). Labels live here only, so that correcting one costs no extraction.
"""

from dfd_core.manifests.building import build_manifest
from dfd_core.manifests.manifest import Manifest, digest_of, keep, prepare, preview
from dfd_core.manifests.pairing import reals_of
from dfd_core.manifests.schema import COLUMN_DESCRIPTIONS, SCHEMA, SPLITS, validate
from dfd_core.manifests.splits import SplitSpec

__all__ = [
    "COLUMN_DESCRIPTIONS",
    "SCHEMA",
    "SPLITS",
    "Manifest",
    "SplitSpec",
    "build_manifest",
    "digest_of",
    "keep",
    "prepare",
    "preview",
    "reals_of",
    "validate",
]
