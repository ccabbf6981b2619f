"""Properties of files that tell the label: their scores, evidence and histograms."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dfd_core.audit.confounds import auroc_by_groups
from dfd_core.manifests.headers_vector import PROPERTIES


@pytest.mark.parametrize(
    ("options", "prop"),
    [
        ({"kind": "PNG"}, "format"),
        ({"quality": 95}, "jpeg_quality"),
        ({"subsampling": "4:4:4"}, "chroma_subsampling"),
        ({"progressive": True}, "progressive"),
        ({"size": (128, 96)}, "dimensions"),
    ],
)
def test_a_planted_shortcut_is_named_with_its_evidence(folder, clean, file, options, prop, audit, kinds):
    fakes = {path: file(i, **options) for i, path in enumerate(clean) if "fake" in path}
    found = audit(folder(clean | fakes))
    alone = {score.prop: score.auroc for score in found.scores}
    assert alone[prop] == alone["all"] == 1.0
    shortcut = kinds(found, "set/gan")["shortcut"]
    assert (shortcut.severity, shortcut.n) == ("error", 60)
    assert f"{prop} 1.00" in shortcut.message
    assert "`matched`" in shortcut.advice
    assert any(line.startswith(f"{prop}: ") and "30 of 30" in line for line in shortcut.evidence)
    assert found.exit_code("error") == found.exit_code("warning") == 3
    assert found.exit_code(None) == 0


def test_channels_are_a_shortcut_only_where_they_differ(folder, clean, file, audit, kinds):
    def told(encode):
        found = audit(folder({path: encode(i) for i, path in enumerate(clean) if "fake" in path} | reals))
        return {score.prop: score.auroc for score in found.scores}, kinds(found, "set/gan")["shortcut"]

    def with_palette(seed):
        out = io.BytesIO()
        Image.open(io.BytesIO(file(seed))).quantize(200).save(out, "PNG")
        return out.getvalue()

    reals = {path: file(100 + i, kind="PNG") for i, path in enumerate(clean) if "real" in path}
    scores, found = told(file)  # 3 x 8 bits, as the reals have
    assert (scores["format"], scores["png_colour_type"], scores["channels"]) == (1.0, 1.0, 0.5)
    assert "channels" not in found.message
    assert "8-bit RGB" not in found.advice
    assert any(line == "png_colour_type: 'RGB' in 30 of 30 real, 0 of 30 generated files" for line in found.evidence)
    scores, found = told(with_palette)
    assert (scores["format"], scores["png_colour_type"], scores["channels"]) == (0.5, 1.0, 1.0)
    assert "8-bit RGB" in found.advice


def test_size_in_bytes_has_medians_as_its_evidence(folder, clean, audit, kinds):
    fakes = {path: data + bytes(200) for path, data in clean.items() if "fake" in path}  # within one bin
    found = audit(folder(clean | fakes))
    (score,) = [score for score in found.scores if score.prop == "bytes"]
    sizes = [
        np.median([len(data) for path, data in (clean | fakes).items() if label in path]) for label in ("real", "fake")
    ]
    assert score.medians[0] == pytest.approx(("bytes", *sizes), abs=2)
    assert score.medians[1] == pytest.approx(("bytes per pixel", *(size / 96**2 for size in sizes)), abs=1e-3)
    lines = kinds(found, "set/gan")["shortcut"].evidence
    _, real, fake = score.medians[0]
    assert lines[0] == f"bytes: median {real:,.0f} of real, {fake:,.0f} of generated files"
    assert lines[1].startswith("bytes per pixel: median 0.")
    assert [score.medians for score in found.scores if score.prop != "bytes"] == [()] * 14


def test_each_generator_is_compared_with_its_own_reals(folder, file, audit):
    files = {f"a/real/{i}.jpg": file(i) for i in range(20)} | {f"a/fake/{i}.jpg": file(50 + i) for i in range(20)}
    files |= {f"b/real/{i}.png": file(100 + i, kind="PNG") for i in range(20)}
    files |= {f"b/fake/{i}.png": file(150 + i, kind="PNG") for i in range(20)}
    found = audit(folder(files))
    assert {(s.generator, s.auroc) for s in found.scores if s.prop == "format"} == {("a", 0.5), ("b", 0.5)}
    assert "shortcut" not in {finding.kind for finding in found.findings}


def test_scores_are_cross_validated_by_group():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    y = (groups % 2).astype(int)
    X = np.repeat(rng.normal(size=(40, 1)), 5, axis=0).astype(np.float32)  # says which group it is, and nothing else
    assert abs(auroc_by_groups(X, y, groups, 0) - 0.5) < 0.25
    assert auroc_by_groups(X, y, np.arange(200), 0) > 0.85
    assert auroc_by_groups(X + 10 * y[:, None], y, groups, 0) == 1.0
    assert auroc_by_groups(X, y, np.where(y == 1, 0, groups), 0) is None


def test_noise_says_nothing_on_average():
    rng = np.random.default_rng(0)
    y = (np.arange(120) % 2).astype(int)
    found = [auroc_by_groups(rng.normal(size=(120, 3)).astype(np.float32), y, np.arange(120), 0) for _ in range(20)]
    assert abs(np.mean(found) - 0.5) < 0.04


def test_histograms_count_every_readable_file(folder, clean, file, audit):
    found = audit(folder(clean | {"gan/fake/x.png": file(99, kind="PNG"), "gan/fake/y.png": b""}))
    by_prop = {
        histogram.prop: {value: (real, fake) for value, real, fake in histogram.rows} for histogram in found.histograms
    }
    assert by_prop["format"] == {"JPEG": (30, 30), "PNG": (0, 1)}
    assert by_prop["quantisation_tables"] == {"libjpeg's of 75": (30, 30), "–": (0, 1)}
    assert by_prop["markers"] == {"JFIF": (30, 30), "–": (0, 1)}
    assert by_prop.keys() == {*PROPERTIES, "software"}
    assert by_prop["dimensions"] == {"96 x 96": (30, 31)}
    for histogram in found.histograms:
        assert histogram.totals() == (30, 31), histogram.prop


def test_numbers_stand_in_their_order(folder, file, audit):
    sizes = [(50, 50), (50, 100), (100, 50), (9, 50)]
    files = {
        f"{place}/{i}.jpg": file(i, sizes[i % 4], quality=8 + i) for i in range(8) for place in ("a/real", "b/fake")
    }
    files |= {f"b/fake/more{i}.jpg": file(30 + i, (100, 50), quality=12) for i in range(4)}
    found = audit(folder(files | {"b/fake/x.png": file(50, (300, 300), "PNG")}))
    values = {histogram.prop: [row[0] for row in histogram.rows] for histogram in found.histograms}
    assert values["dimensions"] == ["9 x 50", "50 x 50", "50 x 100", "100 x 50", "300 x 300"]
    assert values["jpeg_quality"] == ["8", "9", "10", "11", "12", "13", "14", "15", "–"]
    assert values["bytes"][0] == "512 to 1024 B"
    assert values["bytes"][-1].endswith("KiB")


def test_many_values_are_cut_to_the_frequent_ones(folder, file, audit):
    files = {f"{place}/{i}.jpg": file(i, (60 + i, 50)) for i in range(30) for place in ("a/real", "b/fake")}
    found = audit(folder(files))
    (dimensions,) = [histogram for histogram in found.histograms if histogram.prop == "dimensions"]
    assert len(dimensions.rows) == 13
    assert dimensions.rows[-1][0] == "other"
    assert dimensions.totals() == (30, 30)
    assert pd.DataFrame(dimensions.rows)[0].is_unique
