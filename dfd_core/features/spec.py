"""How extraction is carried out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dfd_core.features.decoding import DecodePolicy
from dfd_core.specs import Spec


class ExtractionSpec(Spec):
    """How extraction is carried out. Apart from `decode`, nothing here changes a vector by more than rounding.

    Attributes:
        decode: How bytes become pixels.
        shard_size: Images in a shard, the unit of work, of retry and of what a kill can lose; by default a 64th of the
            dataset, but 32 to 2048.
        batch_size: Images in one forward pass; by default what is fastest on the machine, found on the first use.
        runtime: What carries out the networks: `torch`, `openvino`, or `auto` for the fastest that is installed. In
            float32 another runtime is taken only where its vectors have a cosine of at least 0.99999 to torch's.
        threads: Threads that read, decode, augment and transform, in each actor; by default as many as it
            has CPUs.
        decode_timeout_s: Seconds for one image. Decoding that takes longer costs that image alone; reading that takes
            longer counts as a store that does not answer.
        max_failed_fraction: The share of samples without a vector above which the run fails, in each feature set.
    """

    decode: DecodePolicy = DecodePolicy()
    shard_size: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    runtime: Literal["auto", "torch", "openvino"] = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None
    decode_timeout_s: Annotated[float, Field(gt=0)] = 120.0
    max_failed_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
