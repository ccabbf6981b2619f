"""Headers as vectors: what a classifier sees that is shown nothing of the image."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "grey", "other")
COLOUR_TYPES = (0, 2, 3, 4, 6)

PROPERTIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "format": (*(f"format_{name}" for name in FORMATS), "format_other"),
        "dimensions": ("width", "height", "aspect"),
        "bytes": ("log2_size_bytes", "bytes_per_pixel"),
        "channels": ("channels", "bit_depth"),
        "png_colour_type": tuple(f"png_colour_type_{kind}" for kind in COLOUR_TYPES),
        "jpeg_quality": ("jpeg_quality", "jpeg_quality_exact"),
        "quantisation_tables": tuple(f"{table}_{i}" for table in ("luma", "chroma") for i in range(64)),
        "chroma_subsampling": tuple(f"subsampling_{name}" for name in SUBSAMPLINGS),
        "progressive": ("progressive", "png_interlaced"),
        "markers": ("jpeg_restarts", "jpeg_jfif", "jpeg_adobe", "webp_lossless"),
        "icc": ("has_icc",),
        "exif": ("has_exif", "has_camera_make", "has_software"),
        "xmp": ("has_xmp",),
        "ai_metadata": ("has_c2pa", "has_ai_metadata"),
    }
)
"""The numbers of each property of a file, in the order of the vector."""

FEATURE_NAMES = tuple(name for names in PROPERTIES.values() for name in names)
"""The D numbers of a vector; they may only change together with `headers_stored.REVISION`."""


def columns_of(prop: str) -> slice:
    """Where the numbers of a property stand."""
    first = FEATURE_NAMES.index(PROPERTIES[prop][0])
    return slice(first, first + len(PROPERTIES[prop]))


def vectors(table: pa.Table) -> np.ndarray:
    """The vectors of readable files.

    Sizes in bytes are binary logarithms, aspect is log2(width / height). What a format does not have is 0, an Adobe
    marker counts 1 + its transform, lossy WebP -1 and lossless 1.

    Args:
        table: N rows of `headers.SCHEMA` with the status `ok`.

    Returns:
        (N, D) float32 in the order of `FEATURE_NAMES`.
    """
    width, height = (np.maximum(_numbers(table, name), 1) for name in ("width", "height"))
    size = np.maximum(_numbers(table, "size_bytes"), 1)
    lossless = _numbers(table, "lossless", fill=-1)
    columns = {
        **_one_hot(table, "format", "format_", FORMATS),
        **{"width": width, "height": height, "aspect": np.log2(width / height)},
        **{"log2_size_bytes": np.log2(size), "bytes_per_pixel": size / (width * height)},
        **{"channels": _numbers(table, "channels"), "bit_depth": _numbers(table, "bit_depth")},
        **_one_hot(table, "colour_type", "png_colour_type_", COLOUR_TYPES),
        **{"jpeg_quality": _numbers(table, "quality"), "jpeg_quality_exact": _numbers(table, "quality_exact")},
        **_one_hot(table, "subsampling", "subsampling_", SUBSAMPLINGS),
        **{"progressive": _numbers(table, "progressive"), "png_interlaced": _numbers(table, "interlaced")},
        **{"jpeg_restarts": _numbers(table, "restarts"), "jpeg_jfif": _numbers(table, "jfif")},
        "jpeg_adobe": 1 + _numbers(table, "adobe", fill=-1),
        "webp_lossless": np.where(_present(table, "lossless"), 2 * lossless - 1, 0),
        **{f"has_{name}": _numbers(table, name) for name in ("icc", "exif", "xmp", "c2pa")},
        **{f"has_{name}": _present(table, of) for name, of in (("camera_make", "make"), ("software", "software"))},
        "has_ai_metadata": _present(table, "ai_metadata"),
    }
    columns["format_other"] = 1.0 - sum(columns[f"format_{name}"] for name in FORMATS)
    X = np.zeros((table.num_rows, len(FEATURE_NAMES)), np.float32)
    for place, name in enumerate(FEATURE_NAMES):
        if name in columns:
            X[:, place] = columns[name]
    X[:, columns_of("quantisation_tables")] = quantisation_tables(table)
    return X


def quantisation_tables(table: pa.Table) -> np.ndarray:
    """Both tables of each row in natural order, luma first, (N, 128) uint16; 0 where there is none."""
    tables = np.zeros((table.num_rows, 128), np.uint16)
    for name, first in (("luma_table", 0), ("chroma_table", 64)):
        tables[_present(table, name), first : first + 64] = _flat(table[name]).reshape(-1, 64)
    return tables


def _numbers(table: pa.Table, name: str, fill: float = 0.0) -> np.ndarray:
    return np.asarray(pc.fill_null(table[name].cast(pa.float64()), fill), dtype=np.float64)


def _present(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(pc.is_valid(table[name]), dtype=bool)


def _one_hot(
    table: pa.Table, name: str, prefix: str, values: tuple[str, ...] | tuple[int, ...]
) -> dict[str, np.ndarray]:
    found = np.array(table[name].to_pylist(), dtype=object)
    return {f"{prefix}{value}": (found == value).astype(np.float64) for value in values}


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    """The numbers of all lists that are there, one after the other."""
    parts = [np.asarray(chunk.drop_null().flatten()) for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.uint16), *parts])
