"""`dfd throughput`: on which device it measures; what it measures is tested in `dfd_core/throughput`."""

import pytest

import dfd_core.throughput
from flows.throughput_command import throughput


@pytest.mark.parametrize(
    ("variable", "option", "expected"),
    [(None, None, None), ("1", None, None), ("0", None, "cpu"), ("0", "cuda:1", "cuda:1")],
)
def test_it_measures_where_a_run_would_compute(monkeypatch, tmp_path, variable, option, expected):
    """`None` leaves it to the measurement, which takes a GPU where there is one."""
    asked = []
    monkeypatch.setattr(dfd_core.throughput, "measure_and_tell", lambda *arguments: asked.append(arguments[3]))
    monkeypatch.delenv("DFD_GPUS_PER_ACTOR", raising=False)
    if variable:
        monkeypatch.setenv("DFD_GPUS_PER_ACTOR", variable)
    throughput(None, ["tiny_vit"], 8, None, option, tmp_path / "log")
    assert asked == [expected]
