"""How fast extraction is on this machine with a backbone of one's own, against the bare network.

The reference is a plain loop of eager torch in float32 over tensors that are ready in memory, with the same threads of
torch: no reading, no decoding, no resize, no writing. Ours goes from files to Parquet. Both are run by turns over the
same number of images, and the median of the repeats counts. Needs neither Prefect nor Ray, so a GPU machine without
them can run it::

    python -m dfd_core.throughput clip_vit_b16 --device cuda --images 20000
"""

from dfd_core.throughput.command import main, measure_and_tell
from dfd_core.throughput.comparison import measure_backbone
from dfd_core.throughput.images import make_images
from dfd_core.throughput.measurement import HEAD, Measurement, tell

__all__ = ["HEAD", "Measurement", "main", "make_images", "measure_and_tell", "measure_backbone", "tell"]
