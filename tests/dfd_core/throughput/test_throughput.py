"""What `dfd throughput` measures and writes; its figures are not judged here."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch

from dfd_core.backbones import BackboneSpec
from dfd_core.backbones.runtimes import workload
from dfd_core.errors import UsageError
from dfd_core.features.decoding import DecodePolicy
from dfd_core.features.spec import ExtractionSpec
from dfd_core.throughput import (
    HEAD,
    Measurement,
    bare_network,
    command,
    comparison,
    make_images,
    measure_and_tell,
    measure_backbone,
)
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


def test_lines_stand_below_each_other_however_long_their_names_are():
    lines = [
        HEAD,
        str(Measurement("a", 2.0, 1.0, 2.0)),
        str(Measurement("b" * 90, 1234.5, 1.0, 1234.5, goal=3.5, cosine=1.0)),
        str(Measurement("c", 123.4, 100.0, 1.234, goal=1 / 0.3, cosine=-0.5)),
    ]
    assert [line.rfind(" ") for line in lines] == [lines[0].rfind(" ")] * 4


def test_the_stages_are_those_of_the_round_that_counts(files, monkeypatch):
    seconds, images = [2.0, 9.0, 4.0, 5.0, 1.0], []
    time = comparison._Runs.time

    def timed(self, function):
        result = time(self, function)
        self.wall_s[-1] = seconds[len(self.wall_s) - 1]
        return result

    def noted(reports):
        images.append([report.samples for report in reports])
        return {}

    counts = iter(range(1, 7))
    extract = comparison._extract

    def counted(*arguments):
        return [dataclasses.replace(report, samples=next(counts)) for report in extract(*arguments)]

    monkeypatch.setattr(comparison._Runs, "time", timed)
    monkeypatch.setattr(comparison, "_stages", noted)
    monkeypatch.setattr(comparison, "_extract", counted)
    measure_backbone(BackboneSpec(name="tiny_vit"), files, ExtractionSpec(batch_size=2), repeats=5)
    assert images == [[4]]  # of all six, the first of which is not timed


def test_on_a_gpu_an_image_is_done_once_it_is_computed(files, monkeypatch):
    bare = BareNetwork(BackboneSpec(name="tiny_vit"), "cpu", _table(files, 8), DecodePolicy())
    inputs, events = bare.inputs, []

    class OnGpu:
        device = torch.device("cuda")

        def __len__(self):
            return len(inputs)

        def __getitem__(self, part):
            events.append("launched")
            return inputs[part]

    bare.inputs = OnGpu()
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: events.append("waited"))
    monkeypatch.setattr(bare_network, "_WAITED_EVERY_S", 0)
    bare.run(4, lambda done, total: events.append(done))
    assert events == ["launched", "waited", 4, "launched", "waited", 8]
    events.clear()
    monkeypatch.setattr(bare_network, "_WAITED_EVERY_S", 60)
    bare.run(4, lambda done, total: events.append(done))
    assert events == ["launched", "launched"]


@pytest.mark.parametrize(("there_is_one", "expected"), [(True, "cuda"), (False, "cpu")])
def test_it_is_measured_where_a_run_would_be(monkeypatch, tmp_path, there_is_one, expected):
    asked = []

    def measure(spec, files, extraction, device):
        asked.append(device)
        raise UsageError("enough")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there_is_one)
    monkeypatch.setattr(command, "measure_backbone", measure)
    for device in (None, "cuda:1"):
        with pytest.raises(UsageError, match="enough"):
            measure_and_tell([BackboneSpec(name="tiny_vit")], (None, 8), ExtractionSpec(), device, tmp_path / "log")
    assert asked == [expected, "cuda:1"]


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
    assert "tiny_vit float32: round 1 of 1, ours: 8 of 8 images" in caplog.messages
    assert any(
        message.startswith("tiny_vit float32: the bare network holds 8 ready images") for message in caplog.messages
    )


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
