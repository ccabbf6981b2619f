"""What `dfd throughput` measures and writes; its figures are not judged here."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from dfd_core.backbones import BackboneSpec
from dfd_core.backbones.runtimes import workload
from dfd_core.errors import UsageError
from dfd_core.features.decoding import DecodePolicy
from dfd_core.features.spec import ExtractionSpec
from dfd_core.throughput import Measurement, bare_network, comparison, make_images, measure_and_tell, measure_backbone
from dfd_core.throughput.bare_network import BareNetwork

KEYS = ["name", "reference", "ours", "ratio", "goal", "cosine"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"), 8)


def test_images_are_jpeg_files_that_a_seed_decides(files, tmp_path):
    again = make_images(tmp_path, 8)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]
    other = make_images(tmp_path / "other", 1, seed=1)
    assert other[0].read_bytes() != files[0].read_bytes()
    assert files[0].read_bytes()[:2] == b"\xff\xd8"
    assert len({path.read_bytes() for path in files}) == 8


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_ours_and_the_reference_are_timed_by_turns_on_the_same_images(files, precision, monkeypatch):
    turns = []
    time = comparison._Runs.time

    def noted(self, function):
        turns.append(id(self))
        return time(self, function)

    monkeypatch.setattr(comparison._Runs, "time", noted)
    spec = BackboneSpec(name="tiny_resnet", precision=precision)
    lines = measure_backbone(spec, files, ExtractionSpec(), repeats=2, goal=2.0)
    assert turns == turns[:3] * 2
    assert len(set(turns)) == 3
    for line in lines:
        assert line.name.startswith(f"tiny_resnet {precision} / bare forward, batch ")
        assert line.ratio == pytest.approx(line.reference / line.ours)
        assert line.details["images"] == 8
        assert line.details["bottleneck"] in ("decode", "forward")
        assert 0.99 < line.cosine <= 1 + 1e-9
    assert [line.goal for line in lines[:2]] == [2.0, 2.0]
    assert (lines[0].cosine > 0.999999) == (precision == "float32")


def test_a_line_is_json_with_the_keys_that_were_agreed(files):
    line = Measurement("a / b (ms)", 2.0, 1.0, 2.0, goal=1.5, cosine=1.0, details={"batch": 4})
    found = json.loads(line.as_json())
    assert list(found) == [*KEYS, "batch"]
    assert "goal 1.5 met" in str(line)
    assert "MISSED" in str(Measurement("a", 1.0, 1.0, 1.0, goal=1.5))


def test_a_spectrum_has_no_forward_pass(files):
    with pytest.raises(UsageError, match="no forward pass"):
        measure_backbone(BackboneSpec(name="spectrum"), files, ExtractionSpec())


def test_an_image_that_can_not_be_used_is_an_error_before_anything_is_measured(files, tmp_path, monkeypatch):
    monkeypatch.setattr(bare_network, "LEAST_HELD", 4)
    monkeypatch.setattr(comparison._Runs, "time", lambda *_: pytest.fail("something was measured"))
    broken = tmp_path / "z.jpg"
    broken.write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"1 of 9 images .*z\.jpg \(undecodable: .*a folder of sound images"):
        measure_backbone(BackboneSpec(name="tiny_vit"), [*files, broken], ExtractionSpec(), repeats=1)


def test_no_images_are_an_error_of_their_own():
    with pytest.raises(UsageError, match="there are none"):
        measure_backbone(BackboneSpec(name="tiny_vit"), [], ExtractionSpec())


def _table(files, n):
    """So many rows; the bare network reads their files and no digests."""
    return pa.table({"sample_id": [str(i) for i in range(n)], "url": [str(files[i % len(files)]) for i in range(n)]})


@pytest.mark.parametrize(("n", "best"), [(300, 32), (257, 32), (300, 256), (600, 512), (20, 16), (5, 4)])
def test_the_reference_computes_as_many_images_as_are_counted_in_batches_that_are_really_run(
    files, monkeypatch, n, best
):
    asked = []

    def found(_forward, _work, at_most):
        asked.append(at_most)
        return workload.BatchSize(best, 1.0)

    monkeypatch.setattr(workload, "find_batch_size", found)
    bare = BareNetwork(BackboneSpec(name="tiny_resnet"), "cpu", _table(files, n), DecodePolicy())
    assert asked == [n]
    assert f"{len(bare.inputs)} ready images" in bare.held
    bare.inputs = bare.inputs[:, :, :1, :1]
    for batch in (bare.usual_batch, bare.best_batch):
        sizes = []
        bare.forward = lambda images, sizes=sizes: sizes.append(len(images)) or images[:, 0, 0]
        found = bare.run(batch, lambda *_: None)
        assert sum(sizes) == n
        assert max(sizes) == batch
        assert len(sizes) == -(-n // batch)
        np.testing.assert_array_equal(found, bare.inputs[:, 0, 0].numpy())


@pytest.mark.parametrize(("make", "message"), [(False, "There is no folder .*nowhere"), (True, "There is no image in")])
def test_a_folder_without_images_is_named_before_the_tables_head(tmp_path, capsys, make, message):
    folder = tmp_path / "nowhere"
    if make:
        folder.mkdir()
    with pytest.raises(UsageError, match=message):
        measure_and_tell([BackboneSpec(name="tiny_vit")], (folder, 8), ExtractionSpec(), "cpu", tmp_path / "log")
    assert capsys.readouterr().out == ""


def test_it_says_what_it_is_doing_and_how_far_it_is(files, caplog, monkeypatch):
    monkeypatch.setattr(comparison, "_SAID_EVERY_S", 0)
    caplog.set_level("INFO", "dfd_core")
    measure_backbone(BackboneSpec(name="tiny_vit"), files, ExtractionSpec(), repeats=1)
    assert "tiny_vit: round 1 of 1, ours: 8 of 8 images" in caplog.messages
    assert any(message.startswith("tiny_vit: the bare network holds 8 ready images") for message in caplog.messages)


def test_the_script_needs_neither_prefect_nor_ray(tmp_path):
    code = (
        "import runpy, sys; sys.modules['prefect'] = sys.modules['ray'] = None; "
        "sys.argv = ['throughput', 'tiny_vit', '--images', '8', '--log', sys.argv[1]]; "
        "runpy.run_module('dfd_core.throughput', run_name='__main__')"
    )
    log = tmp_path / "benchmarks.jsonl"
    done = subprocess.run([sys.executable, "-c", code, str(log)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cores keep one busy; the reference holds 8 ready images" in done.stdout
    assert "round 3 of 3, ours" in done.stderr
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines
    assert all(list(line)[:6] == KEYS for line in lines)
