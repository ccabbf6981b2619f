import io

import numpy as np
from PIL import Image

from dfd_core.manifests.headers import read_header, to_table
from dfd_core.manifests.headers_vector import FEATURE_NAMES, PROPERTIES, columns_of, vectors

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 96, 3)).astype(np.uint8))


def row(image=PHOTO, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    data = buffer.getvalue()
    X = vectors(to_table(["a"], [read_header(data)]))
    return dict(zip(FEATURE_NAMES, X[0].tolist(), strict=True)), data


def test_numbers_have_names_and_places():
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES))
    covered = [i for prop in PROPERTIES for i in range(*columns_of(prop).indices(len(FEATURE_NAMES)))]
    assert covered == list(range(len(FEATURE_NAMES)))
    for prop, names in PROPERTIES.items():
        assert FEATURE_NAMES[columns_of(prop)] == names


def test_channels_say_nothing_of_the_format():
    encodings = {"JPEG": {}, "PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}}
    found = [row(kind=kind, **options)[0] for kind, options in encodings.items()]
    assert {tuple(one[name] for name in PROPERTIES["channels"]) for one in found} == {(3, 8)}


def test_a_jpeg_files_vector():
    found, data = row(quality=80, progressive=True, subsampling="4:2:2")
    assert (found["format_JPEG"], found["format_PNG"], found["format_other"]) == (1, 0, 0)
    assert (found["width"], found["height"], found["aspect"]) == (96, 48, 1)
    assert found["log2_size_bytes"] == np.float32(np.log2(len(data)))
    assert found["bytes_per_pixel"] == np.float32(len(data) / (96 * 48))
    assert (found["jpeg_quality"], found["jpeg_quality_exact"], found["progressive"]) == (80, 1, 1)
    assert (found["subsampling_4:2:2"], found["subsampling_4:2:0"], found["jpeg_adobe"]) == (1, 0, 0)
    with Image.open(io.BytesIO(data)) as image:
        assert [found[f"luma_{i}"] for i in range(64)] == image.quantization[0]
        assert [found[f"chroma_{i}"] for i in range(64)] == image.quantization[1]


def test_what_a_format_does_not_have_is_zero():
    found, _ = row(PHOTO.convert("RGBA"), "PNG")
    assert (found["format_PNG"], found["png_colour_type_6"], found["channels"]) == (1, 1, 4)
    tables = ("jpeg_quality", "luma_0", "chroma_63", "subsampling_other", "webp_lossless", "jpeg_adobe")
    assert [found[name] for name in tables] == [0] * 6
    assert row(kind="PPM")[0]["format_other"] == 1
    assert row(kind="WEBP", lossless=True)[0]["webp_lossless"] == 1
    assert row(kind="WEBP")[0]["webp_lossless"] == -1
    assert row(PHOTO.convert("CMYK"))[0]["jpeg_adobe"] == 1


def test_rows_of_many_kinds_keep_their_tables_apart():
    images = [(PHOTO, "JPEG"), (PHOTO, "PNG"), (PHOTO.convert("L"), "JPEG"), (PHOTO, "WEBP"), (PHOTO, "JPEG")]
    headers = []
    for image, kind in images:
        buffer = io.BytesIO()
        image.save(buffer, kind)
        headers.append(read_header(buffer.getvalue()))
    X = vectors(to_table(list("abcde"), headers))
    assert X.dtype == np.float32
    for i, (image, kind) in enumerate(images):
        assert np.array_equal(X[i], np.array(list(row(image, kind)[0].values()), np.float32))
    assert np.array_equal(X[0], X[4])
    assert vectors(to_table([], [])).shape == (0, len(FEATURE_NAMES))
