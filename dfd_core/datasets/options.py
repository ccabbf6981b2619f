"""What one may choose of a published dataset."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dfd_core.specs import Spec


class PublishedOptions(Spec):
    """What one may choose.

    Attributes:
        sample: Images of each generator and of each source of reals, for a first try; all by default. Where the
            server answers ranges, of zip archives only what is needed is fetched, so of tar archives of large files,
            and of Parquet files some row groups: these are drawn first, then images in them. Other archives are fetched
            whole and kept.
        seed: Another one draws another sample.
        max_bytes: How much may be downloaded of any archive for a sample, and of all archives together without one.
        drawn_splits: Draw splits by group although the publisher fixed some, as where the same file is in two.
        in_place: Images are read out of tar and uncompressed zip archives, which are kept and not unpacked.
    """

    sample: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    max_bytes: Annotated[int | None, Field(ge=1, exclude=True)] = None  # decides whether, not what
    in_place: bool = False
    drawn_splits: bool = False
