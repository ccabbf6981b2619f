"""dfd_core: the pure library, without Prefect and without Ray.

The rooms stand in the order of the data, and a room imports only what is upstream of it::

    datasets -> manifests -> augmentations -> backbones -> features -> reducers -> classifiers
             -> detectors -> evaluation -> plots -> reports
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("dfd")
except PackageNotFoundError:  # a bare copy of the source, as on a borrowed GPU machine
    __version__ = "0+source"
